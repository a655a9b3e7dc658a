package netbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Device is what NetBox knows of one device, in the shape that the rest of
// the program wants it. Sites, roles, platforms, tenants, device types and
// manufacturers are slugs, racks and locations names.
type Device struct {
	ID           int
	Name         string // "" for an unnamed device
	Serial       string
	AssetTag     string
	Status       string // the value: "active", "planned" … or what the administrator added
	Site         string
	Location     string
	Rack         string
	Position     float64 // lowest unit in the rack; 0 when not set
	Parent, Bay  string  // the chassis and the bay that a blade sits in
	Role         string
	Platform     string
	Tenant       string
	DeviceType   string
	Manufacturer string
	URL          string // the device's page

	OOB                netip.Addr
	Primary4, Primary6 netip.Prefix

	Tags []string // slugs
	// CustomFields hold plain JSON values: string, int64, float64, bool, nil,
	// []any and map[string]any. Selections are their values. Devices share
	// equal parts: they must not be changed.
	CustomFields map[string]any
	Context      Context
	LastUpdated  time.Time

	// Problems are parts of NetBox's answer that could not be understood,
	// and so are missing here.
	Problems []string `json:",omitempty"`
}

// UnmarshalJSON reads what json.Marshal made of a device, numbers included.
func (d *Device) UnmarshalJSON(data []byte) error {
	type plain Device
	var v struct {
		*plain
		CustomFields json.RawMessage
	}
	v.plain = (*plain)(d)
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	var err error
	if d.CustomFields, err = decodeObject(v.CustomFields); err != nil {
		return fmt.Errorf("reading CustomFields: %w", err)
	}
	return nil
}

// A Context is what a device's config context says under the client's key, as
// JSON text; "" when it says nothing. It is decoded when it is wanted: ten
// thousand decoded contexts would take ten times the memory.
type Context string

// Value decodes the context into plain JSON values, as those of
// [Device.CustomFields] are; "" is nil.
func (c Context) Value() (any, error) {
	if c == "" {
		return nil, nil
	}
	return decodeValue([]byte(c))
}

// MarshalJSON returns the text.
func (c Context) MarshalJSON() ([]byte, error) {
	if c == "" {
		return []byte("null"), nil
	}
	return []byte(c), nil
}

// UnmarshalJSON keeps the text, without its white space.
func (c *Context) UnmarshalJSON(data []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	*c = Context(b.String())
	if *c == "null" {
		*c = ""
	}
	return nil
}

// An Interface is one interface of a device.
type Interface struct {
	ID       int
	Name     string
	Type     string // the value: "10gbase-x-sfpp", "lag", "virtual" …
	MAC      string // the primary MAC, or the only one; lower case with colons
	MACs     []string
	Enabled  bool
	MgmtOnly bool
	MTU      int // 0 when not set
	// LAG, Parent and Bridge are names of interfaces of the same device.
	LAG, Parent, Bridge string

	VLAN        int // the untagged VLAN's id, 0 for none
	TaggedVLANs []int
	Addresses   []netip.Prefix
	Primary     bool // it bears one of the device's primary addresses
}

// Physical reports whether the interface is a port that one can plug a cable
// into.
func (i *Interface) Physical() bool {
	switch i.Type {
	case "virtual", "lag", "bridge":
		return false
	}
	return true
}

// A Network is how a device is connected.
type Network struct {
	Interfaces         []Interface
	Gateway4, Gateway6 netip.Addr
	DNS, NTP           []string
	// Problems are contradictions in NetBox that left something out here.
	Problems []string `json:",omitempty"`
	// PrimaryStatus is the status of the primary addresses that are not
	// "active", by address.
	PrimaryStatus map[string]string `json:",omitempty"`
	// PrimaryDNS is the dns_name of the primary addresses that have one.
	PrimaryDNS map[string]string `json:",omitempty"`
	// Prefix4 and Prefix6 are the most specific prefixes that NetBox knows
	// around the primary addresses.
	Prefix4, Prefix6 netip.Prefix
}

// A Scope selects devices by slug; empty fields select everything.
type Scope struct{ Tag, Site, Role, Tenant string }

// String returns the scope as "tag reconcile, site tokyo".
func (s Scope) String() string {
	var parts []string
	for _, f := range s.fields() {
		if f.want != "" {
			parts = append(parts, f.name+" "+f.want)
		}
	}
	if len(parts) == 0 {
		return "all devices"
	}
	return strings.Join(parts, ", ")
}

type scopeField struct{ name, want string }

func (s Scope) fields() []scopeField {
	return []scopeField{{"tag", s.Tag}, {"site", s.Site}, {"role", s.Role}, {"tenant", s.Tenant}}
}

// lacks says what keeps a device out of the scope, such as `lacks tag
// "reconcile"`, or "".
func (s Scope) lacks(d *Device) string {
	var out []string
	for _, f := range s.fields() {
		if f.want == "" {
			continue
		}
		switch got := map[string]string{"site": d.Site, "role": d.Role, "tenant": d.Tenant}[f.name]; {
		case f.name == "tag":
			if !contains(d.Tags, f.want) {
				out = append(out, fmt.Sprintf("lacks tag %q", f.want))
			}
		case got == "":
			out = append(out, fmt.Sprintf("has no %s, not %q", f.name, f.want))
		case got != f.want:
			out = append(out, fmt.Sprintf("has %s %q, not %q", f.name, got, f.want))
		}
	}
	return strings.Join(out, " and ")
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
