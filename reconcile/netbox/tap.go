package netbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
)

// A call is what one request needs beyond what go-netbox's builders offer. It
// travels to the tap in the request's context.
type call struct {
	query  url.Values  // added to a GET: fields, exclude
	header http.Header // added: If-Match
	// sink reads the body of a successful answer. go-netbox then sees an
	// empty one, which it takes without a word. nil drops the body.
	sink func(io.Reader) error
	// max bounds the body.
	max int64
}

type callKey struct{}

// A tap stands between go-netbox and the network: it adds to requests what
// the builders lack, hands bodies to our own decoders, and turns away what is
// not NetBox.
type tap struct{ next http.RoundTripper }

const maxErrorBody = 64 << 10

// RoundTrip sends one request. Refusals (status 400 and up) go back to
// go-netbox with their bodies, bounded.
func (t tap) RoundTrip(r *http.Request) (*http.Response, error) {
	k, ok := r.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("a request without a call") // a mistake in this package
	}
	r = r.Clone(r.Context())
	if r.Method == http.MethodGet {
		q := r.URL.Query()
		for name, values := range k.query {
			q[name] = values
		}
		r.URL.RawQuery = q.Encode()
	}
	for name, values := range k.header {
		r.Header[name] = values
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.StatusCode >= 400:
		resp.Body = &boundedBody{r: io.LimitReader(resp.Body, maxErrorBody), c: resp.Body}
		return resp, nil
	case resp.StatusCode >= 300:
		defer resp.Body.Close()
		return nil, redirected(r, resp)
	}
	defer resp.Body.Close()
	if err := k.drain(resp); err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = http.NoBody, 0
	return resp, nil
}

// boundedBody closes what is beneath a limit.
type boundedBody struct {
	r io.Reader
	c io.Closer
}

func (b *boundedBody) Read(p []byte) (int, error) { return b.r.Read(p) }
func (b *boundedBody) Close() error               { return b.c.Close() }

// redirected refuses a redirect. Following one would send the token to
// wherever it leads, and turn a write into a read.
func redirected(r *http.Request, resp *http.Response) error {
	to := "another address"
	if u, err := r.URL.Parse(resp.Header.Get("Location")); err == nil && u.Host != "" {
		to = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return fmt.Errorf("%w: %d redirects to %s; give NetBox's final address (https://…) as its URL",
		ErrNotNetBox, resp.StatusCode, oneLine(to))
}

// drain hands the body of a successful answer to the sink.
func (k *call) drain(resp *http.Response) error {
	if k.sink == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/json" {
		start, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
		title := htmlTitle(start)
		if title != "" {
			title = fmt.Sprintf(" titled %q", title)
		}
		if kind == "" {
			kind = "of no type"
		}
		return fmt.Errorf("%w: %d %s%s where JSON was due; is a proxy or a login page in between?",
			ErrNotNetBox, resp.StatusCode, oneLine(kind), title)
	}
	body := &guard{r: resp.Body, left: k.max}
	if err := k.sink(body); err != nil {
		if body.err != nil { // the cause, where the decoder says something vaguer
			err = body.err
		}
		return fmt.Errorf("decoding the answer: %w", err)
	}
	// What follows the value is read too, so that the connection can be used
	// again; the guard bounds it.
	_, err := io.Copy(io.Discard, body)
	return err
}

// A guard bounds a body, and refuses to wait for an answer behind an endless
// run of white space, which a JSON decoder would keep in memory.
type guard struct {
	r     io.Reader
	left  int64
	blank int64
	err   error // what ended it, if not io.EOF
}

const maxBlank = 1 << 20

func (g *guard) Read(p []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.r.Read(p)
	g.left -= int64(n)
	if n > 0 && len(bytes.TrimLeft(p[:n], " \t\r\n")) == 0 {
		g.blank += int64(n)
	} else if n > 0 {
		g.blank = 0
	}
	switch {
	case g.left < 0 || g.blank > maxBlank:
		g.err = errTooLarge
		return 0, g.err
	case err != nil && err != io.EOF:
		g.err = err
	}
	return n, err
}

var errTooLarge = fmt.Errorf("%w: the answer is larger than any page of NetBox", ErrNotNetBox)
