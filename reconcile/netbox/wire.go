package netbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// errMalformed is in the chain when an answer has not the shape that NetBox's
// answers have. Asking again does not help.
var errMalformed = errors.New("not in the shape of NetBox's answers")

// The types in this file are the shapes that NetBox sends, as far as they are
// asked for. Nothing in them is refused for an unknown value: statuses, types
// and fields are open sets.

// A slugRef is a nested object. Some fields of some releases are bare strings.
type slugRef struct {
	ID    int    `json:"id"`
	Name  string `json:"name"`
	Slug  string `json:"slug"`
	Depth int    `json:"_depth"`
}

// A choice is a value of a fixed set: {"value", "label"} or the bare value.
type choice string

func (c *choice) UnmarshalJSON(data []byte) error {
	var s any
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if m, ok := s.(map[string]any); ok {
		s = m["value"]
	}
	switch s := s.(type) {
	case nil:
		*c = ""
	case string:
		*c = choice(s)
	default:
		*c = choice(fmt.Sprint(s))
	}
	return nil
}

// A wireIP is a nested IP address.
type wireIP struct {
	ID      int    `json:"id"`
	Address string `json:"address"`
}

// A wireMAC is a MAC address, an object since 4.2 and a string before.
type wireMAC string

func (m *wireMAC) UnmarshalJSON(data []byte) error {
	var o struct {
		MAC string `json:"mac_address"`
	}
	if bytes.HasPrefix(data, []byte("{")) {
		err := json.Unmarshal(data, &o)
		*m = wireMAC(o.MAC)
		return err
	}
	return json.Unmarshal(data, (*string)(m))
}

const deviceFields = "id,name,serial,asset_tag,status,site,location,rack,position,parent_device,role,platform,tenant," +
	"device_type,primary_ip4,primary_ip6,oob_ip,tags,custom_fields,last_updated"

type wireDevice struct {
	ID         int      `json:"id"`
	Name       string   `json:"name"`
	Serial     string   `json:"serial"`
	AssetTag   string   `json:"asset_tag"`
	Status     choice   `json:"status"`
	Site       slugRef  `json:"site"`
	Location   slugRef  `json:"location"`
	Rack       slugRef  `json:"rack"`
	Position   *float64 `json:"position"`
	Role       slugRef  `json:"role"`
	Platform   slugRef  `json:"platform"`
	Tenant     slugRef  `json:"tenant"`
	DeviceType struct {
		Slug         string  `json:"slug"`
		Manufacturer slugRef `json:"manufacturer"`
	} `json:"device_type"`
	Parent struct {
		Name      string  `json:"name"`
		DeviceBay slugRef `json:"device_bay"`
	} `json:"parent_device"`
	Primary4 wireIP `json:"primary_ip4"`
	Primary6 wireIP `json:"primary_ip6"`
	OOB      wireIP `json:"oob_ip"`
	Tags     []struct {
		Slug string `json:"slug"`
	} `json:"tags"`
	CustomFields json.RawMessage `json:"custom_fields"`
	LastUpdated  time.Time       `json:"last_updated"`
}

const interfaceFields = "id,name,device,type,enabled,mgmt_only,mtu,lag,parent,bridge,untagged_vlan,tagged_vlans,mac_address,mac_addresses"

type wireInterface struct {
	ID       int     `json:"id"`
	Name     string  `json:"name"`
	Device   slugRef `json:"device"`
	Type     choice  `json:"type"`
	Enabled  bool    `json:"enabled"`
	MgmtOnly bool    `json:"mgmt_only"`
	MTU      int     `json:"mtu"`
	LAG      slugRef `json:"lag"`
	Parent   slugRef `json:"parent"`
	Bridge   slugRef `json:"bridge"`
	Untagged struct {
		VID int `json:"vid"`
	} `json:"untagged_vlan"`
	Tagged []struct {
		VID int `json:"vid"`
	} `json:"tagged_vlans"`
	MAC  wireMAC   `json:"mac_address"`
	MACs []wireMAC `json:"mac_addresses"`
}

const addressFields = "id,address,vrf,status,dns_name,description,tags,assigned_object_type,assigned_object_id"

type wireAddress struct {
	ID          int     `json:"id"`
	Address     string  `json:"address"`
	VRF         slugRef `json:"vrf"`
	Status      choice  `json:"status"`
	DNSName     string  `json:"dns_name"`
	Description string  `json:"description"`
	Tags        []struct {
		Slug string `json:"slug"`
	} `json:"tags"`
	AssignedType string `json:"assigned_object_type"`
	AssignedID   int    `json:"assigned_object_id"`
}

const prefixFields = "id,prefix,vrf,status,custom_fields"

type wirePrefix struct {
	ID           int             `json:"id"`
	Prefix       string          `json:"prefix"`
	VRF          slugRef         `json:"vrf"`
	Status       choice          `json:"status"`
	CustomFields json.RawMessage `json:"custom_fields"`
}

// device decodes a row and brings it into the form that is used. Of the config
// context, which is most of a row, it keeps the text of what is ours. row is
// overwritten.
func (c *Client) device(row []byte, in *interner) (scanned, error) {
	var context json.RawMessage
	start, end := 0, 0
	if err := eachMember(row, func(key, value []byte) error {
		if string(key) == "config_context" {
			context, end = value, cap(row)-cap(value)+len(value)
			start = end - len(value)
		}
		return nil
	}); err != nil {
		return scanned{}, err
	}
	ours, problem := contextOf(context, c.contextKey(), in)
	if end > 0 {
		row = slices.Replace(row, start, end, []byte("null")...)
	}
	var w wireDevice
	if err := json.Unmarshal(row, &w); err != nil {
		return scanned{}, malformed(err)
	}
	d := w.device(c, in)
	d.Context = ours
	if problem != nil {
		d.Problems = append(d.Problems, fmt.Sprintf("config_context: %v", problem))
	}
	return scanned{d, w.Role.Depth}, nil
}

// contextOf finds the value of a key in a config context.
func contextOf(data json.RawMessage, key string, in *interner) (Context, error) {
	if len(data) == 0 || string(data) == "null" {
		return "", nil
	}
	var ours []byte
	err := eachMember(data, func(name, value []byte) error {
		if string(name) == key {
			ours = value
		}
		return nil
	})
	switch {
	case err != nil || len(ours) == 0:
		return "", err
	case !json.Valid(ours):
		return "", fmt.Errorf("%w: %s is not valid JSON", errMalformed, key)
	}
	return Context(in.text(ours)), nil
}

// device brings what was decoded into the form that is used.
func (w *wireDevice) device(c *Client, in *interner) Device {
	d := Device{
		ID: w.ID, Name: w.Name, Serial: strings.TrimSpace(w.Serial), AssetTag: strings.TrimSpace(w.AssetTag),
		Status: in.word(string(w.Status)), Site: in.word(w.Site.Slug), Location: in.word(w.Location.Name),
		Rack: in.word(w.Rack.Name), Parent: w.Parent.Name, Bay: w.Parent.DeviceBay.Name,
		Role: in.word(w.Role.Slug), Platform: in.word(w.Platform.Slug), Tenant: in.word(w.Tenant.Slug),
		DeviceType: in.word(w.DeviceType.Slug), Manufacturer: in.word(w.DeviceType.Manufacturer.Slug),
		URL: c.deviceURL(w.ID), LastUpdated: w.LastUpdated,
	}
	if w.Position != nil {
		d.Position = *w.Position
	}
	for _, t := range w.Tags {
		d.Tags = append(d.Tags, in.word(t.Slug))
	}
	problem := func(field string, err error) {
		if err != nil {
			d.Problems = append(d.Problems, fmt.Sprintf("%s: %v", field, err))
		}
	}
	oob, err := parseAddress(w.OOB.Address)
	d.OOB = oob.Addr()
	problem("oob_ip", err)
	d.Primary4, err = parseFamily(w.Primary4.Address, 4)
	problem("primary_ip4", err)
	d.Primary6, err = parseFamily(w.Primary6.Address, 6)
	problem("primary_ip6", err)
	d.CustomFields, err = in.object(w.CustomFields)
	problem("custom_fields", err)
	d.CustomFields = plainFields(d.CustomFields)
	return d
}

// parseAddress reads an address with its prefix length; "" is none.
func parseAddress(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an address", oneLine(s))
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
		return netip.Prefix{}, fmt.Errorf("%s is no host's address", p)
	}
	return p, nil
}

func parseFamily(s string, family int) (netip.Prefix, error) {
	p, err := parseAddress(s)
	if err == nil && p.IsValid() && p.Addr().Is4() != (family == 4) {
		return netip.Prefix{}, fmt.Errorf("%s is not IPv%d", p, family)
	}
	return p, err
}

// parseMAC returns a MAC in lower case with colons.
func parseMAC(s string) (string, error) {
	m, err := net.ParseMAC(s)
	if err != nil || len(m) != 6 {
		return "", fmt.Errorf("%q is not a MAC address", oneLine(s))
	}
	return m.String(), nil
}

// plainFields makes values of selections, which are objects since 4.7.
func plainFields(fields map[string]any) map[string]any {
	var out map[string]any
	for name, v := range fields {
		m, ok := v.(map[string]any)
		if !ok || len(m) != 2 || m["label"] == nil {
			continue
		}
		if value, ok := m["value"]; ok {
			if out == nil { // the given map may be shared
				out = make(map[string]any, len(fields))
				for k, v := range fields {
					out[k] = v
				}
			}
			out[name] = value
		}
	}
	if out != nil {
		return out
	}
	return fields
}
