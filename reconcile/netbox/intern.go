package netbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// An interner makes equal parts of ten thousand devices one: names of sites
// and roles, and config contexts, which differ little from device to device
// and would take a hundred megabytes if each were decoded by itself. It lives
// as long as one scan.
type interner struct {
	seeds [2]maphash.Seed

	mu     sync.Mutex
	texts  map[string]string
	values map[sum]any
}

// A sum stands for a piece of JSON. Its seeds are random, so that nobody can
// make two pieces with the same one, and 128 bits do not meet by chance.
type sum struct {
	a, b uint64
	size int
}

func newInterner() *interner {
	return &interner{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		texts: make(map[string]string), values: make(map[sum]any)}
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

// object decodes a JSON object, or only the given keys of it. Equal values of
// different objects are decoded once.
func (in *interner) object(data json.RawMessage, only ...string) (map[string]any, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	only = slices.DeleteFunc(only, func(key string) bool { return key == "" })
	m := make(map[string]any)
	err := eachMember(data, func(key string, value json.RawMessage) error {
		if len(only) > 0 && !slices.Contains(only, key) {
			return nil
		}
		v, err := in.value(value)
		m[in.text(key)] = v
		return err
	})
	return m, err
}

// value decodes a value that may have been seen before.
func (in *interner) value(data json.RawMessage) (any, error) {
	if len(data) < 16 { // smaller than its sum
		return decodeValue(data)
	}
	key := sum{maphash.Bytes(in.seeds[0], data), maphash.Bytes(in.seeds[1], data), len(data)}
	in.mu.Lock()
	v, ok := in.values[key]
	in.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := decodeValue(data)
	if err == nil {
		in.mu.Lock()
		in.values[key] = v
		in.mu.Unlock()
	}
	return v, err
}

// eachMember calls f for the members of a JSON object. data is valid JSON, as
// a json.RawMessage is; taking it apart by hand is several times as fast as
// json.Unmarshal, which would check it once more.
func eachMember(data json.RawMessage, f func(key string, value json.RawMessage) error) error {
	const space = " \t\r\n"
	data = bytes.TrimLeft(data, space)
	if len(data) == 0 || data[0] != '{' {
		return fmt.Errorf("%w: not an object", errMalformed)
	}
	for data = data[1:]; ; {
		data = bytes.TrimLeft(data, space+",")
		if len(data) == 0 || data[0] == '}' {
			return nil
		}
		n := valueEnd(data)
		var key string
		if err := json.Unmarshal(data[:n], &key); err != nil {
			return malformed(err)
		}
		data = bytes.TrimLeft(data[n:], space+":")
		if n = valueEnd(data); n == 0 {
			return fmt.Errorf("%w: a key without value", errMalformed)
		}
		if err := f(key, bytes.TrimRight(data[:n], space)); err != nil {
			return err
		}
		data = data[n:]
	}
}

// valueEnd returns where the valid JSON value at the start of data ends.
func valueEnd(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return min(i+1, len(data))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
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
