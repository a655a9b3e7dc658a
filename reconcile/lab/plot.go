package lab

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// A plot is where one host stands: what NetBox would know of it.
type plot struct {
	host    *schema.Host
	number  int // from 1, over the whole fleet
	site    string
	rack    string
	serial  string
	oob     string
	address string // primary IPv4
	gateway string
	vendor  bmctest.Vendor
	ports   []int
}

// perRack is how many hosts share a rack.
const perRack = 5

// vendors are what stands in the racks, one after the other.
var vendors = []bmctest.Vendor{
	bmctest.IDRAC9v7, bmctest.ILO6, bmctest.SupermicroX13, bmctest.LenovoXCC,
	bmctest.OpenBMC, bmctest.IDRAC9, bmctest.ILO5, bmctest.GB200, bmctest.ILO7, bmctest.DGX,
}

// plots gives every host of a fleet its place, the same each time.
func plots(fleet *schema.Fleet) []plot {
	bySite := map[string][]*schema.Host{}
	var sites []string
	for _, name := range fleet.HostNames() {
		h := fleet.Hosts[name]
		if bySite[h.Site] == nil {
			sites = append(sites, h.Site)
		}
		bySite[h.Site] = append(bySite[h.Site], h)
	}
	slices.Sort(sites)
	var all []plot
	for s, site := range sites {
		for i, h := range bySite[site] {
			n := len(all) + 1
			all = append(all, plot{
				host: h, number: n, site: siteSlug(site), rack: fmt.Sprintf("%c%d", 'a'+s, i/perRack+1),
				serial: serial(h.Name), oob: fmt.Sprintf("10.%d.0.%d", 10+s, 10+i),
				address: fmt.Sprintf("10.%d.1.%d", 10+s, 10+i), gateway: fmt.Sprintf("10.%d.1.1", 10+s),
				vendor: vendors[(n-1)%len(vendors)], ports: ports(fleet.Roles[h.Role]),
			})
		}
	}
	return all
}

func siteSlug(site string) string {
	if site == "" {
		return "lab"
	}
	return slug(path.Base(site))
}

func slug(s string) string { return strings.ToLower(strings.ReplaceAll(s, ".", "-")) }

// serial makes up a serial number out of a name.
func serial(name string) string {
	h := fnv.New32a()
	h.Write([]byte(name))
	return fmt.Sprintf("LAB%07X", h.Sum32()&0xfffffff)
}

// ports are what a role's checks look for.
func ports(role *schema.Role) []int {
	open := []int{22}
	for _, c := range role.Verify {
		switch c.Kind() {
		case "tcp":
			open = append(open, c.TCP)
		case "http":
			open = append(open, 80)
		}
	}
	slices.Sort(open)
	return slices.Compact(open)
}

// device is the plot as NetBox has it: two ports in a bond, a primary address,
// a management port.
func (p plot) device() netboxtest.Device {
	mac := func(port int) string { return fmt.Sprintf("02:00:5e:10:%02x:%02x", p.number, port) }
	return netboxtest.Device{
		Name: p.host.Name, Serial: p.serial, Site: p.site, Rack: p.rack, Position: float64(p.number%perRack)*2 + 1,
		Role: slug(p.host.Role), OOB: p.oob + "/24", Primary4: p.address + "/24",
		DeviceType: "pretender-1", Manufacturer: slug(string(p.vendor)),
		Interfaces: []netboxtest.Interface{
			{Name: "bond0", Type: "lag", Addresses: []string{p.address + "/24"}, DNSName: p.host.Name + ".example.com"},
			{Name: "eno1", MAC: mac(1), LAG: "bond0"},
			{Name: "eno2", MAC: mac(2), LAG: "bond0"},
			{Name: "bmc", Type: "1000base-t", MAC: mac(9), MgmtOnly: true, Addresses: []string{p.oob + "/24"}},
		},
		Context: map[string]any{"reconcile": map[string]any{
			"gateway": p.gateway, "dns": []any{"10.0.0.53"}, "ntp": []any{"10.0.0.123"},
		}},
	}
}

// prefixes are the networks of the plots, two for each site.
func prefixes(all []plot) []netboxtest.Prefix {
	var list []netboxtest.Prefix
	seen := map[string]bool{}
	for _, p := range all {
		for _, address := range []string{p.oob, p.address} {
			prefix := netip.PrefixFrom(netip.MustParseAddr(address), 24).Masked().String()
			if !seen[prefix] {
				seen[prefix] = true
				list = append(list, netboxtest.Prefix{Prefix: prefix, Site: p.site})
			}
		}
	}
	return list
}

// quick returns a vendor's quirks with its slownesses shortened, so that the
// lab shows the same order of things in seconds.
func quick(v bmctest.Vendor) *bmctest.Quirks {
	q := v.Quirks()
	for _, d := range []*time.Duration{&q.PowerLag, &q.OnRefused, &q.InsertLag, &q.EjectLag, &q.EnableRMediaLag} {
		*d /= 50
	}
	return &q
}
