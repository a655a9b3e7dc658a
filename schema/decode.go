package schema

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"cuelang.org/go/cue"
)

// A part is what one folder of the fleet declares, its parents' files
// included.
type part struct {
	dir    string
	images map[string]*Image
	roles  map[string]*Role
	hosts  map[string]*Host
	policy *Policy // nil when it is wrong
	// declared holds, for "images", "roles" and "hosts", the names of all,
	// also of those that could not be decoded.
	declared map[string][]string
	// last holds the positions where images, roles and the policy are set last:
	// in the folder itself rather than in a parent.
	last map[string]Position
}

type rawImage struct {
	Family, Arch, Version, URL, SHA256 string
	KernelArgs                         []string
	Deadline                           string
}

type rawRole struct {
	Answer  Answer
	Vars    map[string]any
	Rollout struct {
		Domain         string
		MaxUnavailable int
		Canary         int
		Soak           string
	}
	Verify []rawCheck
}

type rawCheck struct {
	TCP     int
	HTTP    *HTTPCheck
	SSH     bool
	Exec    []string
	Timeout string
}

type rawHost struct {
	OS, Role   string
	Generation int
	Protect    bool
	Vars       map[string]any
	Labels     map[string]string
	Serial     string
	BMC        rawBMC
}

type rawBMC struct {
	Address, Credentials, System, Profile string
	TLS                                   any
}

type rawPolicy struct {
	ReinstallOn                       ReinstallOn
	Guard                             Guard
	Attempts, Parallel, FailureBudget int
	BMC                               rawBMC
	NetBox                            NetBoxPolicy
	Freeze                            []rawFreeze
}

type rawFreeze struct{ From, Until, Reason string }

// decoder turns CUE values that hold to the definitions into Go values.
type decoder struct {
	fsys       fs.FS  // the repository
	dir        string // the fleet's folder in it
	index      *index
	violations []Violation
}

func (d *decoder) fail(path []string, format string, args ...any) {
	d.violations = append(d.violations, violation(d.index.position(path...), path, format, args...))
}

func (d *decoder) decode(v cue.Value, into any, path ...string) bool {
	if err := v.Decode(into); err != nil {
		d.fail(path, "decoding: %v", err)
		return false
	}
	return true
}

func (d *decoder) image(name string, v cue.Value) *Image {
	var raw rawImage
	if !d.decode(v, &raw, "images", name) {
		return nil
	}
	d.url(raw.URL, "images", name, "url")
	return &Image{
		Name: name, Family: raw.Family, Arch: raw.Arch, Version: raw.Version, URL: raw.URL, SHA256: raw.SHA256,
		KernelArgs: raw.KernelArgs,
		Deadline:   d.duration(raw.Deadline, "images", name, "deadline"),
		Pos:        d.index.position("images", name),
	}
}

func (d *decoder) role(name string, v cue.Value) *Role {
	var raw rawRole
	if !d.decode(v, &raw, "roles", name) {
		return nil
	}
	d.file(raw.Answer.Template, "roles", name, "answer", "template")
	role := &Role{
		Name: name, Answer: raw.Answer, Vars: d.vars(raw.Vars, "roles", name, "vars"),
		Rollout: Rollout{
			Domain: raw.Rollout.Domain, MaxUnavailable: raw.Rollout.MaxUnavailable, Canary: raw.Rollout.Canary,
			Soak: d.duration(raw.Rollout.Soak, "roles", name, "rollout", "soak"),
		},
		Pos: d.index.position("roles", name),
	}
	for i, c := range raw.Verify {
		role.Verify = append(role.Verify, d.check(c, "roles", name, "verify", fmt.Sprint(i)))
	}
	if raw.Verify == nil {
		role.Verify = []Check{{SSH: true, Timeout: defaultCheckTimeout}}
	}
	return role
}

// defaultCheckTimeout is that of the check of a role that declares none; it is
// the default of #Check.
const defaultCheckTimeout = 15 * time.Minute

func (d *decoder) check(raw rawCheck, path ...string) Check {
	c := Check{TCP: raw.TCP, HTTP: raw.HTTP, SSH: raw.SSH, Exec: raw.Exec}
	var kinds []string
	for kind, set := range map[string]bool{"tcp": raw.TCP != 0, "http": raw.HTTP != nil, "ssh": raw.SSH, "exec": raw.Exec != nil} {
		if set {
			kinds = append(kinds, kind)
		}
	}
	if slices.Sort(kinds); len(kinds) != 1 {
		d.fail(path, "a check is exactly one of tcp, http, ssh and exec; this one is %s", or(strings.Join(kinds, " and "), "none"))
	}
	c.Timeout = d.duration(raw.Timeout, append(path, "timeout")...)
	return c
}

func (d *decoder) host(name string, v cue.Value, policy rawBMC) *Host {
	var raw rawHost
	if !d.decode(v, &raw, "hosts", name) {
		return nil
	}
	h := &Host{
		Name: name, OS: raw.OS, Role: raw.Role, Generation: raw.Generation, Protect: raw.Protect,
		Vars: d.vars(raw.Vars, "hosts", name, "vars"), Labels: raw.Labels, Serial: raw.Serial,
		BMC: d.bmc(raw.BMC, policy, name),
		Pos: d.index.position("hosts", name),
	}
	h.Fields = d.hostFields(name)
	return h
}

// hostFields returns the positions of the host's fields that are set.
func (d *decoder) hostFields(name string) map[string]Position {
	fields := map[string]Position{}
	for _, f := range [...][]string{
		{"os"}, {"role"}, {"generation"}, {"protect"}, {"vars"}, {"labels"}, {"serial"}, {"bmc"},
		{"bmc", "address"}, {"bmc", "credentials"}, {"bmc", "tls"}, {"bmc", "system"}, {"bmc", "profile"},
	} {
		if pos, found := d.index.find(append([]string{"hosts", name}, f...)...); found {
			key := f[0]
			if len(f) > 1 {
				key += "." + f[1]
			}
			fields[key] = positionOf(pos)
		}
	}
	return fields
}

// bmc lays what a host says over what the policy says.
func (d *decoder) bmc(host, policy rawBMC, name string) BMC {
	b := BMC{
		Address: host.Address, Credentials: or(host.Credentials, policy.Credentials, "default"),
		System: host.System, Profile: or(host.Profile, policy.Profile),
	}
	tls := host.TLS
	if tls == nil {
		tls = policy.TLS
	}
	switch tls := tls.(type) {
	case string:
		b.TLS.Mode = tls
	case map[string]any:
		b.TLS.SHA256, _ = tls["sha256"].(string)
		b.TLS.CA, _ = tls["ca"].(string)
		b.TLS.Mode = "verify"
		if b.TLS.CA != "" {
			at := []string{"hosts", name, "bmc", "tls", "ca"}
			if host.TLS == nil {
				at = []string{"policy", "bmc", "tls", "ca"}
			}
			d.file(b.TLS.CA, at...)
		}
		if b.TLS.SHA256 != "" {
			b.TLS.Mode = "pin"
		}
	default:
		b.TLS.Mode = "verify"
	}
	return b
}

func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func (d *decoder) policyOf(raw rawPolicy) *Policy {
	p := &Policy{
		ReinstallOn: raw.ReinstallOn, Guard: raw.Guard, Attempts: raw.Attempts, Parallel: raw.Parallel,
		FailureBudget: raw.FailureBudget, NetBox: raw.NetBox, Pos: d.index.position("policy"),
	}
	for i, f := range raw.Freeze {
		from, err1 := time.Parse(time.RFC3339, f.From)
		until, err2 := time.Parse(time.RFC3339, f.Until)
		path := []string{"policy", "freeze", fmt.Sprint(i)}
		if err1 != nil || err2 != nil {
			d.fail(path, "from and until are times such as 2026-12-20T00:00:00Z")
		} else if !until.After(from) {
			d.fail(path, "until %s is not after from %s", f.Until, f.From)
		}
		p.Freeze = append(p.Freeze, Freeze{From: from, Until: until, Reason: f.Reason})
	}
	return p
}

func (d *decoder) duration(s string, path ...string) time.Duration {
	span, err := time.ParseDuration(s)
	if err != nil {
		d.fail(path, "%q is not a span of time that can be counted: %v", s, err)
	}
	return span
}

// vars checks that the values are plain JSON values, and makes them so.
func (d *decoder) vars(vars map[string]any, path ...string) map[string]any {
	for key, value := range vars {
		vars[key] = d.value(value, append(path[:len(path):len(path)], key)...)
	}
	return vars
}

func (d *decoder) value(v any, path ...string) any {
	switch v := v.(type) {
	case nil, bool, string, int, int64:
		return v
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			d.fail(path, "the number is too large")
		}
		return v
	case []any:
		for i, elem := range v {
			v[i] = d.value(elem, append(path[:len(path):len(path)], fmt.Sprint(i))...)
		}
		return v
	case map[string]any:
		return d.vars(v, path...)
	case []byte:
		d.fail(path, "bytes are no value for a template: write a string")
	default:
		d.fail(path, "the number is too large for a template: write a string")
	}
	return nil
}
