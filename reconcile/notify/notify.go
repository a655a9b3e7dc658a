// Package notify tells people and programs of a run's failures and of its end,
// over webhooks: Slack's, and any that takes JSON. It looks at the same events
// as everything else and never holds up, or fails, what it tells of.
package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/report"
)

const (
	queued    = 256              // messages that may wait; further ones are counted and dropped
	attempts  = 4                // of one message
	limit     = 10 * time.Second // for one attempt
	maxPause  = 30 * time.Second // that a receiver may ask for between two
	patience  = 30 * time.Second // for what is still to be sent at the end
	maxAnswer = 64 << 10
)

// A Hook is one receiver. Its URL is a secret, for whoever knows it may post.
type Hook struct {
	Name string // for messages, such as the name of the secret
	URL  credential.Secret
	// Slack hooks get a text; others get the lines of -o json, one a request.
	Slack bool
}

// Check reports what is wrong with a hook's URL, without showing it.
func (h Hook) Check() error {
	u, err := url.Parse(h.URL.Reveal())
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("the secret %q is no URL of a webhook", h.Name)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("the webhook %q is not https: its URL is a secret and would be sent in the clear", h.Name)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A Notifier sends to hooks. Set the fields before the first call. Event and
// End may be called from one goroutine at a time and never wait; do not call
// them after Close.
type Notifier struct {
	Hooks []Hook
	// Link is where the run can be looked at; may be empty.
	Link string
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
	// Logger is told of hooks that cannot be reached; nil means nobody is.
	Logger *slog.Logger

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	queues []chan message
	lost   int
	work   sync.WaitGroup
	client *http.Client
}

// A message is what both kinds of hooks are told.
type message struct {
	text string
	line report.Line
}

// Event tells of an install that failed, or that was left in the middle.
func (n *Notifier) Event(e reconcile.Event) {
	if n == nil || e.Kind != reconcile.Failed && e.Kind != reconcile.Left {
		return
	}
	n.post(message{eventText(e, n.Link), report.Line{Type: report.TypeEvent, Event: &e}})
}

// End tells what became of a run in which something was done, or that failed
// as a whole. r may be nil.
func (n *Notifier) End(r *reconcile.Report, err error) {
	switch {
	case n == nil:
	case r != nil && len(r.Outcomes) > 0:
		n.post(message{endText(r, n.Link), report.Line{Type: report.TypeReport, Report: r}})
	case err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, reconcile.ErrInterrupted):
		n.post(message{errorText(err, n.Link), report.Line{Type: report.TypeError, Error: err.Error()}})
	}
}

// Close waits until all is sent, for half a minute at most.
func (n *Notifier) Close() {
	if n == nil {
		return
	}
	n.once.Do(n.start)
	for _, q := range n.queues {
		close(q)
	}
	timer := time.AfterFunc(patience, n.cancel)
	n.work.Wait()
	timer.Stop()
	n.cancel()
	if n.lost > 0 {
		n.Logger.Warn("messages to webhooks were dropped: there were more than could be sent", "messages", n.lost)
	}
}

func (n *Notifier) start() {
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if n.Logger == nil {
		n.Logger = slog.New(slog.DiscardHandler)
	}
	n.client = &http.Client{Transport: n.Transport, Timeout: limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // a message goes to nobody else
	for _, h := range n.Hooks {
		q := make(chan message, queued)
		n.queues = append(n.queues, q)
		n.work.Go(func() {
			for m := range q {
				if err := n.send(h, m); err != nil {
					n.Logger.Warn("telling a webhook", "webhook", h.Name, "error", err.Error())
				}
			}
		})
	}
}

func (n *Notifier) post(m message) {
	n.once.Do(n.start)
	for _, q := range n.queues {
		select {
		case q <- m:
		default:
			n.lost++
		}
	}
}

// send posts a message, again when the receiver is busy or away.
func (n *Notifier) send(h Hook, m message) error {
	body, err := json.Marshal(m.line)
	if h.Slack {
		body, err = json.Marshal(map[string]string{"text": m.text})
	}
	if err != nil {
		return err
	}
	pause := time.Second
	for attempt := 1; ; attempt++ {
		again, asked, err := n.try(h, body)
		if err == nil || !again || attempt == attempts || n.ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(max(pause, min(asked, maxPause))):
		case <-n.ctx.Done():
			return err
		}
		pause *= 2
	}
}

// try posts once. Its errors do not show the URL.
func (n *Notifier) try(h Hook, body []byte) (again bool, pause time.Duration, err error) {
	req, err := http.NewRequestWithContext(n.ctx, http.MethodPost, h.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return false, 0, errors.New("its URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "metalcue-reconcile")
	resp, err := n.client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return true, 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // what it says does not matter
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return false, 0, nil
	case code == http.StatusTooManyRequests || code >= 500:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 unless it is a number
		return true, time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("it answers %s", resp.Status)
	default:
		return false, 0, fmt.Errorf("it answers %s", resp.Status)
	}
}
