package isohttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves media. Its zero value is ready: an [http.Handler] that may be
// called in process ([Server.Transport]) or listen ([Server.Start]). Set the
// fields before the first use; do not copy it after.
type Server struct {
	// Logger takes what an operator should know; nil discards. Tokens and
	// paths are never written to it.
	Logger *slog.Logger

	// OnEvent, if not nil, is called for every event, in order and never
	// concurrently. A slow one may slow readers down. It may use the server.
	OnEvent func(Event)

	// OnUnknown, if not nil, is called for a request for a path at which nothing
	// is published, with the context of the server or of the request. It may
	// publish a medium there, which then is the answer.
	OnUnknown func(ctx context.Context, path string)

	// MaxConns and MaxConnsPerClient bound the connections that Start's
	// listeners hold, in all (0 means 10,000) and per address (0 means no
	// bound of its own). One too many is closed at once.
	MaxConns, MaxConnsPerClient int

	// Rate and RatePerClient bound the bytes sent per second, in all and per
	// address. 0 means unbounded.
	Rate, RatePerClient int64

	// IdleTimeout ends a connection that has waited so long for its next
	// request; 0 means 15 minutes: controllers idle for minutes between two
	// reads. HeaderTimeout bounds the reading of a request's header; 0 means
	// 30 seconds. Nothing bounds the sending of an answer.
	IdleTimeout, HeaderTimeout time.Duration

	mu     sync.RWMutex
	media  map[string]*Publication // by path
	bases  baseFiles
	events eventQueue
	limits limits
}

// Medium is what Publish takes.
type Medium struct {
	// Host names the machine the medium is made for. It stands in events and
	// logs, and in the path, where other characters than [A-Za-z0-9._-] become
	// "-" and 40 are enough.
	Host string

	// Token is the secret part of the path: 22 characters of base64url; see
	// [Token].
	Token string

	// View is what is served; Base is the image its base pieces are read from.
	// A view without base pieces needs no base.
	View View
	Base Base

	// Regions say what the bytes of the view are for; where they overlap, the
	// one listed first counts. Rest is the phase of all other bytes; "" means
	// Payload.
	Regions []Region
	Rest    Phase

	// Allow, if valid, is the only address that may read the medium.
	Allow netip.Addr

	// Resumed says that the medium was published before, by a server whose
	// account is lost; [Progress.Resumed] hands it on to who judges.
	Resumed bool
}

// Publication is a medium that is being served.
type Publication struct {
	server  *Server
	host    string
	path    string
	base    Base
	allow   netip.Addr
	content atomic.Pointer[content]
	account account

	mu       sync.Mutex
	gone     chan struct{} // closed by Withdraw
	active   *sending      // answers being sent: a list
	count    int           // of them
	refused  refusals
	internal bool // the self-test's: no events
}

// Publish serves a medium until it is withdrawn. Everything about it is checked
// before its path exists. The caller must not change what the view or the
// regions refer to.
func (s *Server) Publish(m Medium) (*Publication, error) {
	p, err := s.publish(m, false)
	if err != nil {
		return nil, fmt.Errorf("publishing medium of %s: %w", m.Host, err)
	}
	return p, nil
}

func (s *Server) publish(m Medium, internal bool) (_ *Publication, err error) {
	if m.Host == "" {
		return nil, errors.New("no host")
	}
	if err := checkToken(m.Token); err != nil {
		return nil, err
	}
	if m.View == nil {
		return nil, errors.New("no view")
	}
	p := &Publication{server: s, host: m.Host, path: pathOf(m.Token, m.Host), base: m.Base, allow: m.Allow.Unmap(), gone: make(chan struct{}), internal: internal}
	var file *baseFile
	if m.Base != (Base{}) {
		if file, err = s.bases.acquire(m.Base); err != nil {
			return nil, fmt.Errorf("opening base image: %w", err)
		}
		defer func() {
			if err != nil {
				s.bases.release(file)
			}
		}()
	}
	c, err := newContent(m.View, m.Base, file)
	if err != nil {
		return nil, err
	}
	p.content.Store(c)
	if err := p.account.init(m, c.size); err != nil {
		return nil, err
	}
	if s.OnEvent != nil && !internal {
		p.account.events = &s.events
	}
	if err := s.add(p); err != nil {
		return nil, err
	}
	p.note(EventPublished)
	return p, nil
}

func (s *Server) add(p *Publication) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.media[p.path]; q != nil {
		return fmt.Errorf("its token is already in use for %s", q.host)
	}
	if s.media == nil {
		s.media = map[string]*Publication{}
	}
	s.media[p.path] = p
	return nil
}

// note tells log and events of a change to the medium as a whole.
func (p *Publication) note(kind EventKind) {
	if p.internal {
		return
	}
	p.server.log().Info("medium "+string(kind), "host", p.host, "bytes", p.account.size)
	p.account.mu.Lock()
	p.account.emit(Event{Kind: kind, At: time.Now()})
	p.account.mu.Unlock()
	p.server.deliver()
}

// Path returns the path of the medium on every address of the server,
// "/i/<token>/<host>.iso". It is a secret.
func (p *Publication) Path() string { return p.path }

// Host returns the host the medium was published for.
func (p *Publication) Host() string { return p.host }

// Replace serves another view of the same base and size at the same path, with
// its own ETag and Last-Modified, to all requests from now on. Answers that are
// being sent go on with the view they began with, to their end.
//
// The account goes on, with the regions that Publish was given: the new view
// must have its files where the old one has them, as two views have whose
// changes are of the same paths and lengths. What was read stays read, bytes
// that are read again are not distinct, and a machine that boots from the new
// view counts in Reloads and Restarts as one that boots from the old one does.
func (p *Publication) Replace(v View) error {
	p.mu.Lock()
	old := p.content.Load()
	c, err := newContent(v, p.base, old.file)
	if err == nil && c.size != old.size {
		err = fmt.Errorf("new view has %d bytes, the medium has %d", c.size, old.size)
	}
	if err == nil && p.withdrawn() {
		err = errors.New("it was withdrawn")
	}
	if err == nil {
		p.content.Store(c)
	}
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("replacing medium of %s: %w", p.host, err)
	}
	p.note(EventReplaced)
	return nil
}

// Withdraw ends the medium: its path is unknown from now on, and answers that
// are being sent are cut off. Withdrawing twice is once too often but harmless.
func (p *Publication) Withdraw() {
	s := p.server
	s.mu.Lock()
	if s.media[p.path] == p {
		delete(s.media, p.path)
	}
	s.mu.Unlock()
	p.mu.Lock()
	if p.withdrawn() {
		p.mu.Unlock()
		return
	}
	close(p.gone)
	p.cutAll()
	idle := p.active == nil
	p.mu.Unlock()
	if idle {
		p.close()
	}
	p.note(EventWithdrawn)
}

func (p *Publication) withdrawn() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// close gives up the base image, after Withdraw and the end of the last answer.
func (p *Publication) close() { p.server.bases.release(p.content.Load().file) }

// Progress tells what was read of the medium so far, also after Withdraw.
func (p *Publication) Progress() Progress {
	q := p.account.snapshot(time.Now())
	q.Host = p.host
	p.mu.Lock()
	q.Active = p.count
	q.Refused, q.LastRefused, q.LastRefusedAt = p.refused.requests, p.refused.last, p.refused.at
	p.mu.Unlock()
	return q
}

func (s *Server) deliver() {
	if s.OnEvent != nil {
		s.events.deliver(s.OnEvent)
	}
}

func (s *Server) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

var _ http.Handler = (*Server)(nil)
