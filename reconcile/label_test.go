package reconcile_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// newLabelRig is one machine whose marker is the label of its boot entry, and
// whose asset tag is the inventory's.
func newLabelRig(t *testing.T, template string) *rig {
	g := newRig(t, bmctest.ILO6)
	g.fleet.Hosts["web-01"].BMC.Marker = "efi-label"
	g.fleet.Files = fstest.MapFS{"base.ks.tmpl": {Data: []byte(template)}}
	g.bmcs["web-01"].AssetTag = "INV-0042"
	g.netbox.Devices[0].AssetTag = "INV-0042"
	return g
}

// TestEFILabel: the installer writes the marker, the machine shows it after its
// next POST, and the asset tag is the inventory's before and after. The next
// run has nothing to do, and neither has one that finds another configuration.
func TestEFILabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newLabelRig(t, kickstart+"%post\n{{ efiLabel }}\n%end\n")
		o := only(t, g.run())
		if o.Result != reconcile.ResultInstalled {
			t.Fatalf("%s: %s\n%s", o.Result, o.Reason, g.console("web-01"))
		}
		if got := g.bmcs["web-01"].Tag(); got != "INV-0042" {
			t.Errorf("the asset tag is %q", got)
		}
		disk, _ := g.bmcs["web-01"].Machine.Installed()
		if !strings.Contains(string(disk.Answer), `-L "Linux `+o.Marker+`"`) {
			t.Errorf("the answer file does not write the marker %s:\n%s", o.Marker, disk.Answer)
		}
		before := len(g.writes())
		p, _ := g.plan()
		if c := p.Change("web-01"); c.Action != reconcile.None || c.From.Marker != o.Marker || len(c.Drift) > 0 {
			t.Errorf("the next plan: %+v", c)
		}
		if n := len(g.writes()); n != before {
			t.Errorf("the next run wrote: %v", g.writes()[before:])
		}
		g.fleet.Hosts["web-01"].Generation++
		if o := only(t, g.run()); o.Result != reconcile.ResultInstalled || g.bmcs["web-01"].Tag() != "INV-0042" {
			t.Errorf("again: %s %s, asset tag %q", o.Result, o.Reason, g.bmcs["web-01"].Tag())
		}
	})
}

// TestEFILabelBlocked: a machine whose marker could not be written is not touched.
func TestEFILabelBlocked(t *testing.T) {
	for want, change := range map[string]func(*rig){
		"put {{ efiLabel }} where": func(g *rig) { g.fleet.Files = fstest.MapFS{"base.ks.tmpl": {Data: []byte(kickstart)}} },
		"put it into asset_tag":    func(g *rig) { g.netbox.Devices[0].AssetTag = "" },
		"no labels of boot":        func(g *rig) { g.bmcs["web-01"].Vendor = bmctest.LenovoXCC },
	} {
		synctest.Test(t, func(t *testing.T) {
			g := newLabelRig(t, kickstart+"%post\n{{ efiLabel }}\n%end\n")
			change(g)
			p, w := g.plan()
			if c := p.Change("web-01"); c.Action == reconcile.Blocked {
				if !strings.Contains(c.Reasons[0].Text, want) {
					t.Errorf("%s: blocked: %+v", want, c.Reasons)
				}
			} else if report, err := g.r.Apply(t.Context(), p, w); err != nil {
				t.Error(err)
			} else if o := only(t, report); o.Result != reconcile.ResultBlocked || !strings.Contains(o.Reason, want) {
				t.Errorf("%s: %s: %s", want, o.Result, o.Reason)
			}
			if writes := g.writes(); len(writes) > 0 {
				t.Errorf("%s: wrote %v", want, writes)
			}
		})
	}
}
