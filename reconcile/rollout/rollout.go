// Package rollout decides which hosts may be installed next.
//
// A [Rollout] is a pure state machine: it does no I/O, reads no clock and
// starts no goroutine. Its caller asks [Rollout.Next] what may start, starts
// exactly that, and reports the end of each install with [Rollout.Done]. The
// limits it keeps are exact at every moment:
//
//   - no more than [Limits.Parallel] installs are in flight, and no more of a
//     kind than [Limits.PerKind] allows;
//   - in each failure domain of a role, a host that serves starts only while
//     the hosts in flight, failed, and unavailable from the start are fewer
//     than [Role.MaxUnavailable]; hosts that are down anyway go before it;
//   - a role's first [Role.Canary] hosts are installed, verified and soaked for
//     [Role.Soak] before any other host of the role starts;
//   - once [Limits.FailureBudget] hosts have failed, nothing starts any more.
package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits bound the whole run.
type Limits struct {
	Parallel      int            // installs in flight; 0 means 1
	PerKind       map[string]int // … of hosts of one kind; a kind that is not in it has no limit of its own
	FailureBudget int            // failures after which nothing starts; 0 means 1
}

// A Role bounds the hosts of one role.
type Role struct {
	Canary         int           // hosts that go first, alone; 0 for none
	MaxUnavailable int           // hosts of one domain that may be down at once; 0 means 1
	Soak           time.Duration // how long the canaries must stay well
}

// A Host is one server to be installed, or one that is unavailable anyway.
type Host struct {
	Name   string
	Role   string
	Domain string // its failure domain, such as a rack's name
	Kind   string // of BMC; may be empty
	// Down says that a host to be installed does not serve already: an earlier
	// install of it failed. It counts as unavailable from the start, so that
	// installing it takes nothing more down.
	Down bool
}

// A Rollout is the state of one run. Make one with [New].
type Rollout struct {
	limits Limits
	roles  map[string]*role
	hosts  []*host // to be installed, in order

	inFlight, failed int
	kinds            map[string]int      // in flight, by kind
	unavailable      map[domain][]string // names, by what takes them down
}

type role struct {
	Role
	waiting  int       // canaries not yet installed
	soakTill time.Time // set when the last canary is well
}

type host struct {
	Host
	canary bool
	state  state
}

type state int

const (
	pending state = iota
	running
	done
	failed
	withdrawn
)

type domain struct{ role, name string }

// New returns a rollout of hosts, which start in order of role and name, and
// whose domains may hold hosts that are unavailable already: unreachable ones,
// ones that another run installs, ones that failed before.
func New(limits Limits, roles map[string]Role, hosts, unavailable []Host) *Rollout {
	limits.Parallel = max(limits.Parallel, 1)
	limits.FailureBudget = max(limits.FailureBudget, 1)
	r := &Rollout{limits: limits, roles: map[string]*role{}, kinds: map[string]int{}, unavailable: map[domain][]string{}}
	for name, rules := range roles {
		rules.MaxUnavailable = max(rules.MaxUnavailable, 1)
		r.roles[name] = &role{Role: rules}
	}
	for _, h := range hosts {
		if r.roles[h.Role] == nil {
			r.roles[h.Role] = &role{Role: Role{MaxUnavailable: 1}}
		}
		r.hosts = append(r.hosts, &host{Host: h})
	}
	slices.SortStableFunc(r.hosts, func(a, b *host) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), -compareBool(a.Down, b.Down), strings.Compare(a.Name, b.Name))
	})
	for _, h := range r.hosts {
		if rules := r.roles[h.Role]; rules.waiting < rules.Canary {
			h.canary = true
			rules.waiting++
		}
	}
	for _, h := range unavailable {
		r.down(h)
	}
	for _, h := range r.hosts {
		if h.Down {
			r.down(h.Host)
		}
	}
	return r
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (r *Rollout) down(h Host) {
	d := domain{h.Role, h.Domain}
	r.unavailable[d] = append(r.unavailable[d], h.Name)
}

func (r *Rollout) up(h Host) {
	d := domain{h.Role, h.Domain}
	r.unavailable[d] = slices.DeleteFunc(r.unavailable[d], func(name string) bool { return name == h.Name })
}

// Next marks the hosts that may start at now as started and returns their
// names. wake is when time alone may let further ones start; it is zero when
// only [Rollout.Done] can.
func (r *Rollout) Next(now time.Time) (start []string, wake time.Time) {
	for _, h := range r.hosts {
		if h.state != pending || r.held(h, now) != "" {
			continue
		}
		h.state = running
		r.inFlight++
		r.kinds[h.Kind]++
		if !h.Down {
			r.down(h.Host)
		}
		start = append(start, h.Name)
	}
	return start, r.wake(now)
}

func (r *Rollout) wake(now time.Time) (wake time.Time) {
	if r.failed >= r.limits.FailureBudget {
		return time.Time{}
	}
	for _, h := range r.hosts {
		if till := r.roles[h.Role].soakTill; h.state == pending && till.After(now) && (wake.IsZero() || till.Before(wake)) {
			wake = till
		}
	}
	return wake
}

// held returns why h may not start at now, or "".
func (r *Rollout) held(h *host, now time.Time) string {
	rules := r.roles[h.Role]
	d := domain{h.Role, h.Domain}
	most, limited := r.limits.PerKind[h.Kind]
	switch {
	case r.failed >= r.limits.FailureBudget:
		return fmt.Sprintf("the failure budget is spent: %s failed, policy.failureBudget is %d",
			count(r.failed, "host"), r.limits.FailureBudget)
	case !h.canary && rules.waiting > 0:
		return fmt.Sprintf("role %s waits for its canary", h.Role)
	case !h.canary && rules.soakTill.After(now):
		return fmt.Sprintf("role %s waits for its canary to soak", h.Role)
	case !h.Down && len(r.unavailable[d]) >= rules.MaxUnavailable:
		return fmt.Sprintf("%s is unavailable in %s, and role %s allows %d at once",
			strings.Join(r.unavailable[d], ", "), orThis(h.Domain), h.Role, rules.MaxUnavailable)
	case r.inFlight >= r.limits.Parallel:
		return fmt.Sprintf("%s in flight, policy.parallel is %d", count(r.inFlight, "install"), r.limits.Parallel)
	case limited && r.kinds[h.Kind] >= most:
		return fmt.Sprintf("%s of BMC %s in flight, policy.parallelByProfile allows %d", count(r.kinds[h.Kind], "install"), h.Kind, most)
	}
	return ""
}

// Done records that a started host was installed and verified (ok), or failed,
// at now. A failed host stays unavailable in its domain.
func (r *Rollout) Done(name string, ok bool, now time.Time) {
	h := r.landed(name)
	if !ok {
		h.state = failed
		r.failed++
		return
	}
	h.state = done
	r.up(h.Host)
	if rules := r.roles[h.Role]; h.canary {
		rules.waiting--
		if rules.waiting == 0 {
			rules.soakTill = now.Add(rules.Soak)
		}
	}
}

// Withdraw records that a started host turned out unfit before anything was
// done to it. It spends no budget. It is as available as it was before, unless
// it is gone: unreachable, or driven by another run. When it was a canary, the
// next host of its role takes its place.
func (r *Rollout) Withdraw(name string, gone bool) {
	h := r.landed(name)
	h.state = withdrawn
	if !gone && !h.Down {
		r.up(h.Host)
	}
	if !h.canary {
		return
	}
	for _, other := range r.hosts {
		if other.Role == h.Role && other.state == pending && !other.canary {
			other.canary = true
			return
		}
	}
	r.roles[h.Role].waiting--
}

// landed returns a host that was in flight, and is no more.
func (r *Rollout) landed(name string) *host {
	i := slices.IndexFunc(r.hosts, func(h *host) bool { return h.Name == name && h.state == running })
	if i < 0 {
		panic(fmt.Sprintf("rollout: host %q ended without having been started", name))
	}
	h := r.hosts[i]
	r.inFlight--
	r.kinds[h.Kind]--
	return h
}

// InFlight returns how many started hosts have not ended.
func (r *Rollout) InFlight() int { return r.inFlight }

// Held returns the hosts that have not started, with the reason for each.
func (r *Rollout) Held(now time.Time) map[string]string {
	held := map[string]string{}
	for _, h := range r.hosts {
		if h.state == pending {
			held[h.Name] = r.held(h, now)
		}
	}
	return held
}

// Waves returns the order in which the hosts would start if every install
// succeeded and all installs of a wave took equally long. Hosts that could
// never start are in no wave.
func Waves(limits Limits, roles map[string]Role, hosts, unavailable []Host) [][]string {
	r := New(limits, roles, hosts, unavailable)
	var now time.Time
	var waves [][]string
	for {
		start, wake := r.Next(now)
		switch {
		case len(start) > 0:
			waves = append(waves, start)
			for _, name := range start {
				r.Done(name, true, now)
			}
		case !wake.IsZero():
			now = wake
		default:
			return waves
		}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func orThis(domain string) string {
	if domain == "" {
		return "its domain"
	}
	return domain
}
