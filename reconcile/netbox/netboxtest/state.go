package netboxtest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kinds are the endpoints and what one of their objects is called.
var kinds = map[string]string{
	"dcim/devices": "Device", "dcim/interfaces": "Interface", "dcim/mac-addresses": "MACAddress",
	"dcim/sites": "Site", "dcim/locations": "Location", "dcim/racks": "Rack",
	"dcim/device-roles": "DeviceRole", "dcim/platforms": "Platform", "dcim/device-types": "DeviceType",
	"dcim/manufacturers": "Manufacturer", "tenancy/tenants": "Tenant", "extras/tags": "Tag",
	"extras/custom-fields": "CustomField", "extras/journal-entries": "JournalEntry",
	"ipam/ip-addresses": "IPAddress", "ipam/prefixes": "Prefix", "ipam/vlans": "VLAN",
	"ipam/vrfs": "VRF", "ipam/roles": "Role",
}

// state is what a server knows: tables of objects as they are sent.
type state struct {
	base     string // without slash at the end
	version  string // as /api/status/ says it
	release  int    // 406 for 4.6
	statuses []string
	tables   map[string]*table
	layouts  map[string]*layout
	refs     map[string]*ref // by endpoint and natural key
	born     string          // time stamp of everything seeded

	matched map[string][]*object // results of recent filters, until a change
}

// A ref is an object that others refer to by its nested form.
type ref struct {
	id     int
	nested raw
}

// state returns the server's state, seeding it first if need be.
func (s *Server) state() *state {
	if s.st == nil {
		s.st = newState(s)
		s.st.seed(s)
	}
	return s.st
}

func newState(s *Server) *state {
	st := &state{
		base: strings.TrimRight(s.URL, "/"), version: s.Version,
		statuses: append([]string{"offline", "active", "planned", "staged", "failed", "inventory", "decommissioning"}, s.Statuses...),
		tables:   make(map[string]*table), layouts: make(map[string]*layout), refs: make(map[string]*ref),
		born: timestamp(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)),
	}
	if st.base == "" {
		st.base = "https://netbox.example.net"
	}
	if st.version == "" {
		st.version = "4.6.8"
	}
	st.release = release(st.version)
	for endpoint := range kinds {
		st.tables[endpoint] = &table{}
	}
	return st
}

// release makes 406 of "4.6.8-Docker-3.4.1".
func release(version string) int {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return 0
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(strings.TrimRightFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' }))
	return major*100 + minor
}

func (st *state) kind(endpoint string) string { return kinds[endpoint] }

// changed forgets what was found before.
func (st *state) changed() { st.matched = nil }

func (st *state) layout(spec string) *layout {
	l := st.layouts[spec]
	if l == nil {
		l = parseLayout(spec, st.release)
		st.layouts[spec] = l
	}
	return l
}

// fill makes an object of a layout; id, addresses, display and times are
// added to the values.
func (st *state) fill(spec, endpoint string, id int, display string, values map[string]any) *object {
	num := strconv.Itoa(id)
	all := map[string]any{
		"id": id, "url": raw(`"` + st.base + "/api/" + endpoint + "/" + num + `/"`),
		"display_url": raw(`"` + st.base + "/" + endpoint + "/" + num + `/"`), "display": display,
		"created": raw(`"` + st.born + `"`), "last_updated": raw(`"` + st.born + `"`),
	}
	maps.Copy(all, values)
	return st.layout(spec).make(all)
}

// refer returns the ref of a thing with a natural key, making the thing first
// if need be. make gets the id that the thing will have.
func (st *state) refer(endpoint, key string, make func(id int) (full, nested *object)) *ref {
	if r := st.refs[endpoint+"\x00"+key]; r != nil {
		return r
	}
	t := st.tables[endpoint]
	full, nested := make(t.last + 1)
	t.insert(full)
	r := &ref{id: full.id, nested: nested.bytes()}
	st.refs[endpoint+"\x00"+key] = r
	return r
}

// slugged refers to a thing that has name and slug and little else.
func (st *state) slugged(endpoint, full, nested, slug string, values map[string]any) *ref {
	return st.refer(endpoint, slug, func(id int) (*object, *object) {
		name := title(slug)
		v := map[string]any{"name": name, "slug": slug}
		maps.Copy(v, values)
		return st.fill(full, endpoint, id, name, v), st.fill(nested, endpoint, id, name, v)
	})
}

func (st *state) site(slug string) *ref {
	return st.slugged("dcim/sites", siteKeys, nestedKeys, slug, map[string]any{"status": choice("active")})
}

func (st *state) role(slug string) *ref {
	return st.slugged("dcim/device-roles", roleKeys, nestedCountKeys, slug, nil)
}

func (st *state) tenant(slug string) *ref {
	return st.slugged("tenancy/tenants", tenantKeys, nestedKeys, slug, nil)
}

func (st *state) platform(slug string) *ref {
	return st.slugged("dcim/platforms", platformKeys, nestedPlatKeys, slug, nil)
}

func (st *state) location(site *ref, slug string) *ref {
	return st.slugged("dcim/locations", locationKeys, nestedPlaceKeys, slug,
		map[string]any{"site": site.nested, "status": choice("active")})
}

func (st *state) rack(site, location *ref, name string) *ref {
	return st.refer("dcim/racks", strconv.Itoa(site.id)+"/"+name, func(id int) (*object, *object) {
		v := map[string]any{"name": name, "site": site.nested, "location": nestedOf(location),
			"status": choice("active"), "width": map[string]any{"value": 19, "label": "19 inches"}}
		return st.fill(rackKeys, "dcim/racks", id, name, v), st.fill(nestedNameKeys, "dcim/racks", id, name, v)
	})
}

func (st *state) deviceType(maker, slug string) *ref {
	m := st.slugged("dcim/manufacturers", manufacturerKeys, nestedKeys, maker, nil)
	return st.refer("dcim/device-types", slug, func(id int) (*object, *object) {
		model := title(slug)
		v := map[string]any{"manufacturer": m.nested, "model": model, "slug": slug}
		return st.fill(deviceTypeKeys, "dcim/device-types", id, model, v),
			st.fill(nestedTypeKeys, "dcim/device-types", id, model, v)
	})
}

func (st *state) tag(slug string) *ref {
	return st.refer("extras/tags", slug, func(id int) (*object, *object) {
		v := map[string]any{"name": slug, "slug": slug, "color": "4caf50"}
		return st.fill(tagKeys, "extras/tags", id, slug, v), st.fill(nestedTagKeys, "extras/tags", id, slug, v)
	})
}

// tags returns the nested tags of an object.
func (st *state) tags(slugs []string) []raw {
	out := make([]raw, 0, len(slugs))
	for _, slug := range slices.Sorted(slices.Values(slugs)) {
		out = append(out, st.tag(slug).nested)
	}
	return out
}

func (st *state) vlan(vid int) *ref {
	return st.refer("ipam/vlans", strconv.Itoa(vid), func(id int) (*object, *object) {
		v := map[string]any{"vid": vid, "name": fmt.Sprintf("vlan%d", vid), "status": choice("active")}
		display := fmt.Sprintf("vlan%d (%d)", vid, vid)
		return st.fill(vlanKeys, "ipam/vlans", id, display, v), st.fill(nestedVLANKeys, "ipam/vlans", id, display, v)
	})
}

func (st *state) vrf(name string) *ref {
	return st.refer("ipam/vrfs", name, func(id int) (*object, *object) {
		v := map[string]any{"name": name}
		return st.fill(vrfKeys, "ipam/vrfs", id, name, v), st.fill(nestedVRFKeys, "ipam/vrfs", id, name, v)
	})
}

func (st *state) ipamRole(slug string) *ref {
	return st.slugged("ipam/roles", ipamRoleKeys, nestedKeys, slug, nil)
}

// nestedOf is null for no ref.
func nestedOf(r *ref) any {
	if r == nil {
		return nil
	}
	return r.nested
}

// optional refers only to what is named.
func optional(name string, refer func(string) *ref) any {
	if name == "" {
		return nil
	}
	return refer(name).nested
}

// choice is a value of a fixed set as NetBox sends it.
func choice(value string) any {
	if value == "" {
		return nil
	}
	return raw(`{"value":` + string(encode(value)) + `,"label":` + string(encode(title(value))) + `}`)
}

// title makes "Fra 1" of "fra-1".
func title(slug string) string {
	words := strings.FieldsFunc(slug, func(r rune) bool { return r == '-' || r == '_' })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// parseQuery keeps what can be read of a query, as Django does.
func parseQuery(q string) url.Values {
	v, _ := url.ParseQuery(q)
	return v
}
