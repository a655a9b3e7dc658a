package isohttp

import (
	"io"
	"os"
	"sync"
	"time"
)

// maxChunk is how much is sent before it is booked. Sending in smaller pieces
// costs throughput.
const maxChunk = 4 << 20

// send writes [off, off+n) of the content to the client.
func (x *exchange) send(off, n int64) error {
	k := x.c.cursor(off, n)
	if _, ok := x.w.(io.ReaderFrom); ok && !x.tls && x.c.file != nil {
		return x.sendFiles(&k)
	}
	return x.sendBuffer(&k)
}

// sendFiles lets net/http send base ranges by sendfile, which it does for an
// *os.File from its position, so that every answer needs a handle of its own.
func (x *exchange) sendFiles(k *cursor) error {
	var f *os.File
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for !k.done() {
		chunk, err := x.share(k.peek(maxChunk).n)
		if err != nil {
			return err
		}
		s := k.peek(chunk)
		var n int64
		if s.data != nil {
			var m int
			m, err = x.w.Write(s.data)
			n = int64(m)
		} else {
			if f == nil {
				if f, err = x.c.file.reopen(); err != nil {
					return err
				}
			}
			if _, err = f.Seek(s.at, io.SeekStart); err != nil {
				return &baseError{err}
			}
			if n, err = io.CopyN(x.w, f, s.n); err == io.EOF {
				err = x.c.file.explain(err, s.at+n)
			}
		}
		x.book(k.off, n)
		k.move(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// buffer is what small segments are gathered in.
type buffer [64 << 10]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// sendBuffer reads into memory and writes, for TLS and for connections that are
// none.
func (x *exchange) sendBuffer(k *cursor) error {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	for !k.done() {
		chunk, err := x.share(k.left())
		if err != nil {
			return err
		}
		for at, end := k.off, min(k.off+chunk, k.end); at < end; at = k.off {
			s := k.peek(end - at)
			b := s.data
			if int64(len(b)) < min(int64(len(buf)), end-at) {
				// Of the base, or too small to be sent alone.
				part := *k
				part.end = min(end, at+int64(len(buf)))
				n, err := part.Read(buf[:])
				if err != nil {
					return err
				}
				b = buf[:n]
				*k = cursor{part.c, part.i, part.off, k.end}
			} else {
				k.move(s.n)
			}
			n, err := x.w.Write(b)
			x.book(at, int64(n))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// book accounts bytes that the network has taken.
func (x *exchange) book(off, n int64) {
	if x.sent(off, n) {
		x.server.deliver()
	}
}

// share waits until the limits let something be sent, and says how much: at most
// what there is to send, for it counts as sent.
func (x *exchange) share(most int64) (int64, error) {
	if x.p.withdrawn() {
		return 0, errWithdrawn
	}
	s := x.server
	if s.Rate <= 0 && x.limit == nil {
		return min(most, maxChunk), nil
	}
	n, wait := s.limits.take(x.limit, s.Rate, s.RatePerClient, most, time.Now())
	if wait <= 0 {
		return n, nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return n, nil
	case <-x.p.gone:
		return 0, errWithdrawn
	case <-x.ctx.Done():
		return 0, x.ctx.Err()
	}
}
