package reconcile_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/reconcile/report"
)

var updateSchema = flag.Bool("update-schema", false, "rewrite report/schema.json from the Go types and their comments")

// sources are the packages whose types are in the output.
var sources = map[string]string{"reconcile": ".", "report": "report", "isohttp": "../isohttp", "schema": "../schema"}

// A goPackage is what the schema takes from a package's source: comments, and
// the constants of its types.
type goPackage struct {
	docs   map[string]string     // of "Type" and "Type.Field"
	values map[string][]constant // by type
	used   map[string]bool       // names that occur elsewhere than in their declaration
}

type constant struct{ name, value, doc string }

func parsePackage(t *testing.T, dir string) goPackage {
	t.Helper()
	p := goPackage{docs: map[string]string{}, values: map[string][]constant{}, used: map[string]bool{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		declared := map[*ast.Ident]bool{}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				p.declare(g, declared)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && !declared[id] {
				p.used[id.Name] = true
			}
			return true
		})
	}
	return p
}

func (p *goPackage) declare(g *ast.GenDecl, declared map[*ast.Ident]bool) {
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			p.docs[s.Name.Name] = words(g.Doc, s.Doc, s.Comment)
			if st, ok := s.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, n := range f.Names {
						p.docs[s.Name.Name+"."+n.Name] = words(f.Doc, f.Comment)
					}
				}
			}
		case *ast.ValueSpec:
			for i, n := range s.Names {
				declared[n] = true
				of, isNamed := s.Type.(*ast.Ident)
				if !isNamed || i >= len(s.Values) {
					continue
				}
				if lit, ok := s.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
					v, _ := strconv.Unquote(lit.Value)
					p.values[of.Name] = append(p.values[of.Name], constant{n.Name, v, words(s.Doc, s.Comment)})
				}
			}
		}
	}
}

// words joins comments into one line.
func words(groups ...*ast.CommentGroup) string {
	var all []string
	for _, g := range groups {
		if g != nil {
			all = append(all, strings.Fields(g.Text())...)
		}
	}
	return strings.NewReplacer("[", "", "]", "").Replace(strings.Join(all, " "))
}

// A schemaMaker turns Go types into a JSON Schema (draft 2020-12).
type schemaMaker struct {
	packages map[string]goPackage
	defs     map[string]any
}

func (m *schemaMaker) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[netip.Addr]():
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.of(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.String:
		if t.PkgPath() != "" {
			return m.ref(t, m.enum)
		}
		return map[string]any{"type": "string"}
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": m.of(t.Elem())}
	case reflect.Struct:
		return m.ref(t, m.object)
	}
	panic(fmt.Sprintf("no JSON Schema for %v", t))
}

// ref defines a named type once.
func (m *schemaMaker) ref(t reflect.Type, make func(reflect.Type) map[string]any) map[string]any {
	if _, done := m.defs[t.Name()]; !done {
		m.defs[t.Name()] = nil // a type may hold itself
		def := make(t)
		if doc := m.packages[path.Base(t.PkgPath())].docs[t.Name()]; doc != "" {
			def["description"] = doc
		}
		m.defs[t.Name()] = def
	}
	return map[string]any{"$ref": "#/$defs/" + t.Name()}
}

func (m *schemaMaker) enum(t reflect.Type) map[string]any {
	var values []string
	var meaning []string
	for _, c := range m.packages[path.Base(t.PkgPath())].values[t.Name()] {
		values = append(values, c.value)
		if c.doc != "" {
			meaning = append(meaning, c.value+": "+c.doc)
		}
	}
	def := map[string]any{"type": "string", "enum": values}
	if t == reflect.TypeFor[reconcile.FailureCode]() {
		// A step's name says that this step failed; with "pre-", before the disks were touched.
		m.of(reflect.TypeFor[reconcile.Step]())
		var steps []string
		for _, c := range m.packages["reconcile"].values["Step"] {
			steps = append(steps, c.value, "pre-"+c.value)
		}
		def["enum"] = append(values, steps...)
	}
	if len(meaning) > 0 {
		def["$comment"] = strings.Join(meaning, "; ")
	}
	return def
}

func (m *schemaMaker) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		p := m.of(f.Type)
		if doc := m.packages[path.Base(t.PkgPath())].docs[t.Name()+"."+f.Name]; doc != "" {
			p["description"] = doc
		}
		properties[name] = p
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	def := map[string]any{"type": "object", "properties": properties}
	if len(required) > 0 {
		def["required"] = required
	}
	return def
}

// outputSchema makes the schema of a line of output.
func outputSchema(t *testing.T) map[string]any {
	t.Helper()
	m := &schemaMaker{packages: map[string]goPackage{}, defs: map[string]any{}}
	for name, dir := range sources {
		m.packages[name] = parsePackage(t, dir)
	}
	line := m.of(reflect.TypeFor[report.Line]())
	m.of(reflect.TypeFor[reconcile.Outcome]())
	return map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     fmt.Sprintf("https://github.com/metalcue/metalcue/reconcile/report/%d", report.Format),
		"title":   "A line of the output of reconcile -o json, of a record's run.jsonl, and of what webhooks get",
		"$ref":    line["$ref"], "$defs": m.defs,
	}
}

// TestSchema: what "reconcile schema" prints is made of the types and comments
// that the output is made of.
func TestSchema(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(outputSchema(t)); err != nil {
		t.Fatal(err)
	}
	if *updateSchema {
		if err := os.WriteFile("report/schema.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(b.Bytes(), report.Schema()) {
		t.Error("report/schema.json is not what the types say; run: go test ./reconcile -run TestSchema -update-schema")
	}
}

// TestReasonsAreProduced: every enumerated reason, result, step and kind is
// given by some code, and each failure is told what it means.
func TestReasonsAreProduced(t *testing.T) {
	p, command := parsePackage(t, "."), parsePackage(t, "../cmd/reconcile")
	for _, of := range []string{"ReasonCode", "Result", "Kind", "Step", "Action", "FailureCode"} {
		if len(p.values[of]) < 4 {
			t.Errorf("only %d values of %s were found", len(p.values[of]), of)
		}
		for _, c := range p.values[of] {
			if !p.used[c.name] && !command.used[c.name] {
				t.Errorf("%s %s (%q) is never given", of, c.name, c.value)
			}
		}
	}
	for _, c := range p.values["FailureCode"] {
		if c.doc == "" {
			t.Errorf("failure %q is not explained", c.value)
		}
	}
}

// TestOutputHoldsToSchema: every line that a run tells, and a host's outcome,
// holds to the schema, which a reader may hold it to: after success, failure
// and a refusal.
func TestOutputHoldsToSchema(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(report.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for name, change := range map[string]func(*rig){
		"success":   func(*rig) {},
		"hangs":     func(g *rig) { g.bmcs["web-01"].Machine.Habits.HangsInInstaller = true },
		"off early": func(g *rig) { g.bmcs["web-01"].Machine.Habits.PowersOffEarly = true },
		"no CD":     func(g *rig) { g.bmcs["web-01"].Machine.Habits.NeverBootsCD = true },
		"locked":    func(g *rig) { q := bmctest.IDRAC9.Quirks(); q.Locked = true; g.bmcs["web-01"].Quirks = &q },
		"other box": func(g *rig) {
			g.bmcs["web-01"].Serial, g.bmcs["web-01"].SKU, g.bmcs["web-01"].ChassisSerial = "X", "Y", "Z"
		},
		"foreign tag": func(g *rig) { g.bmcs["web-01"].AssetTag = "INV-0042" },
		"unreachable": func(g *rig) { g.bmcs["web-01"].Arm(bmctest.Fault{Reset: true, Times: -1}) },
		"in service":  func(g *rig) { g.netbox.Devices[0].Status = "active" },
		"protected":   func(g *rig) { g.fleet.Hosts["web-01"].Protect = true },
	} {
		for file, text := range taped(t, change).record(t) {
			var def any = s
			switch path.Base(file) {
			case "run.jsonl":
			case "outcome.json":
				def = map[string]any{"$ref": "#/$defs/Outcome"}
			default:
				continue
			}
			d := json.NewDecoder(strings.NewReader(text))
			for d.More() {
				var v any
				if err := d.Decode(&v); err != nil {
					t.Fatalf("%s: %s: %v", name, file, err)
				}
				if line, ok := v.(map[string]any); ok {
					kinds[fmt.Sprint(line["type"])]++
				}
				for _, wrong := range violations(s, def, v, path.Base(file)) {
					t.Errorf("%s: %s", name, wrong)
				}
			}
		}
	}
	if kinds["plan"] == 0 || kinds["event"] < 20 || kinds["report"] == 0 {
		t.Errorf("lines by type: %v", kinds)
	}
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.IDRAC9, bmctest.ILO5)
		g.bmcs["web-01"].AssetTag = "rc1.i2.00000000.run0.1ng229g"
		p, w := g.plan()
		var b bytes.Buffer
		if err := report.StatusJSON(&b, report.StatusOf(p, w)); err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range violations(s, s, v, "status") {
			t.Error(wrong)
		}
		if !strings.Contains(b.String(), `"attempt":2,"run":"run0","lease":"2026-11-21T03:00:00Z"`) {
			t.Errorf("status: %s", b.String())
		}
	})
	// A validator that lets everything pass would prove nothing.
	for _, bad := range []string{
		`{"type":"plans"}`, `{"plan":{}}`, `{"type":"event","event":{"at":"noon","run":"r","kind":"step"}}`, `{"type":"event","event":{"at":"2026-11-21T12:00:00Z","run":"r","kind":"jumped"}}`,
		`{"type":"report","report":{"format":"1","run":"r","commit":"c","started":"2026-11-21T12:00:00Z","finished":"2026-11-21T12:00:00Z","outcomes":[]}}`, `{"type":"plan","plans":{}}`, `7`,
	} {
		var v any
		if err := json.Unmarshal([]byte(bad), &v); err != nil {
			t.Fatal(err)
		}
		if len(violations(s, s, v, "")) == 0 {
			t.Errorf("%s holds to the schema", bad)
		}
	}
}

// violations holds a value to the part of JSON Schema that outputSchema uses.
// Other than a reader should, it takes no property that is not described.
func violations(root map[string]any, schema, v any, at string) (wrong []string) {
	s := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		def, found := root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")]
		if !found {
			return []string{at + ": no definition of " + ref}
		}
		return violations(root, def, v, at)
	}
	fail := func(format string, args ...any) { wrong = append(wrong, at+": "+fmt.Sprintf(format, args...)) }
	types, _ := s["type"].([]any)
	if one, ok := s["type"].(string); ok {
		types = []any{one}
	}
	if !slices.Contains(types, any(typeOf(v))) {
		fail("%v is no %v", v, types)
		return wrong
	}
	switch v := v.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); s["format"] == "date-time" && err != nil {
			fail("%v", err)
		}
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			fail("%q is none of %v", v, enum)
		}
	case []any:
		for i, elem := range v {
			wrong = append(wrong, violations(root, s["items"], elem, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				fail("%v is missing", name)
			}
		}
		for name, field := range v {
			p, known := s["properties"].(map[string]any)[name]
			if !known {
				fail("%s is not described", name)
				continue
			}
			wrong = append(wrong, violations(root, p, field, at+"."+name)...)
		}
	}
	return wrong
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
