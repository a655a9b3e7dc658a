package redfish_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestSessionsEnd: no session is left behind, however the work ended.
func TestSessionsEnd(t *testing.T) {
	endings := map[string]func(*testing.T, *rig){
		"success": func(t *testing.T, r *rig) {
			if _, err := r.client.Observe(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"failure": func(t *testing.T, r *rig) {
			r.bmc.Arm(bmctest.Fault{Path: "/redfish/v1/Systems", Status: 500, Times: -1})
			if _, err := r.client.Observe(t.Context()); err == nil {
				t.Error("no error")
			}
		},
		"interrupt": func(t *testing.T, r *rig) {
			ctx, cancel := context.WithCancel(t.Context())
			r.bmc.Arm(bmctest.Fault{Path: "/redfish/v1/Systems", Before: func(*bmctest.BMC) { cancel() }})
			if _, err := r.client.Observe(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want the cancellation", err)
			}
		},
		"panic": func(t *testing.T, r *rig) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			defer r.client.Close(t.Context())
			if _, err := r.client.Observe(t.Context()); err != nil {
				t.Error(err)
			}
			panic("a bug elsewhere")
		},
		"busy at the end": func(t *testing.T, r *rig) {
			if _, err := r.client.Observe(t.Context()); err != nil {
				t.Error(err)
			}
			r.bmc.Arm(bmctest.Fault{Method: http.MethodDelete, Status: 503, Times: 2})
		},
		"session lost half-way": func(t *testing.T, r *rig) {
			if _, err := r.client.Observe(t.Context()); err != nil {
				t.Error(err)
			}
			r.bmc.EndSessions()
			if err := r.client.SetMarker(t.Context(), done); err != nil {
				t.Errorf("after the session was lost: %v", err)
			}
		},
	}
	for name, end := range endings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(bmctest.Generic)
				r.bmc.Quirks = &bmctest.Quirks{NoBasicAuth: true}
				r.client.Session = true
				end(t, r)
				ended, cancel := context.WithCancel(t.Context())
				cancel() // Close must work when everything else is over
				if err := r.client.Close(ended); err != nil {
					t.Error(err)
				}
				if n := r.bmc.Sessions(); n != 0 {
					t.Errorf("%d sessions left", n)
				}
				if r.client.Locations.Session != "" {
					t.Errorf("Locations still names session %q", r.client.Locations.Session)
				}
			})
		})
	}
}

// TestSessionOfTheDead: the session of a run that was killed is deleted by the
// next one that knows its Locations.
func TestSessionOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(bmctest.Generic)
		r.client.Session = true
		if _, err := r.client.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		stored, err := json.Marshal(r.client.Locations) // and here it is killed
		if err != nil {
			t.Fatal(err)
		}
		var known redfish.Locations
		if err := json.Unmarshal(stored, &known); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stored), password) {
			t.Errorf("Locations hold the password: %s", stored)
		}
		next := &redfish.Client{Address: "bmc.example", Login: login, Session: true, Locations: &known, Transport: r.bmc.Transport()}
		if _, err := next.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := r.bmc.Sessions(); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
		if err := next.Close(t.Context()); err != nil || r.bmc.Sessions() != 0 {
			t.Errorf("%d sessions left, error %v", r.bmc.Sessions(), err)
		}
	})
}

// TestWrongLogin: a wrong password is tried once, with Basic and with sessions:
// three tries lock accounts.
func TestWrongLogin(t *testing.T) {
	for _, session := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(bmctest.Generic)
			r.client.Session = session
			r.client.Login = credential.Login{Username: login.Username, Password: "guessed"}
			_, err := r.client.Observe(t.Context())
			if !errors.Is(err, redfish.ErrAuth) || strings.Contains(err.Error(), "guessed") {
				t.Errorf("session %v: error %v, want ErrAuth without the password", session, err)
			}
			refused := 0
			for _, q := range r.bmc.Requests() {
				if q.Status == http.StatusUnauthorized {
					refused++
				}
			}
			if refused != 1 {
				t.Errorf("session %v: the wrong login was tried %d times", session, refused)
			}
		})
	}
}

// TestLocations: what one client found out serves the next, and is dropped when
// another machine answers at the address.
func TestLocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, v := range bmctest.Vendors() {
			r := newRig(v)
			r.client.Locations = new(redfish.Locations)
			cold, err := r.client.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			next := &redfish.Client{Address: "bmc.example", Login: login, Locations: r.client.Locations, Transport: r.bmc.Transport()}
			warm, err := next.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if warm.Requests > 3 {
				t.Errorf("%s: %d requests with Locations known, want at most 3", vendorName(v), warm.Requests)
			}
			ignore := cmp.FilterPath(func(p cmp.Path) bool {
				f := p.String()
				return f == "Requests" || f == "Slots" || f == "ChassisSerial" || f == "Boot.Targets"
			}, cmp.Ignore())
			if diff := cmp.Diff(cold, warm, ignore); diff != "" {
				t.Errorf("%s: cold and warm differ:\n%s", vendorName(v), diff)
			}
			other := &bmctest.BMC{Vendor: bmctest.LenovoXCC, Username: login.Username, Password: password, Serial: "OTHER", UUID: "6173ecec-6ef5-11ee-834a-0a8fc3a58a71", Backend: &box{}}
			moved := &redfish.Client{Address: "bmc.example", Login: login, Locations: r.client.Locations, Transport: other.Transport()}
			s, err := moved.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Serial != "OTHER" || s.Profile != "lenovo-xcc" {
				t.Errorf("%s: another machine is seen as %+v", vendorName(v), s)
			}
		}
	})
}
