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
	// context checks what NetBox's config contexts say of the folder's hosts.
	context *contextCheck
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
	Deadline, Expected                 string
	Generic                            *Generic
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

// A rawBMC is a BMC before what a host says has been laid over what the policy
// says.
type rawBMC struct {
	BMC
	TLS     any
	rules   map[string]BMCRule
	session *bool
}

type rawPolicy struct {
	ReinstallOn                       ReinstallOn
	Guard                             Guard
	Attempts, Parallel, FailureBudget int
	ParallelByProfile                 map[string]int
	BMC                               struct {
		Credentials, Profile, Marker string
		TLS                          any
		Rules                        map[string]any
		Session                      *bool
	}
	NetBox NetBoxPolicy
	Notify Notify
	Freeze []rawFreeze
}

type rawFreeze struct{ From, Until, Reason string }

// A decoder turns CUE values that hold to the definitions into Go values.
type decoder struct {
	fsys       fs.FS  // the repository
	dir        string // the fleet's folder in it
	index      *index
	shape      *shape // of the fleet
	violations []Violation
	said       map[Position]bool // where unknown fields have been found already
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
	if !d.strictly(v, "images", name) || !d.decode(v, &raw, "images", name) {
		return nil
	}
	d.url(raw.URL, "images", name, "url")
	switch {
	case raw.Family == "generic" && raw.Generic == nil:
		d.fail([]string{"images", name, "family"}, "the family generic needs a recipe: set generic")
	case raw.Family != "generic" && raw.Generic != nil:
		d.fail([]string{"images", name, "generic"}, "a recipe is for the family generic; this image is of the family %s", raw.Family)
	}
	return &Image{
		Name: name, Family: raw.Family, Arch: raw.Arch, Version: raw.Version, URL: raw.URL, SHA256: raw.SHA256,
		KernelArgs: raw.KernelArgs, Generic: raw.Generic,
		Deadline: d.duration(raw.Deadline, "images", name, "deadline"),
		Expected: d.duration(raw.Expected, "images", name, "expected"),
		Pos:      d.index.position("images", name),
	}
}

func (d *decoder) role(name string, v cue.Value) *Role {
	var raw rawRole
	if !d.strictly(v, "roles", name) || !d.decode(v, &raw, "roles", name) {
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
		ReinstallOn: raw.ReinstallOn, Guard: raw.Guard, Attempts: raw.Attempts, Parallel: raw.Parallel, ParallelByProfile: raw.ParallelByProfile,
		FailureBudget: raw.FailureBudget, NetBox: raw.NetBox, Notify: raw.Notify, Pos: d.index.position("policy"),
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
