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
)

const (
	maxTemplate = 1 << 20
	maxOutput   = 1 << 20
	maxSteps    = 50_000 // turns of loops and calls of templates
)

// view is what a template's dot is: the fields of Data, with Hardware as
// something that a template can read like one. (Data is not embedded because
// text/template takes long to find a field in an embedded struct.)
type view struct {
	Host          Host
	Role          Role
	Image         Image
	Vars, Context map[string]any
	Device        Device
	Interfaces    []Interface
	Mark          string

	data     Data // the same
	hardware func() (Hardware, error)
}

// Hardware asks the BMC, once.
func (v *view) Hardware() (Hardware, error) { return v.hardware() }

// A program is a parsed template. It is safe for concurrent use.
type program struct {
	name string
	root *template.Template
	err  error         // why it cannot be executed
	step map[*byte]int // the lines of loops and templates, by what instrument has them print at each turn
	idle sync.Pool     // of *execution
}

func parseTemplate(name, text string) *program {
	p := &program{name: name}
	if len(text) > maxTemplate {
		p.err = fmt.Errorf("the template has %d bytes, the most is %d", len(text), maxTemplate)
		return p
	}
	funcs := functions(new(execution))
	if p.root, p.err = template.New(name).Option("missingkey=error").Funcs(funcs).Parse(text); p.err != nil {
		return p
	}
	i := instrumenter{text: text, functions: funcs, steps: map[*byte]int{}}
	i.template(p.root)
	p.step = i.steps
	return p
}

// execute renders the template for one host. It returns the secrets that went
// into the text, so that they can be kept out of messages.
func (p *program) execute(d Data, secret func(name string) (string, error)) (string, *secrets, error) {
	s := &secrets{get: secret}
	refuse := func(err error) (string, *secrets, error) { return "", nil, templateError(err, p.name, d.Host.Name, s) }
	if err := d.check(); err != nil {
		return refuse(err)
	}
	if p.err != nil {
		return refuse(p.err)
	}
	x, err := p.execution()
	if err != nil {
		return refuse(err)
	}
	x.view, x.secrets = newView(d), s
	err = x.template.Execute(&x.out, x.view)
	text := x.out.take()
	x.view, x.secrets = nil, nil
	p.idle.Put(x)
	if err != nil {
		return refuse(err)
	}
	return text, s, nil
}

// An execution renders a template for one host after the other: what its
// functions know of a host, they know by it.
type execution struct {
	template *template.Template
	view     *view
	secrets  *secrets
	patterns patterns
	out      output
}

// execution returns one that is idle, or a new one.
func (p *program) execution() (*execution, error) {
	if x, ok := p.idle.Get().(*execution); ok {
		return x, nil
	}
	t, err := p.root.Clone()
	if err != nil {
		return nil, err
	}
	x := &execution{out: output{steps: p.step}}
	x.template = t.Funcs(x.functions()).Funcs(template.FuncMap{textFunc: text}) // after parsing: a template cannot call text
	return x, nil
}

// newView copies what functions such as sprig's set could change, and brings
// what has no order of its own into one.
func newView(d Data) *view {
	for _, m := range []*map[string]any{&d.Vars, &d.Context, &d.Device.CustomFields} {
		c, _ := clone(*m).(map[string]any)
		if c == nil {
			c = map[string]any{}
		}
		*m = c
	}
	d.Host.Labels = maps.Clone(d.Host.Labels)
	d.Interfaces = slices.Clone(d.Interfaces)
	slices.SortStableFunc(d.Interfaces, func(a, b Interface) int { return cmp.Compare(a.Name, b.Name) })
	return &view{
		Host: d.Host, Role: d.Role, Image: d.Image, Vars: d.Vars, Context: d.Context, Device: d.Device, Interfaces: d.Interfaces, Mark: d.Mark,
		data: d,
		hardware: sync.OnceValues(func() (Hardware, error) {
			if d.Hardware == nil {
				return Hardware{}, errors.New("what is built in is not known here")
			}
			return d.Hardware()
		}),
	}
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

var (
	place   = regexp.MustCompile(`^(\d+)(?::\d+)?: (?s:(.*))$`)
	doing   = regexp.MustCompile(`^executing "(?:[^"\\]|\\.)*" at <(.*?)>: (?s:(.*))$`)
	calling = regexp.MustCompile(`^error calling \w+: (?s:(.*))$`)
	missing = regexp.MustCompile(`^map has no entry for key "(.*)"$`)
)

// templateError turns err, as text/template words it, into an *Error.
func templateError(err error, file, host string, s *secrets) error {
	e := &Error{File: file, Host: host}
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
	if s := (*stepError)(nil); errors.As(err, &s) {
		e.Line = s.line
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
	e.Msg = s.mask(msg)
	return e
}
