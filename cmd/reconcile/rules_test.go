package main

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
)

// TestRuleNames: the fleet's definitions and the packages that drive BMCs have
// the same rules, of the same types.
func TestRuleNames(t *testing.T) {
	values := map[string]string{"schemes": `["https"]`, "skipSlots": `["RDOC"]`, "onlySlot": `"2"`, "insert": `"login"`, "bootTargets": `["UsbCd"]`}
	var text strings.Builder
	for _, name := range redfish.RuleNames() {
		value := values[name]
		if value == "" {
			value = "true"
		}
		text.WriteString(name + ": " + value + "\n")
	}
	fleet, err := schema.Load(fleetOf("bmc: rules: {\n"+text.String()+"}", "onlySlot: \"1\""), "hosts")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range overrides(fleet.Hosts["a"].BMC.Rules) {
		got = append(got, o.Name)
		if !strings.HasPrefix(o.From, "hosts/fleet.cue:") {
			t.Errorf("rule %s comes from %q", o.Name, o.From)
		}
		if o.Name == "onlySlot" && o.Value != "2" {
			t.Errorf("the host's %v does not win over the policy's", o)
		}
	}
	want := slices.Sorted(slices.Values(redfish.RuleNames()))
	if !slices.Equal(got, want) {
		t.Errorf("the fleet has the rules %v, the driver %v", got, want)
	}
	c := &redfish.Client{Address: "127.0.0.1:1", Overrides: overrides(fleet.Hosts["a"].BMC.Rules)}
	if _, err := c.Observe(t.Context()); err == nil || strings.Contains(err.Error(), "rule ") {
		t.Errorf("the driver does not take the rules: %v", err)
	}
	fleet, err = schema.Load(fleetOf("bmc: {session: true, marker: \"efi-label\"}", ""), "hosts")
	if err != nil || !fleet.Hosts["a"].BMC.Session || fleet.Hosts["a"].BMC.Marker != "efi-label" {
		t.Errorf("a session and a label: %+v, %v", fleet.Hosts["a"].BMC, err)
	}
	_, err = schema.Load(fleetOf("bmc: rules: unheard: 1", ""), "hosts")
	if err == nil || !strings.Contains(err.Error(), "there are "+strings.Join(want, ", ")) {
		t.Errorf("the definitions have other rules than %v: %v", want, err)
	}
}

func fleetOf(host, rules string) fstest.MapFS {
	return fstest.MapFS{"hosts/a.tmpl": {}, "hosts/fleet.cue": {Data: []byte(`package fleet
import "github.com/metalcue/metalcue/schema"
schema.#Fleet
images: i: {family: "rhel", url: "a.iso", sha256: "5b1e7c94d2a80f3667c1e5b9f04d83a2c76e91b05fd4a83827e6c0b19d5f34a8"}
roles: r: answer: template: "a.tmpl"
hosts: a: {os: "i", role: "r", ` + host + `}
policy: bmc: rules: {` + rules + `}
`)}}
}
