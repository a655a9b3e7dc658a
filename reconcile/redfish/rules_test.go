package redfish_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestOverrides: a fleet's word goes before the profile's, for what it names
// and for nothing else, and Probe tells which is which.
func TestOverrides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		r := newRig(bmctest.LenovoXCC)
		r.client.Overrides = []redfish.Override{
			{Name: "schemes", Value: []string{"https"}, From: "hosts/fleet.cue:3:4"},
			{Name: "onlySlot", Value: "EXT2", From: "hosts/fleet.cue:5:6"},
		}
		report, err := r.client.Probe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		from := map[string]string{}
		for _, rule := range report.Rules {
			from[rule.Name] = rule.From
		}
		if !slices.Equal(names(report.Rules), redfish.RuleNames()) {
			t.Errorf("the report has the rules %v, want all of %v", names(report.Rules), redfish.RuleNames())
		}
		for name, want := range map[string]string{
			"schemes": "hosts/fleet.cue:3:4", "onlySlot": "hosts/fleet.cue:5:6", "skipSlots": "profile lenovo-xcc", "forceMode": "standard",
		} {
			if from[name] != want {
				t.Errorf("rule %s comes from %q, want %q", name, from[name], want)
			}
		}
		if err := r.client.Insert(ctx, "http://media.example/i/x/web-01.iso"); !matches(err, redfish.ErrUnsupported) {
			t.Errorf("an http medium: %v, want %v", err, redfish.ErrUnsupported)
		}
		if err := r.client.Insert(ctx, "https://media.example/i/x/web-01.iso"); err != nil {
			t.Fatal(err)
		}
		if s, err := r.client.Observe(ctx); err != nil || len(s.Slots) != 1 || s.Slots[0].ID != "EXT2" || !s.Slots[0].Inserted {
			t.Errorf("slots %+v, error %v; want EXT2 alone, with the medium", s.Slots, err)
		}
	})
}

func names(rules []redfish.RuleInForce) (list []string) {
	for _, r := range rules {
		list = append(list, r.Name)
	}
	return list
}

// TestOverridesMend: a BMC that its profile does not fit is driven once the
// fleet says how it differs.
func TestOverridesMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := bmctest.Generic.Quirks()
		q.OverrideAsContinuous = true
		for _, told := range []bool{false, true} {
			r := newRig(bmctest.Generic)
			r.bmc.Quirks = &q
			if told {
				r.client.Overrides = []redfish.Override{{Name: "continuous", Value: true, From: "fleet.cue:1:1"}}
			}
			if err := r.client.BootOnce(t.Context()); (err == nil) != told {
				t.Errorf("told %v: boot once: %v", told, err)
			}
		}
	})
}

// TestWrongOverrides are refused before anything is sent, with where they were said.
func TestWrongOverrides(t *testing.T) {
	for _, o := range []redfish.Override{
		{Name: "slot", Value: "2"}, {Name: "schemes", Value: []string{}}, {Name: "schemes", Value: "https"},
		{Name: "insert", Value: "all"}, {Name: "forceMode", Value: "true"}, {Name: "onlySlot", Value: 2},
	} {
		r := newRig(bmctest.Generic)
		o.From = "site.cue:7:8"
		r.client.Overrides = []redfish.Override{o}
		_, err := r.client.Observe(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "site.cue:7:8: rule ") || len(r.bmc.Requests()) > 0 {
			t.Errorf("%+v: error %v after %d requests", o, err, len(r.bmc.Requests()))
		}
	}
}
