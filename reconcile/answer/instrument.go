package answer

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// An instrumenter changes parsed templates so that every loop and call counts
// its turns, and that everything that is printed passes through text.
type instrumenter struct {
	text      string
	functions template.FuncMap
	steps     map[*byte]int
}

// textFunc is the name of text in templates.
const textFunc = "__text"

func (i instrumenter) template(t *template.Template) {
	for _, u := range t.Templates() {
		if u.Tree == nil {
			continue
		}
		dot := reflect.Type(nil)
		if u == t {
			dot = reflect.TypeFor[*view]()
		}
		i.list(u.Tree.Root, dot)
		u.Tree.Root.Nodes = slices.Insert(u.Tree.Root.Nodes, 0, i.step(0))
	}
}

// list instruments nodes for which the dot is of that type, nil: it is not
// known.
func (i instrumenter) list(l *parse.ListNode, dot reflect.Type) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 && !i.isText(n.Pipe, dot) {
				n.Pipe.Cmds = append(n.Pipe.Cmds, callNode(n.Pos, textFunc, n.Pipe.String()))
			}
		case *parse.IfNode:
			i.list(n.List, dot)
			i.list(n.ElseList, dot)
		case *parse.WithNode:
			i.list(n.List, nil)
			i.list(n.ElseList, dot)
		case *parse.RangeNode:
			i.list(n.List, nil)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, i.step(n.Pos))
			i.list(n.ElseList, dot)
		}
	}
}

// isText reports whether a pipeline is known to give what is printed as it is:
// if it ends in a function that returns a string, or is a field like .Host.Name.
func (i instrumenter) isText(p *parse.PipeNode, dot reflect.Type) bool {
	last := p.Cmds[len(p.Cmds)-1]
	switch n := last.Args[0].(type) {
	case *parse.IdentifierNode:
		f := i.functions[n.Ident]
		return f != nil && reflect.TypeOf(f).Out(0) == reflect.TypeFor[string]()
	case *parse.FieldNode:
		return dot != nil && len(p.Cmds) == 1 && len(last.Args) == 1 && isTextField(dot, n.Ident)
	}
	return false
}

// isTextField reports whether a chain of fields of structs, none of them a
// method, ends in a string or an integer.
func isTextField(t reflect.Type, fields []string) bool {
	for _, name := range fields {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return false
		}
		if _, ok := reflect.PointerTo(t).MethodByName(name); ok {
			return false
		}
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() {
			return false
		}
		t = f.Type
	}
	return t == reflect.TypeFor[string]() || t == reflect.TypeFor[int]()
}

// step returns a text of one byte that output knows by its address: it counts
// the turn, and does not print it. (A call would cost a microsecond.)
func (i instrumenter) step(pos parse.Pos) parse.Node {
	mark := []byte{'\n'}
	i.steps[&mark[0]] = 1 + strings.Count(i.text[:pos], "\n")
	return &parse.TextNode{NodeType: parse.NodeText, Pos: pos, Text: mark}
}

// callNode returns a call as html/template builds those that it adds.
func callNode(pos parse.Pos, name string, args ...string) *parse.CommandNode {
	c := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos}
	c.Args = append(c.Args, parse.NewIdentifier(name).SetTree(nil).SetPos(pos))
	for _, a := range args {
		c.Args = append(c.Args, &parse.StringNode{NodeType: parse.NodeString, Pos: pos, Quoted: strconv.Quote(a), Text: a})
	}
	return c
}

// An output holds what a template prints, within bounds.
type output struct {
	text  []byte
	steps map[*byte]int // see program
	turns int
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if len(p) == 1 {
		if line, ok := o.steps[&p[0]]; ok {
			if o.turns++; o.turns > maxSteps {
				return 0, &stepError{line}
			}
			return 1, nil
		}
	}
	if len(o.text)+len(p) > maxOutput {
		return 0, fmt.Errorf("the output exceeds %d bytes", maxOutput)
	}
	o.text = append(o.text, p...)
	return len(p), nil
}

// take returns what was printed, and begins anew.
func (o *output) take() string {
	s := string(o.text)
	clear(o.text) // there may be secrets in it
	o.text, o.turns = o.text[:0], 0
	return s
}

// A stepError is a template that does not end.
type stepError struct{ line int }

func (e *stepError) Error() string { return fmt.Sprintf("more than %d turns of loops", maxSteps) }
