package redfish_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metalcue/metalcue/reconcile/redfish"
)

// counted counts connections.
type counted struct {
	net.Listener
	n atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// TestTLS: whom each mode trusts. A certificate that is not trusted costs
// exactly one connection: it is not retried, and no login is sent.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(plain)
	listener := &counted{Listener: s.Listener}
	s.Listener = listener
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	sum := sha256.Sum256(s.Certificate().Raw)
	pin := hex.EncodeToString(sum[:])
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	for _, test := range []struct {
		name string
		tls  redfish.TLS
		ok   bool
	}{
		{"roots of the system", redfish.TLS{}, false},
		{"verify", redfish.TLS{Mode: redfish.ModeVerify}, false},
		{"pool", redfish.TLS{CAs: pool}, true},
		{"other pool", redfish.TLS{CAs: x509.NewCertPool()}, false},
		{"pin", redfish.TLS{Mode: redfish.ModePin, SHA256: pin}, true},
		{"pin with colons", redfish.TLS{Mode: redfish.ModePin, SHA256: colons(pin)}, true},
		{"other pin", redfish.TLS{Mode: redfish.ModePin, SHA256: strings.Repeat("0", 64)}, false},
		{"insecure", redfish.TLS{Mode: redfish.ModeInsecure}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := listener.n.Load()
			c := &redfish.Client{Address: s.URL, Login: login, TLS: test.tls}
			defer c.Close(t.Context())
			_, err := c.Observe(t.Context())
			if test.ok && err != nil || !test.ok && !errors.Is(err, redfish.ErrTLS) {
				t.Errorf("error %v, want success %v", err, test.ok)
			}
			if n := listener.n.Load() - before; !test.ok && n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
	for _, bad := range []redfish.TLS{{Mode: "none"}, {Mode: redfish.ModePin}, {Mode: redfish.ModePin, SHA256: "12:34"}} {
		c := &redfish.Client{Address: s.URL, TLS: bad}
		if _, err := c.Observe(t.Context()); err == nil || !strings.Contains(err.Error(), "tls") {
			t.Errorf("%+v: error %v, want one about tls", bad, err)
		}
	}
	cert, err := redfish.Trust(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if cert.SHA256 != pin {
		t.Errorf("fingerprint %s, want %s", cert.SHA256, pin)
	}
}

func colons(h string) string {
	var parts []string
	for i := 0; i < len(h); i += 2 {
		parts = append(parts, strings.ToUpper(h[i:i+2]))
	}
	return strings.Join(parts, ":")
}
