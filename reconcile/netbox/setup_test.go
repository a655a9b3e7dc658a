package netbox_test

import (
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

func TestSetup(t *testing.T) {
	for _, version := range []string{"4.2.9", "4.4.10", "4.6.8", "4.7.0"} {
		nb := &netboxtest.Server{Version: version, Devices: []netboxtest.Device{{Name: "a", Tags: []string{}}},
			CustomFields: []netboxtest.CustomField{{Name: "last_installed", Type: "text"}, {Name: "gateway"}}}
		for _, tt := range []struct {
			apply         bool
			state, differ netbox.ProvisionState
			writes        int
		}{{false, netbox.Lacking, netbox.Differs, 0}, {true, netbox.Created, netbox.Differs, 6}, {true, netbox.Exists, netbox.Differs, 0}} {
			nb.Forget()
			got, err := client(nb).Setup(t.Context(), "reconcile", tt.apply)
			if err != nil || len(got) != 8 {
				t.Fatalf("%s: got %v, %v", version, got, err)
			}
			for _, p := range got {
				want, detail := tt.state, ""
				switch p.Name {
				case "last_installed":
					want, detail = tt.differ, `its type is "text", not "datetime"`
				case "gateway":
					want, detail = tt.differ, "it does not belong to ipam.prefix"
				}
				if p.State != want || p.Detail != detail {
					t.Errorf("%s: apply %v: %s %s is %s (%s), want %s (%s)", version, tt.apply, p.Kind, p.Name, p.State, p.Detail, want, detail)
				}
			}
			if n := len(nb.Writes()); n != tt.writes {
				t.Errorf("%s: apply %v: %d writes, want %d", version, tt.apply, n, tt.writes)
			}
		}
		if fields, ok := nb.Object("a")["custom_fields"].(map[string]any); !ok || len(fields) != 5 {
			t.Errorf("%s: the device has the fields %v", version, fields)
		}
	}
}

// A creation that fails is reported beside what worked; one whose answer was
// lost is not sent again.
func TestSetupFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  netboxtest.Fault
		state  netbox.ProvisionState
		detail string
		writes int
	}{
		"lost answer": {netboxtest.Fault{Method: "POST", Path: "tags", Lost: true}, netbox.Created, "", 8},
		"reset":       {netboxtest.Fault{Method: "POST", Path: "tags", Reset: true}, netbox.Lacking, "connection reset by peer", 8},
		"forbidden":   {netboxtest.Fault{Method: "POST", Path: "tags", Status: 403}, netbox.Lacking, "403 Forbidden", 8},
		"redirect":    {netboxtest.Fault{Method: "POST", Path: "tags", Redirect: "https://sso.example.net"}, netbox.Lacking, "302 redirects to", 8},
	} {
		t.Run(name, func(t *testing.T) {
			nb := &netboxtest.Server{Faults: []netboxtest.Fault{tt.fault}}
			got, err := client(nb).Setup(t.Context(), "reconcile", true)
			if err != nil {
				t.Fatal(err)
			}
			if p := got[0]; p.State != tt.state || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %+v", p)
			}
			for _, p := range got[1:] {
				if p.State != netbox.Created {
					t.Errorf("got %+v", p)
				}
			}
			if n := len(nb.Writes()); n != tt.writes {
				t.Errorf("%d writes, want %d", n, tt.writes)
			}
		})
	}
	if got, err := client(&netboxtest.Server{Faults: []netboxtest.Fault{netboxtest.HTML()}}).Setup(t.Context(), "x", true); got != nil || err == nil {
		t.Errorf("got %v, %v from a login page", got, err)
	}
}
