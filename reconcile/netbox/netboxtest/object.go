package netboxtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// raw is a piece of JSON.
type raw = json.RawMessage

// An object is one row of a table: its keys in NetBox's order, and their
// values as they are sent. Objects of a kind share their keys.
type object struct {
	id   int
	keys []string
	vals []raw
}

func (o *object) get(key string) raw {
	if i := slices.Index(o.keys, key); i >= 0 {
		return o.vals[i]
	}
	return nil
}

// set changes a key that the object has; NetBox drops other input too.
func (o *object) set(key string, v any) {
	if i := slices.Index(o.keys, key); i >= 0 {
		o.vals[i] = encode(v)
	}
}

// text returns a string value, or that of the given key in a nested object.
func (o *object) text(key, nested string) string {
	v := o.get(key)
	if nested != "" {
		var m map[string]raw
		if json.Unmarshal(v, &m) != nil {
			return ""
		}
		v = m[nested]
	}
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	return strings.TrimPrefix(string(v), "null")
}

// appendTo appends the object with the keys that keep accepts.
func (o *object) appendTo(b []byte, keep func(string) bool) []byte {
	b = append(b, '{')
	first := true
	for i, key := range o.keys {
		if !keep(key) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, key...)
		b = append(b, '"', ':')
		b = append(b, o.vals[i]...)
	}
	return append(b, '}')
}

func (o *object) bytes() raw { return o.appendTo(nil, func(string) bool { return true }) }

// parseObject takes a recorded object apart, its keys in their order.
func parseObject(data raw) (*object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("not an object"), err)
	}
	o := &object{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var v raw
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		name, _ := key.(string)
		o.keys, o.vals = append(o.keys, name), append(o.vals, v)
		if name == "id" {
			o.id, _ = strconv.Atoi(string(v))
		}
	}
	return o, nil
}

// A table holds the objects of one endpoint in the order of their ids.
type table struct {
	rows []*object
	byID map[int]*object
	last int // the highest id given out
}

// insert adds an object under its id, or under the next free one if that is 0.
func (t *table) insert(o *object) {
	if o.id == 0 {
		o.id = t.last + 1
	}
	t.last = max(t.last, o.id)
	if t.byID == nil {
		t.byID = make(map[int]*object)
	}
	t.byID[o.id] = o
	t.rows = append(t.rows, o)
}

func (t *table) remove(id int) bool {
	if t.byID[id] == nil {
		return false
	}
	delete(t.byID, id)
	t.rows = slices.DeleteFunc(t.rows, func(o *object) bool { return o.id == id })
	return true
}

// encode is json.Marshal for what this package makes itself, with short cuts
// for what there is most of. Values that do not encode become null.
func encode(v any) raw {
	switch v := v.(type) {
	case raw:
		return v
	case nil:
		return null
	case int:
		return strconv.AppendInt(nil, int64(v), 10)
	case bool:
		return strconv.AppendBool(nil, v)
	case string:
		if !strings.ContainsFunc(v, func(r rune) bool {
			return r < ' ' || r == '"' || r == '\\' || r > '~' || r == '<' || r == '>' || r == '&'
		}) {
			b := make([]byte, 0, len(v)+2)
			b = append(b, '"')
			b = append(b, v...)
			return append(b, '"')
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return null
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

var null = raw("null")
