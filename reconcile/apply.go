package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/rollout"
)

// ReportFormat is the version of the report's JSON form.
const ReportFormat = 1

// Apply carries out p, and only p, on the world that it was made from. It
// reports what became of every install even when it also returns an error.
//
// Everything that can go wrong without a machine is tried first: a host whose
// image, answer file or patch is unfit is blocked and the others go on. Once
// [Reconciler.Drain] is closed no further host starts; once ctx ends, hosts
// are left where they are, which the report tells.
func (r *Reconciler) Apply(ctx context.Context, p *Plan, w *World) (*Report, error) {
	report := &Report{Format: ReportFormat, Run: r.Run, Commit: p.Commit, Started: time.Now()}
	defer func() { report.Finished = time.Now() }()
	switch {
	case p.Refused != "":
		return report, fmt.Errorf("%w: %s", ErrRefused, p.Refused)
	case !p.Snapshot.IsZero():
		return report, fmt.Errorf("%w: it was made from a snapshot of NetBox; plan again with NetBox", ErrRefused)
	case p.Format != PlanFormat || p.Commit != r.Commit || p.Dirty != r.Dirty:
		return report, fmt.Errorf("%w: it was made from commit %s, and the fleet is at %s; plan again", ErrStale, orNone(p.Commit), orNone(r.Commit))
	}
	work := p.Work()
	if len(work) == 0 {
		return report, nil
	}
	a := &application{r: r, plan: p.clone(), world: w.clone(), report: report}
	defer a.close()
	a.shelf.images = r.Images
	work = a.takeAddresses(ctx, work)
	a.prepare(ctx, work)
	err := a.rollOut(ctx)
	slices.SortFunc(report.Outcomes, func(a, b Outcome) int { return cmp.Compare(a.Host, b.Host) })
	return report, err
}

func orNone(commit string) string { return cmp.Or(commit, "none") }

// An application is one Apply under way. Only its own goroutine touches it.
type application struct {
	r        *Reconciler
	plan     *Plan  // a copy: what is learned while it is carried out is written into it
	world    *World // likewise
	report   *Report
	shelf    shelf
	ready    map[string]*prepared
	installs []*install
}

// close stops offering the media of hosts that failed, and lets go of images.
func (a *application) close() {
	for _, in := range a.installs {
		in.withdraw()
	}
	a.shelf.Close()
}

// prepare prepares all hosts. An interrupt ends it at once, for nothing has
// been touched.
func (a *application) prepare(ctx context.Context, work []Change) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-a.r.Drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	ready, unfit := a.r.prepareAll(ctx, a.world, work, &a.shelf)
	a.ready = ready
	for _, host := range sortedKeys(unfit) {
		o := Outcome{Host: host, Result: ResultBlocked, Step: StepPrepare, Err: unfit[host]}
		if ctx.Err() != nil {
			o = Outcome{Host: host, Result: ResultNotStarted, Step: StepPrepare, Reason: "the run was interrupted before its turn"}
		}
		a.finish(o)
	}
}

// finish records an outcome and tells it.
func (a *application) finish(o Outcome) {
	kind := map[Result]Kind{
		ResultInstalled: Finished, ResultLeft: Left, ResultNotStarted: NotStarted,
		ResultHeld: NotStarted, ResultStale: NotStarted,
	}[o.Result]
	if kind == "" {
		kind = Failed
	}
	if o.Err != nil {
		o.Reason = hostless(o.Err).Error()
	}
	a.report.Outcomes = append(a.report.Outcomes, o)
	a.r.Emit(Event{Host: o.Host, Kind: kind, Step: o.Step, Text: string(o.Result), Progress: o.Media, Error: o.Reason})
}

// hostless strips the layer that names the host and step, which an outcome
// has in fields of their own.
func hostless(err error) error {
	if he, ok := errors.AsType[*HostError](err); ok {
		return he.Err
	}
	return err
}

// rollOut starts hosts as the rollout allows, and waits for those that run.
func (a *application) rollOut(ctx context.Context) error {
	planned, unavailable := rolloutHosts(a.plan)
	var hosts []rollout.Host
	for _, h := range planned {
		switch {
		case a.ready[h.Name] != nil:
			hosts = append(hosts, h)
		case h.Down:
			unavailable = append(unavailable, h)
		}
	}
	ro := rollout.New(Limits(a.r.Fleet), rolloutRoles(a.r.Fleet), hosts, unavailable)
	ended := make(chan Outcome)
	drain := a.r.Drain
	draining := false
	for {
		select {
		case <-drain: // even before the first host
			drain, draining = nil, true
			a.r.Emit(Event{Kind: Draining, Total: int64(ro.InFlight())})
		default:
		}
		var start []string
		var wake time.Time
		if !draining && ctx.Err() == nil {
			start, wake = ro.Next(time.Now())
		}
		for _, host := range start {
			a.r.Emit(Event{Host: host, Kind: Started})
			in := a.newInstall(host)
			a.installs = append(a.installs, in)
			go func() { ended <- in.run(ctx) }()
		}
		if ro.InFlight() == 0 && wake.IsZero() {
			break
		}
		if ro.InFlight() == 0 {
			a.r.Emit(Event{Kind: Waiting, Text: "for the canary to soak until " + wake.Format(time.TimeOnly)})
		}
		select {
		case o := <-ended:
			account(ro, o)
			a.finish(o)
		case <-timer(wake):
		case <-drain: // told at the head of the loop: a closed channel can be read again
		case <-whenIdle(ctx, ro.InFlight()):
			draining = true
		}
	}
	return a.notStarted(ctx, ro, draining)
}

// account tells the rollout what became of a host that it had started. One that
// was not touched spends no budget.
func account(ro *rollout.Rollout, o Outcome) {
	switch o.Result {
	case ResultBlocked, ResultStale, ResultHeld, ResultNotStarted:
		ro.Withdraw(o.Host, errors.Is(o.Err, ErrHeld) || errors.Is(o.Err, redfish.ErrUnreachable))
	default:
		ro.Done(o.Host, o.Result == ResultInstalled, time.Now())
	}
}

// notStarted records the hosts that the rollout never let start.
func (a *application) notStarted(ctx context.Context, ro *rollout.Rollout, draining bool) error {
	held := ro.Held(time.Now())
	for _, host := range sortedKeys(held) {
		reason := held[host]
		if draining || ctx.Err() != nil {
			reason = "the run was interrupted before its turn"
		}
		a.finish(Outcome{Host: host, Result: ResultNotStarted, Reason: reason})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if draining {
		return ErrInterrupted
	}
	return nil
}

// timer fires at t, or never for the zero time.
func timer(t time.Time) <-chan time.Time {
	if t.IsZero() {
		return nil
	}
	return time.After(time.Until(t))
}

// whenIdle is ctx's end while nothing is in flight: as long as something is,
// its own end is waited for.
func whenIdle(ctx context.Context, inFlight int) <-chan struct{} {
	if inFlight > 0 {
		return nil
	}
	return ctx.Done()
}
