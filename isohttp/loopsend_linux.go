package isohttp

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// smallSegment is up to where copying is cheaper than a call of its own.
	smallSegment = 4 << 10
	// maxShort is how much of an answer a loop sends.
	maxShort = 1 << 20
)

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

// push sends until the answer is complete, or the socket takes no more (errWait),
// or a loop should do no more of it (errLong).
func (c *loopConn) push() error {
	end := c.body.end
	if !c.alone {
		end = min(c.body.off+maxShort, end)
	}
	for {
		var err error
		if !c.started {
			err = c.gather(end)
		}
		switch {
		case err != nil:
		case len(c.out) > 0:
			err = c.flush()
		case c.body.done():
			return nil
		case c.body.off == end:
			return errLong
		default:
			if s := c.body.peek(end - c.body.off); s.data != nil {
				err = c.sendMemory(s)
			} else {
				err = c.sendFile(s)
			}
		}
		if err != nil {
			return err
		}
	}
}

// gather adds small segments of the body to what is sent with one call.
func (c *loopConn) gather(end int64) error {
	for c.body.off < end {
		s := c.body.peek(end - c.body.off)
		if s.n > smallSegment && (s.data != nil || !c.c.file.noSendfile.Load()) {
			return nil
		}
		buf := c.buffer()
		used := len(c.out)
		n := min(int(s.n), len(buf)-used)
		if n == 0 {
			return nil
		}
		if s.data != nil {
			copy(buf[used:used+n], s.data)
		} else if err := c.read(buf[used:used+n], s.at); err != nil {
			return err
		}
		c.out = buf[:used+n]
		c.body.move(int64(n))
	}
	return nil
}

// buffer returns what out lies in.
func (c *loopConn) buffer() *buffer {
	if c.alone && c.held == nil {
		c.held = buffers.Get().(*buffer)
	}
	if c.held != nil {
		return c.held
	}
	return c.loop.scratch
}

// keepOut moves out to where it stays when others use the loop's buffer.
func (c *loopConn) keepOut() {
	if c.held == nil && len(c.out) > 0 {
		c.held = buffers.Get().(*buffer)
		c.out = c.held[:copy(c.held[:], c.out)]
	}
}

// flush sends out.
func (c *loopConn) flush() error {
	for len(c.out) > 0 {
		n, err := c.send(c.out, !c.body.done())
		c.out = c.out[n:]
		if err != nil {
			c.started = true
			c.keepOut()
			return err
		}
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
	file := c.c.file
	if !c.alone {
		// The buffer is free. If both ends are in memory, so is the rest.
		peek := c.loop.scratch[:1]
		if !file.readCached(peek, s.at) || !file.readCached(peek, s.at+s.n-1) {
			return errLong
		}
	}
	c.at = s.at
	n, err := unix.Sendfile(c.fd, int(file.f.Fd()), &c.at, int(min(s.n, maxChunk)))
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

// read fills p from the base, but not from a disk if that would stop a loop.
func (c *loopConn) read(p []byte, off int64) error {
	file := c.c.file
	if c.alone {
		return file.readAt(p, off)
	}
	if !file.readCached(p, off) {
		return errLong
	}
	return nil
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
	c.out, c.started = nil, false
	if c.held != nil {
		buffers.Put(c.held)
		c.held = nil
	}
}

// sendAlone leaves an answer to a goroutine of its own until it is sent.
func (l *loop) sendAlone(c *loopConn) {
	c.keepOut()
	c.alone = true
	delete(l.conns, int32(c.fd))
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, c.fd, nil)
	f := os.NewFile(uintptr(c.fd), "media connection") // in the runtime's poller
	l.away[c] = f
	l.group.alive.Go(func() { c.sendRest(f) })
}

// sendRest sends the rest of an answer and gives the connection back to its loop.
func (c *loopConn) sendRest(f *os.File) {
	l := c.loop
	raw, err := f.SyscallConn()
	if err == nil {
		var sent error
		if err = raw.Write(func(uintptr) bool { sent = c.push(); return sent != errWait }); err == nil {
			err = sent
		}
	}
	if err != nil {
		c.logFailure(err)
	}
	gone := c.finish() || err != nil || c.last
	// Nobody cuts an answer that has ended, so that the descriptor may change: one
	// that is out of the runtime's poller again.
	fd := -1
	if !gone {
		if raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
			fd = -1
		}
	}
	if fd < 0 {
		l.group.conns.leave(c.client) // before the client knows
	}
	f.Close()
	if l.post(func() { l.back(c, fd) }) {
		return
	}
	if fd >= 0 {
		l.group.conns.leave(c.client)
		unix.Close(fd)
	}
}

// back takes back a connection that sendRest is through with.
func (l *loop) back(c *loopConn, fd int) {
	delete(l.away, c)
	c.alone = false
	if fd < 0 {
		l.open.Add(-1)
		return
	}
	c.fd = fd
	c.join(c.patience())
}
