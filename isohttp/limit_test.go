package isohttp

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

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
