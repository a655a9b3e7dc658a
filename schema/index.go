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
	last   token.Pos         // of its last label
	fields map[string]*place // by label, or by number in a list
	rest   []pattern         // fields under a pattern, or under a computed label
}

// A pattern is a place for labels that are not written out. Prefix and suffix
// are what is known of them.
type pattern struct {
	prefix, suffix string
	place          *place
}

func (p pattern) match(name string) bool {
	return len(name) >= len(p.prefix)+len(p.suffix) && strings.HasPrefix(name, p.prefix) && strings.HasSuffix(name, p.suffix)
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
		c := pattern{place: &place{}}
		if i, ok := label.(*ast.Interpolation); ok {
			c.prefix, c.suffix = ends(i)
		}
		p.rest = append(p.rest, c)
		return c.place
	}
	return p.named(name)
}

// ends returns the literal text at both ends of an interpolated string.
func ends(i *ast.Interpolation) (prefix, suffix string) {
	first, ok1 := i.Elts[0].(*ast.BasicLit)
	last, ok2 := i.Elts[len(i.Elts)-1].(*ast.BasicLit)
	if !ok1 || !ok2 {
		return "", ""
	}
	prefix = strings.TrimSuffix(strings.TrimPrefix(first.Value, `"`), `\(`)
	suffix = strings.TrimSuffix(strings.TrimPrefix(last.Value, `)`), `"`)
	if strings.ContainsAny(prefix+suffix, `\"#`) {
		return "", "" // not as plain as it should be
	}
	return prefix, suffix
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
	p.last = pos
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
			for _, c := range p.rest {
				if c.match(name) {
					next = append(next, c.place)
				}
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

// last returns where path is set last, in the order of the files, parents
// first.
func (x *index) last(path ...string) Position {
	p := x.root
	for _, name := range path {
		if p = p.fields[name]; p == nil {
			return x.position(path...)
		}
	}
	return positionOf(p.last)
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
