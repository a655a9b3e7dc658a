package isohttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// loopConn is a connection of a loop. It belongs to the loop's goroutine, or to
// that of alone, but for cut, which Withdraw calls.
type loopConn struct {
	sending
	loop     *loop
	fd       int
	deadline time.Time // for the next request; zero while one is answered
	in       []byte    // what was read and not used yet
	asking   bool      // OnUnknown was asked about the request that in begins with
	asked    bool      // and has answered
	queued   bool      // in loop.nextTurn

	// the answer that is being sent, if p is not nil
	body    cursor
	out     []byte  // to be sent before body goes on: header and small segments
	started bool    // something of out was sent
	held    *buffer // where out lies, if not in loop.scratch
	booked  int64   // up to where body is in the account
	at      int64   // where sendfile reads on
	last    bool    // the connection ends with it
	alone   bool    // a goroutine sends it, not the loop
	space   [1]byteRange
}

// maxTurn is how many answers a connection gets before others have their turn.
const maxTurn = 16

var (
	errWait = errors.New("the socket has to be waited for")
	errGone = errors.New("the connection is not the loop's any more")
	errLong = errors.New("the answer takes long")
)

func newLoopConn(l *loop, fd int, client netip.Addr) *loopConn {
	c := &loopConn{loop: l, fd: fd}
	c.client = client
	c.cut = func() { _ = unix.Shutdown(c.fd, unix.SHUT_RDWR) }
	return c
}

// join makes the connection one of its loop's.
func (c *loopConn) join(wait time.Duration) {
	l := c.loop
	l.conns[int32(c.fd)] = c
	if l.draining || l.ended {
		l.close(c)
		return
	}
	// Edge-triggered, once for all: step goes on until the kernel says EAGAIN.
	if err := l.watch(c.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET); err != nil {
		l.group.server.log().Warn("media server: taking connection", "client", c.client, "err", err)
		l.close(c)
		return
	}
	c.waitUntil(time.Now().Add(wait))
	l.step(c)
}

func (c *loopConn) waitUntil(t time.Time) {
	c.deadline = t
	c.loop.sweepAt(t)
}

// idle says that no request is being answered. A part of one does not count.
func (c *loopConn) idle() bool { return c.p == nil && !c.asking }

// close ends a connection.
func (l *loop) close(c *loopConn) {
	if c.p != nil {
		c.finish()
	}
	l.forget(c)
	l.group.conns.leave(c.client) // before the client knows
	unix.Close(c.fd)
}

func (l *loop) forget(c *loopConn) {
	delete(l.conns, int32(c.fd))
	l.open.Add(-1)
}

// step goes on with a connection as far as its socket and its turn allow.
func (l *loop) step(c *loopConn) {
	if c.asking {
		return
	}
	for range maxTurn {
		if c.p == nil {
			if err := c.next(); err != nil {
				l.settle(c, err)
				return
			}
		}
		if err := c.push(); err != nil {
			l.settle(c, err)
			return
		}
		if !l.answered(c) {
			return
		}
	}
	l.again(c)
}

// answered ends an answer that was sent, and says whether another may follow.
func (l *loop) answered(c *loopConn) bool {
	if c.finish() || c.last || l.draining {
		l.close(c)
		return false
	}
	c.waitUntil(l.now().Add(c.patience()))
	return true
}

// patience is how long to wait for the next request, or for the rest of it.
func (c *loopConn) patience() time.Duration {
	if len(c.in) > 0 {
		return c.loop.group.server.headerTimeout()
	}
	return c.loop.group.server.idleTimeout()
}

// settle is the one place where what ended a step is dealt with.
func (l *loop) settle(c *loopConn, err error) {
	switch {
	case err == errLong || err == errWait && c.p != nil && c.body.left() > maxShort:
		l.sendAlone(c)
	case err == errWait, err == errGone:
	case c.p == nil:
		l.close(c) // between two answers, which is no error
	default:
		c.logFailure(err)
		l.close(c)
	}
}

func (c *loopConn) logFailure(err error) {
	c.loop.group.server.log().Log(context.Background(), levelOf(err), "request", "client", c.client, "host", c.p.host, "at", c.body.off, "end", c.body.end, "err", &sendError{err})
}

// next reads a request and begins its answer.
func (c *loopConn) next() error {
	l := c.loop
	b := l.scratch[:copy(l.scratch[:maxRequest], c.in)]
	for {
		r, v := parseRequest(b)
		switch v {
		case foreign:
			return c.handOver(b)
		case plain:
			return c.answer(r, b)
		}
		n, err := unix.Read(c.fd, l.scratch[len(b):maxRequest])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if len(b) > 0 && len(c.in) == 0 { // a request has begun
				c.waitUntil(l.now().Add(l.group.server.headerTimeout()))
			}
			c.keep(b)
			return errWait
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		default:
			b = l.scratch[:len(b)+n]
		}
	}
}

// keep keeps what was read until there is more.
func (c *loopConn) keep(b []byte) {
	if len(b) == 0 {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], b...)
}

// answer begins the answer to a request that b begins with, or leaves the
// connection to net/http.
func (c *loopConn) answer(r request, b []byte) error {
	l, s := c.loop, c.loop.group.server
	p := lookup(s, r.path)
	if p == nil && s.OnUnknown != nil && !c.asked {
		c.ask(r, b)
		return errWait
	}
	if p == nil || p.allow.IsValid() && p.allow != c.client {
		return c.handOver(b)
	}
	x := p.content.Load()
	ranges := c.space[:0]
	if r.ranges != nil && !r.head {
		var ok bool
		if ranges, ok = rangesOf(ranges, string(r.ranges), x.size); !ok || len(ranges) > 1 {
			return c.handOver(b)
		}
	}
	now := l.now()
	if x.file.check(now) != nil || c.begin(p, now) != nil {
		return c.handOver(b)
	}
	if p.account.request(c.client, now) {
		c.deliver()
	}
	c.deadline, c.asked = time.Time{}, false
	c.last = r.close
	c.keep(b[r.n:]) // before the header takes its place
	c.header(r.head, ranges)
	return nil
}

// ask asks OnUnknown about the path of a request.
func (c *loopConn) ask(r request, b []byte) {
	path, l := string(r.path), c.loop
	c.keep(b)
	c.asking, c.deadline = true, time.Time{}
	l.group.alive.Go(func() {
		l.group.server.OnUnknown(l.group.ctx, path)
		l.post(func() {
			c.asking, c.asked = false, true
			if l.conns[int32(c.fd)] == c {
				l.step(c)
			}
		})
	})
	runtime.Gosched() // it mostly has an answer before another thread is awake
}

// handOver leaves the connection to net/http, with what was read of it.
func (c *loopConn) handOver(b []byte) error {
	l := c.loop
	first := append([]byte(nil), b...)
	l.forget(c)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	f := os.NewFile(uintptr(c.fd), "media connection")
	n, err := net.FileConn(f)
	if err != nil {
		l.group.server.log().Warn("media server: handing connection over", "client", c.client, "err", err)
		l.group.conns.leave(c.client)
		f.Close()
		return errGone
	}
	f.Close()
	over := newConn(n.(*net.TCPConn), l.group.server, l.group.conns, c.client, first)
	over.exchange.asked = c.asked
	select {
	case l.group.foreign <- over:
	case <-l.group.closed:
		over.Close()
	}
	return errGone
}
