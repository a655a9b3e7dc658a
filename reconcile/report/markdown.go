package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/metalcue/metalcue/reconcile"
)

// PlanMarkdown writes a plan for a pull request or a job summary.
func PlanMarkdown(w io.Writer, p *reconcile.Plan) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "### reconcile: %s\n\n", PlanSummary(p))
	if p.Refused != "" {
		fmt.Fprintf(b, "> **Refused.** %s\n\n", escape(p.Refused))
	}
	rows := 0
	for _, c := range p.Changes {
		if quiet(c) {
			continue
		}
		if rows++; rows == 1 {
			b.WriteString("| host | action | why | erases |\n| --- | --- | --- | --- |\n")
		}
		var why []string
		for _, r := range c.Reasons {
			why = append(why, escape(r.Text))
		}
		for _, warning := range c.Warnings {
			why = append(why, "warning: "+escape(warning))
		}
		erases := ""
		if c.Loses != "" {
			erases = escape(c.Loses + machine(c.From))
		}
		fmt.Fprintf(b, "| `%s` | %s %s | %s | %s |\n", c.Host, signs[c.Action], c.Action, strings.Join(why, "<br>"), erases)
	}
	if rows > 0 {
		b.WriteString("\n")
	}
	if len(p.Waves) > 1 {
		b.WriteString("In this order, if all goes well:\n\n")
		for i, wave := range p.Waves {
			fmt.Fprintf(b, "%d. %s\n", i+1, "`"+strings.Join(wave, "`, `")+"`")
		}
		b.WriteString("\n")
		for _, line := range p.Bounds {
			fmt.Fprintf(b, "- %s\n", escape(line))
		}
		if len(p.Bounds) > 0 {
			b.WriteString("\n")
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(b, "- %s\n", escape(n))
	}
	if p.Commit != "" {
		fmt.Fprintf(b, "\nFleet at commit `%s`.\n", p.Commit)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ReportMarkdown writes what became of a run for a job summary.
func ReportMarkdown(w io.Writer, r *reconcile.Report) error {
	b := new(strings.Builder)
	fmt.Fprintf(b, "### reconcile run `%s`: %s\n\n", r.Run, ReportSummary(r))
	if len(r.Outcomes) > 0 {
		b.WriteString("| host | result | what |\n| --- | --- | --- |\n")
	}
	for _, o := range r.Outcomes {
		text := escape(outcomeText(o))
		for _, warning := range o.Warnings {
			text += "<br>warning: " + escape(warning)
		}
		fmt.Fprintf(b, "| `%s` | %s %s | %s |\n", o.Host, outcomeSign(o), o.Result, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// escape keeps foreign text from being read as Markdown or HTML.
var escaper = strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "\n", "<br>", "`", "'", "[", `\[`, "]", `\]`, "*", `\*`, "_", `\_`)

func escape(s string) string { return clean(escaper.Replace(s)) }
