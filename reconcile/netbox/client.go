package netbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	nb "github.com/netbox-community/go-netbox/v4"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// A Client reads and writes one NetBox. Its fields are not to be changed once
// it is in use; it is safe for concurrent use.
type Client struct {
	// URL is NetBox's address, such as "https://netbox.example.net", with
	// its base path if it has one. A trailing "/api" is taken off.
	URL string
	// Token is an API token, v1 or v2. [Client.WriteBack] needs one with
	// the right to write.
	Token credential.Secret
	// CAFile is a PEM file with authorities to trust besides the system's.
	// It is not read when HTTP is set.
	CAFile string
	// HTTP sends the requests; nil means a client of our own. Of another
	// one only the Transport is used: redirects are never followed.
	HTTP *http.Client
	// Logger is told of retries and oddities; nil discards them.
	Logger *slog.Logger
	// ContextKey is the key of the config context that is ours; "" means
	// "reconcile". Only what is under it is kept of the devices' contexts.
	ContextKey string
	// Parallel is how many requests are in flight; 0 means 4.
	Parallel int

	once sync.Once
	api  *nb.APIClient
	base string // URL without slash at the end
	err  error
}

const (
	requestTimeout = 2 * time.Minute // for one request, its body included
	maxTries       = 4
	maxWait        = time.Minute // the longest Retry-After that is obeyed
)

// open prepares the client on its first use.
func (c *Client) open() error {
	c.once.Do(func() { c.err = c.prepare() })
	return c.err
}

func (c *Client) prepare() error {
	base, err := c.parseURL()
	if err != nil {
		return err
	}
	token := strings.TrimSpace(c.Token.Reveal())
	switch {
	case token == "":
		return errors.New("netbox: no API token (set NETBOX_TOKEN)")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("netbox: the API token holds characters that no token has; is it more than the token?")
	}
	next, err := c.transport()
	if err != nil {
		return err
	}
	scheme := "Token"
	if strings.HasPrefix(token, "nbt_") {
		scheme = "Bearer"
	}
	cfg := nb.NewConfiguration()
	cfg.UserAgent = "metalcue-reconcile"
	cfg.Servers[0].URL = base
	cfg.AddDefaultHeader("Authorization", scheme+" "+token)
	cfg.HTTPClient = &http.Client{
		Transport:     tap{next},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.api, c.base = nb.NewAPIClient(cfg), base
	return nil
}

// parseURL checks the address and brings it into the form that is built upon.
func (c *Client) parseURL() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", errors.New("netbox: the URL cannot be parsed") // the cause may hold a password
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", fmt.Errorf("netbox: URL %q is not of the form https://host", u.Redacted())
	case u.User != nil:
		return "", fmt.Errorf("netbox: URL %q holds a user; NetBox wants a token instead", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("netbox: URL %q has a query or fragment", u.Redacted())
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/api")
	u.RawPath = ""
	return u.String(), nil
}

// transport returns what sends the requests.
func (c *Client) transport() (http.RoundTripper, error) {
	if c.HTTP != nil {
		if c.HTTP.Transport != nil {
			return c.HTTP.Transport, nil
		}
		return http.DefaultTransport, nil
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("netbox: reading the CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("netbox: CA file %s holds no PEM certificate", c.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

func (c *Client) log() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// deviceURL is the page of a device, for people. It is made from the address
// that the user gave: behind a proxy NetBox's own idea of it may be wrong.
func (c *Client) deviceURL(id int) string {
	return c.base + "/dcim/devices/" + strconv.Itoa(id) + "/"
}

// an execution is a prepared go-netbox request.
type execution func(ctx context.Context) (*http.Response, error)

// do sends one request once. what names it in errors: "GET devices".
func (c *Client) do(ctx context.Context, k *call, run execution) error {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("no complete answer within %v", requestTimeout))
	defer cancel()
	if k.max == 0 {
		k.max = 16 << 20
	}
	resp, err := run(context.WithValue(ctx, callKey{}, k))
	if err == nil {
		return nil
	}
	if resp != nil && resp.StatusCode >= 400 && resp.Request != nil {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // go-netbox has put it back
		return newRequestError(resp.Request, resp, body)
	}
	var u *url.Error
	if errors.As(err, &u) { // its text repeats a very long URL
		err = u.Err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// get sends a GET until it succeeds, fails for good, or has been tried often
// enough. sink may be called several times: it starts anew each time.
func (c *Client) get(ctx context.Context, what string, k call, run execution) error {
	for try := 1; ; try++ {
		attempt := k
		err := c.do(ctx, &attempt, run)
		if err == nil {
			return nil
		}
		wait, again := temporary(err)
		if !again || try == maxTries || wait > maxWait || ctx.Err() != nil {
			return fmt.Errorf("reading %s from NetBox: %w", what, err)
		}
		wait = max(wait, time.Second<<(try-1))
		c.log().WarnContext(ctx, "netbox: asking again", "for", what, "after", wait, "cause", err)
		if err := pause(ctx, wait); err != nil {
			return fmt.Errorf("reading %s from NetBox: %w", what, err)
		}
	}
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// temporary reports whether an error may be gone at the next try, and how
// long NetBox asks to wait. What answers wrongly will do so again; what does
// not answer may.
func temporary(err error) (time.Duration, bool) {
	var refused *RequestError
	var badCert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return refused.RetryAfter, refused.Temporary()
	case errors.Is(err, ErrNotNetBox), errors.Is(err, errMalformed), errors.As(err, &badCert),
		errors.Is(err, context.Canceled):
		return 0, false
	}
	return 0, true
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
