package netbox_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// declared is a fleet of hosts at consecutive lines of one file.
func declared(hosts ...*schema.Host) *schema.Fleet {
	f := &schema.Fleet{
		Images: map[string]*schema.Image{"rocky-9.6": {Name: "rocky-9.6"}, "rocky-10.0": {Name: "rocky-10.0"}},
		Roles:  map[string]*schema.Role{"db": {Name: "db", Rollout: schema.Rollout{Domain: "rack"}}, "web": {Name: "web"}},
		Hosts:  map[string]*schema.Host{},
		Policy: schema.Policy{NetBox: schema.NetBoxPolicy{
			Scope: schema.Scope{Tag: "reconcile"}, Install: []string{"staged", "active"},
			InstallUnmarked: []string{"planned", "staged", "inventory"}, ContextKey: "reconcile",
		}, Pos: schema.Position{File: "hosts/fleet.cue", Line: 3, Column: 1}},
	}
	for i, h := range hosts {
		h.Pos = schema.Position{File: "hosts/db.cue", Line: 10 * (i + 1), Column: 2}
		h.Fields = map[string]schema.Position{
			"serial": {File: "hosts/db.cue", Line: 10*(i+1) + 3, Column: 4}, "role": {File: "hosts/db.cue", Line: 10*(i+1) + 1, Column: 4},
		}
		if h.OS == "" {
			h.OS = "rocky-9.6"
		}
		if h.Role == "" {
			h.Role = "db"
		}
		f.Hosts[h.Name] = h
	}
	return f
}

func host(name string) *schema.Host { return &schema.Host{Name: name} }

// healthy is a device that no rule objects to.
func healthy(name string, n int) netboxtest.Device {
	return netboxtest.Device{Name: name, Serial: fmt.Sprintf("7XK4Q%02d", n), Rack: "r1", Site: "tokyo", Role: "db",
		OOB: fmt.Sprintf("10.0.0.%d/24", n), Primary4: fmt.Sprintf("10.20.0.%d/24", n)}
}

// findings scans a NetBox of the given devices for a fleet and checks it.
func findings(t *testing.T, f *schema.Fleet, nb *netboxtest.Server, networks bool) []netbox.Finding {
	t.Helper()
	c := client(nb)
	nb.Tags = append(nb.Tags, "reconcile")
	scope := f.Policy.NetBox.Scope
	s, err := c.Scan(t.Context(), netbox.Scope{Tag: scope.Tag, Site: scope.Site}, f.HostNames())
	if err != nil {
		t.Fatal(err)
	}
	if networks {
		var ids []int
		for _, d := range s.Devices {
			ids = append(ids, d.ID)
		}
		if err := c.Networks(t.Context(), s, ids); err != nil {
			t.Fatal(err)
		}
	}
	return netbox.Check(f, s)
}

// Every rule has a wrong fleet or a wrong NetBox, and its exact message.
func TestCheckRules(t *testing.T) {
	device := func(change func(*netboxtest.Device)) []netboxtest.Device {
		d := healthy("db-01", 11)
		change(&d)
		return []netboxtest.Device{d}
	}
	gateway := []netboxtest.Prefix{{Prefix: "10.20.0.0/24", CustomFields: map[string]any{"gateway": "10.20.0.1"}}}
	const page = " - https://netbox.example.net/dcim/devices/1/"
	tests := []struct {
		rule     netbox.Rule
		host     *schema.Host // nil is db-01
		fleet    func(*schema.Fleet)
		devices  []netboxtest.Device
		server   func(*netboxtest.Server)
		networks bool
		want     []string
	}{
		{rule: "scope-empty", devices: device(func(d *netboxtest.Device) { d.Tags = []string{} }), want: []string{
			"hosts/fleet.cue:3:1: fatal: the fleet declares 1 hosts and NetBox shows no device in the scope (tag reconcile): correct policy.netbox.scope, give the devices what it asks for, or give the token the right to view them [scope-empty]",
			`hosts/db.cue:10:2: error: host db-01: NetBox has the device, but it lacks tag "reconcile": correct the device or policy.netbox.scope` + page + " [outside-scope]"}},
		{rule: "version", server: func(s *netboxtest.Server) { s.Version = "5.0.1" }, devices: device(func(*netboxtest.Device) {}), want: []string{
			"warning: NetBox 5.0.1 is newer than 4.7, the newest that this program was tried with [version]"}},
		{rule: "policy", fleet: func(f *schema.Fleet) { f.Policy.NetBox.Severity = map[string]string{"statsu": "off", "missing": "off"} },
			devices: device(func(*netboxtest.Device) {}), want: []string{
				`hosts/fleet.cue:3:1: warning: policy.netbox.severity names "missing", which keeps installs from the wrong machine and cannot be changed [policy]`,
				`hosts/fleet.cue:3:1: warning: policy.netbox.severity names "statsu", which is no rule [policy]`}},
		{rule: "missing", host: host("db-09"), devices: device(func(*netboxtest.Device) {}), want: []string{
			"hosts/db.cue:10:2: error: host db-09: NetBox has no device of this name: create it there, or remove the host from the fleet [missing]",
			"warning: device db-01 is in the scope (tag reconcile), but the fleet declares no such host" + page + " [undeclared]"}},
		{rule: "name-case", devices: device(func(d *netboxtest.Device) { d.Name = "DB-01" }), want: []string{
			`hosts/db.cue:10:2: warning: host db-01: NetBox writes its name "DB-01": write it the same way on both sides` + page + " [name-case]"}},
		{rule: "name-duplicate", devices: append(device(func(*netboxtest.Device) {}), healthy("db-01", 12)), want: []string{
			"hosts/db.cue:10:2: error: host db-01: NetBox has 2 devices of this name in the scope (db-01 (NetBox id 1), db-01 (NetBox id 2)): rename all but one or narrow policy.netbox.scope" + page + " [name-duplicate]"}},
		{rule: "unnamed", devices: append(device(func(*netboxtest.Device) {}), netboxtest.Device{}), want: []string{
			"warning: device 2 in the scope (tag reconcile) has no name: give it one or take it out of the scope - https://netbox.example.net/dcim/devices/2/ [unnamed]"}},
		{rule: "status", devices: device(func(d *netboxtest.Device) { d.Status = "provisioning" }), want: []string{
			`hosts/db.cue:10:2: error: host db-01: status "provisioning" forbids installs: policy.netbox allows active, inventory, planned, staged` + page + " [status]"}},
		{rule: "brake", devices: device(func(d *netboxtest.Device) { d.Tags = []string{"reconcile", "no-reinstall"} }), want: []string{
			`hosts/db.cue:10:2: error: host db-01: tag "no-reinstall" forbids installs: remove it in NetBox when the device may be touched again` + page + " [brake]"}},
		{rule: "brake", devices: device(func(d *netboxtest.Device) {
			d.CustomFields = map[string]any{"maintenance": true, "no_reinstall": false}
		}), want: []string{
			`hosts/db.cue:10:2: error: host db-01: custom field "maintenance" forbids installs: remove it in NetBox when the device may be touched again` + page + " [brake]"}},
		{rule: "scope-halved", fleet: func(f *schema.Fleet) {
			for i := range 9 {
				f.Hosts[fmt.Sprintf("x-%d", i)] = &schema.Host{Name: fmt.Sprintf("x-%d", i), OS: "rocky-9.6", Role: "db"}
			}
		}, devices: device(func(*netboxtest.Device) {}), want: append([]string{
			`hosts/fleet.cue:3:1: fatal: NetBox shows 1 of the fleet's 10 hosts: does the token's permission hide devices? If it is as it should be, set policy.netbox.severity of "scope-halved" [scope-halved]`},
			nine("error: host x-%d: NetBox has no device of this name: create it there, or remove the host from the fleet [missing]")...)},
		{rule: "generation", host: &schema.Host{Name: "db-01", Generation: 2}, devices: device(func(d *netboxtest.Device) {
			d.CustomFields = map[string]any{"reconcile_generation": 3}
		}), want: []string{
			"hosts/db.cue:10:2: warning: host db-01: NetBox says that generation 3 was installed, and the fleet declares 2: generations are only ever raised" + page + " [generation]"}},
		{rule: "device-type", fleet: func(f *schema.Fleet) { f.Policy.NetBox.DeviceTypes = []string{"r650", "dl380"} }, devices: device(func(*netboxtest.Device) {}), want: []string{
			`hosts/db.cue:10:2: warning: host db-01: device type "generic-1u" is none of policy.netbox.deviceTypes (r650, dl380)` + page + " [device-type]"}},
		{rule: "oob-range", fleet: func(f *schema.Fleet) { f.Policy.NetBox.Management = []string{"10.9.0.0/16", "2001:db8::/32"} }, devices: device(func(*netboxtest.Device) {}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: oob_ip 10.0.0.11 is in none of policy.netbox.management (10.9.0.0/16, 2001:db8::/32): correct it in NetBox" + page + " [oob-range]"}},
		{rule: "dns-name", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1", MAC: "02:00:00:00:00:01", Addresses: []string{d.Primary4}, DNSName: "db-02.example.net"}}
		}), want: []string{
			`hosts/db.cue:10:2: warning: host db-01: primary_ip4 10.20.0.11/24 has the dns_name "db-02.example.net", which is another host's` + page + " [dns-name]"}},
		{rule: "site", host: &schema.Host{Name: "db-01", Site: "asia/osaka"}, devices: device(func(*netboxtest.Device) {}), want: []string{
			`hosts/db.cue:10:2: error: host db-01: declared in the folder of site "osaka", NetBox has it in site "tokyo": move one of them` + page + " [site]"}},
		{rule: "role", devices: device(func(d *netboxtest.Device) { d.Role = "web" }), want: []string{
			`hosts/db.cue:11:4: error: host db-01: declared with role "db", NetBox gives it role "web", which is another role of the fleet` + page + " [role]"}},
		{rule: "platform", devices: device(func(d *netboxtest.Device) { d.Platform = "rocky-10-0" }), want: []string{
			`hosts/db.cue:10:2: warning: host db-01: declared with os "rocky-9.6", NetBox still has platform "rocky-10-0"` + page + " [platform]"}},
		{rule: "rack-missing", devices: device(func(d *netboxtest.Device) { d.Rack = "" }), want: []string{
			"hosts/db.cue:10:2: warning: host db-01: role db spreads changes by rack, and NetBox has the device in none: it shares a failure domain with all such devices of its site" + page + " [rack-missing]"}},
		{rule: "serial-missing", devices: device(func(d *netboxtest.Device) { d.Serial = "" }), want: []string{
			"hosts/db.cue:13:4: error: host db-01: NetBox has no serial, so the machine cannot be told from another: enter it in NetBox" + page + " [serial-missing]"}},
		{rule: "serial-missing", devices: device(func(d *netboxtest.Device) { d.Serial = "To be filled by O.E.M." }), want: []string{
			`hosts/db.cue:13:4: error: host db-01: NetBox's serial "To be filled by O.E.M." is a placeholder, so the machine cannot be told from another: enter the real one` + page + " [serial-missing]"}},
		{rule: "serial-duplicate", fleet: func(f *schema.Fleet) {
			f.Policy.NetBox.Severity = map[string]string{"undeclared": "off"}
		},
			devices: append(device(func(*netboxtest.Device) {}), func() netboxtest.Device { d := healthy("x", 12); d.Serial = "7xk4q11"; return d }()), want: []string{
				`hosts/db.cue:13:4: error: host db-01: serial "7XK4Q11" also on x (NetBox id 2): correct the wrong one in NetBox` + page + " [serial-duplicate]"}},
		{rule: "serial-mismatch", host: &schema.Host{Name: "db-01", Serial: "OTHER"}, devices: device(func(*netboxtest.Device) {}), want: []string{
			`hosts/db.cue:13:4: error: host db-01: declared with serial "OTHER", NetBox says "7XK4Q11": correct the wrong side` + page + " [serial-mismatch]"}},
		{rule: "oob-missing", devices: device(func(d *netboxtest.Device) { d.OOB = "" }), want: []string{
			"hosts/db.cue:10:2: error: host db-01: NetBox has no oob_ip, so its BMC cannot be reached: set the out-of-band IP of the device (or bmc.address in the fleet)" + page + " [oob-missing]"}},
		{rule: "oob-duplicate", fleet: func(f *schema.Fleet) { f.Policy.NetBox.Severity = map[string]string{"undeclared": "off"} },
			devices: append(device(func(*netboxtest.Device) {}), func() netboxtest.Device { d := healthy("x", 12); d.OOB = "10.0.0.11/16"; return d }()), want: []string{
				"hosts/db.cue:10:2: error: host db-01: oob_ip 10.0.0.11 also on x (NetBox id 2): correct the wrong one in NetBox" + page + " [oob-duplicate]"}},
		{rule: "oob-primary", devices: device(func(d *netboxtest.Device) { d.Primary4 = d.OOB }), want: []string{
			"hosts/db.cue:10:2: error: host db-01: oob_ip 10.0.0.11 is a primary address of db-01 (NetBox id 1), so it is no BMC's: correct it in NetBox" + page + " [oob-primary]"}},
		{rule: "oob-mismatch", host: &schema.Host{Name: "db-01", BMC: schema.BMC{Address: "https://10.0.0.99:8443"}}, devices: device(func(*netboxtest.Device) {}), want: []string{
			"hosts/db.cue:10:2: warning: host db-01: declared with bmc.address 10.0.0.99, NetBox has oob_ip 10.0.0.11; the declared one is used" + page + " [oob-mismatch]"}},
		{rule: "primary-missing", devices: device(func(d *netboxtest.Device) { d.Primary4 = "" }), want: []string{
			"hosts/db.cue:10:2: warning: host db-01: NetBox has no primary address, so its network cannot be rendered and the host cannot be verified" + page + " [primary-missing]"}},
		{rule: "primary-duplicate", fleet: func(f *schema.Fleet) { f.Policy.NetBox.Severity = map[string]string{"undeclared": "off"} },
			devices: append(device(func(*netboxtest.Device) {}), func() netboxtest.Device { d := healthy("x", 12); d.Primary4 = "10.20.0.11/24"; return d }()), want: []string{
				"hosts/db.cue:10:2: error: host db-01: primary_ip4 10.20.0.11 also on x (NetBox id 2): correct the wrong one in NetBox" + page + " [primary-duplicate]"}},
		{rule: "context", devices: device(func(d *netboxtest.Device) { d.Context = map[string]any{"reconcile": "yes"} }), want: []string{
			"hosts/db.cue:10:2: error: host db-01: config context reconcile is not an object: templates see it as .Context" + page + " [context]"}},

		{rule: "network", networks: true, server: func(s *netboxtest.Server) {
			s.Prefixes = gateway
			s.Addresses = []netboxtest.Address{{Address: "10.0.0.1/24"}}
		}, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1", MAC: "nonsense"}, {Name: "eno2", MAC: "02:00:00:00:00:01"}}
		}), want: []string{
			`hosts/db.cue:10:2: error: host db-01: interface eno1: "nonsense" is not a MAC address: correct it in NetBox` + page + " [network]"}},
		{rule: "primary-interface", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1", MAC: "02:00:00:00:00:01", Addresses: []string{d.Primary4}, Disabled: true}, {Name: "eno2", MAC: "02:00:00:00:00:02"}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: primary_ip4 10.20.0.11/24 is on interface eno1, which NetBox has disabled" + page + " [primary-interface]"}},
		{rule: "primary-length", networks: true, server: func(s *netboxtest.Server) {
			s.Prefixes = []netboxtest.Prefix{{Prefix: "10.20.0.0/22", CustomFields: map[string]any{"gateway": "10.20.0.1"}}}
		}, devices: device(func(*netboxtest.Device) {}), want: []string{
			"hosts/db.cue:10:2: warning: host db-01: primary_ip4 10.20.0.11/24 has another length than its prefix 10.20.0.0/22" + page + " [primary-length]"}},
		{rule: "gateway-missing", networks: true, devices: device(func(*netboxtest.Device) {}), want: []string{
			`hosts/db.cue:10:2: warning: host db-01: no gateway is known for primary_ip4 10.20.0.11/24: put it into the config context, the prefix's custom field "gateway", or tag its address "gateway"` + page + " [gateway-missing]"}},
		{rule: "gateway-outside", networks: true, devices: device(func(d *netboxtest.Device) {
			d.Context = map[string]any{"reconcile": map[string]any{"gateway": "10.30.0.1"}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: gateway 10.30.0.1 is not in 10.20.0.0/24, where primary_ip4 is" + page + " [gateway-outside]"}},
		{rule: "mac-missing", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1"}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: no enabled interface has a primary MAC, so the installer cannot tell its interfaces apart: enter one in NetBox" + page + " [mac-missing]"}},
		{rule: "mac-invalid", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1", MAC: "01:00:5E:00:00:01"}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: interface eno1 has MAC 01:00:5e:00:00:01, which is no single machine's" + page + " [mac-invalid]"}},
		{rule: "mac-duplicate", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "eno1", MAC: "02:00:00:00:00:01"}, {Name: "eno1.5", Type: "virtual", Parent: "eno1", MAC: "02:00:00:00:00:01"}, {Name: "eno2", MAC: "02:00:00:00:00:01"}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: MAC 02:00:00:00:00:01 of interface eno1 also on db-01 eno2 (NetBox id 1)" + page + " [mac-duplicate]",
			"hosts/db.cue:10:2: error: host db-01: MAC 02:00:00:00:00:01 of interface eno2 also on db-01 eno1 (NetBox id 1)" + page + " [mac-duplicate]"}},
		{rule: "lag", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(d *netboxtest.Device) {
			d.Interfaces = []netboxtest.Interface{{Name: "bond0", Type: "lag"}, {Name: "bond1", Type: "lag"},
				{Name: "eno1", MAC: "02:00:00:00:00:01"}, {Name: "eno2", MAC: "02:00:00:00:00:02", LAG: "bond0", Disabled: true},
				{Name: "eno3", LAG: "bond0", VLAN: 7}}
		}), want: []string{
			"hosts/db.cue:10:2: error: host db-01: LAG bond0 has member eno2, which NetBox has disabled" + page + " [lag]",
			"hosts/db.cue:10:2: error: host db-01: LAG bond0 has member eno3, which is in other VLANs" + page + " [lag]",
			"hosts/db.cue:10:2: error: host db-01: LAG bond1 has no members" + page + " [lag]"}},
		{rule: "", networks: true, server: func(s *netboxtest.Server) { s.Prefixes = gateway }, devices: device(func(*netboxtest.Device) {})},
	}
	tested := map[netbox.Rule]bool{}
	for _, tt := range tests {
		t.Run(string(tt.rule), func(t *testing.T) {
			h := tt.host
			if h == nil {
				h = host("db-01")
			}
			f := declared(h)
			if tt.fleet != nil {
				tt.fleet(f)
			}
			nb := &netboxtest.Server{Devices: tt.devices}
			if tt.server != nil {
				tt.server(nb)
			}
			var got []string
			for _, finding := range findings(t, f, nb, tt.networks) {
				got = append(got, finding.String())
				tested[finding.Rule] = true
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	// These two need what netboxtest's seeds cannot say; see below.
	tested[netbox.RuleUnreadable], tested[netbox.RulePrimaryInactive] = true, true
	for rule := range netbox.Rules() {
		if !tested[rule] {
			t.Errorf("rule %s has no test", rule)
		}
	}
}

func nine(format string) (lines []string) {
	for i := range 9 {
		lines = append(lines, fmt.Sprintf(format, i))
	}
	return lines
}

func TestCheckRecorded(t *testing.T) {
	s := &netbox.Snapshot{Version: "4.6.8", Devices: []netbox.Device{{
		ID: 1, Name: "db-01", Serial: "A1", Status: "active", Rack: "r1", URL: "u", OOB: addr("10.0.0.1"), Primary4: prefixes("10.1.0.1/24")[0],
		Problems: []string{`primary_ip6: "nonsense" is not an address`},
	}}, Networks: map[int]netbox.Network{1: {
		Interfaces:    []netbox.Interface{{Name: "a", Enabled: true, MAC: "02:00:00:00:00:01", MACs: []string{"02:00:00:00:00:01"}, Addresses: prefixes("10.1.0.1/24")}},
		Gateway4:      addr("10.1.0.254"),
		PrimaryStatus: map[string]string{"10.1.0.1/24": "reserved"},
	}}}
	got := texts(netbox.Check(declared(host("db-01")), s))
	want := []string{
		`hosts/db.cue:10:2: error: host db-01: primary_ip4 10.1.0.1/24 has status "reserved" in NetBox, not "active" - u [primary-inactive]`,
		`hosts/db.cue:10:2: error: host db-01: NetBox's primary_ip6: "nonsense" is not an address: correct it in NetBox - u [unreadable]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func texts(list []netbox.Finding) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.String())
	}
	return out
}

// Fifty mistakes are fifty findings, in the order of the files, in one go.
func TestCheckFifty(t *testing.T) {
	mistakes := []func(*netboxtest.Device){
		func(d *netboxtest.Device) { d.Serial = "" },
		func(d *netboxtest.Device) { d.OOB = "" },
		func(d *netboxtest.Device) { d.Status = "offline" },
		func(d *netboxtest.Device) { d.Role = "web" },
		func(d *netboxtest.Device) { d.Tags = []string{"blue"} },
	}
	var hosts []*schema.Host
	nb := &netboxtest.Server{}
	for i := range 50 {
		name := fmt.Sprintf("db-%02d", 50-i) // names run against the lines
		hosts = append(hosts, host(name))
		d := healthy(name, i+1)
		mistakes[i%len(mistakes)](&d)
		nb.Devices = append(nb.Devices, d)
	}
	got := findings(t, declared(hosts...), nb, false)
	if len(got) != 50 {
		t.Fatalf("got %d findings, want 50", len(got))
	}
	if !slices.IsSortedFunc(got, func(a, b netbox.Finding) int { return a.Pos.Compare(b.Pos) }) {
		t.Error("the findings are not sorted by file and line")
	}
	golden(t, "fifty.txt", strings.Join(texts(got), "\n")+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (run with -update to accept):\n%s", path, diff)
	}
}

// Findings carry both sides as data, not only as words.
func TestFindingData(t *testing.T) {
	d := healthy("db-01", 11)
	got := findings(t, declared(&schema.Host{Name: "db-01", Serial: "OTHER"}), &netboxtest.Server{Devices: []netboxtest.Device{d}}, false)
	want := []netbox.Finding{{
		Rule: netbox.RuleSerialMismatch, Severity: netbox.Error, Host: "db-01", Field: "serial", Want: "OTHER", Got: "7XK4Q11",
		URL: "https://netbox.example.net/dcim/devices/1/", Pos: schema.Position{File: "hosts/db.cue", Line: 13, Column: 4},
		Msg: `declared with serial "OTHER", NetBox says "7XK4Q11": correct the wrong side`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckSeverities(t *testing.T) {
	d := healthy("db-01", 11)
	d.Status, d.Rack, d.OOB = "offline", "", ""
	f := declared(host("db-01"))
	f.Policy.NetBox.Severity = map[string]string{"status": "warning", "rack-missing": "error", "oob-missing": "off"}
	var got []string
	for _, x := range findings(t, f, &netboxtest.Server{Devices: []netboxtest.Device{d}}, false) {
		got = append(got, string(x.Rule)+" "+string(x.Severity))
	}
	// A missing BMC address cannot be wished away.
	if diff := cmp.Diff([]string{"oob-missing error", "rack-missing error", "status warning", "policy warning"}, got); diff != "" {
		t.Error(diff)
	}
}

// A config context is held against the fleet's #Context.
func TestContextRule(t *testing.T) {
	f, err := schema.Load(fstest.MapFS{"a.tmpl": {Data: []byte("x")}, "fleet.cue": {Data: []byte(`package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet

images: "rocky-9.6": {family: "rhel", url: "https://mirror.example.com/r.iso", sha256: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}
roles: db: {answer: template: "a.tmpl", rollout: domain: "site"}
hosts: [=~"^db"]: {os: "rocky-9.6", role: "db"}
hosts: "db-01": {}
hosts: "db-02": {}
policy: bmc: credentials: "default"
#Context: schema.#Context & {
	disk: "sda" | "sdb"
	size?: int & >0
}
`)}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	one, two := healthy("db-01", 1), healthy("db-02", 2)
	one.Site, two.Site = "", ""
	one.Context = map[string]any{"reconcile": map[string]any{"disk": "sda", "size": 3}, "other": 1}
	two.Context = map[string]any{"reconcile": map[string]any{"disk": "nvme0n1", "size": -1, "sise": 1}}
	var got []string
	for _, finding := range findings(t, f, &netboxtest.Server{Devices: []netboxtest.Device{one, two}}, false) {
		got = append(got, finding.String())
	}
	want := []string{
		`fleet.cue:11:8: error: host db-02: config context reconcile.disk: conflicting values "sda" and "nvme0n1"; conflicting values "sdb" and "nvme0n1" (fleet.cue:14:8): correct it in NetBox, or #Context in the fleet - https://netbox.example.net/dcim/devices/2/ [context]`,
		`fleet.cue:11:8: error: host db-02: config context reconcile.size: invalid value -1 (out of bound >0) (fleet.cue:15:15): correct it in NetBox, or #Context in the fleet - https://netbox.example.net/dcim/devices/2/ [context]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
