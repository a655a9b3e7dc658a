package schema

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// TestErrors loads the fleets in testdata. Each archive holds a repository and,
// in the file "want", what is wrong with it. Where it has no schema of its own,
// its fleet is in the folder hosts of a repository that knows nothing of this
// module.
func TestErrors(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fsys := fstest.MapFS{"hosts/a.tmpl": {}}
			want := ""
			for _, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
				} else {
					fsys[f.Name] = &fstest.MapFile{Data: f.Data}
				}
			}
			_, err = Load(fsys, "hosts")
			got := "nothing is wrong\n"
			if err != nil {
				got = err.Error() + "\n"
			}
			if got == want {
				return
			}
			if !*update {
				t.Fatalf("got:\n%s\nwant:\n%s", got, want)
			}
			archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
			archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
			if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestErrorIsTyped checks what callers rely on: positions and paths.
func TestErrorIsTyped(t *testing.T) {
	_, err := Load(repository(t, map[string]string{"hosts/tokyo/wrong.cue": "package fleet\n\nhosts: \"tyo-web-01\": size: 1\n"}), "hosts")
	var faults *Error
	if !errors.As(err, &faults) {
		t.Fatalf("%T: %v", err, err)
	}
	want := []Violation{{
		Pos: Position{File: "hosts/tokyo/wrong.cue", Line: 3, Column: 22}, Path: "hosts.tyo-web-01.size",
		Msg: "unknown field; there are addresses, bmc, generation, labels, os, protect, role, serial, vars",
	}}
	if !slices.Equal(faults.Violations, want) {
		t.Errorf("got %+v, want %+v", faults.Violations, want)
	}
}
