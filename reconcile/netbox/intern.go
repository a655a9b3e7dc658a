package netbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// An interner makes equal parts of ten thousand devices one: names of sites
// and roles, and config contexts, which differ little from device to device
// and would take a hundred megabytes if each were decoded by itself. It lives
// as long as one scan.
type interner struct {
	mu     sync.Mutex
	texts  map[string]string
	values map[[sha256.Size]byte]any
}

func newInterner() *interner {
	return &interner{texts: make(map[string]string), values: make(map[[sha256.Size]byte]any)}
}

// text returns an equal string, the same one each time.
func (in *interner) text(s string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t, ok := in.texts[s]; ok {
		return t
	}
	s = strings.Clone(s)
	in.texts[s] = s
	return s
}

// object decodes a JSON object. Equal objects, and equal values of different
// objects, are decoded once.
func (in *interner) object(data json.RawMessage) (map[string]any, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	sum := sha256.Sum256(data)
	if v, ok := in.known(sum); ok {
		m, _ := v.(map[string]any)
		return m, nil
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, fmt.Errorf("%w: not an object", errMalformed)
	}
	m := make(map[string]any, len(parts))
	for key, part := range parts {
		v, err := in.value(part)
		if err != nil {
			return nil, err
		}
		m[in.text(key)] = v
	}
	in.keep(sum, m)
	return m, nil
}

func (in *interner) value(data json.RawMessage) (any, error) {
	if len(data) < 16 { // smaller than its sum
		return decodeValue(data)
	}
	sum := sha256.Sum256(data)
	if v, ok := in.known(sum); ok {
		return v, nil
	}
	v, err := decodeValue(data)
	if err == nil {
		in.keep(sum, v)
	}
	return v, err
}

func (in *interner) known(sum [sha256.Size]byte) (any, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	v, ok := in.values[sum]
	return v, ok
}

func (in *interner) keep(sum [sha256.Size]byte, v any) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.values[sum] = v
}

// decodeObject decodes an object; null and nothing are nil.
func decodeObject(data json.RawMessage) (map[string]any, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	v, err := decodeValue(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: not an object", errMalformed)
	}
	return m, nil
}

// decodeValue decodes JSON with whole numbers as int64, so that a template
// prints 1000000 and not 1e+06.
func decodeValue(data json.RawMessage) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, malformed(err)
	}
	return plain(v), nil
}

// plain replaces json.Numbers in place.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // beyond what a float64 holds
		}
		if i := int64(f); f == float64(i) && max(i, -i) < 1<<53 {
			return i
		}
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}
