package isohttp

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// strange are fields where http.ServeContent is stricter or laxer than RFC 9110:
// signs, numbers that overflow, suffixes of nothing, units in other letters.
var strange = regexp.MustCompile(`(?i)\+|[0-9]{18}|-[ \t]*0|^[^b]|^b[^y]|^.[^y]|[^\x20-\x7e\t]`)

// FuzzRange holds rangesOf against http.ServeContent, and to what it promises.
func FuzzRange(f *testing.F) {
	for _, q := range requests {
		if r := q.header.Get("Range"); r != "" {
			f.Add(strings.NewReplacer("%d", "100", "%s", "1000").Replace(r), uint16(1000))
		}
	}
	f.Fuzz(func(t *testing.T, field string, size16 uint16) {
		size := int64(size16) + 1
		ranges, ok := rangesOf(nil, field, size)
		var sum int64
		for _, r := range ranges {
			if r.off < 0 || r.n <= 0 || r.off > size-r.n {
				t.Fatalf("%q of %d: %v lies outside", field, size, ranges)
			}
			sum += r.n
		}
		if len(ranges) > maxRanges || sum > size || !ok && ranges != nil {
			t.Fatalf("%q of %d: %v, %v", field, size, ranges, ok)
		}
		if strange.MatchString(field) || !strings.HasPrefix(field, "bytes=") || strings.Count(field, ",") >= maxRanges {
			return
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Range"] = []string{field}
		w := httptest.NewRecorder()
		http.ServeContent(w, r, "x.iso", time.Time{}, bytes.NewReader(make([]byte, size)))
		want := w.Code
		got := http.StatusOK
		if !ok {
			got = http.StatusRequestedRangeNotSatisfiable
		} else if len(ranges) > 0 {
			got = http.StatusPartialContent
		}
		if got != want {
			t.Fatalf("%q of %d: %d, http.ServeContent has %d", field, size, got, want)
		}
		if len(ranges) == 1 {
			b := appendContentRange(nil, ranges[0], &content{lengthField: []string{strconv.FormatInt(size, 10)}})
			if h := w.Result().Header.Get("Content-Range"); string(b) != h {
				t.Fatalf("%q of %d: %s, http.ServeContent has %s", field, size, b, h)
			}
		}
	})
}

func FuzzPrecondition(f *testing.F) {
	for _, s := range []string{`"a"`, `W/"a"`, `*`, `"x", "a"`, `"a`, ``, `,,"a"`, `garbage`, `W/`, `"a" "b"`} {
		f.Add(s, s, "")
	}
	f.Add("", "", "Sat, 01 Jan 2000 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, match, none, since string) {
		h := http.Header{}
		for k, v := range map[string]string{"If-Match": match, "If-None-Match": none, "If-Modified-Since": since} {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
				return // no header field
			}
			if v != "" {
				h[k] = []string{v}
			}
		}
		got := precondition(h, `"a"`, firstModified)
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = h
		w := httptest.NewRecorder()
		w.Header().Set("Etag", `"a"`)
		http.ServeContent(w, r, "x.iso", firstModified, strings.NewReader("x"))
		want := w.Code
		if want == http.StatusOK || want == http.StatusNotModified && none == "" && !sameDate(since, firstModified) {
			want = 0 // of this field only our own date counts
		}
		if got != want {
			t.Errorf("%q: got %d, http.ServeContent has %d", h, got, want)
		}
	})
}

func sameDate(field string, t time.Time) bool {
	d, err := http.ParseTime(field)
	return err == nil && d.Equal(t)
}
