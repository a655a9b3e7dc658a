package netboxtest

import (
	"strconv"
	"strings"
)

// The layouts below are the keys of each kind of object in NetBox's order. A
// key may carry the value that it always has here ("vdcs=[]") and the release
// since which it exists ("owner@405"). A key without value is filled in by
// the code that makes the object, or null.
const (
	deviceKeys = `id url display_url display name device_type role tenant platform serial asset_tag
		site location rack position face latitude longitude parent_device status airflow cooling_method@407
		primary_ip primary_ip4 primary_ip6 oob_ip cluster virtual_chassis vc_position vc_priority
		description="" comments="" config_template config_context local_context_data owner@405 tags custom_fields
		created last_updated console_port_count=0 console_server_port_count=0 power_port_count=0
		power_outlet_count=0 interface_count=0 front_port_count=0 rear_port_count=0 device_bay_count=0
		module_bay_count=0 inventory_item_count=0 cooling_intake_count=0@407 cooling_outflow_count=0@407`
	interfaceKeys = `id url display_url display device vdcs=[] module name label="" type enabled parent bridge
		bridge_interfaces=[]@404 lag mtu mac_address primary_mac_address mac_addresses speed duplex wwn
		mgmt_only description="" mode rf_role rf_channel poe_mode poe_type rf_channel_frequency
		rf_channel_width tx_power channels@407 channel_id@407 untagged_vlan tagged_vlans qinq_svlan
		vlan_translation_policy mark_connected=false cable cable_end wireless_link link_peers=[]
		link_peers_type wireless_lans=[] vrf l2vpn_termination connected_endpoints
		connected_endpoints_type connected_endpoints_reachable=false owner@405 tags=[] custom_fields={}
		created last_updated count_ipaddresses=0 count_fhrp_groups=0 _occupied=false`
	macKeys = `id url display_url display mac_address assigned_object_type assigned_object_id
		assigned_object is_primary@407 description="" owner@405 comments="" tags=[] custom_fields={}
		created last_updated`
	addressKeys = `id url display_url display family address vrf tenant status role assigned_object_type
		assigned_object_id assigned_object nat_inside nat_outside=[] dns_name description owner@405
		comments="" tags custom_fields created last_updated`
	prefixKeys = `id url display_url display family prefix vrf scope_type scope_id scope tenant vlan status
		role is_pool=false mark_utilized=false description owner@405 comments="" tags custom_fields
		created last_updated children=0 _depth=0`
	vlanKeys = `id url display_url display site group vid name tenant status role description="" qinq_role
		qinq_svlan owner@405 comments="" l2vpn_termination tags=[] custom_fields={} created last_updated
		prefix_count=0`
	journalKeys = `id url display_url display assigned_object_type assigned_object_id assigned_object
		created created_by kind comments tags=[] custom_fields={} last_updated`
	siteKeys = `id url display_url display name slug status region group tenant facility="" time_zone
		description="" physical_address="" shipping_address="" latitude longitude owner@405 comments=""
		asns=[] tags=[] custom_fields={} created last_updated circuit_count=0 device_count=0
		prefix_count=0 rack_count=0 virtualmachine_count=0 vlan_count=0`
	locationKeys = `id url display_url display name slug site parent status tenant facility=""
		description="" tags=[] custom_fields={} created last_updated rack_count=0 device_count=0
		prefix_count=0 owner@405 comments=""@403 _depth=0`
	rackKeys = `id url display_url display name facility_id site location group@406 tenant status role
		serial="" asset_tag rack_type form_factor width u_height=42 starting_unit=1 weight max_weight
		weight_unit desc_units=false outer_width outer_height@403 outer_depth outer_unit mounting_depth
		airflow description="" owner@405 comments="" tags=[] custom_fields={} created last_updated
		device_count=0 powerfeed_count=0`
	roleKeys = `id url display_url display name slug color="9e9e9e" vm_role=true config_template
		parent@403 description="" tags=[] custom_fields={} created last_updated device_count=0
		virtualmachine_count=0 owner@405 comments=""@403 _depth=0@403`
	platformKeys = `id url display_url display parent@404 name slug manufacturer config_template
		description="" owner@405 comments=""@404 tags=[] custom_fields={} created last_updated
		device_count=0 virtualmachine_count=0 _depth=0@404`
	tenantKeys = `id url display_url display name slug group description="" owner@405 comments="" tags=[]
		custom_fields={} created last_updated circuit_count=0 device_count=0 ipaddress_count=0
		prefix_count=0 rack_count=0 site_count=0 virtualmachine_count=0 vlan_count=0 vrf_count=0
		cluster_count=0`
	manufacturerKeys = `id url display_url display name slug description="" owner@405 tags=[]
		custom_fields={} created last_updated devicetype_count=0 inventoryitem_count=0 platform_count=0`
	deviceTypeKeys = `id url display_url display manufacturer default_platform model slug part_number=""
		u_height=1.0 exclude_from_utilization=false is_full_depth=true subdevice_role airflow weight
		weight_unit front_image rear_image description="" owner@405 comments="" tags=[] custom_fields={}
		created last_updated device_count=0 console_port_template_count=0
		console_server_port_template_count=0 power_port_template_count=0 power_outlet_template_count=0
		interface_template_count=0 front_port_template_count=0 rear_port_template_count=0
		device_bay_template_count=0 module_bay_template_count=0 inventory_item_template_count=0`
	tagKeys = `id url display_url display name slug color="9e9e9e" description="" weight=1000@403
		object_types=[] tagged_items=0 created last_updated`
	customFieldKeys = `id url display_url display object_types type related_object_type data_type name
		label="" group_name="" description="" required=false unique=false search_weight=1000 filter_logic
		ui_visible ui_editable is_cloneable=false default related_object_filter weight=100
		validation_minimum validation_maximum validation_regex="" validation_schema@406 choice_set
		owner@405 comments="" created last_updated`
	vrfKeys = `id url display_url display name rd tenant enforce_unique=true description="" owner@405
		comments="" import_targets=[] export_targets=[] tags=[] custom_fields={} created last_updated
		ipaddress_count=0 prefix_count=0`
	ipamRoleKeys = `id url display_url display name slug weight=1000 description="" owner@405 tags=[]
		custom_fields={} created last_updated prefix_count=0 vlan_count=0`
)

// nested are the keys of an object where another one refers to it.
const (
	nestedKeys       = `id url display name slug description=""`
	nestedCountKeys  = `id url display name slug description="" device_count=0@403 virtualmachine_count=0@403 _depth=0@403`
	nestedPlatKeys   = `id url display name slug description="" device_count=0@404 virtualmachine_count=0@404 _depth=0@404`
	nestedPlaceKeys  = `id url display name slug description="" rack_count=0 _depth=0`
	nestedNameKeys   = `id url display name description=""`
	nestedTypeKeys   = `id url display manufacturer model slug description="" device_count=0@405`
	nestedTagKeys    = `id url display_url display name slug color`
	nestedVLANKeys   = `id url display vid name description=""`
	nestedIPKeys     = `id url display family address nat_inside@406 nat_outside=[]@406 dns_name@406 description`
	nestedMACKeys    = `id url display mac_address description=""`
	nestedVRFKeys    = `id url display name rd description=""`
	nestedDeviceKeys = `id url display name description=""`
	nestedPortKeys   = `id url display device name description="" cable _occupied=false`
	// An interface's lag, parent and bridge are nested in another shape.
	peerPortKeys   = `id url display_url display device name cable _occupied=false`
	peerDeviceKeys = `id url display_url display name`
)

// A layout is a parsed list of keys for one release.
type layout struct {
	keys     []string
	defaults []raw
}

func parseLayout(spec string, release int) *layout {
	l := &layout{}
	for _, word := range strings.Fields(spec) {
		word, since, _ := strings.Cut(word, "@")
		if n, err := strconv.Atoi(since); err == nil && release < n {
			continue
		}
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			value = "null"
		}
		l.keys, l.defaults = append(l.keys, key), append(l.defaults, raw(value))
	}
	return l
}

// make returns an object with the given values. Values for keys that the
// release does not have are dropped.
func (l *layout) make(values map[string]any) *object {
	o := &object{keys: l.keys, vals: make([]raw, len(l.keys))}
	for i, key := range l.keys {
		if v, ok := values[key]; ok {
			o.vals[i] = encode(v)
		} else {
			o.vals[i] = l.defaults[i]
		}
	}
	o.id, _ = values["id"].(int)
	return o
}
