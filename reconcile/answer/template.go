package answer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
)

const (
	maxTemplate = 1 << 20
	maxOutput   = 1 << 20
	maxSteps    = 50_000 // turns of loops and calls of templates
)

// view is what a template's dot is: Data, with Hardware as something that a
// template can read like a field.
type view struct {
	Data
	hardware func() (Hardware, error)
}

// Hardware asks the BMC, once.
func (v *view) Hardware() (Hardware, error) { return v.hardware() }

// execute renders the request's template. It returns the secrets that went
// into the text, so that they can be kept out of messages.
func execute(r Request) (string, *secrets, error) {
	x := &execution{request: r, secrets: &secrets{get: r.Secret}}
	if err := r.Data.check(); err != nil {
		return "", nil, x.error(err)
	}
	if len(r.Template) > maxTemplate {
		return "", nil, x.error(fmt.Errorf("the template has %d bytes, the most is %d", len(r.Template), maxTemplate))
	}
	v, err := newView(r.Data)
	if err != nil {
		return "", nil, x.error(err)
	}
	t, err := template.New(r.TemplateName).Option("missingkey=error").Funcs(functions(v, x.secrets)).Parse(r.Template)
	if err != nil {
		return "", nil, x.error(err)
	}
	instrument(t.Funcs(template.FuncMap{stepFunc: x.step, textFunc: text})) // after parsing: a template cannot call them
	var out bounded
	if err := t.Execute(&out, v); err != nil {
		return "", nil, x.error(err)
	}
	return out.String(), x.secrets, nil
}

// newView copies what functions such as sprig's set could change, and brings
// what has no order of its own into one.
func newView(d Data) (*view, error) {
	v := &view{Data: d, hardware: sync.OnceValues(func() (Hardware, error) {
		if d.Hardware == nil {
			return Hardware{}, errors.New("what is built in is not known here")
		}
		return d.Hardware()
	})}
	for _, m := range []*map[string]any{&v.Vars, &v.Context, &v.Device.CustomFields} {
		c, _ := clone(*m).(map[string]any)
		if c == nil {
			c = map[string]any{}
		}
		*m = c
	}
	v.Host.Labels = maps.Clone(d.Host.Labels)
	v.Interfaces = slices.Clone(d.Interfaces)
	slices.SortStableFunc(v.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	return v, nil
}

// clone copies a JSON value and turns whole numbers into integers.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = clone(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = clone(e)
		}
		return c
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	}
	return v
}

// An execution is one rendering.
type execution struct {
	request Request
	secrets *secrets
	steps   int
}

func (x *execution) step() (string, error) {
	if x.steps++; x.steps > maxSteps {
		return "", fmt.Errorf("more than %d turns of loops", maxSteps)
	}
	return "", nil
}

// The functions that instrument puts into templates.
const (
	stepFunc = "__step"
	textFunc = "__text"
)

// instrument changes the parsed templates so that every loop and call counts
// its turns, and that everything that is printed passes through text.
func instrument(t *template.Template) {
	for _, t := range t.Templates() {
		if t.Tree != nil {
			instrumentList(t.Tree.Root)
			t.Tree.Root.Nodes = slices.Insert(t.Tree.Root.Nodes, 0, stepNode(0))
		}
	}
}

func instrumentList(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, callNode(n.Pos, textFunc, n.Pipe.String()))
			}
		case *parse.IfNode:
			instrumentList(n.List)
			instrumentList(n.ElseList)
		case *parse.WithNode:
			instrumentList(n.List)
			instrumentList(n.ElseList)
		case *parse.RangeNode:
			instrumentList(n.List)
			n.List.Nodes = slices.Insert(n.List.Nodes, 0, stepNode(n.Pos))
			instrumentList(n.ElseList)
		}
	}
}

func stepNode(pos parse.Pos) parse.Node {
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{callNode(pos, stepFunc)}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: pipe}
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

// A valueError is a value that cannot be printed.
type valueError struct{ source, msg string }

func (e *valueError) Error() string { return e.msg }

// text returns v, which source evaluates to, as it is printed. What would print
// as "<no value>", as Go's notation of a list or map, or as an invalid address
// is an error.
func text(source string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", &valueError{source, "it is null"}
	case string:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10), nil
		}
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case interface{ IsValid() bool }: // netip.Addr, netip.Prefix
		if !v.IsValid() {
			return "", &valueError{source, "it is not set"}
		}
	case fmt.Stringer:
	default:
		switch reflect.TypeOf(v).Kind() {
		case reflect.Map, reflect.Slice, reflect.Array, reflect.Struct, reflect.Func, reflect.Pointer, reflect.Chan:
			return "", &valueError{source, fmt.Sprintf("it is a %s and not text; range over it, join it, or use toJson", kind(v))}
		}
	}
	return fmt.Sprint(v), nil
}

func kind(v any) string {
	switch reflect.TypeOf(v).Kind() {
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Map:
		return "map"
	}
	return reflect.TypeOf(v).Kind().String()
}

// bounded holds what a template prints.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		return 0, fmt.Errorf("the output exceeds %d bytes", maxOutput)
	}
	return b.Builder.Write(p)
}

var (
	place   = regexp.MustCompile(`^(\d+)(?::\d+)?: (?s:(.*))$`)
	doing   = regexp.MustCompile(`^executing "(?:[^"\\]|\\.)*" at <(.*?)>: (?s:(.*))$`)
	calling = regexp.MustCompile(`^error calling \w+: (?s:(.*))$`)
	missing = regexp.MustCompile(`^map has no entry for key "(.*)"$`)
)

// error turns err, as text/template words it, into an *Error.
func (x *execution) error(err error) error {
	e := &Error{File: x.request.TemplateName, Host: x.request.Data.Host.Name}
	msg := err.Error()
	rest, ok := strings.CutPrefix(msg, "template: "+e.File+":")
	if m := place.FindStringSubmatch(rest); ok && m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		msg = m[2]
	}
	if m := doing.FindStringSubmatch(msg); m != nil {
		e.Key, msg = m[1], m[2]
	}
	if m := calling.FindStringSubmatch(msg); m != nil {
		msg = m[1] // the key shows the call
	}
	if e.Key == stepFunc {
		e.Key = ""
	}
	if v := (*valueError)(nil); errors.As(err, &v) && v.source != "" {
		e.Key, msg = v.source, v.msg
	}
	if m := missing.FindStringSubmatch(msg); m != nil {
		msg = fmt.Sprintf("there is no %q", m[1])
		switch {
		case strings.HasPrefix(e.Key, ".Vars"):
			e.Key, msg = ".Vars."+m[1], msg+"; set it in the vars of the role or of the host"
		case strings.HasPrefix(e.Key, ".Context"):
			e.Key, msg = ".Context."+m[1], msg+"; set it in NetBox's config context of the device"
		case strings.HasPrefix(e.Key, ".Device.Cus"):
			e.Key = ".Device.CustomFields." + m[1]
		}
	}
	e.Msg = x.secrets.mask(msg)
	return e
}
