package bmctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// handlerTransport answers requests by calling a handler in this process. It
// needs no socket, so that it also works inside a testing/synctest bubble.
type handlerTransport struct{ handler http.Handler }

// RoundTrip runs the handler in a goroutine of its own and returns when it has
// answered or when the request's context ends, as a network would.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "192.0.2.1:40000"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close()
	w := &answer{header: http.Header{}, status: http.StatusOK}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.finish(recoverAbort)
		t.handler.ServeHTTP(w, in)
	}()
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if w.aborted {
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return w.response(req), nil
}

// recoverAbort turns the panic by which net/http handlers cut a connection into
// true; any other panic goes on.
func recoverAbort(v any) bool {
	if v == nil {
		return false
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	panic(v)
}

// answer is the http.ResponseWriter of handlerTransport.
type answer struct {
	header  http.Header
	status  int
	wrote   bool
	body    bytes.Buffer
	sent    http.Header
	aborted bool
}

// Header implements http.ResponseWriter.
func (w *answer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answer) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote, w.sent = status, true, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// finish is deferred by the goroutine that ran the handler.
func (w *answer) finish(aborted func(any) bool) {
	v := recover()
	w.WriteHeader(http.StatusOK)
	if aborted(v) {
		w.aborted = true
	}
}

// response turns what the handler wrote into what a client reads. A body that
// is shorter than its Content-Length ends in io.ErrUnexpectedEOF.
func (w *answer) response(req *http.Request) *http.Response {
	length := int64(w.body.Len())
	var body io.Reader = &w.body
	if s := w.sent.Get("Content-Length"); s != "" && req.Method != http.MethodHead {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > length {
			body, length = io.MultiReader(body, brokenReader{}), n
		}
	} else if s != "" {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			length = n
		}
		body = http.NoBody
	}
	return &http.Response{
		Status:        fmt.Sprintf("%03d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       req,
	}
}

// brokenReader is the end of a connection that was cut.
type brokenReader struct{}

// Read implements io.Reader.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
