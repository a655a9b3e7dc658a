package redfish

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// maxList bounds every list that a BMC sends.
const maxList = 1024

// decode reads a resource into one of our structs. A property of an odd type is
// left at its zero value: encoding/json goes on after such an error, and so do
// we. What is not a JSON object at all is an error.
func decode(body []byte, into any) error {
	var odd *json.UnmarshalTypeError
	err := json.Unmarshal(body, into)
	if errors.As(err, &odd) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	if b := strings.TrimLeft(string(body[:min(len(body), 64)]), " \t\r\n"); !strings.HasPrefix(b, "{") {
		return errors.New("decoding the answer: not a JSON object")
	}
	return nil
}

// decodeList reads a list whose elements may be odd; those are skipped.
func decodeList[T any](raw json.RawMessage, into *[]T) {
	var parts []json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return
	}
	for _, p := range parts[:min(len(parts), maxList)] {
		var v T
		var odd *json.UnmarshalTypeError
		if err := json.Unmarshal(p, &v); err == nil || (errors.As(err, &odd) && strings.HasPrefix(string(p), "{")) {
			*into = append(*into, v)
		}
	}
}

// text is a string property. Numbers and booleans count as their text, all
// else as absent: BMCs send `"SKU": null` and `"Id": 1`.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	switch b[0] {
	case '"':
		var s string
		if json.Unmarshal(b, &s) == nil {
			*t = text(strings.ToValidUTF8(s, "\uFFFD"))
		}
	case 'n', '{', '[':
	default:
		*t = text(b)
	}
	return nil
}

// trim is the text without the padding some BMCs add (HPE: 32 spaces, X10: 10).
func (t text) trim() string { return strings.Trim(string(t), " \t\r\n\x00") }

// flag is a boolean property that may be absent, null or odd.
type flag struct{ Known, Value bool }

func (f *flag) UnmarshalJSON(b []byte) error {
	s := strings.ToLower(strings.Trim(string(b), `"`))
	*f = flag{Known: s == "true" || s == "false", Value: s == "true"}
	return nil
}

// property is a string property of which it matters whether it is there. One of
// an odd type has its JSON as value: an AssetTag that cannot be understood must
// not look like one that is empty.
type property struct {
	Present, Null bool
	Value         text
}

func (p *property) UnmarshalJSON(b []byte) error {
	*p = property{Present: true, Null: b[0] == 'n'}
	if b[0] == '{' || b[0] == '[' {
		p.Value = text(cut(string(b), 64))
		return nil
	}
	return p.Value.UnmarshalJSON(b)
}

// texts is a list of strings; odd elements are left out.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	*t = nil
	var list []text
	decodeList(b, &list)
	for _, s := range list {
		if s != "" {
			*t = append(*t, string(s))
		}
	}
	return nil
}

// link is a reference to a resource: {"@odata.id": "…"}, or the bare string
// that @Redfish.ActionInfo is.
type link string

func (l *link) UnmarshalJSON(b []byte) error {
	*l = ""
	var s text
	if b[0] == '{' {
		var o struct {
			ID text `json:"@odata.id"`
		}
		if json.Unmarshal(b, &o) == nil {
			s = o.ID
		}
	} else if b[0] == '"' {
		_ = s.UnmarshalJSON(b)
	}
	*l = link(s)
	return nil
}

// links is a list of references; a single one counts as a list of one.
type links []link

func (l *links) UnmarshalJSON(b []byte) error {
	*l = nil
	var list []link
	if b[0] == '[' {
		decodeList(b, &list)
	} else {
		var one link
		_ = one.UnmarshalJSON(b)
		list = []link{one}
	}
	for _, e := range list {
		if e != "" {
			*l = append(*l, e)
		}
	}
	return nil
}

// names are the keys of an object: which OEMs a resource speaks for, which
// actions it has.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	*n = nil
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	for k := range m {
		if len(*n) < maxList {
			*n = append(*n, k)
		}
	}
	sort.Strings(*n)
	return nil
}

// has reports whether name is there, whatever its case (OpenBmc, OpenBMC; Ami, AMI).
func (n names) has(name string) bool {
	for _, k := range n {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}
