package isohttp

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// requests are compared with http.ServeContent. want is what RFC 9110 asks for
// where that differs.
var requests = []struct {
	name   string
	method string
	header http.Header
	want   int
}{
	{name: "whole"},
	{name: "head", method: "HEAD"},
	{name: "first byte", header: fields("Range", "bytes=0-0")},
	{name: "descriptors", header: fields("Range", "bytes=32768-34815")},
	{name: "open end", header: fields("Range", "bytes=%d-")},
	{name: "suffix", header: fields("Range", "bytes=-2048")},
	{name: "suffix longer than all", header: fields("Range", "bytes=-99999999999")},
	{name: "to beyond the end", header: fields("Range", "bytes=4096-99999999999")},
	{name: "all", header: fields("Range", "bytes=0-")},
	{name: "white space", header: fields("Range", "bytes= 5 - 99 , ")},
	{name: "nothing asked", header: fields("Range", "bytes=")},
	{name: "at the end", header: fields("Range", "bytes=%s-")},
	{name: "beyond the end", header: fields("Range", "bytes=99999999999-")},
	{name: "backwards", header: fields("Range", "bytes=10-5")},
	{name: "no dash", header: fields("Range", "bytes=10")},
	{name: "letters", header: fields("Range", "bytes=a-b")},
	{name: "negative", header: fields("Range", "bytes=--5")},
	{name: "several", header: fields("Range", "bytes=0-99,32768-36863,-5")},
	{name: "several, overlapping", header: fields("Range", "bytes=0-4096,100-8000")},
	{name: "several, one satisfiable", header: fields("Range", "bytes=99999999999-,7-9")},
	{name: "several, none satisfiable", header: fields("Range", "bytes=99999999999-,88888888888-")},
	{name: "several, more than all", header: fields("Range", "bytes=0-,0-,5-")},
	{name: "several, one malformed", header: fields("Range", "bytes=0-5,x")},

	{name: "if-match", header: fields("If-Match", "ETAG")},
	{name: "if-match list", header: fields("If-Match", `"a", W/"b" ,ETAG`)},
	{name: "if-match other", header: fields("If-Match", `"other"`)},
	{name: "if-match weak", header: fields("If-Match", `W/ETAG`)},
	{name: "if-match any", header: fields("If-Match", "*")},
	{name: "if-match garbage", header: fields("If-Match", "garbage")},
	{name: "if-none-match", header: fields("If-None-Match", "ETAG")},
	{name: "if-none-match weak", header: fields("If-None-Match", "W/ETAG")},
	{name: "if-none-match other", header: fields("If-None-Match", `"other", "others"`)},
	{name: "if-none-match any", header: fields("If-None-Match", "*")},
	{name: "if-none-match head", method: "HEAD", header: fields("If-None-Match", "ETAG")},
	{name: "if-none-match and date", header: fields("If-None-Match", `"other"`, "If-Modified-Since", "DATE")},
	{name: "if-modified-since", header: fields("If-Modified-Since", "DATE")},
	{name: "if-modified-since before", header: fields("If-Modified-Since", "Fri, 31 Dec 1999 23:59:59 GMT")},
	{name: "if-modified-since after", header: fields("If-Modified-Since", "Fri, 31 Dec 2025 23:59:59 GMT"), want: 200},
	{name: "if-modified-since garbage", header: fields("If-Modified-Since", "yesterday")},
	{name: "if-unmodified-since", header: fields("If-Unmodified-Since", "DATE")},
	{name: "if-unmodified-since before", header: fields("If-Unmodified-Since", "Fri, 31 Dec 1999 23:59:59 GMT")},
	{name: "if-match beats date", header: fields("If-Match", "ETAG", "If-Unmodified-Since", "Fri, 31 Dec 1999 23:59:59 GMT")},
	{name: "if-range", header: fields("Range", "bytes=5-9", "If-Range", "ETAG")},
	{name: "if-range weak", header: fields("Range", "bytes=5-9", "If-Range", "W/ETAG")},
	{name: "if-range other", header: fields("Range", "bytes=5-9", "If-Range", `"other"`)},
	{name: "if-range date", header: fields("Range", "bytes=5-9", "If-Range", "DATE")},
	{name: "if-range other date", header: fields("Range", "bytes=5-9", "If-Range", "Fri, 31 Dec 1999 23:59:59 GMT")},
	{name: "if-range garbage", header: fields("Range", "bytes=5-9", "If-Range", "garbage")},
	{name: "if-range and 304", header: fields("Range", "bytes=5-9", "If-Range", "ETAG", "If-None-Match", "ETAG")},

	{name: "head ignores ranges", method: "HEAD", header: fields("Range", "bytes=5-9"), want: 200},
	{name: "unknown unit", header: fields("Range", "pages=5-9"), want: 200},
	{name: "unit in capitals", header: fields("Range", "Bytes=5-9"), want: 206},
	{name: "suffix of nothing", header: fields("Range", "bytes=-0"), want: 416},
	{name: "huge last position", header: fields("Range", "bytes=5-99999999999999999999999"), want: 206},
	{name: "huge first position", header: fields("Range", "bytes=99999999999999999999999-"), want: 416},
	{name: "huge suffix", header: fields("Range", "bytes=-99999999999999999999999"), want: 206},
	{name: "plus sign", header: fields("Range", "bytes=+5-9"), want: 416},
	{name: "very many", header: fields("Range", "bytes="+strings.Repeat("1-1,", 65)), want: 200},
}

func fields(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func TestRequests(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 600_000, Medium{})
			base, c := w.client(t, s)
			head := ask(t, c, "HEAD", base+p.Path(), nil).header
			etag, date := head.Get("Etag"), head.Get("Last-Modified")
			for _, q := range requests {
				t.Run(q.name, func(t *testing.T) {
					method := q.method
					if method == "" {
						method = "GET"
					}
					h := http.Header{}
					for k := range q.header {
						h.Set(k, strings.NewReplacer("ETAG", etag, "DATE", date,
							"%d", fmt.Sprint(v.Size()-70_000), "%s", fmt.Sprint(v.Size())).Replace(q.header.Get(k)))
					}
					got := ask(t, c, method, base+p.Path(), h)
					checkAnswer(t, got, reference(t, v, method, h, etag, date), q.want)
				})
			}
		})
	}
}

// reference is the answer of http.ServeContent.
func reference(t *testing.T, v *patched, method string, h http.Header, etag, date string) reply {
	r := httptest.NewRequest(method, "/", nil)
	r.Header = h
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", etag)
	modified, err := http.ParseTime(date)
	if err != nil {
		t.Fatal(err)
	}
	http.ServeContent(w, r, "x.iso", modified, bytes.NewReader(v.bytes))
	res := w.Result()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, b}
}

// checkAnswer compares an answer with that of http.ServeContent, or only its
// status when want is set.
func checkAnswer(t *testing.T, got, ref reply, want int) {
	t.Helper()
	if got.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("Accept-Ranges is %q", got.header.Get("Accept-Ranges"))
	}
	if want != 0 {
		if got.status != want {
			t.Errorf("status is %d, want %d", got.status, want)
		}
		return
	}
	if got.status != ref.status {
		t.Fatalf("status is %d, http.ServeContent has %d", got.status, ref.status)
	}
	keys := []string{"Content-Range", "Etag", "Last-Modified", "Content-Length", "Content-Type"}
	if got.status >= 400 {
		keys = nil // each has its own text
		if r := got.header.Get("Content-Range"); (got.status == 416) != strings.HasPrefix(r, "bytes */") {
			t.Errorf("Content-Range of a %d is %q", got.status, r)
		}
	}
	multi := strings.HasPrefix(ref.header.Get("Content-Type"), "multipart/")
	if multi {
		if diff := cmp.Diff(parts(t, ref), parts(t, got)); diff != "" {
			t.Errorf("parts (-http.ServeContent +got):\n%s", diff)
		}
		return
	}
	for _, k := range keys {
		if g, w := got.header.Get(k), ref.header.Get(k); g != w {
			t.Errorf("%s is %q, http.ServeContent has %q", k, g, w)
		}
	}
	if got.status < 400 && !bytes.Equal(got.body, ref.body) {
		t.Errorf("body differs: %d bytes, want %d", len(got.body), len(ref.body))
	}
}

type part struct {
	Range, Type string
	Body        []byte
}

func parts(t *testing.T, a reply) (all []part) {
	t.Helper()
	_, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for m := multipart.NewReader(bytes.NewReader(a.body), params["boundary"]); ; {
		p, err := m.NextRawPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, part{p.Header.Get("Content-Range"), p.Header.Get("Content-Type"), b})
	}
}

func TestRandomRanges(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 5<<20, Medium{})
			base, c := w.client(t, s)
			r := rand.New(rand.NewPCG(7, 7))
			for range 60 {
				off := r.Int64N(v.Size())
				n := 1 + r.Int64N(min(v.Size()-off, 1<<(1+r.IntN(23))))
				got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1)))
				if got.status != 206 || !bytes.Equal(got.body, v.bytes[off:off+n]) {
					t.Fatalf("[%d, +%d): status %d, %d bytes, or wrong ones", off, n, got.status, len(got.body))
				}
			}
		})
	}
}

func TestUnknownPaths(t *testing.T) {
	s := &Server{}
	p, _ := publish(t, s, 1000, Medium{})
	c := &http.Client{Transport: s.Transport()}
	for _, path := range []string{"/", "/i/", p.Path() + "/", p.Path()[:len(p.Path())-4], strings.Replace(p.Path(), "db-01", "db-02", 1), "/i/AAAAAAAAAAAAAAAAAAAAAA/db-01.iso"} {
		got := ask(t, c, "GET", "http://x"+path, nil)
		if got.status != 404 || string(got.body) != "Not Found\n" {
			t.Errorf("%s: %d %q, want 404", path, got.status, got.body)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		got := ask(t, c, method, "http://x"+p.Path(), nil)
		if got.status != 405 || got.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, got.status, got.header.Get("Allow"))
		}
	}
}

func TestCursorReads(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	data := randomBytes(r, 50_000)
	v := patch(r, data, 20)
	files := baseFiles{}
	base := writeBase(t, data)
	f, err := files.acquire(base)
	if err != nil {
		t.Fatal(err)
	}
	defer files.release(f)
	c, err := newContent(v, base, f)
	if err != nil {
		t.Fatal(err)
	}
	k := c.cursor(0, c.size)
	if err := iotest.TestReader(&k, v.bytes); err != nil {
		t.Error(err)
	}
}
