package reconcile_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// hundred is a data centre of 100 machines in 10 racks that serve, and whose
// declaration was changed: all are to be installed anew, two canaries first
// and never two of a rack at once.
func hundred(t *testing.T) *rig {
	g := newRig(t, slices.Repeat([]bmctest.Vendor{bmctest.Generic}, 100)...)
	g.fleet.Policy.Parallel, g.fleet.Policy.Guard.MaxInstalls, g.fleet.Policy.Guard.MaxPercent = 20, 100, 100
	role := g.fleet.Roles["web"]
	role.Rollout.Domain, role.Rollout.MaxUnavailable, role.Rollout.Canary, role.Rollout.Soak = "rack", 1, 2, 30*time.Minute
	tag := installedTag(g.fleet.Images["rocky-9.6"].SHA256, "web", 1, "00000", "rocky-9.6")
	for name, b := range g.bmcs {
		b.Machine.Disk, b.Machine.Running, b.AssetTag = &bmctest.Disk{}, true, tag
		g.fleet.Hosts[name].Generation = 2
	}
	for i := range g.netbox.Devices {
		g.netbox.Devices[i].Status = "active"
	}
	return g
}

// A mishap spoils one host so that its install ends at a step.
type mishap struct {
	host   string
	step   reconcile.Step
	result reconcile.Result
	spoil  func(*rig, string)
}

// refuse lets a BMC refuse all such requests from the so many-th on.
func refuse(method, path string, from int) func(*rig, string) {
	return func(g *rig, host string) {
		g.bmcs[host].Arm(bmctest.Fault{Method: method, Path: path, Nth: from, Times: -1, Status: http.StatusForbidden})
	}
}

// mishaps are failures at every step that can fail, each in the rack that its
// host's number says, as first or last host of it.
func mishaps() []mishap {
	return []mishap{
		{"web-13", reconcile.StepIdentity, reconcile.ResultStale, func(g *rig, host string) { g.bmcs[host].SetTag("SOMEBODY-ELSE") }},
		{"web-14", reconcile.StepMedia, reconcile.ResultBlocked, func(g *rig, host string) {
			url, address := g.r.MediaURL, "10.0.0.14"
			g.r.MediaURL = func(ctx context.Context, p *isohttp.Publication, bmc string, schemes []string) (string, error) {
				if bmc == address {
					return "", fmt.Errorf("no way to %s", address)
				}
				return url(ctx, p, bmc, schemes)
			}
		}},
		{"web-15", reconcile.StepClaim, reconcile.ResultBlocked, refuse(http.MethodPatch, "", 1)},
		{"web-21", reconcile.StepPowerOff, reconcile.ResultFailed, refuse(http.MethodPost, "*ComputerSystem.Reset", 1)},
		{"web-40", reconcile.StepInsert, reconcile.ResultFailed, refuse(http.MethodPost, "*InsertMedia", 1)},
		{"web-45", reconcile.StepBoot, reconcile.ResultFailed, refuse(http.MethodPost, "*ComputerSystem.Reset", 2)},
		{"web-60", reconcile.StepInstall, reconcile.ResultFailed, func(g *rig, host string) { g.bmcs[host].Machine.Habits.HangsInInstaller = true }},
		{"web-61", reconcile.StepEject, reconcile.ResultFailed, refuse(http.MethodPost, "*EjectMedia", 2)},
		{"web-80", reconcile.StepDisk, reconcile.ResultFailed, refuse(http.MethodPost, "*ComputerSystem.Reset", 3)},
		{"web-85", reconcile.StepVerify, reconcile.ResultFailed, func(g *rig, host string) { g.bmcs[host].Machine.Habits.NeverComesUp = true }},
		{"web-100", reconcile.StepMarker, reconcile.ResultFailed, func(g *rig, host string) {
			onEvent := g.r.OnEvent
			g.r.OnEvent = func(e reconcile.Event) {
				if e.Host == host && e.Step == reconcile.StepMarker && e.Kind == reconcile.Stepped {
					refuse(http.MethodPatch, "", 1)(g, host)
				}
				onEvent(e)
			}
		}},
	}
}

// TestHundredHosts installs a hundred hosts of which one fails at every step.
// Seen from the machines, no two of a rack ever serve nothing at once; the
// canaries go first; the failures end where and as they should, are counted to
// the last one of the budget, and nobody else is touched by them.
func TestHundredHosts(t *testing.T) {
	for _, budget := range []int{100, 3} {
		t.Run(fmt.Sprintf("budget %d", budget), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testHundredHosts(t, budget) })
		})
	}
}

func testHundredHosts(t *testing.T, budget int) {
	g := hundred(t)
	g.fleet.Policy.FailureBudget = budget
	p, w := g.plan()
	if n := p.Count(reconcile.Reinstall); n != 100 || p.Refused != "" {
		t.Fatalf("%d reinstalls are planned, want 100 (%s)", n, p.Refused)
	}
	var started, done, failed []string
	inFlight := 0
	g.r.OnEvent = func(e reconcile.Event) {
		switch e.Kind {
		case reconcile.Started:
			inFlight++
			started = append(started, e.Host)
			if len(failed) >= budget {
				t.Errorf("%s was started after %d failures, the budget is %d", e.Host, len(failed), budget)
			}
			if len(started) > 2 && len(done) < 2 {
				t.Errorf("%s was started when only %v of the canaries were well", e.Host, done)
			}
		case reconcile.Finished:
			inFlight--
			done = append(done, e.Host)
		case reconcile.Failed, reconcile.NotStarted:
			if e.Text == string(reconcile.ResultFailed) {
				failed = append(failed, e.Host)
			}
			if slices.Contains(started, e.Host) {
				inFlight--
			}
		}
		if inFlight > g.fleet.Policy.Parallel {
			t.Errorf("%d installs are in flight", inFlight)
		}
	}
	for _, m := range mishaps() {
		m.spoil(g, m.host)
	}
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { defer close(watched); g.watchRacks(stop) }()
	report, err := g.r.Apply(t.Context(), p, w)
	close(stop)
	<-watched
	if err != nil {
		t.Fatal(err)
	}
	g.checkHundred(report, budget, started)
}

// watchRacks looks every few seconds how many machines of each rack serve.
func (g *rig) watchRacks(stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(3 * time.Second):
		}
		down := map[int][]string{}
		for i := range 100 {
			name := hostName(i)
			if g.bmcs[name].Machine.Stage() != bmctest.StageOS {
				down[i/10] = append(down[i/10], name)
			}
		}
		for rack, hosts := range down {
			if len(hosts) > 1 {
				g.t.Errorf("in rack %d, %v are down at once", rack, hosts)
			}
		}
	}
}

// checkHundred compares the report with what the machines bear.
func (g *rig) checkHundred(report *reconcile.Report, budget int, started []string) {
	t := g.t
	if len(report.Outcomes) != 100 {
		t.Fatalf("%d outcomes", len(report.Outcomes))
	}
	want := map[string]mishap{}
	for _, m := range mishaps() {
		want[m.host] = m
	}
	count := map[reconcile.Result]int{}
	for _, o := range report.Outcomes {
		count[o.Result]++
		m, spoilt := want[o.Host]
		wrote := slices.ContainsFunc(g.bmcs[o.Host].Requests(), func(r bmctest.Request) bool { return r.Method != http.MethodGet })
		installs := g.bmcs[o.Host].Machine.Installs()
		switch {
		case o.Result == reconcile.ResultNotStarted:
			if wrote || slices.Contains(started, o.Host) {
				t.Errorf("%s: not started, but touched", o.Host)
			}
			if !strings.Contains(o.Reason, "failure budget") && !strings.Contains(o.Reason, "is unavailable in") {
				t.Errorf("%s: not started: %q", o.Host, o.Reason)
			}
		case spoilt:
			if o.Result != m.result || o.Step != m.step {
				t.Errorf("%s: %s at %s: %s; want %s at %s", o.Host, o.Result, o.Step, o.Reason, m.result, m.step)
			}
		case o.Result != reconcile.ResultInstalled || installs != 1:
			t.Errorf("%s: %s at %s: %s; %d installs", o.Host, o.Result, o.Step, o.Reason, installs)
		}
	}
	t.Logf("%v", count)
	if budget == 100 && count[reconcile.ResultFailed] != 8 || budget < 100 && count[reconcile.ResultFailed] < budget {
		t.Errorf("%d hosts failed", count[reconcile.ResultFailed])
	}
	if budget == 100 && slices.Compact(slices.Sorted(slices.Values(started)))[0] != "web-01" {
		t.Errorf("%v", started)
	}
}
