package reconcile_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestInstall installs a machine of every make, and then finds nothing to do.
func TestInstall(t *testing.T) {
	for _, v := range bmctest.Supported() {
		t.Run(string(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, v)
				o := only(t, g.run())
				if o.Result != reconcile.ResultInstalled {
					t.Fatalf("%s at %s: %s\n%s", o.Result, o.Step, o.Reason, g.console("web-01"))
				}
				bmc := g.bmcs["web-01"]
				disk, ok := bmc.Machine.Installed()
				if !ok || !bytes.Contains(disk.Answer, []byte("network --hostname=web-01 --ip=10.1.0.1")) {
					t.Errorf("the disk bears %q; want the answer file of web-01", disk.Answer)
				}
				if !bytes.Contains(disk.Answer, []byte(rootPassword)) {
					t.Error("the secret did not reach the answer file")
				}
				// As the BMC shows it: two makes keep a new tag staged until the next reset.
				p, _ := g.plan()
				m, err := marker.Parse(p.Changes[0].From.Marker)
				if err != nil || m.State != marker.Installed || m.Label != "rocky-9.6" {
					t.Errorf("marker %v (%v); want installed rocky-9.6", m, err)
				}
				if bmc.Machine.Installs() != 1 || bmc.Inserted() != "" {
					t.Errorf("%d installs, media %q; want one, and none left", bmc.Machine.Installs(), bmc.Inserted())
				}
				if journal := g.netbox.Journal("web-01"); len(journal) != 1 || !strings.Contains(journal[0].Comments, "run1") {
					t.Errorf("journal %+v; want one entry of run1", journal)
				}
				secondRunDoesNothing(t, g)
			})
		})
	}
}

// secondRunDoesNothing proves from the servers' side that a run right after a
// successful one writes nothing.
func secondRunDoesNothing(t *testing.T, g *rig) {
	t.Helper()
	before, requests := len(g.writes()), len(g.netbox.Writes())
	p, w := g.plan()
	if n := len(p.Installs()) + p.Errors(); n != 0 {
		t.Errorf("the second run plans %+v", p.Changes)
	}
	if _, err := g.r.Apply(t.Context(), p, w); err != nil {
		t.Errorf("the second run: %v", err)
	}
	if after := g.writes(); len(after) != before {
		t.Errorf("the second run wrote to BMCs: %v", after[before:])
	}
	if n := len(g.netbox.Writes()); n != requests {
		t.Errorf("the second run wrote to NetBox %d times", n-requests)
	}
}

// TestNeighboursCount: a host that was not chosen and is down counts in the
// failure domain of one that was; nobody else is asked.
func TestNeighboursCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, slices.Repeat([]bmctest.Vendor{bmctest.Generic}, 12)...) // the last two are in another rack
		g.fleet.Roles["web"].Rollout.MaxUnavailable = 1
		delete(g.rack.BMCs, "10.0.0.2")
		sel, err := reconcile.ParseSelector([]string{"web-01"})
		if err != nil {
			t.Fatal(err)
		}
		w, err := g.r.Observe(t.Context(), sel)
		if err != nil {
			t.Fatal(err)
		}
		p := reconcile.Diff(g.fleet, w, reconcile.Options{})
		if len(p.Changes) != 1 || len(p.Waves) != 0 || len(p.Down) != 1 || p.Down[0].Host != "web-02" || !strings.Contains(p.Down[0].Text, "does not answer") {
			t.Errorf("changes %+v, waves %v, down %+v; want web-01 alone, held by web-02", p.Changes, p.Waves, p.Down)
		}
		if n := len(g.bmcs["web-12"].Requests()); n > 0 {
			t.Errorf("web-12, in another rack, was asked %d times", n)
		}
		report, err := g.r.Apply(t.Context(), p, w)
		if err != nil {
			t.Fatal(err)
		}
		if o := only(t, report); o.Result != reconcile.ResultNotStarted || !strings.Contains(o.Reason, "web-02 is unavailable") {
			t.Errorf("%s: %s", o.Result, o.Reason)
		}
	})
}
