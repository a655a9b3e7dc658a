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
	for _, t := range t.Templates() {
		if t.Tree != nil {
			i.list(t.Tree.Root)
			t.Tree.Root.Nodes = slices.Insert(t.Tree.Root.Nodes, 0, i.step(0))
		}
	}
}

func (i instrumenter) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 && !i.givesText(n.Pipe) {
				n.Pipe.Cmds = append(n.Pipe.Cmds, callNode(n.Pos, textFunc, n.Pipe.String()))
			}
		case *parse.IfNode:
			i.list(n.List)
			i.list(n.ElseList)
		case *parse.WithNode:
			i.list(n.List)
			i.list(n.ElseList)
		case *parse.RangeNode:
			i.list(n.List)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, i.step(n.Pos))
			i.list(n.ElseList)
		}
	}
}

// givesText reports whether a pipeline ends in a function that returns a string,
// which is printed as it is.
func (i instrumenter) givesText(p *parse.PipeNode) bool {
	name, ok := p.Cmds[len(p.Cmds)-1].Args[0].(*parse.IdentifierNode)
	if !ok || i.functions[name.Ident] == nil {
		return false
	}
	return reflect.TypeOf(i.functions[name.Ident]).Out(0) == reflect.TypeFor[string]()
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
