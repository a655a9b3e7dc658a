package isohttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestHTTP10(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 100_000, Medium{})
	run := start(t, s, Listen{})
	for _, q := range []struct {
		name, header string
		keep         bool
	}{{"close", "", false}, {"keep-alive", "Connection: keep-alive\r\n", true}} {
		t.Run(q.name, func(t *testing.T) {
			c, err := net.Dial("tcp", run.HTTP.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			b := bufio.NewReader(c)
			for i := range 2 {
				fmt.Fprintf(c, "GET %s HTTP/1.0\r\nRange: bytes=10-60009\r\n%s\r\n", p.Path(), q.header)
				res, err := http.ReadResponse(b, nil)
				if err != nil {
					if i == 1 && !q.keep {
						return
					}
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				if err != nil || res.StatusCode != 206 || !bytes.Equal(got, v.bytes[10:60010]) || len(res.TransferEncoding) != 0 {
					t.Errorf("%s: %d bytes, %v", res.Status, len(got), err)
				}
			}
			if !q.keep {
				t.Error("connection was kept")
			}
		})
	}
}

// TestPipelined sends requests before the answers are read, in parts.
func TestPipelined(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 1<<20, Medium{})
	c, err := net.Dial("tcp", start(t, s, Listen{}).HTTP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var in bytes.Buffer
	want := [][2]int64{{0, 1}, {32768, 2048}, {5, 500_000}, {0, v.Size()}, {17, 4096}}
	for _, w := range want {
		fmt.Fprintf(&in, "GET %s HTTP/1.1\r\nHost: x\r\nRange: bytes=%d-%d\r\n\r\nHEAD %[1]s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path(), w[0], w[0]+w[1]-1)
	}
	go io.Copy(c, iotestSlow{&in})
	b := bufio.NewReader(c)
	for _, w := range want {
		for _, method := range []string{"GET", "HEAD"} {
			res, err := http.ReadResponse(b, &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if method == "GET" && (!bytes.Equal(got, v.bytes[w[0]:w[0]+w[1]]) || res.ContentLength != w[1]) || method == "HEAD" && res.ContentLength != v.Size() {
				t.Errorf("%s %v: %s, %d bytes", method, w, res.Status, len(got))
			}
		}
	}
}

// iotestSlow reads a few bytes at a time.
type iotestSlow struct{ io.Reader }

func (r iotestSlow) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 37)]) }

func TestTLS(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 100_000, Medium{})
	run := start(t, s, Listen{HTTPS: "127.0.0.1:0", TLS: TLS{Names: []string{"media.example", "192.0.2.1"}, Old: true}})
	strict := start(t, s, Listen{HTTPS: "127.0.0.1:0"})
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}
	for _, q := range []struct {
		name    string
		run     *Running
		config  *tls.Config
		refused bool
	}{{"new", strict, insecure(), false}, {"old", run, old, false}, {"old, not asked for", strict, old, true}} {
		t.Run(q.name, func(t *testing.T) {
			c, err := tls.Dial("tcp", q.run.HTTPS.String(), q.config)
			if q.refused {
				if err == nil {
					t.Error("accepted")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			leaf := c.ConnectionState().PeerCertificates[0]
			if got := fingerprint(tls.Certificate{Certificate: [][]byte{leaf.Raw}}); got != q.run.Fingerprint || len(got) != 64 {
				t.Errorf("certificate has %s, told is %s", got, q.run.Fingerprint)
			}
			if err := leaf.VerifyHostname("127.0.0.1"); err != nil {
				t.Error(err)
			}
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", p.Path())
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, v.bytes) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestStartErrors(t *testing.T) {
	s := &Server{}
	taken := start(t, s, Listen{}).HTTP.String()
	for _, q := range []struct {
		l    Listen
		want string
	}{
		{Listen{}, "starting media server: no address to listen on"},
		{Listen{HTTP: taken}, "starting media server: listen tcp " + taken + ": bind: address already in use"},
		{Listen{HTTPS: "127.0.0.1:0", TLS: TLS{CertFile: "/nowhere", KeyFile: "/nowhere"}}, `starting media server: reading certificate "/nowhere" and key "/nowhere": open /nowhere: no such file or directory`},
	} {
		if _, err := s.Start(t.Context(), q.l); err == nil || err.Error() != q.want {
			t.Errorf("got  %v\nwant %s", err, q.want)
		}
	}
}

func TestShutdown(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 16<<20, Medium{})
	run := start(t, s, Listen{})
	get := func() *http.Response {
		res, err := client(t, &http.Transport{}).Get("http://" + run.HTTP.String() + p.Path())
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	polite, stuck := get(), get()
	defer stuck.Body.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- run.Shutdown(ctx) }()
	if n, err := io.Copy(io.Discard, polite.Body); err != nil || n != v.Size() {
		t.Errorf("an answer in progress ended after %d bytes: %v", n, err)
	}
	select {
	case err := <-done:
		t.Errorf("shut down before its last reader was through: %v", err)
	default:
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n, err := io.Copy(io.Discard, stuck.Body); err == nil {
		t.Errorf("the last reader got all %d bytes", n)
	}
	if _, err := net.Dial("tcp", run.HTTP.String()); err == nil {
		t.Error("still listens")
	}
}

func TestURL(t *testing.T) {
	p := &Publication{path: "/i/t/h.iso"}
	all := &Running{HTTP: netip.MustParseAddrPort("[::]:8080"), HTTPS: netip.MustParseAddrPort("0.0.0.0:443")}
	one := &Running{HTTP: netip.MustParseAddrPort("192.0.2.1:80")}
	for _, q := range []struct {
		run                 *Running
		scheme, local, want string
	}{
		{all, "http", "192.0.2.1", "http://192.0.2.1:8080/i/t/h.iso"},
		{all, "http", "::ffff:192.0.2.1", "http://192.0.2.1:8080/i/t/h.iso"},
		{all, "http", "2001:db8::1", "http://[2001:db8::1]:8080/i/t/h.iso"},
		{all, "https", "192.0.2.1", "https://192.0.2.1/i/t/h.iso"},
		{one, "http", "192.0.2.1", "http://192.0.2.1/i/t/h.iso"},
		{one, "http", "192.0.2.2", "media server listens for http on 192.0.2.1 only, not on 192.0.2.2"},
		{one, "https", "192.0.2.1", "media server does not listen for https"},
		{one, "ftp", "192.0.2.1", "media server does not listen for ftp"},
	} {
		got, err := q.run.URL(p, q.scheme, netip.MustParseAddr(q.local))
		if err != nil {
			got = err.Error()
		}
		if got != q.want {
			t.Errorf("got  %s\nwant %s", got, q.want)
		}
	}
}

func TestConnectionLimits(t *testing.T) {
	s := &Server{MaxConns: 3, MaxConnsPerClient: 2}
	p, _ := publish(t, s, 1000, Medium{})
	run := start(t, s, Listen{HTTP: "127.0.0.1:0"})
	open := func() (net.Conn, error) {
		c, err := net.Dial("tcp", run.HTTP.String())
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(c, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
		_, err = http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "HEAD"})
		return c, err
	}
	// The self-test's connection may still be open.
	var a, b net.Conn
	for i, c := range []*net.Conn{&a, &b} {
		for try := 0; ; try++ {
			var err error
			if *c, err = open(); err == nil {
				break
			}
			if try == 500 {
				t.Fatalf("connection %d: %v", i, err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	defer a.Close()
	if _, err := open(); err == nil {
		t.Error("one connection too many was served")
	}
	b.Close()
	for try := 0; ; try++ {
		c, err := open()
		if err == nil {
			c.Close()
			return
		}
		if try == 500 {
			t.Fatal("the place of a closed connection is not free")
		}
		time.Sleep(time.Millisecond)
	}
}

// TestTimeouts: a connection that asks for nothing more, and one that takes too
// long to ask, end; one that only reads slowly does not.
func TestTimeouts(t *testing.T) {
	const short = 150 * time.Millisecond
	s := &Server{IdleTimeout: short, HeaderTimeout: short}
	p, v := publish(t, s, 16<<20, Medium{})
	addr := start(t, s, Listen{}).HTTP.String()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	ends := func(what string, c net.Conn, b *bufio.Reader) {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := io.Copy(io.Discard, b); err != nil {
			t.Errorf("%s is still open after %d bytes: %v", what, n, err)
		}
	}
	slow := dial()
	fmt.Fprintf(slow, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())

	idle := dial()
	b := bufio.NewReader(idle)
	fmt.Fprintf(idle, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", p.Path())
	if _, err := http.ReadResponse(b, &http.Request{Method: "HEAD"}); err != nil {
		t.Fatal(err)
	}
	ends("an idle connection", idle, b)

	half := dial()
	fmt.Fprintf(half, "GET %s HTTP/1.1\r\nHost:", p.Path())
	ends("a request of half a header", half, bufio.NewReader(half))

	time.Sleep(2 * short)
	res, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, v.bytes) {
		t.Errorf("a slow reader got %d bytes, %v", len(got), err)
	}
}

func TestLocalAddress(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "127.0.0.1:8443": "127.0.0.1", "https://127.0.0.1:8443/redfish/v1": "127.0.0.1",
		"https://user:pw@127.0.0.1": "127.0.0.1", "::ffff:127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1",
		"::1": "::1", "[::1]": "::1", "[::1]:443": "::1", "https://[::1]/": "::1",
		"": "", "a b": "", "https://": "", "x@y": "",
	} {
		got, err := LocalAddress(t.Context(), in)
		if strings.Contains(want, ":") && err != nil {
			t.Logf("%q: no IPv6 here: %v", in, err)
			continue
		}
		if in == "localhost" && err == nil && got.IsLoopback() {
			continue // in either family
		}
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%q: got %v, %v, want %q", in, got, err, want)
		}
	}
}
