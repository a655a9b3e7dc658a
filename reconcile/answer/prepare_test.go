package answer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// Of every family: hosts that are rendered at once from one prepared value get
// what each gets by itself, with its own secrets, and errors that name it.
func TestPreparedConcurrently(t *testing.T) {
	for _, l := range layouts() {
		shared := request(t, l)
		shared.Template += "{{ if eq .Host.Name \"db-07\" }}{{ fail (secret \"x\") }}{{ end }}"
		p := answer.Prepare(shared)
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				name := fmt.Sprintf("db-%02d", i%16)
				r := shared
				r.Data = data(t, l)
				r.Data.Host.Name = name
				r.Secret = func(string) (string, error) { return "secret-of-" + name + "-", nil }
				got, err := p.Render(r.Data, r.Secret)
				want, alone := answer.Render(r)
				if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(alone) {
					t.Errorf("%s, %s:\n got %v, %v\nwant %v, %v", l.name, name, got, err, want, alone)
					return
				}
				if name == "db-07" {
					if e := (*answer.Error)(nil); !errors.As(err, &e) || e.Host != name || strings.Contains(err.Error(), "secret-of") {
						t.Errorf("%s, %s: %v", l.name, name, err)
					}
					return
				}
				if n := bytes.Count(got.Answer.Data, []byte("secret-of-")); n == 0 || n != bytes.Count(got.Answer.Data, []byte("secret-of-"+name+"-")) {
					t.Errorf("%s, %s: has other secrets than its own:\n%s", l.name, name, got.Answer.Data)
				}
				inputs, err := p.Inputs(r.Data)
				other, alone := answer.Inputs(r)
				if !reflect.DeepEqual(inputs, other) || fmt.Sprint(err) != fmt.Sprint(alone) {
					t.Errorf("%s, %s: inputs are %q, %v; want %q, %v", l.name, name, inputs, err, other, alone)
				}
			})
		}
		wg.Wait()
	}
}

// What one rendering does to its data, its counters and its patterns is not seen
// by the next.
func TestPreparedStartsAnew(t *testing.T) {
	r := request(t, layouts()[1])
	r.Template = `{{ range until 10000 }}{{ end }}{{ range until 10000 }}{{ end }}# {{ .Vars.timezone }}{{ $_ := set .Vars "timezone" "changed" }} {{ regexFind .Vars.pattern "aaa" }}` + "\n" +
		"rootpw --lock\nautopart\npoweroff\n"
	p := answer.Prepare(r)
	for i := range 200 {
		r.Data.Vars["timezone"], r.Data.Vars["pattern"] = fmt.Sprint("zone-", i), fmt.Sprintf("a|%d", i)
		got, err := p.Preview(r.Data)
		if want := fmt.Sprintf("# zone-%d a\n", i); err != nil || !strings.HasPrefix(string(got), want) {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	r.Data.Vars["pattern"] = "("
	if _, err := p.Preview(r.Data); err == nil || !strings.Contains(err.Error(), "missing closing )") {
		t.Errorf("a bad pattern gives %v", err)
	}
	delete(r.Data.Vars, "timezone")
	if _, err := p.Preview(r.Data); err == nil || !strings.Contains(err.Error(), `there is no "timezone"`) {
		t.Errorf("a missing key gives %v", err)
	}
}

// Sprig's functions of regular expressions are what they were.
func TestPatterns(t *testing.T) {
	for template, want := range map[string]string{
		`{{ regexMatch "^b" "abc" }} {{ regexMatch "(" "x" }} {{ mustRegexMatch "b" "abc" }}`:                                                                 "false false true",
		`{{ regexFind "[bc]+" "abcd" }} {{ mustRegexFind "x" "abcd" | quote }}`:                                                                               `bc ""`,
		`{{ regexFindAll "[a-c]" "abcd" 2 | join "," }} {{ mustRegexFindAll "[a-c]" "abcd" -1 | join "," }}`:                                                  "a,b a,b,c",
		`{{ regexReplaceAll "(b)" "abc" "[${1}]" }} {{ mustRegexReplaceAll "(b)" "abc" "<$1>" }}`:                                                             "a[b]c a<b>c",
		`{{ regexReplaceAllLiteral "b" "abc" "$1" }} {{ mustRegexReplaceAllLiteral "b" "abc" "$1" }}`:                                                         "a$1c a$1c",
		`{{ regexSplit "b" "abcbd" -1 | join "," }} {{ mustRegexSplit "b" "abcbd" 2 | join "," }} {{ regexQuoteMeta "a.b" }}`:                                 `a,c,d a,cbd a\.b`,
		`{{ define "x" }}{{ regexFind "[0-9]+" . }}{{ end }}{{ template "x" "a1" }}{{ template "x" "b2" }}{{ with "c3" }}{{ regexFind "[0-9]+" . }}{{ end }}`: "123",
	} {
		if got, err := preview(t, "# "+template, nil); err != nil || got != "# "+want {
			t.Errorf("%s\n got %q, %v\nwant %q", template, got, err, "# "+want)
		}
	}
	for _, call := range []string{
		`mustRegexMatch "(" "x"`, `regexFind "(" "x"`, `mustRegexFind "(" "x"`, `regexFindAll "(" "x" 1`, `mustRegexFindAll "(" "x" 1`, `regexReplaceAll "(" "x" ""`,
		`mustRegexReplaceAll "(" "x" ""`, `regexReplaceAllLiteral "(" "x" ""`, `mustRegexReplaceAllLiteral "(" "x" ""`, `regexSplit "(" "x" 1`, `mustRegexSplit "(" "x" 1`,
	} {
		if _, err := preview(t, "# {{ "+call+" }}", nil); err == nil || !strings.Contains(err.Error(), "missing closing )") {
			t.Errorf("%s gives %v", call, err)
		}
	}
}

// The dot has every field of Data.
func TestDataIsSeen(t *testing.T) {
	fields := ""
	for i := range reflect.TypeFor[answer.Data]().NumField() {
		fields += "{{ $_ := ." + reflect.TypeFor[answer.Data]().Field(i).Name + " }}"
	}
	if _, err := preview(t, fields, func(d *answer.Data) {
		d.Hardware = func() (answer.Hardware, error) { return hardware, nil }
	}); err != nil {
		t.Error(err)
	}
}

// An image that cannot be read now may be readable for the next host; one that
// could be read is not read again.
func TestPreparedReadsImageOnce(t *testing.T) {
	r := request(t, layouts()[1])
	tree := &shaky{FS: r.ISO.Tree.(fstest.MapFS), broken: true}
	r.ISO.Tree = tree
	p := answer.Prepare(r)
	if err := p.Check(); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("checking an image that cannot be read: %v", err)
	}
	if _, err := p.Render(r.Data, nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("rendering for an image that cannot be read: %v", err)
	}
	tree.broken = false
	for i := range 3 {
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Render(r.Data, nil); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			tree.opened = 0
		}
	}
	if tree.opened > 0 {
		t.Errorf("%d files were opened for hosts after the first", tree.opened)
	}
}

// A prepared value is of its own image and template alone.
func TestPreparedOfAnother(t *testing.T) {
	r := request(t, layouts()[1])
	was, err := answer.Prepare(r).Render(r.Data, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(r *answer.Request){
		"template": func(r *answer.Request) { r.Template += "# more\n" },
		"image": func(r *answer.Request) {
			menu := r.ISO.Tree.(fstest.MapFS)["isolinux/isolinux.cfg"]
			menu.Data = bytes.ReplaceAll(menu.Data, []byte("kernel vmlinuz"), []byte("kernel other"))
			r.ISO.Tree.(fstest.MapFS)["isolinux/other"] = menu
		},
		"arguments": func(r *answer.Request) { r.KernelArgs = []string{"inst.loglevel=debug"} },
		"mark":      func(r *answer.Request) { r.Mark = "metalcue-fedcba9876543210" },
	} {
		r := request(t, layouts()[1])
		change(&r)
		is, err := answer.Prepare(r).Render(r.Data, nil)
		if err != nil || reflect.DeepEqual(is.Changes, was.Changes) {
			t.Errorf("with another %s: the same changes, %v", name, err)
		}
	}
}

// shaky is a tree that cannot be read while it is broken.
type shaky struct {
	fs.FS
	broken bool
	opened int
}

func (s *shaky) Open(name string) (fs.File, error) {
	s.opened++
	if s.broken {
		return nil, fs.ErrPermission
	}
	return s.FS.Open(name)
}

// A host's answer file, where image and template are those of the host before.
func BenchmarkRender(b *testing.B) {
	for _, l := range layouts() {
		if l.arch != "x86_64" {
			continue
		}
		b.Run(l.name, func(b *testing.B) {
			r := request(b, l)
			p := answer.Prepare(r)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Render(r.Data, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
