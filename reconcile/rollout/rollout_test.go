package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/reconcile/rollout"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func rack(role string, racks, perRack int) (hosts []rollout.Host) {
	for r := range racks {
		for n := range perRack {
			hosts = append(hosts, rollout.Host{Name: fmt.Sprintf("%s-%d%d", role, r, n), Role: role, Domain: fmt.Sprintf("rack %d", r)})
		}
	}
	return hosts
}

func TestWaves(t *testing.T) {
	tests := []struct {
		name        string
		limits      rollout.Limits
		role        rollout.Role
		hosts       []rollout.Host
		unavailable []rollout.Host
		want        [][]string
	}{
		{
			name:   "canary first, then one per rack",
			limits: rollout.Limits{Parallel: 10}, role: rollout.Role{Canary: 1, MaxUnavailable: 1, Soak: time.Minute},
			hosts: rack("db", 2, 2),
			want:  [][]string{{"db-00"}, {"db-01", "db-10"}, {"db-11"}},
		},
		{
			name:   "parallel caps a wave",
			limits: rollout.Limits{Parallel: 2}, role: rollout.Role{MaxUnavailable: 9},
			hosts: rack("web", 1, 3),
			want:  [][]string{{"web-00", "web-01"}, {"web-02"}},
		},
		{
			name:   "an unreachable host counts in its rack",
			limits: rollout.Limits{Parallel: 9}, role: rollout.Role{MaxUnavailable: 1},
			hosts:       rack("db", 2, 1),
			unavailable: []rollout.Host{{Name: "db-99", Role: "db", Domain: "rack 0"}},
			want:        [][]string{{"db-10"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roles := map[string]rollout.Role{tt.hosts[0].Role: tt.role}
			got := rollout.Waves(tt.limits, roles, tt.hosts, tt.unavailable)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("waves (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailureBudgetStopsTheRun(t *testing.T) {
	r := rollout.New(rollout.Limits{Parallel: 1, FailureBudget: 1}, nil, rack("web", 3, 1), nil)
	start, _ := r.Next(epoch)
	r.Done(start[0], false, epoch)
	if start, wake := r.Next(epoch); len(start) != 0 || !wake.IsZero() {
		t.Fatalf("Next after a spent budget = %v, %v; want nothing", start, wake)
	}
	held := r.Held(epoch)
	if len(held) != 2 || !strings.Contains(held["web-10"], "failure budget is spent: 1 host failed") {
		t.Errorf("held = %v; want two hosts, for the budget", held)
	}
}

func TestFailedCanaryHoldsItsRoleOnly(t *testing.T) {
	hosts := append(rack("db", 2, 1), rack("web", 1, 1)...)
	roles := map[string]rollout.Role{"db": {Canary: 1, MaxUnavailable: 1}, "web": {MaxUnavailable: 1}}
	r := rollout.New(rollout.Limits{Parallel: 5, FailureBudget: 5}, roles, hosts, nil)
	start, _ := r.Next(epoch)
	if diff := cmp.Diff([]string{"db-00", "web-00"}, start); diff != "" {
		t.Fatalf("first wave (-want +got):\n%s", diff)
	}
	r.Done("db-00", false, epoch)
	r.Done("web-00", true, epoch)
	if start, _ := r.Next(epoch.Add(time.Hour)); len(start) != 0 {
		t.Errorf("started %v after the canary of their role failed", start)
	}
}

func TestWithdrawnCanaryIsReplaced(t *testing.T) {
	roles := map[string]rollout.Role{"db": {Canary: 1, MaxUnavailable: 9}}
	r := rollout.New(rollout.Limits{Parallel: 9, FailureBudget: 1}, roles, rack("db", 1, 4), nil)
	r.Next(epoch)
	r.Withdraw("db-00", false)
	start, _ := r.Next(epoch)
	if !slices.Equal(start, []string{"db-01"}) {
		t.Fatalf("after the canary was withdrawn: started %v, want [db-01] alone", start)
	}
	r.Done("db-01", true, epoch)
	if start, _ := r.Next(epoch); len(start) != 2 {
		t.Errorf("after the new canary: started %v, want the other two", start)
	}
}

// TestDownHostsGoFirst: a host that failed before is down already, so it may
// start, and a healthy neighbour may not until it is well.
func TestDownHostsGoFirst(t *testing.T) {
	hosts := rack("db", 1, 3)
	hosts[1].Down, hosts[2].Down = true, true
	roles := map[string]rollout.Role{"db": {MaxUnavailable: 1}}
	got := rollout.Waves(rollout.Limits{Parallel: 9}, roles, hosts, nil)
	if diff := cmp.Diff([][]string{{"db-01", "db-02"}, {"db-00"}}, got); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
}

// TestGoneHostsStayUnavailable: a host that another run drives, or that cannot
// be reached, spends no budget and yet is not there.
func TestGoneHostsStayUnavailable(t *testing.T) {
	r := rollout.New(rollout.Limits{Parallel: 9}, map[string]rollout.Role{"db": {MaxUnavailable: 1}}, rack("db", 1, 2), nil)
	r.Next(epoch)
	r.Withdraw("db-00", true)
	if start, _ := r.Next(epoch); len(start) != 0 {
		t.Errorf("started %v beside a host that is gone", start)
	}
}

func TestSoak(t *testing.T) {
	roles := map[string]rollout.Role{"db": {Canary: 1, MaxUnavailable: 1, Soak: 10 * time.Minute}}
	r := rollout.New(rollout.Limits{Parallel: 5}, roles, rack("db", 2, 1), nil)
	r.Next(epoch)
	r.Done("db-00", true, epoch)
	start, wake := r.Next(epoch.Add(9 * time.Minute))
	if len(start) != 0 || !wake.Equal(epoch.Add(10*time.Minute)) {
		t.Errorf("while soaking: started %v, wake %v; want nothing, at 10 minutes", start, wake)
	}
	if start, _ := r.Next(wake); !slices.Equal(start, []string{"db-10"}) {
		t.Errorf("after the soak: started %v, want [db-10]", start)
	}
}

// TestLimitsNeverExceeded explores random fleets, orders and failures and
// counts for itself, beside the state machine, what is down at each moment.
func TestLimitsNeverExceeded(t *testing.T) {
	for seed := range uint64(2000) {
		explore(t, rand.New(rand.NewPCG(seed, 7)), seed)
	}
}

func explore(t *testing.T, rnd *rand.Rand, seed uint64) {
	roles := map[string]rollout.Role{}
	var hosts, unavailable []rollout.Host
	for _, name := range []string{"db", "web"} {
		roles[name] = rollout.Role{Canary: rnd.IntN(3), MaxUnavailable: 1 + rnd.IntN(3), Soak: time.Duration(rnd.IntN(2)) * time.Minute}
		hosts = append(hosts, rack(name, 1+rnd.IntN(4), 1+rnd.IntN(4))...)
		if rnd.IntN(3) == 0 {
			unavailable = append(unavailable, rollout.Host{Name: name + "-gone", Role: name, Domain: "rack 0"})
		}
	}
	byName := map[string]rollout.Host{}
	for i := range hosts {
		hosts[i].Kind = []string{"a", "b", ""}[rnd.IntN(3)]
	}
	for _, h := range hosts {
		byName[h.Name] = h
	}
	limits := rollout.Limits{Parallel: 1 + rnd.IntN(6), FailureBudget: 1 + rnd.IntN(3), PerKind: map[string]int{"a": 1 + rnd.IntN(3)}}
	kinds := map[string]int{}
	r := rollout.New(limits, roles, hosts, unavailable)

	now, failures, started := epoch, 0, map[string]bool{}
	var flying []string
	down := map[[2]string]int{}
	for _, h := range unavailable {
		down[[2]string{h.Role, h.Domain}]++
	}
	well := map[string]int{}
	wellSince := map[string]time.Time{}
	for range 1000 {
		start, wake := r.Next(now)
		for _, name := range start {
			h := byName[name]
			key := [2]string{h.Role, h.Domain}
			if started[name] {
				t.Fatalf("seed %d: %s started twice", seed, name)
			}
			if started[name] = true; failures >= limits.FailureBudget {
				t.Fatalf("seed %d: %s started after the budget was spent", seed, name)
			}
			if down[key]++; down[key] > roles[h.Role].MaxUnavailable {
				t.Fatalf("seed %d: %d down in %v, limit %d", seed, down[key], key, roles[h.Role].MaxUnavailable)
			}
			if flying = append(flying, name); len(flying) > limits.Parallel {
				t.Fatalf("seed %d: %d in flight, limit %d", seed, len(flying), limits.Parallel)
			}
			if kinds[h.Kind]++; kinds["a"] > limits.PerKind["a"] {
				t.Fatalf("seed %d: %d of kind a in flight, limit %d", seed, kinds["a"], limits.PerKind["a"])
			}
			if n := countRole(started, byName, h.Role); n > roles[h.Role].Canary && roles[h.Role].Canary > 0 &&
				(well[h.Role] < roles[h.Role].Canary || now.Before(wellSince[h.Role].Add(roles[h.Role].Soak))) {
				t.Fatalf("seed %d: %s started as number %d before the canaries were well", seed, name, n)
			}
		}
		if len(flying) == 0 {
			if wake.IsZero() {
				return
			}
			now = wake
			continue
		}
		i := rnd.IntN(len(flying))
		name := flying[i]
		flying = slices.Delete(flying, i, i+1)
		ok := rnd.IntN(8) != 0
		r.Done(name, ok, now)
		h := byName[name]
		kinds[h.Kind]--
		if !ok {
			failures++
			continue
		}
		down[[2]string{h.Role, h.Domain}]--
		if well[h.Role]++; well[h.Role] == roles[h.Role].Canary {
			wellSince[h.Role] = now
		}
	}
	t.Fatalf("seed %d: no end", seed)
}

func countRole(started map[string]bool, byName map[string]rollout.Host, role string) (n int) {
	for name := range started {
		if byName[name].Role == role {
			n++
		}
	}
	return n
}
