//go:build unix

package netbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// tenThousand is a NetBox of 10,000 devices with config contexts of 4 KiB. As
// in a real one, what a context says is shared by site and role, with some
// words of the device's own, so that no two are equal.
func tenThousand(distinct bool) *netboxtest.Server {
	devices := many(10_000)
	for i := range devices {
		d := &devices[i]
		d.Site, d.Rack, d.Role = fmt.Sprintf("site-%d", i%8), fmt.Sprintf("r%d", i%200), fmt.Sprintf("role-%d", i%5)
		d.OOB, d.Primary4 = fmt.Sprintf("10.%d.%d.%d/16", i>>16, i>>8&255, i&255), fmt.Sprintf("10.%d.%d.%d/16", 100+i>>16, i>>8&255, i&255)
		seed := i % 40
		if distinct {
			seed = i
		}
		d.Context = map[string]any{
			"reconcile":  map[string]any{"hostid": i, "gateway": "10.100.0.1"},
			"repos":      blob("repo", seed%8*1000+seed, 16),
			"sysctl":     blob("net.core.some_setting", seed, 24),
			"partitions": []any{blob("partition", seed, 6), blob("volume", seed+1, 6)},
		}
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

// scanTenThousand scans through a replay.
func scanTenThousand(ctx context.Context, p *replay) (*netbox.Snapshot, error) {
	c := &netbox.Client{URL: "https://netbox.example.net", Token: token, HTTP: &http.Client{Transport: p}}
	return c.Scan(ctx, scopeTag, nil)
}

func newReplay(tb testing.TB, distinct bool) *replay {
	p := &replay{next: tenThousand(distinct).Transport(), answers: map[string][]byte{}}
	if s, err := scanTenThousand(tb.Context(), p); err != nil || len(s.Devices) != 10_000 {
		tb.Fatal("priming: ", err)
	}
	p.next = nil
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
	p := newReplay(t, false)
	var s *netbox.Snapshot
	var err error
	grew := peak(func() { s, err = scanTenThousand(t.Context(), p) })
	if err != nil || len(s.Devices) != 10_000 {
		t.Fatal(err)
	}
	if got := p.sent.Load(); got > 13 {
		t.Errorf("%d requests, budget 13", got)
	}
	if grew > 120<<20 {
		t.Errorf("the heap grew by %d MB, budget 120", grew>>20)
	}
	t.Logf("%d requests, the heap grew by %d MB", p.sent.Load(), grew>>20)
}

func BenchmarkScan(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(fmt.Sprintf("distinct=%v", distinct), func(b *testing.B) {
			p := newReplay(b, distinct)
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
					if _, err := scanTenThousand(b.Context(), p); err != nil {
						b.Fatal(err)
					}
				}))
			}
			b.ReportMetric(float64(grew)/(1<<20), "peak-MB")
			b.ReportMetric(float64((cpu(b)-busy).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkGoNetbox reads the same devices with go-netbox's own decoding.
func BenchmarkGoNetbox(b *testing.B) {
	p := &replay{next: tenThousand(false).Transport(), answers: map[string][]byte{}}
	cfg := gonetbox.NewConfiguration()
	cfg.Servers[0].URL = "https://netbox.example.net"
	cfg.HTTPClient = &http.Client{Transport: p}
	api := gonetbox.NewAPIClient(cfg)
	page := func(offset int32) {
		list, _, err := api.DcimAPI.DcimDevicesList(b.Context()).Tag([]string{"reconcile"}).Ordering("id").Limit(1000).Offset(offset).Execute()
		if err != nil || len(list.Results) != 1000 {
			b.Fatal(err)
		}
	}
	for offset := int32(0); offset < 10_000; offset += 1000 {
		resp, err := p.RoundTrip(&http.Request{Method: "GET", URL: mustURL(b, fmt.Sprintf("https://netbox.example.net/api/dcim/devices/?limit=1000&offset=%d&ordering=id&tag=reconcile", offset))})
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	b.ReportAllocs()
	busy := cpu(b)
	for b.Loop() {
		for offset := int32(0); offset < 10_000; offset += 1000 {
			page(offset)
		}
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

func mustURL(tb testing.TB, s string) *url.URL {
	tb.Helper()
	u, err := url.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}
