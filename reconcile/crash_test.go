package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// A process is a run that can be killed: from that moment on no request of it
// leaves, no answer reaches it, and its media server is gone.
type process struct {
	kill func() // ends its media server, and what would go on computing

	mu    sync.Mutex
	dead  bool
	sent  int // writes to BMCs
	fatal func(write int, before bool) bool
}

var errKilled = errors.New("the process was killed")

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

func (p *process) die() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.kill()
}

// through lets requests pass for as long as the process lives, and kills it at
// the write to a BMC that is fatal to it.
func (p *process) through(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if p.isDead() {
			return nil, errKilled
		}
		write := r.Method != http.MethodGet && r.Method != http.MethodHead
		n := 0
		if write {
			p.mu.Lock()
			p.sent++
			n = p.sent
			p.mu.Unlock()
			if p.fatal != nil && p.fatal(n, true) {
				p.die()
				return nil, errKilled
			}
		}
		res, err := next.RoundTrip(r)
		if write && p.fatal != nil && p.fatal(n, false) {
			p.die()
		}
		if p.isDead() {
			if err == nil {
				res.Body.Close()
			}
			return nil, errKilled
		}
		return res, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// spawn makes run a process of its own. It listens at an address; media in a
// drive that are to come from there can be of a dead process only.
func (g *rig) spawn(run, address string, fatal func(write int, before bool) bool) (*reconcile.Reconciler, *process, context.Context) {
	ctx, cancel := context.WithCancel(g.t.Context())
	p := &process{kill: func() { g.serve(address, nil); cancel() }, fatal: fatal}
	server := &isohttp.Server{}
	g.serve(address, server)
	r := g.reconciler(run)
	r.Media, r.OnEvent = server, nil
	r.MediaURL = func(_ context.Context, pub *isohttp.Publication, _ string, schemes []string) (string, error) {
		return schemes[0] + "://" + address + pub.Path(), nil
	}
	r.OwnMedia = func(url string) bool { return strings.Contains(url, "://"+address+"/i/") }
	r.Inventory.(*netbox.Client).HTTP.Transport = p.through(g.netbox.Transport())
	r.Dial = func(_ context.Context, t reconcile.Target) (reconcile.Machine, error) {
		return &redfish.Client{Address: t.Address, Login: g.login, Transport: p.through(g.rack.Transport())}, nil
	}
	return r, p, ctx
}

// once is one whole run of a process: it plans and applies.
func (g *rig) once(ctx context.Context, r *reconcile.Reconciler) (*reconcile.Plan, *reconcile.Report) {
	w, err := r.Observe(ctx, reconcile.Selector{})
	if err != nil {
		return nil, nil
	}
	p := reconcile.Diff(g.fleet, w, reconcile.Options{})
	report, _ := r.Apply(ctx, p, w)
	return p, report
}

// A crash is where a run was killed.
type crash struct {
	write  int    // before or after the so many-th write to the BMC
	before bool   //
	step   string // or on entering a step
}

func (c crash) String() string {
	switch {
	case c.step != "":
		return "at " + c.step
	case c.before:
		return fmt.Sprintf("before write %d", c.write)
	}
	return fmt.Sprintf("after write %d", c.write)
}

// crashes lists every step boundary and every write of an install.
func crashes(t *testing.T, v bmctest.Vendor) (all []crash) {
	g := newRig(t, v)
	var steps []string
	r, p, ctx := g.spawn("count", sameAddress, nil)
	defer p.die()
	r.OnEvent = func(e reconcile.Event) {
		if e.Kind == reconcile.Stepped {
			steps = append(steps, string(e.Step))
		}
	}
	if _, report := g.once(ctx, r); report.Count(reconcile.ResultInstalled) != 1 {
		t.Fatalf("without a crash: %+v", report.Outcomes)
	}
	for _, s := range steps {
		all = append(all, crash{step: s})
	}
	for n := range p.sent {
		all = append(all, crash{write: n + 1, before: true}, crash{write: n + 1})
	}
	if len(steps) != 12 || p.sent < 8 {
		t.Fatalf("an install has the steps %v and %d writes; is everything seen?", steps, p.sent)
	}
	return all
}

// sameAddress is where the media server of the killed run was.
const sameAddress = "10.9.9.9:8080"

// TestCrash kills a run at every step boundary, and before and after each of
// its writes, and starts it again: at the same address at once, and at another
// one. Every time the host ends installed; no attempt installs it twice, and
// no medium, override or claim is left behind.
func TestCrash(t *testing.T) {
	for _, v := range []bmctest.Vendor{bmctest.Generic, bmctest.IDRAC10} {
		var points []crash
		synctest.Test(t, func(t *testing.T) { points = crashes(t, v) })
		if v != bmctest.Generic { // whose markers wait for a reset; its other writes are alike
			points = slices.DeleteFunc(points, func(c crash) bool { return c.step == "" })
		}
		for _, address := range []string{sameAddress, "10.9.9.8:8080"} {
			for _, c := range points {
				t.Run(fmt.Sprintf("%s/%s/%s", v, address, c), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testCrash(t, v, c, address) })
				})
			}
		}
	}
}

func testCrash(t *testing.T, v bmctest.Vendor, c crash, address string) {
	g := newRig(t, v)
	bmc := g.bmcs["web-01"]
	bmc.Machine.Patience = 2 * time.Minute
	r, p, ctx := g.spawn("dead", sameAddress, func(n int, before bool) bool { return n == c.write && before == c.before })
	r.OnEvent = func(e reconcile.Event) {
		if c.step != "" && e.Kind == reconcile.Stepped && string(e.Step) == c.step {
			p.die()
		}
	}
	g.once(ctx, r)
	if !p.isDead() {
		t.Fatal("it was not killed")
	}
	var crashed, tag string // what later runs find
	var plans []string
	for i := range 10 {
		time.Sleep(30 * time.Second)
		r, p, ctx := g.spawn(fmt.Sprintf("run%d", i), address, nil)
		plan, report := g.once(ctx, r)
		p.die()
		tag = plan.Changes[0].From.Marker
		if i == 0 {
			crashed = tag
		}
		plans = append(plans, fmt.Sprintf("%s %s: %+v", plan.Changes[0].Action, plan.Changes[0].Reasons, report.Outcomes))
		if plan.Changes[0].Action == reconcile.None {
			break
		}
		if plan.Changes[0].Action == reconcile.Held {
			time.Sleep(5 * time.Minute)
		}
	}
	t.Logf("it bore %q; then: %s", crashed, strings.Join(plans, "\n"))
	m, err := marker.Parse(tag)
	if err != nil || m.State != marker.Installed || m.Spec != reconcile.SpecDigest(g.fleet.Images["rocky-9.6"].SHA256, "web", 1) {
		t.Fatalf("it bears %q (%v), want what is declared", tag, err)
	}
	if n := bmc.Machine.Installs(); n > m.Attempt {
		t.Errorf("%d installs in %d attempts", n, m.Attempt)
	}
	ended := slices.Contains([]string{"eject", "disk", "verify", "marker", "journal"}, c.step)
	if was, _ := marker.Parse(crashed); ended && was.State != marker.Verifying && was.State != marker.Installed {
		t.Errorf("its installer has ended, and its claim was %q", crashed)
	}
	if n := bmc.Machine.Installs(); n != 1 && (ended || c.step != "" && address == sameAddress) {
		t.Errorf("it was installed %d times, want once", n)
	}
	if url := bmc.Inserted(); url != "" {
		t.Error("its media are still inserted")
	}
	if enabled, target := bmc.Override(); enabled != "Disabled" && enabled != "" {
		t.Errorf("its boot override is %s, %s", enabled, target)
	}
	if stage := bmc.Machine.Stage(); stage != bmctest.StageOS {
		t.Errorf("it is in stage %s, want its OS running", stage)
	}
	if n := bmc.Sessions(); n > 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// TestTwoRunsOverAFleet: of two runs that start at once over the same hosts,
// each host is driven by one.
func TestTwoRunsOverAFleet(t *testing.T) {
	for _, skew := range []time.Duration{0, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, slices.Repeat([]bmctest.Vendor{bmctest.Generic}, 12)...)
			g.fleet.Policy.Parallel = 4
			for _, b := range g.bmcs {
				b.Latency = 100 * time.Millisecond
			}
			r1, p1, ctx1 := g.spawn("run1", sameAddress, nil)
			r2, p2, ctx2 := g.spawn("run2", "10.9.9.8:8080", nil)
			r2.Key = []byte("fedcba9876543210")
			defer p1.die()
			defer p2.die()
			reports := make(chan *reconcile.Report)
			go func() { _, report := g.once(ctx1, r1); reports <- report }()
			go func() { time.Sleep(skew); _, report := g.once(ctx2, r2); reports <- report }()
			installedBy := map[string]int{}
			for range 2 {
				for _, o := range (<-reports).Outcomes {
					switch o.Result {
					case reconcile.ResultInstalled:
						installedBy[o.Host]++
					case reconcile.ResultHeld, reconcile.ResultStale, reconcile.ResultNotStarted:
					default:
						t.Errorf("%s: %s at %s: %s", o.Host, o.Result, o.Step, o.Reason)
					}
				}
			}
			for name, b := range g.bmcs {
				if n := b.Machine.Installs(); n != 1 || installedBy[name] != 1 {
					t.Errorf("%s: %d installs, by %d runs; want one by one", name, n, installedBy[name])
				}
			}
		})
	}
}
