package netbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/schema"
)

func TestRecheck(t *testing.T) {
	nb := &netboxtest.Server{Devices: many(450), Tags: []string{"maintenance"}}
	s := scan(t, nb, scopeTag)
	var ids []int
	for _, d := range s.Devices {
		ids = append(ids, d.ID, d.ID) // asked twice, sent once
	}
	nb.Forget()
	change := func(name string, values map[string]any) {
		t.Helper()
		if err := nb.Set(name, values); err != nil {
			t.Fatal(err)
		}
	}
	change("host-00001", map[string]any{"status": "offline"})
	change("host-00002", map[string]any{"tags": []string{"reconcile", "maintenance"}})
	change("host-00003", map[string]any{"serial": "OTHER", "tags": []string{}})
	nb.Remove("host-00005")

	now, err := client(nb).Recheck(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	requests := nb.Requests()
	if len(now) != 449 || len(requests) != 3 {
		t.Errorf("got %d devices in %d requests, want 449 in 3", len(now), len(requests))
	}
	for _, r := range requests {
		if r.Method != "GET" || strings.Contains(r.Query, "config_context%2C") || len(r.Path)+len(r.Query) > 3800 {
			t.Errorf("Recheck sent %s %s?%s", r.Method, r.Path, r.Query)
		}
	}
	policy := &schema.NetBoxPolicy{Scope: schema.Scope{Tag: "reconcile"}}
	for i, want := range map[int]string{
		0: "",
		1: `NetBox's status was "active" and is "offline" now`,
		2: `its device bears the tag "maintenance"`,
		3: `NetBox's serial was "S00003" and is "OTHER" now; its device lacks tag "reconcile" now`,
		5: "NetBox no longer shows its device (NetBox id 6)",
	} {
		was := &s.Devices[i]
		if got := netbox.Objection(policy, was, now[was.ID]); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", was.Name, got, want)
		}
	}
}

// An answer that is not about what was asked is none.
func TestRecheckLies(t *testing.T) {
	for name, tt := range map[string]struct {
		fault netboxtest.Fault
		want  error
	}{
		"ignored filter": {netboxtest.Fault{IgnoreFilters: true}, netbox.ErrFilterIgnored},
		"short page":     {netboxtest.Fault{Drop: 1}, netbox.ErrIncomplete},
		"duplicate rows": {netboxtest.Fault{Duplicate: true}, netbox.ErrIncomplete},
		"count too high": {netboxtest.Fault{Count: 1}, netbox.ErrIncomplete},
		"HTML with 200":  {netboxtest.HTML(), netbox.ErrNotNetBox},
		"redirect":       {netboxtest.Fault{Redirect: "https://sso.example.net"}, netbox.ErrNotNetBox},
		"forbidden":      {netboxtest.Fault{Status: 403}, netbox.ErrAuth},
	} {
		t.Run(name, func(t *testing.T) {
			nb := &netboxtest.Server{Devices: many(5), Faults: []netboxtest.Fault{tt.fault}}
			got, err := client(nb).Recheck(t.Context(), 1, 2)
			if got != nil || !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if got, err := client(&netboxtest.Server{}).Recheck(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v for no ids", got, err)
	}
	if _, err := client(&netboxtest.Server{Devices: many(5)}).Recheck(t.Context(), 0); err == nil {
		t.Error("id 0 was asked for")
	}
}
