package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/rollout"
	"github.com/metalcue/metalcue/schema"
)

// Limits returns the limits of a whole run that the fleet's policy sets.
func Limits(f *schema.Fleet) rollout.Limits {
	return rollout.Limits{Parallel: f.Policy.Parallel, PerKind: f.Policy.ParallelByProfile, FailureBudget: f.Policy.FailureBudget}
}

func rolloutRoles(f *schema.Fleet) map[string]rollout.Role {
	roles := map[string]rollout.Role{}
	for name, r := range f.Roles {
		roles[name] = rollout.Role{Canary: r.Rollout.Canary, MaxUnavailable: r.Rollout.MaxUnavailable, Soak: r.Rollout.Soak}
	}
	return roles
}

// rolloutHosts returns the hosts to install, and those that are unavailable
// whatever is done: driven by another run, left unfinished by an earlier one,
// or not to be read, or off, for a cause that a person must mend.
func rolloutHosts(p *Plan) (install, unavailable []rollout.Host) {
	for _, c := range p.Changes {
		h := rollout.Host{Name: c.Host, Role: c.Role, Domain: c.Domain, Kind: c.From.Profile, Down: c.down()}
		switch {
		case c.worked():
			install = append(install, h)
		case c.unavailable():
			unavailable = append(unavailable, h)
		}
	}
	for _, n := range p.Down {
		unavailable = append(unavailable, rollout.Host{Name: n.Host, Role: n.Role, Domain: n.Domain})
	}
	return install, unavailable
}

// worked reports whether Apply does something about the host.
func (c *Change) worked() bool {
	return c.Action == Install || c.Action == Reinstall || c.Action == Resume
}

// down reports whether an install of the host was begun and has not ended well.
func (c *Change) down() bool {
	m, err := marker.Parse(c.From.Marker)
	return err == nil && m.State != marker.Installed
}

// unavailable reports whether a host that is left alone does not serve, as far
// as is known.
func (c *Change) unavailable() bool {
	return !c.worked() && (c.Action == Held || c.down() || c.Error && c.From.Power != "On")
}

// bounds says in words how many of the hosts may be installed at once.
func bounds(f *schema.Fleet, install, unavailable []rollout.Host) (lines []string) {
	if len(install) == 0 {
		return nil
	}
	policy := f.Policy
	lines = append(lines, fmt.Sprintf("%d to install, at most %d at once (policy.parallel); none starts once %d failed (policy.failureBudget)",
		len(install), policy.Parallel, max(policy.FailureBudget, 1)))
	for _, profile := range sortedKeys(policy.ParallelByProfile) {
		n := 0
		for _, h := range install {
			if h.Kind == profile {
				n++
			}
		}
		switch {
		case n > 0:
			lines = append(lines, fmt.Sprintf("BMC %s: %d to install, at most %d at once (policy.parallelByProfile)", profile, n, policy.ParallelByProfile[profile]))
		case !slices.Contains(redfish.Profiles(), profile):
			lines = append(lines, fmt.Sprintf("policy.parallelByProfile names %q, which is no vendor profile; there are %s", profile, strings.Join(redfish.Profiles(), ", ")))
		}
	}
	for _, role := range sortedKeys(f.Roles) {
		if line := roleBounds(f.Roles[role], install, unavailable); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// roleBounds is one role's part: what goes first, and what each of its failure
// domains bears. Domains in which something is down already are named.
func roleBounds(role *schema.Role, install, unavailable []rollout.Host) string {
	toInstall, down := map[string]int{}, map[string]int{}
	n := 0
	for _, h := range install {
		if h.Role != role.Name {
			continue
		}
		n++
		toInstall[h.Domain]++
		if h.Down {
			down[h.Domain]++
		}
	}
	for _, h := range unavailable {
		if h.Role == role.Name && toInstall[h.Domain] > 0 {
			down[h.Domain]++
		}
	}
	if n == 0 {
		return ""
	}
	rules := role.Rollout
	line := fmt.Sprintf("role %s: %d in %d failure domains (%s), at most %d down in each", role.Name, n, len(toInstall), cmp.Or(rules.Domain, "rack"), max(rules.MaxUnavailable, 1))
	if len(toInstall) == 1 {
		line = strings.Replace(line, "1 failure domains", "1 failure domain", 1)
	}
	if rules.Canary > 0 {
		line += fmt.Sprintf("; %d first, well for %s before the others", min(rules.Canary, n), rules.Soak)
	}
	for _, d := range sortedKeys(down) {
		line += fmt.Sprintf("; %s has %d down already", cmp.Or(d, "no domain"), down[d])
	}
	return line
}
