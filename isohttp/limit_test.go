package isohttp

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
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
		block   int64
		want    time.Duration // for 8 MiB each
	}{
		{"none", &Server{}, 2, 8 << 20, 0},
		{"client", &Server{RatePerClient: 1 << 20}, 2, 8 << 20, 8 * time.Second},
		{"total", &Server{Rate: 1 << 20}, 2, 8 << 20, 16 * time.Second},
		{"both", &Server{Rate: 4 << 20, RatePerClient: 1 << 20}, 3, 8 << 20, 8 * time.Second},
		{"tiny", &Server{Rate: 1 << 10}, 1, 8 << 20, 8188 * time.Second},
		{"client in blocks", &Server{RatePerClient: 1 << 20}, 2, 64 << 10, 8 * time.Second},
		{"total in blocks", &Server{Rate: 4 << 20}, 2, 64 << 10, 4 * time.Second},
		{"much in small blocks", &Server{Rate: 64 << 20}, 8, 16 << 10, time.Second},
	} {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, v := publish(t, q.server, 8<<20, Medium{})
				begin := time.Now()
				var wait sync.WaitGroup
				for i := range q.clients {
					wait.Go(func() {
						c := &http.Client{Transport: q.server.TransportFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))}
						for off := int64(0); off < 8<<20; off += q.block {
							if got := ask(t, c, "GET", "http://x"+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+q.block-1))); !bytes.Equal(got.body, v.bytes[off:off+q.block]) {
								t.Error("wrong bytes")
							}
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

// TestRateLimitsOfFiles: media of many small pieces are as fast as others, where
// each piece is sent by itself.
func TestRateLimitsOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := randomBytes(rand.New(rand.NewPCG(11, 11)), 1<<20)
		v := patch(rand.New(rand.NewPCG(11, 12)), data, 100)
		s := &Server{Rate: 1 << 20}
		p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: v, Base: writeBase(t, data)})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Withdraw()
		w := &filesWriter{httptest.NewRecorder()}
		begin := time.Now()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", p.Path(), nil))
		want := time.Duration(float64(v.Size()) / (1 << 20) * float64(time.Second))
		if got := time.Since(begin); !bytes.Equal(w.Body.Bytes(), v.bytes) || got < want-limitBurst-2*limitStep || got > want+limitStep {
			t.Errorf("%d bytes took %v, want %d and %v", w.Body.Len(), got, v.Size(), want)
		}
	})
}

// filesWriter says that it can send files.
type filesWriter struct{ *httptest.ResponseRecorder }

func (w *filesWriter) ReadFrom(r io.Reader) (int64, error) { return w.Body.ReadFrom(r) }

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
