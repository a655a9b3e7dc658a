package netbox

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"sync"
)

// An interner makes equal parts of ten thousand devices one: names of sites and
// roles, values of custom fields, whole config contexts. It lives as long as
// one scan.
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

// text returns the bytes as a string, the same one each time.
func (in *interner) text(b []byte) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t, ok := in.texts[string(b)]; ok {
		return t
	}
	s := string(b)
	in.texts[s] = s
	return s
}

// word returns an equal string, the same one each time.
func (in *interner) word(s string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if t, ok := in.texts[s]; ok {
		return t
	}
	s = strings.Clone(s)
	in.texts[s] = s
	return s
}

// object decodes a JSON object; null and nothing are nil. Equal values of
// different objects are decoded once.
func (in *interner) object(data json.RawMessage) (map[string]any, error) {
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	m := make(map[string]any)
	err := eachMember(data, func(key, value []byte) error {
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
