package netboxtest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Transport returns a RoundTripper that hands requests for any host to the
// server, in process and without a socket. It honours the requests' contexts.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ s *Server }

// errReset is what a broken connection looks like.
var errReset = errors.New("read: connection reset by peer")

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	in := r.Clone(ctx)
	in.RequestURI = r.URL.RequestURI()
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	w := &pipeWriter{header: make(http.Header), pipe: pipe, started: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() { pipe.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer in.Body.Close()
		defer func() {
			if e := recover(); e != nil {
				w.fail(errReset)
				if e != http.ErrAbortHandler {
					panic(e)
				}
				return
			}
			w.finish(ctx)
		}()
		t.s.ServeHTTP(w, in)
	}()
	select {
	case <-w.started:
	case <-ctx.Done():
		cancel()
		return nil, r.Context().Err()
	}
	if w.err != nil {
		stop()
		cancel()
		return nil, w.err
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: -1, Request: r,
		Body: &responseBody{PipeReader: body, done: func() { stop(); cancel() }},
	}, nil
}

// A responseBody ends its request when it is closed.
type responseBody struct {
	*io.PipeReader
	done func()
}

func (b *responseBody) Close() error {
	err := b.PipeReader.Close()
	b.done()
	return err
}

// A pipeWriter is an http.ResponseWriter whose body comes out of a pipe.
type pipeWriter struct {
	header, sent http.Header
	pipe         *io.PipeWriter
	once         sync.Once
	started      chan struct{} // closed when status and sent, or err, are set
	status       int
	err          error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.started)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// fail breaks the connection.
func (w *pipeWriter) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.started)
	})
	w.pipe.CloseWithError(err)
}

// finish ends the answer; a handler that gave up with its context sends none.
func (w *pipeWriter) finish(ctx context.Context) {
	if ctx.Err() != nil {
		w.fail(ctx.Err())
		return
	}
	w.WriteHeader(http.StatusOK)
	w.pipe.Close()
}

// sleep waits, and reports whether the context outlived it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
