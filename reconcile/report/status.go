package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
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

	// Attempt is the one that installed or is installing it, or the number of
	// those that failed; Run is who installs it, until Lease ends.
	Attempt int       `json:"attempt,omitempty"`
	Run     string    `json:"run,omitempty"`
	Lease   time.Time `json:"lease,omitzero"`
	// Failure is the marker's word for why the last attempt failed.
	Failure reconcile.FailureCode `json:"failure,omitempty"`
	// Last is what NetBox has of its last install, as far as it has the custom
	// fields for it.
	Last Last `json:"last,omitzero"`
}

// A Last is an install as the device's custom fields tell it.
type Last struct {
	At         string `json:"at,omitempty"` // as NetBox has it
	Commit     string `json:"commit,omitempty"`
	Marker     string `json:"marker,omitempty"`
	Generation string `json:"generation,omitempty"`
}

// StatusOf tells what each machine of a plan bears, and what the world that it
// was made from says besides.
func StatusOf(p *reconcile.Plan, w *reconcile.World) []Status {
	var all []Status
	for _, c := range p.Changes {
		s := Status{Host: c.Host, Marker: c.From.Marker, Power: c.From.Power, Found: c.From, Wanted: c.To, State: state(c)}
		if len(c.Reasons) > 0 {
			s.Text = c.Reasons[0].Text
		}
		if m, err := marker.Parse(c.From.Marker); err == nil {
			s.Attempt, s.Run, s.Failure = m.Attempt, m.Run, reconcile.FailureCode(m.Reason)
			if m.IsClaim() {
				s.Lease = m.Lease
			}
		}
		s.Last = lastOf(w.Hosts[c.Host])
		all = append(all, s)
	}
	return all
}

// lastOf reads the custom fields that package netbox writes.
func lastOf(o *reconcile.Observation) Last {
	if o == nil || o.Device == nil {
		return Last{}
	}
	field := func(name string) string {
		if v := o.Device.CustomFields[name]; v != nil {
			return fmt.Sprint(v)
		}
		return ""
	}
	return Last{At: field("last_installed"), Commit: field("reconcile_commit"), Marker: field("reconcile_marker"), Generation: field("reconcile_generation")}
}

// text is when that was and from which commit, for a person.
func (l Last) text() string {
	at := l.At
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		at = t.UTC().Format(time.DateOnly + " 15:04")
	}
	if l.Commit != "" {
		at += " from " + l.Commit[:min(len(l.Commit), 7)]
	}
	return cmp.Or(clean(strings.TrimSpace(at)), "-")
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
	fmt.Fprintln(tw, "HOST\tSTATE\tPOWER\tMARKER\tLAST INSTALL\tWHAT")
	for _, s := range all {
		text := s.Text
		switch {
		case s.Run != "" && s.Lease.After(now):
			text = fmt.Sprintf("run %s, attempt %d, lease ends in %s", s.Run, s.Attempt, took(now, s.Lease))
		case s.Run != "":
			text = fmt.Sprintf("run %s, attempt %d, lease ended %s ago", s.Run, s.Attempt, took(s.Lease, now))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Host, s.State, cmp.Or(clean(s.Power), "-"), cmp.Or(clean(s.Marker), "-"), s.Last.text(), clean(text))
	}
	return tw.Flush()
}

// StatusJSON writes statuses as one line.
func StatusJSON(w io.Writer, all []Status) error {
	return json.NewEncoder(w).Encode(Line{Type: TypeStatus, Hosts: all})
}
