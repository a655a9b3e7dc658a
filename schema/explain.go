package schema

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/format"
)

// An explainer puts CUE's errors into words. CUE says of a value in turn which
// alternative it is not; a person wants one sentence that says what it may be.
type explainer struct {
	index *index
	shape *shape
	said  map[Position]bool // where unknown fields have been found already
	// dir is the folder of the definitions: a position in it is of no use to a
	// person whose fleet is wrong.
	dir   string
	forms []form
}

// A form is a definition of a kind of text, and how its comment puts it.
type form struct{ syntax, words string }

// newExplainer returns an explainer that knows the forms among the
// definitions, and the unknown fields that have been found.
func newExplainer(d *decoder, dir string, definitions cue.Value) *explainer {
	x := &explainer{index: d.index, shape: d.shape, said: d.said, dir: dir}
	fields, err := definitions.Fields(cue.Definitions(true))
	for err == nil && fields.Next() {
		v := fields.Value()
		if v.IncompleteKind() == cue.StructKind {
			continue
		}
		for _, doc := range v.Doc() {
			text := strings.Join(strings.Fields(doc.Text()), " ")
			if _, words, ok := strings.Cut(text, " is "); ok {
				words, _, _ = strings.Cut(words, ". ")
				words = strings.TrimSuffix(words, ".")
				x.forms = append(x.forms, form{fmt.Sprint(v), words})
				if syntax, err := format.Node(v.Syntax(cue.Raw())); err == nil {
					x.forms = append(x.forms, form{string(syntax), words})
				}
			}
		}
	}
	return x
}

// explain returns a violation for each path that err is about.
func (x *explainer) explain(err error) []Violation {
	var (
		order []string
		paths = map[string][]errors.Error{}
	)
	for _, e := range errors.Errors(err) {
		key := strings.Join(e.Path(), "\x00")
		if paths[key] == nil {
			order = append(order, key)
		}
		paths[key] = append(paths[key], e)
	}
	var all []Violation
	for _, key := range order {
		if sumsUp(paths[key]) && slices.ContainsFunc(order, func(k string) bool { return strings.HasPrefix(k, key+"\x00") }) {
			continue // what is wrong is further down
		}
		path := unquote(paths[key][0].Path())
		if msg, pos := x.sentence(path, paths[key]); msg != "" {
			if msg == closedOff {
				path = path[:len(path)-1]
			}
			if !pos.IsValid() {
				pos = x.index.position(path...)
			}
			all = append(all, Violation{Pos: pos, Path: strings.Join(path, "."), Msg: msg})
		}
	}
	return all
}

// sumsUp reports whether one of the errors is that no alternative fits.
func sumsUp(errs []errors.Error) bool {
	return slices.ContainsFunc(errs, func(e errors.Error) bool {
		verb, _ := e.Msg()
		return strings.Contains(verb, "empty disjunction")
	})
}

// sentence says what all errors of one path come to, and where. It returns no
// message when they only sum up others that have a longer path.
func (x *explainer) sentence(path []string, errs []errors.Error) (string, Position) {
	var (
		got  string
		want []string
		pos  Position
	)
	if not := func(e errors.Error) bool { return !isNotAllowed(e) }; slices.ContainsFunc(errs, not) {
		// Another alternative has the field, and says more.
		errs = slices.DeleteFunc(slices.Clone(errs), isNotAllowed)
	}
	for _, e := range errs {
		verb, args := e.Msg()
		here := x.places(e)
		if len(here) > 0 && !pos.IsValid() {
			pos = here[0]
		}
		switch {
		case strings.Contains(verb, "empty disjunction"), strings.Contains(e.Error(), "satisfy matchN"), strings.HasPrefix(verb, "explicit error"):
		case isNotAllowed(e):
			return x.notAllowed(path, pos), pos
		case strings.HasPrefix(verb, "incomplete value"), strings.HasPrefix(verb, "field is required"):
			return "is not set", pos
		case strings.HasPrefix(verb, "conflicting values") && len(args) >= 2:
			mine, theirs, both := x.sides(e, args)
			if both {
				return conflict(mine, theirs, here), pos
			}
			got, want = mine, append(want, x.words(theirs))
		case strings.Contains(verb, "(out of bound") && len(args) == 2, strings.Contains(verb, "(does not satisfy") && len(args) >= 2:
			got, want = fmt.Sprint(args[0]), append(want, x.words(fmt.Sprint(args[1])))
		default:
			return plain(e), pos
		}
	}
	if len(want) == 0 {
		return "", pos
	}
	return fmt.Sprintf("%s is not allowed: want %s", got, alternatives(want)), pos
}

// notAllowed says why a field may not be there, or nothing where that has been
// said.
func (x *explainer) notAllowed(path []string, pos Position) string {
	if x.said[pos] {
		return ""
	}
	last := len(path) - 1
	if s := x.shape.at(path[:last]); s != nil {
		if _, known := s.field(path[last]); !known {
			return unknownField(path[last], s, last == 0)
		}
	}
	return closedOff
}

func isNotAllowed(e errors.Error) bool {
	verb, _ := e.Msg()
	return strings.HasPrefix(verb, "field not allowed")
}

const closedOff = "is made from a definition (#Name), which is closed: nothing can be added to it, not even defaults; " +
	"write what hosts share as a hidden field (_name), or as schema.#Host & {…}"

// sides tells the two values of a conflict apart: the one that the user wrote
// from the one that the definitions want. CUE gives their positions in the
// same order. both is true when the user wrote both.
func (x *explainer) sides(e errors.Error, args []any) (mine, theirs string, both bool) {
	mine, theirs = fmt.Sprint(args[0]), fmt.Sprint(args[1])
	in := e.InputPositions()
	if len(in) < 2 {
		return mine, theirs, false
	}
	first, second := x.foreign(positionOf(in[0])), x.foreign(positionOf(in[1]))
	if first && !second {
		mine, theirs = theirs, mine
	}
	return mine, theirs, !first && !second
}

func conflict(a, b string, places []Position) string {
	msg := fmt.Sprintf("%s and %s are both set", a, b)
	if len(places) > 1 {
		msg += fmt.Sprintf(", the other at %s", places[1])
	}
	return msg
}

// places returns the positions of an error that are in the fleet.
func (x *explainer) places(e errors.Error) []Position {
	var found []Position
	for _, pos := range e.InputPositions() {
		if p := positionOf(pos); p.IsValid() && !x.foreign(p) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	if p := positionOf(e.Position()); len(found) == 0 && p.IsValid() && !x.foreign(p) {
		found = append(found, p)
	}
	return found
}

// foreign reports whether a position is in the definitions.
func (x *explainer) foreign(p Position) bool {
	return x.dir != "" && strings.HasPrefix(p.File, x.dir+"/")
}

// words says what a CUE expression allows.
func (x *explainer) words(expr string) string {
	for _, f := range x.forms {
		pattern := strings.HasPrefix(expr, "=~") || strings.HasPrefix(expr, "!~")
		if f.syntax == expr || pattern && strings.Contains(f.syntax, expr) {
			return f.words
		}
	}
	switch {
	case strings.HasPrefix(expr, "{"):
		return requiredField.ReplaceAllString(excludedField.ReplaceAllString(expr, ""), "$1: …")
	case strings.HasPrefix(expr, ">="):
		return "at least " + expr[2:]
	case strings.HasPrefix(expr, "<="):
		return "at most " + expr[2:]
	case expr == `!=""`:
		return "some text"
	case expr == "time.Time":
		return `a moment such as "2026-12-20T00:00:00Z", with its zone`
	case expr == "int":
		return "a whole number"
	case expr == "string":
		return "text"
	case expr == "bool":
		return "true or false"
	case strings.HasPrefix(expr, "[") && strings.Contains(expr, "..."):
		return "a list"
	}
	return expr
}

// alternatives joins what is wanted. A single literal beside something more
// general is but its default.
func alternatives(want []string) string {
	slices.SortFunc(want, func(a, b string) int {
		return cmp.Or(cmp.Compare(btoi(!literal(a)), btoi(!literal(b))), cmp.Compare(a, b))
	})
	want = slices.Compact(want)
	var general []string
	for _, w := range want {
		if !literal(w) {
			general = append(general, w)
		}
	}
	if len(general) > 0 && len(want)-len(general) == 1 {
		want = general
	}
	last := len(want) - 1
	if last == 0 {
		return want[0]
	}
	return strings.Join(want[:last], ", ") + " or " + want[last]
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Fields of a struct as CUE prints them in an error: one that is wanted, and
// one that must not be there.
var (
	requiredField = regexp.MustCompile(`(\w+)!?:[^,}]+`)
	excludedField = regexp.MustCompile(`,?\w+\?:_\|_`)
)

func literal(s string) bool {
	if s == "true" || s == "false" || strings.HasPrefix(s, `["`) {
		return true
	}
	if _, err := strconv.Unquote(s); err == nil {
		return true
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// plain returns the message of an error, and of what caused it, without its
// path.
func plain(e errors.Error) string {
	verb, args := e.Msg()
	msg := fmt.Sprintf(verb, args...)
	if cause := errors.Unwrap(e); cause != nil && !strings.Contains(msg, cause.Error()) {
		msg += ": " + cause.Error()
	}
	return msg
}

// unquote removes the quotes that CUE puts around labels.
func unquote(path []string) []string {
	out := make([]string, len(path))
	for i, label := range path {
		out[i] = label
		if s, err := strconv.Unquote(label); err == nil {
			out[i] = s
		}
	}
	return out
}

// violationsOf returns what CUE says about files that could not be evaluated;
// fallback is the position of what has none.
func violationsOf(err error, fallback Position) []Violation {
	var all []Violation
	for _, e := range errors.Errors(err) {
		v := Violation{Pos: fallback, Path: strings.Join(unquote(e.Path()), "."), Msg: plain(e)}
		for _, pos := range append(e.InputPositions(), e.Position()) {
			if p := positionOf(pos); p.IsValid() {
				v.Pos = p
				break
			}
		}
		all = append(all, v)
	}
	return all
}
