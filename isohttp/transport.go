package isohttp

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Transport returns a transport that calls the handler in this process, whatever
// host and port a URL names. It opens no sockets, streams bodies, obeys the
// context of the request and works inside a testing/synctest bubble. Requests
// come from 127.0.0.1.
func (s *Server) Transport() http.RoundTripper {
	return s.TransportFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// TransportFrom is [Server.Transport] for requests that come from client.
func (s *Server) TransportFrom(client netip.Addr) http.RoundTripper {
	return transport{s, netip.AddrPortFrom(client, 1024).String()}
}

type transport struct {
	handler http.Handler
	remote  string
}

// RoundTrip returns when the handler has written the header. The handler runs
// until its answer has been read, or the body is closed, or the context ends.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.Body, in.ContentLength = http.NoBody, 0
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), t.remote
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	pr, pw := io.Pipe()
	w := &pipeWriter{req: r, header: http.Header{}, ready: make(chan *http.Response, 1), body: pw, reader: &pipeReader{pr, cancel}, cancel: cancel, head: in.Method == http.MethodHead}
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		w.run(t.handler, in)
	}()
	select {
	case res := <-w.ready:
		if res == nil {
			cancel()
			return nil, io.ErrUnexpectedEOF
		}
		return res, nil
	case <-r.Context().Done():
		cancel()
		return nil, r.Context().Err()
	}
}

// pipeWriter is the ResponseWriter of a [transport].
type pipeWriter struct {
	req    *http.Request
	header http.Header
	ready  chan *http.Response
	body   *io.PipeWriter
	reader io.ReadCloser
	cancel context.CancelFunc
	head   bool // no body follows
	once   sync.Once
	left   int64 // bytes of the declared length not yet written
}

func (w *pipeWriter) run(h http.Handler, r *http.Request) {
	complete := false
	defer func() {
		err := io.EOF
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else if !complete || w.left > 0 {
			err = io.ErrUnexpectedEOF
		}
		w.once.Do(func() { w.ready <- nil })
		w.body.CloseWithError(err)
		if w.head {
			w.cancel()
		}
	}()
	h.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	complete = true
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		res := &http.Response{
			Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header.Clone(), ContentLength: -1, Body: w.reader, Request: w.req,
		}
		if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil {
			res.ContentLength, w.left = n, n
		}
		if w.head || status == http.StatusNotModified {
			w.head, w.left = true, 0
			res.Body = http.NoBody
		}
		w.ready <- res
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if int64(len(p)) > w.left {
		return 0, http.ErrContentLength
	}
	n, err := w.body.Write(p)
	w.left -= int64(n)
	return n, err
}

// SetWriteDeadline lets Withdraw end an answer; only the past is a deadline.
func (w *pipeWriter) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		return w.body.CloseWithError(io.ErrUnexpectedEOF) // what a client on a network sees
	}
	return nil
}

// pipeReader is the body of an answer.
type pipeReader struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (r *pipeReader) Read(p []byte) (int, error) {
	n, err := r.PipeReader.Read(p)
	if err != nil {
		r.cancel()
	}
	return n, err
}

func (r *pipeReader) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}
