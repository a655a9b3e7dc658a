package answer_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/answer"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func show(cs []answer.Change) string {
	var b strings.Builder
	for _, c := range cs {
		fmt.Fprintf(&b, "=== %s %s %s\n%s\n", c.Op, c.In, c.Path, bytes.TrimRight(bytes.ReplaceAll(c.Data, []byte{0}, []byte("␀")), "\n␀"))
	}
	return b.String()
}

func TestRender(t *testing.T) {
	for _, l := range layouts() {
		t.Run(l.name, func(t *testing.T) {
			if err := check(l.iso(), l); err != nil {
				t.Fatalf("Check: %v", err)
			}
			out, err := answer.Render(request(t, l))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			fmt.Fprintf(&b, "%s\nkernel arguments: %q\nevidence: %s\npowers off: %v\n", show(out.Changes), out.KernelArgs, out.Evidence, out.PowersOff)
			for _, p := range []answer.Phase{answer.PhaseLoader, answer.PhaseKernel, answer.PhaseInitrd, answer.PhaseAnswer, answer.PhasePayload} {
				fmt.Fprintf(&b, "%s: %s\n", p, strings.Join(out.Files[p], " "))
			}
			golden(t, "render/"+l.name+".txt", b.String())
			checkChanges(t, l, out)
		})
	}
}

// checkChanges holds what is promised of every family's changes.
func checkChanges(t *testing.T, l layout, out *answer.Rendered) {
	t.Helper()
	iso := l.iso()
	added := map[string]bool{}
	for i, c := range out.Changes {
		fsys := iso.Tree
		if c.In == answer.EFI {
			fsys = iso.EFI
		}
		stock, err := fs.ReadFile(fsys, strings.TrimPrefix(c.Path, "/"))
		if err != nil {
			added[c.Path] = true
		}
		if c.In == answer.EFI && len(c.Data) != len(stock) {
			t.Errorf("%s in the EFI image gets %d bytes, it has %d", c.Path, len(c.Data), len(stock))
		}
		twin := out.Local[i]
		if twin.Path != c.Path || twin.In != c.In || len(twin.Data) != len(c.Data) {
			t.Errorf("%s and its local twin %s have %d and %d bytes", c.Path, twin.Path, len(c.Data), len(twin.Data))
		}
	}
	for phase, paths := range out.Files {
		for _, p := range paths {
			if _, err := fs.Stat(iso.Tree, strings.TrimPrefix(p, "/")); err != nil && !added[p] {
				t.Errorf("phase %s reads %s, which is neither on the image nor added", phase, p)
			}
		}
	}
	for _, p := range out.Evidence {
		if len(out.Files[p]) == 0 {
			t.Errorf("%s is evidence, but no file is known for it", p)
		}
	}
	if !slices.ContainsFunc(out.Changes, func(c answer.Change) bool {
		translated := l.family == "coreos" || l.family == "flatcar" // whose own tests read it
		return c.Path == out.Answer.Path && (translated || bytes.Contains(c.Data, out.Answer.Data))
	}) {
		t.Errorf("the answer file is not among the changes")
	}
	for _, word := range []string{"rd.live.check", "quiet", "timeout 600", "timeout=60"} {
		for _, c := range out.Changes {
			if bytes.Contains(c.Data, []byte(word)) {
				t.Errorf("%s still has %q", c.Path, word)
			}
		}
	}
}

func TestLocalTwin(t *testing.T) {
	for _, l := range layouts() {
		out, err := answer.Render(request(t, l))
		if err != nil {
			t.Fatal(err)
		}
		differ := 0
		for i, c := range out.Changes {
			if bytes.Equal(c.Data, out.Local[i].Data) {
				continue
			}
			differ++
			if text := string(out.Local[i].Data); strings.Contains(text, "vmlinuz") || !strings.Contains(text, "localboot") && !strings.Contains(text, "chainloader") && !strings.HasPrefix(text, "skip=1\n") {
				t.Errorf("%s: %s does not boot the local disk:\n%s", l.name, c.Path, text)
			}
		}
		if differ == 0 {
			t.Errorf("%s: no menu boots the local disk", l.name)
		}
	}
}

// The same inputs give the same bytes, in whatever order NetBox tells them.
func TestRenderIsDeterministic(t *testing.T) {
	for _, l := range layouts() {
		var first *answer.Rendered
		for i := range 5 {
			r := request(t, l)
			if i%2 == 1 {
				slices.Reverse(r.Data.Interfaces)
			}
			out, err := answer.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = out
			}
			if !reflect.DeepEqual(first, out) { // which is quick about long files
				t.Fatalf("%s:\n%s", l.name, cmp.Diff(first, out))
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	l := layouts()[1]
	const hash = "$6$salt$abc'\"def"
	r := request(t, l)
	plan, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(plan.Answer.Data, []byte("__secret:root-password__")) {
		t.Errorf("the plan has no placeholder:\n%s", plan.Answer.Data)
	}
	r.Secret = func(name string) (string, error) { return hash, nil }
	real, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := `rootpw --iscrypted '$6$salt$abc'\''"def'`; !bytes.Contains(real.Answer.Data, []byte(want)) {
		t.Errorf("the answer file lacks %s:\n%s", want, real.Answer.Data)
	}
	for name, template := range map[string]string{
		"fail":      `{{ fail (secret "x") }}`,
		"printf":    `{{ fail (printf "no %q" (secret "x")) }}`,
		"atoi":      `{{ range until (secret "x") }}{{ end }}`,
		"mustRegex": `{{ mustRegexMatch (printf "(%s" (secret "x")) "" }}`,
		"netmask":   `{{ netmask (secret "x") }}`,
		"section":   "{{ secret \"x\" | printf \"%%%s\" }}\n",
		"newline":   `{{ printf "%s\n" (secret "x") | ksquote }}`,
		"shlex":     `rootpw {{ secret "x" }}` + "\npoweroff\n",
	} {
		r.Template = template
		_, err := answer.Render(r)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, form := range []string{hash, "abc'", `abc\'`, `"def`} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("%s: the error tells the secret: %v", name, err)
			}
		}
	}
	r.Template = minimal
	r.Secret = func(string) (string, error) { return "", fs.ErrNotExist }
	if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), "templates/minimal.ks.tmpl:1: db-01:") || !strings.Contains(err.Error(), `secret "root-password"`) {
		t.Errorf("a missing secret gives: %v", err)
	}
}

func TestPreview(t *testing.T) {
	l := layouts()[1]
	r := request(t, l)
	r.Template = "# {{ .Image.Label }}\n" + minimal
	r.ISO = answer.ISO{}
	r.Mark = ""
	r.Secret = func(string) (string, error) { t.Error("a preview asks for a secret"); return "", nil }
	got, err := answer.Preview(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Data.Image.Label = ""
	again, err := answer.Preview(r)
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("the preview depends on whether the label is known: %q, %q, %v", got, again, err)
	}
	if !bytes.HasPrefix(got, []byte("# __label__\nrootpw --iscrypted __secret:root-password__\n")) {
		t.Errorf("preview:\n%s", got)
	}
}

// A fleet's arguments may not undo the install, or be more than one word.
func TestKernelArguments(t *testing.T) {
	l := layouts()[1]
	for _, bad := range []string{"inst.ks=http://elsewhere/ks.cfg", "a b", "", "x\ny", "é", "rd.live.check", "initrd=other"} {
		r := request(t, l)
		r.KernelArgs = []string{bad}
		if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", bad)) {
			t.Errorf("argument %q gives: %v", bad, err)
		}
	}
	r := request(t, l)
	r.KernelArgs = []string{"inst.text", `odd=a;b'c"d$e`}
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(out.KernelArgs, "inst.cmdline") {
		t.Errorf("inst.text and inst.cmdline: %q", out.KernelArgs)
	}
	if !strings.Contains(show(out.Changes), `odd=a\;b\'c\"d\$e`+"\n\tinitrdefi") {
		t.Errorf("the argument is not escaped for GRUB:\n%s", show(out.Changes))
	}
	r.KernelArgs = []string{strings.Repeat("x", 2001)}
	if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), "command line") {
		t.Errorf("a long command line gives: %v", err)
	}
}
