package isohttp

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"
)

// outgoing is what a connection needs to send the body of an answer itself.
//
// net/http can send a file by sendfile, but needs two system calls and a read
// for the header, a position to seek and a handle of its own for each answer,
// and books nothing until it is through. Here the header that net/http writes is
// held back until the body's first bytes follow it; small bodies go out with it
// in one call, large ones by sendfile from any offset of one shared descriptor.
type outgoing struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool // c.write, made once

	holding bool    // Write keeps what it gets in buf
	fields  bool    // and adds the header fields that answerConn left out
	buf     *buffer // header held back, then small segments
	used    int     // bytes in buf

	body   cursor // what is sent
	booked int64  // up to where it was booked

	// one call of write: either data, or left bytes of file from at on
	data  []byte
	flags int
	file  int
	at    int64
	left  int64
	err   error
	told  bool // events were queued
}

const (
	// smallSegment is up to where copying is cheaper than a call of its own.
	smallSegment = 4 << 10
	msgMore      = 0x8000 // MSG_MORE: more follows at once, send no partial packet
)

// prepare is called once, before the connection is used.
func (c *conn) prepare() bool {
	raw, err := c.TCPConn.SyscallConn()
	c.out.raw, c.out.step = raw, c.write
	return err == nil
}

// sendConn sends [off, off+n) of the content after whatever net/http has to
// write before.
func (x *exchange) sendConn(off, n int64) error {
	c := x.conn
	o := &c.out
	o.body, o.booked, o.err = x.c.cursor(off, n), off, nil
	defer c.reset()
	o.holding = true
	err := http.NewResponseController(x.w).Flush()
	o.holding, o.fields = false, false
	if err != nil {
		return err
	}
	// net/http hands the cursor on to conn.ReadFrom, and counts.
	_, err = x.w.(io.ReaderFrom).ReadFrom(&o.body)
	return err
}

// answerConn sends an answer of one range or of everything. It tells net/http
// only what that has to know, and adds all other header fields, of which most
// never change, as bytes.
func (x *exchange) answerConn(h http.Header) error {
	x.setLength(h)
	x.conn.out.fields = true
	return x.body()
}

// Write holds b back when a body will follow at once.
func (c *conn) Write(b []byte) (int, error) {
	o := &c.out
	if !o.holding {
		return c.TCPConn.Write(b)
	}
	c.hold()
	if len(b) > len(o.buf)-o.used {
		if err := c.flush(msgMore); err != nil {
			return 0, err
		}
		return c.TCPConn.Write(b)
	}
	o.used += copy(o.buf[o.used:], b)
	if o.fields {
		o.fields = false
		return len(b), c.addFields()
	}
	return len(b), nil
}

// addFields adds header fields to the header in the buffer. net/http writes its
// header at once: it is small.
func (c *conn) addFields() error {
	o, x := &c.out, &c.exchange
	b := o.buf[:o.used]
	if !bytes.HasSuffix(b, []byte("\r\n\r\n")) {
		return errors.New("net/http wrote half a header")
	}
	b = append(b[:len(b)-2], x.c.fields...)
	if len(x.ranges) == 1 {
		b = append(b, "Content-Range: "...)
		b = appendContentRange(b, x.ranges[0], x.c)
		b = append(b, "\r\n"...)
	}
	o.used = len(append(b, "\r\n"...))
	return nil
}

// ReadFrom sends what sendConn has prepared.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	o := &c.out
	if r != io.Reader(&o.body) {
		return c.TCPConn.ReadFrom(r)
	}
	start := o.booked
	err := c.sendBody()
	return o.booked - start, err
}

func (c *conn) sendBody() error {
	k := &c.out.body
	for !k.done() {
		chunk, err := c.exchange.chunk()
		if err != nil {
			return err
		}
		for end := min(k.off+chunk, k.end); k.off < end; {
			s := k.peek(end - k.off)
			if s.n <= smallSegment || s.data == nil && k.c.file.noSendfile.Load() {
				err = c.append(s)
			} else {
				err = c.sendSegment(s)
			}
			if err != nil {
				return err
			}
		}
	}
	return c.flush(0)
}

// append adds a segment, or its beginning, to the buffer.
func (c *conn) append(s segment) error {
	o := &c.out
	c.hold()
	if room := int64(len(o.buf) - o.used); room == 0 || s.n > room && s.n <= smallSegment {
		return c.flush(msgMore)
	}
	n := min(int(s.n), len(o.buf)-o.used)
	if s.data != nil {
		copy(o.buf[o.used:o.used+n], s.data)
	} else if err := o.body.c.file.readAt(o.buf[o.used:o.used+n], s.at); err != nil {
		return err
	}
	o.used += n
	o.body.move(int64(n))
	return nil
}

// sendSegment sends a large segment from where it is.
func (c *conn) sendSegment(s segment) error {
	o := &c.out
	if err := c.flush(msgMore); err != nil {
		return err
	}
	c.drop() // a slow download need not keep a buffer
	if s.data == nil {
		o.file, o.at, o.left = int(o.body.c.file.f.Fd()), s.at, s.n
		return c.run()
	}
	o.data, o.flags = s.data, 0
	if s.n < o.body.left() {
		o.flags = msgMore
	}
	return c.run()
}

// flush sends the buffer.
func (c *conn) flush(flags int) error {
	o := &c.out
	if o.used == 0 {
		return nil
	}
	o.data, o.flags = o.buf[:o.used], flags
	if err := c.run(); err != nil {
		return err
	}
	o.used = 0
	c.book()
	c.deliver()
	return nil
}

// run calls write until everything has been sent.
func (c *conn) run() error {
	o := &c.out
	for len(o.data) > 0 || o.left > 0 {
		err := o.raw.Write(o.step)
		c.book()
		c.deliver()
		if err == nil {
			err = o.err
		}
		if err != nil {
			o.data, o.left, o.err = nil, 0, nil
			return err
		}
	}
	return nil
}

// write sends as much as the socket takes. It returns false to be called again
// when the socket takes more.
func (c *conn) write(fd uintptr) bool {
	o := &c.out
	for len(o.data) > 0 || o.left > 0 {
		var n int
		var err error
		if o.left > 0 {
			n, err = syscall.Sendfile(int(fd), o.file, &o.at, int(o.left))
		} else {
			n, err = syscall.SendmsgN(int(fd), o.data, nil, nil, o.flags|syscall.MSG_NOSIGNAL)
		}
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			c.book()
			return o.told // to deliver events before the wait
		case err != nil || n == 0:
			return c.failed(err)
		case o.left > 0:
			o.left -= int64(n)
			o.body.move(int64(n))
		default:
			o.data = o.data[n:]
			if o.used == 0 {
				o.body.move(int64(n))
			}
		}
	}
	return true
}

// failed sorts the errors of sendfile, which may be the file's or the socket's.
func (c *conn) failed(err error) bool {
	o := &c.out
	file := o.body.c.file
	switch {
	case o.left == 0:
		o.err = os.NewSyscallError("sendmsg", err)
	case err == nil:
		o.err = file.explain(io.EOF, o.at)
	case err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EOPNOTSUPP:
		file.noSendfile.Store(true) // by append from now on
		o.left = 0
	case err == syscall.EIO:
		o.err = &baseError{os.NewSyscallError("sendfile", err)}
	default:
		o.err = os.NewSyscallError("sendfile", err)
	}
	return true
}

// book accounts what was sent since the last time. While the buffer holds
// something, that is not known.
func (c *conn) book() {
	o := &c.out
	if n := o.body.off - o.booked; n > 0 && o.used == 0 {
		x := &c.exchange
		o.told = x.p.account.read(x.client, o.booked, n, time.Now()) || o.told
		o.booked = o.body.off
	}
}

func (c *conn) deliver() {
	if c.out.told {
		c.out.told = false
		c.exchange.server.deliver()
	}
}

// reset forgets the answer: an idle connection must not keep a medium in memory.
func (c *conn) reset() {
	c.drop()
	c.out.body = cursor{}
}

// hold makes sure that there is a buffer, drop gives it back.
func (c *conn) hold() {
	if c.out.buf == nil {
		c.out.buf = buffers.Get().(*buffer)
	}
}

func (c *conn) drop() {
	if c.out.buf != nil {
		buffers.Put(c.out.buf)
		c.out.buf, c.out.used = nil, 0
	}
}
