package schema

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	cuejson "cuelang.org/go/encoding/json"
)

// contextName is the definition that config contexts are held against.
const contextName = "#Context"

// A contextCheck holds config contexts against #Context: the fleet's own, or
// the one of this package. It is safe for concurrent use.
type contextCheck struct {
	mu    sync.Mutex // CUE's values are for one goroutine at a time
	cue   *cue.Context
	value cue.Value
	known map[string][]Violation // what was said of a context before
}

// CheckContext returns what is wrong with a host's config context under the
// fleet's key, given as JSON, by the #Context of the fleet's package. Paths are
// those inside the context, positions those of the definition. Without a
// #Context of its own a fleet holds to this package's.
func (f *Fleet) CheckContext(h *Host, context []byte) []Violation {
	c := f.contexts[h.Site]
	if c == nil {
		return nil // a fleet that was not loaded
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.known[string(context)]; ok {
		return found
	}
	found := c.check(context)
	c.known[string(context)] = found
	return found
}

func (c *contextCheck) check(context []byte) []Violation {
	expr, err := cuejson.Extract("", context)
	if err != nil {
		return []Violation{{Msg: "it is not JSON"}}
	}
	v := c.value.Unify(c.cue.BuildExpr(expr))
	err = v.Validate(cue.Concrete(true), cue.All())
	byPath := map[string]*Violation{}
	for _, e := range errors.Errors(err) {
		path := strings.TrimPrefix(strings.TrimPrefix(strings.Join(unquote(e.Path()), "."), contextName), ".")
		v := byPath[path]
		if v == nil {
			v = &Violation{Path: path}
			byPath[path] = v
		}
		for _, pos := range append(e.InputPositions(), e.Position()) {
			if p := positionOf(pos); p.IsValid() && (!v.Pos.IsValid() || p.Compare(v.Pos) < 0) {
				v.Pos = p
			}
		}
		if msg := plain(e); !strings.Contains(msg, "errors in empty disjunction") && !strings.Contains(v.Msg, msg) {
			v.Msg = strings.TrimPrefix(v.Msg+"; "+msg, "; ")
		}
	}
	var found []Violation
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		v := *byPath[path]
		if !v.Pos.IsValid() {
			v.Pos = positionOf(c.value.Pos())
		}
		if v.Msg != "" {
			found = append(found, v)
		}
	}
	return found
}

// newContextCheck makes the check of one folder. Of the folder's files only
// definitions and what they may refer to are evaluated again: a whole fleet
// would have to be kept in memory for them otherwise.
func (w *workspace) newContextCheck(dir string, inst, definitions *build.Instance) (*contextCheck, []Violation) {
	c := &contextCheck{cue: cuecontext.New(), known: map[string][]Violation{}}
	source := definitions
	if slices.ContainsFunc(inst.Files, declaresContext) {
		var err error
		if source, err = w.instance(dir); err != nil { // a fresh one, to be cut down
			return nil, violationsOf(err, Position{File: dir})
		}
		fields := map[string]bool{} // of the fleet
		for _, f := range source.Files {
			for _, d := range f.Decls {
				if field, ok := d.(*ast.Field); ok && helperName(field) == "" {
					name, _, _ := ast.LabelName(field.Label)
					fields[name] = true
				}
			}
		}
		for _, f := range source.Files {
			if ident := keepHelpers(f, fields); ident != nil {
				return nil, []Violation{violation(positionOf(ident.Pos()), []string{contextName},
					"refers to %s; it may refer to definitions, hidden fields and imports only", ident.Name)}
			}
		}
	}
	v := c.cue.BuildInstance(source)
	c.value = v.LookupPath(cue.ParsePath(contextName))
	if err := cmp.Or(v.Err(), c.value.Validate()); err != nil {
		return nil, violationsOf(err, Position{File: positionOf(inst.Files[0].Pos()).File})
	}
	return c, nil
}

func declaresContext(f *ast.File) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		field, ok := d.(*ast.Field)
		return ok && helperName(field) == contextName
	})
}

// helperName returns the name of a definition or hidden field, or "".
func helperName(f *ast.Field) string {
	name, isIdent, err := ast.LabelName(f.Label)
	if err != nil || !isIdent || !strings.HasPrefix(name, "#") && !strings.HasPrefix(name, "_") {
		return ""
	}
	return name
}

// keepHelpers leaves of a file its definitions and hidden fields, with the
// imports that they use. It returns a reference to one of the fleet's fields,
// which are gone.
func keepHelpers(f *ast.File, fields map[string]bool) (lost *ast.Ident) {
	used, idents := map[string]bool{}, map[*ast.Ident]bool{}
	f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.Package, *ast.ImportDecl:
			return false
		case *ast.LetClause:
		case *ast.Field:
			if helperName(d) == "" {
				return true
			}
		default:
			return true
		}
		ast.Walk(d, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok {
				used[ident.Name], idents[ident] = true, true
				if fields[ident.Name] && (ident.Scope == f || slices.Contains(f.Unresolved, ident)) {
					lost = ident
				}
			}
			return true
		}, nil)
		return false
	})
	f.Unresolved = slices.DeleteFunc(f.Unresolved, func(ident *ast.Ident) bool { return !idents[ident] })
	f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool {
		imports, ok := d.(*ast.ImportDecl)
		if ok {
			imports.Specs = slices.DeleteFunc(imports.Specs, func(s *ast.ImportSpec) bool { return !used[importName(s)] })
		}
		return ok && len(imports.Specs) == 0
	})
	return lost
}

// importName returns the name that an import has in its file.
func importName(s *ast.ImportSpec) string {
	if s.Name != nil {
		return s.Name.Name
	}
	path, err := strconv.Unquote(s.Path.Value)
	if err != nil {
		return ""
	}
	if i := strings.LastIndexByte(path, ':'); i >= 0 {
		return path[i+1:]
	}
	path, _, _ = strings.Cut(path, "@")
	return path[strings.LastIndexByte(path, '/')+1:]
}
