package redfish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestQuirks: each departure from the standard by itself, on a BMC whose vendor
// nobody knows, so that only what it advertises and answers can help. An
// installation passes, or the step named fails with the error named.
func TestQuirks(t *testing.T) {
	type quirk struct {
		name  string
		q     bmctest.Quirks
		fails string // step
		want  error
	}
	for _, test := range []quirk{
		{name: "none"},
		{name: "weak ETags", q: bmctest.Quirks{WeakETags: true, CheckIfMatch: true}},
		{name: "If-Match needed", q: bmctest.Quirks{NeedIfMatch: true, CheckIfMatch: true}},
		{name: "only *", q: bmctest.Quirks{NeedIfMatch: true, WildcardOnlyMatch: true}},
		{name: "none on actions", q: bmctest.Quirks{ActionIfMatch412: true}},
		{name: "power lags", q: bmctest.Quirks{PowerLag: 90 * time.Second}},
		{name: "power lags, reported", q: bmctest.Quirks{PowerLag: 30 * time.Second, ReportPowering: true}},
		{name: "power lags for ever", q: bmctest.Quirks{PowerLag: time.Hour}, fails: "off", want: redfish.ErrNoEffect},
		{name: "On refused", q: bmctest.Quirks{OnRefused: 55 * time.Second}},
		{name: "state errors", q: bmctest.Quirks{SameStateError: true}},
		{name: "no ForceRestart", q: bmctest.Quirks{NoForceRestart: true}},
		{name: "refuses in POST", q: bmctest.Quirks{RefuseInPOST: true}},
		{name: "mode read-only", q: bmctest.Quirks{BootModeReadOnly: true}},
		{name: "triple needed", q: bmctest.Quirks{BootNeedsTriple: true}},
		{name: "reads Continuous", q: bmctest.Quirks{OverrideAsContinuous: true}, fails: "boot once", want: redfish.ErrNoEffect},
		{name: "https only", q: bmctest.Quirks{MediaSchemes: []string{"https"}}},
		{name: "protocol needed", q: bmctest.Quirks{NeedProtocolType: true}},
		{name: "login needed", q: bmctest.Quirks{NeedProtocolType: true, NeedLogin: true}},
		{name: "Inserted refused", q: bmctest.Quirks{RefuseInserted: true}},
		{name: "stream only", q: bmctest.Quirks{StreamOnly: true, NeedProtocolType: true}},
		{name: "no query", q: bmctest.Quirks{NoQueryInURL: true, MaxURL: 100, NeedISOSuffix: true}},
		{name: "eject needs a body", q: bmctest.Quirks{EjectNeedsBody: true}},
		{name: "eject only when inserted", q: bmctest.Quirks{EjectOnlyInserted: true}},
		{name: "by task", q: bmctest.Quirks{InsertByTask: true, InsertLag: 40 * time.Second}},
		{name: "by task for ever", q: bmctest.Quirks{InsertByTask: true, InsertLag: time.Hour}, fails: "insert", want: redfish.ErrNoEffect},
		{name: "eject lags", q: bmctest.Quirks{EjectLag: 8 * time.Second}},
		{name: "second reset ejects", q: bmctest.Quirks{SecondResetEjects: true}},
		{name: "tag read-only", q: bmctest.Quirks{TagReadOnly: true}, fails: "claim", want: marker(redfish.MarkerReadOnly)},
		{name: "tag ignored", q: bmctest.Quirks{TagIgnored: true}, fails: "claim", want: marker(redfish.MarkerReadOnly)},
		{name: "tag of 32", q: bmctest.Quirks{TagMax: 32, TagPads: true}},
		{name: "tag of 20 refused", q: bmctest.Quirks{TagMax: 20}, fails: "claim", want: marker(redfish.MarkerFull)},
		{name: "tag of 20 cut", q: bmctest.Quirks{TagMax: 20, TagCuts: true}, fails: "claim", want: marker(redfish.MarkerFull)},
		{name: "lockdown", q: bmctest.Quirks{Locked: true}, fails: "off", want: redfish.ErrLocked},
		{name: "no licence", q: bmctest.Quirks{NoMediaLicence: true}, fails: "insert", want: redfish.ErrLicence},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(bmctest.Generic)
				r.bmc.Quirks = &test.q
				sys, err := r.client.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				url := medium(sys)
				if test.q.MediaSchemes != nil { // which a generic BMC does not tell
					url = test.q.MediaSchemes[0] + url[strings.Index(url, ":"):]
				}
				for _, s := range install(url) {
					if test.q.Locked && s.name == "claim" {
						continue
					}
					err := s.act(t.Context(), r.client)
					if s.name == test.fails {
						if !matches(err, test.want) {
							t.Fatalf("%s: error %v, want %v", s.name, err, test.want)
						}
						return
					}
					if err != nil {
						t.Fatalf("%s: %v", s.name, err)
					}
					if s.true != nil {
						if err := s.true(r); err != nil {
							t.Fatalf("%s: %v", s.name, err)
						}
					}
				}
				if test.fails != "" {
					t.Errorf("%s did not fail", test.fails)
				}
			})
		})
	}
}

// marker stands for a MarkerError with a reason.
type marker redfish.MarkerReason

func (m marker) Error() string { return "marker error: " + string(m) }

func matches(err, want error) bool {
	reason, ok := want.(marker)
	if !ok {
		return errors.Is(err, want)
	}
	var me *redfish.MarkerError
	return errors.As(err, &me) && me.Reason == redfish.MarkerReason(reason) && errors.Is(err, redfish.ErrMarker)
}

// TestMarkerStaged: what Dell holds back until a reset is told apart, shown as
// pending meanwhile, and there afterwards.
func TestMarkerStaged(t *testing.T) {
	for _, v := range []bmctest.Vendor{bmctest.IDRAC10, bmctest.DGX} {
		t.Run(string(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(v)
				ctx := t.Context()
				if err := r.client.SetMarker(ctx, claim); !matches(err, marker(redfish.MarkerStaged)) {
					t.Fatalf("error %v, want staged", err)
				}
				s, err := r.client.Observe(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if want := (redfish.Tag{Value: claim, Where: redfish.WhereSettings, Present: true, Pending: true}); s.Marker != want {
					t.Errorf("marker %+v, want %+v", s.Marker, want)
				}
				for _, p := range []redfish.Power{redfish.Off, redfish.On} {
					if err := r.client.SetPower(ctx, p); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(2 * postTime)
				if s, err = r.client.Observe(ctx); err != nil {
					t.Fatal(err)
				}
				if want := inSystem(claim); s.Marker != want {
					t.Errorf("marker %+v, want %+v", s.Marker, want)
				}
				if err := r.client.SetMarker(ctx, claim); err != nil {
					t.Errorf("setting it once more: %v", err)
				}
			})
		})
	}
}

// TestMarkerUnreadable: an AssetTag that is not a string, or that a machine
// which has one does not show, never looks like an empty one.
func TestMarkerUnreadable(t *testing.T) {
	system := plain["/redfish/v1/Systems/1"]
	for _, test := range []struct {
		name, system string
		want         redfish.Tag
	}{
		{"object", strings.Replace(system, `"AssetTag":""`, `"AssetTag":{"a":1}`, 1), inSystem(`{"a":1}`)},
		{"list", strings.Replace(system, `"AssetTag":""`, `"AssetTag":[]`, 1), inSystem(`[]`)},
		{"number", strings.Replace(system, `"AssetTag":""`, `"AssetTag":17`, 1), inSystem(`17`)},
		{"null", strings.Replace(system, `"AssetTag":""`, `"AssetTag":null`, 1), inSystem(``)},
		{"spaces", strings.Replace(system, `"AssetTag":""`, `"AssetTag":"                                "`, 1), inSystem(``)},
		{"absent", strings.Replace(system, `"AssetTag":"",`, ``, 1), inChassis(``)},
		{"absent on a Dell", strings.Replace(system, `"AssetTag":"",`, `"Oem":{"Dell":{}},`, 1), redfish.Tag{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &redfish.Client{Address: "bmc.example", Transport: inProcess{plain.with(resources{"/redfish/v1/Systems/1": test.system})}}
			for _, look := range []string{"cold", "warm"} {
				s, err := c.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if s.Marker != test.want {
					t.Errorf("%s: marker %+v, want %+v", look, s.Marker, test.want)
				}
			}
		})
	}
	// The property goes away between two looks: no conclusion from the chassis.
	bmc := plain.with(nil)
	c := &redfish.Client{Address: "bmc.example", Transport: inProcess{bmc}}
	if _, err := c.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	bmc["/redfish/v1/Systems/1"] = strings.Replace(system, `"AssetTag":"",`, ``, 1)
	s, err := c.Observe(t.Context())
	if err != nil || s.Marker != (redfish.Tag{}) {
		t.Errorf("marker %+v, error %v; want none at all", s.Marker, err)
	}
	if err := c.SetMarker(t.Context(), claim); !matches(err, marker(redfish.MarkerMissing)) {
		t.Errorf("error %v, want missing", err)
	}
}

// TestMarkerText: what cannot be a marker is refused before anything is sent.
func TestMarkerText(t *testing.T) {
	for _, tag := range []string{"schön", "a\nb", " a", "a ", strings.Repeat("x", 64)} {
		rec := &recorder{next: inProcess{plain}}
		c := &redfish.Client{Address: "bmc.example", Transport: rec}
		if err := c.SetMarker(t.Context(), tag); err == nil || len(rec.all()) > 0 {
			t.Errorf("%q: error %v after %d requests", tag, err, len(rec.all()))
		}
	}
}

// TestForeignTagIsNotJudged: overwriting is the caller's decision; the BMC's
// own value is shown as it is.
func TestForeignTagIsNotJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(bmctest.Generic)
		r.bmc.AssetTag = "INV-004711"
		s, err := r.client.Observe(t.Context())
		if err != nil || s.Marker.Value != "INV-004711" {
			t.Fatalf("marker %+v, error %v", s.Marker, err)
		}
		if err := r.client.SetMarker(context.Background(), done); err != nil || r.bmc.Tag() != done {
			t.Errorf("tag %q, error %v", r.bmc.Tag(), err)
		}
	})
}
