package redfish

import (
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
)

var errNoSlot = errors.New("no virtual CD or DVD slot")

// mediaCollections lists where slots may be: the System first, as sushy and
// ironic prefer it, then its managers; what both name is listed once.
func mediaCollections(sys *systemResource, managers []managerResource) []string {
	var list []string
	add := func(l link) {
		if l != "" && !slices.Contains(list, string(l)) {
			list = append(list, string(l))
		}
	}
	add(sys.VirtualMedia)
	for i := range managers {
		add(managers[i].VirtualMedia)
	}
	return list
}

// findSlots reads the slots of the first collection that has a usable one. The
// same drives may appear again under the Manager (Dell, Lenovo): those are left.
func (c *Client) findSlots(ctx context.Context) ([]slotResource, error) {
	rules := c.rules()
	var all []slotResource
	var usable, proxies []string
	for _, uri := range c.Locations.Media {
		list, err := c.members(ctx, uri)
		if status(err) == http.StatusNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range list {
			if slices.ContainsFunc(rules.SkipSlots, func(s string) bool { return strings.HasPrefix(path.Base(m), s) }) {
				continue
			}
			s, err := c.readSlot(ctx, m)
			if status(err) == http.StatusNotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			switch {
			case s.usable() && (rules.OnlySlot == "" || path.Base(m) == rules.OnlySlot):
				usable = append(usable, m)
			case s.optical() && s.Actions.Eject.Target != "":
				proxies = append(proxies, m)
			default:
				continue
			}
			all = append(all, *s)
		}
		if len(usable) > 0 {
			break
		}
	}
	c.Locations.Slots, c.Locations.ProxySlots = usable, proxies
	return all, nil
}

func (c *Client) readSlot(ctx context.Context, uri string) (*slotResource, error) {
	s := &slotResource{URI: uri}
	if _, err := c.get(ctx, uri, s); err != nil {
		return nil, err
	}
	return s, nil
}

// inserted judges a slot: is something in it, and what. Supermicro leaves Image
// and sometimes Inserted behind after an eject; ConnectedVia tells the truth.
func (c *Client) inserted(s *slotResource) (bool, string) {
	in := s.Inserted.Value
	if !s.Inserted.Known {
		in = s.Image.trim() != "" && s.ConnectedVia != "NotConnected"
	}
	if c.rules().ImageStays && s.ConnectedVia == "NotConnected" {
		in = false
	}
	if !in {
		return false, ""
	}
	return true, s.Image.trim()
}

// naturally orders "2" before "10" and "EXT1" before "Remote1".
func naturally(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if d := strings.Compare(x, y); d != 0 {
				return d
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
