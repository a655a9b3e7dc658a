package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// unknown returns a violation for each field that the definitions do not have.
//
// CUE reports such fields too, but not beside an error of another kind, and
// not at the top of a file that embeds #Fleet. Here the syntax is held against
// the definitions, so that all of them are found at once.
func unknown(files []*ast.File, fleet *shape) []Violation {
	w := &fieldWalker{}
	for _, f := range files {
		w.decls(f.Decls, fleet, nil)
	}
	return w.found
}

// fleetShape returns the shape of #Fleet.
func fleetShape(definitions cue.Value) *shape {
	fleet := newShape(definitions.LookupPath(cue.ParsePath("#Fleet")))
	if fleet == nil {
		return &shape{fields: map[string]*shape{}}
	}
	for _, kind := range kinds {
		def := newShape(definitions.LookupPath(cue.ParsePath(kind.definition)))
		fleet.fields[kind.field] = &shape{each: def, fields: map[string]*shape{}}
	}
	return fleet
}

// kinds are the fields of a fleet that hold named things.
var kinds = [...]struct{ field, definition string }{
	{"images", "#Image"}, {"roles", "#Role"}, {"hosts", "#Host"},
}

// A shape is a struct as the definitions have it.
type shape struct {
	def    cue.Value
	each   *shape // the shape of every field; nil when they differ
	fields map[string]*shape
}

// newShape returns the shape of a struct; nil for anything else, also for a
// choice between a struct and something else.
func newShape(def cue.Value) *shape {
	if def.IncompleteKind() != cue.StructKind {
		return nil
	}
	return &shape{def: def, fields: map[string]*shape{}}
}

// field returns the shape of a field, nil when it has none, and whether there
// may be such a field.
func (s *shape) field(name string) (*shape, bool) {
	if s.each != nil {
		return s.each, true
	}
	if c, ok := s.fields[name]; ok {
		return c, true
	}
	selector := cue.Str(name)
	if !s.def.Exists() || !s.def.Allows(selector) {
		return nil, false
	}
	v := s.def.LookupPath(cue.MakePath(selector))
	if !v.Exists() {
		v = s.def.LookupPath(cue.MakePath(selector.Optional()))
	}
	var c *shape
	switch {
	case !v.Exists():
	case v.IncompleteKind() == cue.ListKind:
		c = &shape{each: newShape(v.LookupPath(cue.MakePath(cue.AnyIndex))), fields: map[string]*shape{}}
		if c.each == nil {
			c = nil
		}
	default:
		c = newShape(v)
	}
	s.fields[name] = c
	return c, true
}

// names returns the names of the struct's fields, sorted.
func (s *shape) names() []string {
	if !s.def.Exists() {
		return nil
	}
	var names []string
	fields, err := s.def.Fields(cue.Optional(true))
	for err == nil && fields.Next() {
		names = append(names, fields.Selector().Unquoted())
	}
	slices.Sort(names)
	return names
}

// A fieldWalker walks syntax and shapes side by side.
type fieldWalker struct{ found []Violation }

func (w *fieldWalker) decls(decls []ast.Decl, s *shape, path []string) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			w.field(d, s, path)
		case *ast.EmbedDecl:
			w.expr(d.Expr, s, path)
		case *ast.Comprehension:
			w.expr(d.Value, s, path)
		}
	}
}

func (w *fieldWalker) field(f *ast.Field, s *shape, path []string) {
	name, isIdent, err := ast.LabelName(f.Label)
	if err != nil { // a pattern, or a computed label
		if s.each != nil {
			w.expr(f.Value, s.each, append(path, "[…]"))
		}
		return
	}
	if isIdent && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, "#")) {
		return
	}
	path = append(path[:len(path):len(path)], name)
	c, ok := s.field(name)
	if !ok {
		w.found = append(w.found, violation(positionOf(f.Label.Pos()), path, "%s", unknownField(name, s, len(path) == 1)))
		return
	}
	if c != nil {
		w.expr(f.Value, c, path)
	}
}

func (w *fieldWalker) expr(e ast.Expr, s *shape, path []string) {
	switch e := e.(type) {
	case *ast.StructLit:
		w.decls(e.Elts, s, path)
	case *ast.ParenExpr:
		w.expr(e.X, s, path)
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			w.expr(e.X, s, path)
			w.expr(e.Y, s, path)
		}
	case *ast.ListLit:
		for i, elem := range e.Elts {
			if s.each != nil {
				w.expr(elem, s.each, append(path[:len(path):len(path)], fmt.Sprint(i)))
			}
		}
	}
}

// strictly reports whether a value has only fields that the definitions have.
// Those that come from elsewhere, by reference, are not in the syntax.
func (d *decoder) strictly(v cue.Value, path ...string) bool {
	return d.strict(v, d.shape.at(path), path)
}

func (d *decoder) strict(v cue.Value, s *shape, path []string) bool {
	ok := true
	for _, child := range children(v, nil) {
		labels := child.Path().Selectors()
		name := labelName(labels[len(labels)-1])
		at := append(path[:len(path):len(path)], name)
		if c, known := s.field(name); !known {
			d.unknown(child, at)
			ok = false
		} else if c != nil && !d.strict(child, c, at) {
			ok = false
		}
	}
	return ok
}

// unknown reports a field that there is not, unless that has been done.
func (d *decoder) unknown(v cue.Value, path []string) {
	pos := positionOf(v.Pos())
	if !pos.IsValid() {
		pos = d.index.position(path...)
	}
	if s := d.shape.at(path[:len(path)-1]); s != nil && !d.said[pos] {
		d.violations = append(d.violations, violation(pos, path, "%s", unknownField(path[len(path)-1], s, len(path) == 1)))
	}
}

// at returns the shape that a path leads to, or nil.
func (s *shape) at(path []string) *shape {
	for _, name := range path {
		if s == nil {
			return nil
		}
		s, _ = s.field(name)
	}
	return s
}

func unknownField(name string, s *shape, top bool) string {
	names := s.names()
	if best := nearest(name, names); best != "" {
		return fmt.Sprintf("unknown field; did you mean %q?", best)
	}
	msg := "unknown field; there are " + strings.Join(names, ", ")
	if top {
		msg += `; a helper's name begins with "_" or "#"`
	}
	return msg
}

// nearest returns the one of names that is most like name, or "" when none is
// like it.
func nearest(name string, names []string) string {
	best, least := "", 1+max(1, len(name)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance returns how many letters have to be put in, left out, changed or
// swapped with the next to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
