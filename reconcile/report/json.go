package report

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/metalcue/metalcue/reconcile"
)

// Format is the version of the lines. It is raised when something is renamed or
// removed, or means something else; additions do not raise it.
const Format = 1

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of a [Line]. It is made of the Go types and their
// comments; see TestSchema in package reconcile.
func Schema() []byte { return schema }

// A LineType says what a [Line] holds.
type LineType string

// The types.
const (
	TypePlan   LineType = "plan"
	TypeEvent  LineType = "event"
	TypeReport LineType = "report"
	TypeStatus LineType = "status" // in hosts
	TypeError  LineType = "error"  // webhooks only: the run failed as a whole
)

// A Line is one line of the JSON Lines output: exactly one of the fields after
// Type is set, the one that Type names. Readers must pass over types and
// fields that they do not know; none is ever renamed or removed.
type Line struct {
	Type   LineType          `json:"type"`
	Plan   *reconcile.Plan   `json:"plan,omitempty"`
	Event  *reconcile.Event  `json:"event,omitempty"`
	Report *reconcile.Report `json:"report,omitempty"`
	Hosts  []Status          `json:"hosts,omitempty"`
	Error  string            `json:"error,omitempty"`
}

// PlanJSON writes a plan as one line.
func PlanJSON(w io.Writer, p *reconcile.Plan) error {
	return json.NewEncoder(w).Encode(Line{Type: TypePlan, Plan: p})
}

// EventJSON writes an event as one line.
func EventJSON(w io.Writer, e reconcile.Event) error {
	return json.NewEncoder(w).Encode(Line{Type: TypeEvent, Event: &e})
}

// ReportJSON writes a report as one line.
func ReportJSON(w io.Writer, r *reconcile.Report) error {
	return json.NewEncoder(w).Encode(Line{Type: TypeReport, Report: r})
}
