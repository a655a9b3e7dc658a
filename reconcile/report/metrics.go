package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/metalcue/metalcue/reconcile"
)

// Metrics writes what a run came to in the text format of Prometheus, for the
// textfile collector of node_exporter: one run replaces the last. r is nil
// after a dry run.
func Metrics(w io.Writer, p *reconcile.Plan, r *reconcile.Report) error {
	b := new(strings.Builder)
	family := func(name, kind, help string) { fmt.Fprintf(b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind) }

	family("reconcile_hosts", "gauge", "Hosts looked at, by what the plan does with them.")
	for _, a := range []reconcile.Action{reconcile.None, reconcile.Install, reconcile.Reinstall, reconcile.Blocked, reconcile.Held} {
		fmt.Fprintf(b, "reconcile_hosts{action=%q} %d\n", a, p.Count(a))
	}
	family("reconcile_hosts_need_a_person", "gauge", "Hosts that are not as they should be for a cause that a person must mend.")
	fmt.Fprintf(b, "reconcile_hosts_need_a_person %d\n", p.Errors())
	family("reconcile_hosts_drifted", "gauge", "Hosts that differ from what is declared, whatever is done about it.")
	fmt.Fprintf(b, "reconcile_hosts_drifted %d\n", p.Drifted())
	family("reconcile_plan_refused", "gauge", "Whether the plan as a whole was refused.")
	fmt.Fprintf(b, "reconcile_plan_refused %d\n", map[bool]int{true: 1}[p.Refused != ""])
	if r != nil {
		family("reconcile_outcomes", "gauge", "Hosts of the last run, by what became of them.")
		for _, o := range []reconcile.Result{reconcile.ResultInstalled, reconcile.ResultFailed, reconcile.ResultBlocked,
			reconcile.ResultNotStarted, reconcile.ResultLeft, reconcile.ResultStale, reconcile.ResultHeld} {
			fmt.Fprintf(b, "reconcile_outcomes{result=%q} %d\n", o, r.Count(o))
		}
		family("reconcile_run_duration_seconds", "gauge", "How long the last run took.")
		fmt.Fprintf(b, "reconcile_run_duration_seconds %.3f\n", r.Finished.Sub(r.Started).Seconds())
		family("reconcile_run_finished_timestamp_seconds", "gauge", "When the last run ended.")
		fmt.Fprintf(b, "reconcile_run_finished_timestamp_seconds %d\n", r.Finished.Unix())
	}
	_, err := io.WriteString(w, b.String())
	return err
}
