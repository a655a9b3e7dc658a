package isohttp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
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
	var config *tls.Config
	if cert != nil {
		config = &tls.Config{
			// Pinned instead: it may be for other names than a loopback address.
			InsecureSkipVerify: true,
			VerifyConnection: func(c tls.ConnectionState) error {
				if !bytes.Equal(c.PeerCertificates[0].Raw, cert.Certificate[0]) {
					return errors.New("someone else's certificate")
				}
				return nil
			},
		}
	}
	at := reachable(addr).String()
	if err := selfTestConn(ctx, at, config, func(rw io.ReadWriter) error {
		return view.fetch(rw, "http://"+at+p.Path())
	}); err != nil {
		return fmt.Errorf("self-test of %s://%s: %w", scheme, at, err)
	}
	return nil
}

// selfTestConn calls use with a connection, and waits until the server has closed
// it: it counts among the few that the limits may allow.
func selfTestConn(ctx context.Context, addr string, config *tls.Config, use func(io.ReadWriter) error) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	rw := io.ReadWriter(c)
	if config != nil {
		t := tls.Client(c, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		rw = t
	}
	if err := use(rw); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return fmt.Errorf("waiting for the end of the connection: %w", err)
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
	default: // of every kind; Go takes it for IPv4 alone where there is no IPv6
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

// fetch asks for the view as a BMC does, and checks what it gets. It asks the
// server to close the connection in the end.
func (v testView) fetch(rw io.ReadWriter, url string) error {
	in := bufio.NewReader(rw)
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
		r, err := http.NewRequest(q.method, url, nil)
		if err != nil {
			return errors.New("the address makes no URL")
		}
		if q.ranges != "" {
			r.Header.Set("Range", q.ranges)
		}
		r.Close = int64(len(q.want)) == v.Size()
		if err := r.Write(rw); err != nil {
			return fmt.Errorf("%s: %w", q.method, err)
		}
		res, err := http.ReadResponse(in, r)
		if err != nil {
			return fmt.Errorf("%s: %w", q.method, err)
		}
		got, err := io.ReadAll(io.LimitReader(res.Body, v.Size()+1))
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
