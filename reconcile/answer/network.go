package answer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// kickstartNetwork returns the network commands of a kickstart: static addresses
// on plain interfaces, found by their MAC address, on bonds and bridges, and on
// VLANs of any but bridges. Gateway and name servers go with the primary
// addresses.
func kickstartNetwork(d *Data, bond ...string) (string, error) {
	all, err := links(d)
	if err != nil {
		return "", err
	}
	options := defaultBond
	if len(bond) > 0 {
		options = strings.Join(bond, ",")
	}
	k := ksNetwork{links: all, bondOptions: options}
	var b strings.Builder
	for _, l := range all {
		if err := k.command(&b, l); err != nil {
			return "", err
		}
	}
	host, err := ksquote(d.Host.Name)
	fmt.Fprintf(&b, "network --hostname=%s", host)
	return b.String(), err
}

type ksNetwork struct {
	links       []Link
	bondOptions string
}

// command writes the command for one interface. A bond whose only use is to
// carry VLANs is made by the command of the first of them.
func (k ksNetwork) command(b *strings.Builder, l Link) error {
	made := l // what the command makes, beside a VLAN
	if l.Kind == VLAN {
		made = k.find(l.Parent)
	}
	switch first := k.firstVLAN(made.Name); {
	case l.Master != "",
		l.Kind == Bond && len(l.Addresses) == 0 && first != "",
		l.Kind == Ethernet && len(l.Addresses) == 0:
		return nil
	case l.Kind == VLAN && made.Kind == Bridge:
		return fmt.Errorf("interface %s is a VLAN on the bridge %s, which a kickstart cannot make; write it in %%post", l.Name, made.Name)
	case l.Kind == VLAN && (len(made.Addresses) > 0 || first != l.Name):
		made = Link{}
	}
	v4, v6, more := l.first()
	for _, p := range more {
		fmt.Fprintf(b, "# %s also has %s, which a kickstart cannot set\n", l.Name, p)
	}
	args := []string{"--device=" + k.device(l), "--bootproto=static", "--onboot=yes", "--activate"}
	ports, err := k.ports(made)
	if err != nil {
		return err
	}
	args = append(args, ports...)
	if l.Kind == VLAN {
		args = append(args, "--vlanid="+strconv.Itoa(l.VLAN), "--interfacename="+l.Name)
	}
	if l.MTU > 0 {
		args = append(args, "--mtu="+strconv.Itoa(l.MTU))
	}
	args = append(args, ksAddresses(l, v4, v6)...)
	fmt.Fprintf(b, "network %s\n", strings.Join(args, " "))
	return nil
}

// ports returns the arguments that make a bond or a bridge.
func (k ksNetwork) ports(l Link) ([]string, error) {
	if len(l.Ports) == 0 {
		return nil, nil
	}
	for _, name := range l.Ports {
		if !ifname.MatchString(name) {
			return nil, fmt.Errorf("interface %q, a port of %s, is no name that Linux takes", name, l.Name)
		}
		if p := k.find(name); p.Kind != Ethernet {
			return nil, fmt.Errorf("the %s %s is a port of the bridge %s, which a kickstart cannot make; write it in %%post", p.Kind, name, l.Name)
		}
	}
	ports := strings.Join(l.Ports, ",")
	if l.Kind == Bridge {
		return []string{"--bridgeslaves=" + ports}, nil
	}
	o, err := ksquote(k.bondOptions)
	return []string{"--bondslaves=" + ports, "--bondopts=" + o}, err
}

func (k ksNetwork) find(name string) Link {
	i := slices.IndexFunc(k.links, func(l Link) bool { return l.Name == name })
	return k.links[i] // links made sure of it
}

// firstVLAN returns the name of the first VLAN on that interface, or "".
func (k ksNetwork) firstVLAN(parent string) string {
	for _, l := range k.links {
		if l.Parent == parent {
			return l.Name
		}
	}
	return ""
}

// device returns what the kickstart finds the interface by: for plain
// interfaces the MAC address, which no kernel or firmware renames.
func (k ksNetwork) device(l Link) string {
	if l.Kind == VLAN {
		return k.device(k.find(l.Parent))
	}
	if l.MAC == "" || l.Kind != Ethernet {
		return l.Name
	}
	return l.MAC
}

func ksAddresses(l Link, v4, v6 netip.Prefix) []string {
	var args []string
	if v4.IsValid() {
		mask, _ := netmask(v4)
		args = append(args, "--ip="+v4.Addr().String(), "--netmask="+mask)
		if l.Gateway4.IsValid() {
			args = append(args, "--gateway="+l.Gateway4.String())
		}
	} else {
		args = append(args, "--noipv4")
	}
	if v6.IsValid() {
		args = append(args, "--ipv6="+v6.String())
		if l.Gateway6.IsValid() {
			args = append(args, "--ipv6gateway="+l.Gateway6.String())
		}
	} else {
		args = append(args, "--noipv6")
	}
	if !l.primary {
		return append(args, "--nodefroute")
	}
	if len(l.DNS) > 0 {
		args = append(args, "--nameserver="+strings.Join(l.DNS, ","))
	}
	return args
}
