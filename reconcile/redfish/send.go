package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	getAttempts   = 4                // of a GET on 429, 502, 503, 504 or a broken connection
	maxRetryAfter = 60 * time.Second // of what a BMC asks us to wait
)

// response is an answer, read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

// etag is the answer's entity tag: the header, or the property where a BMC
// sends no header.
func (r *response) etag() string {
	if t := r.header.Get("ETag"); t != "" {
		return t
	}
	var b struct {
		ETag text `json:"@odata.etag"`
	}
	if decode(r.body, &b) != nil {
		return ""
	}
	return string(b.ETag)
}

// get reads a resource into one of our structs. A body that is not JSON, or has
// no @odata.id and so is no resource (DSP0266 9.5), as starting and overloaded
// BMCs send now and then, is asked for once more.
func (c *Client) get(ctx context.Context, uri string, into any) (*response, error) {
	for attempt := 1; ; attempt++ {
		r, err := c.send(ctx, http.MethodGet, uri, nil, nil)
		if err != nil {
			return nil, err
		}
		if err = decode(r.body, into); err == nil && !bytes.Contains(r.body, []byte(`"@odata.id"`)) {
			err = errors.New("the answer has no @odata.id, it is not a resource")
		}
		if err == nil {
			return r, nil
		}
		if attempt == 2 {
			return nil, fmt.Errorf("GET %s: %w", uri, err)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// post performs an action. It is sent without If-Match, which bmcweb and
// iDRAC10 refuse; a BMC that insists on one (428, 412) has done nothing yet and
// gets "*", then once more none. Otherwise a write is never repeated here: that
// is decided by whoever reads its effect.
func (c *Client) post(ctx context.Context, uri string, payload any) (*response, error) {
	var r *response
	var err error
	for _, header := range []http.Header{nil, {"If-Match": {"*"}}, nil} {
		r, err = c.send(ctx, http.MethodPost, uri, payload, header)
		if !preconditioned(err) {
			break
		}
	}
	return r, err
}

// preconditioned reports whether a write was refused for its If-Match.
func preconditioned(err error) bool {
	st := status(err)
	return st == http.StatusPreconditionFailed || st == http.StatusPreconditionRequired
}

// send sends a request and reads the whole answer. A status other than 2xx is
// an *Error. GETs are repeated when the BMC is busy or the connection breaks.
// A 401 after the login was good once (session tables and BMC restarts cause
// them) is tried once more; any other 401 is final, because repeating a wrong
// password locks accounts.
func (c *Client) send(ctx context.Context, method, uri string, payload any, header http.Header) (*response, error) {
	u, err := c.resolve(uri)
	if err != nil {
		return nil, err
	}
	var body []byte
	if payload != nil {
		if body, err = json.Marshal(payload); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, u.Path, err)
		}
	}
	if err := c.login(ctx); err != nil {
		return nil, err
	}
	relogin := true
	for attempt := 1; ; attempt++ {
		r, err := c.exchange(ctx, method, u, body, header)
		switch {
		case err == nil && r.status/100 == 2:
			c.proven = c.proven || u.Path != serviceRoot // that one needs no login
			return r, nil
		case err == nil && r.status == http.StatusUnauthorized && relogin && c.proven:
			relogin = false
			c.Logger.DebugContext(ctx, "login refused after it was accepted, trying once more", "path", u.Path)
			if err := c.renew(ctx); err != nil {
				return nil, err
			}
			attempt--
			continue
		case err == nil:
			err = newError(method, u.Path, r, c.secrets())
		}
		if method != http.MethodGet || attempt == getAttempts || !worthRepeating(err) || ctx.Err() != nil {
			return nil, err
		}
		if err := sleep(ctx, pause(err, attempt)); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, u.Path, err)
		}
	}
}

// worthRepeating reports whether an idempotent request may be sent again.
func worthRepeating(err error) bool {
	if e := asError(err); e != nil {
		return e.Temporary()
	}
	return errors.Is(err, ErrUnreachable)
}

// pause is what the BMC asks for, else 1, 2, 4 s.
func pause(err error, attempt int) time.Duration {
	if e := asError(err); e != nil && e.RetryAfter > 0 {
		return min(e.RetryAfter, maxRetryAfter)
	}
	return time.Second << (attempt - 1)
}

// exchange is one request on the wire.
func (c *Client) exchange(ctx context.Context, method string, u *url.URL, body []byte, header http.Header) (*response, error) {
	limited, cancel := context.WithTimeout(ctx, c.Timing.Request)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, u.Path, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0")
	req.Header.Set("User-Agent", "metalcue-reconcile")
	if body == nil {
		req.Body, req.GetBody, req.ContentLength = http.NoBody, nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if method != http.MethodGet {
		// iLO resets connections that stayed idle; a write must not die of it.
		c.closers()
		req.Close = true
	}
	begin := time.Now()
	c.sent.Add(1)
	r, err := c.roundTrip(req)
	sent := Request{At: begin, Method: method, Path: u.Path, Took: time.Since(begin)}
	log := c.Logger.With("method", method, "path", u.Path, "took", sent.Took)
	if err != nil {
		err = c.transportError(ctx, method, u.Path, err)
		sent.Error = err.Error()
		c.tell(sent)
		log.DebugContext(ctx, "redfish", "error", sent.Error)
		return nil, err
	}
	sent.Status = r.status
	c.tell(sent)
	log.DebugContext(ctx, "redfish", "status", r.status)
	return r, nil
}

func (c *Client) tell(r Request) {
	if c.OnRequest != nil {
		c.OnRequest(r)
	}
}

func (c *Client) roundTrip(req *http.Request) (*response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &response{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// transportError says what kind of failure it was. The cause's text is the Go
// library's own; url.Error's repetition of the whole URL is taken off.
func (c *Client) transportError(ctx context.Context, method, path string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	kind := ErrUnreachable
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s %s: %w", method, path, context.Cause(ctx))
	case errors.Is(err, ErrForeign), errors.Is(err, ErrUnsupported), errors.Is(err, errTooLarge):
		return fmt.Errorf("%s %s: %w", method, path, err)
	case tlsFailure(err):
		kind = ErrTLS
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s: no answer within %v: %w", method, path, c.Timing.Request, ErrUnreachable)
	}
	return fmt.Errorf("%s %s: %w: %w", method, path, kind, err)
}
