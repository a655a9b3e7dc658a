package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/spf13/pflag"
)

// serving is how media are served: what the flags of addListen say beside
// addresses.
type serving struct {
	cert, key           string  // files
	oldTLS              bool    // for BMCs that know nothing newer
	rate, clientRate    float64 // MB/s, 0: no limit
	conns, clientConns  int
	idle, headerTimeout time.Duration
}

func (s *serving) add(f *pflag.FlagSet) {
	f.StringVar(&s.cert, "media-tls-cert", env("RECONCILE_MEDIA_TLS_CERT", ""), "PEM file of the certificate for https, with its chain; empty to make one at each start (env RECONCILE_MEDIA_TLS_CERT)")
	f.StringVar(&s.key, "media-tls-key", env("RECONCILE_MEDIA_TLS_KEY", ""), "PEM file of its key (env RECONCILE_MEDIA_TLS_KEY)")
	f.BoolVar(&s.oldTLS, "media-tls-old", false, "also serve TLS 1.0 and 1.1 and their ciphers, for BMCs that know nothing newer")
	f.Float64Var(&s.rate, "media-rate", 0, "MB per second to send in all; 0 for no limit")
	f.Float64Var(&s.clientRate, "media-client-rate", 0, "… and to each address")
	f.IntVar(&s.conns, "media-connections", 0, "connections to hold in all; 0 for 10,000")
	f.IntVar(&s.clientConns, "media-client-connections", 0, "… and of each address; 0 for no limit of its own")
	f.DurationVar(&s.idle, "media-idle-timeout", 0, "how long a connection may wait for its next request; 0 for 15m")
	f.DurationVar(&s.headerTimeout, "media-header-timeout", 0, "how long a request's header may take; 0 for 30s")
}

// minRate and maxRate bound the rates, in MB/s: at less than minRate no installer
// gets anywhere.
const minRate, maxRate = 0.1, 1e6

// mediaServer makes the server that the flags describe.
func (c *cli) mediaServer() (*isohttp.Server, error) {
	s := &c.options.serving
	for flag, rate := range map[string]float64{"--media-rate": s.rate, "--media-client-rate": s.clientRate} {
		if rate != 0 && !(rate >= minRate && rate <= maxRate) { // as it is NaN
			return nil, fmt.Errorf("%s %v: want %v to %v MB per second, or 0 for no limit", flag, rate, minRate, maxRate)
		}
	}
	if s.conns < 0 || s.clientConns < 0 || s.idle < 0 || s.headerTimeout < 0 {
		return nil, errors.New("the limits of --media-… cannot be negative")
	}
	return &isohttp.Server{
		Logger: c.logger(), Rate: int64(s.rate * 1e6), RatePerClient: int64(s.clientRate * 1e6),
		MaxConns: s.conns, MaxConnsPerClient: s.clientConns, IdleTimeout: s.idle, HeaderTimeout: s.headerTimeout,
	}, nil
}

// listenOn is where the flags say that media are served.
func (c *cli) listenOn() (isohttp.Listen, error) {
	o := &c.options
	if (o.serving.cert == "") != (o.serving.key == "") {
		return isohttp.Listen{}, errors.New("--media-tls-cert and --media-tls-key go together")
	}
	return isohttp.Listen{HTTP: o.listen, HTTPS: o.listenTLS, TLS: isohttp.TLS{CertFile: o.serving.cert, KeyFile: o.serving.key, Old: o.serving.oldTLS}}, nil
}
