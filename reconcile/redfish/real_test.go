//go:build bmc

package redfish_test

import (
	"os"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// TestRealBMC looks at the BMC that the environment names, with GETs alone, and
// with BMC_MEDIUM set to the URL of an ISO that it can fetch, installs nothing
// but goes through all the steps: the machine is switched OFF and on, and its
// asset tag is put back at the end.
//
//	BMC_ADDRESS=10.0.0.1 BMC_USERNAME=… BMC_PASSWORD=… BMC_TLS=insecure \
//	go test -tags bmc -run TestRealBMC -v ./reconcile/redfish
func TestRealBMC(t *testing.T) {
	address := os.Getenv("BMC_ADDRESS")
	if address == "" {
		t.Fatal("BMC_ADDRESS names no BMC")
	}
	ctx := t.Context()
	c := &redfish.Client{
		Address: address, System: os.Getenv("BMC_SYSTEM"), Session: os.Getenv("BMC_SESSION") != "",
		Login: credential.Login{Username: os.Getenv("BMC_USERNAME"), Password: credential.Secret(os.Getenv("BMC_PASSWORD"))},
		TLS:   redfish.TLS{Mode: os.Getenv("BMC_TLS"), SHA256: os.Getenv("BMC_SHA256")},
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
	medium := os.Getenv("BMC_MEDIUM")
	if medium == "" {
		return
	}
	tag := warm.Marker.Value
	defer func() {
		if err := c.SetMarker(ctx, tag); err != nil {
			t.Errorf("the asset tag was %q: %v", tag, err)
		}
	}()
	for _, s := range install(medium) {
		if strings.HasPrefix(s.name, "boots") {
			continue
		}
		if err := s.act(ctx, c); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
	}
}
