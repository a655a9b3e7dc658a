package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/notify"
	"github.com/metalcue/metalcue/reconcile/record"
	"github.com/metalcue/metalcue/reconcile/report"
	"github.com/metalcue/metalcue/reconcile/source"
	"github.com/metalcue/metalcue/schema"
	"github.com/spf13/cobra"
)

// addRun makes the root command a run.
func (c *cli) addRun(root *cobra.Command) {
	c.options.addRun(root.Flags())
	c.options.addImages(root.Flags())
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("max-installs") && c.options.maxInstalls < 1 {
			return fmt.Errorf("--max-installs %d: must be at least 1", c.options.maxInstalls)
		}
		if err := c.checkRunFlags(); err != nil {
			return err
		}
		return c.reconcile(cmd.Context())
	}
}

func (c *cli) checkRunFlags() error {
	o := &c.options
	switch {
	case o.detailedExitCode && !o.dryRun:
		return errors.New("--detailed-exitcode goes with --dry-run")
	case o.planOut != "" && !o.dryRun:
		return errors.New("--plan-out goes with --dry-run")
	case o.netboxSnapshot != "" && !o.dryRun:
		return errors.New("--netbox-snapshot is for looking only; it goes with --dry-run")
	case o.planFile != "" && o.dryRun:
		return errors.New("--plan applies a plan; it does not go with --dry-run")
	case o.planFile != "" && len(o.limit)+len(o.retry)+len(o.installUnmarked)+o.maxInstalls > 0:
		return errors.New("--plan applies a plan as it was made; it does not go with --limit, --retry, --install-unmarked or --max-installs")
	}
	if _, err := o.mediaIP(); err != nil {
		return err
	}
	return checkOutput(o.output, outputs...)
}

// reconcile is one run.
func (c *cli) reconcile(ctx context.Context) error {
	tree, fleet, err := c.load(ctx)
	if err != nil {
		return err
	}
	if err := c.refuseDirty(tree); err != nil {
		return err
	}
	r, err := c.withImages(tree, fleet)
	if err != nil {
		return err
	}
	out := c.newOutput()
	defer out.close()
	endRecord, err := c.beginRecord(r)
	if err != nil {
		return err
	}
	defer endRecord()
	notifier, err := c.notifier(ctx, fleet, r)
	if err != nil {
		return err
	}
	defer notifier.Close()
	out.notifier = notifier
	r.OnEvent = func(e reconcile.Event) {
		out.event(e)
		c.kept.Event(e)
		notifier.Event(e)
	}
	saved, err := c.savedPlan()
	if err != nil {
		return err
	}
	media, err := c.listenForRun(ctx, r)
	if err != nil {
		return err
	}
	defer media.stop()
	if saved != nil {
		r.OwnMedia = nil // the plan was made where nothing was known of dead runs
	}
	plan, world, err := c.plan(ctx, r)
	if err != nil {
		notifier.End(nil, err)
		return err
	}
	if saved != nil {
		if err := checkSaved(c.options.planFile, saved, plan); err != nil {
			return err
		}
	}
	if err := out.plan(plan); err != nil {
		return err
	}
	c.kept.Plan(plan)
	if c.options.dryRun {
		c.writeMetrics(plan, nil)
		return c.dryRunEnd(plan)
	}
	if plan.Refused != "" || len(plan.Work()) == 0 {
		return c.apply(ctx, r, plan, world, out)
	}
	if media.busy != nil {
		return media.busy
	}
	c.drains.Store(true)
	return c.apply(ctx, r, plan, world, out)
}

// beginRecord begins the run's record where one is asked for. What it returns
// ends it; a record that could not be written does not fail a run.
func (c *cli) beginRecord(r *reconcile.Reconciler) (end func(), err error) {
	if c.options.record == "" {
		return func() {}, nil
	}
	if c.kept, err = record.Create(c.options.record, time.Now(), r.Run); err != nil {
		return nil, err
	}
	r.OnRendered = c.kept.Rendered
	return func() {
		if err := c.kept.Close(); err != nil {
			c.logger().Warn(err.Error())
		}
	}, nil
}

// writeMetrics replaces the file of --metrics as a whole: a collector may read it
// at any time. What cannot be written fails no run.
func (c *cli) writeMetrics(plan *reconcile.Plan, rep *reconcile.Report) {
	name := c.options.metrics
	if name == "" {
		return
	}
	var b bytes.Buffer
	err := report.Metrics(&b, plan, rep)
	if err == nil {
		err = os.WriteFile(name+".new", b.Bytes(), 0o644)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		c.logger().Warn("writing metrics", "error", err.Error())
	}
}

// notifier returns who tells the fleet's webhooks of this run, or nil. A secret
// that is not there is an error now, and not when there is something to tell.
func (c *cli) notifier(ctx context.Context, fleet *schema.Fleet, r *reconcile.Reconciler) (*notify.Notifier, error) {
	n := &notify.Notifier{Link: r.Link, Logger: c.logger()}
	for _, h := range []notify.Hook{{Name: fleet.Policy.Notify.Slack, Slack: true}, {Name: fleet.Policy.Notify.Webhook}} {
		if h.Name == "" || c.options.dryRun {
			continue
		}
		var err error
		if h.URL, err = c.credentials().Secret(ctx, h.Name); err != nil {
			return nil, fmt.Errorf("policy.notify: %w", err)
		}
		if err := h.Check(); err != nil {
			return nil, fmt.Errorf("policy.notify: %w", err)
		}
		n.Hooks = append(n.Hooks, h)
	}
	if len(n.Hooks) == 0 {
		return nil, nil
	}
	return n, nil
}

// refuseDirty keeps what is in no commit from being applied by accident.
func (c *cli) refuseDirty(tree *source.Tree) error {
	if c.options.dryRun || c.options.allowDirty {
		return nil
	}
	if tree.Commit == "" {
		return errors.New("the fleet is in no git repository, so that no commit says what is applied; commit it, or look with --dry-run")
	}
	if len(tree.Dirty) > 0 {
		return fmt.Errorf("the fleet has changes that are in no commit: %s; commit them, look with --dry-run, or apply them with --allow-dirty", strings.Join(tree.Dirty, ", "))
	}
	return nil
}

// plan observes the chosen hosts and decides.
func (c *cli) plan(ctx context.Context, r *reconcile.Reconciler) (*reconcile.Plan, *reconcile.World, error) {
	sel, err := reconcile.ParseSelector(c.options.limit)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Concat(c.options.installUnmarked, c.options.retry) {
		if r.Fleet.Hosts[name] == nil {
			return nil, nil, fmt.Errorf("%q is no host of the fleet", name)
		}
	}
	world, err := r.Observe(ctx, sel)
	if err != nil {
		return nil, nil, err
	}
	return reconcile.Diff(r.Fleet, world, reconcile.Options{
		InstallUnmarked: c.options.installUnmarked, Retry: c.options.retry, MaxInstalls: c.options.maxInstalls,
	}), world, nil
}

// dryRunEnd saves the plan when asked to and returns the exit code.
func (c *cli) dryRunEnd(plan *reconcile.Plan) error {
	if c.options.planOut != "" {
		b, err := json.MarshalIndent(plan, "", "  ")
		if err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
		if err := os.WriteFile(c.options.planOut, append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("writing the plan: %w", err)
		}
	}
	switch {
	case plan.Refused != "":
		return &codeError{code: exitError}
	case plan.Errors() > 0:
		return &codeError{code: exitHosts}
	case c.options.detailedExitCode && plan.Drifted() > 0:
		return &codeError{code: exitDrift}
	}
	return nil
}

// savedPlan reads the plan that --plan names, if any, and chooses the hosts and
// options that it was made with.
func (c *cli) savedPlan() (*reconcile.Plan, error) {
	path := c.options.planFile
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	var saved reconcile.Plan
	if err := json.Unmarshal(b, &saved); err != nil {
		return nil, fmt.Errorf("reading the plan %s: %w", path, err)
	}
	if saved.Format != reconcile.PlanFormat {
		return nil, fmt.Errorf("the plan %s has format %d, this program reads %d", path, saved.Format, reconcile.PlanFormat)
	}
	c.options.limit = saved.Limit
	c.options.installUnmarked, c.options.retry, c.options.maxInstalls = saved.Options.InstallUnmarked, saved.Options.Retry, saved.Options.MaxInstalls
	return &saved, nil
}

// checkSaved refuses a saved plan that is not what would be planned now.
func checkSaved(path string, saved, now *reconcile.Plan) error {
	hosts, other := saved.Differs(now)
	switch {
	case len(hosts) > 0:
		return fmt.Errorf("%w: %s is not what would be planned now for %s; plan again", reconcile.ErrStale, path, strings.Join(hosts, ", "))
	case other:
		return fmt.Errorf("%w: %s was made from commit %s, and the fleet is at %s; plan again", reconcile.ErrStale, path, saved.Commit, now.Commit)
	}
	return nil
}

// apply carries the plan out and returns the run's exit code.
func (c *cli) apply(ctx context.Context, r *reconcile.Reconciler, plan *reconcile.Plan, world *reconcile.World, out *output) error {
	rep, err := r.Apply(ctx, plan, world)
	out.close()
	c.kept.Report(rep)
	c.writeMetrics(plan, rep)
	out.notifier.End(rep, err)
	if e := out.report(rep); e != nil {
		return errors.Join(err, e)
	}
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, reconcile.ErrInterrupted):
		return &codeError{code: exitInterrupted}
	case err != nil:
		return err
	case rep.Count(reconcile.ResultFailed)+rep.Count(reconcile.ResultBlocked)+rep.Count(reconcile.ResultNotStarted)+plan.Errors() > 0:
		return &codeError{code: exitHosts}
	case rep.Count(reconcile.ResultStale) > 0:
		return &codeError{code: exitStale}
	case rep.Count(reconcile.ResultHeld)+plan.Count(reconcile.Held) > 0:
		return &codeError{code: exitHeld}
	}
	return nil
}

// An output shows a run in the form that was asked for: the answer on stdout,
// progress on stderr.
type output struct {
	c        *cli
	live     *report.Events
	notifier *notify.Notifier // nil for none
	closed   bool
}

func (c *cli) newOutput() *output {
	o := &output{c: c}
	if c.options.output != "json" {
		width, ok := terminal(c.stderr)
		o.live = &report.Events{W: c.stderr, Terminal: ok, Width: width}
	}
	return o
}

func (o *output) event(e reconcile.Event) {
	if o.live == nil {
		report.EventJSON(o.c.stdout, e)
		return
	}
	o.live.Show(e)
}

// close clears the live area; it may be called twice.
func (o *output) close() {
	if o.live != nil && !o.closed {
		o.live.Close()
	}
	o.closed = true
}

func (o *output) plan(p *reconcile.Plan) error {
	for _, ch := range p.Changes {
		if ch.Error {
			annotate(o.c.stderr, ch.Pos, ch.Host+": "+ch.Reasons[0].Text)
		}
	}
	switch o.c.options.output {
	case "json":
		return report.PlanJSON(o.c.stdout, p)
	case "markdown":
		return report.PlanMarkdown(o.c.stdout, p)
	}
	return report.PlanText(o.c.stdout, p, false)
}

func (o *output) report(r *reconcile.Report) error {
	w := io.Writer(o.c.stdout)
	switch {
	case o.c.options.output == "json":
		return report.ReportJSON(w, r)
	case len(r.Outcomes) == 0:
		return nil
	case o.c.options.output == "markdown":
		return report.ReportMarkdown(w, r)
	}
	return report.ReportText(w, r)
}
