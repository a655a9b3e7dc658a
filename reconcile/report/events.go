package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
)

// Events shows events to a person as they come: on a terminal with one line
// for each host under way, which is redrawn in place; elsewhere with one line
// for each event that matters. Its methods must not be called concurrently.
type Events struct {
	W        io.Writer
	Terminal bool
	// Width is the terminal's width in columns; 0 means 100.
	Width int

	active   map[string]*row
	fetching map[string]reconcile.Event // the last of each image that is on its way, by text
	drawn    int                        // lines of the live area on the screen
}

const (
	// fetchLines is how often a fetch that goes on is worth a line of its own,
	// where nothing is redrawn.
	fetchLines = 30 * time.Second

	// fetchEnded is how long after the last word about it a fetch is under way.
	fetchEnded = 10 * time.Second
)

// A row is what is known of a host under way.
type row struct {
	since    time.Time
	step     reconcile.Step
	progress *isohttp.Progress
}

// Show shows one event.
func (s *Events) Show(e reconcile.Event) {
	if s.active == nil {
		s.active, s.fetching = map[string]*row{}, map[string]reconcile.Event{}
	}
	line := clean(s.line(e))
	s.follow(e)
	if !s.Terminal {
		if line != "" {
			fmt.Fprintf(s.W, "%s %s\n", e.At.Format(time.TimeOnly), line)
		}
		return
	}
	b := new(strings.Builder)
	s.erase(b)
	if line != "" && e.Kind != reconcile.Stepped {
		fmt.Fprintf(b, "  %s\n", clip(line, s.width()-2))
	}
	s.draw(b, e)
	io.WriteString(s.W, b.String())
}

// Close clears the live area.
func (s *Events) Close() {
	b := new(strings.Builder)
	s.erase(b)
	io.WriteString(s.W, b.String())
}

func (s *Events) width() int { return cmp.Or(s.Width, 100) }

// line returns the one line that an event is worth, or "".
func (s *Events) line(e reconcile.Event) string {
	switch e.Kind {
	case reconcile.Observed:
		if s.Terminal || e.Done != e.Total {
			return ""
		}
		return fmt.Sprintf("read %s", plural(int(e.Total), "BMC"))
	case reconcile.Started:
		return fmt.Sprintf("%s: install begins", e.Host)
	case reconcile.Stepped:
		return fmt.Sprintf("%s: %s", e.Host, stepWords[e.Step])
	case reconcile.Warned:
		return fmt.Sprintf("%s: warning: %s", e.Host, e.Text)
	case reconcile.Finished:
		return fmt.Sprintf("%s: installed, verified and marked", e.Host)
	case reconcile.Failed, reconcile.Left, reconcile.NotStarted:
		return fmt.Sprintf("%s: %s: %s", e.Host, e.Text, e.Error)
	case reconcile.Waiting:
		return "waiting " + e.Text
	case reconcile.Draining:
		return fmt.Sprintf("interrupted: finishing %s under way and starting no other; press Ctrl-C again to leave them as they are", plural(int(e.Total), "install"))
	case reconcile.Fetching:
		if e.Done == e.Total {
			return fmt.Sprintf("%s: %s", e.Text, Bytes(e.Total))
		}
		if f, ok := s.fetching[e.Text]; !s.Terminal && (!ok || e.At.Sub(f.At) >= fetchLines) {
			return strings.TrimSuffix(fmt.Sprintf("%s: %s of %s", e.Text, Bytes(e.Done), Bytes(e.Total)), " of 0 B")
		}
	}
	return ""
}

// stepWords says what happens in each step.
var stepWords = map[reconcile.Step]string{
	"":                     "starting",
	reconcile.StepIdentity: "checking who it is",
	reconcile.StepClaim:    "claiming it",
	reconcile.StepPowerOff: "powering off",
	reconcile.StepInsert:   "inserting its media",
	reconcile.StepBoot:     "booting from CD once",
	reconcile.StepInstall:  "installing",
	reconcile.StepEject:    "ejecting the media",
	reconcile.StepDisk:     "booting its disk",
	reconcile.StepVerify:   "verifying",
	reconcile.StepMarker:   "writing its marker",
	reconcile.StepJournal:  "telling NetBox",
}

// fetchText is an image's live line: how far it has got. Its name, which may be
// long, comes last.
func fetchText(e reconcile.Event) string {
	if e.Total <= 0 {
		return fmt.Sprintf("%s  %s", Bytes(e.Done), e.Text)
	}
	percent := int(e.Done * 100 / e.Total)
	return fmt.Sprintf("%s %3d %% of %s  %s", bar(percent, 20), percent, Bytes(e.Total), e.Text)
}

// follow keeps the rows up to date.
func (s *Events) follow(e reconcile.Event) {
	if e.Kind == reconcile.Fetching {
		f, ok := s.fetching[e.Text]
		switch {
		case e.Done == e.Total:
			delete(s.fetching, e.Text)
		case s.Terminal || !ok || e.At.Sub(f.At) >= fetchLines:
			s.fetching[e.Text] = e
		}
	}
	if e.Host == "" {
		return
	}
	switch e.Kind {
	case reconcile.Started:
		s.active[e.Host] = &row{since: e.At}
	case reconcile.Stepped:
		if r := s.active[e.Host]; r != nil {
			r.step = e.Step
		}
	case reconcile.Progressed:
		if r := s.active[e.Host]; r != nil {
			r.progress = e.Progress
		}
	case reconcile.Finished, reconcile.Failed, reconcile.Left, reconcile.NotStarted:
		delete(s.active, e.Host)
	}
}

// erase moves to the live area's first line and clears from there.
func (s *Events) erase(b *strings.Builder) {
	if s.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\x1b[J", s.drawn)
	}
	s.drawn = 0
}

// draw writes the live area.
func (s *Events) draw(b *strings.Builder, e reconcile.Event) {
	var lines []string
	if e.Kind == reconcile.Observed && e.Done < e.Total {
		lines = append(lines, fmt.Sprintf("  reading BMCs: %d of %d", e.Done, e.Total))
	}
	for _, text := range slices.Sorted(maps.Keys(s.fetching)) {
		if f := s.fetching[text]; e.At.Sub(f.At) < fetchEnded {
			lines = append(lines, "  "+clean(fetchText(f)))
		}
	}
	hosts := make([]string, 0, len(s.active))
	longest := 0
	for host := range s.active {
		hosts = append(hosts, host)
		longest = max(longest, len(host))
	}
	slices.Sort(hosts)
	for _, host := range hosts {
		lines = append(lines, fmt.Sprintf("  %-*s  %s", longest, host, s.active[host].text(e.At)))
	}
	for _, line := range lines {
		fmt.Fprintln(b, clip(line, s.width()))
	}
	s.drawn = len(lines)
}

// text is one host's live line: what it does, how far it is, for how long.
func (r *row) text(now time.Time) string {
	words := stepWords[r.step]
	if r.step == reconcile.StepInstall && r.progress != nil && r.progress.Size > 0 {
		p := r.progress
		percent := int(p.Distinct * 100 / p.Size)
		words = fmt.Sprintf("installing  %s %3d %%  %-8s %s/s", bar(percent, 20), percent, p.Furthest(), Bytes(p.Rate))
	}
	return fmt.Sprintf("%s  %s", words, took(r.since, now))
}

func bar(percent, width int) string {
	full := min(percent, 100) * width / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}

// clip shortens a line to the width of the terminal, so that a redrawn line
// takes exactly one.
func clip(line string, width int) string {
	runes := []rune(line)
	if len(runes) <= width {
		return line
	}
	return string(runes[:max(width-1, 0)]) + "…"
}
