package netboxtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A filter says which objects a query parameter keeps: those that have any of
// the values given.
type filter struct {
	// value returns what an object has, and fold whether case matters not.
	value func(o *object) string
	fold  bool
	// match reports whether an object has a value, where that is more than
	// being equal.
	match func(o *object, value string) bool
	// choices names the table whose slugs (or, with byID, ids) are the values
	// that exist: another one is a 400. "" allows every value.
	choices string
	byID    bool
	// all demands every value rather than any, as tags do.
	all bool
}

// equals filters by a value of the object or of one nested in it.
func equals(key, nested string) filter {
	return filter{value: func(o *object) string { return o.text(key, nested) }}
}

// folds filters by a value whatever its case.
func folds(key string) filter {
	return filter{value: func(o *object) string { return o.text(key, "") }, fold: true}
}

// of restricts a filter to slugs that exist.
func (f filter) of(endpoint string) filter {
	f.choices = endpoint
	return f
}

// keeps returns what decides about an object for some values.
func (f filter) keeps(values []string) func(*object) bool {
	if f.match != nil {
		return func(o *object) bool {
			for _, v := range values {
				if f.match(o, v) != f.all {
					return !f.all
				}
			}
			return f.all
		}
	}
	normal := func(s string) string { return s }
	if f.fold {
		normal = strings.ToLower
	}
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[normal(v)] = true
	}
	return func(o *object) bool { return set[normal(f.value(o))] }
}

func hasTag(o *object, value string) bool {
	var tags []struct{ Slug string }
	return json.Unmarshal(o.get("tags"), &tags) == nil &&
		slices.ContainsFunc(tags, func(t struct{ Slug string }) bool { return t.Slug == value })
}

// mentions finds a text in some of an object's values, whatever its case.
func mentions(keys ...string) func(*object, string) bool {
	return func(o *object, value string) bool {
		return slices.ContainsFunc(keys, func(key string) bool {
			return strings.Contains(strings.ToLower(o.text(key, "")), strings.ToLower(value))
		})
	}
}

// deviceOf is the device that something is assigned to an interface of.
func deviceOf(o *object) string {
	var to struct{ Device struct{ ID int } }
	if json.Unmarshal(o.get("assigned_object"), &to) != nil {
		return ""
	}
	return strconv.Itoa(to.Device.ID)
}

// holds matches prefixes that contain an address or prefix.
func holds(o *object, value string) bool {
	p, err := netip.ParsePrefix(o.text("prefix", ""))
	if err != nil {
		return false
	}
	if q, err := netip.ParsePrefix(value); err == nil {
		return p.Contains(q.Addr()) && p.Bits() <= q.Bits()
	}
	a, err := netip.ParseAddr(value)
	return err == nil && p.Contains(a)
}

// inside matches addresses in a prefix.
func inside(o *object, value string) bool {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return false
	}
	a, err := netip.ParsePrefix(o.text("address", ""))
	return err == nil && p.Contains(a.Addr())
}

// filters are the parameters that each endpoint knows. A parameter that is
// not here is ignored, as NetBox ignores what it does not know.
var filters = map[string]map[string]filter{
	"dcim/devices": {
		"name": folds("name"), "serial": folds("serial"), "asset_tag": folds("asset_tag"), "status": equals("status", "value"),
		"tag": tagFilter, "site": equals("site", "slug").of("dcim/sites"), "role": equals("role", "slug").of("dcim/device-roles"),
		"tenant": equals("tenant", "slug").of("tenancy/tenants"), "platform": equals("platform", "slug").of("dcim/platforms"),
		"q": {match: mentions("name", "serial", "asset_tag")},
	},
	"dcim/interfaces":    {"device_id": equals("device", "id").of("dcim/devices").byIDs(), "name": folds("name")},
	"dcim/mac-addresses": {"device_id": {value: deviceOf}, "mac_address": folds("mac_address")},
	"ipam/ip-addresses": {
		"device_id": {value: deviceOf}, "parent": {match: inside}, "tag": tagFilter, "description": folds("description"),
		"dns_name": folds("dns_name"), "q": {match: mentions("address", "dns_name", "description")},
	},
	"ipam/prefixes": {
		"prefix": equals("prefix", ""), "contains": {match: holds}, "tag": tagFilter,
		"site": equals("scope", "slug").of("dcim/sites"),
	},
	"ipam/vlans":         {"vid": equals("vid", "")},
	"dcim/sites":         {"slug": equals("slug", "")},
	"dcim/device-roles":  {"slug": equals("slug", "")},
	"dcim/platforms":     {"slug": equals("slug", "")},
	"dcim/manufacturers": {"slug": equals("slug", "")},
	"dcim/device-types":  {"slug": equals("slug", "")},
	"dcim/racks":         {"name": folds("name"), "site": equals("site", "slug").of("dcim/sites")},
	"tenancy/tenants":    {"slug": equals("slug", "")},
	"extras/tags":        {"slug": equals("slug", "")},
	"extras/custom-fields": {
		"name": folds("name"), "object_type": {match: func(o *object, v string) bool {
			return strings.Contains(string(o.get("object_types")), `"`+v+`"`)
		}},
	},
	"extras/journal-entries": {
		"assigned_object_type": equals("assigned_object_type", ""), "assigned_object_id": equals("assigned_object_id", ""),
		"kind": equals("kind", "value"), "q": {match: mentions("comments")},
	},
}

var tagFilter = filter{match: hasTag, choices: "extras/tags", all: true}

// byIDs restricts a filter to ids, rather than slugs, that exist.
func (f filter) byIDs() filter {
	f.byID = true
	return f
}

// filterFor returns the filter of a parameter, and whether it is known.
func filterFor(endpoint, param string) (filter, bool) {
	if param == "id" {
		return filter{value: func(o *object) string { return strconv.Itoa(o.id) }}, true
	}
	f, ok := filters[endpoint][param]
	return f, ok
}

// find returns the objects that a query selects, or the refusal.
func (st *state) find(endpoint string, q url.Values) ([]*object, *answer) {
	key := endpoint
	for _, param := range slices.Sorted(mapKeys(q)) {
		if _, ok := filterFor(endpoint, param); ok || param == "ordering" {
			key += "&" + param + "=" + strings.Join(q[param], "\x00")
		}
	}
	if rows, ok := st.matched[key]; ok {
		return rows, nil
	}
	rows := slices.Clone(st.tables[endpoint].rows)
	for param, values := range q {
		f, ok := filterFor(endpoint, param)
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		if !ok || len(values) == 0 {
			continue
		}
		for _, v := range values {
			if f.choices != "" && !st.exists(f.choices, v, f.byID) {
				return nil, newJSON(http.StatusBadRequest, map[string]any{param: []string{
					fmt.Sprintf("Select a valid choice. %s is not one of the available choices.", v)}})
			}
		}
		keep := f.keeps(values)
		rows = slices.DeleteFunc(rows, func(o *object) bool { return !keep(o) })
	}
	order(endpoint, rows, q.Get("ordering"))
	if st.matched == nil {
		st.matched = make(map[string][]*object)
	}
	st.matched[key] = rows
	return rows, nil
}

func mapKeys(q url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range q {
			if !yield(k) {
				return
			}
		}
	}
}

// exists reports whether a table has an object of that slug or id.
func (st *state) exists(endpoint, value string, byID bool) bool {
	t := st.tables[endpoint]
	if byID {
		id, _ := strconv.Atoi(value)
		return t.byID[id] != nil
	}
	return slices.ContainsFunc(t.rows, func(o *object) bool { return o.text("slug", "") == value })
}

// order sorts rows as asked for, or as NetBox does by itself.
func order(endpoint string, rows []*object, by string) {
	if by == "" && (endpoint == "dcim/devices" || endpoint == "dcim/interfaces") {
		by = "name"
	}
	key, descending := strings.CutPrefix(by, "-")
	names := make(map[*object]string)
	if key != "" && key != "id" {
		for _, o := range rows {
			names[o] = o.text(key, "")
		}
	}
	slices.SortStableFunc(rows, func(a, b *object) int {
		c := cmp.Or(cmp.Compare(names[a], names[b]), cmp.Compare(a.id, b.id))
		if descending {
			return -c
		}
		return c
	})
}

// briefKeys are what brief leaves of an object.
var briefKeys = map[string]bool{"id": true, "url": true, "display": true, "name": true, "slug": true,
	"description": true, "address": true, "family": true, "prefix": true, "vid": true, "mac_address": true,
	"device": true, "cable": true, "_occupied": true}

// projection says which keys a query leaves of an object.
func projection(q url.Values, release int, endpoint string) func(string) bool {
	if fields := list(q["fields"]); len(fields) > 0 {
		return func(key string) bool { return fields[key] }
	}
	omit := map[string]bool{}
	if release >= 405 {
		omit = list(q["omit"])
	}
	if release < 407 && endpoint == "dcim/devices" && list(q["exclude"])["config_context"] {
		omit["config_context"] = true
	}
	brief := q.Get("brief") != ""
	return func(key string) bool { return !omit[key] && (!brief || briefKeys[key]) }
}

// list makes a set of values that may hold commas.
func list(values []string) map[string]bool {
	set := make(map[string]bool)
	for _, v := range values {
		for word := range strings.SplitSeq(v, ",") {
			if word != "" {
				set[word] = true
			}
		}
	}
	return set
}

// number returns a parameter that is a natural number, or another one.
func number(q url.Values, param string, other int) int {
	if n, err := strconv.Atoi(q.Get(param)); err == nil && n >= 0 {
		return n
	}
	return other
}

// list answers one page of a table.
func (st *state) list(s *Server, r *http.Request, endpoint string, f *Fault) *answer {
	q := parseQuery(r.URL.RawQuery)
	if f != nil && f.IgnoreFilters {
		q = url.Values{"limit": q["limit"], "offset": q["offset"], "fields": q["fields"], "ordering": q["ordering"]}
	}
	rows, refused := st.find(endpoint, q)
	if refused != nil {
		return refused
	}
	most := cmp.Or(s.PageSize, 1000)
	limit := number(q, "limit", 50)
	if limit == 0 || limit > most {
		limit = most
	}
	count, offset := len(rows), number(q, "offset", 0)
	page := slices.Clone(rows[min(offset, count):min(offset+limit, count)])
	next, previous := st.neighbour(r, offset+limit, limit, offset+limit < count), st.neighbour(r, max(0, offset-limit), limit, offset > 0)
	if f != nil {
		count += f.Count
		page = page[:max(0, len(page)-f.Drop)]
		if f.Duplicate && len(page) > 1 {
			page[len(page)-1] = page[0]
		}
	}
	a := newAnswer(http.StatusOK)
	a.body = fmt.Appendf(a.body, `{"count":%d,"next":%s,"previous":%s,"results":[`, count, next, previous)
	keep := projection(q, st.release, endpoint)
	for i, o := range page {
		if i > 0 {
			a.body = append(a.body, ',')
		}
		a.body = o.appendTo(a.body, keep)
	}
	a.body = append(a.body, ']', '}')
	return a
}

// neighbour is the link to another page, or null.
func (st *state) neighbour(r *http.Request, offset, limit int, exists bool) raw {
	if !exists {
		return null
	}
	q := parseQuery(r.URL.RawQuery)
	q.Set("limit", strconv.Itoa(limit))
	q.Set("offset", strconv.Itoa(offset))
	return encode(st.base + r.URL.Path + "?" + q.Encode())
}
