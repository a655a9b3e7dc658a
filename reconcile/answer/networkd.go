package answer

import (
	"fmt"
	"strings"
)

// networkdUnits returns the host's network as units of systemd-networkd, for
// /etc/systemd/network. Plain interfaces are found by their MAC address.
//
// Sources: systemd.network(5), systemd.netdev(5).
func networkdUnits(d *Data, bond ...string) ([]NamedFile, error) {
	all, err := links(d)
	if err != nil {
		return nil, err
	}
	options, err := networkdBond(bond)
	if err != nil {
		return nil, err
	}
	kinds, vlans := map[string]string{}, map[string][]string{}
	for _, l := range all {
		kinds[l.Name] = l.Kind
		if l.Kind == VLAN {
			vlans[l.Parent] = append(vlans[l.Parent], l.Name)
		}
	}
	var files []NamedFile
	for _, l := range all {
		name := "10-" + l.ID()
		if l.Kind != Ethernet {
			files = append(files, NamedFile{name + ".netdev", netdev(l, options)})
		}
		files = append(files, NamedFile{name + ".network", networkUnit(l, kinds[l.Master], vlans[l.Name])})
	}
	return files, nil
}

func netdev(l Link, bond string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[NetDev]\nName=%s\nKind=%s\n", l.Name, l.Kind)
	if l.MTU > 0 {
		fmt.Fprintf(&b, "MTUBytes=%d\n", l.MTU)
	}
	switch l.Kind {
	case VLAN:
		fmt.Fprintf(&b, "\n[VLAN]\nId=%d\n", l.VLAN)
	case Bond:
		b.WriteString("\n[Bond]\n" + bond)
	case Bridge:
		b.WriteString("\n[Bridge]\nSTP=no\n")
	}
	return b.String()
}

func networkUnit(l Link, master string, vlans []string) string {
	var b strings.Builder
	b.WriteString("[Match]\n")
	if l.Kind == Ethernet && l.MAC != "" {
		// Ports of a bond take over its address; this one they keep. VLANs on
		// the port have it too, but are no physical devices.
		fmt.Fprintf(&b, "PermanentMACAddress=%s\nType=ether\nKind=!*\n", l.MAC)
	} else {
		fmt.Fprintf(&b, "Name=%s\n", l.Name)
	}
	if l.MTU > 0 {
		fmt.Fprintf(&b, "\n[Link]\nMTUBytes=%d\n", l.MTU)
	}
	b.WriteString("\n[Network]\n")
	if l.Master != "" {
		fmt.Fprintf(&b, "%s=%s\n", map[string]string{Bond: "Bond", Bridge: "Bridge"}[master], l.Master)
	}
	for _, v := range vlans {
		fmt.Fprintf(&b, "VLAN=%s\n", v)
	}
	b.WriteString("DHCP=no\nIPv6AcceptRA=no\n")
	if len(l.Addresses) == 0 {
		b.WriteString("LinkLocalAddressing=no\n")
	}
	for _, p := range l.Addresses {
		fmt.Fprintf(&b, "Address=%s\n", p)
	}
	if l.Gateway4.IsValid() {
		fmt.Fprintf(&b, "Gateway=%s\n", l.Gateway4)
	}
	if l.Gateway6.IsValid() {
		fmt.Fprintf(&b, "Gateway=%s\n", l.Gateway6)
	}
	for _, s := range l.DNS {
		fmt.Fprintf(&b, "DNS=%s\n", s)
	}
	return b.String()
}

// networkdBond names a bond's options as systemd does. Times are given in
// milliseconds.
func networkdBond(options []string) (string, error) {
	names := map[string]string{
		"mode": "Mode", "miimon": "MIIMonitorSec", "updelay": "UpDelaySec", "downdelay": "DownDelaySec", "lacp_rate": "LACPTransmitRate",
		"xmit_hash_policy": "TransmitHashPolicy", "min_links": "MinLinks",
	}
	all, err := bondOptions(options)
	if err != nil {
		return "", err
	}
	text := ""
	for _, o := range all {
		name, ok := names[o.name]
		if !ok {
			return "", fmt.Errorf("systemd-networkd sets %s of a bond at its port and not at the bond; write it in the template", o.name)
		}
		if strings.HasSuffix(name, "Sec") {
			o.value += "ms"
		}
		text += name + "=" + o.value + "\n"
	}
	return text, nil
}
