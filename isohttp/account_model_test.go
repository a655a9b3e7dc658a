package isohttp

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestAccountOverHTTP has clients read ranges at random, at the same time, of an
// image of several gigabytes whose regions overlap, and compares the account with
// a model that knows nothing of slots and spans.
func TestAccountOverHTTP(t *testing.T) {
	const size, readers, requests = 9<<30 + 12345, 8, 60
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(9, 9))
			regions := randomRegions(r, size)
			var mu sync.Mutex
			var events []Event
			s := &Server{OnEvent: func(e Event) { mu.Lock(); events = append(events, e); mu.Unlock() }}
			p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: hashed{sparse{size: size, pieces: []Piece{{Len: size}}}, "x"}, Regions: regions, Rest: Structure})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Withdraw()
			base, c := w.client(t, s)
			read := make([][]byteRange, readers)
			var wait sync.WaitGroup
			for i := range readers {
				r := rand.New(rand.NewPCG(9, uint64(i)))
				wait.Go(func() {
					for range requests {
						ranges := randomRanges(r, regions, size)
						var field []string
						for _, b := range ranges {
							field = append(field, fmt.Sprintf("%d-%d", b.off, b.off+b.n-1))
						}
						method := "GET"
						switch r.IntN(10) {
						case 0:
							method = "HEAD" // reads nothing
						case 1:
							field = []string{fmt.Sprintf("%d-", int64(size))} // nor does this
						}
						got := ask(t, c, method, base+p.Path(), fields("Range", "bytes="+strings.Join(field, ",")))
						if got.status == http.StatusPartialContent && method == "GET" {
							read[i] = append(read[i], ranges...)
						}
					}
				})
			}
			wait.Wait()
			idle(p)
			q := p.Progress()
			all := slices.Concat(read...)
			if q.Requests != readers*requests || q.Bytes != sum(all) || q.Distinct != sum(union(all)) || q.Size != size {
				t.Errorf("%d requests, %d bytes, %d distinct; want %d, %d, %d", q.Requests, q.Bytes, q.Distinct, readers*requests, sum(all), sum(union(all)))
			}
			model := modelOf(regions, size, all)
			phases := map[Phase]FileProgress{}
			for _, f := range model {
				g := phases[f.Phase]
				phases[f.Phase] = FileProgress{Total: f.Total + g.Total, Distinct: f.Distinct + g.Distinct, Bytes: f.Bytes + g.Bytes}
			}
			for _, f := range q.Phases {
				if m := phases[f.Phase]; f.Total != m.Total || f.Distinct != m.Distinct || f.Bytes != m.Bytes {
					t.Errorf("%s: %+v, want %+v", f.Phase, f, m)
				}
			}
			for _, f := range q.Files {
				m := model[string(f.Phase)+f.Path]
				if f.Total != m.Total || f.Distinct != m.Distinct || f.Bytes != m.Bytes || f.Last.Before(f.First) {
					t.Errorf("%s %s: %+v, want %+v", f.Phase, f.Path, f, m)
				}
				delete(model, string(f.Phase)+f.Path)
			}
			for _, m := range model {
				if m.Path != "" && m.Bytes > 0 {
					t.Errorf("%s %s is missing: %+v", m.Phase, m.Path, m)
				}
			}
			var clients int64
			for _, c := range q.Clients {
				clients += c.Bytes
			}
			if clients != q.Bytes {
				t.Errorf("%d bytes of %d are a client's", clients, q.Bytes)
			}
			mu.Lock()
			defer mu.Unlock()
			checkEvents(t, events, q)
		})
	}
}

// TestClientsApart: each of several addresses has what it has read itself.
func TestClientsApart(t *testing.T) {
	s := &Server{}
	p, _ := publish(t, s, 1<<20, Medium{})
	var wait sync.WaitGroup
	for i := range byte(8) {
		wait.Go(func() {
			c := &http.Client{Transport: s.TransportFrom(netip.AddrFrom4([4]byte{192, 0, 2, i}))}
			for range 20 {
				ask(t, c, "GET", "http://x"+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", i, 1000*(int(i)+1)+int(i)-1)))
			}
		})
	}
	wait.Wait()
	idle(p)
	q := p.Progress()
	if len(q.Clients) != 8 {
		t.Fatalf("%d clients", len(q.Clients))
	}
	for _, c := range q.Clients {
		if i := int64(c.Addr.As4()[3]); c.Requests != 20 || c.Bytes != 20*1000*(i+1) {
			t.Errorf("%v: %d requests, %d bytes", c.Addr, c.Requests, c.Bytes)
		}
	}
}

// checkEvents: events come in order, and the bytes in them only grow.
func checkEvents(t *testing.T, events []Event, q Progress) {
	t.Helper()
	phases := map[Phase]bool{}
	var at time.Time
	var read int64
	for i, e := range events {
		if e.At.Before(at.Add(-time.Second)) || e.Read < read || e.Read > q.Distinct || e.Total != q.Size || (e.Kind == EventPublished) != (i == 0) {
			t.Errorf("event %d is %+v, after %v and %d bytes", i, e, at, read)
		}
		at, read = e.At, e.Read
		phases[e.Phase] = true
	}
	for _, f := range q.Phases {
		if f.Distinct > 0 && f.Phase != Structure && !phases[f.Phase] {
			t.Errorf("no event of phase %s", f.Phase)
		}
	}
}

// randomRegions makes regions of which some overlap, some have the same path,
// and some border on each other.
func randomRegions(r *rand.Rand, size int64) (regions []Region) {
	for range 40 {
		off := r.Int64N(size)
		n := r.Int64N(min(size-off, 1<<(1+r.IntN(31))) + 1)
		regions = append(regions, Region{phases[r.IntN(len(phases))], fmt.Sprintf("/file-%d", r.IntN(20)), off, n})
		if end := off + n; r.IntN(2) == 0 && end < size {
			regions = append(regions, Region{phases[r.IntN(len(phases))], "/next", end, min(size-end, 2048)})
		}
	}
	return regions
}

// randomRanges makes one range or several, mostly where regions begin or end.
func randomRanges(r *rand.Rand, regions []Region, size int64) (ranges []byteRange) {
	for range 1 + r.IntN(2)*r.IntN(4) {
		off := r.Int64N(size)
		if g := regions[r.IntN(len(regions))]; r.IntN(3) > 0 {
			off = g.Off + r.Int64N(2)*g.Len - r.Int64N(10_000)
		}
		off = max(0, min(off, size-1))
		ranges = append(ranges, byteRange{off, min(size-off, 1+r.Int64N(1<<(1+r.IntN(18))))})
	}
	return ranges
}

// modelOf is what an account should say of files, from the definition: a byte
// belongs to the first region that has it, else to the rest.
func modelOf(regions []Region, size int64, read []byteRange) map[string]FileProgress {
	model := map[string]FileProgress{}
	var taken []byteRange
	book := func(phase Phase, path string, own []byteRange) {
		key := string(phase) + path
		f := model[key]
		f.Phase, f.Path, f.Total = phase, path, f.Total+sum(own)
		for _, b := range own {
			for _, got := range read {
				f.Bytes += overlap(got, b)
			}
			for _, got := range union(read) {
				f.Distinct += overlap(got, b)
			}
		}
		model[key] = f
	}
	for _, g := range regions {
		own := without([]byteRange{{g.Off, g.Len}}, taken)
		book(g.Phase, g.Path, own)
		taken = union(append(taken, own...))
	}
	book(Structure, "", without([]byteRange{{0, size}}, taken))
	return model
}

func sum(ranges []byteRange) (n int64) {
	for _, b := range ranges {
		n += b.n
	}
	return n
}

func overlap(a, b byteRange) int64 { return max(0, min(a.off+a.n, b.off+b.n)-max(a.off, b.off)) }

// union sorts ranges and joins those that overlap.
func union(ranges []byteRange) (out []byteRange) {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b byteRange) int { return int(max(-1, min(1, a.off-b.off))) })
	for _, b := range sorted {
		if k := len(out) - 1; k >= 0 && b.off <= out[k].off+out[k].n {
			out[k].n = max(out[k].n, b.off+b.n-out[k].off)
		} else if b.n > 0 {
			out = append(out, b)
		}
	}
	return out
}

// without takes what is in others, which are sorted and apart, out of ranges.
func without(ranges, others []byteRange) (out []byteRange) {
	for _, b := range ranges {
		at := b.off
		for _, o := range others {
			if o.off+o.n <= at || o.off >= b.off+b.n {
				continue
			}
			if o.off > at {
				out = append(out, byteRange{at, o.off - at})
			}
			at = o.off + o.n
		}
		if at < b.off+b.n {
			out = append(out, byteRange{at, b.off + b.n - at})
		}
	}
	return out
}
