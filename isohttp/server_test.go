package isohttp

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
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
			p, _ := publish(t, s, 14<<20, Medium{}) // more than sockets buffer
			base, c := w.client(t, s)
			res, err := c.Get(base + p.Path())
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if err := os.Truncate(p.base.Path, 100_000); err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, res.Body)
			if err == nil {
				t.Error("the answer was complete")
			}
			if !strings.Contains(log.String(), "it was changed while it was served") || !strings.Contains(log.String(), "level=ERROR") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// TestBaseRewrittenOnDisk: what was verified is served or nothing.
func TestBaseRewrittenOnDisk(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			var log lockedBuilder
			s := &Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			p, _ := publish(t, s, 2<<20, Medium{})
			base, c := w.client(t, s)
			if err := os.WriteFile(p.base.Path, make([]byte, p.base.Size), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(p.base.Path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := ask(t, c, "GET", base+p.Path(), fields("Range", "bytes=0-99")); got.status != 500 {
					t.Errorf("status is %d", got.status)
				}
			}
			if n := strings.Count(log.String(), "was changed while it was read"); n != 2 || !strings.Contains(log.String(), "level=ERROR") {
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
