//go:build !race

package isohttp

import (
	"net/netip"
	"testing"
)

// TestAllocations: in steady state a request allocates what net/http does, and
// nothing more.
func TestAllocations(t *testing.T) {
	s := &Server{OnEvent: func(Event) {}}
	p, _ := publish(t, s, 4<<20, Medium{Regions: installer, Allow: loopback})
	run := start(t, s, Listen{})
	count := func(addr netip.AddrPort, n int64) float64 {
		c := newRawClient(t, addr, p.Path())
		i := int64(0)
		return testing.AllocsPerRun(300, func() {
			if err := c.get(i%100*4096, n); err != nil {
				t.Fatal(err)
			}
			i++
		})
	}
	net := count(minimal(t), 4096)
	for _, n := range []int64{1, 4096, 65536, 1 << 20} {
		// One for the strings and buffers that pools lose to the collector.
		if got := count(run.HTTP, n); got > net+1 {
			t.Errorf("%v allocations for %d bytes, net/http alone has %v", got, n, net)
		}
	}
}
