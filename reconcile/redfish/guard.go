package redfish

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// maxBody bounds every answer: the largest in the dumps is 100 kB.
const maxBody = 8 << 20

var errTooLarge = fmt.Errorf("answer larger than %d MiB", maxBody>>20)

// guard is the last thing that a request passes. It alone holds the login, so a
// request that it refuses, or that goes round it, carries none.
type guard struct {
	base      http.RoundTripper
	origin    string
	authorize func(*http.Request)
}

// RoundTrip sends r to the BMC, and to nothing else.
func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.User != nil || origin(r.URL) != g.origin || (r.Host != "" && r.Host != r.URL.Host) {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper must
		}
		return nil, fmt.Errorf("request for %q refused: %w", cut(r.URL.Host, 100), ErrForeign)
	}
	r = r.Clone(r.Context()) // a RoundTripper may not change its request
	g.authorize(r)
	resp, err := g.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{body: resp.Body, left: maxBody}
	return resp, nil
}

// boundedBody ends with an error instead of going on without end.
type boundedBody struct {
	body io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, errTooLarge
	}
	return n, err
}

func (b *boundedBody) Close() error { return b.body.Close() }

// checkRedirect follows what iLO does for aliases (301 and 308 on its own
// host) and nothing else: no other origin, no write.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	switch {
	case r.URL.User != nil || origin(r.URL) != origin(&c.base):
		return fmt.Errorf("redirect to %q refused: %w", cut(r.URL.Host, 100), ErrForeign)
	case via[0].Method != http.MethodGet:
		return fmt.Errorf("redirect of a %s refused: %w", via[0].Method, ErrUnsupported)
	case len(via) > 3:
		return fmt.Errorf("more than 3 redirects: %w", ErrUnsupported)
	}
	return nil
}

// resolve makes a request URL of a link that the BMC gave. Accepted are
// absolute paths and URLs of the BMC's own origin (task monitors, Location);
// the fragment is dropped (OpenBMC links into resources with one).
func (c *Client) resolve(link string) (*url.URL, error) {
	refuse := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("link %q: %s: %w", cut(clean(link, nil), 120), why, ErrForeign)
	}
	if link == "" {
		return nil, errors.New("an empty link")
	}
	for _, r := range link {
		if r < ' ' || r == 0x7f || r == '\\' {
			return refuse("holds a control character or a backslash")
		}
	}
	u, err := url.Parse(link)
	if err != nil {
		return refuse("not a URL")
	}
	if u.User != nil {
		return refuse("holds a login")
	}
	if u.Scheme != "" || u.Host != "" {
		if u.Opaque != "" || origin(u) != origin(&c.base) {
			return refuse("not on this BMC")
		}
	}
	if !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") {
		return refuse("not an absolute path")
	}
	if p := path.Clean(u.Path); p != strings.TrimSuffix(u.Path, "/") && p != u.Path {
		return refuse("not a plain path")
	}
	return &url.URL{Scheme: c.base.Scheme, Host: c.base.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, nil
}
