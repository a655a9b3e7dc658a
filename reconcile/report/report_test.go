package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/report"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// plan is one with all that a plan can hold.
func plan() *reconcile.Plan {
	found := func(marker string) reconcile.Found {
		return reconcile.Found{Marker: marker, Serial: "8YL5R21", Power: "On", BMC: "10.0.0.1", Vendor: "Dell", Model: "PowerEdge R750"}
	}
	return &reconcile.Plan{
		Format: reconcile.PlanFormat, Commit: strings.Repeat("c0ffee", 6) + "c0ff",
		Changes: []reconcile.Change{
			{
				Host: "db-01", Action: reconcile.Reinstall, OS: "rocky-9.6", Role: "db", Domain: "tokyo/r1", Attempt: 1,
				Reasons:  []reconcile.Reason{{Code: reconcile.OSDiffers, Text: "os: rocky-9.5 → rocky-9.6"}},
				Drift:    []reconcile.Drift{{Kind: "os", From: "rocky-9.5", To: "rocky-9.6"}},
				Loses:    "rocky-9.5, role db",
				Warnings: []string{"no rack in NetBox"}, From: found("rc1.k1.00000000.00000.rocky-9.5"),
			},
			{
				Host: "db-02", Action: reconcile.Blocked, Error: true, From: found("ACCT|4711"),
				Reasons: []reconcile.Reason{{Code: reconcile.MarkerForeign, Text: `"ACCT|4711": foreign tag <script>`}},
			},
			{
				Host: "db-03", Action: reconcile.Held, From: found("rc1.i1.00000000.run1.0w6thr4"),
				Reasons: []reconcile.Reason{{Code: reconcile.Claimed, Text: "run run1 installs it"}},
			},
			{
				Host: "web-01", Action: reconcile.Install, Domain: "tokyo/r2", Attempt: 1, Loses: "whatever is on its disks", From: found(""),
				Reasons: []reconcile.Reason{{Code: reconcile.MarkerAbsent, Text: "it bears no marker, and NetBox says \"staged\""}},
			},
			{
				Host: "web-02", Action: reconcile.None, From: found("rc1.k1.00000000.00000.rocky-9.6"),
				To:      reconcile.Wanted{Spec: "00000000", Config: "00000", Label: "rocky-9.6"},
				Reasons: []reconcile.Reason{{Code: reconcile.InSync, Text: "rocky-9.6, role web, generation 1"}},
			},
		},
		Waves:   [][]string{{"db-01", "web-01"}, {"web-03"}},
		Bounds:  []string{"3 to install, at most 10 at once (policy.parallel); none starts once 1 failed (policy.failureBudget)"},
		Refused: "2 installs are more than policy.guard.maxInstalls allows in one run (1)",
		Notes:   []string{"device other-01 is in the scope, and no host of the fleet"},
	}
}

// world is what the plan was made from, as far as a status shows it.
func world() *reconcile.World {
	return &reconcile.World{Hosts: map[string]*reconcile.Observation{
		"web-02": {Device: &netbox.Device{CustomFields: map[string]any{
			"last_installed": "2026-11-20T09:30:00Z", "reconcile_commit": "c0ffeec0ffee", "reconcile_generation": 3, "reconcile_marker": "rc1.k1.00000000.00000.rocky-9.6",
		}}},
		"db-01": {Device: &netbox.Device{CustomFields: map[string]any{"last_installed": nil}}},
	}}
}

func outcomes() *reconcile.Report {
	return &reconcile.Report{
		Format: reconcile.ReportFormat, Run: "abc1234", Commit: "c0ffee", Started: noon, Finished: noon.Add(75 * time.Minute),
		Outcomes: []reconcile.Outcome{
			{
				Host: "db-01", Result: reconcile.ResultInstalled, Step: reconcile.StepJournal, Marker: "rc1.k1.00000000.00000.rocky-9.6",
				Started: noon, Finished: noon.Add(14*time.Minute + 3*time.Second), Warnings: []string{"telling NetBox: 403 Forbidden"},
				Media: &isohttp.Progress{Distinct: 2_340_000_000},
			},
			{Host: "db-02", Result: reconcile.ResultFailed, Step: reconcile.StepInstall, Reason: "it is still on after 1h0m0s"},
			{Host: "db-03", Result: reconcile.ResultNotStarted, Reason: "the failure budget is spent"},
		},
	}
}

func TestGolden(t *testing.T) {
	tests := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"plan.txt", func(w io.Writer) error { return report.PlanText(w, plan(), false) }},
		{"plan-all.txt", func(w io.Writer) error { return report.PlanText(w, plan(), true) }},
		{"plan.md", func(w io.Writer) error { return report.PlanMarkdown(w, plan()) }},
		{"plan.json", func(w io.Writer) error { return report.PlanJSON(w, plan()) }},
		{"report.txt", func(w io.Writer) error { return report.ReportText(w, outcomes()) }},
		{"report.md", func(w io.Writer) error { return report.ReportMarkdown(w, outcomes()) }},
		{"report.json", func(w io.Writer) error { return report.ReportJSON(w, outcomes()) }},
		{"metrics.txt", func(w io.Writer) error { return report.Metrics(w, plan(), outcomes()) }},
		{"status.json", func(w io.Writer) error { return report.StatusJSON(w, report.StatusOf(plan(), world())) }},
		{"status.txt", func(w io.Writer) error { return report.StatusText(w, report.StatusOf(plan(), world()), noon) }},
		{"events.txt", func(w io.Writer) error { return show(w, false) }},
		{"events-terminal.txt", func(w io.Writer) error { return show(w, true) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			if err := tt.write(&got); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", tt.name)
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

// show plays a run's events.
func show(w io.Writer, terminal bool) error {
	s := &report.Events{W: w, Terminal: terminal, Width: 72}
	at := noon
	for _, e := range []reconcile.Event{
		{Kind: reconcile.Observed, Host: "db-01", Done: 1, Total: 2},
		{Kind: reconcile.Observed, Host: "db-02", Done: 2, Total: 2},
		{Kind: reconcile.Fetching, Text: "download https://mirror.example.com/alma.iso", Done: 300_000_000, Total: 2_000_000_000},
		{Kind: reconcile.Fetching, Text: "download https://mirror.example.com/alma.iso", Done: 500_000_000, Total: 2_000_000_000},
		{Kind: reconcile.Fetching, Text: "download https://mirror.example.com/of-unknown-size.iso", Done: 500_000_000},
		{Kind: reconcile.Fetching, Text: "verify rocky-9.6.iso", Done: 2_000_000_000, Total: 2_000_000_000},
		{Kind: reconcile.Fetching, Text: "download https://mirror.example.com/alma.iso", Done: 2_000_000_000, Total: 2_000_000_000},
		{Kind: reconcile.Started, Host: "db-01"},
		{Kind: reconcile.Stepped, Host: "db-01", Step: reconcile.StepClaim},
		{Kind: reconcile.Started, Host: "db-02"},
		{Kind: reconcile.Stepped, Host: "db-01", Step: reconcile.StepInstall},
		{Kind: reconcile.Progressed, Host: "db-01", Step: reconcile.StepInstall, Progress: &isohttp.Progress{
			Size: 1000, Distinct: 430, Rate: 112_000_000, Phases: []isohttp.PhaseProgress{{Phase: isohttp.Initrd, Total: 100, Distinct: 10}},
		}},
		{Kind: reconcile.Warned, Host: "db-01", Text: "its BMC does not answer during the install"},
		{Kind: reconcile.Finished, Host: "db-01"},
		{Kind: reconcile.Draining, Total: 1},
		{Kind: reconcile.Failed, Host: "db-02", Text: "failed", Error: "a very long reason that does not fit into the width of this terminal at all"},
	} {
		at = at.Add(time.Second)
		e.At = at
		s.Show(e)
	}
	s.Close()
	return nil
}

// TestStates: each kind of marker has its state, whatever is done about it.
func TestStates(t *testing.T) {
	tag := func(s marker.State) string {
		return marker.Marker{State: s, Attempt: 1, Spec: "00000000", Config: "00000", Run: "r", Lease: noon, Reason: "x"}.String()
	}
	tests := []struct {
		marker, power string
		to            reconcile.Wanted
		code          reconcile.ReasonCode
		want          string
	}{
		{tag(marker.Installed), "On", reconcile.Wanted{Spec: "00000000", Config: "00000"}, reconcile.InSync, "match"},
		{tag(marker.Installed), "On", reconcile.Wanted{Spec: "00000000", Config: "00000"}, reconcile.InventoryDisagrees, "match"},
		{tag(marker.Installed), "On", reconcile.Wanted{Spec: "00000000", Config: "11111"}, reconcile.ConfigDiffers, "differs"},
		{tag(marker.Installed), "On", reconcile.Wanted{Spec: "11111111", Config: "00000"}, reconcile.OSDiffers, "differs"},
		{"", "On", reconcile.Wanted{}, reconcile.MarkerAbsent, "absent"},
		{"", "On", reconcile.Wanted{}, reconcile.MarkerUnreadable, "unreadable"},
		{"ACCT-1", "On", reconcile.Wanted{}, reconcile.MarkerForeign, "foreign"},
		{tag(marker.Installing), "On", reconcile.Wanted{}, reconcile.Claimed, "installing"},
		{tag(marker.Failed), "Off", reconcile.Wanted{}, reconcile.AttemptFailed, "failed"},
		{"", "", reconcile.Wanted{}, reconcile.Unreachable, "unknown"},
	}
	for _, tt := range tests {
		c := reconcile.Change{From: reconcile.Found{Marker: tt.marker, Power: tt.power}, To: tt.to, Reasons: []reconcile.Reason{{Code: tt.code}}}
		if got := report.StatusOf(&reconcile.Plan{Changes: []reconcile.Change{c}}, &reconcile.World{})[0].State; got != tt.want {
			t.Errorf("%q, %s: state %q, want %q", tt.marker, tt.code, got, tt.want)
		}
	}
}

// TestHostileText: what a BMC says of itself can neither move the cursor nor
// begin a line, where a CI runner would take it for a command.
func TestHostileText(t *testing.T) {
	p := plan()
	p.Changes[0].From.Model = "R750\x1b[2J\n::error::forged"
	p.Changes[0].Reasons[0].Text = "a\rb"
	for name, write := range map[string]func(io.Writer) error{
		"text":     func(w io.Writer) error { return report.PlanText(w, p, false) },
		"markdown": func(w io.Writer) error { return report.PlanMarkdown(w, p) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\r") || strings.Contains(b.String(), "\n::error") {
			t.Errorf("%s: %q", name, b.String())
		}
	}
}

// TestPlanSurvivesJSON: a plan can be stored and read back.
func TestPlanSurvivesJSON(t *testing.T) {
	var b bytes.Buffer
	if err := report.PlanJSON(&b, plan()); err != nil {
		t.Fatal(err)
	}
	var line report.Line
	if err := json.Unmarshal(b.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan(), line.Plan); diff != "" || line.Type != "plan" {
		t.Errorf("type %q, plan (-want +got):\n%s", line.Type, diff)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_940: "9.9 kB", 99_999: "100 kB", 999_700: "1.0 MB", 2_340_000_000: "2.3 GB"} {
		if got := report.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
