//go:build unix

package netbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gonetbox "github.com/netbox-community/go-netbox/v4"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// large is a NetBox of n devices with config contexts of 4 KiB, all of it under
// our key and no two of them equal.
func large(n int) *netboxtest.Server {
	devices := many(n)
	for i := range devices {
		d := &devices[i]
		d.Site, d.Rack, d.Role = fmt.Sprintf("site-%d", i%8), fmt.Sprintf("r%d", i%200), fmt.Sprintf("role-%d", i%5)
		d.OOB, d.Primary4 = fmt.Sprintf("10.%d.%d.%d/16", i>>16, i>>8&255, i&255), fmt.Sprintf("10.%d.%d.%d/16", 100+i>>16, i>>8&255, i&255)
		d.CustomFields = map[string]any{"reconcile_generation": i % 7, "reconcile_commit": nil, "last_installed": nil, "owner_team": "infra"}
		d.Context = map[string]any{"reconcile": map[string]any{
			"hostid":     i,
			"gateway":    "10.100.0.1",
			"repos":      blob("repo", i, 16),
			"sysctl":     blob("net.core.some_setting", i, 28),
			"partitions": []any{blob("partition", i, 6), blob("volume", i+1, 6)},
		}}
	}
	return &netboxtest.Server{Devices: devices}
}

// blob is a map of n entries.
func blob(key string, seed, n int) map[string]any {
	m := make(map[string]any, n)
	for i := range n {
		m[fmt.Sprintf("%s-%d", key, i)] = fmt.Sprintf("https://mirror.example.net/%d/%d/%s", seed, i, strings.Repeat("x", 20))
	}
	return m
}

// A replay answers each request with what a server answered to it once, so
// that a benchmark does not measure the server.
type replay struct {
	next    http.RoundTripper
	mu      sync.Mutex
	answers map[string][]byte
	sent    atomic.Int64
}

func (p *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	p.sent.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	body, ok := p.answers[r.URL.String()]
	if !ok {
		resp, err := p.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err != nil {
			return nil, err
		}
		p.answers[r.URL.String()] = body
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// scan reads all devices through the replay.
func (p *replay) scan(ctx context.Context) (*netbox.Snapshot, error) {
	c := &netbox.Client{URL: "https://netbox.example.net", Token: token, HTTP: &http.Client{Transport: p}}
	return c.Scan(ctx, scopeTag, nil)
}

// newReplay records a scan of n devices.
func newReplay(tb testing.TB, n int) *replay {
	tb.Helper()
	p := &replay{next: large(n).Transport(), answers: map[string][]byte{}}
	if s, err := p.scan(tb.Context()); err != nil || len(s.Devices) != n {
		tb.Fatal("priming: ", err)
	}
	p.sent.Store(0)
	return p
}

// peak runs f and returns by how many bytes the heap grew at most.
func peak(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	runtime.GC()
	before := read()
	done, stopped := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-done:
				stopped <- most
				return
			case <-time.After(time.Millisecond):
				most = max(most, read())
			}
		}
	}()
	f()
	close(done)
	return max(<-stopped, before) - before
}

// 10,000 devices take at most 13 requests and 120 MB.
func TestScanBudget(t *testing.T) {
	p := newReplay(t, 10_000)
	var s *netbox.Snapshot
	var err error
	grew := peak(func() { s, err = p.scan(t.Context()) })
	if err != nil || len(s.Devices) != 10_000 {
		t.Fatal(err)
	}
	if got := p.sent.Load(); got > 13 {
		t.Errorf("%d requests, budget 13", got)
	}
	if grew > 120<<20 {
		t.Errorf("the heap grew by %d MB, budget 120", grew>>20)
	}
	v, err := s.Devices[9_999].Context.Value()
	if m, ok := v.(map[string]any); err != nil || !ok || m["hostid"] != int64(9_999) || len(s.Devices[9_999].Context) < 4<<10 {
		t.Errorf("the last device's context is %.100s", s.Devices[9_999].Context)
	}
	t.Logf("%d requests, the heap grew by %d MB", p.sent.Load(), grew>>20)
}

// Reading devices allocates a fifteenth of what go-netbox's decoding does.
func TestScanAllocations(t *testing.T) {
	p := newReplay(t, 1000)
	theirs := newGoNetbox(t, p)
	theirs(0)
	ours := testing.AllocsPerRun(1, func() {
		if _, err := p.scan(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if other := testing.AllocsPerRun(1, func() { theirs(0) }); ours*15 > other {
		t.Errorf("%.0f allocations for 1,000 devices, go-netbox makes %.0f", ours, other)
	}
}

func BenchmarkScan(b *testing.B) {
	p := newReplay(b, 10_000)
	var size int
	for _, body := range p.answers {
		size += len(body)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	var grew uint64
	busy := cpu(b)
	for b.Loop() {
		grew = max(grew, peak(func() {
			if _, err := p.scan(b.Context()); err != nil {
				b.Fatal(err)
			}
		}))
	}
	b.ReportMetric(float64(grew)/(1<<20), "peak-MB")
	b.ReportMetric(float64((cpu(b)-busy).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// newGoNetbox returns what reads one page of devices with go-netbox's own
// decoding.
func newGoNetbox(tb testing.TB, p *replay) func(offset int32) {
	tb.Helper()
	cfg := gonetbox.NewConfiguration()
	cfg.Servers[0].URL = "https://netbox.example.net"
	cfg.HTTPClient = &http.Client{Transport: p}
	api := gonetbox.NewAPIClient(cfg)
	return func(offset int32) {
		list, _, err := api.DcimAPI.DcimDevicesList(tb.Context()).Tag([]string{"reconcile"}).Ordering("id").Limit(1000).Offset(offset).Execute()
		if err != nil || len(list.Results) != 1000 {
			tb.Fatal(err)
		}
	}
}

// BenchmarkGoNetbox reads the same devices with go-netbox's own decoding.
func BenchmarkGoNetbox(b *testing.B) {
	p := newReplay(b, 10_000)
	page := newGoNetbox(b, p)
	all := func() {
		for offset := int32(0); offset < 10_000; offset += 1000 {
			page(offset)
		}
	}
	all() // records the answers
	b.ReportAllocs()
	busy := cpu(b)
	for b.Loop() {
		all()
	}
	b.ReportMetric(float64((cpu(b)-busy).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// cpu is the time that the process has been at work so far.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
