package schema_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/schema"
)

func TestAddresses(t *testing.T) {
	load := func(addresses string) (*schema.Host, error) {
		f, err := schema.Load(fstest.MapFS{
			"fleet.cue": {Data: []byte(contextFleet + "hosts: \"db-01\": addresses: " + addresses + "\n")}, "a.tmpl": {Data: []byte("x")},
		}, ".")
		if err != nil {
			return nil, err
		}
		return f.Hosts["db-01"], nil
	}
	h, err := load(`{from: ["10.20.0.0/24", "2001:db8::/64"], vrf: "blue", interface: "eno1"}`)
	want := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24"), netip.MustParsePrefix("2001:db8::/64")}
	if err != nil || !slices.Equal(h.Addresses.From, want) || h.Addresses.VRF != "blue" || h.Addresses.Interface != "eno1" {
		t.Errorf("got %+v, %v", h, err)
	}
	for addresses, want := range map[string]string{
		`{from: ["10.20.0.1/24"]}`:                 `"10.20.0.1/24" is not a network such as 10.20.0.0/24`,
		`{from: ["10.20.0.0/99"]}`:                 `"10.20.0.0/99" is not a network such as 10.20.0.0/24`,
		`{from: ["10.20.0.0/24", "10.21.0.0/24"]}`: `10.21.0.0/24 is the second of its family`,
		`{from: []}`:                         `hosts.db-01.addresses.from`,
		`{vrf: "blue"}`:                      `hosts.db-01.addresses.from`,
		`{from: ["10.20.0.0/24"], vfr: "x"}`: `unknown field; did you mean "vrf"?`,
	} {
		if _, err := load(addresses); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "fleet.cue:") {
			t.Errorf("%s: got %v, want %s", addresses, err, want)
		}
	}
}
