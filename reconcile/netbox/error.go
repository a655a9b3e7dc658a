package netbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

var (
	// ErrAuth is in the chain when NetBox refuses the token, or the token
	// lacks a permission.
	ErrAuth = errors.New("the token is refused or lacks a permission")
	// ErrNotNetBox is in the chain when something else answered: a proxy, a
	// login page, a redirect.
	ErrNotNetBox = errors.New("the answer is not NetBox's")
	// ErrIncomplete is in the chain when a listing does not prove complete.
	ErrIncomplete = errors.New("the listing is not complete")
	// ErrFilterIgnored is in the chain when NetBox answers rows that were not
	// asked for.
	ErrFilterIgnored = errors.New("NetBox ignored a filter")
)

// A RequestError is NetBox's refusal of a request.
type RequestError struct {
	Method, Path string
	Status       int
	// Message is NetBox's own explanation, on one line.
	Message string
	// Fields are the names of the input fields that NetBox complains about.
	Fields []string
	// RetryAfter is how long NetBox asks to be left alone; 0 if it does not.
	RetryAfter time.Duration
}

// Error returns one line with the request, the status and NetBox's words.
func (e *RequestError) Error() string {
	s := fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		s += " (check the token and its permissions)"
	}
	return s
}

// Unwrap returns [ErrAuth] for the statuses that mean it.
func (e *RequestError) Unwrap() error {
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		return ErrAuth
	}
	return nil
}

// Temporary reports whether the same request may well pass later.
func (e *RequestError) Temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// newRequestError reads what NetBox says in the body of a refusal.
func newRequestError(req *http.Request, resp *http.Response, body []byte) *RequestError {
	e := &RequestError{Method: req.Method, Path: req.URL.Path, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now())}
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		e.Message = htmlTitle(body)
		return e
	}
	if detail, ok := fields["detail"].(string); ok && len(fields) == 1 {
		e.Message = oneLine(detail)
		return e
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name != "__all__" && name != "detail" && name != "non_field_errors" {
			e.Fields = append(e.Fields, oneLine(name))
			parts = append(parts, name+": "+flatten(fields[name]))
			continue
		}
		parts = append(parts, flatten(fields[name]))
	}
	e.Message = oneLine(strings.Join(parts, "; "))
	return e
}

// flatten puts NetBox's nested complaints on one line.
func flatten(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = flatten(v[i])
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, k+": "+flatten(v[k]))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(v)
}

// htmlTitle finds the title of a page, which is all that is worth showing.
func htmlTitle(body []byte) string {
	lower := bytes.ToLower(body)
	i := bytes.Index(lower, []byte("<title>"))
	j := bytes.Index(lower, []byte("</title>"))
	if i < 0 || j < i || len(lower) != len(body) {
		return ""
	}
	return oneLine(string(body[i+len("<title>") : j]))
}

// oneLine makes foreign text fit for a message: one line, printable, bounded.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
