package isohttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestTransportInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		s := &Server{OnEvent: func(e Event) { events = append(events, fmt.Sprint(e.Kind, " ", e.Phase)) }}
		p, v := publish(t, s, 1<<20+1000, Medium{
			Regions: []Region{{Loader, "/boot/loader", 0, 4096}, {Answer, "/ks.cfg", 1 << 19, 100}},
		})
		c := &http.Client{Transport: s.Transport()}
		for range 3600 { // an hour of a machine that reads a block a second
			got := ask(t, c, "GET", "https://[2001:db8::1]:8443"+p.Path(), fields("Range", "bytes=0-4095"))
			if got.status != 206 || !bytes.Equal(got.body, v.bytes[:4096]) {
				t.Fatalf("status %d, %d bytes", got.status, len(got.body))
			}
			time.Sleep(time.Second)
		}
		q := p.Progress()
		if q.Requests != 3600 || q.Distinct != 4096 || q.Bytes != 3600*4096 || q.Rate != 4096 {
			t.Errorf("progress is %+v", q)
		}
		if q.Last.Sub(q.First) != 3599*time.Second {
			t.Errorf("read from %v to %v", q.First, q.Last)
		}
		if len(events) != 3+3599 || events[0] != "published " || events[1] != "client " || events[2] != "phase loader" || events[3] != "progress " {
			t.Errorf("%d events, first %q", len(events), events[:4])
		}
	})
}

func TestTransportEnds(t *testing.T) {
	tests := []struct {
		name string
		end  func(cancel func(), p *Publication, body io.Closer)
		want error
	}{
		{"context", func(cancel func(), _ *Publication, _ io.Closer) { cancel() }, context.Canceled},
		{"close", func(_ func(), _ *Publication, body io.Closer) { body.Close() }, io.ErrClosedPipe},
		{"withdraw", func(_ func(), p *Publication, _ io.Closer) { p.Withdraw() }, io.ErrUnexpectedEOF},
	}
	for _, q := range tests {
		t.Run(q.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{}
				p, v := publish(t, s, 1<<20, Medium{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, "GET", "http://x"+p.Path(), nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := s.Transport().RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				if res.ContentLength != v.Size() || p.Progress().Active != 1 {
					t.Errorf("length %d, %d active", res.ContentLength, p.Progress().Active)
				}
				if _, err := io.ReadFull(res.Body, make([]byte, 100_000)); err != nil {
					t.Fatal(err)
				}
				q.end(cancel, p, res.Body)
				synctest.Wait()
				if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, q.want) {
					t.Errorf("reading on gives %v, want %v", err, q.want)
				}
				if n := p.Progress().Active; n != 0 {
					t.Errorf("%d answers still active", n)
				}
			})
		})
	}
}

func TestTransportFrom(t *testing.T) {
	s := &Server{}
	bmc := netip.MustParseAddr("2001:db8::7")
	p, _ := publish(t, s, 1000, Medium{Allow: bmc})
	if got := ask(t, &http.Client{Transport: s.TransportFrom(bmc)}, "HEAD", "http://x"+p.Path(), nil); got.status != 200 {
		t.Errorf("status is %d for the BMC", got.status)
	}
	if got := ask(t, &http.Client{Transport: s.Transport()}, "HEAD", "http://x"+p.Path(), nil); got.status != 404 {
		t.Errorf("status is %d for another address", got.status)
	}
}
