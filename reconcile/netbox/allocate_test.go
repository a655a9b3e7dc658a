package netbox_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// homeless is a NetBox with a device that has no address.
func homeless() *netboxtest.Server {
	return &netboxtest.Server{
		Devices: []netboxtest.Device{{Name: "web-01", OOB: "10.0.0.11/24"}, {Name: "web-02", Primary4: "10.20.0.1/29"},
			{Name: "web-03", Interfaces: []netboxtest.Interface{{Name: "eno1"}, {Name: "eno2"}}}},
		Prefixes: []netboxtest.Prefix{{Prefix: "10.20.0.0/29"}, {Prefix: "10.20.0.0/29", VRF: "blue"}, {Prefix: "10.20.0.0/16", Status: "container"},
			{Prefix: "2001:db8::/64"}, {Prefix: "10.30.0.0/31"}, {Prefix: "10.40.0.0/24"}, {Prefix: "10.40.0.0/24"}},
		Addresses: []netboxtest.Address{{Address: "10.30.0.0/31"}, {Address: "10.30.0.1/31"}},
	}
}

func TestAllocate(t *testing.T) {
	tests := []struct {
		name   string
		device int
		prefix string
		vrf    string
		port   string
		want   string
		writes int
		err    string
	}{
		{name: "free", device: 1, prefix: "10.20.0.0/29", want: "10.20.0.2/29", writes: 2},
		{name: "IPv6", device: 1, prefix: "2001:db8::/64", want: "2001:db8::1/64", writes: 2},
		{name: "has one", device: 2, prefix: "10.20.0.0/29", want: "10.20.0.1/29"},
		{name: "named interface", device: 3, prefix: "10.20.0.0/29", port: "eno2", want: "10.20.0.2/29", writes: 2},
		{name: "VRF", device: 1, prefix: "10.20.0.0/29", vrf: "blue", want: "10.20.0.2/29", writes: 2},
		{name: "two interfaces", device: 3, prefix: "10.20.0.0/29", err: "2 of its interfaces could bear it; name one in the fleet (addresses.interface)"},
		{name: "unknown interface", device: 3, prefix: "10.20.0.0/29", port: "eth0", err: `the device has no interface "eth0"`},
		{name: "unknown prefix", device: 1, prefix: "10.99.0.0/24", err: "NetBox has no such prefix"},
		{name: "unknown VRF", device: 1, prefix: "10.20.0.0/29", vrf: "red", err: "NetBox has no such prefix"},
		{name: "container", device: 1, prefix: "10.20.0.0/16", err: "NetBox calls the prefix a container, which has no addresses of its own"},
		{name: "twice", device: 1, prefix: "10.40.0.0/24", err: "NetBox has the prefix more than once"},
		{name: "exhausted", device: 1, prefix: "10.30.0.0/31", err: "409 Conflict: An insufficient number of IP addresses are available within the prefix", writes: 1},
		{name: "no device", device: 99, prefix: "10.20.0.0/29", err: "NetBox does not show the device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			nb := homeless()
			ask := netbox.Allocation{DeviceID: tt.device, Prefix: netip.MustParsePrefix(tt.prefix), VRF: tt.vrf, Interface: tt.port}
			got, err := client(nb).Allocate(t.Context(), ask)
			if tt.err != "" {
				want := fmt.Sprintf("taking an address of %s for device %d: ", tt.prefix, tt.device)
				if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got  %v\nwant %s…%s", err, want, tt.err)
				}
			} else if err != nil || got.String() != tt.want {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
			if n := len(nb.Writes()); n != tt.writes {
				t.Errorf("%d writes, want %d", n, tt.writes)
			}
			if tt.err != "" {
				return
			}
			nb.Forget()
			if again, err := client(nb).Allocate(t.Context(), ask); err != nil || again != got || len(nb.Writes()) > 0 {
				t.Errorf("the repeat got %v, %v with %d writes", again, err, len(nb.Writes()))
			}
		})
	}
}

// Whatever happens to an answer, no device ever gets two addresses, and the
// next run finds what was given out.
func TestAllocateFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  netboxtest.Fault
		posts  int // of the first run
		unsure bool
	}{
		"lost answer":        {netboxtest.Fault{Method: "POST", Lost: true, Times: 1}, 1, true},
		"reset":              {netboxtest.Fault{Method: "POST", Reset: true, Times: 1}, 1, true},
		"gateway timeout":    {netboxtest.Fault{Method: "POST", Status: 504, Times: 1}, 1, true},
		"HTML with 200":      {netboxtest.Fault{Method: "POST", ContentType: "text/html", Body: "<p>", Times: 1}, 1, true},
		"another answer":     {netboxtest.Fault{Method: "POST", Body: `[{"id":7,"address":"10.99.0.1/24"}]`, Times: 1}, 1, false},
		"too many":           {netboxtest.Fault{Method: "POST", Body: `[{"id":7},{"id":8}]`, Times: 1}, 1, true},
		"redirect":           {netboxtest.Fault{Method: "POST", Redirect: "https://sso.example.net", Times: 1}, 1, true},
		"lost update":        {netboxtest.Fault{Method: "PATCH", Lost: true, Times: 1}, 1, false},
		"refused update":     {netboxtest.Fault{Method: "PATCH", Status: 400, Times: 1}, 1, false},
		"forbidden":          {netboxtest.Fault{Method: "POST", Status: 403, Times: 1}, 1, false},
		"unreadable devices": {netboxtest.Fault{Method: "GET", Path: "devices", Status: 500, Times: 1}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nb := homeless()
				nb.Faults = []netboxtest.Fault{tt.fault}
				ask := netbox.Allocation{DeviceID: 1, Prefix: netip.MustParsePrefix("10.20.0.0/29")}
				_, err := client(nb).Allocate(t.Context(), ask)
				if errors.Is(err, netbox.ErrUnsure) != tt.unsure {
					t.Errorf("got %v", err)
				}
				posts := 0
				for _, r := range nb.Writes() {
					if r.Method == "POST" {
						posts++
					}
				}
				if posts != tt.posts {
					t.Errorf("%d POSTs, want %d", posts, tt.posts)
				}
				got, err := client(nb).Allocate(t.Context(), ask)
				if err != nil || got.String() != "10.20.0.2/29" {
					t.Fatalf("the next run got %v, %v", got, err)
				}
				if o, ok := nb.Object("web-01")["primary_ip4"].(map[string]any); !ok || o["address"] != "10.20.0.2/29" {
					t.Errorf("the device has %v", o)
				}
			})
		})
	}
}
