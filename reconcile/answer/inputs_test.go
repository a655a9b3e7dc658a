package answer_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// What a marker's config digest is made of changes when an input that matters
// changes, and then only. The inputs are enumerated by reflection: one that is
// added and that nobody thought of fails here.
func TestInputs(t *testing.T) {
	everything := ""
	for i := range reflect.TypeFor[answer.Data]().NumField() {
		everything += "# {{ toJson ." + reflect.TypeFor[answer.Data]().Field(i).Name + " }}\n"
	}
	hw := hardware
	base := func(template string) *answer.Request {
		r := request(t, genericLayout())
		r.Template = template + genericMinimal
		hw = answer.Hardware{UEFI: true, MACs: []string{"a"}, Drives: slices.Clone(hardware.Drives)}
		r.Data.Hardware = func() (answer.Hardware, error) { return hw, nil }
		return &r
	}
	// Of the request itself: "matters", or why it does not.
	fields := map[string]string{
		"Family": "the image's digest stands for it", "Arch": "the image's digest stands for it", "Version": "the image's digest stands for it",
		"ISO":          "the image's digest stands for it",
		"TemplateName": "it is for messages", "Mark": "it is made of the image's digest", "Secret": "the names of secrets are in the template; their values are nobody's business",
		"KernelArgs": "matters", "Generic": "matters", "Template": "matters", "Data": "matters",
	}
	for i := range reflect.TypeFor[answer.Request]().NumField() {
		if name := reflect.TypeFor[answer.Request]().Field(i).Name; fields[name] == "" {
			t.Errorf("whether Request.%s matters to the config digest is not decided", name)
		}
	}
	for _, tt := range []struct {
		name, template string
		matters        func(path string) bool
	}{
		{"a template that prints everything", everything, func(path string) bool { return path != ".Data.Image.Label" }},
		{"a template that prints a name", "# {{ .Host.Name }}\n", func(path string) bool { return !strings.HasPrefix(path, ".Data.") || path == ".Data.Host.Name" }},
	} {
		r := base(tt.template)
		want := inputs(t, r)
		seen := 0
		visit := func(path string) {
			seen++
			if changed := inputs(t, r) != want; changed != tt.matters(path) {
				t.Errorf("%s: another %s changes the inputs: %v", tt.name, path, changed)
			}
		}
		v := reflect.ValueOf(r).Elem()
		for name, why := range fields {
			if why == "matters" {
				mutate(v.FieldByName(name), "."+name, visit)
			}
		}
		mutate(reflect.ValueOf(&hw).Elem(), ".Data.Hardware", visit)
		if seen < 60 {
			t.Errorf("%s: only %d inputs were found", tt.name, seen)
		}
		r.TemplateName, r.Mark, r.ISO = "other", "other-mark", answer.ISO{}
		r.Secret = func(string) (string, error) { return "other", nil }
		slices.Reverse(r.Data.Interfaces)
		if inputs(t, r) != want {
			t.Errorf("%s: a name, a secret's value or an order changes the inputs", tt.name)
		}
	}
}

func inputs(t *testing.T, r *answer.Request) string {
	t.Helper()
	all, err := answer.Inputs(*r)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%q", all)
}

// mutate changes each value below v in turn, calls visit, and changes it back.
func mutate(v reflect.Value, path string, visit func(path string)) {
	try := func(other any) {
		old := reflect.ValueOf(v.Interface())
		v.Set(reflect.ValueOf(other).Convert(v.Type()))
		visit(path)
		v.Set(old)
	}
	switch path { // what must be of use
	case ".Generic.Format":
		try("text")
		return
	case ".Generic.PowersOff":
		try("exit/poweroff boolean true")
		return
	}
	switch x := v.Interface().(type) {
	case netip.Addr:
		try(netip.MustParseAddr("203.0.113.9"))
		return
	case netip.Prefix:
		try(netip.MustParsePrefix("203.0.113.9/29"))
		return
	case map[string]any:
		with := map[string]any{"other": "x"}
		for k, e := range x {
			with[k] = e
		}
		try(with)
		return
	case map[string]string:
		with := map[string]string{"/other": "x"}
		for k, e := range x {
			with[k] = e
		}
		try(with)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			mutate(v.Field(i), path+"."+v.Type().Field(i).Name, visit)
		}
	case reflect.Pointer:
		mutate(v.Elem(), path, visit)
	case reflect.Slice:
		old := reflect.ValueOf(v.Interface())
		more := reflect.New(v.Type().Elem()).Elem()
		if more.Kind() == reflect.String {
			more.SetString("x")
		}
		v.Set(reflect.Append(old, more))
		visit(path)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, old.Len()), valuesOf(old)...)) // so that the old one stays as it is
		if v.Len() > 0 {
			mutate(v.Index(v.Len()-1), path+"[]", visit)
		}
		v.Set(old)
	case reflect.String:
		try(v.String() + "x")
	case reflect.Int, reflect.Int64:
		try(v.Int() + 1)
	case reflect.Bool:
		try(!v.Bool())
	case reflect.Func: // its own test
	default:
		panic(fmt.Sprintf("%s is a %s, and it is not known how to change it", path, v.Type()))
	}
}

func valuesOf(s reflect.Value) []reflect.Value {
	var all []reflect.Value
	for i := range s.Len() {
		all = append(all, s.Index(i))
	}
	return all
}

const canary = "c4n4ry'\"\\<&>c4n4ry"

// Of every family: a secret is in the answer file alone, never in a plan, what
// a digest is made of, or an error.
func TestSecretsOfAllFamilies(t *testing.T) {
	for _, l := range layouts() {
		r := request(t, l)
		plan, err := answer.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%q", plan.Answer.Data); !strings.Contains(got, "__secret:") {
			t.Errorf("%s: the plan has no placeholder: %s", l.name, got)
		}
		asked := 0
		r.Secret = func(string) (string, error) { asked++; return "c4n4ry", nil }
		real, err := answer.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(real.Answer.Data), "c4n4ry") || asked == 0 {
			t.Errorf("%s: the answer file has no secret", l.name)
		}
		for _, c := range real.Changes {
			if c.Path != real.Answer.Path && strings.Contains(string(c.Data), "c4n4ry") {
				t.Errorf("%s: the secret is in %s", l.name, c.Path)
			}
		}
		asked = 0
		if got := inputs(t, &r); strings.Contains(got, "c4n4ry") || asked > 0 {
			t.Errorf("%s: the digest is made of a secret", l.name)
		}
		r.Secret = func(string) (string, error) { return canary, nil }
		for name, template := range map[string]string{
			"fails":       "{{ fail (secret \"x\") }}",
			"before":      "{{ secret \"x\" }} {{ secret \"x\" }}\n" + r.Template,
			"after":       r.Template + "{{ secret \"x\" }}\n",
			"as a key":    strings.Replace(r.Template, ":", "{{ secret \"x\" }}:", 1),
			"cut off":     r.Template[:len(r.Template)/2] + "{{ secret \"x\" }}",
			"as a number": strings.NewReplacer("true", "{{ secret \"x\" }}", "1.5.0", "{{ secret \"x\" }}").Replace(r.Template),
		} {
			r := r
			r.Template = template
			_, err := answer.Render(r)
			if err == nil {
				continue // some formats take anything
			}
			if strings.Contains(err.Error(), "c4n4ry") {
				t.Errorf("%s, %s: the error tells the secret: %v", l.name, name, err)
			}
			if e := (*answer.Error)(nil); !errors.As(err, &e) || e.File != r.TemplateName || e.Host != "db-01" {
				t.Errorf("%s, %s: the error does not name file and host: %v", l.name, name, err)
			}
		}
		r.Secret = func(string) (string, error) { return "", fs.ErrPermission }
		if _, err := answer.Render(r); !errors.As(err, new(*answer.Error)) || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: a secret that cannot be had gives: %v", l.name, err)
		}
	}
}

// Of every family: a bad template's error has the file with its line, the host
// and the key.
func TestTemplateErrorsOfAllFamilies(t *testing.T) {
	for _, l := range layouts() {
		r := request(t, l)
		r.Template += "\n{{ .Vars.colour }}\n"
		line := strings.Count(r.Template, "\n")
		want := fmt.Sprintf("templates/minimal.ks.tmpl:%d: db-01: .Vars.colour: there is no \"colour\"", line)
		if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", l.name, err, want)
		}
		if _, err := answer.Preview(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, preview:\n got %v\nwant %s", l.name, err, want)
		}
	}
}
