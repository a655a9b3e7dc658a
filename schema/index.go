package schema

import (
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"
)

// An index knows where the files of one folder, and of its parents, set which
// fields. It is made from the syntax alone: a value that has been unified from
// several places has no place of its own.
type index struct{ root *place }

// A place is a field as the syntax has it.
type place struct {
	pos    token.Pos         // of the label; not valid when the path only leads on
	fields map[string]*place // by label, or by number in a list
	rest   *place            // fields under a pattern, or under a computed label
}

func newIndex(files []*ast.File) *index {
	x := &index{root: &place{}}
	for _, f := range files {
		x.root.addDecls(f.Decls)
	}
	return x
}

func (p *place) addDecls(decls []ast.Decl) {
	for _, d := range decls {
		switch d := d.(type) {
		case *ast.Field:
			if d.Constraint == token.ILLEGAL {
				p.child(d.Label).add(d.Label.Pos(), d.Value)
			}
		case *ast.EmbedDecl:
			p.addExpr(d.Expr)
		case *ast.Comprehension:
			p.addExpr(d.Value)
		}
	}
}

// child returns the place of a label, which it makes where it is new.
func (p *place) child(label ast.Label) *place {
	name, _, err := ast.LabelName(label)
	if err != nil {
		if p.rest == nil {
			p.rest = &place{}
		}
		return p.rest
	}
	return p.named(name)
}

func (p *place) named(name string) *place {
	if p.fields == nil {
		p.fields = map[string]*place{}
	}
	c := p.fields[name]
	if c == nil {
		c = &place{}
		p.fields[name] = c
	}
	return c
}

func (p *place) add(pos token.Pos, value ast.Expr) {
	if !p.pos.IsValid() {
		p.pos = pos
	}
	p.addExpr(value)
}

func (p *place) addExpr(e ast.Expr) {
	switch e := e.(type) {
	case *ast.StructLit:
		p.addDecls(e.Elts)
	case *ast.ParenExpr:
		p.addExpr(e.X)
	case *ast.BinaryExpr:
		if e.Op == token.AND {
			p.addExpr(e.X)
			p.addExpr(e.Y)
		}
	case *ast.ListLit:
		for i, elem := range e.Elts {
			p.named(strconv.Itoa(i)).add(elem.Pos(), elem)
		}
	}
}

// find returns where path is set. When it is set nowhere, found is false and
// the position is that of the nearest field above it.
func (x *index) find(path ...string) (pos token.Pos, found bool) {
	places := []*place{x.root}
	for i, name := range path {
		var next []*place
		for _, p := range places {
			if c := p.fields[name]; c != nil {
				next = append(next, c)
			}
		}
		for _, p := range places {
			if p.rest != nil {
				next = append(next, p.rest)
			}
		}
		places = next
		for _, p := range places {
			if p.pos.IsValid() {
				pos = p.pos
				found = i == len(path)-1
				break
			}
		}
	}
	return pos, found
}

// position returns where path is set, or its nearest parent.
func (x *index) position(path ...string) Position {
	pos, _ := x.find(path...)
	return positionOf(pos)
}

// positionOf returns a place in a CUE file as a [Position].
func positionOf(pos token.Pos) Position {
	p := pos.Position()
	return Position{File: strings.TrimPrefix(p.Filename, "/"), Line: p.Line, Column: p.Column}
}
