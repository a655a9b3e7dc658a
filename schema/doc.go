// Package schema is the contract between a fleet written in CUE and the Go
// code that acts on it.
//
// The definitions that users see are fleet.cue and forms.cue beside this file.
// They are embedded, so that a fleet in any repository may import
// "github.com/metalcue/metalcue/schema"; strict.cue only makes the public
// "cue vet" as strict as [Load] is. Defaults are in the definitions, with one
// exception that says so there: the checks of a role.
//
// [Load] evaluates a fleet and decodes it. It reports every violation at once,
// each with its file, line and column, as an [*Error]: what CUE finds, in one
// sentence for each field, and what CUE cannot say, such as a host whose image
// is not declared.
//
// No other package imports CUE.
package schema
