package notify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/notify"
	"github.com/metalcue/metalcue/reconcile/report"
)

const secret = "T00/B00/hook-secret-5af1"

// receiver is a webhook's other end, without a network.
type receiver struct {
	mu      sync.Mutex
	answers []int // statuses to answer with; then 200
	header  http.Header
	dead    bool
	bodies  []string
	at      []time.Time
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	b, _ := io.ReadAll(req.Body) // our own
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.at = append(r.bodies, string(b)), append(r.at, time.Now())
	if r.dead {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	for k, v := range r.header {
		w.Header()[k] = v
	}
	code := http.StatusOK
	if len(r.answers) > 0 {
		code, r.answers = r.answers[0], r.answers[1:]
	}
	w.WriteHeader(code)
	return w.Result(), nil
}

func hooks() []notify.Hook {
	return []notify.Hook{{Name: "ops", URL: "https://hooks.example/" + secret, Slack: true}}
}

var failure = reconcile.Event{
	At: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Run: "k3j2x7q", Host: "db-01", Kind: reconcile.Failed, Step: reconcile.StepInstall,
	Text: "failed", Error: "it is still on & waits <!channel>",
}

func ended() *reconcile.Report {
	return &reconcile.Report{Format: reconcile.ReportFormat, Run: "k3j2x7q", Started: failure.At, Finished: failure.At.Add(time.Hour), Outcomes: []reconcile.Outcome{
		{Host: "db-01", Result: reconcile.ResultFailed, Step: reconcile.StepInstall, Reason: failure.Error},
		{Host: "db-02", Result: reconcile.ResultInstalled},
	}}
}

// TestMessages: failures and the end are told, and nothing else; foreign text
// is not markup.
func TestMessages(t *testing.T) {
	r := &receiver{}
	n := &notify.Notifier{Hooks: hooks(), Transport: r, Link: "https://ci.example/1"}
	n.Event(reconcile.Event{Kind: reconcile.Progressed, Host: "db-01"})
	n.Event(reconcile.Event{Kind: reconcile.Finished, Host: "db-02"})
	n.Event(failure)
	n.End(ended(), nil)
	n.Close()
	var got []string
	for _, b := range r.bodies {
		var m struct{ Text string }
		if err := json.Unmarshal([]byte(b), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Text)
	}
	want := []string{
		":x: *db-01* failed at install: it is still on &amp; waits &lt;!channel&gt;\n<https://ci.example/1|run k3j2x7q>",
		":warning: 1 installed, 1 failed in 1 h 0 min.\n• *db-01* failed: it is still on &amp; waits &lt;!channel&gt;\n<https://ci.example/1|run k3j2x7q>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// TestGeneric: other hooks get the lines that -o json prints.
func TestGeneric(t *testing.T) {
	r := &receiver{}
	h := hooks()
	h[0].Slack = false
	n := &notify.Notifier{Hooks: h, Transport: r}
	n.Event(failure)
	n.End(nil, errors.New("NetBox does not answer"))
	n.Close()
	var want bytes.Buffer
	if err := report.EventJSON(&want, failure); err != nil {
		t.Fatal(err)
	}
	if len(r.bodies) != 2 || r.bodies[0]+"\n" != want.String() || !strings.Contains(r.bodies[1], `"error":"NetBox does not answer"`) {
		t.Errorf("got %q", r.bodies)
	}
}

// TestQuiet: a run in which nothing was done, or that somebody stopped, tells nothing.
func TestQuiet(t *testing.T) {
	r := &receiver{}
	n := &notify.Notifier{Hooks: hooks(), Transport: r}
	n.End(&reconcile.Report{}, nil)
	n.End(nil, reconcile.ErrInterrupted)
	n.Close()
	var none *notify.Notifier
	none.Event(failure)
	none.End(ended(), nil)
	none.Close()
	if len(r.bodies) > 0 {
		t.Errorf("told %q", r.bodies)
	}
}

// TestRetries: a receiver that is busy is asked again, as late as it wants, and
// one that refuses is not.
func TestRetries(t *testing.T) {
	tests := []struct {
		name    string
		answers []int
		header  http.Header
		sent    int
		took    time.Duration
		warned  bool
	}{
		{"busy twice", []int{503, 500}, nil, 2 + 1, 3 * time.Second, false},
		{"asks to wait", []int{429}, http.Header{"Retry-After": {"7"}}, 2, 7 * time.Second, false},
		{"asks for too much", []int{429}, http.Header{"Retry-After": {"86400"}}, 2, 30 * time.Second, false},
		{"refuses", []int{404}, nil, 1, 0, true},
		{"sends elsewhere", []int{307}, http.Header{"Location": {"https://evil.example/"}}, 1, 0, true},
		{"always busy", []int{503, 503, 503, 503, 503, 503}, nil, 4, 7 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := &receiver{answers: tt.answers, header: tt.header}
				n := &notify.Notifier{Hooks: hooks(), Transport: r, Logger: slog.New(slog.NewTextHandler(&log, nil))}
				began := time.Now()
				n.Event(failure)
				n.Close()
				if len(r.bodies) != tt.sent || time.Since(began) != tt.took {
					t.Errorf("sent %d times in %v, want %d in %v", len(r.bodies), time.Since(began), tt.sent, tt.took)
				}
				if (log.Len() > 0) != tt.warned || strings.Contains(log.String(), "hook-secret") {
					t.Errorf("logged %q", log.String())
				}
			})
		})
	}
}

// TestDeadHook: a receiver that is away holds nothing up: a thousand failures
// are told without waiting, the end waits half a minute, and no message shows
// the URL.
func TestDeadHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &receiver{dead: true}
		alive := &receiver{}
		n := &notify.Notifier{Logger: slog.New(slog.NewTextHandler(&log, nil)), Transport: split{"dead.example": r, "live.example": alive},
			Hooks: []notify.Hook{{Name: "dead", URL: "https://dead.example/" + secret}, {Name: "live", URL: "https://live.example/" + secret, Slack: true}}}
		began := time.Now()
		for range 1000 {
			n.Event(failure)
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("telling took %v", took)
		}
		n.End(ended(), nil)
		n.Close()
		if took := time.Since(began); took > 31*time.Second {
			t.Errorf("ending took %v", took)
		}
		if !strings.Contains(log.String(), "connection refused") || !strings.Contains(log.String(), "dropped") || strings.Contains(log.String(), "hook-secret") {
			t.Errorf("logged %.600q", log.String())
		}
		if len(alive.bodies) != 1001 {
			t.Errorf("the other hook was told %d times, want 1001", len(alive.bodies))
		}
	})
}

// split sends to receivers by host.
type split map[string]*receiver

func (s split) RoundTrip(r *http.Request) (*http.Response, error) { return s[r.URL.Host].RoundTrip(r) }

func TestCheck(t *testing.T) {
	for url, good := range map[credential.Secret]bool{
		"https://hooks.example/" + secret: true, "http://127.0.0.1:9000/" + secret: true, "http://localhost/": true,
		"http://hooks.example/" + secret: false, "hook-secret": false, "": false, "ftp://hooks.example/": false, "https:///" + secret: false,
	} {
		err := notify.Hook{Name: "ops", URL: url}.Check()
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "hook-secret") {
			t.Errorf("%s: %v", url.Reveal(), err)
		}
	}
}
