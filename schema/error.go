package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Position is a place in a CUE file. The zero value is an unknown place.
type Position struct {
	File         string // slash path relative to the repository's root
	Line, Column int    // counted from 1
}

// IsValid reports whether the place is known.
func (p Position) IsValid() bool { return p.File != "" }

// String returns "file:line:column", "file" when only that is known, or "".
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Compare orders positions by file, line and column.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// A Violation is one thing that is wrong with a fleet.
type Violation struct {
	Pos  Position
	Path string // such as "hosts.db-01.os"; "" when it is about a file
	Msg  string
}

// String returns "file:line:column: path: message".
func (v Violation) String() string {
	var b strings.Builder
	for _, s := range []string{v.Pos.String(), v.Path} {
		if s != "" {
			b.WriteString(s)
			b.WriteString(": ")
		}
	}
	b.WriteString(v.Msg)
	return b.String()
}

func violation(pos Position, path []string, format string, args ...any) Violation {
	return Violation{Pos: pos, Path: strings.Join(path, "."), Msg: fmt.Sprintf(format, args...)}
}

// An Error lists everything that is wrong with a fleet, sorted by position.
type Error struct{ Violations []Violation }

// Error returns one line for each violation.
func (e *Error) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.String()
	}
	return strings.Join(lines, "\n")
}

// newError returns an *Error with the violations sorted, or nil if there are
// none. What one line of CUE does to many values is said once.
func newError(vs []Violation) error {
	if len(vs) == 0 {
		return nil
	}
	field := func(v Violation) string { return v.Path[strings.LastIndexByte(v.Path, '.')+1:] }
	slices.SortFunc(vs, func(a, b Violation) int {
		return cmp.Or(a.Pos.Compare(b.Pos), cmp.Compare(field(a), field(b)), cmp.Compare(a.Msg, b.Msg), cmp.Compare(a.Path, b.Path))
	})
	vs = slices.Compact(vs)
	e := &Error{}
	for i := 0; i < len(vs); {
		v, next := vs[i], i+1
		for next < len(vs) && v.Pos.Line > 0 && vs[next].Pos == v.Pos && vs[next].Msg == v.Msg && field(vs[next]) == field(v) {
			next++
		}
		if others := next - i - 1; others > 0 {
			v.Msg += fmt.Sprintf(" (and so %d more)", others)
		}
		e.Violations = append(e.Violations, v)
		i = next
	}
	return e
}
