package reconcile_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestDrain: the first interrupt lets what runs finish, and starts nothing new.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic, bmctest.Generic)
		g.fleet.Policy.Parallel = 1
		drain := make(chan struct{})
		g.r.Drain = drain
		time.AfterFunc(5*time.Minute, func() { close(drain) })
		p, w := g.plan()
		report, err := g.r.Apply(t.Context(), p, w)
		if !errors.Is(err, reconcile.ErrInterrupted) {
			t.Errorf("Apply returned %v, want that it was interrupted", err)
		}
		if o := report.Outcomes[0]; o.Result != reconcile.ResultInstalled {
			t.Errorf("web-01, under way: %s: %s; want installed", o.Result, o.Reason)
		}
		if o := report.Outcomes[1]; o.Result != reconcile.ResultNotStarted || !strings.Contains(o.Reason, "interrupted") {
			t.Errorf("web-02: %s: %s; want not started", o.Result, o.Reason)
		}
		for _, write := range g.writes() {
			if strings.HasPrefix(write, "web-02") {
				t.Errorf("web-02 was touched: %s", write)
			}
		}
	})
}

// TestDrainedBeforeTheStart: an interrupt that comes before the first install
// keeps all of them from starting.
func TestDrainedBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		drain := make(chan struct{})
		close(drain)
		g.r.Drain = drain
		p, w := g.plan()
		report, err := g.r.Apply(t.Context(), p, w)
		if !errors.Is(err, reconcile.ErrInterrupted) {
			t.Errorf("Apply returned %v, want that it was interrupted", err)
		}
		if o := only(t, report); o.Result != reconcile.ResultNotStarted {
			t.Errorf("%s: %s; want not started", o.Result, o.Reason)
		}
		if writes := g.writes(); len(writes) > 0 {
			t.Errorf("it was touched: %v", writes)
		}
	})
}

// TestCancel: the second interrupt stops at once and says where each host was
// left; a later run takes the host over once the claim has ended, not before.
func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Minute, cancel)
		p, w := g.plan()
		began := time.Now()
		report, err := g.r.Apply(ctx, p, w)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Apply returned %v, want that it was cancelled", err)
		}
		if d := time.Since(began); d > 5*time.Minute+time.Second {
			t.Errorf("it took %s to stop", d-5*time.Minute)
		}
		o := only(t, report)
		if o.Result != reconcile.ResultLeft || !strings.Contains(o.Reason, "at step install with the installer started") {
			t.Errorf("%s: %s; want left, with the step", o.Result, o.Reason)
		}
		g.r = g.reconciler("run2")
		if p, _ := g.plan(); p.Changes[0].Action != reconcile.Held {
			t.Errorf("at once after it, another run plans %s: %v; want held", p.Changes[0].Action, p.Changes[0].Reasons)
		}
		time.Sleep(time.Hour)
		if o := only(t, g.run()); o.Result != reconcile.ResultInstalled {
			t.Errorf("after the lease, another run: %s: %s", o.Result, o.Reason)
		}
		if m, _ := marker.Parse(g.bmcs["web-01"].Tag()); m.Attempt != 2 {
			t.Errorf("marker %q; want the second attempt", g.bmcs["web-01"].Tag())
		}
	})
}

// TestStalePlan: a plan is bound to its commit and to what each machine bore.
func TestStalePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		p, w := g.plan()
		g.bmcs["web-01"].SetTag("SOMEBODY-ELSE")
		report, err := g.r.Apply(t.Context(), p, w)
		if err != nil {
			t.Fatal(err)
		}
		if o := only(t, report); o.Result != reconcile.ResultStale {
			t.Errorf("%s: %s; want stale", o.Result, o.Reason)
		}
		if writes := g.writes(); len(writes) > 0 {
			t.Errorf("it was touched: %v", writes)
		}
		g.r.Commit = "another"
		if _, err := g.r.Apply(t.Context(), p, w); !errors.Is(err, reconcile.ErrStale) {
			t.Errorf("at another commit: %v; want that the plan is stale", err)
		}
	})
}

// TestNoSecrets runs all that can go well and wrong with everything logged, and
// looks for secrets in every output.
func TestNoSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		g := newRig(t, bmctest.Generic, bmctest.IDRAC9v7, bmctest.ILO6, bmctest.Generic, bmctest.Generic)
		g.media.Logger = logger
		g.bmcs["web-03"].Machine.Habits.HangsInInstaller = true
		g.bmcs["web-04"].Password = "another" // so that the login is refused, aloud
		g.template("web-05", strings.Replace(kickstart, `"root-password" }}`, `"root-password" }}`+"\n"+`{{ fail (secret "root-password") }}`, 1))
		g.netbox.Devices[1].Role, g.netbox.Devices[4].Role = "web", "bad"
		dial := g.r.Dial
		g.r.Dial = func(ctx context.Context, t reconcile.Target) (reconcile.Machine, error) {
			m, err := dial(ctx, t)
			m.(*redfish.Client).Logger = logger
			return m, err
		}
		g.r.Inventory.(*netbox.Client).Logger = logger
		p, w := g.plan()
		report, err := g.r.Apply(t.Context(), p, w)
		if err != nil {
			t.Fatal(err)
		}
		if report.Count(reconcile.ResultInstalled) == 0 || report.Count(reconcile.ResultFailed) == 0 || p.Errors() < 2 {
			t.Errorf("the run shows too little: %+v", report.Outcomes)
		}
		files, err := g.r.Render(t.Context(), "web-01")
		if err != nil {
			t.Fatal(err)
		}
		output, err := json.Marshal(map[string]any{"plan": p, "report": report, "events": g.events})
		if err != nil {
			t.Fatal(err)
		}
		all := log.String() + string(output) + fmt.Sprintf("%+v %+v %#v", report, files, p)
		if len(log.String()) < 10_000 {
			t.Errorf("only %d bytes were logged", log.Len())
		}
		for _, secret := range secrets {
			if i := strings.Index(all, secret); i >= 0 {
				t.Errorf("a secret is in the output: …%s", all[max(0, i-200):i])
			}
		}
	})
}
