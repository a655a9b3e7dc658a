package schema

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Fleet is everything declared at one git commit: complete, concrete and
// valid. Its maps are keyed by name; every value carries its own name too.
type Fleet struct {
	Images map[string]*Image
	Roles  map[string]*Role
	Hosts  map[string]*Host
	Policy Policy

	// Files is the fleet's folder. Answer templates, CA files and local
	// images are read from it by slash path.
	Files fs.FS `json:"-"`

	contexts map[string]*contextCheck // by the site of the hosts
}

// HostNames returns the names of all hosts, sorted.
func (f *Fleet) HostNames() []string {
	names := make([]string, 0, len(f.Hosts))
	for name := range f.Hosts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// An Image is a stock installer ISO, pinned by its SHA-256 and never rewritten.
type Image struct {
	Name    string
	Family  string // which installer it is: "rhel", "debian", "ubuntu", "suse", "coreos"
	Arch    string // "x86_64" or "aarch64"
	Version string // the operating system's own version, such as "9.6"

	// URL is an https, http or file URL, or a slash path relative to the
	// fleet's folder.
	URL    string
	SHA256 string // 64 lower-case hex digits

	// KernelArgs are appended to the installer's kernel command line.
	KernelArgs []string

	// Generic is the recipe of an image of the family "generic"; nil for
	// others.
	Generic *Generic

	// Deadline is the longest that one install may take.
	Deadline time.Duration
	// Expected is after how long an install is called slow.
	Expected time.Duration

	Pos Position
}

// A Generic is how an installer is made to work that no family knows. Paths are
// absolute ones on the ISO.
type Generic struct {
	Volume string            // regular expression for the volume id; "": any
	Says   map[string]string // text that files hold, by path

	Answer struct {
		Path   string // where the installer looks for it
		Format string // "text", "json", "yaml" or "xml"
		Initrd string // its path in an archive that is a further initial file system; "": it is a plain file
	}
	PowersOff string            // text by which the installer powers the machine off
	Files     map[string]string // further files that are added, by path

	Menus      []GenericMenu
	Drop, Args []string // kernel arguments
	Payload    []string // files that are read while the system is installed
	Evidence   []string // what must have been read for an install to count; nil: the usual
}

// A GenericMenu is a boot menu of a [Generic].
type GenericMenu struct {
	Path, Kind, Entry, Source, LeadsTo string
}

// A Role says what a host is for.
type Role struct {
	Name    string
	Answer  Answer
	Vars    map[string]any // plain JSON values: string, float64 or int64, bool, nil, []any, map[string]any
	Rollout Rollout
	Verify  []Check
	Pos     Position
}

// An Answer names the template of a role's answer file.
type Answer struct {
	Template string // slash path in [Fleet.Files]
}

// A Rollout says how much of a role may be down at once, and how carefully a
// change spreads.
type Rollout struct {
	// Domain is what a failure domain is: "rack", "site", "role", or
	// "label:KEY" for the hosts' label KEY.
	Domain string
	// MaxUnavailable is how many hosts of a domain may be down at once.
	MaxUnavailable int
	// Canary is how many hosts must be installed, verified and soaked before
	// the others start; 0 for none.
	Canary int
	// Soak is how long a canary must stay well.
	Soak time.Duration
}

// A Check is one proof that an installed host is well. Exactly one of TCP,
// HTTP, SSH and Exec is set.
type Check struct {
	TCP     int        `json:",omitempty"` // a port that accepts connections
	HTTP    *HTTPCheck `json:",omitempty"`
	SSH     bool       `json:",omitempty"` // an SSH server presents a host key
	Exec    []string   `json:",omitempty"` // a local command and its arguments; exit status 0 passes
	Timeout time.Duration
}

// Kind returns "tcp", "http", "ssh" or "exec".
func (c Check) Kind() string {
	switch {
	case c.TCP != 0:
		return "tcp"
	case c.HTTP != nil:
		return "http"
	case c.SSH:
		return "ssh"
	default:
		return "exec"
	}
}

// String returns the check in the fewest words, such as "tcp 22" or
// "http https://{host}/healthz".
func (c Check) String() string {
	switch c.Kind() {
	case "tcp":
		return fmt.Sprintf("tcp %d", c.TCP)
	case "http":
		return "http " + c.HTTP.URL
	case "ssh":
		return "ssh"
	default:
		return "exec " + strings.Join(c.Exec, " ")
	}
}

// An HTTPCheck asks for a page. "{host}" in URL stands for the host's primary
// address.
type HTTPCheck struct {
	URL    string
	Status int    // the status that passes
	Body   string // text that the body must contain; "" for any
}

// A Host is one declared server. Its name is the one that NetBox knows.
type Host struct {
	Name       string
	OS         string // key into [Fleet.Images]
	Role       string // key into [Fleet.Roles]
	Generation int    // raising it, and nothing else, asks for a reinstall
	Protect    bool   // true: never touched

	// Site is the sub-folder that declares the host, as a slash path relative
	// to the fleet's folder; "" for the fleet's folder itself.
	Site string

	Vars   map[string]any // the host's own; they win over the role's
	Labels map[string]string
	Serial string // optional; where it is set NetBox must agree
	// Addresses says where to take a primary address from; nil for nowhere.
	Addresses *Addresses
	BMC       BMC // policy.bmc with the host's own over it

	Pos Position
	// Fields holds the position of each field of the host that is set:
	// "os", "role", "generation", "bmc.tls" and so on.
	Fields map[string]Position
}

// Addresses says where a host without a primary address gets one.
type Addresses struct {
	From           []netip.Prefix // at most one for each family
	VRF, Interface string
}

// Position returns where a field of the host is set, or where the host is
// declared when the field is not.
func (h *Host) Position(field string) Position {
	if pos, ok := h.Fields[field]; ok {
		return pos
	}
	return h.Pos
}

// A BMC says how to reach a management controller. It holds names of secrets,
// never their values.
type BMC struct {
	// Address overrides NetBox's oob_ip: host[:port] or an https URL.
	Address string
	// Credentials names the login; see package credential.
	Credentials string
	TLS         TLS
	System      string // the Redfish system's id; "" when there is but one
	Profile     string // forces a vendor profile; "" detects it
	Session     bool   // log in with a session, not with Basic authentication
	// Marker is where the marker is: "asset-tag" or "efi-label".
	Marker string
	// Rules replace rules of the vendor profile; sorted by name.
	Rules []BMCRule
}

// A BMCRule is a rule that the fleet sets in place of a vendor profile's.
type BMCRule struct {
	Name  string
	Value any // bool, string or []string
	Pos   Position
}

// TLS says how a BMC proves who it is.
type TLS struct {
	Mode   string // "verify", "pin" or "insecure"
	SHA256 string // for "pin": the leaf certificate's SHA-256, 64 lower-case hex digits
	CA     string // for "verify": a PEM file in [Fleet.Files]; "" for the system's authorities
}

// A Policy bounds what a run may do.
type Policy struct {
	ReinstallOn ReinstallOn
	Guard       Guard
	Attempts    int // installs of one host for one wanted spec before it is quarantined: 1 to 9
	Parallel    int // installs in flight
	// ParallelByProfile bounds the installs in flight on BMCs of one vendor
	// profile; one that is not named has no limit of its own.
	ParallelByProfile map[string]int
	FailureBudget     int // failed hosts after which no further install starts
	NetBox            NetBoxPolicy
	Notify            Notify
	Freeze            []Freeze
	Pos               Position
}

// Notify names the secrets that hold the URLs of webhooks; "" for none.
type Notify struct{ Slack, Webhook string }

// ReinstallOn says which kinds of drift lead to a reinstall. Drift of another
// kind is reported only.
type ReinstallOn struct{ OS, Role, Generation, Config bool }

// A Guard bounds one run. A plan with more installs is refused as a whole.
type Guard struct {
	MaxInstalls int
	MaxPercent  int // of the fleet's hosts
}

// A NetBoxPolicy says which devices are ours and what NetBox's word means.
type NetBoxPolicy struct {
	Scope Scope
	// Install are the device statuses whose hosts may be reinstalled.
	Install []string
	// InstallUnmarked are the device statuses whose hosts may be installed
	// although their machine bears no marker.
	InstallUnmarked []string
	// Management are the networks that BMCs are in; none means anywhere.
	Management []string
	// DeviceTypes are the slugs that are expected; none means any.
	DeviceTypes []string
	// Severity overrides the severity of a cross-check rule: "off",
	// "warning" or "error".
	Severity map[string]string
	// StatusAfter is the status that a device is given after its install; ""
	// leaves it alone.
	StatusAfter string
	// ContextKey is the key of the config context that templates see as
	// .Context.
	ContextKey string
}

// A Scope selects NetBox devices; empty fields select everything.
type Scope struct{ Tag, Site, Role, Tenant string }

// A Freeze is a time in which nothing is installed. From is inside it, Until
// is not.
type Freeze struct {
	From, Until time.Time
	Reason      string
}

// FrozenAt returns the freeze that t lies in, or nil.
func (p *Policy) FrozenAt(t time.Time) *Freeze {
	for i, f := range p.Freeze {
		if !t.Before(f.From) && t.Before(f.Until) {
			return &p.Freeze[i]
		}
	}
	return nil
}
