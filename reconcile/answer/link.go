package answer

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// ifname is a name that Linux takes for an interface and that is one word
// everywhere.
var ifname = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

// The kinds of links.
const (
	Ethernet = "ethernet"
	Bond     = "bond"
	VLAN     = "vlan"
	Bridge   = "bridge"
)

// A Link is an interface that the host's own network consists of, with what it
// is made of. Its addresses are in order: the device's primary ones first.
type Link struct {
	Interface
	Kind   string   // Ethernet, Bond, VLAN or Bridge
	Ports  []string // of a bond or bridge
	Master string   // the bond or bridge that it is a port of

	// Where the default routes go, and who resolves names: both go with the
	// primary addresses.
	Gateway4, Gateway6 netip.Addr
	DNS                []string

	primary bool // holds one of the device's primary addresses
	depth   int
}

// ID is the link's name or, if Linux does not take that, a word made of it. Such
// a link has a MAC address to be found by.
func (l Link) ID() string {
	if ifname.MatchString(l.Name) {
		return l.Name
	}
	return "mac-" + strings.ReplaceAll(l.MAC, ":", "")
}

// links returns the interfaces that the host's own network consists of: those
// with addresses, bridges, and all that carries them. What a link is made of
// comes before it; otherwise they are sorted by name.
func links(d *Data) ([]Link, error) {
	g := graph{links: map[string]*Link{}}
	for _, n := range d.Interfaces {
		if n.Enabled && !n.MgmtOnly {
			g.links[n.Name] = &Link{Interface: n, Kind: Ethernet, Master: cmp.Or(n.LAG, n.Bridge)}
		}
	}
	for name, l := range g.links {
		if m := g.links[l.Master]; m != nil {
			m.Ports = append(m.Ports, name)
		}
	}
	for _, l := range g.links {
		slices.Sort(l.Ports)
		l.Kind = g.kind(l)
	}
	for _, l := range g.links {
		if len(l.Addresses) > 0 || l.Kind == Bridge && len(l.Ports) > 0 {
			if err := g.want(l, 0); err != nil {
				return nil, err
			}
		}
	}
	var all []Link
	for _, l := range g.links {
		if l.depth == 0 {
			continue
		}
		if err := l.check(); err != nil {
			return nil, err
		}
		l.MAC = strings.ToLower(l.MAC)
		l.address(&d.Device)
		all = append(all, *l)
	}
	if len(all) == 0 {
		return nil, errors.New("no enabled interface has an address in NetBox")
	}
	slices.SortFunc(all, func(a, b Link) int { return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

// A graph is a device's interfaces by name.
type graph struct{ links map[string]*Link }

func (g graph) kind(l *Link) string {
	switch {
	case l.Parent != "":
		return VLAN
	case l.Type == "lag":
		return Bond
	case l.Type == "bridge":
		return Bridge
	case len(l.Ports) > 0 && g.links[l.Ports[0]].LAG == l.Name:
		return Bond
	case len(l.Ports) > 0:
		return Bridge
	}
	return Ethernet
}

// want marks a link and all that it is made of, each with how deep it lies
// above the plain interfaces, from 1.
func (g graph) want(l *Link, above int) error {
	if above > len(g.links) {
		return fmt.Errorf("interface %s is made of itself in NetBox", l.Name)
	}
	under := l.Ports
	if l.Parent != "" {
		under = []string{l.Parent}
	}
	l.depth = max(l.depth, 1)
	for _, name := range under {
		u := g.links[name]
		if u == nil {
			return fmt.Errorf("interface %s carries a VLAN, but is missing or disabled in NetBox", name)
		}
		if err := g.want(u, above+1); err != nil {
			return err
		}
		l.depth = max(l.depth, u.depth+1)
	}
	return nil
}

// check refuses what cannot be configured, or not by what is known.
func (l *Link) check() error {
	if !ifname.MatchString(l.Name) && (l.MAC == "" || l.Kind != Ethernet) {
		return fmt.Errorf("interface %q is no name that Linux takes, and there is no MAC address to find it by", l.Name)
	}
	if _, err := net.ParseMAC(l.MAC); l.MAC != "" && err != nil {
		return fmt.Errorf("interface %s: %w", l.Name, err)
	}
	switch {
	case l.Kind == Bond && len(l.Ports) == 0, l.Kind == Bridge && len(l.Ports) == 0:
		return fmt.Errorf("%s %s has no enabled ports in NetBox", l.Kind, l.Name)
	case l.LAG != "" && (l.Bridge != "" || l.Kind == Bond):
		return fmt.Errorf("%s %s is itself part of %s", l.Kind, l.Name, l.LAG)
	case l.Kind == VLAN && (l.VLAN < 1 || l.VLAN > 4094):
		return fmt.Errorf("interface %s has the parent %s, but no untagged VLAN to be tagged with", l.Name, l.Parent)
	case l.Kind == Ethernet && l.Type == "virtual":
		return fmt.Errorf("virtual interface %s has no parent in NetBox", l.Name)
	case l.Master != "" && len(l.Addresses) > 0:
		return fmt.Errorf("interface %s is part of %s and has addresses of its own", l.Name, l.Master)
	}
	return nil
}

// address brings the link's addresses into order, and gives it the gateways
// and name servers if they are the device's primary ones.
func (l *Link) address(dev *Device) {
	l.Addresses = slices.Clone(l.Addresses)
	primary := func(p netip.Prefix) bool { return p == dev.PrimaryIP4 || p == dev.PrimaryIP6 }
	rank := func(p netip.Prefix) int {
		if primary(p) {
			return 0
		}
		return 1
	}
	slices.SortFunc(l.Addresses, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	if l.primary = slices.ContainsFunc(l.Addresses, primary); !l.primary {
		return
	}
	if slices.Contains(l.Addresses, dev.PrimaryIP4) {
		l.Gateway4 = dev.Gateway4
	}
	if slices.Contains(l.Addresses, dev.PrimaryIP6) {
		l.Gateway6 = dev.Gateway6
	}
	for _, s := range dev.DNS {
		if _, err := netip.ParseAddr(s); err == nil {
			l.DNS = append(l.DNS, s)
		}
	}
}

// first returns the first address of each version of IP, and the others.
func (l *Link) first() (v4, v6 netip.Prefix, more []netip.Prefix) {
	for _, p := range l.Addresses {
		switch {
		case p.Addr().Is4() && !v4.IsValid():
			v4 = p
		case p.Addr().Is6() && !v6.IsValid():
			v6 = p
		default:
			more = append(more, p)
		}
	}
	return v4, v6, more
}

// bootInterface returns the interface that holds the primary address.
func bootInterface(all []Interface) (Interface, error) {
	for _, n := range all {
		if n.Primary && !n.MgmtOnly {
			return n, nil
		}
	}
	return Interface{}, errors.New("no interface holds the primary address of the device in NetBox")
}

var bondValue = regexp.MustCompile(`^[A-Za-z0-9.+_-]+$`)

// defaultBond is how bonds are made if a template does not say.
const defaultBond = "mode=802.3ad,miimon=100"

// A bondOption is one option of Linux' bonding driver, by its name there.
type bondOption struct{ name, value string }

// bondOptions reads options such as "mode=active-backup" or
// "mode=802.3ad,miimon=100". Those that no way to write a network knows are
// errors.
func bondOptions(options []string) ([]bondOption, error) {
	text := strings.Join(options, ",")
	if text == "" {
		text = defaultBond
	}
	known := []string{"mode", "miimon", "updelay", "downdelay", "lacp_rate", "xmit_hash_policy", "min_links", "primary"}
	var all []bondOption
	for o := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(o), "=")
		if !slices.Contains(known, name) || !bondValue.MatchString(value) {
			return nil, fmt.Errorf("%q is no option of bonds: these are %s, each with a value", o, strings.Join(known, ", "))
		}
		all = append(all, bondOption{name, value})
	}
	return all, nil
}
