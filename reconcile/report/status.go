package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
)

// A Status is what one machine bears now.
type Status struct {
	Host   string           `json:"host"`
	State  string           `json:"state"` // match, differs, absent, foreign, unreadable, installing, failed, unknown
	Marker string           `json:"marker"`
	Power  string           `json:"power,omitempty"`
	Text   string           `json:"text"`
	Found  reconcile.Found  `json:"found"`
	Wanted reconcile.Wanted `json:"wanted"`
}

// StatusOf tells what each machine of a plan bears.
func StatusOf(p *reconcile.Plan) []Status {
	var all []Status
	for _, c := range p.Changes {
		s := Status{Host: c.Host, Marker: c.From.Marker, Power: c.From.Power, Found: c.From, Wanted: c.To, State: state(c)}
		if len(c.Reasons) > 0 {
			s.Text = c.Reasons[0].Text
		}
		all = append(all, s)
	}
	return all
}

// state tells what the machine bears, whatever is done about it.
func state(c reconcile.Change) string {
	if c.From.Power == "" && c.From.Marker == "" {
		return "unknown"
	}
	for _, r := range c.Reasons {
		if r.Code == reconcile.MarkerUnreadable {
			return "unreadable"
		}
	}
	m, err := marker.Parse(c.From.Marker)
	switch {
	case errors.Is(err, marker.ErrAbsent):
		return "absent"
	case err != nil:
		return "foreign"
	case m.State != marker.Installed:
		return m.State.String()
	case m.Spec == c.To.Spec && (m.Config == c.To.Config || c.To.Config == ""):
		return "match"
	}
	return "differs"
}

// StatusText writes statuses for a person. Leases are told from now.
func StatusText(w io.Writer, all []Status, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "HOST\tSTATE\tPOWER\tMARKER\tWHAT")
	for _, s := range all {
		text := s.Text
		if m, err := marker.Parse(s.Marker); err == nil && m.HeldAt(now) {
			text = fmt.Sprintf("run %s, attempt %d, lease ends in %s", m.Run, m.Attempt, took(now, m.Lease))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", s.Host, s.State, cmp.Or(clean(s.Power), "-"), cmp.Or(clean(s.Marker), "-"), clean(text))
	}
	return tw.Flush()
}

// StatusJSON writes statuses as one line.
func StatusJSON(w io.Writer, all []Status) error {
	return json.NewEncoder(w).Encode(Line{Type: TypeStatus, Hosts: all})
}
