package netboxtest

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Fault makes the server misbehave for the requests that it matches. Of the
// faults that match a request the first that has not run out is taken.
type Fault struct {
	// Method and Path choose requests: "" matches every method, Path matches
	// when the request's path contains it.
	Method, Path string
	// Skip lets that many matching requests pass first. Times is how many
	// are hit then; 0 means all that follow.
	Skip, Times int

	// Latency is waited before anything else.
	Latency time.Duration
	// Reset breaks the connection before the request is handled, Lost after.
	Reset, Lost bool
	// Status is answered in place of the real answer, with Body if that is
	// set and the real error body's shape otherwise. RetryAfter fills the
	// header of that name.
	Status     int
	RetryAfter string
	// Redirect answers 302 (or Status) to this location.
	Redirect string
	// Body replaces the answer's body, ContentType its type.
	Body        string
	ContentType string
	// Endless sends that many bytes of JSON white space before the answer,
	// and Drip waits that long before each 1 KiB of the answer.
	Endless int64
	Drip    time.Duration

	// The following spoil lists. IgnoreFilters answers the whole table,
	// Count is added to the count, Drop rows are missing at the end of the
	// page, and with Duplicate the last row of the page is its first again.
	IgnoreFilters bool
	Count         int
	Drop          int
	Duplicate     bool

	seen int
}

// HTML is a login page, as a proxy with its own ideas sends it.
func HTML() Fault {
	return Fault{Status: http.StatusOK, ContentType: "text/html; charset=utf-8",
		Body: "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"}
}

// fault returns the fault for a request, counting it, or nil.
func (s *Server) fault(r *http.Request) *Fault {
	for i := range s.Faults {
		f := &s.Faults[i]
		if f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		f.seen++
		if f.seen <= f.Skip || f.Times > 0 && f.seen > f.Skip+f.Times {
			continue
		}
		hit := *f
		return &hit
	}
	return nil
}

// spoil writes an answer as a fault wants it. f may be nil.
func spoil(w http.ResponseWriter, r *http.Request, f *Fault, a *answer) {
	if f == nil {
		a.send(w)
		return
	}
	if f.Redirect != "" {
		a = newAnswer(http.StatusFound)
		a.header.Set("Location", f.Redirect)
	}
	if f.Status != 0 {
		if f.Redirect == "" {
			a = detail(f.Status, http.StatusText(f.Status))
		}
		a.status = f.Status
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	if f.ContentType != "" {
		a.header.Set("Content-Type", f.ContentType)
	}
	if f.Body != "" {
		a.body = []byte(f.Body)
	}
	if f.Endless == 0 && f.Drip == 0 {
		a.send(w)
		return
	}
	drip(w, r, f, a)
}

// drip sends an answer slowly, or behind a very long run of white space.
func drip(w http.ResponseWriter, r *http.Request, f *Fault, a *answer) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.FormatInt(f.Endless+int64(len(a.body)), 10))
	w.WriteHeader(a.status)
	blank := bytes.Repeat([]byte(" "), 64<<10)
	for left := f.Endless; left > 0; left -= int64(len(blank)) {
		if _, err := w.Write(blank[:min(left, int64(len(blank)))]); err != nil {
			return
		}
	}
	for body := a.body; len(body) > 0; {
		if f.Drip > 0 && !sleep(r.Context(), f.Drip) {
			return
		}
		n := min(len(body), 1<<10)
		if f.Drip == 0 {
			n = len(body)
		}
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		if fl, ok := w.(http.Flusher); ok {
			fl.Flush()
		}
		body = body[n:]
	}
}
