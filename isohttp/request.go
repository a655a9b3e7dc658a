package isohttp

import "bytes"

// request is a request for a medium as controllers make them, which an event loop
// answers itself.
type request struct {
	head   bool   // HEAD, not GET
	path   []byte // of the request's bytes
	ranges []byte // value of Range, of the request's bytes; nil: none
	close  bool   // the client wants no further answer
	n      int    // length in bytes
}

// maxRequest is how long a request may be that an event loop answers.
const maxRequest = 4 << 10

// verdict is what parseRequest makes of bytes.
type verdict int

const (
	partial verdict = iota // a request has begun
	plain                  // a request
	foreign                // for net/http
)

// parseRequest reads the request that b begins with. It knows GET and HEAD of
// HTTP/1.1 (RFC 9112) in the strictest form, without body and conditions, and
// calls everything else foreign as soon as it can tell: what it accepts, net/http
// reads in the same way, and what it does not understand, net/http answers.
func parseRequest(b []byte) (request, verdict) {
	var r request
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if mayBegin(b, "GET /") || mayBegin(b, "HEAD /") {
			return r, unlessLong(b)
		}
		return r, foreign
	}
	if !r.requestLine(b[:i+1]) {
		return r, foreign
	}
	host := false
	for {
		i++
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			return r, unlessLong(b)
		}
		line := b[i : i+n+1]
		i += n
		if len(line) == 2 && line[0] == '\r' {
			r.n = i + 1
			if !host {
				return r, foreign
			}
			return r, plain
		}
		if !r.field(line, &host) {
			return r, foreign
		}
	}
}

// mayBegin says whether b and s begin alike.
func mayBegin(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

func unlessLong(b []byte) verdict {
	if len(b) >= maxRequest {
		return foreign
	}
	return partial
}

// requestLine reads a request line (RFC 9112 §3).
func (r *request) requestLine(line []byte) bool {
	rest, ok := bytes.CutSuffix(line, []byte(" HTTP/1.1\r\n"))
	if !ok {
		return false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte("GET ")); !ok {
		if rest, r.head = bytes.CutPrefix(rest, []byte("HEAD ")); !r.head {
			return false
		}
	}
	r.path = rest
	return len(rest) > 0 && rest[0] == '/' && only(rest, pathChars)
}

// field reads a line of the header (RFC 9112 §5).
func (r *request) field(line []byte, host *bool) bool {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	name, value, found := bytes.Cut(line, []byte(":"))
	if !ok || !found || len(name) == 0 || !only(name, tokenChars) || !only(value, valueChars) {
		return false
	}
	value = bytes.Trim(value, " \t")
	switch {
	case is(name, "host"):
		ok = !*host && len(value) > 0 && only(value, hostChars)
		*host = true
	case is(name, "range"):
		ok = r.ranges == nil && len(value) > 0
		r.ranges = value
	case is(name, "connection"):
		r.close = r.close || is(value, "close")
		ok = is(value, "close") || is(value, "keep-alive")
	case is(name, "content-length"), is(name, "transfer-encoding"), is(name, "trailer"), is(name, "expect"), is(name, "upgrade"):
		ok = false
	default:
		ok = len(name) < 3 || !is(name[:3], "if-")
	}
	return ok
}

// is compares b with s, which is in lower case, as names of fields are compared.
func is(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// charSet is a set of ASCII characters.
type charSet [256]bool

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

var (
	pathChars  = charsOf(alphanumeric + "/-._~")           // no query, nothing to decode
	tokenChars = charsOf(alphanumeric + "!#$%&'*+-.^_`|~") // RFC 9110 §5.6.2
	hostChars  = charsOf(alphanumeric + "-._:[]")          // of names and addresses
	valueChars = charsOf(alphanumeric + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t")
)

func charsOf(s string) *charSet {
	var c charSet
	for i := range len(s) {
		c[s[i]] = true
	}
	return &c
}

func only(b []byte, set *charSet) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return true
}
