//go:build !race

package isohttp

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
)

// TestAllocations: in steady state a plain request allocates nothing, and one that
// net/http answers not much more than net/http does.
func TestAllocations(t *testing.T) {
	s := &Server{OnEvent: func(Event) {}}
	p, _ := publish(t, s, 4<<20, Medium{Regions: installer, Allow: loopback})
	plain := start(t, s, Listen{})
	slow := &Server{OnEvent: func(Event) {}, Rate: 1 << 50}
	q, _ := publish(t, slow, 4<<20, Medium{Regions: installer, Allow: loopback})
	count := func(addr netip.AddrPort, path string, n int64) float64 {
		c := newRawClient(t, addr, path)
		i := int64(0)
		return testing.AllocsPerRun(300, func() {
			if err := c.get(i%100*4096, n); err != nil {
				t.Fatal(err)
			}
			i++
		})
	}
	for _, n := range []int64{1, 4096, 65536, 1 << 20} {
		if got := count(plain.HTTP, p.Path(), n); got > 0 {
			t.Errorf("%v allocations for %d bytes", got, n)
		}
	}
	net := count(minimal(t), p.Path(), 4096)
	// A handle of the base image, and the header's values.
	if got := count(start(t, slow, Listen{}).HTTP, q.Path(), 4096); got > net+20 {
		t.Errorf("%v allocations by net/http, which alone has %v", got, net)
	} else {
		t.Logf("%v allocations by net/http, which alone has %v", got, net)
	}
}

// TestIdleHosts publishes 1,000 hosts with the regions of a real image and reads
// a little of some: beside its own patch, each takes at most the 8 kB that an
// idle host may, and 16 kB once its boot was seen.
func TestIdleHosts(t *testing.T) {
	const hosts = 1000
	b := newBootable(t)
	view := hashed{sparse{size: b.view.Size(), pieces: []Piece{{Len: b.view.Size()}}}, "x"}
	s := &Server{}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	media := make([]*Publication, hosts)
	for i := range media {
		var err error
		host := fmt.Sprint("host-", i)
		if media[i], err = s.Publish(Medium{Host: host, Token: Token(nil, host), View: view, Regions: b.regions}); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / hosts; each > 8<<10 {
		t.Errorf("an idle host takes %d bytes", each)
	} else {
		t.Logf("an idle host takes %d bytes", each)
	}
	c := &http.Client{Transport: s.Transport()}
	for _, p := range media[:100] {
		ask(t, c, "GET", "http://x"+p.Path(), fields("Range", "bytes=32768-34815"))
	}
	r := readers()[0]
	for _, p := range media {
		r.read(&p.account, b.bios(t))
		r.read(&p.account, b.installer(t)[:20])
	}
	if each := (heap() - before) / hosts; each > 16<<10 {
		t.Errorf("a host of which the boot was seen takes %d bytes", each)
	} else {
		t.Logf("a host of which the boot was seen takes %d bytes", each)
	}
	for _, p := range media {
		p.Withdraw()
	}
}
