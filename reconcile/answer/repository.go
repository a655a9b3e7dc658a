package answer

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Repository is a source of packages beside the medium: an entry of
// .Vars.repositories.
type Repository struct {
	Name       string   // one word, such as "site"
	URL        string   // of its root
	Key        string   // the URL of the key that it is signed with; "" if that key is installed already
	Suite      string   // of apt, such as "bookworm"
	Components []string // of apt, such as "main"
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// repositories reads .Vars.repositories, a list of {name, url, key, suite,
// components}, of which only name and url must be there. No such variable is
// an empty list.
func (v *view) repositories() ([]Repository, error) {
	list, ok := v.Vars["repositories"].([]any)
	if v.Vars["repositories"] != nil && !ok {
		return nil, &valueError{".Vars.repositories", "it is no list"}
	}
	var all []Repository
	for i, e := range list {
		at := fmt.Sprintf(".Vars.repositories[%d]", i)
		m, ok := e.(map[string]any)
		if !ok {
			return nil, &valueError{at, "it is no struct with name and url"}
		}
		r, err := repository(at, m)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o Repository) bool { return o.Name == r.Name }) {
			return nil, &valueError{at + ".name", fmt.Sprintf("%q is the name of two repositories", r.Name)}
		}
		all = append(all, r)
	}
	return all, nil
}

func repository(at string, m map[string]any) (r Repository, err error) {
	for _, key := range sortedKeys(m) {
		var text string
		if key != "components" {
			var ok bool
			if text, ok = m[key].(string); !ok {
				return r, &valueError{at + "." + key, "it is no text"}
			}
			if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
				return r, &valueError{at + "." + key, fmt.Sprintf("%q is not one word", text)}
			}
		}
		switch key {
		case "name":
			r.Name = text
		case "url":
			r.URL = text
		case "key":
			r.Key = text
		case "suite":
			r.Suite = text
		case "components":
			if r.Components, err = words(at+"."+key, m[key]); err != nil {
				return r, err
			}
		default:
			return r, &valueError{at + "." + key, "a repository has no such field; it has name, url, key, suite and components"}
		}
	}
	if !repositoryName.MatchString(r.Name) {
		return r, &valueError{at + ".name", fmt.Sprintf("%q is no name of letters, digits, \".\", \"_\" and \"-\"", r.Name)}
	}
	if err := webURL(at+".url", r.URL); err != nil {
		return r, err
	}
	if r.Key != "" && !strings.HasPrefix(r.Key, "file:///") {
		return r, webURL(at+".key", r.Key)
	}
	return r, nil
}

// words reads a list of words.
func words(at string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, &valueError{at, "it is no list"}
	}
	var all []string
	for _, e := range list {
		s, ok := e.(string)
		if !ok || s == "" || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return nil, &valueError{at, fmt.Sprintf("%v is not one word", e)}
		}
		all = append(all, s)
	}
	return all, nil
}

// webURL refuses what is no http or https URL, and passwords, which do not
// belong into git.
func webURL(at, s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return &valueError{at, "it is no http or https URL"}
	case u.User != nil:
		return &valueError{at, "it holds a login, which would be in git; name a secret in the template instead"}
	}
	return nil
}

// proxy reads .Vars.proxy, the URL of a web proxy. Without that variable it is
// "".
func (v *view) proxy() (string, error) {
	if v.Vars["proxy"] == nil {
		return "", nil
	}
	s, ok := v.Vars["proxy"].(string)
	if !ok {
		return "", &valueError{".Vars.proxy", "it is no text"}
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", &valueError{".Vars.proxy", "it is not one word"}
	}
	return s, webURL(".Vars.proxy", s)
}

// noProxy reads .Vars.noProxy, a list of the names and networks that are
// reached without the proxy.
func (v *view) noProxy() ([]string, error) {
	if v.Vars["noProxy"] == nil {
		return []string{}, nil
	}
	return words(".Vars.noProxy", v.Vars["noProxy"])
}
