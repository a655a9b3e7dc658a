package reconcile_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// TestTwoRuns: of two runs that planned the same host, one drives it, however
// close the second is on the first one's heels.
func TestTwoRuns(t *testing.T) {
	for _, skew := range []time.Duration{0, time.Millisecond, 500 * time.Millisecond, 2 * time.Second, 4 * time.Second, 9 * time.Second, time.Minute, 8 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bmctest.Generic)
				g.bmcs["web-01"].Latency = 300 * time.Millisecond
				p, w := g.plan()
				other := g.reconciler("run2")
				other.OnEvent, other.Key = nil, []byte("fedcba9876543210") // another process has another server
				done := make(chan *reconcile.Report)
				go func() {
					time.Sleep(skew)
					report, err := other.Apply(t.Context(), p, w)
					if err != nil {
						t.Error(err)
					}
					done <- report
				}()
				report, err := g.r.Apply(t.Context(), p, w)
				if err != nil {
					t.Fatal(err)
				}
				first, second := only(t, report), only(t, <-done)
				results := []reconcile.Result{first.Result, second.Result}
				slices.Sort(results)
				if !slices.Equal(results, []reconcile.Result{reconcile.ResultHeld, reconcile.ResultInstalled}) {
					t.Errorf("%s (%s) and %s (%s); want one installed and one held", first.Result, first.Reason, second.Result, second.Reason)
				}
				if n := g.bmcs["web-01"].Machine.Installs(); n != 1 {
					t.Errorf("%d installs, want one", n)
				}
				if p, _ := g.plan(); len(p.Installs()) > 0 {
					t.Errorf("afterwards, %s is planned: %v", p.Changes[0].Action, p.Changes[0].Reasons)
				}
			})
		})
	}
}

// TestClaimOutlivesVerification: a run that is alive keeps its host, however
// long the host takes to come up.
func TestClaimOutlivesVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		g.bmcs["web-01"].Machine.BootTime = 50 * time.Minute
		g.fleet.Roles["web"].Verify = []schema.Check{{TCP: 22, Timeout: 2 * time.Hour}}
		other := g.reconciler("run2")
		other.OnEvent = nil
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Minute)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Minute):
				}
				w, err := other.Observe(t.Context(), reconcile.Selector{})
				if err != nil {
					t.Error(err)
					return
				}
				if c := reconcile.Diff(g.fleet, w, reconcile.Options{}).Changes[0]; c.Action != reconcile.Held && c.Action != reconcile.None {
					t.Errorf("another run plans %s: %v", c.Action, c.Reasons)
				}
			}
		}()
		if o := only(t, g.run()); o.Result != reconcile.ResultInstalled {
			t.Errorf("%s: %s", o.Result, o.Reason)
		}
		close(stop)
		<-done
	})
}

// TestLostClaim: a run whose claim was replaced stops at once and writes
// nothing more into the machine.
func TestLostClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		tag := marker.Marker{State: marker.Installing, Attempt: 1, Spec: "00000000", Run: "thief", Lease: time.Now().Add(time.Hour)}.String()
		time.AfterFunc(4*time.Minute, func() { g.bmcs["web-01"].SetTag(tag) })
		o := only(t, g.run())
		if o.Result != reconcile.ResultHeld || !strings.Contains(o.Reason, "run thief") {
			t.Errorf("%s: %s; want held by run thief", o.Result, o.Reason)
		}
		if got := g.bmcs["web-01"].Tag(); got != tag {
			t.Errorf("the other run's claim was replaced by %q", got)
		}
	})
}

// TestRevertedDeclaration: an attempt that failed before the disks were touched
// gives no leave to erase what runs there once the declaration is taken back.
func TestRevertedDeclaration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		g.netbox.Devices[0].Status = "active"
		m := g.bmcs["web-01"].Machine
		m.Disk, m.Running = &bmctest.Disk{}, true
		g.bmcs["web-01"].AssetTag = installedTag(g.fleet.Images["rocky-9.6"].SHA256, "web", 1, "00000", "rocky-9.6")
		g.quirk("web-01", func(q *bmctest.Quirks) { q.NoMediaLicence = true })
		g.fleet.Hosts["web-01"].Generation = 2
		if o := only(t, g.run()); o.Result != reconcile.ResultFailed {
			t.Fatalf("%s: %s", o.Result, o.Reason)
		}
		again, _ := g.plan()
		if c := again.Changes[0]; c.Action != reconcile.Reinstall || c.Attempt != 2 || !strings.Contains(c.Loses, "what ran there before") {
			t.Errorf("with the same declaration: %s, attempt %d, loses %q", c.Action, c.Attempt, c.Loses)
		}
		g.fleet.Hosts["web-01"].Generation = 1
		p, _ := g.plan()
		if c := p.Changes[0]; c.Action != reconcile.Blocked || !slices.Contains(codes(c), reconcile.Undecided) || !strings.Contains(c.Reasons[1].Text, "reconcile adopt web-01") {
			t.Errorf("with the declaration taken back: %s: %v; want that a person decides", c.Action, c.Reasons)
		}
		adopted, err := g.r.Adopt(t.Context(), []string{"web-01"})
		if err != nil || len(adopted) != 1 {
			t.Fatalf("adopting it: %v, %v", adopted, err)
		}
		if p, _ := g.plan(); p.Changes[0].Action != reconcile.None {
			t.Errorf("after adopting it: %s: %v", p.Changes[0].Action, p.Changes[0].Reasons)
		}
	})
}

// TestFreezeBeginsDuringTheRun: a host whose turn comes in a freeze waits.
func TestFreezeBeginsDuringTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic, bmctest.Generic)
		g.fleet.Policy.Parallel = 1
		g.fleet.Policy.Freeze = []schema.Freeze{{From: time.Now().Add(5 * time.Minute), Until: time.Now().Add(time.Hour), Reason: "quarter's end"}}
		report := g.run()
		if o := report.Outcomes[0]; o.Result != reconcile.ResultInstalled {
			t.Errorf("web-01, begun before it: %s: %s", o.Result, o.Reason)
		}
		if o := report.Outcomes[1]; o.Result != reconcile.ResultNotStarted || !strings.Contains(o.Reason, "quarter's end") {
			t.Errorf("web-02: %s: %s; want not started, for the freeze", o.Result, o.Reason)
		}
		for _, write := range g.writes() {
			if strings.HasPrefix(write, "web-02") {
				t.Errorf("web-02 was touched: %s", write)
			}
		}
	})
}

// TestNetBoxDuringTheRun: what people say in NetBox while a run is under way is
// heard before the next install, and a NetBox that is silent then is no leave.
func TestNetBoxDuringTheRun(t *testing.T) {
	tests := []struct {
		name   string
		happen func(*rig)
		result reconcile.Result
		want   string
	}{
		{"taken out of service", func(g *rig) { _ = g.netbox.Set("web-02", map[string]any{"status": "decommissioning"}) }, reconcile.ResultNotStarted, "decommissioning"},
		{"gone", func(g *rig) { g.netbox.Remove("web-02") }, reconcile.ResultNotStarted, "no longer shows its device"},
		{"another serial number", func(g *rig) { _ = g.netbox.Set("web-02", map[string]any{"serial": "S-other"}) }, reconcile.ResultNotStarted, "serial"},
		{"NetBox is ill", func(g *rig) { g.netbox.SetFaults(netboxtest.HTML()) }, reconcile.ResultBlocked, "reading its device in NetBox once more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bmctest.Generic, bmctest.Generic)
				g.fleet.Policy.Parallel = 1
				time.AfterFunc(5*time.Minute, func() { tt.happen(g) })
				report := g.run()
				if o := report.Outcomes[0]; o.Result != reconcile.ResultInstalled {
					t.Errorf("web-01, begun before it: %s: %s", o.Result, o.Reason)
				}
				if o := report.Outcomes[1]; o.Result != tt.result || !strings.Contains(o.Reason, tt.want) {
					t.Errorf("web-02: %s: %s; want %s, with %q", o.Result, o.Reason, tt.result, tt.want)
				}
				for _, write := range g.writes() {
					if strings.HasPrefix(write, "web-02") {
						t.Errorf("web-02 was touched: %s", write)
					}
				}
			})
		})
	}
}

// TestNoMediaAddress: a media server that a BMC cannot reach is found before
// anything is touched.
func TestNoMediaAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		g.r.MediaURL = func(context.Context, *isohttp.Publication, string, []string) (string, error) {
			return "", errors.New("no address")
		}
		if o := only(t, g.run()); o.Result != reconcile.ResultBlocked || o.Step != reconcile.StepMedia {
			t.Errorf("%s at %s: %s; want blocked", o.Result, o.Step, o.Reason)
		}
		if writes := g.writes(); len(writes) > 0 {
			t.Errorf("it was touched: %v", writes)
		}
	})
}

// TestMediaAreForTheirBMC: another address finds nothing under a host's URL.
func TestMediaAreForTheirBMC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		g.bmcs["web-01"].Machine.Fetch = g.media.TransportFrom(netip.MustParseAddr("10.66.6.6"))
		if o := only(t, g.run()); o.Result != reconcile.ResultFailed || g.bmcs["web-01"].Machine.Installs() != 0 {
			t.Errorf("%s: %s; want that another address cannot install from them", o.Result, o.Reason)
		}
	})
}
