// Package schema is the contract between a fleet written in CUE and the Go
// code that acts on it.
//
// The definitions that users see are the CUE files beside this one; they are
// embedded, so that a fleet in any repository may import
// "github.com/metalcue/metalcue/schema". [Load] evaluates a fleet against them
// and decodes it. It reports every violation at once, each with its file, line
// and column, as an [*Error].
package schema
