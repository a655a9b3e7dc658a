package netbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// eachMember calls f for the members of a JSON object, with their keys as they
// are between the quotes. It checks what separates members and leaves the
// values to whoever decodes them: taking an object apart by hand is ten times
// as fast as json.Unmarshal.
func eachMember(data []byte, f func(key, value []byte) error) error {
	data = skipSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return fmt.Errorf("%w: not an object", errMalformed)
	}
	data = skipSpace(data[1:])
	if len(data) > 0 && data[0] == '}' {
		return nil
	}
	for {
		n := stringEnd(data)
		if n == 0 {
			return fmt.Errorf("%w: a member without key", errMalformed)
		}
		key, err := keyOf(data[:n])
		if err != nil {
			return err
		}
		data = skipSpace(data[n:])
		if len(data) == 0 || data[0] != ':' {
			return fmt.Errorf("%w: a key without value", errMalformed)
		}
		data = skipSpace(data[1:])
		if n = valueEnd(data); n == 0 {
			return fmt.Errorf("%w: a key without value", errMalformed)
		}
		if err := f(key, data[:n]); err != nil {
			return err
		}
		data = skipSpace(data[n:])
		switch {
		case len(data) > 0 && data[0] == '}':
			return nil
		case len(data) == 0 || data[0] != ',':
			return fmt.Errorf("%w: an object without end", errMalformed)
		}
		data = skipSpace(data[1:])
	}
}

// keyOf takes a key out of its quotes.
func keyOf(quoted []byte) ([]byte, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1], nil
	}
	var key string
	if err := json.Unmarshal(quoted, &key); err != nil {
		return nil, malformed(err)
	}
	return []byte(key), nil
}

func skipSpace(data []byte) []byte {
	for i, b := range data {
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			return data[i:]
		}
	}
	return nil
}

// stringEnd returns where the string at the start of data ends, 0 if there is
// none or it does not end.
func stringEnd(data []byte) int {
	if len(data) == 0 || data[0] != '"' {
		return 0
	}
	for i := 1; ; i++ {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return 0
		}
		i += n
		escapes := 0
		for data[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// valueEnd returns where the JSON value at the start of data ends, 0 if that
// cannot be told. What is no valid JSON ends somewhere.
func valueEnd(data []byte) int {
	if len(data) == 0 {
		return 0
	}
	switch data[0] {
	case '"':
		return stringEnd(data)
	case '{', '[':
	default:
		n := bytes.IndexAny(data, ",]} \t\r\n")
		return max(n, 0)
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			n := stringEnd(data[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// decodeOne reads a body that is one value.
func decodeOne(r io.Reader, v any) error {
	if err := json.NewDecoder(r).Decode(v); err != nil {
		return malformed(err)
	}
	return nil
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
	if v, ok := simple(data); ok {
		return v, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, malformed(err)
	}
	return plain(v), nil
}

// simple decodes what most values are, without the cost of a decoder.
func simple(data []byte) (any, bool) {
	switch string(data) {
	case "null":
		return nil, true
	case "true":
		return true, true
	case "false":
		return false, true
	case "":
		return nil, false
	}
	for i, b := range data {
		switch {
		case data[0] == '"' && (b < ' ' || b > '~' || b == '\\' || b == '"' && i > 0 && i < len(data)-1):
			return nil, false
		case data[0] != '"' && (b < '0' || b > '9' || i > 17 || i == 1 && data[0] == '0'):
			return nil, false
		}
	}
	if data[0] == '"' {
		if len(data) < 2 || data[len(data)-1] != '"' {
			return nil, false
		}
		return string(data[1 : len(data)-1]), true
	}
	n, err := strconv.ParseInt(string(data), 10, 64)
	return n, err == nil
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

// malformed marks what a JSON decoder objects to, but not the end of a
// connection, which may be whole at the next try.
func malformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", errMalformed, err)
}
