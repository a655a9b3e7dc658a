package redfish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// Client drives one machine through its BMC. Set the fields before the first
// call and leave them alone afterwards. Its methods may be called from several
// goroutines; they take turns, so that one request at a time goes out. Two
// clients for one BMC would break that.
type Client struct {
	// Address is the BMC: "10.0.0.1", "host:port", "[2001:db8::1]:443" or
	// "https://host[:port]". Plain http needs TLS.Mode "insecure" or a loopback
	// address, since it carries the login in the clear.
	Address string
	// Login goes out as HTTP Basic authentication, or makes a session.
	Login credential.Login
	// TLS says whom to trust; zero means the system's roots.
	TLS TLS
	// Session makes Login open a Redfish session (DSP0266 13.3.4) for BMCs that
	// have Basic authentication switched off. The default is Basic: sessions run
	// out within 30 to 300 s on many BMCs, and a table of 8 fills up.
	// Close deletes it.
	Session bool
	// System is the Id (or the last part of the URI) of the system to drive.
	// Needed only where a BMC stands for several machines.
	System string
	// Profile forces a vendor profile by name; see [Profiles]. Empty: found out.
	Profile string
	// Overrides replace rules of the profile, one by one; see [RuleNames].
	Overrides []Override
	// Marker is the place of the marker; "" means the asset tag.
	Marker MarkerPlace
	// Kept is the asset tag that the inventory has for this machine. With
	// [EFILabel] a claim may displace it, and nothing else.
	Kept string
	// Locations, if not nil, is what was found out about this BMC before. The
	// client updates it; a caller who keeps it from run to run saves discovery:
	// Observe then takes at most three requests.
	Locations *Locations
	// Timing changes how long things may take; zero fields mean the defaults.
	Timing Timing
	// Transport replaces the network, below all checks of this package. Tests
	// call a simulated BMC in process; TLS does not apply to it.
	Transport http.RoundTripper
	// OnRequest, if not nil, is told of every request after it, one at a time.
	OnRequest func(Request)
	// Logger gets every request at debug level: method, path, status, time.
	// Nil means silence.
	Logger *slog.Logger

	once      sync.Once
	setup     error
	base      url.URL
	http      *http.Client
	closers   func()
	sent      atomic.Int64
	turn      chan struct{} // holds one element while a method runs; guards the rest
	proven    bool          // the login was accepted once
	session   session
	former    *string // the asset tag that a claim of this client has displaced
	resetInfo string  // URI of the Reset action's ActionInfo
}

// A Request is one that was sent, without headers and bodies.
type Request struct {
	At     time.Time // when it was sent
	Method string
	Path   string
	Status int // of the answer; 0 if none came
	Took   time.Duration
	Error  string // why none came
}

// Timing is how long things may take and how often they are looked at. The
// defaults come from ironic, libredfish and the latencies measured by the
// authors of the dumps (redfish.md 1.3, 4.3).
type Timing struct {
	Connect time.Duration // TCP connection; default 10 s
	Request time.Duration // one request from start to last byte; default 90 s: slow BMCs need 20 s
	Poll    time.Duration // between two looks at an effect; default 2 s
	Power   time.Duration // from an accepted reset to the power state; default 120 s
	Insert  time.Duration // from an accepted insert to Inserted; default 120 s
	Eject   time.Duration // from an accepted eject to an empty slot; default 60 s
	Setting time.Duration // from an accepted PATCH to its effect; default 20 s
	Label   time.Duration // from a start of the machine to the labels of its boot entries: a POST; default 15 min
	Media   time.Duration // from EnableRMedia to slots (AMI restarts a service); default 200 s
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&t.Connect, 10*time.Second)
	set(&t.Request, 90*time.Second)
	set(&t.Poll, 2*time.Second)
	set(&t.Power, 120*time.Second)
	set(&t.Insert, 120*time.Second)
	set(&t.Eject, 60*time.Second)
	set(&t.Setting, 20*time.Second)
	set(&t.Label, 15*time.Minute)
	set(&t.Media, 200*time.Second)
	return t
}

// init checks the fields and builds the HTTP client, once.
func (c *Client) init() error {
	c.once.Do(func() {
		c.turn = make(chan struct{}, 1)
		c.Timing = c.Timing.withDefaults()
		if c.Logger == nil {
			c.Logger = slog.New(slog.DiscardHandler)
		}
		if c.Locations == nil {
			c.Locations = new(Locations)
		}
		c.setup = c.connect()
	})
	return c.setup
}

// begin waits for this caller's turn; the caller must call end.
func (c *Client) begin(ctx context.Context) (end func(), err error) {
	if err := c.init(); err != nil {
		return nil, err
	}
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *Client) connect() error {
	base, err := parseAddress(c.Address)
	if err != nil {
		return err
	}
	c.base = *base
	if base.Scheme == "http" && c.TLS.Mode != ModeInsecure && !loopback(base.Hostname()) {
		return fmt.Errorf("address %q: plain http sends the login in the clear; use https, or tls %q if that is meant",
			c.Address, ModeInsecure)
	}
	if c.Profile != "" && profileByName(c.Profile) == nil {
		return fmt.Errorf("profile %q: not known; known are %s", c.Profile, strings.Join(Profiles(), ", "))
	}
	if c.Marker != "" && c.Marker != AssetTag && c.Marker != EFILabel {
		return fmt.Errorf("marker place %q: want %q or %q", c.Marker, AssetTag, EFILabel)
	}
	for _, o := range c.Overrides {
		if err := o.lay(new(Rules)); err != nil {
			return err
		}
	}
	below := c.Transport
	c.closers = func() {}
	if below == nil {
		tc, err := c.TLS.config()
		if err != nil {
			return err
		}
		t := &http.Transport{
			Proxy:                 nil, // BMCs are not behind proxies, and a proxy would see the login
			DialContext:           (&net.Dialer{Timeout: c.Timing.Connect}).DialContext,
			TLSClientConfig:       tc,
			TLSHandshakeTimeout:   20 * time.Second,
			ResponseHeaderTimeout: c.Timing.Request,
			DisableCompression:    true, // compression gives weak or "-gzip" ETags
			MaxConnsPerHost:       1,
			IdleConnTimeout:       5 * time.Second,
		}
		below, c.closers = t, t.CloseIdleConnections
	}
	c.http = &http.Client{
		Transport:     &guard{base: below, origin: origin(base), authorize: c.authorize},
		CheckRedirect: c.checkRedirect,
	}
	return nil
}

// parseAddress turns what a person writes into an origin.
func parseAddress(address string) (*url.URL, error) {
	s := strings.TrimSpace(address)
	if s == "" {
		return nil, errors.New("no BMC address")
	}
	if !strings.Contains(s, "://") {
		if a, err := netip.ParseAddr(s); err == nil && a.Is6() {
			s = "[" + strings.ReplaceAll(s, "%", "%25") + "]" // a zone, in URL form
		}
		s = "https://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("BMC address %q: not a host, host:port or URL", clean(address, nil))
	case u.User != nil:
		return nil, fmt.Errorf("BMC address of host %q: holds a login; name credentials instead", u.Host)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("BMC address %q: scheme %q is not https", address, u.Scheme)
	case u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("BMC address %q: want only scheme, host and port", address)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

// origin is scheme, host and port in one comparable form.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// Close deletes the session, if there is one, even when ctx is already done,
// and drops idle connections. The client may be used again afterwards.
func (c *Client) Close(ctx context.Context) error {
	end, err := c.begin(context.WithoutCancel(ctx))
	if err != nil {
		return nil // set up wrongly, so nothing was ever opened
	}
	defer end()
	defer c.closers()
	return c.logout(ctx)
}

// Sent is the number of HTTP requests that went out so far.
func (c *Client) Sent() int { return int(c.sent.Load()) }

// sleep waits, or ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
