package reconcile_test

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestOddities: what is odd about a machine is told while it is installed, and
// does not keep it from being installed.
func TestOddities(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*rig)
		warns string // "" for nothing at all
	}{
		{"nothing is odd", func(*rig) {}, ""},
		{"firmware boots from CD whenever there is one", habit(func(h *bmctest.Habits) { h.IgnoresBootOnce = true }), ""},
		{"it is slow", func(g *rig) { g.fleet.Images["rocky-9.6"].Expected = 5 * time.Minute }, "longer than expected (5m0s)"},
		{"it pauses", func(g *rig) { g.r.Timing.Stall = 10 * time.Second }, "has read nothing new"},
		{"somebody else asks for its media", func(g *rig) {
			url := g.r.MediaURL
			g.r.MediaURL = func(ctx context.Context, p *isohttp.Publication, bmc string, schemes []string) (string, error) {
				time.AfterFunc(3*time.Minute, func() {
					r, _ := http.NewRequest(http.MethodGet, "http://10.9.9.9:8080"+p.Path(), nil)
					if res, err := g.media.TransportFrom(netip.MustParseAddr("10.66.6.6")).RoundTrip(r); err == nil {
						res.Body.Close()
					}
				})
				return url(ctx, p, bmc, schemes)
			}
		}, "10.66.6.6 asked for its media and was refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bmctest.Generic)
				tt.spoil(g)
				o := only(t, g.run())
				if o.Result != reconcile.ResultInstalled || g.bmcs["web-01"].Machine.Installs() != 1 {
					t.Errorf("%s at %s: %s; %d installs", o.Result, o.Step, o.Reason, g.bmcs["web-01"].Machine.Installs())
				}
				found := slices.ContainsFunc(o.Warnings, func(w string) bool { return strings.Contains(w, tt.warns) })
				if tt.warns == "" && len(o.Warnings) > 0 || tt.warns != "" && !found {
					t.Errorf("warnings %q, want %q", o.Warnings, tt.warns)
				}
			})
		})
	}
}

// TestLoopBreaker: a machine that boots from CD whenever there is one, and
// whose installer restarts it, installs once: the media boot its disk then.
func TestLoopBreaker(t *testing.T) {
	for _, firmware := range []bmctest.Firmware{bmctest.BIOS, bmctest.UEFI} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, bmctest.Generic)
			m := g.bmcs["web-01"].Machine
			m.Firmware, m.Habits.IgnoresBootOnce, m.Habits.RebootsOnly = firmware, true, true
			o := only(t, g.run())
			if o.Result != reconcile.ResultFailed || !strings.Contains(o.Reason, "booted from its media again") {
				t.Errorf("%s: %s at %s: %s", firmware, o.Result, o.Step, o.Reason)
			}
			if n := m.Installs(); n != 1 {
				t.Errorf("%s: it was installed %d times", firmware, n)
			}
			if m.Stage() != bmctest.StageOS {
				t.Errorf("%s: it is in stage %s, want its disk's OS; its console:\n%s", firmware, m.Stage(), g.console("web-01"))
			}
			if tag, err := marker.Parse(g.bmcs["web-01"].Tag()); err != nil || tag.State != marker.Failed {
				t.Errorf("%s: its marker is %q", firmware, g.bmcs["web-01"].Tag())
			}
		})
	}
}
