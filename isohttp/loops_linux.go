package isohttp

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// loops serve plain http on one socket, short answers in event loops.
//
// net/http starts a goroutine for a connection, wakes it for each request, reads
// ahead in another, and sends header and body by a call each. Most of what a
// controller waits for, and half of the processor time of a small range, is that.
// A loop waits for many sockets at once in the kernel (epoll) and answers without
// another goroutine: one call to read a request, one or two to answer it.
//
// A loop does nothing that takes long. An answer that is long, or that the kernel
// has to read from a disk, goes on in a goroutine of its own, which waits like any
// other, and its connection then comes back.
//
// Loops answer only what [parseRequest] calls plain: GET and HEAD of a published
// medium, whole or of one range. A connection that brings anything else goes over
// to net/http with what was read of it, for good. So this is not another HTTP
// server: what is seldom, old, wrong or hostile is still answered by the one that
// is proven.
type loops struct {
	server *Server
	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	fd     int // listening
	addr   net.Addr
	conns  *connCount
	each   []*loop
	alive  sync.WaitGroup
	once   sync.Once

	// net/http's side of it, a net.Listener
	foreign chan net.Conn
	closed  chan struct{}
}

// loopCount is how many loops there are. While a loop waits, the runtime has to
// find out that its processor is free, which costs less if there are others.
func loopCount() int { return max(1, min(runtime.GOMAXPROCS(0)/2, 8)) }

// newLoops takes over a listening socket. It returns nil if net/http has to
// serve everything, which alone knows how to send slowly.
func (s *Server) newLoops(ctx context.Context, l *net.TCPListener, conns *connCount) (*loops, error) {
	if s.Rate > 0 || s.RatePerClient > 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &loops{server: s, ctx: ctx, cancel: cancel, fd: -1, addr: l.Addr(), conns: conns, foreign: make(chan net.Conn), closed: make(chan struct{})}
	err := g.init(l)
	if err != nil {
		g.release()
		return nil, err
	}
	return g, l.Close()
}

func (g *loops) init(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	// A descriptor of our own: those of the runtime wake the runtime.
	if failed := raw.Control(func(fd uintptr) { g.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil || err != nil {
		return errors.Join(failed, os.NewSyscallError("fcntl", err))
	}
	// Accepted sockets inherit these; the values are package net's.
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		if err := unix.SetsockoptInt(g.fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	for range loopCount() {
		l, err := newLoop(g)
		if err != nil {
			return err
		}
		g.each = append(g.each, l)
	}
	return nil
}

// start serves until stop or drain.
func (g *loops) start() {
	for _, l := range g.each {
		g.alive.Go(l.run)
	}
}

// stop ends all connections of the loops.
func (g *loops) stop() {
	g.cancel()
	g.once.Do(func() { close(g.closed) })
	for _, l := range g.each {
		l.post(l.closeAll)
	}
}

// drain accepts nothing more, closes idle connections, and returns when the last
// answer was sent, or with the error of ctx when that ends before.
func (g *loops) drain(ctx context.Context) error {
	for _, l := range g.each {
		l.post(l.drain)
	}
	done := make(chan struct{})
	go func() {
		g.alive.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when the loops have ended.
func (g *loops) wait() {
	g.alive.Wait()
	g.release()
}

func (g *loops) release() {
	g.cancel()
	for _, l := range g.each {
		l.release()
	}
	if g.fd >= 0 {
		unix.Close(g.fd)
	}
}

// Accept returns connections that the loops leave to net/http.
func (g *loops) Accept() (net.Conn, error) {
	select {
	case c := <-g.foreign:
		return c, nil
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

func (g *loops) Close() error {
	g.once.Do(func() { close(g.closed) })
	return nil
}

func (g *loops) Addr() net.Addr { return g.addr }
