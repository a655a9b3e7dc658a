package answer

import (
	"encoding/json"
	"strings"
)

// agamaNetwork returns the host's network as the value of "network" in an Agama
// profile.
//
// Source: Agama's profile.schema.json.
func agamaNetwork(d *Data, bond ...string) (string, error) {
	all, err := links(d)
	if err != nil {
		return "", err
	}
	options, err := bondOptions(bond)
	if err != nil {
		return "", err
	}
	var connections []any
	ids := map[string]string{}
	for _, l := range all {
		ids[l.Name] = l.ID()
		connections = append(connections, agamaConnection(l, ids, options))
	}
	text, err := json.MarshalIndent(map[string]any{"connections": connections}, "", "  ")
	return string(text), err
}

// agamaConnection returns one link. ids are those of the links before it.
func agamaConnection(l Link, ids map[string]string, bond []bondOption) map[string]any {
	c := map[string]any{"id": l.ID()}
	if l.Kind == Ethernet && l.MAC != "" {
		c["macAddress"] = strings.ToUpper(l.MAC)
	} else {
		c["interface"] = l.Name
	}
	if l.MTU > 0 {
		c["mtu"] = l.MTU
	}
	var ports []string
	for _, p := range l.Ports {
		ports = append(ports, ids[p])
	}
	switch l.Kind {
	case VLAN:
		c["vlan"] = map[string]any{"id": l.VLAN, "parent": ids[l.Parent]}
	case Bond:
		b := map[string]any{"ports": ports}
		var rest []string
		for _, o := range bond {
			if o.name == "mode" {
				b["mode"] = o.value
			} else {
				rest = append(rest, o.name+"="+o.value)
			}
		}
		if rest != nil {
			b["options"] = strings.Join(rest, " ")
		}
		c["bond"] = b
	case Bridge:
		c["bridge"] = map[string]any{"ports": ports, "stp": false}
	}
	if l.Master != "" {
		return c
	}
	c["method4"], c["method6"] = "disabled", "disabled"
	var addresses []string
	for _, p := range l.Addresses {
		addresses = append(addresses, p.String())
		if p.Addr().Is4() {
			c["method4"] = "manual"
		} else {
			c["method6"] = "manual"
		}
	}
	if addresses != nil {
		c["addresses"] = addresses
	}
	if l.Gateway4.IsValid() {
		c["gateway4"] = l.Gateway4.String()
	}
	if l.Gateway6.IsValid() {
		c["gateway6"] = l.Gateway6.String()
	}
	if len(l.DNS) > 0 {
		c["nameservers"] = l.DNS
	}
	return c
}
