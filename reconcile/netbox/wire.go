package netbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
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
	Context      json.RawMessage `json:"config_context"`
	LastUpdated  time.Time       `json:"last_updated"`
}

const interfaceFields = "id,name,device,type,enabled,mgmt_only,mtu,lag,parent,untagged_vlan,tagged_vlans,mac_address,mac_addresses"

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
	Untagged struct {
		VID int `json:"vid"`
	} `json:"untagged_vlan"`
	Tagged []struct {
		VID int `json:"vid"`
	} `json:"tagged_vlans"`
	MAC  wireMAC   `json:"mac_address"`
	MACs []wireMAC `json:"mac_addresses"`
}

const addressFields = "id,address,vrf,status,tags,assigned_object_type,assigned_object_id"

type wireAddress struct {
	ID      int     `json:"id"`
	Address string  `json:"address"`
	VRF     slugRef `json:"vrf"`
	Status  choice  `json:"status"`
	Tags    []struct {
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

// device brings a row into the form that is used.
func (w *wireDevice) device(c *Client, in *interner) Device {
	d := Device{
		ID: w.ID, Name: w.Name, Serial: strings.TrimSpace(w.Serial), AssetTag: strings.TrimSpace(w.AssetTag),
		Status: in.text(string(w.Status)), Site: in.text(w.Site.Slug), Location: in.text(w.Location.Name),
		Rack: in.text(w.Rack.Name), Parent: w.Parent.Name, Bay: w.Parent.DeviceBay.Name,
		Role: in.text(w.Role.Slug), Platform: in.text(w.Platform.Slug), Tenant: in.text(w.Tenant.Slug),
		DeviceType: in.text(w.DeviceType.Slug), Manufacturer: in.text(w.DeviceType.Manufacturer.Slug),
		URL: c.deviceURL(w.ID), LastUpdated: w.LastUpdated,
	}
	if w.Position != nil {
		d.Position = *w.Position
	}
	for _, t := range w.Tags {
		d.Tags = append(d.Tags, in.text(t.Slug))
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
	d.Context, err = in.object(w.Context, c.ContextKey)
	problem("config_context", err)
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

// decodePage reads one page of a listing row by row, so that no more than one
// row is held as text. It returns the count that NetBox claims.
func decodePage[T any](r io.Reader, row func(*T)) (count int, err error) {
	d := json.NewDecoder(r)
	if err := expect(d, '{'); err != nil {
		return 0, err
	}
	count = -1
	listed := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, malformed(err)
		}
		switch key {
		case "count":
			if err := d.Decode(&count); err != nil {
				return 0, malformed(err)
			}
		case "results":
			listed = true
			if err := decodeRows(d, row); err != nil {
				return 0, err
			}
		default:
			var skip json.RawMessage
			if err := d.Decode(&skip); err != nil {
				return 0, malformed(err)
			}
		}
	}
	if err := expect(d, '}'); err != nil {
		return 0, err
	}
	if count < 0 || !listed {
		return 0, fmt.Errorf("%w: a page without count or results", errMalformed)
	}
	return count, nil
}

func decodeRows[T any](d *json.Decoder, row func(*T)) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for n := 0; d.More(); n++ {
		var v T
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("row %d: %w", n, malformed(err))
		}
		row(&v)
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return malformed(err)
	}
	if t != want {
		return fmt.Errorf("%w: %v where %v was due", errMalformed, t, want)
	}
	return nil
}

// malformed marks what a JSON decoder objects to, but not the end of a
// connection, which may be whole at the next try.
func malformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", errMalformed, err)
}
