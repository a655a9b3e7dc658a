package isohttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestToken(t *testing.T) {
	key := []byte("0123456789abcdef")
	seen := map[string]bool{}
	for _, parts := range [][]string{nil, {""}, {"a"}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}, {"", "abc"}} {
		token := Token(key, parts...)
		if err := checkToken(token); err != nil || seen[token] {
			t.Errorf("%q gives %s: %v", parts, token, err)
		}
		seen[token] = true
	}
	if got, want := Token(key, "db-01", "7f3c2a9b", "1"), "Svd9b_UPNbFcDwjCvhnxgA"; got != want {
		t.Errorf("got %s, want %s: media of a restarted server would move", got, want)
	}
	if Token([]byte("another key"), "a") == Token(key, "a") {
		t.Error("the key does not matter")
	}
}

func TestPath(t *testing.T) {
	token := Token(nil)
	for host, want := range map[string]string{
		"db-01.example.com":      "db-01.example.com",
		"../a b?c%d@e,f:g=h":     "..-a-b-c-d-e-f-g-h",
		strings.Repeat("x", 100): strings.Repeat("x", 40),
		"ünï":                    "--n--",
	} {
		if got := pathOf(token, host); got != "/i/"+token+"/"+want+".iso" {
			t.Errorf("path of %q is %s", host, got)
		}
	}
}

func TestPublishErrors(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(2, 2)), 10_000)
	base := writeBase(t, data)
	token := Token(nil)
	view := func(pieces ...Piece) View { return &patched{make([]byte, 100), pieces} }
	all := Piece{Len: 100, Base: true}
	tests := []struct {
		m    Medium
		want string
	}{
		{Medium{Token: token, View: view(all), Base: base}, "no host"},
		{Medium{Host: "h", Token: "short", View: view(all), Base: base}, "token has 5 characters, want 22"},
		{Medium{Host: "h", Token: token[:21] + "/", View: view(all), Base: base}, "token has a character that is not [A-Za-z0-9_-] at 21"},
		{Medium{Host: "h", Token: token}, "no view"},
		{Medium{Host: "h", Token: token, View: view(all)}, "piece 0 of the view: [0, +100) lies outside the base image of 0 bytes"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 100, Base: true, BaseOff: 9901}), Base: base}, "piece 0 of the view: [9901, +100) lies outside the base image of 10000 bytes"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 50, Base: true}, Piece{Off: 51, Len: 49, Base: true}), Base: base}, "piece 1 of the view: [51, +49) does not follow 50 within 100 bytes"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 99, Base: true}), Base: base}, "pieces of the view end at 99, its size is 100"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 101, Base: true}), Base: base}, "piece 0 of the view: [0, +101) does not follow 0 within 100 bytes"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 100, Data: make([]byte, 99)}), Base: base}, "piece 0 of the view: 99 bytes of data for a length of 100"},
		{Medium{Host: "h", Token: token, View: view(Piece{Len: 100, Base: true, BaseOff: -1}), Base: base}, "piece 0 of the view: [-1, +100) lies outside the base image of 10000 bytes"},
		{Medium{Host: "h", Token: token, View: &patched{}, Base: base}, "view has a size of 0 bytes"},
		{Medium{Host: "h", Token: token, View: view(all), Base: Base{Path: base.Path, Size: 5}}, "opening base image: " + base.Path + " has 10000 bytes, want 5"},
		{Medium{Host: "h", Token: token, View: view(all), Base: Base{Path: filepath.Dir(base.Path)}}, "opening base image: " + filepath.Dir(base.Path) + " is not a regular file"},
		{Medium{Host: "h", Token: token, View: view(all), Base: base, Regions: []Region{{Phase: "x"}}}, `region 0 (): unknown phase "x"`},
	}
	s := &Server{}
	for _, q := range tests {
		if _, err := s.Publish(q.m); err == nil || err.Error() != "publishing medium of "+q.m.Host+": "+q.want {
			t.Errorf("got  %v\nwant %s", err, q.want)
		}
	}
	if len(s.media) != 0 || len(s.bases.open) != 0 {
		t.Errorf("%d media and %d base images left", len(s.media), len(s.bases.open))
	}
	if _, err := s.Publish(Medium{Host: "h", Token: token, View: view(all), Base: base}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(Medium{Host: "h", Token: token, View: view(all), Base: base}); err == nil || !strings.HasSuffix(err.Error(), "already in use for h") {
		t.Errorf("got %v", err)
	}
}

func TestReplace(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 100_000, Medium{})
	c := &http.Client{Transport: s.Transport()}
	url := "http://x" + p.Path()
	old := ask(t, c, "GET", url, nil)
	short := &patched{v.bytes[:10], []Piece{{Len: 10, Base: true}}}
	if err := p.Replace(short); err == nil || !strings.Contains(err.Error(), "new view has 10 bytes, the medium has") {
		t.Errorf("got %v", err)
	}
	other := testView(bytes.Repeat([]byte("x"), len(v.bytes)))
	if err := p.Replace(other); err != nil {
		t.Fatal(err)
	}
	got := ask(t, c, "GET", url, fields("If-None-Match", old.header.Get("Etag")))
	if got.status != 200 || !bytes.Equal(got.body, other) {
		t.Errorf("status %d, %d bytes", got.status, len(got.body))
	}
	for _, k := range []string{"Etag", "Last-Modified"} {
		if old.header.Get(k) == got.header.Get(k) {
			t.Errorf("%s is still %s", k, got.header.Get(k))
		}
	}
	// A range of the old bytes may not be completed with the new ones.
	if got := ask(t, c, "GET", url, fields("Range", "bytes=5-", "If-Range", old.header.Get("Last-Modified"))); got.status != 200 {
		t.Errorf("status is %d for a range of the old view", got.status)
	}
	p.Withdraw()
	p.Withdraw()
	if err := p.Replace(other); err == nil || !strings.Contains(err.Error(), "withdrawn") {
		t.Errorf("got %v", err)
	}
	if got := ask(t, c, "GET", url, nil); got.status != 404 {
		t.Errorf("withdrawn medium: %d", got.status)
	}
	if len(s.bases.open) != 0 {
		t.Error("base image is still open")
	}
}

// TestBaseReplacedOnDisk serves what was verified, whatever becomes of the name.
func TestBaseReplacedOnDisk(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 200_000, Medium{})
			base, c := w.client(t, s)
			if err := os.Remove(p.base.Path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.base.Path, make([]byte, 300_000), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, c, "GET", base+p.Path(), nil); !bytes.Equal(got.body, v.bytes) {
				t.Error("other bytes than were published")
			}
		})
	}
}

// TestBaseCutOnDisk: an answer that cannot be completed must not look complete.
func TestBaseCutOnDisk(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var log lockedBuilder
			s := &Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			p, _ := publish(t, s, 2<<20, Medium{})
			base, c := w.client(t, s)
			if err := os.Truncate(p.base.Path, 100_000); err != nil {
				t.Fatal(err)
			}
			res, err := c.Get(base + p.Path())
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			if err == nil {
				t.Error("the answer was complete")
			}
			if !strings.Contains(log.String(), "it was changed while it was served") || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestWithdrawEndsReaders: readers that do not read are ended too.
func TestWithdrawEndsReaders(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 14<<20, Medium{})
			base, c := w.client(t, s)
			const readers = 8
			bodies := make([]io.ReadCloser, readers)
			for i := range bodies {
				res, err := c.Get(base + p.Path())
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				bodies[i] = res.Body
			}
			if got := p.Progress().Active; got != readers {
				t.Errorf("%d active answers", got)
			}
			p.Withdraw()
			for i, b := range bodies {
				n, err := io.Copy(io.Discard, b)
				if err == nil || n >= v.Size() {
					t.Errorf("reader %d got all %d bytes", i, n)
				}
			}
			idle(p)
			s.bases.mu.Lock()
			defer s.bases.mu.Unlock()
			if len(s.bases.open) != 0 {
				t.Error("base image is still open")
			}
		})
	}
}

// TestManyReaders has 64 readers of one view and 64 views, with media that come
// and go: for the race detector.
func TestManyReaders(t *testing.T) {
	var events atomic.Int64
	s := &Server{OnEvent: func(Event) { events.Add(1) }}
	const n = 64
	one, v := publish(t, s, 1<<20, Medium{Regions: installer})
	media := make([]*Publication, n)
	for i := range media {
		var err error
		media[i], err = s.Publish(Medium{Host: fmt.Sprint("h", i), Token: Token(nil, fmt.Sprint(i)), View: v, Base: one.base, Regions: installer})
		if err != nil {
			t.Fatal(err)
		}
	}
	base, c := ways[0].client(t, s)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			for j := range 8 {
				p := one
				if j%2 == 1 {
					p = media[i]
				}
				off := r.Int64N(v.Size())
				m := 1 + r.Int64N(min(v.Size()-off, 1<<17))
				got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+m-1)))
				if !bytes.Equal(got.body, v.bytes[off:off+m]) {
					t.Errorf("[%d, +%d): wrong bytes", off, m)
				}
				if j == 4 {
					p.Progress()
					if err := media[i].Replace(v); err != nil {
						t.Error(err)
					}
				}
			}
			media[i].Withdraw()
		})
	}
	wait.Wait()
	idle(one)
	if p := one.Progress(); p.Requests != n*4 || p.Active != 0 {
		t.Errorf("%d requests, %d active", p.Requests, p.Active)
	}
	if events.Load() < 3*n {
		t.Errorf("%d events", events.Load())
	}
}

func TestLogsHaveNoTokens(t *testing.T) {
	var log lockedBuilder
	s := &Server{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), OnEvent: func(Event) {}}
	p, v := publish(t, s, 1000, Medium{Allow: netip.MustParseAddr("192.0.2.7")})
	base, c := ways[0].client(t, s)
	wrong := strings.Replace(p.Path(), "db-01", "db-02", 1)
	for range 3 {
		ask(t, c, "GET", base+p.Path(), nil)
	}
	ask(t, c, "GET", base+wrong, nil)
	ask(t, c, "POST", base+p.Path(), nil)
	allowed := &http.Client{Transport: s.TransportFrom(p.allow)}
	ask(t, allowed, "GET", base+p.Path(), fields("Range", "bytes=99999-"))
	if err := p.Replace(v); err != nil {
		t.Error(err)
	}
	p.Withdraw()
	got := log.String()
	if strings.Contains(got, p.Path()[3:25]) {
		t.Errorf("log has the token:\n%s", got)
	}
	if n := strings.Count(got, "wrong address"); n != 1 || !strings.Contains(got, "host=db-01 client=127.0.0.1 want=192.0.2.7") {
		t.Errorf("wrong address reported %d times:\n%s", n, got)
	}
}

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

func TestRateLimits(t *testing.T) {
	for _, q := range []struct {
		name    string
		server  *Server
		clients int
		want    time.Duration // for 8 MiB each
	}{
		{"none", &Server{}, 2, 0},
		{"client", &Server{RatePerClient: 1 << 20}, 2, 8 * time.Second},
		{"total", &Server{Rate: 1 << 20}, 2, 16 * time.Second},
		{"both", &Server{Rate: 4 << 20, RatePerClient: 1 << 20}, 3, 8 * time.Second},
		{"tiny", &Server{Rate: 1 << 10}, 1, 8188 * time.Second},
	} {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, v := publish(t, q.server, 8<<20, Medium{})
				begin := time.Now()
				var wait sync.WaitGroup
				for i := range q.clients {
					wait.Go(func() {
						c := &http.Client{Transport: q.server.TransportFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))}
						if got := ask(t, c, "GET", "http://x"+p.Path(), fields("Range", "bytes=0-8388607")); !bytes.Equal(got.body, v.bytes[:8<<20]) {
							t.Error("wrong bytes")
						}
					})
				}
				wait.Wait()
				if got := time.Since(begin); got < q.want-limitBurst-2*limitStep || got > q.want+limitStep {
					t.Errorf("took %v, want %v", got, q.want)
				}
			})
		})
	}
}

func TestLimitedReaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Rate: 1 << 10}
		p, _ := publish(t, s, 8<<20, Medium{})
		go func() {
			time.Sleep(time.Hour)
			p.Withdraw()
		}()
		res, err := (&http.Client{Transport: s.Transport()}).Get("http://x" + p.Path())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		if err == nil || n < 3600<<10 || n > 3610<<10 {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
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

// TestLargeImage reads around 4 and 8 GiB of an image of 9.
func TestLargeImage(t *testing.T) {
	const size = 9 << 30
	path := filepath.Join(t.TempDir(), "base.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	marks := []int64{4<<30 - 3, 4 << 30, 8<<30 + 17, size - 8}
	for _, off := range marks {
		if _, err := fmt.Fprintf(io.NewOffsetWriter(f, off), "<%d>", off>>28); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	v := sparse{size: size + 4, pieces: []Piece{{Len: size, Base: true}, {Off: size, Len: 4, Data: []byte("tail")}}}
	s := &Server{}
	p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: hashed{v, "x"}, Base: Base{Path: path, Size: size},
		Regions: []Region{{Answer, "/ks.cfg", size, 4}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			base, c := w.client(t, s)
			for _, off := range marks {
				got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+3)))
				if want := fmt.Sprintf("<%d>", off>>28)[:3]; string(got.body[:3]) != want {
					t.Errorf("at %d: got %q, want %q", off, got.body, want)
				}
			}
			got := ask(t, c, "GET", base+p.Path(), fields("Range", "bytes=-8"))
			if want := fmt.Sprintf("bytes %d-%d/%d", int64(size-4), int64(size+3), int64(size+4)); string(got.body[4:]) != "tail" || got.header.Get("Content-Range") != want {
				t.Errorf("end: %q, %s, want %s", got.body, got.header.Get("Content-Range"), want)
			}
			// 30 MiB across the border, most of it by sendfile.
			if got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", int64(4<<30-15<<20), int64(4<<30+15<<20)))); len(got.body) != 30<<20+1 {
				t.Errorf("%d bytes", len(got.body))
			}
		})
	}
	idle(p)
	if q := p.Progress(); q.Of(Answer).Distinct != 4 || q.Distinct != 30<<20+1+4+4+8 {
		t.Errorf("progress: %+v", q)
	}
}
