package redfish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// box is a machine behind a BMC that has a POST and remembers what it booted.
type box struct {
	mu    sync.Mutex
	power int // counts changes, so that a late boot knows it is stale
	stage bmctest.Stage
	boots []bmctest.Boot
}

const postTime = 45 * time.Second

func (b *box) PowerOn(next func() bmctest.Boot) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage != "" && b.stage != bmctest.StageOff {
		return nil
	}
	b.power++
	b.stage = bmctest.StagePOST
	mine := b.power
	time.AfterFunc(postTime, func() {
		boot := next()
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.power == mine && b.stage == bmctest.StagePOST {
			b.stage = bmctest.StageOS
			b.boots = append(b.boots, boot)
		}
	})
	return nil
}

func (b *box) PowerOff() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stage = bmctest.StageOff
	b.power++
	return nil
}

func (b *box) Shutdown() error { return b.PowerOff() }
func (b *box) Insert(string)   {}

func (b *box) Stage() bmctest.Stage {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage == "" {
		return bmctest.StageOff
	}
	return b.stage
}

func (b *box) lastBoot() bmctest.Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.boots) == 0 {
		return bmctest.Boot{Device: "none yet"}
	}
	return b.boots[len(b.boots)-1]
}

const (
	claim = "rc1.i1.7f3c2a9b.r0000001.1abcdef"
	done  = "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6"
)

// rig is one simulated machine and its client.
type rig struct {
	bmc    *bmctest.BMC
	box    *box
	client *redfish.Client
}

func newRig(v bmctest.Vendor, faults ...bmctest.Fault) *rig {
	r := &rig{box: &box{stage: bmctest.StageOS}} // it runs something already
	r.bmc = &bmctest.BMC{Vendor: v, Username: login.Username, Password: password, Serial: "SN-0042", Backend: r.box, Faults: faults}
	r.client = &redfish.Client{Address: "bmc.example", Login: login, Transport: r.bmc.Transport()}
	return r
}

// medium is a URL that this machine can fetch.
func medium(s *redfish.System) string {
	return s.MediaSchemes[0] + "://media.example/i/AAAAAAAAAAAAAAAAAAAAAA/web-01.iso"
}

// mark writes a marker; one that is staged counts as written.
func mark(ctx context.Context, c *redfish.Client, tag string) error {
	err := c.SetMarker(ctx, tag)
	var me *redfish.MarkerError
	if errors.As(err, &me) && me.Reason == redfish.MarkerStaged {
		return nil
	}
	return err
}

// shown is the marker as the next run would see it.
func (r *rig) shown(t *testing.T, ctx context.Context) string {
	t.Helper()
	s, err := r.client.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s.Marker.Value
}

// step is one act of an installation and the proof, from the BMC's side, that
// it was done.
type step struct {
	name string
	act  func(context.Context, *redfish.Client) error
	true func(*rig) error
}

func want(what string, got, want any) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}

// install is the sequence that design.md describes, one step after the other.
func install(url string) []step {
	inserted := func(r *rig) error { return want("medium", r.bmc.Inserted(), url) }
	empty := func(r *rig) error { return want("medium", r.bmc.Inserted(), "") }
	return []step{
		{"claim", func(ctx context.Context, c *redfish.Client) error { return mark(ctx, c, claim) }, nil},
		{"off", func(ctx context.Context, c *redfish.Client) error { return c.SetPower(ctx, redfish.Off) },
			func(r *rig) error { return want("power", r.bmc.Power(), bmctest.Off) }},
		{"eject", func(ctx context.Context, c *redfish.Client) error { return c.Eject(ctx) }, empty},
		{"insert", func(ctx context.Context, c *redfish.Client) error { return c.Insert(ctx, url) }, inserted},
		{"boot once", func(ctx context.Context, c *redfish.Client) error { return c.BootOnce(ctx) }, nil},
		{"on", func(ctx context.Context, c *redfish.Client) error { return c.SetPower(ctx, redfish.On) },
			func(r *rig) error { return want("power", r.bmc.Power(), bmctest.On) }},
		{"boots the medium", func(ctx context.Context, c *redfish.Client) error { time.Sleep(2 * postTime); return nil },
			func(r *rig) error {
				b := r.box.lastBoot()
				return errors.Join(want("boot device", b.Device, "Cd"), want("booted medium", b.Medium, url))
			}},
		{"off again", func(ctx context.Context, c *redfish.Client) error { return c.SetPower(ctx, redfish.Off) },
			func(r *rig) error { return want("power", r.bmc.Power(), bmctest.Off) }},
		{"eject again", func(ctx context.Context, c *redfish.Client) error { return c.Eject(ctx) }, empty},
		{"clear", func(ctx context.Context, c *redfish.Client) error { return c.ClearBoot(ctx) }, nil},
		{"mark", func(ctx context.Context, c *redfish.Client) error { return mark(ctx, c, done) }, nil},
		{"on again", func(ctx context.Context, c *redfish.Client) error { return c.SetPower(ctx, redfish.On) },
			func(r *rig) error { return want("power", r.bmc.Power(), bmctest.On) }},
		{"boots the disk", func(ctx context.Context, c *redfish.Client) error { time.Sleep(2 * postTime); return nil },
			func(r *rig) error {
				b := r.box.lastBoot()
				return errors.Join(want("boot device", b.Device, ""), want("booted medium", b.Medium, ""), want("marker", r.bmc.Tag(), done))
			}},
	}
}

// profileOf is the profile that each simulated vendor must be taken for.
var profileOf = map[bmctest.Vendor]string{
	bmctest.Generic: "generic", bmctest.IDRAC9: "dell-idrac9", bmctest.IDRAC9v7: "dell-idrac9", bmctest.IDRAC10: "dell-idrac10",
	bmctest.ILO5: "hpe-ilo", bmctest.ILO6: "hpe-ilo", bmctest.ILO7: "hpe-ilo", bmctest.SupermicroX11: "supermicro", bmctest.SupermicroX13: "supermicro",
	bmctest.LenovoXCC: "lenovo-xcc", bmctest.OpenBMC: "openbmc", bmctest.GB300: "nvidia-openbmc", bmctest.GB200: "nvidia-openbmc", bmctest.DGX: "nvidia-dgx",
	"cisco-cimc": "cisco-cimc", "huawei-ibmc": "huawei-ibmc", "fujitsu-irmc": "fujitsu-irmc",
	bmctest.SupermicroX10: "supermicro-x10", bmctest.IDRAC8: "dell-idrac8", bmctest.ILO4: "hpe-ilo4",
}

// TestConformance installs through every vendor's BMC, and then asks for
// everything once more: nothing may be written the second time.
func TestConformance(t *testing.T) {
	for _, v := range bmctest.Supported() {
		for _, session := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s session %v", vendorName(v), session), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { conform(t, v, session) })
			})
		}
	}
}

func conform(t *testing.T, v bmctest.Vendor, session bool) {
	r := newRig(v)
	r.client.Session = session
	ctx := t.Context()
	sys, err := r.client.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if profile, known := profileOf[v]; known && sys.Profile != profile || sys.Refusal != "" || sys.Power != redfish.On {
		t.Errorf("profile %q, refusal %q, power %q", sys.Profile, sys.Refusal, sys.Power)
	}
	if sys.Serial != "SN-0042" && sys.UUID == "" {
		t.Errorf("no identity: %+v", sys)
	}
	url := medium(sys)
	for _, s := range install(url) {
		if err := s.act(ctx, r.client); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if s.true != nil {
			if err := s.true(r); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
		}
		switch s.name {
		case "claim":
			if got := r.shown(t, ctx); got != claim {
				t.Fatalf("after the claim the marker shows as %q", got)
			}
		case "insert", "boot once":
			writesNothing(t, r, s, ctx)
		}
	}
	if got := r.shown(t, ctx); got != done {
		t.Errorf("marker shows as %q, want %q", got, done)
	}
	warm, err := r.client.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if warm.Requests > 3 {
		t.Errorf("a warm look took %d requests, want at most 3", warm.Requests)
	}
	for _, s := range install(url) {
		switch s.name {
		case "clear", "mark", "on again":
			writesNothing(t, r, s, ctx)
		}
	}
	if err := r.client.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := r.bmc.Sessions(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	if n := r.bmc.Concurrency(); n != 1 {
		t.Errorf("%d requests at a time, want 1", n)
	}
	t.Logf("requests: cold %d, warm %d, whole installation %d", sys.Requests, warm.Requests, len(r.bmc.Requests()))
}

// writesNothing repeats a step whose effect is there.
func writesNothing(t *testing.T, r *rig, s step, ctx context.Context) {
	t.Helper()
	before := len(r.bmc.Requests())
	if err := s.act(ctx, r.client); err != nil {
		t.Errorf("%s once more: %v", s.name, err)
	}
	for _, q := range r.bmc.Requests()[before:] {
		if q.Method != http.MethodGet && !strings.HasSuffix(q.Path, "/Sessions") {
			t.Errorf("%s once more: sent %s %s", s.name, q.Method, q.Path)
		}
	}
}

func vendorName(v bmctest.Vendor) string {
	if v == bmctest.Generic {
		return "generic"
	}
	return string(v)
}

// TestRefused: BMCs that cannot be driven are recognised, observed, and refused
// by every action with the reason, before anything is written.
func TestRefused(t *testing.T) {
	for _, v := range bmctest.Vendors() {
		if slices.Contains(bmctest.Supported(), v) {
			continue
		}
		t.Run(vendorName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(v)
				sys, err := r.client.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if profile, known := profileOf[v]; known && sys.Profile != profile || sys.Tier != redfish.TierRefused || sys.Refusal == "" {
					t.Errorf("profile %q, tier %q, refusal %q", sys.Profile, sys.Tier, sys.Refusal)
				}
				for name, act := range actions(t.Context(), r.client) {
					if err := act(); !errors.Is(err, redfish.ErrUnsupported) || !strings.Contains(err.Error(), sys.Refusal) {
						t.Errorf("%s: error %v, want the refusal", name, err)
					}
				}
				for _, q := range r.bmc.Requests() {
					if q.Method != http.MethodGet {
						t.Errorf("sent %s %s", q.Method, q.Path)
					}
				}
			})
		})
	}
}
