package netbox_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// bonded is a device with a bond, a VLAN on it, and a BMC.
func bonded() netboxtest.Device {
	return netboxtest.Device{
		Name: "db-01", OOB: "10.0.0.11/24", Primary4: "10.20.0.11/22", Primary6: "2001:db8:20::b/64",
		Interfaces: []netboxtest.Interface{
			{Name: "bond0", Type: "lag", MTU: 9000, VLAN: 120, TaggedVLANs: []int{140, 130}, Addresses: []string{"2001:db8:20::b/64", "10.20.0.11/22"}},
			{Name: "eno1", Type: "25gbase-sr", MAC: "B4:45:06:01:00:01", LAG: "bond0", MTU: 9000},
			{Name: "eno2", Type: "25gbase-sr", OtherMACs: []string{"B4:45:06:01:00:02"}, LAG: "bond0", Disabled: true},
			{Name: "bond0.130", Type: "virtual", Parent: "bond0", Bridge: "br0", VLAN: 130, Addresses: []string{"10.30.0.11/22"}},
			{Name: "bmc", Type: "1000base-t", MAC: "B4:45:06:01:00:03", MgmtOnly: true},
			{Name: "br0", Type: "bridge"},
		},
	}
}

func networkOf(t *testing.T, nb *netboxtest.Server, id int) netbox.Network {
	t.Helper()
	c := client(nb)
	s, err := c.Scan(t.Context(), netbox.Scope{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Networks(t.Context(), s, []int{id}); err != nil {
		t.Fatal(err)
	}
	return s.Networks[id]
}

var netips = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Transformer("decoded", func(c netbox.Context) any { v, _ := c.Value(); return v }),
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestNetworkInterfaces(t *testing.T) {
	for _, version := range []string{"4.2.9", "4.6.8", "4.7.1"} {
		got := networkOf(t, &netboxtest.Server{Version: version, Devices: []netboxtest.Device{bonded()}}, 1)
		want := []netbox.Interface{
			{ID: 1, Name: "bond0", Type: "lag", Enabled: true, MTU: 9000, VLAN: 120, TaggedVLANs: []int{130, 140},
				Addresses: prefixes("10.20.0.11/22", "2001:db8:20::b/64"), Primary: true},
			{ID: 2, Name: "eno1", Type: "25gbase-sr", MAC: "b4:45:06:01:00:01", MACs: []string{"b4:45:06:01:00:01"}, Enabled: true, MTU: 9000, LAG: "bond0"},
			{ID: 3, Name: "eno2", Type: "25gbase-sr", MAC: "b4:45:06:01:00:02", MACs: []string{"b4:45:06:01:00:02"}, LAG: "bond0"},
			{ID: 4, Name: "bond0.130", Type: "virtual", Enabled: true, VLAN: 130, Parent: "bond0", Bridge: "br0", Addresses: prefixes("10.30.0.11/22")},
			{ID: 5, Name: "bmc", Type: "1000base-t", MAC: "b4:45:06:01:00:03", MACs: []string{"b4:45:06:01:00:03"}, Enabled: true, MgmtOnly: true, Addresses: prefixes("10.0.0.11/24")},
			{ID: 6, Name: "br0", Type: "bridge", Enabled: true},
		}
		if diff := cmp.Diff(want, got.Interfaces, netips); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
}

// The precedence of the package comment, step by step.
func TestServices(t *testing.T) {
	fields := func(kv ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	context := func(m map[string]any) map[string]any { return map[string]any{"reconcile": m} }
	tests := []struct {
		name      string
		context   map[string]any
		prefixes  []netboxtest.Prefix
		addresses []netboxtest.Address
		gateway4  string
		gateway6  string
		dns, ntp  []string
		problems  []string
	}{
		{name: "nothing", prefixes: []netboxtest.Prefix{{Prefix: "10.20.0.0/22"}}},
		{
			name: "tagged addresses", prefixes: []netboxtest.Prefix{{Prefix: "10.20.0.0/22"}, {Prefix: "2001:db8:20::/64"}},
			addresses: []netboxtest.Address{
				{Address: "10.20.0.1/22", Tags: []string{"gateway"}}, {Address: "2001:db8:20::1/64", Tags: []string{"gateway"}},
				{Address: "10.20.0.3/22", Tags: []string{"dns", "ntp"}}, {Address: "10.20.0.2/22", Tags: []string{"dns"}},
				{Address: "10.99.0.1/22", Tags: []string{"gateway", "dns"}},
			},
			gateway4: "10.20.0.1", gateway6: "2001:db8:20::1", dns: []string{"10.20.0.2", "10.20.0.3"}, ntp: []string{"10.20.0.3"},
		},
		{
			name: "two gateways", prefixes: []netboxtest.Prefix{{Prefix: "10.20.0.0/22"}},
			addresses: []netboxtest.Address{{Address: "10.20.0.2/22", Tags: []string{"gateway"}}, {Address: "10.20.0.1/22", Tags: []string{"gateway"}}},
			problems:  []string{`2 addresses in 10.20.0.0/22 bear the tag "gateway": 10.20.0.1, 10.20.0.2`},
		},
		{
			name: "custom fields win over tags, the most specific prefix first",
			prefixes: []netboxtest.Prefix{
				{Prefix: "10.0.0.0/8", CustomFields: fields("gateway", "10.0.0.1", "dns", "10.0.0.53, 10.0.1.53", "ntp", "ntp.example.net")},
				{Prefix: "10.20.0.0/22", CustomFields: fields("gateway", "10.20.0.9")},
				{Prefix: "10.20.0.0/24", VRF: "other", CustomFields: fields("gateway", "10.20.0.66")},
			},
			addresses: []netboxtest.Address{{Address: "10.20.0.1/22", Tags: []string{"gateway", "dns"}}},
			gateway4:  "10.20.0.9", dns: []string{"10.0.0.53", "10.0.1.53"}, ntp: []string{"ntp.example.net"},
		},
		{
			name:     "the context wins over all, each by itself",
			context:  context(map[string]any{"gateway": map[string]any{"v4": "10.20.0.7", "v6": "fe80::1"}, "dns": map[string]any{"servers": []any{"1.1.1.1"}}}),
			prefixes: []netboxtest.Prefix{{Prefix: "10.20.0.0/22", CustomFields: fields("gateway", "10.20.0.9", "ntp", "10.20.0.8")}},
			gateway4: "10.20.0.7", gateway6: "fe80::1", dns: []string{"1.1.1.1"}, ntp: []string{"10.20.0.8"},
		},
		{
			name: "short forms", context: context(map[string]any{"gateway": "10.20.0.7/22", "dns": []any{"1.1.1.1"}, "ntp": []any{"a", "b"}}),
			gateway4: "10.20.0.7", dns: []string{"1.1.1.1"}, ntp: []string{"a", "b"},
		},
		{
			name: "nonsense", context: context(map[string]any{"gateway": "router", "dns": "1.1.1.1", "ntp": []any{1}}),
			problems: []string{`config context reconcile.gateway: "router" is not an address`, `config context reconcile.dns is not a list of servers`, `config context reconcile.ntp holds 1, which names no server`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bonded()
			d.Context = tt.context
			got := networkOf(t, &netboxtest.Server{Devices: []netboxtest.Device{d}, Prefixes: tt.prefixes, Addresses: tt.addresses}, 1)
			text := func(a netip.Addr) string { return strings.TrimPrefix(a.String(), "invalid IP") }
			want := []any{tt.gateway4, tt.gateway6, tt.dns, tt.ntp, tt.problems}
			if diff := cmp.Diff(want, []any{text(got.Gateway4), text(got.Gateway6), got.DNS, got.NTP, got.Problems}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNetworksRequests(t *testing.T) {
	devices := many(450)
	nb := &netboxtest.Server{Devices: devices}
	c := client(nb)
	s, err := c.Scan(t.Context(), scopeTag, nil)
	if err != nil {
		t.Fatal(err)
	}
	nb.Forget()
	var ids []int
	for _, d := range s.Devices {
		ids = append(ids, d.ID)
	}
	if err := c.Networks(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	if got := len(nb.Requests()); got != 2*3 || len(s.Networks) != 450 {
		t.Errorf("got %d requests for %d networks, want 6 for 450", got, len(s.Networks))
	}
	for _, r := range nb.Requests() {
		if n := len(r.Path) + len(r.Query); n > 3800 || r.Method != "GET" {
			t.Errorf("%s with a line of %d bytes", r.Method, n)
		}
	}
	nb.Forget()
	if err := c.Networks(t.Context(), s, ids); err != nil || len(nb.Requests()) != 0 {
		t.Errorf("what is known was read again: %d requests, %v", len(nb.Requests()), err)
	}
	if err := c.Networks(t.Context(), s, []int{9999}); err == nil {
		t.Error("a device that is not in the snapshot was accepted")
	}
}

// An ignored filter gives the interfaces of all devices: each row is kept for
// its own device only.
func TestNetworksIgnoredFilter(t *testing.T) {
	nb := &netboxtest.Server{Devices: many(20), Faults: []netboxtest.Fault{{Path: "interfaces", IgnoreFilters: true}, {Path: "ip-addresses", IgnoreFilters: true}}}
	if got := networkOf(t, nb, 7); len(got.Interfaces) != 1 || got.Interfaces[0].MAC != "02:00:00:00:00:07" {
		t.Errorf("got %+v", got.Interfaces)
	}
}

func TestNetworksDenied(t *testing.T) {
	nb := &netboxtest.Server{Devices: many(1), Deny: []string{"dcim/interfaces"}}
	c := client(nb)
	s, err := c.Scan(t.Context(), scopeTag, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Networks(t.Context(), s, []int{1})
	if err == nil || !strings.Contains(err.Error(), "reading interfaces from NetBox: GET /api/dcim/interfaces/: 403") || len(s.Networks) != 0 {
		t.Errorf("got %v, networks %v", err, s.Networks)
	}
}

// Few devices need few prefixes of many; many devices read them all, once that
// is less.
func TestNetworksPrefixes(t *testing.T) {
	nb := &netboxtest.Server{}
	for i := range 400 {
		nb.Devices = append(nb.Devices, netboxtest.Device{Name: fmt.Sprintf("h%d", i), Primary4: fmt.Sprintf("10.%d.7.9/24", i%250), Primary6: fmt.Sprintf("2001:db8:%x::9/64", i)})
	}
	for i := range 2500 {
		nb.Prefixes = append(nb.Prefixes, netboxtest.Prefix{Prefix: fmt.Sprintf("10.%d.%d.0/24", i/10, i%10), CustomFields: map[string]any{"gateway": fmt.Sprintf("10.%d.%d.1", i/10, i%10)}})
	}
	for _, tt := range []struct{ hosts, most int }{{1, 2}, {2, 3}, {400, 4}} {
		c := client(nb)
		s, err := c.Scan(t.Context(), scopeTag, nil)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int
		for _, d := range s.Devices[:tt.hosts] {
			ids = append(ids, d.ID)
		}
		nb.Forget()
		if err := c.Networks(t.Context(), s, ids); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, r := range nb.Requests() {
			if strings.Contains(r.Path, "prefixes") {
				asked++
			}
			if len(r.Path)+len(r.Query) > 3800 {
				t.Errorf("a request line of %d bytes", len(r.Path)+len(r.Query))
			}
		}
		if asked > tt.most {
			t.Errorf("%d hosts: %d requests for prefixes, want at most %d", tt.hosts, asked, tt.most)
		}
		for _, id := range ids {
			d, n := s.Devices[id-1], s.Networks[id]
			if !n.Prefix4.IsValid() || !n.Prefix4.Contains(d.Primary4.Addr()) || !n.Gateway4.IsValid() {
				t.Fatalf("%s: got %+v", d.Name, n)
			}
		}
	}
	nb.SetFaults(netboxtest.Fault{Path: "prefixes", IgnoreFilters: true})
	c := client(nb)
	s, err := c.Scan(t.Context(), scopeTag, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Networks(t.Context(), s, []int{1}); !errors.Is(err, netbox.ErrFilterIgnored) {
		t.Errorf("got %v", err)
	}
}
