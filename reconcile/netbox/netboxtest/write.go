package netboxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inputs decodes the body of a write. With fields= or omit= the serializer
// that takes the input lacks the other fields, so they are dropped.
func (st *state) inputs(r *http.Request, endpoint string, body []byte) (map[string]raw, *answer) {
	var in map[string]raw
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	keep := projection(parseQuery(r.URL.RawQuery), st.release, endpoint)
	for key := range in {
		if !keep(key) {
			delete(in, key)
		}
	}
	return in, nil
}

// patchOne changes one device.
func (st *state) patchOne(r *http.Request, o *object, body []byte) *answer {
	if match := r.Header.Get("If-Match"); match != "" && st.release >= 406 {
		var now answer
		now.header = make(http.Header)
		st.etag(&now, o)
		if match != "*" && match != now.header.Get("ETag") {
			a := detail(http.StatusPreconditionFailed, "Precondition failed.")
			st.etag(a, o)
			return a
		}
	}
	in, refused := st.inputs(r, "dcim/devices", body)
	if refused != nil {
		return refused
	}
	changed, problems := st.patched(o, in)
	if problems != nil {
		return newJSON(http.StatusBadRequest, problems)
	}
	o.vals = changed.vals
	st.changed()
	a := newAnswer(http.StatusOK)
	a.body = st.uncounted(o).appendTo(nil, projection(parseQuery(r.URL.RawQuery), st.release, "dcim/devices"))
	st.etag(a, o)
	return a
}

// uncounted is a device as a PATCH answers it: before 4.5 what it refers to
// comes without the counts that a list has.
func (st *state) uncounted(o *object) *object {
	if st.release >= 405 {
		return o
	}
	c := &object{id: o.id, keys: o.keys, vals: slices.Clone(o.vals)}
	for _, key := range []string{"role", "platform", "location"} {
		nested, err := parseObject(c.get(key))
		if err != nil {
			continue // null
		}
		c.set(key, raw(nested.appendTo(nil, func(k string) bool { return !strings.HasSuffix(k, "_count") })))
	}
	return c
}

// patchMany changes several devices or, if one of the values is bad, none.
// Devices that do not exist are skipped without a word.
func (st *state) patchMany(r *http.Request, body []byte) *answer {
	var list []raw
	if err := json.Unmarshal(body, &list); err != nil {
		return detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	var olds, news []*object
	for i, item := range list {
		var head struct{ ID int }
		_ = json.Unmarshal(item, &head)
		o := st.tables["dcim/devices"].byID[head.ID]
		if o == nil {
			continue
		}
		in, refused := st.inputs(r, "dcim/devices", item)
		if refused != nil {
			return refused
		}
		changed, problems := st.patched(o, in)
		if problems != nil && st.release >= 407 {
			return newJSON(http.StatusBadRequest, map[string]any{
				"detail": fmt.Sprintf("1 of %d objects failed validation", len(list)),
				"errors": []any{map[string]any{"index": i, "errors": problems}}})
		}
		if problems != nil {
			return newJSON(http.StatusBadRequest, problems)
		}
		olds, news = append(olds, o), append(news, changed)
	}
	out := make([]raw, len(olds))
	for i, o := range olds {
		o.vals = news[i].vals
		out[i] = o.bytes()
	}
	st.changed()
	return newJSON(http.StatusOK, out)
}

// patched returns a changed copy of a device, or what is wrong with the
// input. Keys that NetBox does not know are dropped.
func (st *state) patched(o *object, in map[string]raw) (*object, map[string]any) {
	c := &object{id: o.id, keys: o.keys, vals: slices.Clone(o.vals)}
	problems := make(map[string]any)
	for key, v := range in {
		switch key {
		case "serial", "description", "comments":
			c.set(key, v)
		case "asset_tag", "local_context_data", "name":
			c.set(key, v)
		case "status":
			var status string
			_ = json.Unmarshal(v, &status)
			if !slices.Contains(st.statuses, status) {
				problems[key] = []string{fmt.Sprintf("%q is not a valid choice.", status)}
			}
			c.set(key, choice(status))
		case "platform", "role", "tenant", "site":
			nested, problem := st.related(key, v)
			if problem != "" {
				problems[key] = []string{problem}
			}
			c.set(key, nested)
		case "primary_ip4", "primary_ip6", "oob_ip":
			nested, problem := st.relatedIP(o, v)
			if problem != "" {
				problems[key] = []string{problem}
			}
			c.set(key, nested)
		case "tags":
			c.set(key, st.tags(slugs(v)))
		case "custom_fields":
			st.patchCustomFields(c, v, problems)
		}
	}
	if st.release >= 406 {
		st.patchTags(c, slugs(in["add_tags"]), slugs(in["remove_tags"]))
	}
	if len(problems) > 0 {
		return nil, problems
	}
	c.set("last_updated", timestamp(time.Now()))
	return c, nil
}

// patchTags adds and removes tags.
func (st *state) patchTags(c *object, add, remove []string) {
	if len(add)+len(remove) == 0 {
		return
	}
	now := append(slugs(c.get("tags")), add...)
	now = slices.DeleteFunc(now, func(slug string) bool { return slices.Contains(remove, slug) })
	c.set("tags", st.tags(slices.Compact(slices.Sorted(slices.Values(now)))))
}

// slugs reads tags given by slug, by name or as objects.
func slugs(v raw) []string {
	var items []raw
	_ = json.Unmarshal(v, &items)
	var out []string
	for _, item := range items {
		var s string
		var o struct{ Slug, Name string }
		if json.Unmarshal(item, &s) == nil {
			out = append(out, s)
		} else if json.Unmarshal(item, &o) == nil {
			if o.Slug == "" {
				o.Slug = strings.ToLower(strings.ReplaceAll(o.Name, " ", "-"))
			}
			out = append(out, o.Slug)
		}
	}
	return out
}

// related finds what a field refers to by id or by attributes.
func (st *state) related(key string, v raw) (nested any, problem string) {
	endpoint := map[string]string{"platform": "dcim/platforms", "role": "dcim/device-roles",
		"tenant": "tenancy/tenants", "site": "dcim/sites"}[key]
	spec := map[string]string{"platform": nestedPlatKeys, "role": nestedCountKeys}[key]
	if spec == "" {
		spec = nestedKeys
	}
	o, problem := st.lookUp(endpoint, v)
	if o == nil {
		return nil, problem
	}
	return st.fill(spec, endpoint, o.id, o.text("display", ""), map[string]any{
		"name": o.get("name"), "slug": o.get("slug"), "description": o.get("description")}).bytes(), ""
}

// relatedIP finds an address, which must be on an interface of the device.
func (st *state) relatedIP(device *object, v raw) (nested any, problem string) {
	o, problem := st.lookUp("ipam/ip-addresses", v)
	if o == nil {
		return nil, problem
	}
	if deviceOf(o) != strconv.Itoa(device.id) {
		return nil, fmt.Sprintf("The specified IP address (%s) is not assigned to this device.", o.text("address", ""))
	}
	return st.fill(nestedIPKeys, "ipam/ip-addresses", o.id, o.text("display", ""), map[string]any{
		"family": o.get("family"), "address": o.get("address"), "dns_name": o.get("dns_name"),
		"description": o.get("description")}).bytes(), ""
}

// lookUp finds an object by id or attributes; null finds nothing.
func (st *state) lookUp(endpoint string, v raw) (o *object, problem string) {
	if string(v) == "null" || len(v) == 0 {
		return nil, ""
	}
	if id, err := strconv.Atoi(strings.Trim(string(v), `"`)); err == nil {
		if o = st.tables[endpoint].byID[id]; o == nil {
			return nil, fmt.Sprintf("Related object not found using the provided numeric ID: %d", id)
		}
		return o, ""
	}
	var attributes map[string]any
	if json.Unmarshal(v, &attributes) != nil {
		return nil, "Related objects must be referenced by numeric ID or by dictionary of attributes. Received an unrecognized value: " + strings.Trim(string(v), `"`)
	}
	for _, row := range st.tables[endpoint].rows {
		all := true
		for key, want := range attributes {
			all = all && row.text(key, "") == fmt.Sprint(want)
		}
		if all {
			return row, ""
		}
	}
	var parts []string
	for key, want := range attributes {
		parts = append(parts, fmt.Sprintf("'%s': '%v'", key, want))
	}
	slices.Sort(parts)
	return nil, "Related object not found using the provided attributes: {" + strings.Join(parts, ", ") + "}"
}

// patchCustomFields merges values into a device's custom fields.
func (st *state) patchCustomFields(c *object, v raw, problems map[string]any) {
	var given, now map[string]any
	if json.Unmarshal(v, &given) != nil {
		problems["custom_fields"] = []string{"Value must be a dictionary."}
		return
	}
	_ = json.Unmarshal(c.get("custom_fields"), &now)
	if now == nil {
		now = make(map[string]any)
	}
	for name, value := range given {
		i := slices.IndexFunc(st.tables["extras/custom-fields"].rows, func(o *object) bool { return o.text("name", "") == name })
		if i < 0 {
			if st.release == 404 {
				continue // 4.4.10 drops it and answers 200
			}
			if st.release >= 405 {
				problems["custom_fields"] = map[string]any{name: fmt.Sprintf("Custom field '%s' does not exist for this object type.", name)}
			} else {
				problems["__all__"] = []string{fmt.Sprintf("Unknown field name '%s' in custom field data.", name)}
			}
			continue
		}
		kind := st.tables["extras/custom-fields"].rows[i].text("type", "value")
		if problem := unfit(kind, value); problem != "" {
			problems["__all__"] = []string{fmt.Sprintf("Invalid value for custom field '%s': %s", name, problem)}
		}
		now[name] = st.customValue(kind, value)
	}
	c.set("custom_fields", mapping(now))
}

// customValue is a value as it is sent: 4.7 made objects of selections.
func (st *state) customValue(kind string, v any) any {
	if s, ok := v.(string); ok && kind == "select" && st.release >= 407 {
		return choice(s)
	}
	return v
}

// unfit says why a value does not fit a custom field's type.
func unfit(kind string, v any) string {
	if v == nil {
		return ""
	}
	f, number := v.(float64)
	s, text := v.(string)
	_, boolean := v.(bool)
	switch {
	case kind == "integer" && (!number || f != float64(int64(f))):
		return "Value must be an integer."
	case kind == "boolean" && !boolean:
		return "Value must be true or false."
	case kind == "text" && !text:
		return "Value must be a string."
	case kind == "datetime":
		if _, err := time.Parse(time.RFC3339, s); err != nil {
			return "Date and time values must be in ISO 8601 format (YYYY-MM-DD HH:MM:SS)."
		}
	}
	return ""
}

// create answers a POST of what the programs that it tests create.
func (st *state) create(r *http.Request, endpoint string, body []byte) *answer {
	switch endpoint {
	case "extras/journal-entries":
		return st.createJournal(r, endpoint, body)
	case "extras/tags", "extras/custom-fields":
		return st.createDefinition(r, endpoint, body)
	}
	return notAllowed(r)
}

func (st *state) createJournal(r *http.Request, endpoint string, body []byte) *answer {
	in, refused := st.inputs(r, endpoint, body)
	if refused != nil {
		return refused
	}
	if in["assigned_object_type"] == nil || in["assigned_object_id"] == nil {
		return html(http.StatusInternalServerError, "Server Error")
	}
	e := JournalEntry{Kind: "info", Created: time.Now()}
	_ = json.Unmarshal(in["assigned_object_id"], &e.DeviceID)
	_ = json.Unmarshal(in["comments"], &e.Comments)
	if in["kind"] != nil {
		_ = json.Unmarshal(in["kind"], &e.Kind)
	}
	device := st.tables["dcim/devices"].byID[e.DeviceID]
	switch {
	case strings.TrimSpace(e.Comments) == "":
		return newJSON(http.StatusBadRequest, map[string]any{"comments": []string{"This field may not be blank."}})
	case !slices.Contains([]string{"info", "success", "warning", "danger"}, e.Kind):
		return newJSON(http.StatusBadRequest, map[string]any{"kind": []string{fmt.Sprintf("%q is not a valid choice.", e.Kind)}})
	case device == nil:
		return newJSON(http.StatusBadRequest, map[string]any{"non_field_errors": []string{
			fmt.Sprintf("Invalid assigned_object: device ID %d", e.DeviceID)}})
	}
	o := st.addJournal(e, device)
	a := newAnswer(http.StatusCreated)
	a.body = o.appendTo(nil, projection(parseQuery(r.URL.RawQuery), st.release, endpoint))
	st.etag(a, o)
	return a
}

func (st *state) addJournal(e JournalEntry, device *object) *object {
	t := st.tables["extras/journal-entries"]
	nested := st.fill(nestedDeviceKeys, "dcim/devices", device.id, device.text("display", ""), map[string]any{"name": device.get("name")})
	display := e.Created.UTC().Format("2006-01-02 15:04") + " (" + title(e.Kind) + ")"
	o := st.fill(journalKeys, "extras/journal-entries", t.last+1, display, map[string]any{
		"assigned_object_type": "dcim.device", "assigned_object_id": device.id, "assigned_object": nested.bytes(),
		"created": timestamp(e.Created), "last_updated": timestamp(e.Created), "created_by": 1,
		"kind": choice(e.Kind), "comments": e.Comments})
	t.insert(o)
	st.changed()
	return o
}
