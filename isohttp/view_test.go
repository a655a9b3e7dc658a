package isohttp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patched is a view for tests: bytes, and pieces that give the same bytes.
type patched struct {
	bytes  []byte
	pieces []Piece
}

func (v *patched) Size() int64     { return int64(len(v.bytes)) }
func (v *patched) Pieces() []Piece { return v.pieces }
func (v *patched) Digest(base string) string {
	sum := sha256.Sum256(append([]byte(base), v.bytes...))
	return hex.EncodeToString(sum[:])
}
func (v *patched) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(v.bytes).ReadAt(p, off)
}

// patch makes a view of base: n random patches of at most 64 KiB, some of them
// adjacent, one large, zeros, and a tail that repeats a range of the base.
func patch(r *rand.Rand, base []byte, n int) *patched {
	v := &patched{}
	add := func(p Piece, b []byte) {
		p.Off, p.Len = v.Size(), int64(len(b))
		if len(b) > 0 {
			v.pieces = append(v.pieces, p)
			v.bytes = append(v.bytes, b...)
		}
	}
	fill := func(n int) []byte { return randomBytes(r, n) }
	at := 0
	for range n {
		next := at + r.IntN(max(1, (len(base)-at)/2))
		add(Piece{Base: true, BaseOff: int64(at)}, base[at:next])
		m := min(1+r.IntN(1<<(1+r.IntN(16))), len(base)-next)
		b := fill(m)
		if r.IntN(2) == 0 {
			add(Piece{Data: b[:m/2]}, b[:m/2])
			b = b[m/2:]
		}
		add(Piece{Data: b}, b)
		at = next + m
	}
	add(Piece{Base: true, BaseOff: int64(at)}, base[at:])
	b := fill(100_000)
	add(Piece{Data: b}, b)
	add(Piece{}, make([]byte, 300_000)) // zeros
	add(Piece{Base: true, BaseOff: 10}, base[10:min(len(base), 200_010)])
	return v
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.NativeEndian.PutUint64(word[:], r.Uint64())
		copy(b[i:], word[:])
	}
	return b
}

func writeBase(t testing.TB, data []byte) Base {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.iso")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return Base{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// publish serves a patched image of about n bytes.
func publish(t testing.TB, s *Server, n int, m Medium) (*Publication, *patched) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	data := randomBytes(r, n)
	v := patch(r, data, 8)
	m.View, m.Base = v, writeBase(t, data)
	if m.Host == "" {
		m.Host = "db-01"
	}
	if m.Token == "" {
		m.Token = Token([]byte("key"), m.Host)
	}
	p, err := s.Publish(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Withdraw)
	return p, v
}

// start runs s on loopback addresses until the test ends.
func start(t testing.TB, s *Server, l Listen) *Running {
	t.Helper()
	if l.HTTP == "" && l.HTTPS == "" {
		l.HTTP = "127.0.0.1:0"
	}
	run, err := s.Start(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		run.close()
		if err := run.Wait(); err != nil {
			t.Error(err)
		}
	})
	return run
}

// way is one way for a request to reach a server. The bodies of answers take
// different paths through the code in each.
type way struct {
	name   string
	client func(testing.TB, *Server) (base string, c *http.Client)
}

var ways = []way{
	{"own listener", func(t testing.TB, s *Server) (string, *http.Client) {
		return "http://" + start(t, s, Listen{}).HTTP.String(), client(t, &http.Transport{DisableCompression: true})
	}},
	{"tls", func(t testing.TB, s *Server) (string, *http.Client) {
		run := start(t, s, Listen{HTTPS: "127.0.0.1:0"})
		return "https://" + run.HTTPS.String(), client(t, &http.Transport{DisableCompression: true, TLSClientConfig: insecure()})
	}},
	{"foreign server", func(t testing.TB, s *Server) (string, *http.Client) {
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		return h.URL, client(t, &http.Transport{DisableCompression: true})
	}},
	{"in process", func(t testing.TB, s *Server) (string, *http.Client) {
		return "http://media.example", &http.Client{Transport: s.Transport()}
	}},
}

func client(t testing.TB, tr *http.Transport) *http.Client {
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is what a client sees.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func ask(t testing.TB, c *http.Client, method, url string, header http.Header) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %v: reading answer: %v", method, header, err)
	}
	if method != http.MethodHead && res.ContentLength != int64(len(b)) && res.StatusCode != http.StatusNotModified {
		t.Errorf("%s %v: Content-Length is %d, body has %d bytes", method, header, res.ContentLength, len(b))
	}
	if len(res.TransferEncoding) > 0 || res.Uncompressed {
		t.Errorf("%s %v: transfer encoding %v", method, header, res.TransferEncoding)
	}
	return reply{res.StatusCode, res.Header, b}
}

// logTo collects what a server logs.
func logTo(b *strings.Builder, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level}))
}

var loopback = netip.MustParseAddr("127.0.0.1")

// idle waits for the last answers of a medium to end: its readers have all they
// want a little earlier.
func idle(p *Publication) {
	for p.Progress().Active > 0 {
		time.Sleep(time.Millisecond)
	}
}
