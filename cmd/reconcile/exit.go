package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/schema"
)

// The exit codes of every command.
const (
	exitOK          = 0
	exitError       = 1
	exitDrift       = 2
	exitHosts       = 3
	exitStale       = 4
	exitHeld        = 5
	exitInterrupted = 130
)

// exitCodes is the table in the help and in the README.
const exitCodes = `Exit codes:
  0    done, or in sync
  1    error
  2    drift (only with --detailed-exitcode)
  3    some hosts failed, or must be mended first
  4    the plan is stale
  5    hosts are held by another run
  130  interrupted`

// A codeError ends the program with a code. Its error may be nil: everything
// has been said.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}
func (e *codeError) Unwrap() error { return e.err }

// finish prints an error and returns the exit code for it. It is the only
// place where errors become words and codes.
func finish(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	code := exitError
	ce, coded := errors.AsType[*codeError](err)
	switch {
	case coded:
		code = ce.code
	case errors.Is(err, context.Canceled), errors.Is(err, reconcile.ErrInterrupted):
		code = exitInterrupted
	case errors.Is(err, reconcile.ErrStale):
		code = exitStale
	}
	if coded && ce.err == nil {
		return code
	}
	if violations, ok := errors.AsType[*schema.Error](err); ok {
		for _, v := range violations.Violations {
			fmt.Fprintf(stderr, "%s\n", v)
			annotate(stderr, v.Pos, strings.TrimSpace(v.Path+": "+v.Msg))
		}
		fmt.Fprintf(stderr, "reconcile: the fleet has %d violations of its schema; nothing was touched\n", len(violations.Violations))
		return code
	}
	text := err.Error()
	if code == exitInterrupted {
		text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	}
	fmt.Fprintf(stderr, "reconcile: %s\n", text)
	return code
}

// annotate writes a GitHub Actions annotation at a line of CUE when the
// program runs there. Values are escaped as the runner wants it.
func annotate(w io.Writer, pos schema.Position, text string) {
	if os.Getenv("GITHUB_ACTIONS") != "true" || pos.File == "" {
		return
	}
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	message := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	fmt.Fprintf(w, "::error file=%s,line=%d,col=%d::%s\n", property.Replace(pos.File), pos.Line, pos.Column, message.Replace(text))
}
