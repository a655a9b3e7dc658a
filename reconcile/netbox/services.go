package netbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	nb "github.com/netbox-community/go-netbox/v4"
)

// services fills in gateways, DNS and NTP servers by the precedence that the
// package comment documents. The custom fields of prefixes have been used by
// then; the context wins over them, tagged addresses fill what is left.
func (c *Client) services(ctx context.Context, w *wiring, devices map[int]*Device, networks map[int]Network) error {
	lacking := make(map[string]bool)
	for id, d := range devices {
		n := networks[id]
		n.useContext(d, c.contextKey())
		networks[id] = n
		for _, tag := range []string{"gateway", "dns", "ntp"} {
			lacking[tag] = lacking[tag] || n.lacks(tag)
		}
	}
	for _, tag := range []string{"gateway", "dns", "ntp"} {
		if !lacking[tag] {
			continue
		}
		tagged, err := c.tagged(ctx, tag)
		if err != nil {
			return err
		}
		for id := range devices {
			n := networks[id]
			n.useTagged(tag, tagged, w, id)
			networks[id] = n
		}
	}
	return nil
}

func (c *Client) contextKey() string {
	if c.ContextKey == "" {
		return "reconcile"
	}
	return c.ContextKey
}

// tagged reads the addresses that bear a tag; a tag that does not exist is on
// none.
func (c *Client) tagged(ctx context.Context, tag string) ([]wireAddress, error) {
	rows, err := c.addresses(ctx, func(r nb.ApiIpamIpAddressesListRequest) nb.ApiIpamIpAddressesListRequest {
		return r.Tag([]string{tag})
	})
	var refused *RequestError
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && slices.Contains(refused.Fields, "tag") {
		return nil, nil
	}
	// The filter may have been ignored.
	return slices.DeleteFunc(rows, func(a wireAddress) bool {
		for _, t := range a.Tags {
			if t.Slug == tag {
				return false
			}
		}
		return true
	}), err
}

// lacks reports whether one of the families that the device has is without a
// gateway, or whether it has no server of a kind.
func (n *Network) lacks(what string) bool {
	switch what {
	case "gateway":
		return n.Prefix4.IsValid() && !n.Gateway4.IsValid() || n.Prefix6.IsValid() && !n.Gateway6.IsValid()
	case "dns":
		return len(n.DNS) == 0 && (n.Prefix4.IsValid() || n.Prefix6.IsValid())
	default:
		return len(n.NTP) == 0 && (n.Prefix4.IsValid() || n.Prefix6.IsValid())
	}
}

// setGateway keeps the gateway of its family.
func (n *Network) setGateway(a netip.Addr) {
	if a.Is4() {
		n.Gateway4 = a
	} else {
		n.Gateway6 = a
	}
}

// useFields takes what the custom fields of the prefixes around a primary
// address say, the most specific one that says something.
func (n *Network) useFields(around []prefix) {
	first := func(name string) string {
		for _, p := range around {
			if s, ok := p.fields[name].(string); ok && strings.TrimSpace(s) != "" {
				return s
			}
		}
		return ""
	}
	where := "custom field %s of the prefix around " + around[0].net.String()
	if s := first("gateway"); s != "" {
		n.useGateway(fmt.Sprintf(where, "gateway"), s)
	}
	for name, list := range map[string]*[]string{"dns": &n.DNS, "ntp": &n.NTP} {
		for _, s := range strings.FieldsFunc(first(name), func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			if !slices.Contains(*list, s) {
				*list = append(*list, s)
			}
		}
	}
}

// useGateway takes an address given as text, with or without prefix length.
func (n *Network) useGateway(where, s string) {
	p, err := parseAddress(strings.TrimSpace(s))
	if err != nil || !p.IsValid() {
		n.problem("%s: %q is not an address", where, oneLine(s))
		return
	}
	n.setGateway(p.Addr())
}

// useContext takes what the config context says under our key.
func (n *Network) useContext(d *Device, key string) {
	v, err := d.Context.Value()
	if err != nil {
		n.problem("config context %s: %v", key, err)
	}
	ours, ok := v.(map[string]any)
	if !ok {
		return // a finding says so
	}
	switch g := ours["gateway"].(type) {
	case nil:
	case string:
		n.useGateway("config context "+key+".gateway", g)
	case map[string]any:
		for _, family := range []string{"v4", "v6"} {
			if s, ok := g[family].(string); ok {
				n.useGateway("config context "+key+".gateway."+family, s)
			}
		}
	default:
		n.problem("config context %s.gateway is neither an address nor {v4, v6}", key)
	}
	if list, ok := n.servers(key+".dns", ours["dns"]); ok {
		n.DNS = list
	}
	if list, ok := n.servers(key+".ntp", ours["ntp"]); ok {
		n.NTP = list
	}
}

// servers reads a list of servers, plain or as {servers: [...]}.
func (n *Network) servers(path string, v any) ([]string, bool) {
	if m, ok := v.(map[string]any); ok {
		v = m["servers"]
	}
	if v == nil {
		return nil, false
	}
	list, ok := v.([]any)
	if !ok {
		n.problem("config context %s is not a list of servers", path)
		return nil, false
	}
	out := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok || s == "" {
			n.problem("config context %s holds %v, which names no server", path, item)
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// useTagged takes addresses that bear a tag and lie in the device's prefixes.
func (n *Network) useTagged(tag string, tagged []wireAddress, w *wiring, id int) {
	if !n.lacks(tag) {
		return
	}
	for _, net := range []netip.Prefix{n.Prefix4, n.Prefix6} {
		var found []netip.Addr
		for _, row := range tagged {
			p, err := parseAddress(row.Address)
			if err != nil || !net.IsValid() || !net.Contains(p.Addr()) {
				continue
			}
			// The same address may exist in another VRF.
			if vrf, ok := w.vrfs[vrfOf{id, net}]; ok && vrf == row.VRF.ID {
				found = append(found, p.Addr())
			}
		}
		slices.SortFunc(found, netip.Addr.Compare)
		found = slices.Compact(found)
		switch {
		case len(found) == 0:
		case tag == "dns":
			n.DNS = append(n.DNS, texts(found)...)
		case tag == "ntp":
			n.NTP = append(n.NTP, texts(found)...)
		case len(found) > 1:
			n.problem("%d addresses in %s bear the tag %q: %s", len(found), net, tag, strings.Join(texts(found), ", "))
		case found[0].Is4() && !n.Gateway4.IsValid() || found[0].Is6() && !n.Gateway6.IsValid():
			n.setGateway(found[0])
		}
	}
}

func texts(addrs []netip.Addr) []string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return out
}
