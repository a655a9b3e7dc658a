package notify

import (
	"fmt"
	"strings"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/report"
)

// maxLines bounds the hosts that one message names, maxText its bytes; Slack
// cuts at 40,000 characters and people stop earlier.
const (
	maxLines = 20
	maxText  = 6000
)

func eventText(e reconcile.Event, link string) string {
	what := "failed"
	if e.Kind == reconcile.Left {
		what = "was left"
	}
	if e.Text != "" && e.Kind == reconcile.Failed {
		what = e.Text
	}
	return finish(fmt.Sprintf(":x: *%s* %s at %s: %s", mrkdwn(e.Host), mrkdwn(what), e.Step, mrkdwn(e.Error)), e.Run, link)
}

func endText(r *reconcile.Report, link string) string {
	sign := ":white_check_mark:"
	var lines []string
	for _, o := range r.Outcomes {
		if o.Result != reconcile.ResultInstalled {
			sign = ":warning:"
			lines = append(lines, fmt.Sprintf("• *%s* %s: %s", mrkdwn(o.Host), o.Result, mrkdwn(o.Reason)))
		}
	}
	if n := len(lines) - maxLines; n > 0 {
		lines = append(lines[:maxLines], fmt.Sprintf("• and %d more", n))
	}
	return finish(strings.Join(append([]string{sign + " " + mrkdwn(report.ReportSummary(r))}, lines...), "\n"), r.Run, link)
}

func errorText(err error, link string) string {
	return finish(":x: the run failed: "+mrkdwn(err.Error()), "", link)
}

// finish adds where to look.
func finish(text, run, link string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	switch {
	case link != "" && run != "":
		return fmt.Sprintf("%s\n<%s|run %s>", text, link, run)
	case link != "":
		return fmt.Sprintf("%s\n<%s>", text, link)
	case run != "":
		return text + "\nrun " + run
	}
	return text
}

// mrkdwn keeps foreign text from being read as Slack's markup: a link, a
// mention of everybody.
func mrkdwn(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
