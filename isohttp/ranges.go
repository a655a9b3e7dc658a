package isohttp

import (
	"math"
	"strings"
)

// byteRange is a satisfiable range: 0 ≤ off, 0 < n, off+n ≤ size.
type byteRange struct{ off, n int64 }

// maxRanges bounds the parts of one answer. A request for more is answered as
// if it had asked for everything, like one that asks for more bytes than there
// are (RFC 9110 §14.2 allows both).
const maxRanges = 64

// rangesOf reads a Range header field (RFC 9110 §14.1.2) for a representation
// of size bytes, appending to dst. No ranges mean that the field is absent or to
// be ignored: an unknown unit, nothing asked for, or far too much. It is not ok
// when the field is malformed or no range in it can be satisfied.
//
// Numbers that overflow are legal: a last position beyond the end means the end.
func rangesOf(dst []byteRange, field string, size int64) (ranges []byteRange, ok bool) {
	if field == "" {
		return nil, true
	}
	unit, set, found := strings.Cut(field, "=")
	if !strings.EqualFold(trimSpace(unit), "bytes") {
		return nil, true
	}
	if !found {
		return nil, false
	}
	ranges = dst[:0]
	seen, sum := 0, int64(0)
	for set != "" {
		var spec string
		spec, set, _ = strings.Cut(set, ",")
		spec = trimSpace(spec)
		if spec == "" {
			continue
		}
		r, valid := parseSpec(spec, size)
		if !valid {
			return nil, false
		}
		seen++
		if r.n == 0 || seen > maxRanges {
			continue
		}
		ranges = append(ranges, r)
		sum += r.n // at most maxRanges × size: no overflow for any image
	}
	switch {
	case seen > maxRanges || sum > size:
		return nil, true
	case seen > 0 && len(ranges) == 0:
		return nil, false
	}
	return ranges, true
}

// parseSpec reads "first-", "first-last" or "-suffix". A range of no bytes is
// one that lies outside.
func parseSpec(spec string, size int64) (r byteRange, valid bool) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return r, false
	}
	first, last = trimSpace(first), trimSpace(last)
	if first == "" {
		n, valid := parsePos(last)
		n = min(n, size)
		return byteRange{size - n, n}, valid
	}
	a, valid := parsePos(first)
	if !valid || a >= size {
		return r, valid
	}
	b := size - 1
	if last != "" {
		if b, valid = parsePos(last); !valid || b < a {
			return r, false
		}
		b = min(b, size-1)
	}
	return byteRange{a, b - a + 1}, true
}

// parsePos reads one or more digits; what does not fit is the largest number.
func parsePos(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 {
			return 0, false
		}
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + d
	}
	return n, true
}

// trimSpace cuts off the optional white space of RFC 9110 §5.6.3.
func trimSpace(s string) string { return strings.Trim(s, " \t") }
