package netbox

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	nb "github.com/netbox-community/go-netbox/v4"
	"golang.org/x/sync/errgroup"
)

// maxDevices is how many devices' interfaces one request asks for: their ids
// fit in a request line.
const maxDevices = 200

// Networks reads how the given devices of the snapshot are connected and adds
// it to s.Networks: two requests for each 200 devices, one or two for
// prefixes when the devices are few, and up to three for tagged addresses. It sends GET only. Devices
// that are in s.Networks already are not read again.
func (c *Client) Networks(ctx context.Context, s *Snapshot, ids []int) error {
	if err := c.open(); err != nil {
		return err
	}
	devices := make(map[int]*Device)
	for i := range s.Devices {
		d := &s.Devices[i]
		if _, done := s.Networks[d.ID]; !done && slices.Contains(ids, d.ID) {
			devices[d.ID] = d
		}
	}
	for _, id := range ids {
		if _, done := s.Networks[id]; !done && devices[id] == nil {
			return fmt.Errorf("netbox: device %d is not in the snapshot", id)
		}
	}
	if len(devices) == 0 {
		return nil
	}
	w, err := c.wiring(ctx, devices)
	if err != nil {
		return err
	}
	networks := make(map[int]Network, len(devices))
	for id, d := range devices {
		networks[id] = w.network(d)
	}
	if err := c.services(ctx, w, devices, networks); err != nil {
		return err
	}
	if s.Networks == nil {
		s.Networks = make(map[int]Network)
	}
	maps.Copy(s.Networks, networks)
	return nil
}

// wiring is what NetBox knows of the network of some devices.
type wiring struct {
	interfaces map[int][]wireInterface // by device
	addresses  map[int][]wireAddress   // by interface
	prefixes   []prefix                // most specific first
	vrfs       map[vrfOf]int           // of the prefixes around primary addresses
}

// A vrfOf is a prefix around a primary address of a device.
type vrfOf struct {
	device int
	net    netip.Prefix
}

type prefix struct {
	net    netip.Prefix
	vrf    int
	fields map[string]any
}

// wiring reads interfaces, addresses and prefixes.
func (c *Client) wiring(ctx context.Context, devices map[int]*Device) (*wiring, error) {
	ids := slices.Sorted(maps.Keys(devices))
	w := &wiring{vrfs: make(map[vrfOf]int), interfaces: make(map[int][]wireInterface), addresses: make(map[int][]wireAddress)}
	count := (len(ids) + maxDevices - 1) / maxDevices
	interfaces, addresses := make([][]wireInterface, count), make([][]wireAddress, count)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.parallel())
	next := 0
	for chunk := range slices.Chunk(ids, maxDevices) {
		i := next
		next++
		g.Go(func() (err error) { interfaces[i], err = c.interfaces(ctx, chunk); return err })
		g.Go(func() (err error) { addresses[i], err = c.addressesOf(ctx, chunk); return err })
	}
	g.Go(func() (err error) { w.prefixes, err = c.prefixes(ctx, devices); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, row := range slices.Concat(interfaces...) {
		w.interfaces[row.Device.ID] = append(w.interfaces[row.Device.ID], row)
	}
	for _, row := range slices.Concat(addresses...) {
		if row.AssignedType == "dcim.interface" {
			w.addresses[row.AssignedID] = append(w.addresses[row.AssignedID], row)
		}
	}
	return w, nil
}

func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id) //nolint:gosec // NetBox's ids come as int32 from its own rows
	}
	return out
}

func (c *Client) interfaces(ctx context.Context, devices []int) ([]wireInterface, error) {
	return listing[wireInterface]{
		what: "interfaces", query: url.Values{"fields": {interfaceFields}}, row: decodeRow[wireInterface],
		id: func(i *wireInterface) int { return i.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := c.api.DcimAPI.DcimInterfacesList(ctx).DeviceId(int32s(devices)).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
}

func (c *Client) addressesOf(ctx context.Context, devices []int) ([]wireAddress, error) {
	return c.addresses(ctx, func(r nb.ApiIpamIpAddressesListRequest) nb.ApiIpamIpAddressesListRequest {
		return r.DeviceId(int32s(devices))
	})
}

func (c *Client) addresses(ctx context.Context, filter func(nb.ApiIpamIpAddressesListRequest) nb.ApiIpamIpAddressesListRequest) ([]wireAddress, error) {
	return listing[wireAddress]{
		what: "IP addresses", query: url.Values{"fields": {addressFields}}, row: decodeRow[wireAddress],
		id: func(a *wireAddress) int { return a.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := filter(c.api.IpamAPI.IpamIpAddressesList(ctx)).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
}

// prefixes reads the prefixes around the devices' primary addresses, the most
// specific first. Asking for those that there could be takes one request for
// about a hundred; where that is more than reading all prefixes, all are read.
func (c *Client) prefixes(ctx context.Context, devices map[int]*Device) ([]prefix, error) {
	var asked []string
	for _, d := range devices {
		for _, p := range []netip.Prefix{d.Primary4, d.Primary6} {
			asked = append(asked, supernets(p.Addr())...)
		}
	}
	slices.Sort(asked)
	asked = slices.Compact(asked) // none, where no device has an address
	parts := slices.Collect(chunks(asked, len(asked)+1, func(s string) int { return len("&prefix=") + len(url.QueryEscape(s)) }))
	if len(parts) > maxGuesses {
		count, err := c.countPrefixes(ctx)
		if err != nil {
			return nil, err
		}
		if (count+pageSize-1)/pageSize < len(parts) {
			rows, err := c.listPrefixes(ctx, nil)
			return sortedPrefixes(rows, err)
		}
	}
	found := make([][]wirePrefix, len(parts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.parallel())
	for i, part := range parts {
		g.Go(func() (err error) {
			if found[i], err = c.listPrefixes(ctx, part); err != nil {
				return err
			}
			for _, row := range found[i] {
				if !slices.Contains(part, row.Prefix) {
					return fmt.Errorf("reading prefixes from NetBox: %w: asked for %d prefixes, it sent %s", ErrFilterIgnored, len(part), oneLine(row.Prefix))
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return sortedPrefixes(slices.Concat(found...), nil)
}

// maxGuesses is how many requests for possible prefixes are sent without
// counting first how many prefixes there are.
const maxGuesses = 3

// supernets are the prefixes that could be around an address.
func supernets(a netip.Addr) []string {
	if !a.IsValid() {
		return nil
	}
	shortest := 8
	if a.Is6() {
		shortest = 16
	}
	var out []string
	for bits := shortest; bits <= a.BitLen(); bits++ {
		out = append(out, netip.PrefixFrom(a, bits).Masked().String())
	}
	return out
}

// countPrefixes asks how many prefixes there are.
func (c *Client) countPrefixes(ctx context.Context) (count int, err error) {
	k := call{query: url.Values{"fields": {"id"}}, sink: func(r io.Reader) (err error) {
		count, err = decodePage(r, func([]byte) error { return nil })
		return err
	}}
	err = c.get(ctx, "prefixes", k, func(ctx context.Context) (*http.Response, error) {
		_, resp, err := c.api.IpamAPI.IpamPrefixesList(ctx).Limit(1).Execute()
		return resp, err
	})
	return count, err
}

// listPrefixes reads the named prefixes, nil for all.
func (c *Client) listPrefixes(ctx context.Context, names []string) ([]wirePrefix, error) {
	return listing[wirePrefix]{
		what: "prefixes", query: url.Values{"fields": {prefixFields}}, row: decodeRow[wirePrefix],
		id: func(p *wirePrefix) int { return p.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			r := c.api.IpamAPI.IpamPrefixesList(ctx)
			if names != nil {
				r = r.Prefix(names)
			}
			_, resp, err := r.Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
}

// sortedPrefixes brings rows into the form that is used.
func sortedPrefixes(rows []wirePrefix, err error) ([]prefix, error) {
	if err != nil {
		return nil, err
	}
	in := newInterner()
	out := make([]prefix, 0, len(rows))
	for i := range rows {
		p, err := netip.ParsePrefix(rows[i].Prefix)
		if err != nil {
			return nil, fmt.Errorf("reading prefixes from NetBox: %w: prefix %q", errMalformed, oneLine(rows[i].Prefix))
		}
		fields, err := in.object(rows[i].CustomFields)
		if err != nil {
			return nil, fmt.Errorf("reading prefixes from NetBox: custom fields of %s: %w", p, err)
		}
		out = append(out, prefix{net: p.Masked(), vrf: rows[i].VRF.ID, fields: plainFields(fields)})
	}
	slices.SortStableFunc(out, func(a, b prefix) int { return b.net.Bits() - a.net.Bits() })
	return out, nil
}

// around returns the prefixes of a VRF that hold an address, the most specific
// first.
func (w *wiring) around(a netip.Addr, vrf int) []prefix {
	var out []prefix
	for _, p := range w.prefixes {
		if p.vrf == vrf && p.net.Contains(a) {
			out = append(out, p)
		}
	}
	return out
}

// network puts together how one device is connected, its services excepted.
func (w *wiring) network(d *Device) Network {
	var n Network
	bears := make(map[netip.Prefix]bool)
	for _, row := range w.interfaces[d.ID] {
		i := w.port(&n, d, row)
		for _, a := range i.Addresses {
			bears[a] = true
		}
		n.Interfaces = append(n.Interfaces, i)
	}
	for _, p := range []netip.Prefix{d.Primary4, d.Primary6} {
		if p.IsValid() && !bears[p] {
			n.problem("primary address %s is on no interface of the device", p)
		}
	}
	return n
}

// problem notes a contradiction.
func (n *Network) problem(format string, args ...any) {
	n.Problems = append(n.Problems, fmt.Sprintf(format, args...))
}

// port brings one interface into the form that is used.
func (w *wiring) port(n *Network, d *Device, row wireInterface) Interface {
	i := Interface{
		ID: row.ID, Name: row.Name, Type: string(row.Type), Enabled: row.Enabled, MgmtOnly: row.MgmtOnly,
		MTU: row.MTU, LAG: row.LAG.Name, Parent: row.Parent.Name, Bridge: row.Bridge.Name, VLAN: row.Untagged.VID,
	}
	for _, v := range row.Tagged {
		i.TaggedVLANs = append(i.TaggedVLANs, v.VID)
	}
	slices.Sort(i.TaggedVLANs)
	all := append(row.MACs, row.MAC)
	slices.Sort(all)
	for _, s := range slices.Compact(all) {
		if s == "" {
			continue
		}
		mac, err := parseMAC(string(s))
		if err != nil {
			n.problem("interface %s: %v", row.Name, err)
		} else if !slices.Contains(i.MACs, mac) {
			i.MACs = append(i.MACs, mac)
		}
	}
	if mac, err := parseMAC(string(row.MAC)); err == nil {
		i.MAC = mac
	} else if len(i.MACs) == 1 { // not marked as primary, but there is no other
		i.MAC = i.MACs[0]
	}
	for _, a := range w.addresses[row.ID] {
		p, err := parseAddress(a.Address)
		if err != nil {
			n.problem("interface %s: %v", row.Name, err)
			continue
		}
		primary := p == d.Primary4 || p == d.Primary6
		if primary {
			w.primary(n, d.ID, p, a)
		} else if a.Status == "deprecated" {
			continue
		}
		i.Addresses = append(i.Addresses, p)
		i.Primary = i.Primary || primary
	}
	slices.SortFunc(i.Addresses, comparePrefixes)
	return i
}

// primary notes what is known of a primary address.
func (w *wiring) primary(n *Network, device int, p netip.Prefix, a wireAddress) {
	if a.Status != "active" {
		if n.PrimaryStatus == nil {
			n.PrimaryStatus = make(map[string]string)
		}
		n.PrimaryStatus[p.String()] = string(a.Status)
	}
	if a.DNSName != "" {
		if n.PrimaryDNS == nil {
			n.PrimaryDNS = make(map[string]string)
		}
		n.PrimaryDNS[p.String()] = oneLine(a.DNSName)
	}
	around := w.around(p.Addr(), a.VRF.ID)
	if len(around) == 0 {
		return
	}
	w.vrfs[vrfOf{device, around[0].net}] = a.VRF.ID
	if p.Addr().Is4() {
		n.Prefix4 = around[0].net
	} else {
		n.Prefix6 = around[0].net
	}
	n.useFields(around)
}

func comparePrefixes(a, b netip.Prefix) int {
	if a.Addr().Is4() != b.Addr().Is4() {
		if a.Addr().Is4() {
			return -1
		}
		return 1
	}
	return a.Addr().Compare(b.Addr())
}
