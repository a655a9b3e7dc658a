package netboxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
)

var (
	fieldName = regexp.MustCompile(`^[a-z0-9_]+$`)
	fieldType = []string{"text", "longtext", "integer", "decimal", "boolean", "date", "datetime", "url", "json", "select", "multiselect", "object", "multiobject"}
)

// createDefinition answers the POST of a tag or a custom field.
func (st *state) createDefinition(r *http.Request, endpoint string, body []byte) *answer {
	in, refused := st.inputs(r, endpoint, body)
	if refused != nil {
		return refused
	}
	word := func(key string) string {
		var s string
		_ = json.Unmarshal(in[key], &s)
		return s
	}
	problems := make(map[string]any)
	taken := func(key string) {
		if slices.ContainsFunc(st.tables[endpoint].rows, func(o *object) bool { return o.text(key, "") == word(key) }) {
			problems[key] = []string{fmt.Sprintf("%s with this %s already exists.", st.kind(endpoint), key)}
		}
		if word(key) == "" {
			problems[key] = []string{"This field is required."}
		}
	}
	taken("name")
	var o *object
	if endpoint == "extras/tags" {
		taken("slug")
		if len(problems) > 0 {
			return newJSON(http.StatusBadRequest, problems)
		}
		o = st.tables[endpoint].byID[st.tag(word("slug")).id]
		o.set("name", word("name"))
		o.set("description", word("description"))
	} else {
		var on []string
		_ = json.Unmarshal(in["object_types"], &on)
		kind := word("type")
		switch {
		case !fieldName.MatchString(word("name")):
			problems["name"] = []string{"Only alphanumeric characters and underscores are allowed."}
		case len(on) == 0:
			problems["object_types"] = []string{"This field is required."}
		case !slices.Contains(fieldType, kind):
			problems["type"] = []string{fmt.Sprintf("%q is not a valid choice.", kind)}
		}
		if len(problems) > 0 {
			return newJSON(http.StatusBadRequest, problems)
		}
		o = st.addCustomField(CustomField{Name: word("name"), Type: kind, ObjectTypes: on})
		o.set("description", word("description"))
		st.giveField(word("name"), on)
	}
	st.changed()
	a := newAnswer(http.StatusCreated)
	a.body = o.bytes()
	st.etag(a, o)
	return a
}

// giveField gives the objects that a new custom field belongs to a null.
func (st *state) giveField(name string, on []string) {
	for _, kind := range on {
		endpoint := map[string]string{"dcim.device": "dcim/devices", "ipam.prefix": "ipam/prefixes"}[kind]
		if endpoint == "" {
			continue
		}
		for _, o := range st.tables[endpoint].rows {
			var now map[string]any
			if json.Unmarshal(o.get("custom_fields"), &now) != nil || now == nil {
				now = make(map[string]any)
			}
			if _, has := now[name]; !has {
				now[name] = nil
			}
			o.set("custom_fields", mapping(now))
		}
	}
}
