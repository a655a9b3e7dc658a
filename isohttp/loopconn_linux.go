package isohttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// loopConn is a connection of a loop. It belongs to the loop's goroutine but for
// cut, which Withdraw calls.
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
	body   cursor
	out    []byte  // to be sent before body: header and small segments
	held   *buffer // where out lies, if not in loop.scratch
	booked int64   // up to where body is in the account
	last   bool    // the connection ends with it
	space  [1]byteRange
}

const (
	// smallSegment is up to where copying is cheaper than a call of its own.
	smallSegment = 4 << 10
	// maxTurn is how many answers a connection gets before others have their
	// turn. It gets maxChunk of one.
	maxTurn = 16
)

var (
	errWait = errors.New("the socket has to be waited for")
	errGone = errors.New("the connection is not the loop's any more")
)

func newLoopConn(l *loop, fd int, client netip.Addr) *loopConn {
	c := &loopConn{loop: l, fd: fd}
	c.client = client
	c.cut = func() { _ = unix.Shutdown(fd, unix.SHUT_RDWR) }
	return c
}

// join makes the connection one of its loop's.
func (c *loopConn) join() {
	l := c.loop
	l.conns[int32(c.fd)] = c
	if l.draining || l.ended {
		l.close(c)
		return
	}
	// Edge-triggered, once for all: step goes on until the kernel says EAGAIN.
	if err := l.watch(c.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET); err != nil {
		l.group.server.log().Warn("media server: taking connection", "client", c.client, "err", err)
		l.close(c)
		return
	}
	c.waitUntil(time.Now().Add(l.group.server.headerTimeout()))
	l.step(c)
}

func (c *loopConn) waitUntil(t time.Time) {
	c.deadline = t
	c.loop.sweepAt(t)
}

func (c *loopConn) idle() bool { return c.p == nil && len(c.in) == 0 }

// close ends a connection.
func (l *loop) close(c *loopConn) {
	if c.p != nil {
		c.finish()
	}
	l.forget(c)
	unix.Close(c.fd)
	l.group.conns.leave(c.client)
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
		if !c.body.done() {
			break // its turn is over
		}
		if c.finish() || c.last || l.draining {
			l.close(c)
			return
		}
		wait := l.group.server.idleTimeout()
		if len(c.in) > 0 {
			wait = l.group.server.headerTimeout()
		}
		c.waitUntil(l.now().Add(wait))
	}
	l.again(c)
}

// settle is the one place where what ended a step is dealt with.
func (l *loop) settle(c *loopConn, err error) {
	switch {
	case err == errWait, err == errGone:
	case c.p == nil:
		l.close(c) // between two answers, which is no error
	default:
		level := slog.LevelDebug
		if base := (*baseError)(nil); errors.As(err, &base) {
			level = slog.LevelError
		}
		l.group.server.log().Log(context.Background(), level, "request", "client", c.client, "host", c.p.host, "at", c.body.off, "end", c.body.end, "err", &sendError{err})
		l.close(c)
	}
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
			c.keep(b)
			return errWait
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		default:
			if len(b) == 0 {
				c.waitUntil(l.now().Add(l.group.server.headerTimeout()))
			}
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
	s.mu.RLock()
	p := s.media[string(r.path)]
	s.mu.RUnlock()
	if p == nil && s.OnUnknown != nil && !c.asked {
		c.ask(r, b)
		return errWait
	}
	c.asked = false
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
	if c.begin(p, now) != nil {
		return c.handOver(b)
	}
	if p.account.request(c.client, now) {
		c.deliver()
	}
	c.deadline = time.Time{}
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
	go func() {
		l.group.server.OnUnknown(l.group.ctx, path)
		l.post(func() {
			c.asking, c.asked = false, true
			if l.conns[int32(c.fd)] == c {
				l.step(c)
			}
		})
	}()
}

// header puts the header of an answer where it goes out from.
func (c *loopConn) header(head bool, ranges []byteRange) {
	off, n := int64(0), c.c.size
	b := c.loop.scratch[:0]
	if len(ranges) == 1 {
		off, n = ranges[0].off, ranges[0].n
		b = append(b, "HTTP/1.1 206 Partial Content\r\nContent-Range: "...)
		b = appendContentRange(b, ranges[0], c.c)
		b = append(b, "\r\nContent-Length: "...)
	} else {
		b = append(b, "HTTP/1.1 200 OK\r\nContent-Length: "...)
	}
	b = strconv.AppendInt(b, n, 10)
	b = append(b, "\r\nDate: "...)
	b = append(b, c.loop.date...)
	b = append(b, "\r\n"...)
	b = append(b, c.c.fields...)
	if c.last {
		b = append(b, "Connection: close\r\n"...)
	}
	c.out = append(b, "\r\n"...)
	if head {
		n = 0
	}
	c.body, c.booked = c.c.cursor(off, n), off
}

// push sends what the socket takes, until the answer is complete or the turn is
// over.
func (c *loopConn) push() error {
	for end := min(c.body.off+maxChunk, c.body.end); ; {
		if c.held == nil {
			if err := c.gather(end); err != nil {
				return err
			}
		}
		var err error
		if len(c.out) > 0 {
			err = c.flush()
		} else if c.body.off == end {
			return nil
		} else if s := c.body.peek(end - c.body.off); s.data != nil {
			err = c.sendMemory(s)
		} else {
			err = c.sendFile(s)
		}
		if err != nil {
			return err
		}
	}
}

// gather adds small segments of the body to what is sent with one call.
func (c *loopConn) gather(end int64) error {
	buf, used := c.loop.scratch, len(c.out)
	for c.body.off < end {
		s := c.body.peek(end - c.body.off)
		n := min(int(s.n), len(buf)-used)
		if n == 0 || s.n > smallSegment && (s.data != nil || !c.c.file.noSendfile.Load()) {
			break
		}
		if s.data != nil {
			copy(buf[used:used+n], s.data)
		} else if err := c.c.file.readAt(buf[used:used+n], s.at); err != nil {
			return err
		}
		used += n
		c.body.move(int64(n))
	}
	c.out = buf[:used]
	return nil
}

// flush sends out. When the socket does not take it all, the rest moves out of
// the loop's buffer, which is the next connection's.
func (c *loopConn) flush() error {
	for len(c.out) > 0 {
		n, err := c.send(c.out, !c.body.done())
		c.out = c.out[n:]
		if err == nil {
			continue
		}
		if err == errWait && c.held == nil {
			c.held = buffers.Get().(*buffer)
			c.out = c.held[:copy(c.held[:], c.out)]
		}
		return err
	}
	c.drop()
	c.book()
	return nil
}

func (c *loopConn) sendMemory(s segment) error {
	n, err := c.send(s.data, s.n < c.body.left())
	if n > 0 {
		c.body.move(int64(n))
		c.book()
	}
	return err
}

// send sends b. With more, what follows at once goes into the same packet.
func (c *loopConn) send(b []byte, more bool) (int, error) {
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, err := unix.SendmsgN(c.fd, b, nil, nil, flags)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, errWait
		default:
			return 0, os.NewSyscallError("sendmsg", err)
		}
	}
}

// sendFile sends a segment of the base. Errors may be the file's or the socket's.
func (c *loopConn) sendFile(s segment) error {
	file, at := c.c.file, s.at
	n, err := unix.Sendfile(c.fd, int(file.f.Fd()), &at, int(s.n))
	switch {
	case n > 0:
		c.body.move(int64(n))
		c.book()
		return nil
	case err == nil:
		return file.explain(io.EOF, s.at)
	case err == unix.EINTR:
		return nil
	case err == unix.EAGAIN:
		return errWait
	case err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP:
		file.noSendfile.Store(true) // by gather from now on
		return nil
	case err == unix.EIO:
		return &baseError{os.NewSyscallError("sendfile", err)}
	}
	return os.NewSyscallError("sendfile", err)
}

// book accounts what was sent of the body since the last time.
func (c *loopConn) book() {
	off := c.booked
	c.booked = c.body.off
	if c.sent(off, c.booked-off) {
		c.deliver()
	}
}

// deliver has events delivered, by another goroutine: who takes them may wait
// for what only this loop can bring about.
func (c *loopConn) deliver() { go c.loop.group.server.deliver() }

// finish ends the answer and forgets it: an idle connection must not keep a
// medium in memory. It says whether the connection must end.
func (c *loopConn) finish() (aborted bool) {
	c.drop()
	c.body = cursor{}
	return c.end()
}

func (c *loopConn) drop() {
	c.out = nil
	if c.held != nil {
		buffers.Put(c.held)
		c.held = nil
	}
}

// handOver leaves the connection to net/http, with what was read of it.
func (c *loopConn) handOver(b []byte) error {
	l := c.loop
	first := append([]byte(nil), b...)
	l.forget(c)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	f := os.NewFile(uintptr(c.fd), "media connection")
	n, err := net.FileConn(f)
	f.Close()
	if err != nil {
		l.group.server.log().Warn("media server: handing connection over", "client", c.client, "err", err)
		l.group.conns.leave(c.client)
		return errGone
	}
	over := newConn(n.(*net.TCPConn), l.group.server, l.group.conns, c.client, first)
	select {
	case l.group.foreign <- over:
	case <-l.group.closed:
		over.Close()
	}
	return errGone
}
