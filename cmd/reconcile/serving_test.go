package main

import (
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/spf13/pflag"
)

// TestServingFlags: what the flags say reaches the media server.
func TestServingFlags(t *testing.T) {
	parse := func(args ...string) *cli {
		t.Helper()
		c := &cli{stderr: &strings.Builder{}}
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		c.options.addListen(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse("--listen", ":1", "--listen-https", ":2", "--media-tls-cert", "c.pem", "--media-tls-key", "k.pem", "--media-tls-old", "--media-rate", "100",
		"--media-client-rate", "12.5", "--media-connections", "50", "--media-client-connections", "4", "--media-idle-timeout", "2m", "--media-header-timeout", "5s")
	listen, err := c.listenOn()
	if want := (isohttp.Listen{HTTP: ":1", HTTPS: ":2", TLS: isohttp.TLS{CertFile: "c.pem", KeyFile: "k.pem", Old: true}}); err != nil || listen.HTTP != want.HTTP ||
		listen.HTTPS != want.HTTPS || listen.TLS.CertFile != want.TLS.CertFile || listen.TLS.KeyFile != want.TLS.KeyFile || !listen.TLS.Old {
		t.Errorf("listens as %+v, %v; want %+v", listen, err, want)
	}
	s, err := c.mediaServer()
	if err != nil {
		t.Fatal(err)
	}
	if s.Rate != 100e6 || s.RatePerClient != 12.5e6 || s.MaxConns != 50 || s.MaxConnsPerClient != 4 || s.IdleTimeout != 2*time.Minute || s.HeaderTimeout != 5*time.Second {
		t.Errorf("serves with %d and %d bytes/s, %d and %d connections, %v and %v", s.Rate, s.RatePerClient, s.MaxConns, s.MaxConnsPerClient, s.IdleTimeout, s.HeaderTimeout)
	}
	if _, err := parse("--media-tls-cert", "c.pem").listenOn(); err == nil || err.Error() != "--media-tls-cert and --media-tls-key go together" {
		t.Errorf("a certificate without a key: %v", err)
	}
	for _, rate := range []string{"-1", "NaN", "0.00000001", "1e300"} { // which would come to no limit at all
		if _, err := parse("--media-client-rate", rate).mediaServer(); err == nil || !strings.HasPrefix(err.Error(), "--media-client-rate ") {
			t.Errorf("a rate of %s: %v", rate, err)
		}
	}
	if _, err := parse("--media-connections", "-1").mediaServer(); err == nil || !strings.Contains(err.Error(), "cannot be negative") {
		t.Errorf("a negative number of connections: %v", err)
	}
	if listen, err := parse().listenOn(); err != nil || listen.TLS.Old || listen.TLS.CertFile != "" {
		t.Errorf("without flags: %+v, %v", listen, err)
	}
}
