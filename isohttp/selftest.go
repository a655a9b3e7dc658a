package isohttp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

const selfTestTimeout = 10 * time.Second

// selfTest fetches a small medium from the listener at addr the way a BMC does:
// HEAD, then ranges on the same connection. It catches a firewall, a wrong
// address and a proxy before a machine waits for them.
func (s *Server) selfTest(ctx context.Context, scheme string, addr netip.AddrPort, cert *tls.Certificate) error {
	ctx, cancel := context.WithTimeout(ctx, selfTestTimeout)
	defer cancel()
	view := make(testView, 40<<10)
	key := make([]byte, 16)
	rand.Read(key)
	rand.Read(view)
	p, err := s.publish(Medium{Host: "self-test", Token: Token(key), View: view}, true)
	if err != nil {
		return fmt.Errorf("self-test: %w", err)
	}
	defer p.Withdraw()
	t := &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}
	defer t.CloseIdleConnections()
	if cert != nil {
		want := *cert
		t.TLSClientConfig = &tls.Config{
			// Pinned instead: it may be for other names than a loopback address.
			InsecureSkipVerify: true,
			VerifyConnection: func(c tls.ConnectionState) error {
				if !bytes.Equal(c.PeerCertificates[0].Raw, want.Certificate[0]) {
					return errors.New("someone else's certificate")
				}
				return nil
			},
		}
	}
	base := scheme + "://" + reachable(addr).String()
	if err := view.fetch(ctx, t, base+p.Path()); err != nil {
		return fmt.Errorf("self-test of %s: %w", base, err)
	}
	return nil
}

// reachable turns a listener's address into one to connect to.
func reachable(a netip.AddrPort) netip.AddrPort {
	switch {
	case !a.Addr().IsUnspecified():
		return a
	case a.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	default: // also takes IPv4, unless there is no IPv4 at all
		return netip.AddrPortFrom(netip.IPv6Loopback(), a.Port())
	}
}

// testView is a view without a base.
type testView []byte

func (v testView) Size() int64     { return int64(len(v)) }
func (v testView) Pieces() []Piece { return []Piece{{Len: v.Size(), Data: v}} }
func (v testView) Digest(string) string {
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:])
}
func (v testView) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(v).ReadAt(p, off)
}

func (v testView) fetch(ctx context.Context, t http.RoundTripper, url string) error {
	for _, q := range []struct {
		method, ranges string
		status         int
		want           []byte
		length         int64
	}{
		{http.MethodHead, "", http.StatusOK, nil, v.Size()},
		{http.MethodGet, "bytes=32768-34815", http.StatusPartialContent, v[32768:34816], 2048},
		{http.MethodGet, "", http.StatusOK, v, v.Size()},
	} {
		r, err := http.NewRequestWithContext(ctx, q.method, url, nil)
		if err != nil {
			return errors.New("the address makes no URL")
		}
		if q.ranges != "" {
			r.Header.Set("Range", q.ranges)
		}
		res, err := t.RoundTrip(r)
		if err != nil {
			return fmt.Errorf("%s: %w", q.method, err)
		}
		got, err := io.ReadAll(io.LimitReader(res.Body, v.Size()+1))
		res.Body.Close()
		switch {
		case err != nil:
			return fmt.Errorf("%s: reading answer: %w", q.method, err)
		case res.StatusCode != q.status || res.ContentLength != q.length || res.Header.Get("Accept-Ranges") != "bytes":
			return fmt.Errorf("%s: answer is %s with %d bytes, want %d with %d", q.method, res.Status, res.ContentLength, q.status, q.length)
		case !bytes.Equal(got, q.want):
			return fmt.Errorf("%s: wrong bytes", q.method)
		}
	}
	return nil
}
