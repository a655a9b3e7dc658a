package isohttp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Listen says where a server listens. At least one address must be set.
type Listen struct {
	HTTP  string // "host:port" for http; "" for none
	HTTPS string // "host:port" for https; "" for none. OpenBMC takes nothing else.
	TLS   TLS    // for HTTPS
}

// Running is a server that listens.
type Running struct {
	HTTP  netip.AddrPort // where http is served; not valid if it is not
	HTTPS netip.AddrPort

	// Fingerprint is the SHA-256 of the https certificate in hexadecimal.
	Fingerprint string

	servers []*http.Server
	loops   *loops // of HTTP; nil: net/http serves it alone
	serving sync.WaitGroup
	stop    func() bool

	mu  sync.Mutex
	err error
}

// Start listens, fetches a medium of its own from itself over every address as a
// BMC would, and returns. When ctx ends, the server stops at once; for a
// graceful end see [Running.Shutdown].
func (s *Server) Start(ctx context.Context, l Listen) (*Running, error) {
	r := &Running{}
	if err := s.start(ctx, l, r); err != nil {
		r.close()
		r.serving.Wait()
		return nil, fmt.Errorf("starting media server: %w", err)
	}
	r.stop = context.AfterFunc(ctx, r.close)
	return r, nil
}

func (s *Server) start(ctx context.Context, l Listen, r *Running) (err error) {
	if l.HTTP == "" && l.HTTPS == "" {
		return errors.New("no address to listen on")
	}
	conns := &connCount{client: map[netip.Addr]int{}}
	if l.HTTP != "" {
		if r.HTTP, err = s.listen(ctx, r, l.HTTP, conns, nil); err != nil {
			return err
		}
		if err := s.selfTest(ctx, "http", r.HTTP, nil); err != nil {
			return err
		}
	}
	if l.HTTPS != "" {
		cert, err := l.TLS.certificate(time.Now())
		if err != nil {
			return err
		}
		r.Fingerprint = fingerprint(cert)
		if r.HTTPS, err = s.listen(ctx, r, l.HTTPS, conns, l.TLS.config(cert)); err != nil {
			return err
		}
		if err := s.selfTest(ctx, "https", r.HTTPS, &cert); err != nil {
			return err
		}
	}
	s.log().Info("media server listens", "http", r.HTTP, "https", r.HTTPS, "certificate", r.Fingerprint)
	return nil
}

func (s *Server) listen(ctx context.Context, r *Running, addr string, conns *connCount, config *tls.Config) (netip.AddrPort, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // no controller knows it, and every accept pays for it
	nl, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return netip.AddrPort{}, err
	}
	l := nl.(*net.TCPListener)
	h := s.httpServer()
	r.servers = append(r.servers, h)
	var accept net.Listener = &listener{l, s, conns}
	if config != nil {
		accept = tls.NewListener(accept, config)
	} else if g, err := s.newLoops(ctx, l, conns); err != nil {
		l.Close()
		return netip.AddrPort{}, err
	} else if g != nil {
		accept, r.loops = g, g
		g.start()
		r.serving.Go(g.wait)
	}
	r.serving.Go(func() {
		if err := h.Serve(accept); !errors.Is(err, http.ErrServerClosed) {
			r.mu.Lock()
			r.err = errors.Join(r.err, fmt.Errorf("serving media on %s: %w", addr, err))
			r.mu.Unlock()
			r.close()
		}
	})
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

func (s *Server) idleTimeout() time.Duration {
	if s.IdleTimeout > 0 {
		return s.IdleTimeout
	}
	return 15 * time.Minute
}

func (s *Server) headerTimeout() time.Duration {
	if s.HeaderTimeout > 0 {
		return s.HeaderTimeout
	}
	return 30 * time.Second
}

func (s *Server) httpServer() *http.Server {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.headerTimeout(),
		IdleTimeout:       s.idleTimeout(),
		MaxHeaderBytes:    16 << 10,
		ConnContext:       connContext,
		Protocols:         new(http.Protocols),
		// Handshakes that fail, and panics. It names no paths.
		ErrorLog: slog.NewLogLogger(s.log().Handler(), slog.LevelWarn),
	}
	h.Protocols.SetHTTP1(true)
	return h
}

// URL returns the URL of a medium for a BMC that reaches this machine at local
// (see [LocalAddress]). It is a secret.
func (r *Running) URL(p *Publication, scheme string, local netip.Addr) (string, error) {
	at := r.HTTP
	if scheme == "https" {
		at = r.HTTPS
	}
	if scheme != "http" && scheme != "https" || !at.IsValid() {
		return "", fmt.Errorf("media server does not listen for %s", scheme)
	}
	if b := at.Addr().Unmap(); !b.IsUnspecified() && b != local.Unmap() {
		return "", fmt.Errorf("media server listens for %s on %s only, not on %s", scheme, b, local)
	}
	host := local.Unmap().String()
	if local.Unmap().Is6() {
		host = "[" + local.WithZone("").String() + "]"
	}
	if standard := map[string]uint16{"http": 80, "https": 443}; at.Port() != standard[scheme] {
		host += ":" + strconv.Itoa(int(at.Port()))
	}
	return (&url.URL{Scheme: scheme, Host: host, Path: p.Path()}).String(), nil
}

// Shutdown takes no new connections, closes idle ones and waits for answers that
// are being sent. When ctx ends before them, it cuts them off and returns the
// error of ctx.
func (r *Running) Shutdown(ctx context.Context) error {
	r.stop()
	errs := make([]error, len(r.servers)+1)
	var wait sync.WaitGroup
	for i, h := range r.servers {
		wait.Go(func() { errs[i] = h.Shutdown(ctx) })
	}
	if r.loops != nil {
		wait.Go(func() { errs[len(r.servers)] = r.loops.drain(ctx) })
	}
	wait.Wait()
	r.close()
	return errors.Join(append(errs, r.Wait())...)
}

// Wait returns when the server has stopped listening, with the error that made
// it stop, or nil after Shutdown or the end of Start's context.
func (r *Running) Wait() error {
	r.serving.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Running) close() {
	for _, h := range r.servers {
		h.Close()
	}
	if r.loops != nil {
		r.loops.stop()
	}
}
