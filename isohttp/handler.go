package isohttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// exchange is the state of an answer that goes out by net/http.
type exchange struct {
	sending
	server *Server

	w      http.ResponseWriter
	ctx    context.Context
	ranges []byteRange
	limit  *bucket // of the client; nil: none
	tls    bool
	asked  bool // OnUnknown was, about the request that comes next

	space  [1]byteRange // of ranges, mostly
	n      int64        // what length says
	length [1]string    // value of Content-Length, kept as clients ask for equal ranges
}

func (x *exchange) init(s *Server, client netip.Addr) {
	x.server, x.client = s, client
	x.cut = func() {
		// A ResponseWriter that knows no deadlines notices at the next chunk.
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Unix(1, 0))
	}
}

type exchangeKey struct{}

// exchangeOf returns the exchange to use for a request.
func (s *Server) exchangeOf(r *http.Request) *exchange {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	x := new(exchange)
	x.init(s, clientOf(r.RemoteAddr))
	return x
}

func clientOf(remote string) netip.Addr {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// ServeHTTP answers one request; see the package comment.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil {
		s.fail(w, r, err)
	}
}

// statusError is an error that has an answer of its own. Its text is for the
// log; the client gets the words of the status.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

var (
	errMethod    = &statusError{http.StatusMethodNotAllowed, "method is neither GET nor HEAD"}
	errUnknown   = &statusError{http.StatusNotFound, "no such medium"}
	errRefused   = &statusError{http.StatusNotFound, "medium is made for another address"}
	errMatch     = &statusError{http.StatusPreconditionFailed, "precondition failed"}
	errRange     = &statusError{http.StatusRequestedRangeNotSatisfiable, "no range of these can be satisfied"}
	errWithdrawn = errors.New("medium was withdrawn")
)

// sendError is an error after the header was sent.
type sendError struct{ err error }

func (e *sendError) Error() string { return "sending medium: " + e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

// levelOf returns the level at which an error is logged: the client's faults are
// of no interest to an operator.
func levelOf(err error) slog.Level {
	if base := (*baseError)(nil); errors.As(err, &base) {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// fail is the one place where errors become answers and log lines.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.log().Log(r.Context(), levelOf(err), "request", "client", r.RemoteAddr, "method", r.Method, "range", r.Header.Get("Range"), "err", err)
	if sent := (*sendError)(nil); errors.As(err, &sent) {
		// The answer is incomplete and cannot say so: the connection must end.
		panic(http.ErrAbortHandler)
	}
	status := http.StatusInternalServerError
	if e := (*statusError)(nil); errors.As(err, &e) {
		status = e.status
	}
	text := http.StatusText(status) + "\n"
	h := w.Header()
	for _, k := range [...]string{"Content-Length", "Etag", "Last-Modified"} {
		h.Del(k)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, text)
	}
}

// values of header fields that never change
var (
	octetStream  = []string{"application/octet-stream"}
	acceptRanges = []string{"bytes"}
	cacheControl = []string{"no-store, no-transform"}
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return errMethod
	}
	x := s.exchangeOf(r)
	asked := x.asked
	x.asked = false
	p := lookup(s, r.URL.Path)
	if p == nil && s.OnUnknown != nil && !asked {
		s.OnUnknown(r.Context(), r.URL.Path)
		p = lookup(s, r.URL.Path)
	}
	if p == nil {
		return errUnknown
	}
	now := time.Now()
	x.w, x.ctx, x.tls = w, r.Context(), r.TLS != nil
	if err := x.begin(p, now); err != nil {
		x.w, x.ctx = nil, nil
		return err
	}
	defer x.finish()
	if p.account.request(x.client, now) {
		s.deliver()
	}
	if err := x.c.file.check(now); err != nil {
		return err
	}
	return x.answer(r)
}

// lookup returns what is published at a path, or nil.
func lookup[P string | []byte](s *Server, path P) *Publication {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.media[string(path)]
}

// finish ends the answer.
func (x *exchange) finish() {
	aborted := x.end()
	x.w, x.ctx, x.limit = nil, nil, nil
	if aborted {
		panic(http.ErrAbortHandler)
	}
}

// answer sends what the request asks for of the medium.
func (x *exchange) answer(r *http.Request) error {
	c, h := x.c, x.w.Header()
	status := precondition(r.Header, c.etag, c.modified)
	// Ranges are defined for GET only (RFC 9110 §14.2).
	x.ranges = x.space[:0]
	if f := r.Header["Range"]; status == 0 && f != nil && r.Method == http.MethodGet && rangeApplies(r.Header, c.etag, c.modified) {
		var ok bool
		if x.ranges, ok = rangesOf(x.ranges, f[0], c.size); !ok {
			status = http.StatusRequestedRangeNotSatisfiable
		}
	}
	h["Accept-Ranges"] = acceptRanges
	h["Cache-Control"] = cacheControl
	h["Etag"] = c.etagField
	switch status {
	case http.StatusNotModified: // RFC 9110 §15.4.5: the tag says it all
		x.w.WriteHeader(status)
		return nil
	case http.StatusPreconditionFailed:
		return errMatch
	case http.StatusRequestedRangeNotSatisfiable:
		h["Content-Range"] = []string{"bytes */" + c.lengthField[0]}
		return errRange
	}
	h["Last-Modified"] = c.modifiedField
	h["Content-Type"] = octetStream
	x.setLength(h)
	switch len(x.ranges) {
	case 0:
	case 1:
		h["Content-Range"] = []string{string(appendContentRange(nil, x.ranges[0], c))}
	default:
		h["Content-Type"] = c.multipartField
	}
	if r.Method == http.MethodHead {
		x.w.WriteHeader(http.StatusOK)
		return nil
	}
	return x.body()
}

// setLength sets the Content-Length.
func (x *exchange) setLength(h http.Header) {
	var n int64
	switch len(x.ranges) {
	case 0:
		h["Content-Length"] = x.c.lengthField
		return
	case 1:
		n = x.ranges[0].n
	default:
		n = x.multipartLength()
	}
	if n != x.n {
		x.n, x.length[0] = n, strconv.FormatInt(n, 10)
	}
	h["Content-Length"] = x.length[:]
}

func appendContentRange(b []byte, r byteRange, c *content) []byte {
	b = append(b, "bytes "...)
	b = strconv.AppendInt(b, r.off, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, r.off+r.n-1, 10)
	b = append(b, '/')
	return append(b, c.lengthField[0]...)
}

// body sends header and body.
func (x *exchange) body() error {
	if x.server.RatePerClient > 0 {
		x.limit = x.server.limits.acquire(x.client)
		defer x.server.limits.release(x.client)
	}
	x.w.WriteHeader(x.status())
	err := error(nil)
	switch len(x.ranges) {
	case 0:
		err = x.send(0, x.c.size)
	case 1:
		err = x.send(x.ranges[0].off, x.ranges[0].n)
	default:
		err = x.sendParts()
	}
	if err != nil {
		return &sendError{err}
	}
	return nil
}

func (x *exchange) status() int {
	if len(x.ranges) > 0 {
		return http.StatusPartialContent
	}
	return http.StatusOK
}

func (x *exchange) sendParts() error {
	var b []byte
	for i, r := range x.ranges {
		b = x.appendPart(b[:0], i, r)
		if _, err := x.w.Write(b); err != nil {
			return err
		}
		if err := x.send(r.off, r.n); err != nil {
			return err
		}
	}
	_, err := x.w.Write(x.appendEnd(b[:0]))
	return err
}

// appendPart appends the header of the i-th part of a multipart answer
// (RFC 9110 §14.6).
func (x *exchange) appendPart(b []byte, i int, r byteRange) []byte {
	if i > 0 {
		b = append(b, "\r\n"...)
	}
	b = append(b, "--"...)
	b = append(b, x.c.boundary...)
	b = append(b, "\r\nContent-Range: "...)
	b = appendContentRange(b, r, x.c)
	b = append(b, "\r\nContent-Type: "...)
	b = append(b, octetStream[0]...)
	return append(b, "\r\n\r\n"...)
}

func (x *exchange) appendEnd(b []byte) []byte {
	b = append(b, "\r\n--"...)
	b = append(b, x.c.boundary...)
	return append(b, "--\r\n"...)
}

func (x *exchange) multipartLength() int64 {
	b := x.appendEnd(nil)
	n := int64(len(b))
	for i, r := range x.ranges {
		b = x.appendPart(b[:0], i, r)
		n += int64(len(b)) + r.n
	}
	return n
}
