package isohttp

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

// TestIntervals compares the set with a bitmap, over reads of many shapes and
// across the borders of buckets.
func TestIntervals(t *testing.T) {
	const size = 3<<bucketBits + 12345
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 0))
		seen := make([]bool, size)
		var s intervals
		for range 200 {
			from := r.Int64N(size)
			if r.IntN(3) == 0 { // near a border
				from = max(0, min(size-1, int64(1+r.IntN(3))<<bucketBits-r.Int64N(100)))
			}
			to := from + 1 + r.Int64N(min(size-from, 1<<(1+r.IntN(22))))
			want := int64(0)
			for i := from; i < to; i++ {
				if !seen[i] {
					seen[i] = true
					want++
				}
			}
			if got := s.add(from, to, size); got != want {
				t.Fatalf("seed %d: adding [%d, %d) gives %d new bytes, want %d", seed, from, to, got, want)
			}
			checkIntervals(t, &s, size)
		}
	}
}

// checkIntervals makes sure that spans are sorted and apart, and counted.
func checkIntervals(t *testing.T, s *intervals, size int64) {
	t.Helper()
	n := 0
	for i, p := range s.buckets {
		if p == nil {
			continue
		}
		b := *p
		n += len(b)
		for j, p := range b {
			if p.from >= p.to || int64(i)<<bucketBits+int64(p.to) > size || p.to > 1<<bucketBits || j > 0 && b[j-1].to >= p.from {
				t.Fatalf("bucket %d: span %d of %v is out of order", i, j, b)
			}
		}
	}
	if n != s.spans {
		t.Fatalf("%d spans, counted %d", n, s.spans)
	}
}

// TestIntervalsAreBounded reads every other byte: what there is no room for is
// not claimed, and what is known still grows.
func TestIntervalsAreBounded(t *testing.T) {
	const size = 8 * maxSpans
	var s intervals
	var sum int64
	for i := int64(0); i < size; i += 2 {
		sum += s.add(i, i+1, size)
	}
	if sum != maxSpans || s.spans != maxSpans {
		t.Errorf("%d bytes in %d spans, want %d", sum, s.spans, maxSpans)
	}
	sum += s.add(0, size, size)
	if sum != size || s.spans != 1 {
		t.Errorf("%d bytes in %d spans, want all in one", sum, s.spans)
	}
}

func FuzzIntervals(f *testing.F) {
	f.Add([]byte{0, 10, 20, 5, 8, 9, 255, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		const size = 256 << 17 // two buckets
		var s intervals
		seen := map[int]bool{}
		for ; len(ops) >= 2; ops = ops[2:] {
			from, n := int(ops[0]), 1+int(ops[1])%(256-int(ops[0]))
			want := int64(0)
			for i := range n {
				if !seen[from+i] {
					seen[from+i] = true
					want++
				}
			}
			if got := s.add(int64(from)<<17, int64(from+n)<<17, size); got != want<<17 {
				t.Fatalf("adding %d+%d: got %d, want %d", from, n, got>>17, want)
			}
			checkIntervals(t, &s, size)
		}
	})
}

// TestLayout compares slots with what painting the regions backwards gives.
func TestLayout(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		const size = 1000
		var regions []Region
		paint := make([]string, size)
		for i := range r.IntN(20) {
			off := r.Int64N(size)
			regions = append(regions, Region{phases[r.IntN(phaseCount)], fmt.Sprint("/", i%7), off, r.Int64N(size - off + 1)})
		}
		for i := len(regions) - 1; i >= 0; i-- {
			g := regions[i]
			for at := g.Off; at < g.Off+g.Len; at++ {
				paint[at] = string(g.Phase) + g.Path
			}
		}
		slots, files, err := layout(regions, Structure, size)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]string, size)
		totals := make([]int64, len(files))
		end := int64(0)
		for _, s := range slots {
			if s.from < end || s.from >= s.to {
				t.Fatalf("seed %d: slots out of order: %v", seed, slots)
			}
			end = s.to
			for at := s.from; at < s.to; at++ {
				got[at] = string(phases[files[s.file].phase]) + files[s.file].path
				totals[s.file]++
			}
		}
		if diff := cmp.Diff(paint, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
		totals[0] = size
		for i, f := range files[1:] {
			totals[0] -= f.total
			if f.total != totals[i+1] {
				t.Errorf("seed %d: %s has a total of %d, want %d", seed, f.path, f.total, totals[i+1])
			}
		}
		if files[0].total != totals[0] {
			t.Errorf("seed %d: rest is %d, want %d", seed, files[0].total, totals[0])
		}
	}
}

func TestLayoutErrors(t *testing.T) {
	for _, q := range []struct {
		region Region
		rest   Phase
		want   string
	}{
		{Region{"later", "/x", 0, 1}, "", `region 0 (/x): unknown phase "later"`},
		{Region{Kernel, "/x", 0, 1}, "rest", `unknown phase "rest"`},
		{Region{Kernel, "/x", -1, 1}, "", "region 0 (/x): [-1, +1) lies outside the medium of 100 bytes"},
		{Region{Kernel, "/x", 90, 11}, "", "region 0 (/x): [90, +11) lies outside the medium of 100 bytes"},
		{Region{Kernel, "/x", 1 << 62, 1 << 62}, "", "region 0 (/x): [4611686018427387904, +4611686018427387904) lies outside the medium of 100 bytes"},
	} {
		if _, _, err := layout([]Region{q.region}, q.rest, 100); err == nil || err.Error() != q.want {
			t.Errorf("got  %v\nwant %s", err, q.want)
		}
	}
}

// an installer's medium, in KiB
var installer = []Region{
	{Structure, "", 0, 64 << 10},
	{Firmware, "/images/efiboot.img", 64 << 10, 64 << 10},
	{Loader, "/EFI/BOOT/grub.cfg", 128 << 10, 64 << 10},
	{Kernel, "/images/pxeboot/vmlinuz", 192 << 10, 64 << 10},
	{Initrd, "/images/pxeboot/initrd.img", 256 << 10, 64 << 10},
	{Answer, "/ks.cfg", 320 << 10, 1 << 10},
}

func newAccount(t *testing.T, regions []Region) *account {
	t.Helper()
	a := &account{}
	if err := a.init(Medium{Host: "db-01", Regions: regions}, 1<<20); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestBoots(t *testing.T) {
	// The medium is the installer's, 64 times as large.
	large := func(regions []Region) (r []Region) {
		for _, g := range regions {
			r = append(r, Region{g.Phase, g.Path, g.Off << 6, g.Len << 6})
		}
		return r
	}
	boot := []int64{0, 70, 140, 210, 280, 320, 400}
	long := [][2]int64{{500, 100}, {640, 100}}
	tests := []struct {
		name              string
		regions           []Region
		reads             [][2]int64 // KiB: offset, length
		reloads, restarts int
	}{
		{"one boot", installer, at(boot), 0, 0},
		{"two boots", installer, at(boot, boot), 1, 1},
		{"three boots", installer, at(boot, boot, boot), 2, 2},
		{"loader again before the kernel runs", installer, at([]int64{64, 140, 210, 64, 140, 210, 280}), 0, 0},
		{"loader only, then the disk", installer, at(boot, []int64{64, 140}), 1, 0},
		{"loader only, twice", installer, at(boot, []int64{64, 140}, boot), 1, 1},
		{"fonts and modules before the kernel", installer, at(boot, []int64{64, 400, 420, 210, 280}), 1, 1},
		{"a look at the EFI partition", installer, append(at(boot, []int64{64}), long...), 1, 0},
		{"a look, and the kernel much later", installer, append(append(at(boot, []int64{64}), long...), at([]int64{210})...), 1, 0},
		{"a look at the kernel's end", installer, append(at(boot, []int64{253, 500}), long...), 0, 0},
		{"no menu is seen, but the kernel", installer, append(at(boot, []int64{500}), [2]int64{192, 64}, [2]int64{256, 64}), 1, 1},
		{"check of the medium", installer, append(at(boot), sweep()...), 0, 0},
		{"medium without kernel", installer[:3], at(boot, boot), 1, 1},
		{"descriptors again", installer, at(boot, []int64{0, 32, 0}), 0, 0},
	}
	for _, q := range tests {
		t.Run(q.name, func(t *testing.T) {
			a := &account{}
			if err := a.init(Medium{Regions: large(q.regions)}, 1<<26); err != nil {
				t.Fatal(err)
			}
			for i, r := range q.reads {
				a.read(loopback, r[0]<<16, r[1]<<16, time.Unix(int64(i+1), 0))
			}
			if p := a.snapshot(time.Now()); p.Reloads != q.reloads || p.Restarts != q.restarts {
				t.Errorf("%d reloads and %d restarts, want %d and %d", p.Reloads, p.Restarts, q.reloads, q.restarts)
			}
		})
	}
}

// at makes reads of 1 KiB, none of which begins where the one before ended.
func at(boots ...[]int64) (reads [][2]int64) {
	for _, b := range boots {
		for _, off := range b {
			reads = append(reads, [2]int64{off, 1})
		}
	}
	return reads
}

// sweep reads everything from the start in blocks.
func sweep() (reads [][2]int64) {
	for off := int64(0); off < 1024; off += 32 {
		reads = append(reads, [2]int64{off, 32})
	}
	return reads
}

// TestAccountAddsUp reads at random: the parts of a snapshot must agree with
// each other and with a count of distinct bytes.
func TestAccountAddsUp(t *testing.T) {
	a := newAccount(t, installer)
	r := rand.New(rand.NewPCG(5, 5))
	seen := make([]bool, a.size)
	var all int64
	for i := range 500 {
		off := r.Int64N(a.size)
		n := 1 + r.Int64N(min(a.size-off, 3000))
		for j := off; j < off+n; j++ {
			seen[j] = true
		}
		all += n
		a.read(loopback, off, n, time.Unix(int64(1+i), 0))
	}
	p := a.snapshot(time.Unix(501, 0))
	var total, distinct, sum, want int64
	for _, q := range p.Phases {
		total, distinct, sum = total+q.Total, distinct+q.Distinct, sum+q.Bytes
		var count int64
		for i, g := range installer {
			_ = i
			if g.Phase == q.Phase {
				for _, s := range seen[g.Off : g.Off+g.Len] {
					if s {
						count++
					}
				}
			}
		}
		if q.Phase != Payload && q.Distinct != count {
			t.Errorf("%s: %d distinct bytes, want %d", q.Phase, q.Distinct, count)
		}
	}
	for _, s := range seen {
		if s {
			want++
		}
	}
	if total != a.size || distinct != want || p.Distinct != want || sum != all || p.Bytes != all {
		t.Errorf("total %d of %d, distinct %d and %d of %d, bytes %d and %d of %d", total, a.size, distinct, p.Distinct, want, sum, p.Bytes, all)
	}
	if got := p.File("/ks.cfg"); got.Total != 1<<10 || got.Phase != Answer {
		t.Errorf("answer file: %+v", got)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAccount(t, nil)
		begin := time.Now()
		rate := func() int64 { return a.snapshot(time.Now()).Rate }
		if rate() != 0 {
			t.Errorf("rate before the first read is %d", rate())
		}
		for range 40 { // 2 KiB/s, in halves of seconds
			a.read(loopback, 0, 1024, time.Now())
			time.Sleep(500 * time.Millisecond)
		}
		if got := rate(); got < 1800 || got > 2300 {
			t.Errorf("after %v the rate is %d, want about 2048", time.Since(begin), got)
		}
		time.Sleep(rateWindow * time.Second)
		if got := rate(); got != 0 {
			t.Errorf("rate of an idle medium is %d", got)
		}
	})
}

func TestClientsAreBounded(t *testing.T) {
	a := newAccount(t, nil)
	for i := range 100 {
		c := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		a.request(c, time.Unix(1, 0))
		a.read(c, 0, 10, time.Unix(1, 0))
	}
	p := a.snapshot(time.Unix(2, 0))
	if len(p.Clients) != maxClients || p.OtherClients != 100-maxClients || p.Requests != 100 || p.Bytes != 1000 {
		t.Errorf("%d clients, %d others, %d requests, %d bytes", len(p.Clients), p.OtherClients, p.Requests, p.Bytes)
	}
}

func TestProgressJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []Event
		s := &Server{OnEvent: func(e Event) { events = append(events, e) }}
		p, _ := publish(t, s, 1<<20, Medium{Regions: installer})
		send := func(off, n int64) {
			p.account.request(loopback, time.Now())
			if p.account.read(loopback, off, n, time.Now()) {
				s.deliver()
			}
			time.Sleep(400 * time.Millisecond)
		}
		for _, r := range append(at([]int64{0, 64, 128, 192, 256, 320, 500, 700, 300, 64, 192}), [2]int64{256, 64}) {
			send(r[0]<<10, r[1]<<10)
		}
		p.Withdraw()
		golden(t, "progress.json", struct {
			Progress Progress
			Events   []Event
		}{p.Progress(), events})
	})
}

// golden compares v, as JSON, with a file in testdata.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s (-want +got):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
