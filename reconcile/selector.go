package reconcile

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metalcue/metalcue/schema"
)

// A Selector chooses hosts. The zero value chooses all.
type Selector struct {
	any [][]term // one list of terms must match whole
}

type term struct{ key, pattern string }

// selectorKeys are what hosts can be chosen by.
var selectorKeys = []string{"name", "role", "site", "rack", "os"}

// ParseSelector reads what a person writes: each expression is a list of terms
// joined by commas that must all match, and a host is chosen when any
// expression matches it. A term is KEY=GLOB with one of the keys name, role,
// site, rack and os, or a name or glob alone.
func ParseSelector(expressions []string) (Selector, error) {
	var s Selector
	for _, e := range expressions {
		var all []term
		for part := range strings.SplitSeq(e, ",") {
			part = strings.TrimSpace(part)
			key, pattern, ok := strings.Cut(part, "=")
			if !ok {
				key, pattern = "name", part
			}
			if !slices.Contains(selectorKeys, key) {
				return Selector{}, fmt.Errorf("--limit %q: %q is none of %s", e, key, strings.Join(selectorKeys, ", "))
			}
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				return Selector{}, fmt.Errorf("--limit %q: %q is no name or glob", e, pattern)
			}
			all = append(all, term{key, pattern})
		}
		s.any = append(s.any, all)
	}
	return s, nil
}

// Hosts returns the names of the fleet's hosts that may be chosen as far as
// the fleet alone tells; racks are NetBox's to tell.
func (s Selector) Hosts(f *schema.Fleet) ([]string, error) {
	names := slices.DeleteFunc(f.HostNames(), func(name string) bool { return !s.match(f.Hosts[name], nil) })
	if len(names) == 0 {
		return nil, fmt.Errorf("no host of the fleet is chosen by --limit %s", s)
	}
	return names, nil
}

// match reports whether a host is chosen; a nil rack counts as any.
func (s Selector) match(h *schema.Host, rack *string) bool {
	if len(s.any) == 0 {
		return true
	}
	return slices.ContainsFunc(s.any, func(all []term) bool {
		return !slices.ContainsFunc(all, func(t term) bool { return !t.match(h, rack) })
	})
}

func (t term) match(h *schema.Host, rack *string) bool {
	var value string
	switch t.key {
	case "name":
		value = h.Name
	case "role":
		value = h.Role
	case "site":
		value = h.Site
	case "os":
		value = h.OS
	case "rack":
		if rack == nil {
			return true
		}
		value = *rack
	}
	ok, _ := path.Match(t.pattern, value)
	if t.key == "site" && !ok { // a site in a site goes by its own name too
		ok, _ = path.Match(t.pattern, path.Base(value))
	}
	return ok
}

// String returns the selector as it may be written.
func (s Selector) String() string { return strings.Join(s.expressions(), " or ") }

// expressions returns what ParseSelector would read again.
func (s Selector) expressions() (expressions []string) {
	for _, all := range s.any {
		var parts []string
		for _, t := range all {
			parts = append(parts, t.key+"="+t.pattern)
		}
		expressions = append(expressions, strings.Join(parts, ","))
	}
	return expressions
}
