package isohttp

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	const host = "Host: x\r\n"
	for _, q := range []struct {
		in   string
		want verdict
	}{
		{"", partial},
		{"G", partial},
		{"GET /i", partial},
		{"HEAD /", partial},
		{"GET /a HTTP/1.1\r\n", partial},
		{"GET /a HTTP/1.1\r\n" + host, partial},
		{"GET /a HTTP/1.1\r\n" + host + "\r", partial},
		{"GET /a HTTP/1.1\r\n" + host + "\r\n", plain},
		{"HEAD /a.iso HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\nGET /", plain},
		{"GET /a HTTP/1.1\r\n" + host + "Range: bytes=0-5\r\nConnection: Close\r\nX: \"%&\t\\\r\n\r\n", plain},
		{"GET /a HTTP/1.1\r\n" + host + "If: x\r\n\r\n", plain},

		{"P", foreign},
		{"\r\n", foreign},
		{"get /", foreign},
		{"GET  /a HTTP/1.1\r\n", foreign},
		{"GET /a HTTP/1.1\n", foreign},
		{"GET /a\r\n", foreign},
		{"GET /a HTTP/1.0\r\n", foreign},
		{"GET /a HTTP/2.0\r\n", foreign},
		{"GET http://x/a HTTP/1.1\r\n", foreign},
		{"GET /a?b HTTP/1.1\r\n", foreign},
		{"GET /%61 HTTP/1.1\r\n", foreign},
		{"GET /a b HTTP/1.1\r\n", foreign},
		{"GET /\xff HTTP/1.1\r\n", foreign},
		{"GET  HTTP/1.1\r\n", foreign},
		{"POST /a HTTP/1.1\r\n", foreign},
		{"GET /a HTTP/1.1\r\n\r\n", foreign}, // no host
		{"GET /a HTTP/1.1\r\nHost:\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + host, foreign},
		{"GET /a HTTP/1.1\r\nHost: a,b\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + " folded\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "A : b\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + ": b\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "A\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "A: \x00\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "A: b\rc\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Range: a\r\nRange: b\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Range: \r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Connection: close, x\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Content-Length: 0\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "transfer-encoding: chunked\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "Upgrade: h2c\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "IF-RANGE: x\r\n", foreign},
		{"GET /a HTTP/1.1\r\n" + host + "If-None-Match: *\r\n", foreign},
		{"GET /" + strings.Repeat("a", maxRequest), foreign},
		{"GET /a HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", maxRequest), foreign},
	} {
		if _, got := parseRequest([]byte(q.in)); got != q.want {
			t.Errorf("%.60q is %d, want %d", q.in, got, q.want)
		}
		sameAsNetHTTP(t, []byte(q.in))
	}
}

// sameAsNetHTTP: what parseRequest accepts, net/http reads in the same way, to the
// same byte, and no answer is held back from a client whose request is complete.
func sameAsNetHTTP(t *testing.T, b []byte) {
	t.Helper()
	r, v := parseRequest(b)
	in := bytes.NewReader(b)
	buf := bufio.NewReader(in)
	h, err := http.ReadRequest(buf)
	if v == partial && err == nil {
		t.Errorf("%q waits for more, net/http would answer", b)
	}
	if v != plain {
		return
	}
	if err != nil {
		t.Fatalf("%q is accepted, net/http says %v", b, err)
	}
	left := in.Len() + buf.Buffered()
	var ranges string
	if f := h.Header["Range"]; len(f) == 1 {
		ranges = f[0]
	} else if len(f) > 1 || r.ranges != nil {
		t.Errorf("%q: Range is %q", b, f)
	}
	method := http.MethodGet
	if r.head {
		method = http.MethodHead
	}
	body, err := io.ReadAll(h.Body)
	if h.Method != method || h.URL.Path != string(r.path) || h.RequestURI != string(r.path) || ranges != string(r.ranges) || h.Close != r.close || h.Host == "" ||
		h.Proto != "HTTP/1.1" || len(h.TransferEncoding) > 0 || len(body) > 0 || err != nil || len(b)-left != r.n {
		t.Errorf("%q:\nwe read       %s %q, range %q, close %t, %d bytes\nnet/http reads %s %q, range %q, close %t, %d bytes", b,
			method, r.path, r.ranges, r.close, r.n, h.Method, h.URL.Path, ranges, h.Close, len(b)-left)
	}
	for name := range h.Header {
		if len(name) > 2 && strings.EqualFold(name[:3], "if-") || name == "Expect" || name == "Upgrade" || name == "Content-Length" {
			t.Errorf("%q: %s is passed over", b, name)
		}
	}
	// However the bytes arrive, it is the same request.
	for n := 0; n < r.n; n += 1 + n/64 {
		if _, v := parseRequest(b[:n]); v != partial {
			t.Fatalf("the first %d bytes of %q are %d", n, b, v)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		"GET /i/AAAAAAAAAAAAAAAAAAAAAA/db-01.iso HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: iDRAC/7.10\r\nRange: bytes=32768-34815\r\nAccept: */*\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\n",
		"GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\nHost: x\n\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: x\r\nIf-Range: \"a\"\r\nconnection: close\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 8<<10 {
			sameAsNetHTTP(t, b)
		}
	})
}
