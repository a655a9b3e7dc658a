package netboxtest

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// seed fills an empty state with what the server's fields say.
func (st *state) seed(s *Server) {
	for _, slug := range s.Sites {
		st.site(slug)
	}
	for _, slug := range s.Roles {
		st.role(slug)
	}
	for _, slug := range s.Tenants {
		st.tenant(slug)
	}
	for _, slug := range s.Platforms {
		st.platform(slug)
	}
	for _, slug := range s.Tags {
		st.tag(slug)
	}
	for _, vid := range s.VLANs {
		st.vlan(vid)
	}
	for _, f := range s.CustomFields {
		st.addCustomField(f)
	}
	for _, p := range s.Prefixes {
		st.addPrefix(p)
	}
	for _, d := range s.Devices {
		st.addDevice(d)
	}
	for _, a := range s.Addresses {
		st.addAddress(a)
	}
}

func (st *state) addCustomField(f CustomField) *object {
	kind := cmp.Or(f.Type, "text")
	types := f.ObjectTypes
	if types == nil {
		types = []string{"dcim.device"}
	}
	data := map[string]string{"integer": "integer", "decimal": "number", "boolean": "boolean", "json": "object", "multiselect": "array"}[kind]
	id := st.tables["extras/custom-fields"].last + 1
	o := st.fill(customFieldKeys, "extras/custom-fields", id, f.Name, map[string]any{
		"name": f.Name, "type": choice(kind), "object_types": types, "data_type": cmp.Or(data, "string"),
		"filter_logic": choice("loose"), "ui_visible": choice("always"), "ui_editable": choice("yes"),
	})
	st.tables["extras/custom-fields"].insert(o)
	return o
}

func (st *state) addPrefix(p Prefix) {
	net, err := netip.ParsePrefix(p.Prefix)
	if err != nil {
		panic(fmt.Sprintf("netboxtest: prefix %q: %v", p.Prefix, err))
	}
	t := st.tables["ipam/prefixes"]
	v := map[string]any{
		"prefix": net.String(), "family": family(net.Addr()), "status": choice(cmp.Or(p.Status, "active")),
		"description": p.Description, "tags": st.tags(p.Tags), "custom_fields": mapping(p.CustomFields),
		"vrf": optional(p.VRF, st.vrf), "role": optional(p.Role, st.ipamRole),
	}
	if p.VLAN != 0 {
		v["vlan"] = st.vlan(p.VLAN).nested
	}
	if p.Site != "" {
		site := st.site(p.Site)
		v["scope_type"], v["scope_id"], v["scope"] = "dcim.site", site.id, site.nested
	}
	t.insert(st.fill(prefixKeys, "ipam/prefixes", t.last+1, net.String(), v))
}

func (st *state) addAddress(a Address) {
	st.newAddress(a, nil, nil)
}

// newAddress adds an address and returns its nested form. port and device are
// what it is assigned to, or nil.
func (st *state) newAddress(a Address, port, portNested *object) (id int, nested raw) {
	p, err := netip.ParsePrefix(a.Address)
	if err != nil {
		panic(fmt.Sprintf("netboxtest: address %q: %v", a.Address, err))
	}
	t := st.tables["ipam/ip-addresses"]
	v := map[string]any{
		"address": p.String(), "family": family(p.Addr()), "status": choice(cmp.Or(a.Status, "active")),
		"dns_name": a.DNSName, "description": a.Description, "tags": st.tags(a.Tags),
		"custom_fields": mapping(a.CustomFields), "vrf": optional(a.VRF, st.vrf),
	}
	if port != nil {
		v["assigned_object_type"], v["assigned_object_id"] = "dcim.interface", port.id
		v["assigned_object"] = portNested.bytes()
	}
	o := st.fill(addressKeys, "ipam/ip-addresses", t.last+1, p.String(), v)
	t.insert(o)
	return o.id, st.fill(nestedIPKeys, "ipam/ip-addresses", o.id, p.String(), v).bytes()
}

func family(a netip.Addr) any {
	if a.Is4() {
		return raw(`{"value":4,"label":"IPv4"}`)
	}
	return raw(`{"value":6,"label":"IPv6"}`)
}

// mapping encodes a map, nil as an empty object.
func mapping(m map[string]any) any {
	if len(m) == 0 {
		return raw("{}")
	}
	return m
}

// addDevice adds a device, its interfaces, MACs and addresses.
func (st *state) addDevice(d Device) {
	t := st.tables["dcim/devices"]
	if d.ID == 0 {
		d.ID = t.last + 1
	}
	if t.byID[d.ID] != nil {
		panic(fmt.Sprintf("netboxtest: device %q: id %d is taken", d.Name, d.ID))
	}
	if d.Tags == nil {
		d.Tags = []string{"reconcile"}
	}
	site := st.site(cmp.Or(d.Site, "site-1"))
	var location *ref
	if d.Location != "" {
		location = st.location(site, d.Location)
	}
	v := map[string]any{
		"device_type": st.deviceType(cmp.Or(d.Manufacturer, "generic"), cmp.Or(d.DeviceType, "generic-1u")).nested,
		"role":        st.role(cmp.Or(d.Role, "server")).nested, "site": site.nested, "location": nestedOf(location),
		"tenant": optional(d.Tenant, st.tenant), "platform": optional(d.Platform, st.platform),
		"serial": d.Serial, "status": choice(cmp.Or(d.Status, "active")), "tags": st.tags(d.Tags),
		"custom_fields": st.customFields(d.CustomFields), "config_context": mapping(d.Context),
	}
	if d.Name != "" {
		v["name"] = d.Name
	}
	if d.AssetTag != "" {
		v["asset_tag"] = d.AssetTag
	}
	if d.Rack != "" {
		v["rack"] = st.rack(site, location, d.Rack).nested
	}
	if d.Position != 0 {
		v["position"], v["face"] = raw(fmt.Sprintf("%.1f", d.Position)), choice("front")
	}
	display := displayName(d)
	device := st.fill(nestedDeviceKeys, "dcim/devices", d.ID, display, map[string]any{"name": v["name"]})
	ports := d.ports()
	addresses := st.addInterfaces(d, display, device, ports)
	v["oob_ip"], v["primary_ip4"], v["primary_ip6"] = addresses.nested(d.OOB), addresses.nested(d.Primary4), addresses.nested(d.Primary6)
	v["primary_ip"] = v["primary_ip4"]
	if v["primary_ip6"] != nil {
		v["primary_ip"] = v["primary_ip6"]
	}
	v["interface_count"] = len(ports)
	t.insert(st.fill(deviceKeys, "dcim/devices", d.ID, display, v))
}

func displayName(d Device) string {
	switch {
	case d.Name == "":
		return fmt.Sprintf("Generic 1u (%d)", d.ID)
	case d.AssetTag != "":
		return d.Name + " (" + d.AssetTag + ")"
	}
	return d.Name
}

// customFields returns the values of all defined fields, and what else was
// given: a value without a definition defines a text field.
func (st *state) customFields(given map[string]any) any {
	out := make(map[string]any, len(given))
	for _, f := range st.tables["extras/custom-fields"].rows {
		if strings.Contains(string(f.get("object_types")), `"dcim.device"`) {
			out[f.text("name", "")] = nil
		}
	}
	for name, v := range given {
		if _, ok := out[name]; !ok {
			st.addCustomField(CustomField{Name: name, Type: typeOf(v)})
		}
		out[name] = st.customValue(st.fieldType(name), v)
	}
	return mapping(out)
}

// fieldType is the type of a defined custom field.
func (st *state) fieldType(name string) string {
	for _, f := range st.tables["extras/custom-fields"].rows {
		if f.text("name", "") == name {
			return f.text("type", "value")
		}
	}
	return ""
}

func typeOf(v any) string {
	switch v.(type) {
	case int, int64:
		return "integer"
	case bool:
		return "boolean"
	case map[string]any, []any:
		return "json"
	}
	return "text"
}

// ports returns the device's interfaces with every address on one of them.
func (d *Device) ports() []Interface {
	ports := slices.Clone(d.Interfaces)
	if d.Interfaces == nil {
		ports = []Interface{{Name: "eno1", MAC: fmt.Sprintf("02:00:00:%02X:%02X:%02X", d.ID>>16&255, d.ID>>8&255, d.ID&255)}}
	}
	bear := func(address string, management bool) {
		if address == "" || slices.ContainsFunc(ports, func(p Interface) bool { return slices.Contains(p.Addresses, address) }) {
			return
		}
		i := slices.IndexFunc(ports, func(p Interface) bool { return p.MgmtOnly == management })
		if i < 0 {
			name := "eno1"
			if management {
				name = "bmc"
			}
			ports = append(ports, Interface{Name: name, Type: "1000base-t", MgmtOnly: management})
			i = len(ports) - 1
		}
		ports[i].Addresses = append(slices.Clone(ports[i].Addresses), address)
	}
	bear(d.OOB, true)
	bear(d.Primary4, false)
	bear(d.Primary6, false)
	return ports
}
