package redfish_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// wholeBMC goes through all that is done with a BMC, without a look behind it:
// it is for real ones. See TestRealBMC for the environment.
func wholeBMC(t *testing.T, env func(string) string) {
	ctx := t.Context()
	c := &redfish.Client{
		Address: env("BMC_ADDRESS"), System: env("BMC_SYSTEM"), Session: env("BMC_SESSION") != "",
		Login: credential.Login{Username: env("BMC_USERNAME"), Password: credential.Secret(env("BMC_PASSWORD"))},
		TLS:   redfish.TLS{Mode: env("BMC_TLS"), SHA256: env("BMC_SHA256")},
	}
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	report, err := c.Probe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, tier %s, %d requests", report.Profile, report.Tier, report.System.Requests)
	for _, a := range report.Abilities {
		t.Logf("%-8s %-5v %s", a.Name, a.OK, a.Text)
	}
	warm, err := c.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if warm.Requests > 3 {
		t.Errorf("a warm look took %d requests, want at most 3", warm.Requests)
	}
	if h, err := c.Hardware(ctx); err != nil || len(h.MACs)+len(h.Drives) == 0 {
		t.Errorf("hardware %+v, error %v", h, err)
	}
	medium := env("BMC_MEDIUM")
	if medium == "" {
		return
	}
	tag := warm.Marker.Value
	defer func() {
		if err := mark(ctx, c, tag); err != nil {
			t.Errorf("the asset tag was %q: %v", tag, err)
		}
	}()
	for _, s := range install(medium) {
		if s.name == "boots the medium" || s.name == "boots the disk" {
			continue // only the machine could tell
		}
		if err := s.act(ctx, c); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
	if s, err := c.Observe(ctx); err != nil || s.Power != redfish.On || s.Marker.Value != done {
		t.Errorf("in the end: %+v, error %v; want it on, with the marker %s", s, err, done)
	}
}

// TestWholeBMC keeps the run against a real BMC working: over TCP and TLS, with
// a pinned certificate, a session, and every write judged by the BMC's answers
// alone.
func TestWholeBMC(t *testing.T) {
	for _, v := range []bmctest.Vendor{bmctest.Generic, bmctest.GB200} {
		t.Run(vendorName(v), func(t *testing.T) {
			t.Parallel()
			quirks := v.Quirks()
			quirks.PowerLag, quirks.InsertLag = 0, 0 // the clock is the real one
			b := &bmctest.BMC{
				Vendor: v, Username: login.Username, Password: password, AssetTag: "INV-0042", Quirks: &quirks,
				Backend: &box{stage: bmctest.StageOS},
			}
			server := httptest.NewTLSServer(b)
			defer server.Close()
			sum := sha256.Sum256(server.Certificate().Raw)
			env := map[string]string{
				"BMC_ADDRESS": server.URL, "BMC_USERNAME": login.Username, "BMC_PASSWORD": password, "BMC_SESSION": "1",
				"BMC_TLS": "pin", "BMC_SHA256": hex.EncodeToString(sum[:]), "BMC_MEDIUM": "https://media.example/i/x/web-01.iso",
			}
			wholeBMC(t, func(name string) string { return env[name] })
			if b.Tag() != "INV-0042" || b.Inserted() != "" || b.Sessions() != 0 {
				t.Errorf("left behind: asset tag %q, medium %q, %d sessions", b.Tag(), b.Inserted(), b.Sessions())
			}
			writes := 0
			for _, q := range b.Requests() {
				if q.Method != http.MethodGet {
					writes++
				}
			}
			if writes < 8 {
				t.Errorf("only %d writes: the run did nothing", writes)
			}
		})
	}
}
