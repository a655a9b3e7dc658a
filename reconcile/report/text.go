package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/metalcue/metalcue/reconcile"
)

// signs stand before each line of a plan; the word beside them says the same.
var signs = map[reconcile.Action]string{
	reconcile.Install: "+", reconcile.Reinstall: "~", reconcile.Blocked: "!", reconcile.Held: "…", reconcile.None: "=",
	reconcile.Resume: ">",
}

// PlanText writes a plan for a person. Hosts that are as declared are counted,
// or listed when all is set.
func PlanText(w io.Writer, p *reconcile.Plan, all bool) error {
	b := new(strings.Builder)
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	shown := 0
	for _, c := range p.Changes {
		if quiet(c) && !all {
			continue
		}
		shown++
		planLine(tw, c)
	}
	tw.Flush()
	if shown > 0 {
		fmt.Fprintln(b)
	}
	if len(p.Waves) > 1 {
		wavesText(b, p.Waves, p.Bounds)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(b, "Note: %s\n", clean(n))
	}
	if p.Refused != "" {
		fmt.Fprintf(b, "Refused: %s\n", clean(p.Refused))
	}
	fmt.Fprintf(b, "Plan: %s\n", PlanSummary(p))
	_, err := io.WriteString(w, b.String())
	return err
}

// quiet reports whether there is nothing to say about a host.
func quiet(c reconcile.Change) bool {
	return c.Action == reconcile.None && len(c.Drift) == 0 && len(c.Warnings) == 0
}

func planLine(w io.Writer, c reconcile.Change) {
	why := make([]string, 0, len(c.Reasons))
	for _, r := range c.Reasons {
		why = append(why, clean(r.Text))
	}
	word := string(c.Action)
	if c.Action == reconcile.None {
		word = "in sync"
		if len(c.Drift) > 0 {
			word = "drifted"
		}
	}
	fmt.Fprintf(w, "  %s %s\t%s\t%s\n", signs[c.Action], c.Host, word, strings.Join(why, "; "))
	if c.Loses != "" {
		fmt.Fprintf(w, "    %s\t\terases %s%s\n", clean(c.Domain), clean(c.Loses), machine(c.From))
	}
	for _, warning := range c.Warnings {
		fmt.Fprintf(w, "    \t\twarning: %s\n", clean(warning))
	}
}

// machine names the machine that a change erases.
func machine(f reconcile.Found) string {
	words := strings.TrimSpace(f.Model)
	if words == "" {
		words = strings.TrimSpace(f.Vendor)
	}
	return clean(fmt.Sprintf(" (%s, serial %s, BMC %s)", cmp.Or(words, "machine"), cmp.Or(f.Serial, "none"), f.BMC))
}

func wavesText(b io.Writer, waves [][]string, bounds []string) {
	fmt.Fprintln(b, "In this order, if all goes well:")
	for i, wave := range waves {
		fmt.Fprintf(b, "  %d. %s\n", i+1, strings.Join(wave, ", "))
	}
	for _, line := range bounds {
		fmt.Fprintf(b, "  %s\n", clean(line))
	}
	fmt.Fprintln(b)
}

// PlanSummary is a plan in one line, such as "1 install, 2 reinstalls, 9 in sync".
func PlanSummary(p *reconcile.Plan) string {
	drifted := 0
	for _, c := range p.Changes {
		if c.Action == reconcile.None && len(c.Drift) > 0 {
			drifted++
		}
	}
	inSync := p.Count(reconcile.None) - drifted
	if inSync == len(p.Changes) {
		return fmt.Sprintf("nothing to do, %s in sync.", plural(inSync, "host"))
	}
	parts := []string{plural(p.Count(reconcile.Install), "install"), plural(p.Count(reconcile.Reinstall), "reinstall"), fmt.Sprintf("%d in sync", inSync)}
	if drifted > 0 {
		parts = append(parts, fmt.Sprintf("%d drifted and left alone", drifted))
	}
	if n := p.Count(reconcile.Blocked); n > 0 {
		parts = append(parts, fmt.Sprintf("%d blocked", n))
	}
	if n := p.Count(reconcile.Resume); n > 0 {
		parts = append(parts, fmt.Sprintf("%d resumed", n))
	}
	if n := p.Count(reconcile.Held); n > 0 {
		parts = append(parts, fmt.Sprintf("%d held by another run", n))
	}
	return strings.Join(parts, ", ") + "."
}

// clean makes text from BMCs, NetBox and files fit for one line of a terminal
// or a log: control characters could move the cursor, or forge lines.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, s)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ReportText writes what became of a run for a person.
func ReportText(w io.Writer, r *reconcile.Report) error {
	b := new(strings.Builder)
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, o := range r.Outcomes {
		fmt.Fprintf(tw, "  %s %s\t%s\t%s\n", outcomeSign(o), o.Host, o.Result, clean(outcomeText(o)))
		for _, warning := range o.Warnings {
			fmt.Fprintf(tw, "    \t\twarning: %s\n", clean(warning))
		}
	}
	tw.Flush()
	fmt.Fprintf(b, "Run %s: %s\n", r.Run, ReportSummary(r))
	_, err := io.WriteString(w, b.String())
	return err
}

func outcomeSign(o reconcile.Outcome) string {
	switch o.Result {
	case reconcile.ResultInstalled:
		return "✓"
	case reconcile.ResultNotStarted, reconcile.ResultHeld:
		return "…"
	}
	return "✗"
}

func outcomeText(o reconcile.Outcome) string {
	switch {
	case o.Result == reconcile.ResultInstalled:
		text := "in " + took(o.Started, o.Finished)
		if o.Media != nil {
			text += ", " + Bytes(o.Media.Distinct) + " read"
		}
		return text + ", marker " + o.Marker
	case o.Step != "":
		return fmt.Sprintf("%s: %s", o.Step, o.Reason)
	}
	return o.Reason
}

// ReportSummary is a report in one line.
func ReportSummary(r *reconcile.Report) string {
	words := []struct {
		result reconcile.Result
		text   string
	}{
		{reconcile.ResultInstalled, "installed"}, {reconcile.ResultFailed, "failed"}, {reconcile.ResultBlocked, "blocked"},
		{reconcile.ResultStale, "changed since the plan"}, {reconcile.ResultHeld, "held by another run"},
		{reconcile.ResultLeft, "left in the middle"}, {reconcile.ResultNotStarted, "not started"},
	}
	var parts []string
	for _, word := range words {
		if n := r.Count(word.result); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word.text))
		}
	}
	if len(parts) == 0 {
		return "nothing was to be done."
	}
	return strings.Join(parts, ", ") + " in " + took(r.Started, r.Finished) + "."
}

// took is a duration as a person says it: two units at most.
func took(from, to time.Time) string {
	d := to.Sub(from)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// Bytes is a size in decimal units, as disks and networks have them.
func Bytes(n int64) string {
	const units = "kMGT"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), -1
	for f >= 999.5 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	if f < 9.95 {
		return fmt.Sprintf("%.1f %cB", f, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", f, units[unit])
}
