// Package report shows a run to people and to programs: plans, events and
// outcomes as text, as JSON Lines and as Markdown. It decides nothing and
// knows nothing of how its input came about; the same value always gives the
// same bytes.
package report
