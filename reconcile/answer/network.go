package answer

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ifname is a name that Linux takes for an interface and that is one word
// everywhere.
var ifname = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`)

// A link is an interface with what it is made of.
type link struct {
	Interface
	ports  []Interface // of a bond
	parent string      // of a VLAN
}

// links returns the interfaces that the host's own network consists of: those
// with addresses and those that carry them; bonds and plain ones first, each
// sorted by name.
func links(all []Interface) ([]link, error) {
	byName := map[string]Interface{}
	ports := map[string][]Interface{}
	for _, n := range all {
		if !n.Enabled || n.MgmtOnly {
			continue
		}
		byName[n.Name] = n
		if n.LAG != "" {
			ports[n.LAG] = append(ports[n.LAG], n)
		}
	}
	wanted := map[string]bool{}
	for _, n := range byName {
		if len(n.Addresses) == 0 {
			continue
		}
		wanted[n.Name] = true
		if n.Parent != "" {
			wanted[n.Parent] = true
		}
	}
	var links []link
	for name := range wanted {
		n, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("interface %s carries a VLAN, but is missing or disabled in NetBox", name)
		}
		l := link{Interface: n, ports: ports[name], parent: n.Parent}
		if err := l.check(); err != nil {
			return nil, err
		}
		slices.SortFunc(l.ports, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
		links = append(links, l)
	}
	if len(links) == 0 {
		return nil, errors.New("no enabled interface has an address in NetBox")
	}
	vlansLast := func(l link) int { return min(len(l.parent), 1) }
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(vlansLast(a), vlansLast(b)), cmp.Compare(a.Name, b.Name))
	})
	return links, nil
}

// check refuses what cannot be configured, or not by what is known.
func (l link) check() error {
	if !ifname.MatchString(l.Name) && (l.MAC == "" || l.parent != "" || l.isBond()) {
		return fmt.Errorf("interface %q is no name that Linux takes, and there is no MAC address to find it by", l.Name)
	}
	if _, err := net.ParseMAC(l.MAC); l.MAC != "" && err != nil {
		return fmt.Errorf("interface %s: %w", l.Name, err)
	}
	switch {
	case l.Type == "bridge":
		return fmt.Errorf("interface %s is a bridge; its ports are not known here, so write its configuration in the template", l.Name)
	case l.isBond() && len(l.ports) == 0:
		return fmt.Errorf("bond %s has no enabled ports in NetBox", l.Name)
	case l.isBond() && l.LAG != "":
		return fmt.Errorf("bond %s is itself part of %s", l.Name, l.LAG)
	case l.parent != "" && (l.VLAN < 1 || l.VLAN > 4094):
		return fmt.Errorf("interface %s has the parent %s, but no untagged VLAN to be tagged with", l.Name, l.parent)
	case l.parent == "" && l.Type == "virtual":
		return fmt.Errorf("virtual interface %s has no parent in NetBox", l.Name)
	case l.LAG != "" && len(l.Addresses) > 0:
		return fmt.Errorf("interface %s is part of %s and has addresses of its own", l.Name, l.LAG)
	}
	for _, p := range l.ports {
		if !ifname.MatchString(p.Name) {
			return fmt.Errorf("interface %q, a port of %s, is no name that Linux takes", p.Name, l.Name)
		}
	}
	return nil
}

func (l link) isBond() bool { return l.Type == "lag" || len(l.ports) > 0 }

// addresses returns the address of each version of IP that a kickstart can
// set, the device's primary one before others, and those that are left over.
func (l link) addresses(dev *Device) (v4, v6 netip.Prefix, more []netip.Prefix) {
	sorted := slices.Clone(l.Addresses)
	rank := func(p netip.Prefix) int {
		if p == dev.PrimaryIP4 || p == dev.PrimaryIP6 {
			return 0
		}
		return 1
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	for _, p := range sorted {
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

// defaultBond is how bonds are made if a template does not say.
const defaultBond = "mode=802.3ad,miimon=100"

// kickstartNetwork returns the network commands of a kickstart: static addresses
// on plain interfaces, found by their MAC address, on bonds, and on VLANs of
// either. Gateway and name servers go with the primary addresses.
func kickstartNetwork(d *Data, bondOptions ...string) (string, error) {
	links, err := links(d.Interfaces)
	if err != nil {
		return "", err
	}
	options := defaultBond
	if len(bondOptions) > 0 {
		options = strings.Join(bondOptions, ",")
	}
	var b strings.Builder
	for _, l := range links {
		if err := l.kickstart(&b, d, links, options); err != nil {
			return "", err
		}
	}
	host, err := ksquote(d.Host.Name)
	fmt.Fprintf(&b, "network --hostname=%s", host)
	return b.String(), err
}

// kickstart writes the command for one interface. A bond whose only use is to
// carry VLANs is made by the command of the first of them.
func (l link) kickstart(b *strings.Builder, d *Data, all []link, bondOptions string) error {
	bond := l
	if l.parent != "" {
		bond = *find(all, l.parent)
	}
	switch first := firstVLAN(all, bond.Name); {
	case l.parent == "" && l.isBond() && len(l.Addresses) == 0 && first != nil,
		l.parent == "" && len(l.Addresses) == 0 && !l.isBond():
		return nil
	case l.parent != "" && (len(bond.Addresses) > 0 || first.Name != l.Name):
		bond = link{}
	}
	v4, v6, more := l.addresses(&d.Device)
	for _, p := range more {
		fmt.Fprintf(b, "# %s also has %s, which a kickstart cannot set\n", l.Name, p)
	}
	args := []string{"--device=" + l.device(all), "--bootproto=static", "--onboot=yes", "--activate"}
	if bond.isBond() {
		var names []string
		for _, p := range bond.ports {
			names = append(names, p.Name)
		}
		o, err := ksquote(bondOptions)
		if err != nil {
			return err
		}
		args = append(args, "--bondslaves="+strings.Join(names, ","), "--bondopts="+o)
	}
	if l.parent != "" {
		args = append(args, "--vlanid="+strconv.Itoa(l.VLAN), "--interfacename="+l.Name)
	}
	if l.MTU > 0 {
		args = append(args, "--mtu="+strconv.Itoa(l.MTU))
	}
	args = append(args, l.addressArgs(d, v4, v6)...)
	fmt.Fprintf(b, "network %s\n", strings.Join(args, " "))
	return nil
}

func find(all []link, name string) *link {
	i := slices.IndexFunc(all, func(l link) bool { return l.Name == name })
	return &all[i] // links made sure of it
}

func firstVLAN(all []link, parent string) *link {
	i := slices.IndexFunc(all, func(l link) bool { return l.parent == parent })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func (l link) addressArgs(d *Data, v4, v6 netip.Prefix) []string {
	var args []string
	dev, primary := &d.Device, false
	if v4.IsValid() {
		mask, _ := netmask(v4)
		args = append(args, "--ip="+v4.Addr().String(), "--netmask="+mask)
		if primary = v4 == dev.PrimaryIP4; primary && dev.Gateway4.IsValid() {
			args = append(args, "--gateway="+dev.Gateway4.String())
		}
	} else {
		args = append(args, "--noipv4")
	}
	if v6.IsValid() {
		args = append(args, "--ipv6="+v6.String())
		if v6 == dev.PrimaryIP6 {
			primary = true
			if dev.Gateway6.IsValid() {
				args = append(args, "--ipv6gateway="+dev.Gateway6.String())
			}
		}
	} else {
		args = append(args, "--noipv6")
	}
	if !primary {
		return append(args, "--nodefroute")
	}
	var servers []string
	for _, s := range dev.DNS {
		if _, err := netip.ParseAddr(s); err == nil {
			servers = append(servers, s)
		}
	}
	if len(servers) > 0 {
		args = append(args, "--nameserver="+strings.Join(servers, ","))
	}
	return args
}

// device returns what the kickstart finds the interface by: for plain
// interfaces the MAC address, which no kernel or firmware renames.
func (l link) device(all []link) string {
	if l.parent != "" {
		return find(all, l.parent).device(all)
	}
	if l.MAC == "" || l.isBond() {
		return l.Name
	}
	return strings.ToLower(l.MAC)
}
