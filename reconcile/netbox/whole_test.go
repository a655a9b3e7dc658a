package netbox_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/schema"
)

// A whole is a NetBox that the whole layer is run against: netboxtest here, a
// real one under the live tag. What is seen of both must be equal.
type whole struct {
	name string // of this run: what it seeds begins with it
	net  int    // the third number of its addresses, 0 to 255

	client  func() *netbox.Client
	set     func(t *testing.T, device string, values map[string]any) // as a person does
	journal func(t *testing.T, device string) []netboxtest.JournalEntry
}

// A seen is what the layer saw, without what differs from one NetBox to the
// next: ids, times, addresses of pages.
type seen struct {
	Devices  []netbox.Device
	Outside  []netbox.Device
	Networks map[string]netbox.Network
	Findings []string
}

func (w *whole) tag() string { return w.name }
func (w *whole) key() string { return strings.ReplaceAll(w.name, "-", "_") }
func (w *whole) host(suffix string) string {
	return w.name + "-" + suffix
}

// seeds are the devices of the run: a server with a bond, one without an
// address, one outside the scope, one without a name, and a blade's neighbour
// that a person has put the brake on.
func (w *whole) seeds() ([]netboxtest.Device, []netboxtest.Prefix, []netboxtest.Address) {
	slug := func(s string) string { return w.name + "-" + s }
	mac := func(n int) string { return fmt.Sprintf("02:4C:%02X:00:%02X:%02X", w.net, w.net, n) }
	base := netboxtest.Device{Site: slug("site"), Role: slug("server"), DeviceType: slug("r650"), Manufacturer: slug("maker"),
		Tags: []string{w.tag()}}
	a, b, c, d, e := base, base, base, base, base
	a.Name, a.Serial, a.AssetTag, a.Status = w.host("a"), " 7XK4Q33-"+w.name, w.host("at"), "staged"
	a.Location, a.Rack, a.Position, a.Platform, a.Tenant = slug("hall"), slug("r1"), 12, slug("rocky-9-5"), slug("infra")
	a.OOB, a.Primary4, a.Primary6 = fmt.Sprintf("198.18.%d.11/24", w.net), fmt.Sprintf("198.19.%d.11/25", w.net), fmt.Sprintf("2001:db8:%x::b/64", w.net)
	a.Context = map[string]any{w.key(): map[string]any{"gateway": map[string]any{"v6": fmt.Sprintf("2001:db8:%x::1", w.net)},
		"dns": []any{"192.0.2.53"}, "port": 1000000, "ratio": 0.5, "text": "é\n\"x\"", "none": nil}, "other": 1}
	a.Interfaces = []netboxtest.Interface{
		{Name: "bond0", Type: "lag", MTU: 9000, VLAN: 3100, TaggedVLANs: []int{3101, 3102}, Addresses: []string{a.Primary4, a.Primary6}},
		{Name: "eno1", Type: "25gbase-x-sfp28", LAG: "bond0", MAC: mac(1), OtherMACs: []string{mac(9)}},
		{Name: "eno2", Type: "25gbase-x-sfp28", LAG: "bond0", MAC: mac(2), Disabled: true},
		{Name: "bond0.3101", Type: "virtual", Parent: "bond0", Addresses: []string{fmt.Sprintf("198.19.%d.140/26", w.net)}},
		{Name: "idrac", Type: "1000base-t", MgmtOnly: true, MAC: mac(3), Addresses: []string{a.OOB}},
	}
	b.Name, b.Serial, b.OOB = w.host("b"), "7XK4Q34-"+w.name, fmt.Sprintf("198.18.%d.12/24", w.net)
	b.Interfaces = []netboxtest.Interface{
		{Name: "eno1", OtherMACs: []string{mac(4)}}, {Name: "eno2", Disabled: true},
		{Name: "idrac", Type: "1000base-t", MgmtOnly: true, Addresses: []string{b.OOB}},
	}
	c.Name, c.Tags, c.Interfaces = w.host("c"), []string{}, []netboxtest.Interface{}
	d.Interfaces = []netboxtest.Interface{}
	e.Name, e.Serial, e.Status, e.Tags = w.host("e"), "N/A", "decommissioning", []string{w.tag(), "no-reinstall"}
	e.Interfaces = []netboxtest.Interface{}
	prefixes := []netboxtest.Prefix{
		{Prefix: fmt.Sprintf("198.19.%d.0/24", w.net), Status: "container"}, {Prefix: fmt.Sprintf("198.19.%d.0/25", w.net)},
		{Prefix: fmt.Sprintf("198.19.%d.128/26", w.net)}, {Prefix: fmt.Sprintf("198.19.%d.192/29", w.net)}, {Prefix: fmt.Sprintf("2001:db8:%x::/64", w.net)},
	}
	addresses := []netboxtest.Address{
		{Address: fmt.Sprintf("198.19.%d.1/25", w.net), Tags: []string{"gateway"}}, {Address: fmt.Sprintf("198.19.%d.2/25", w.net), Tags: []string{"ntp"}},
		{Address: fmt.Sprintf("198.19.%d.193/29", w.net)},
	}
	return []netboxtest.Device{a, b, c, d, e}, prefixes, addresses
}

// fleet declares the hosts of the run, and one that NetBox does not have.
func (w *whole) fleet() *schema.Fleet {
	f := declared(host(w.host("a")), host(w.host("b")), host(w.host("c")), host(w.host("e")), host(w.host("none")))
	f.Policy.NetBox.Scope.Tag, f.Policy.NetBox.ContextKey = w.tag(), w.key()
	return f
}

// observe reads everything and checks it.
func (w *whole) observe(t *testing.T) (*netbox.Snapshot, seen) {
	t.Helper()
	f, c := w.fleet(), w.client()
	s, err := c.Scan(t.Context(), netbox.Scope(f.Policy.NetBox.Scope), f.HostNames())
	if err != nil {
		t.Fatal(err)
	}
	out := seen{Networks: map[string]netbox.Network{}}
	var ids []int
	for _, d := range s.Devices {
		ids = append(ids, d.ID)
	}
	if err := c.Networks(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	for _, finding := range netbox.Check(f, s) {
		finding.URL = ""
		line := finding.String()
		for _, d := range s.Devices {
			line = strings.ReplaceAll(line, fmt.Sprintf("device %d ", d.ID), "device ID ")
		}
		if finding.Rule != netbox.RuleVersion {
			out.Findings = append(out.Findings, line)
		}
	}
	bare := func(d netbox.Device) netbox.Device {
		d.ID, d.URL, d.LastUpdated = 0, "", time.Time{}
		fields := map[string]any{} // a NetBox in use has others
		for name, v := range d.CustomFields {
			if strings.HasPrefix(name, "reconcile_") || name == "last_installed" {
				fields[name] = v
			}
		}
		d.CustomFields = fields
		return d
	}
	for _, d := range s.Devices {
		n := s.Networks[d.ID]
		for i := range n.Interfaces {
			n.Interfaces[i].ID = 0
		}
		out.Networks[d.Name] = n
		out.Devices = append(out.Devices, bare(d))
	}
	for _, d := range s.Outside {
		out.Outside = append(out.Outside, bare(d))
	}
	return s, out
}

// run takes the whole layer through its paces and returns what it saw.
func (w *whole) run(t *testing.T) []seen {
	c := w.client()
	// Setup creates what is lacking, and has nothing to do when it is there.
	for _, apply := range []bool{true, false, true} {
		got, err := c.Setup(t.Context(), w.tag(), apply)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got {
			if p.State != netbox.Exists && p.State != netbox.Created {
				t.Errorf("%s %s: %s %s", p.Kind, p.Name, p.State, p.Detail)
			}
		}
	}
	s, first := w.observe(t)
	a, b := s.ByName()[w.host("a")], s.ByName()[w.host("b")]
	if a == nil || b == nil {
		t.Fatalf("got %+v", s.Devices)
	}
	w.lies(t, a.ID)

	// Writing back, and again.
	r := netbox.Record{DeviceID: a.ID, Run: "r7x2", Commit: "4f2c9d1", Marker: "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6", Image: "rocky-9.6",
		Role: "db", Outcome: "installed", Generation: 2, Started: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC),
		Finished: time.Date(2026, 11, 21, 3, 12, 3, 0, time.UTC), Link: "https://ci.example.net/runs/7",
		Platform: w.name + "-rocky-9-6", Status: "active", CustomFields: map[string]any{"no_such_field": 1}}
	for range 2 {
		if err := c.WriteBack(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.journal(t, a.Name); len(got) != 1 || got[0].Kind != "success" || !strings.HasPrefix(got[0].Comments, "reconcile run r7x2: installed\n") {
		t.Errorf("journal %+v", got)
	}

	// A free address, and again.
	ask := netbox.Allocation{DeviceID: b.ID, Prefix: netip.MustParsePrefix(fmt.Sprintf("198.19.%d.192/29", w.net)), DNSName: w.host("b") + ".example.net"}
	want := netip.MustParsePrefix(fmt.Sprintf("198.19.%d.194/29", w.net))
	for range 2 {
		if got, err := c.Allocate(t.Context(), ask); err != nil || got != want {
			t.Fatalf("got %v, %v, want %v", got, err, want)
		}
	}
	_, second := w.observe(t)

	// What people do meanwhile is seen.
	w.set(t, a.Name, map[string]any{"status": "offline"})
	w.set(t, b.Name, map[string]any{"tags": []map[string]any{{"slug": "no-reinstall"}}})
	now, err := c.Recheck(t.Context(), a.ID, b.ID, 2_000_000_000)
	if err != nil || len(now) != 2 {
		t.Fatalf("got %v, %v", now, err)
	}
	policy := &w.fleet().Policy.NetBox
	for d, want := range map[*netbox.Device]string{
		a: `NetBox's status was "staged" and is "offline" now`,
		b: fmt.Sprintf(`its device lacks tag %q now; its device bears the tag "no-reinstall"`, w.tag()),
	} {
		if got := netbox.Objection(policy, d, now[d.ID]); got != want {
			t.Errorf("%s: got %s, want %s", d.Name, got, want)
		}
	}
	return []seen{first, second}
}

// lies puts a proxy in front that takes filters away, as a misspelt one does:
// NetBox then answers the full table with 200.
func (w *whole) lies(t *testing.T, id int) {
	t.Helper()
	for param, use := range map[string]func(c *netbox.Client) error{
		"tag": func(c *netbox.Client) error {
			_, err := c.Scan(t.Context(), netbox.Scope{Tag: w.tag()}, nil)
			return err
		},
		"site": func(c *netbox.Client) error {
			_, err := c.Scan(t.Context(), netbox.Scope{Site: w.host("empty")}, nil)
			return err
		},
		"name": func(c *netbox.Client) error {
			_, err := c.Scan(t.Context(), netbox.Scope{Tag: w.tag()}, []string{w.host("none")})
			return err
		},
		"id": func(c *netbox.Client) error {
			_, err := c.Recheck(t.Context(), id)
			return err
		},
	} {
		c := w.client()
		c.HTTP = &http.Client{Transport: without{c.HTTP.Transport, param}}
		if err := use(c); !errors.Is(err, netbox.ErrFilterIgnored) {
			t.Errorf("without the filter %s: %v", param, err)
		}
	}
}

// without misspells one parameter of every query.
type without struct {
	next  http.RoundTripper
	param string
}

func (w without) RoundTrip(r *http.Request) (*http.Response, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if values := q[w.param]; len(values) > 0 {
		q.Del(w.param)
		q[w.param+"_misspelt"] = values
		r = r.Clone(context.WithoutCancel(r.Context()))
		r.URL.RawQuery = q.Encode()
	}
	return w.next.RoundTrip(r)
}

// pretended is the whole against netboxtest.
func pretended(version, name string, net int) *whole {
	nb := &netboxtest.Server{Version: version}
	w := &whole{name: name, net: net}
	nb.Devices, nb.Prefixes, nb.Addresses = w.seeds()
	nb.Platforms, nb.Sites = []string{name + "-rocky-9-6"}, []string{name + "-empty"}
	w.client = func() *netbox.Client {
		c := client(nb)
		c.ContextKey = w.key()
		return c
	}
	w.set = func(t *testing.T, device string, values map[string]any) {
		t.Helper()
		if err := nb.Set(device, values); err != nil {
			t.Fatal(err)
		}
	}
	w.journal = func(_ *testing.T, device string) []netboxtest.JournalEntry { return nb.Journal(device) }
	return w
}

// The whole layer works with every release, and sees the same in all of them.
func TestWholeLayer(t *testing.T) {
	var want []seen
	for _, version := range []string{"4.6.8", "4.2.9", "4.3.7", "4.4.10", "4.5.10", "4.7.0"} {
		got := pretended(version, "pretended", 7).run(t)
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(want, got, netips); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
	if len(want) != 2 || len(want[0].Findings) == 0 {
		t.Errorf("got %+v", want)
	}
}
