package isohttp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// What an install relies on over its whole life: that its media stay what they
// are when the server is restarted, may turn into others while they are read,
// and tell who read what.

// TestRestartedServer publishes the same media from two servers, as a run does
// that takes up another's install: all that a BMC can see is the same.
func TestRestartedServer(t *testing.T) {
	data := randomBytes(rand.New(rand.NewPCG(7, 7)), 300_000)
	base := writeBase(t, data)
	var seen []reply
	var paths []string
	for range 2 {
		s := &Server{}
		v := patch(rand.New(rand.NewPCG(8, 8)), data, 8)
		local := &patched{append(bytes.Clone(v.bytes[:len(v.bytes)-1]), 'x'), nil}
		local.pieces = []Piece{{Len: local.Size(), Data: local.bytes}}
		p, err := s.Publish(Medium{Host: "db-01", Token: Token([]byte("the key of a fleet"), "db-01", "7f3c2a9b", "1"), View: v, Base: base, Resumed: seen != nil})
		if err != nil {
			t.Fatal(err)
		}
		if p.Progress().Resumed != (seen != nil) {
			t.Errorf("resumed is %t", p.Progress().Resumed)
		}
		addr, c := ways[0].client(t, s)
		seen = append(seen, ask(t, c, "GET", addr+p.Path(), nil))
		paths = append(paths, p.Path())
		if err := p.Replace(local); err != nil {
			t.Fatal(err)
		}
		replaced := ask(t, c, "GET", addr+p.Path(), nil)
		p.Withdraw()

		// The next server may begin with the view that this one ended with.
		if p, err = s.Publish(Medium{Host: "db-01", Token: Token([]byte("the key of a fleet"), "db-01", "7f3c2a9b", "1"), View: local, Base: base}); err != nil {
			t.Fatal(err)
		}
		sameReply(t, replaced, ask(t, c, "GET", addr+p.Path(), nil))
		p.Withdraw()
	}
	if paths[0] != paths[1] {
		t.Errorf("paths are %s and %s", paths[0], paths[1])
	}
	sameReply(t, seen[0], seen[1])
}

func sameReply(t *testing.T, a, b reply) {
	t.Helper()
	for _, k := range []string{"Etag", "Last-Modified", "Content-Length", "Content-Type", "Accept-Ranges"} {
		if a.header.Get(k) != b.header.Get(k) || a.header.Get(k) == "" {
			t.Errorf("%s was %q and is %q", k, a.header.Get(k), b.header.Get(k))
		}
	}
	if !bytes.Equal(a.body, b.body) {
		t.Error("other bytes than before")
	}
}

// TestReplaceWhileReading replaces a medium under readers that are in the middle
// of it: each gets one view, whole.
func TestReplaceWhileReading(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := &Server{}
			p, v := publish(t, s, 14<<20, Medium{})
			other := testView(bytes.Repeat([]byte("x"), len(v.bytes)))
			base, c := w.client(t, s)
			var bodies []io.ReadCloser
			for range 4 {
				res, err := c.Get(base + p.Path())
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				bodies = append(bodies, res.Body)
			}
			if err := p.Replace(other); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, c, "GET", base+p.Path(), fields("Range", "bytes=1000000-1000999")); !bytes.Equal(got.body, other[:1000]) {
				t.Error("a request after Replace gets other bytes than the new view's")
			}
			for i, b := range bodies {
				if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, v.bytes) {
					t.Errorf("reader %d: %d bytes, not those of the view it began with: %v", i, len(got), err)
				}
			}
		})
	}
}

// TestBootAfterReplace: the account goes on, so that a machine that boots again
// from what the media have become is seen.
func TestBootAfterReplace(t *testing.T) {
	s := &Server{}
	p, v := publish(t, s, 1<<20, Medium{Regions: installer})
	c := &http.Client{Transport: s.Transport()}
	read := func(kib ...int64) Progress {
		for _, k := range kib {
			ask(t, c, "GET", "http://x"+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", k<<10, k<<10+99)))
		}
		idle(p)
		return p.Progress()
	}
	before := read(0, 64, 128, 192, 256, 320, 400, 600)
	if err := p.Replace(testView(bytes.Clone(v.bytes))); err != nil {
		t.Fatal(err)
	}
	if q := read(0, 64, 128); q.Reloads != 1 || q.Restarts != 0 || q.Distinct != before.Distinct || q.Furthest() != Payload {
		t.Errorf("after a boot that went on to the disk: %+v", q)
	}
	if q := read(192, 256); q.Restarts != 1 {
		t.Errorf("after a boot of the installer: %+v", q)
	}
}

// TestStall: LastNew stands still when a machine only reads again what it had.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, installer)
		begin := time.Now()
		for i := range int64(3) {
			a.read(loopback, 400<<10+i*100, 100, time.Now())
			time.Sleep(time.Minute)
		}
		for range 10 {
			a.read(loopback, 400<<10, 300, time.Now())
			time.Sleep(time.Minute)
		}
		if p := a.snapshot(time.Now()); !p.LastNew.Equal(begin.Add(2*time.Minute)) || !p.Last.Equal(begin.Add(12*time.Minute)) {
			t.Errorf("began %v: last new byte %v, last byte %v", begin, p.LastNew, p.Last)
		}
	})
}

// TestRefusals: requests of others are counted, apart from those of the machine.
func TestRefusals(t *testing.T) {
	s := &Server{}
	allowed, wrong := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::5")
	p, _ := publish(t, s, 10_000, Medium{Allow: allowed})
	for _, q := range []struct {
		from   netip.Addr
		status int
	}{{wrong, 404}, {allowed, 200}, {netip.MustParseAddr("192.0.2.8"), 404}, {wrong, 404}} {
		c := &http.Client{Transport: s.TransportFrom(q.from)}
		if got := ask(t, c, "GET", "http://x"+p.Path(), nil); got.status != q.status {
			t.Errorf("%s gets %d, want %d", q.from, got.status, q.status)
		}
	}
	idle(p)
	q := p.Progress()
	if q.Refused != 3 || q.LastRefused != wrong || time.Since(q.LastRefusedAt) > time.Minute {
		t.Errorf("%d refused, the last from %s at %v", q.Refused, q.LastRefused, q.LastRefusedAt)
	}
	if len(q.Clients) != 1 || q.Clients[0].Addr != allowed || q.Clients[0].Bytes != q.Size || q.Requests != 1 {
		t.Errorf("clients %+v, %d requests", q.Clients, q.Requests)
	}
}
