package answer

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// netplan returns the host's network as netplan's YAML, from "version: 2" on:
// what stands below "network:", for Ubuntu's autoinstall and for files in
// /etc/netplan. Plain interfaces are found by their MAC address.
//
// Source: netplan's YAML reference.
func netplan(d *Data, bond ...string) (string, error) {
	all, err := links(d)
	if err != nil {
		return "", err
	}
	options, err := netplanBond(bond)
	if err != nil {
		return "", err
	}
	sections := map[string]map[string]any{}
	names := map[string]string{}
	for _, l := range all {
		names[l.Name] = l.ID()
		section := l.Kind + "s"
		if sections[section] == nil {
			sections[section] = map[string]any{}
		}
		sections[section][l.ID()] = netplanLink(l, names, options)
	}
	doc := map[string]any{"version": 2}
	for name, section := range sections {
		doc[name] = section
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// netplanLink returns the definition of one link. names are the ids of those
// before it.
func netplanLink(l Link, names map[string]string, bond map[string]any) map[string]any {
	def := map[string]any{"dhcp4": false, "dhcp6": false, "accept-ra": false}
	switch l.Kind {
	case Ethernet:
		if l.MAC != "" {
			// Without set-name: two ports that NetBox has the other way
			// round could not swap their names.
			def["match"] = map[string]any{"macaddress": l.MAC}
		}
	case VLAN:
		def["id"], def["link"] = l.VLAN, names[l.Parent]
	case Bond:
		def["parameters"] = bond
	}
	var ports []string
	for _, p := range l.Ports {
		ports = append(ports, names[p])
	}
	if ports != nil {
		def["interfaces"] = ports
	}
	if l.MTU > 0 {
		def["mtu"] = l.MTU
	}
	var addresses []string
	for _, p := range l.Addresses {
		addresses = append(addresses, p.String())
	}
	if addresses != nil {
		def["addresses"] = addresses
	} else {
		def["link-local"] = []string{}
	}
	var routes []any
	if l.Gateway4.IsValid() {
		routes = append(routes, map[string]any{"to": "default", "via": l.Gateway4.String()})
	}
	if l.Gateway6.IsValid() {
		routes = append(routes, map[string]any{"to": "default", "via": l.Gateway6.String()})
	}
	if routes != nil {
		def["routes"] = routes
	}
	if len(l.DNS) > 0 {
		def["nameservers"] = map[string]any{"addresses": l.DNS}
	}
	return def
}

// netplanBond names a bond's options as netplan does.
func netplanBond(options []string) (map[string]any, error) {
	names := map[string]string{
		"mode": "mode", "miimon": "mii-monitor-interval", "updelay": "up-delay", "downdelay": "down-delay", "lacp_rate": "lacp-rate",
		"xmit_hash_policy": "transmit-hash-policy", "min_links": "min-links", "primary": "primary",
	}
	all, err := bondOptions(options)
	if err != nil {
		return nil, err
	}
	parameters := map[string]any{}
	for _, o := range all {
		parameters[names[o.name]] = o.value
		if n, err := strconv.Atoi(o.value); err == nil {
			parameters[names[o.name]] = n
		}
	}
	return parameters, nil
}

// ifupdown returns the host's network as the text of /etc/network/interfaces,
// for ifupdown with ifenslave, vlan and bridge-utils, and for ifupdown2. It knows
// interfaces by name only.
//
// Sources: interfaces(5), Debian's README of ifenslave, bridge-utils-interfaces(5).
func ifupdown(d *Data, bond ...string) (string, error) {
	all, err := links(d)
	if err != nil {
		return "", err
	}
	options, err := bondOptions(bond)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("auto lo\niface lo inet loopback\n")
	for _, l := range all {
		if !ifname.MatchString(l.Name) {
			return "", fmt.Errorf("interface %q is no name that Linux takes, and ifupdown does not find it by its MAC address", l.Name)
		}
		ifupdownLink(&b, l, options)
	}
	return strings.TrimSpace(b.String()), nil
}

func ifupdownLink(b *strings.Builder, l Link, bond []bondOption) {
	b.WriteString("\n")
	if l.Master == "" || l.Kind != Ethernet { // what they are ports of brings up the others
		fmt.Fprintf(b, "auto %s\n", l.Name)
	}
	made := func() { // what the link is made of, in its first stanza
		switch l.Kind {
		case VLAN:
			fmt.Fprintf(b, "\tvlan-raw-device %s\n\tvlan-id %d\n", l.Parent, l.VLAN)
		case Bond:
			fmt.Fprintf(b, "\tbond-slaves %s\n", strings.Join(l.Ports, " "))
			for _, o := range bond {
				fmt.Fprintf(b, "\tbond-%s %s\n", strings.ReplaceAll(o.name, "_", "-"), o.value)
			}
		case Bridge:
			fmt.Fprintf(b, "\tbridge-ports %s\n\tbridge-stp off\n\tbridge-fd 0\n", strings.Join(l.Ports, " "))
		}
		if l.MTU > 0 {
			fmt.Fprintf(b, "\tmtu %d\n", l.MTU)
		}
	}
	if len(l.Addresses) == 0 {
		fmt.Fprintf(b, "iface %s inet manual\n", l.Name)
		made()
		return
	}
	seen4, seen6 := false, false
	for i, p := range l.Addresses {
		version := "inet6"
		gateway := l.Gateway6
		seen := &seen6
		if p.Addr().Is4() {
			version, gateway, seen = "inet", l.Gateway4, &seen4
		}
		fmt.Fprintf(b, "iface %s %s static\n\taddress %s\n", l.Name, version, p)
		if gateway.IsValid() && !*seen {
			fmt.Fprintf(b, "\tgateway %s\n", gateway)
		}
		*seen = true
		if i == 0 {
			made()
			if len(l.DNS) > 0 {
				fmt.Fprintf(b, "\tdns-nameservers %s\n", strings.Join(l.DNS, " "))
			}
		}
	}
}
