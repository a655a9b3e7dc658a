package netbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metalcue/metalcue/schema"
)

// A Severity says what a finding leads to.
type Severity string

const (
	// Off drops the finding. It exists in policy only.
	Off Severity = "off"
	// Warning is reported and changes nothing.
	Warning Severity = "warning"
	// Error blocks the host.
	Error Severity = "error"
	// Fatal stops the run.
	Fatal Severity = "fatal"
)

// A Rule is one cross-check between the fleet and NetBox.
type Rule string

// The rules, with what they lead to unless policy.netbox.severity says
// otherwise. [Rules] lists them.
const (
	RuleScopeEmpty       Rule = "scope-empty"       // fatal: hosts are declared, and no device is in the scope
	RuleScopeHalved      Rule = "scope-halved"      // fatal: most hosts, of ten or more, are not in NetBox
	RuleVersion          Rule = "version"           // warning: NetBox's release is not a supported one
	RulePolicy           Rule = "policy"            // warning: policy.netbox.severity names what cannot be changed
	RuleMissing          Rule = "missing"           // error: NetBox has no device of the host's name
	RuleOutside          Rule = "outside-scope"     // error: it has, but not in the scope
	RuleNameCase         Rule = "name-case"         // warning: the names differ in case
	RuleNameDuplicate    Rule = "name-duplicate"    // error: several devices of the scope have the name
	RuleUndeclared       Rule = "undeclared"        // warning: a device in the scope is no host of the fleet
	RuleUnnamed          Rule = "unnamed"           // warning: a device in the scope has no name
	RuleUnreadable       Rule = "unreadable"        // error: something that NetBox says of the device makes no sense
	RuleStatus           Rule = "status"            // error: the status is in neither list of policy.netbox
	RuleSite             Rule = "site"              // error: the device is in another site than the host's folder says
	RuleRole             Rule = "role"              // error: NetBox gives the device the role of other hosts of the fleet
	RulePlatform         Rule = "platform"          // warning: NetBox's platform is another image of the fleet
	RuleRack             Rule = "rack-missing"      // warning: racks are failure domains, and the device is in none
	RuleSerialMissing    Rule = "serial-missing"    // error: no serial, or a placeholder
	RuleSerialDuplicate  Rule = "serial-duplicate"  // error: another device of the scope has the same serial
	RuleSerialMismatch   Rule = "serial-mismatch"   // error: the fleet declares another serial
	RuleOOBMissing       Rule = "oob-missing"       // error: no oob_ip, and no bmc.address in the fleet
	RuleOOBDuplicate     Rule = "oob-duplicate"     // error: another device of the scope has the same oob_ip
	RuleOOBPrimary       Rule = "oob-primary"       // error: oob_ip is a primary address
	RuleOOBRange         Rule = "oob-range"         // error: oob_ip is in none of policy.netbox.management
	RuleDeviceType       Rule = "device-type"       // warning: the device type is none of policy.netbox.deviceTypes
	RuleGeneration       Rule = "generation"        // warning: NetBox's reconcile_generation is higher than the fleet's
	RuleOOBMismatch      Rule = "oob-mismatch"      // warning: bmc.address in the fleet differs from oob_ip
	RulePrimaryMissing   Rule = "primary-missing"   // warning: no primary address
	RulePrimaryDuplicate Rule = "primary-duplicate" // error: another device of the scope has the same primary address
	RuleContext          Rule = "context"           // error: the config context under our key is not what #Context says
	RuleBrake            Rule = "brake"             // error: the device bears a tag, or a true custom field, that forbids installs
)

// These rules concern what a host is rendered from. They are decided for the
// devices whose networks the snapshot holds; see [Client.Networks].
const (
	RuleNetwork          Rule = "network"           // error: interfaces and addresses contradict each other
	RulePrimaryInactive  Rule = "primary-inactive"  // error: the primary address is not active
	RulePrimaryInterface Rule = "primary-interface" // error: the primary address is on a disabled or management interface
	RulePrimaryLength    Rule = "primary-length"    // warning: the primary address has another length than its prefix
	RuleDNSName          Rule = "dns-name"          // warning: the primary address's dns_name is another host's
	RuleGatewayMissing   Rule = "gateway-missing"   // warning: no gateway is known for a primary address
	RuleGatewayOutside   Rule = "gateway-outside"   // error: the gateway is not in the primary address's prefix
	RuleMACMissing       Rule = "mac-missing"       // error: no interface that could install has a MAC
	RuleMACInvalid       Rule = "mac-invalid"       // error: a MAC is a group address or zero
	RuleMACDuplicate     Rule = "mac-duplicate"     // error: two physical interfaces have the same MAC
	RuleLAG              Rule = "lag"               // error: a LAG without members, or with one that is disabled or in other VLANs
)

// severities are the defaults.
var severities = map[Rule]Severity{
	RuleScopeEmpty: Fatal, RuleScopeHalved: Fatal, RuleOOBRange: Error, RuleDeviceType: Warning, RuleGeneration: Warning,
	RuleDNSName: Warning, RuleVersion: Warning, RulePolicy: Warning,
	RuleMissing: Error, RuleOutside: Error, RuleNameCase: Warning, RuleNameDuplicate: Error,
	RuleUndeclared: Warning, RuleUnnamed: Warning, RuleUnreadable: Error, RuleStatus: Error,
	RuleSite: Error, RuleRole: Error, RulePlatform: Warning, RuleRack: Warning,
	RuleSerialMissing: Error, RuleSerialDuplicate: Error, RuleSerialMismatch: Error,
	RuleOOBMissing: Error, RuleOOBDuplicate: Error, RuleOOBPrimary: Error, RuleOOBMismatch: Warning,
	RulePrimaryMissing: Warning, RulePrimaryDuplicate: Error, RuleContext: Error, RuleBrake: Error,
	RuleNetwork: Error, RulePrimaryInactive: Error, RulePrimaryInterface: Error, RulePrimaryLength: Warning,
	RuleGatewayMissing: Warning, RuleGatewayOutside: Error, RuleMACMissing: Error, RuleMACInvalid: Error,
	RuleMACDuplicate: Error, RuleLAG: Error,
}

// fixed are the rules that policy cannot soften: without them an action could
// hit a machine that nobody meant.
var fixed = map[Rule]bool{
	RuleScopeEmpty: true, RuleMissing: true, RuleOutside: true, RuleNameDuplicate: true,
	RuleSerialDuplicate: true, RuleOOBMissing: true, RuleOOBDuplicate: true, RuleOOBPrimary: true,
}

// Rules returns every rule with its default severity.
func Rules() map[Rule]Severity {
	out := make(map[Rule]Severity, len(severities))
	for r, s := range severities {
		out[r] = s
	}
	return out
}

// A Finding is one thing that fleet and NetBox disagree about, or that is
// missing.
type Finding struct {
	Rule     Rule
	Severity Severity
	Host     string // "" when it concerns no host
	Field    string // NetBox's field, such as "oob_ip"
	Msg      string // what is wrong and what to do, on one line, without host and position
	URL      string // the device's page; "" when there is no device
	Pos      schema.Position
	// Want is what the fleet says, Got what NetBox says; "" where there is no
	// such side.
	Want, Got string
}

// String returns the finding on one line, as compilers write them.
func (f Finding) String() string {
	var b strings.Builder
	if f.Pos.IsValid() {
		fmt.Fprintf(&b, "%s: ", f.Pos)
	}
	fmt.Fprintf(&b, "%s: ", f.Severity)
	if f.Host != "" {
		fmt.Fprintf(&b, "host %s: ", f.Host)
	}
	b.WriteString(f.Msg)
	if f.URL != "" {
		fmt.Fprintf(&b, " - %s", f.URL)
	}
	fmt.Fprintf(&b, " [%s]", f.Rule)
	return b.String()
}

// Check compares a fleet with what NetBox said and returns everything that is
// wrong at once: what stops the run first, then by file and line, then what
// concerns no host of the fleet. It does no I/O.
//
// Severities come from policy.netbox.severity where that names a rule.
// Rules that keep an action from hitting the wrong machine (a missing, doubled
// or foreign device, a doubled serial or BMC address) cannot be softened.
func Check(f *schema.Fleet, s *Snapshot) []Finding {
	c := newChecker(f, s)
	c.checkScope()
	for _, name := range f.HostNames() {
		c.checkHost(f.Hosts[name])
	}
	c.checkOthers()
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(rank(a)-rank(b), a.Pos.Compare(b.Pos), cmp.Compare(a.Host, b.Host),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Msg, b.Msg))
	})
	return c.findings
}

// rank puts what stops the run first and what concerns no host last.
func rank(f Finding) int {
	switch {
	case f.Severity == Fatal:
		return 0
	case f.Host != "":
		return 1
	}
	return 2
}

// A checker holds what the rules look things up in.
type checker struct {
	fleet    *schema.Fleet
	snapshot *Snapshot
	findings []Finding

	names   map[string][]*Device // by lower-case name, in the scope
	outside map[string][]*Device
	unasked map[string]bool
	serials map[string][]*Device // by comparable serial
	oobs    map[string][]*Device
	primary map[string][]*Device
	macs    map[string][]owner // of physical interfaces
}

// An owner is where a MAC was found.
type owner struct {
	device *Device
	port   string
}

func newChecker(f *schema.Fleet, s *Snapshot) *checker {
	c := &checker{
		fleet: f, snapshot: s,
		names: make(map[string][]*Device), outside: make(map[string][]*Device), unasked: make(map[string]bool),
		serials: make(map[string][]*Device), oobs: make(map[string][]*Device), primary: make(map[string][]*Device),
		macs: make(map[string][]owner),
	}
	for i := range s.Devices {
		d := &s.Devices[i]
		if d.Name != "" {
			add(c.names, strings.ToLower(d.Name), d)
		}
		if key := serialKey(d.Serial); key != "" {
			add(c.serials, key, d)
		}
		if d.OOB.IsValid() {
			add(c.oobs, d.OOB.String(), d)
		}
		if d.Primary4.IsValid() {
			add(c.primary, d.Primary4.Addr().String(), d)
		}
		if d.Primary6.IsValid() {
			add(c.primary, d.Primary6.Addr().String(), d)
		}
		c.indexMACs(d)
	}
	for i := range s.Outside {
		add(c.outside, strings.ToLower(s.Outside[i].Name), &s.Outside[i])
	}
	for _, name := range s.Unasked {
		c.unasked[strings.ToLower(name)] = true
	}
	return c
}

func add(m map[string][]*Device, key string, d *Device) { m[key] = append(m[key], d) }

func (c *checker) indexMACs(d *Device) {
	for i := range c.snapshot.Networks[d.ID].Interfaces {
		p := &c.snapshot.Networks[d.ID].Interfaces[i]
		for _, mac := range p.MACs {
			if p.Physical() {
				c.macs[mac] = append(c.macs[mac], owner{d, p.Name})
			}
		}
	}
}

// report adds a finding unless policy has switched its rule off.
func (c *checker) report(f Finding) {
	f.Severity = severities[f.Rule]
	if s, ok := c.fleet.Policy.NetBox.Severity[string(f.Rule)]; ok && !fixed[f.Rule] {
		f.Severity = Severity(s)
	}
	if f.Severity != Off {
		c.findings = append(c.findings, f)
	}
}

// placeholders are serials that vendors and people put where there is none.
var placeholders = map[string]bool{
	"0": true, "none": true, "na": true, "unknown": true, "default": true, "defaultstring": true, "notspecified": true,
	"notavailable": true, "notapplicable": true, "systemserialnumber": true, "serialnumber": true, "tobefilledbyoem": true,
	"123456789": true, "0123456789": true, "1234567890": true, "tbd": true, "test": true, "null": true,
}

// isPlaceholder reports whether a serial is none.
func isPlaceholder(serial string) bool {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(serial))
	return placeholders[s] || strings.Trim(s, "0x") == ""
}

// serialKey is a serial as it is compared: trimmed, whatever the case; "" for
// a placeholder.
func serialKey(serial string) string {
	if isPlaceholder(serial) {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(serial))
}
