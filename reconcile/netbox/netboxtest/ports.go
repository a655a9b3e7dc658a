package netboxtest

import (
	"cmp"
	"fmt"
)

// assigned are the nested forms of a device's addresses.
type assigned map[string]raw

// nested returns null for "".
func (a assigned) nested(address string) any {
	if address == "" {
		return nil
	}
	return a[address]
}

// addInterfaces adds the interfaces of a device, and their MACs and addresses.
func (st *state) addInterfaces(d Device, display string, device *object, ports []Interface) assigned {
	t := st.tables["dcim/interfaces"]
	ids := make(map[string]int, len(ports))
	for i, p := range ports {
		if ids[p.Name] != 0 {
			panic(fmt.Sprintf("netboxtest: device %q has two interfaces %q", d.Name, p.Name))
		}
		ids[p.Name] = t.last + 1 + i
	}
	peerDevice := st.fill(peerDeviceKeys, "dcim/devices", d.ID, display, map[string]any{"name": device.get("name")})
	addresses := make(assigned)
	for _, p := range ports {
		peer := func(name string) any {
			if name == "" {
				return nil
			}
			if ids[name] == 0 {
				panic(fmt.Sprintf("netboxtest: device %q has no interface %q", d.Name, name))
			}
			return st.fill(peerPortKeys, "dcim/interfaces", ids[name], name,
				map[string]any{"device": peerDevice.bytes(), "name": name}).bytes()
		}
		v := st.portValues(p)
		v["device"], v["lag"], v["parent"], v["bridge"] = device.bytes(), peer(p.LAG), peer(p.Parent), peer(p.Bridge)
		nested := st.fill(nestedPortKeys, "dcim/interfaces", ids[p.Name], p.Name,
			map[string]any{"device": v["device"], "name": p.Name})
		st.addMACs(p, nested, v)
		o := st.fill(interfaceKeys, "dcim/interfaces", ids[p.Name], p.Name, v)
		t.insert(o)
		for _, address := range p.Addresses {
			_, addresses[address] = st.newAddress(Address{Address: address, DNSName: p.DNSName}, o, nested)
		}
	}
	return addresses
}

// portValues are the values of an interface that concern no other object.
func (st *state) portValues(p Interface) map[string]any {
	v := map[string]any{
		"name": p.Name, "type": choice(cmp.Or(p.Type, "10gbase-x-sfpp")), "enabled": !p.Disabled,
		"mgmt_only": p.MgmtOnly, "count_ipaddresses": len(p.Addresses),
	}
	if p.MTU != 0 {
		v["mtu"] = p.MTU
	}
	tagged := make([]raw, 0, len(p.TaggedVLANs))
	for _, vid := range p.TaggedVLANs {
		tagged = append(tagged, st.vlan(vid).nested)
	}
	v["tagged_vlans"] = tagged
	switch {
	case len(tagged) > 0:
		v["mode"] = choice("tagged")
	case p.VLAN != 0:
		v["mode"] = choice("access")
	}
	if p.VLAN != 0 {
		v["untagged_vlan"] = st.vlan(p.VLAN).nested
	}
	return v
}

// addMACs adds an interface's MACs and puts them into its values.
func (st *state) addMACs(p Interface, port *object, v map[string]any) {
	t := st.tables["dcim/mac-addresses"]
	all := []raw{}
	add := func(mac string, primary bool) {
		id := t.last + 1
		m := map[string]any{"mac_address": mac, "assigned_object_type": "dcim.interface",
			"assigned_object_id": port.id, "assigned_object": port.bytes(), "is_primary": primary}
		t.insert(st.fill(macKeys, "dcim/mac-addresses", id, mac, m))
		nested := st.fill(nestedMACKeys, "dcim/mac-addresses", id, mac, m).bytes()
		all = append(all, nested)
		if primary {
			v["mac_address"], v["primary_mac_address"] = mac, nested
		}
	}
	if p.MAC != "" {
		add(p.MAC, true)
	}
	for _, mac := range p.OtherMACs {
		add(mac, false)
	}
	v["mac_addresses"] = all
}
