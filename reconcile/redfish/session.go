package redfish

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// session is a Redfish session (DSP0266 13.3.4); zero when there is none.
type session struct {
	uri   string // what Close deletes
	token string
}

// authorize adds the login to a request that the guard let pass.
func (c *Client) authorize(r *http.Request) {
	if !c.Session {
		if c.Login.Username != "" {
			r.SetBasicAuth(c.Login.Username, c.Login.Password.Reveal())
		}
		return
	}
	if c.session.token != "" {
		r.Header.Set("X-Auth-Token", c.session.token)
	}
}

// secrets is what must not appear in an error, should the BMC repeat it.
func (c *Client) secrets() []string {
	password := c.Login.Password.Reveal()
	return []string{password, c.session.token,
		base64.StdEncoding.EncodeToString([]byte(c.Login.Username + ":" + password))}
}

// defaultSessions is where sessions are made on every service we know of; the
// service root may say otherwise but costs a request (DSP0266 13.3.4.2).
const defaultSessions = "/redfish/v1/SessionService/Sessions"

// login opens a session if sessions are asked for and none is open.
func (c *Client) login(ctx context.Context) error {
	if !c.Session {
		return nil
	}
	if c.session.token != "" {
		return nil
	}
	if stale := c.Locations.Session; stale != "" {
		// Left by a run that was killed. Deleting needs a login; Basic may be
		// off, so this is tried only after the new session is there.
		defer c.discard(ctx, stale)
	}
	u, err := c.resolve(defaultSessions)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"UserName": c.Login.Username, "Password": c.Login.Password.Reveal()})
	if err != nil {
		return err
	}
	r, err := c.exchange(ctx, http.MethodPost, u, body, nil)
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	if r.status/100 != 2 {
		return fmt.Errorf("opening a session: %w", newError(http.MethodPost, u.Path, r, c.secrets()))
	}
	s := session{token: r.header.Get("X-Auth-Token"), uri: r.header.Get("Location")}
	if s.uri == "" {
		var b struct {
			URI text `json:"@odata.id"`
		}
		if decode(r.body, &b) == nil {
			s.uri = string(b.URI)
		}
	}
	c.session = s
	c.Locations.Session = s.uri
	if s.token == "" {
		err := errors.New("opening a session: the answer has no X-Auth-Token")
		return join(err, c.logout(ctx))
	}
	return nil
}

// renew answers a 401 that followed accepted requests.
func (c *Client) renew(ctx context.Context) error {
	if !c.Session {
		return sleep(ctx, 2*time.Second)
	}
	c.session = session{}
	c.Locations.Session = "" // it is gone: that is what the 401 said
	return c.login(ctx)
}

// logout deletes the session. It goes on when ctx is done, for a bounded time:
// a session left behind occupies one of as few as eight places.
func (c *Client) logout(ctx context.Context) error {
	s := c.session
	if s.uri == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	u, err := c.resolve(s.uri)
	if err != nil {
		return fmt.Errorf("deleting the session: %w", err)
	}
	for attempt := 1; ; attempt++ {
		err = c.delete(ctx, u.RequestURI())
		if err == nil || attempt == 3 || !worthRepeating(err) || sleep(ctx, time.Second) != nil {
			break
		}
	}
	c.session = session{}
	if err != nil {
		return fmt.Errorf("deleting the session: %w", err)
	}
	c.Locations.Session = ""
	return nil
}

// delete removes a session; one that is gone already is no error.
func (c *Client) delete(ctx context.Context, uri string) error {
	u, err := c.resolve(uri)
	if err != nil {
		return err
	}
	r, err := c.exchange(ctx, http.MethodDelete, u, nil, nil)
	if err != nil {
		return err
	}
	if r.status/100 != 2 && r.status != http.StatusNotFound && r.status != http.StatusUnauthorized {
		return newError(http.MethodDelete, u.Path, r, c.secrets())
	}
	return nil
}

// discard deletes another run's session; failing that it runs out by itself.
func (c *Client) discard(ctx context.Context, uri string) {
	if c.session.token == "" || c.session.uri == uri {
		return
	}
	if err := c.delete(ctx, uri); err != nil {
		c.Logger.DebugContext(ctx, "stale session stays until it runs out", "error", err.Error())
	}
}
