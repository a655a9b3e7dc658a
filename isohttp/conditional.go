package isohttp

import (
	"net/http"
	"strings"
	"time"
)

// precondition evaluates the conditional fields of a GET or HEAD in the order of
// RFC 9110 §13.2.2. It returns 0 to go on, 304 or 412. Of If-Modified-Since only
// our own date counts, as with nginx: a view's date is older or younger than
// another's by chance, see modifiedOf.
func precondition(h http.Header, etag string, modified time.Time) int {
	if v := h["If-Match"]; v != nil {
		if !listHas(v, etag, true) {
			return http.StatusPreconditionFailed
		}
	} else if t, ok := dateOf(h, "If-Unmodified-Since"); ok && modified.After(t) {
		return http.StatusPreconditionFailed
	}
	if v := h["If-None-Match"]; v != nil {
		if listHas(v, etag, false) {
			return http.StatusNotModified
		}
	} else if t, ok := dateOf(h, "If-Modified-Since"); ok && modified.Equal(t) {
		return http.StatusNotModified
	}
	return 0
}

// rangeApplies evaluates If-Range (RFC 9110 §13.1.5): whether the Range field is
// to be used. Our dates are strong validators: a medium that changes has a new
// one, and both are years old.
func rangeApplies(h http.Header, etag string, modified time.Time) bool {
	v := h["If-Range"]
	if v == nil {
		return true
	}
	if len(v) != 1 {
		return false
	}
	s := trimSpace(v[0])
	if strings.HasPrefix(s, `"`) || strings.HasPrefix(s, "W/") {
		return s == etag
	}
	t, err := http.ParseTime(s)
	return err == nil && t.Equal(modified)
}

func dateOf(h http.Header, key string) (time.Time, bool) {
	v := h[key]
	if len(v) != 1 {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v[0])
	return t, err == nil
}

// listHas says whether a list of entity tags holds etag, which is a strong one,
// or is "*". A strong comparison passes weak tags over.
func listHas(values []string, etag string, strong bool) bool {
	for _, s := range values {
		for {
			s = strings.TrimLeft(s, " \t,")
			if s == "" {
				break
			}
			if s[0] == '*' {
				return true
			}
			weak := strings.HasPrefix(s, "W/")
			if weak {
				s = s[2:]
			}
			n := tagLen(s)
			if n == 0 {
				break // the rest of the list cannot be trusted
			}
			if s[:n] == etag && !(strong && weak) {
				return true
			}
			s = s[n:]
		}
	}
	return false
}

// tagLen returns the length of the opaque tag that s begins with (RFC 9110
// §8.8.3), or 0.
func tagLen(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c <= ' ' || c == 0x7f:
			return 0
		}
	}
	return 0
}
