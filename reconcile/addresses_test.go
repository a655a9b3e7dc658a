package reconcile_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// homeless is a rig whose host has no address yet.
func homeless(t *testing.T) *rig {
	g := newRig(t, bmctest.Supported()[0])
	g.netbox.Devices[0].Primary4 = ""
	g.netbox.Prefixes = []netboxtest.Prefix{{Prefix: "10.1.0.0/16"}}
	g.fleet.Hosts["web-01"].Addresses = &schema.Addresses{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	return g
}

// A host without an address gets one right before its install. The plan says
// so before it happens.
func TestTakesAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := homeless(t)
		p, w := g.plan()
		reasons := p.Changes[0].Reasons
		last := reasons[len(reasons)-1]
		if p.Changes[0].Action != reconcile.Install || last.Code != reconcile.TakesAddress ||
			last.Text != "takes the next free address of 10.1.0.0/16 in NetBox and makes it its primary one" {
			t.Fatalf("got %s, %+v", p.Changes[0].Action, reasons)
		}
		if n := len(g.netbox.Writes()); n != 0 {
			t.Errorf("%d writes before the plan was applied", n)
		}
		report, err := g.r.Apply(t.Context(), p, w)
		if err != nil {
			t.Fatal(err)
		}
		if o := only(t, report); o.Result != reconcile.ResultInstalled {
			t.Fatalf("%s at %s: %s", o.Result, o.Step, o.Reason)
		}
		disk, ok := g.bmcs["web-01"].Machine.Installed()
		if !ok || !bytes.Contains(disk.Answer, []byte("--hostname=web-01 --ip=10.1.0.1")) {
			t.Errorf("the disk bears %q", disk.Answer)
		}
		secondRunDoesNothing(t, g)
	})
}

// Whatever becomes of the answer, the machine is not touched, and the host
// never gets two addresses.
func TestTakesAddressFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  netboxtest.Fault
		reason string
	}{
		"lost":      {netboxtest.Fault{Method: "POST", Path: "available-ips", Lost: true, Times: 1}, "it is not known whether NetBox has given out an address"},
		"exhausted": {netboxtest.Fault{Method: "POST", Path: "available-ips", Status: 409, Times: 1}, "409 Conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := homeless(t)
				g.netbox.Faults = []netboxtest.Fault{tt.fault}
				o := only(t, g.run())
				if o.Result != reconcile.ResultBlocked || !strings.Contains(o.Reason, tt.reason) {
					t.Errorf("%s: %s", o.Result, o.Reason)
				}
				if n := len(g.writes()); n != 0 {
					t.Errorf("%d writes to the BMC", n)
				}
				g.r = g.reconciler("run2")
				if o := only(t, g.run()); o.Result != reconcile.ResultInstalled {
					t.Fatalf("the next run: %s at %s: %s", o.Result, o.Step, o.Reason)
				}
				if o, ok := g.netbox.Object("web-01")["primary_ip4"].(map[string]any); !ok || o["address"] != "10.1.0.1/16" {
					t.Errorf("the device has %v", o)
				}
			})
		})
	}
}
