package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const module = "github.com/metalcue/metalcue/"

// A goFile is one parsed file of the tree.
type goFile struct {
	path    string // from the repository's root, with slashes
	dir     string
	test    bool
	imports []string
	doc     string // the package comment
	lines   int
}

// tree parses the imports of every Go file of the repository.
func tree(t *testing.T) (files []goFile) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		files = append(files, goFile{
			path: rel, dir: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"), imports: importsOf(t, parsed),
			doc: parsed.Doc.Text(), lines: strings.Count(string(text), "\n"),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d Go files were found", len(files))
	}
	return files
}

func importsOf(t *testing.T, f *ast.File) (imports []string) {
	t.Helper()
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, p)
	}
	return imports
}

// TestPackageComments: every package says what it is for, once.
func TestPackageComments(t *testing.T) {
	docs := map[string]int{}
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		if docs[f.dir] += 0; f.doc != "" {
			docs[f.dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments, want one", dir, n)
		}
	}
}

// TestOneImporter: a foreign type stops at the package that owns it.
func TestOneImporter(t *testing.T) {
	owners := []struct {
		prefix, owner, why string
	}{
		{"github.com/stmcginnis/gofish", "reconcile/redfish", "BMCs are driven in one place, behind its guard"},
		{"github.com/netbox-community/go-netbox", "reconcile/netbox", "its one package takes 4.5 GB to compile, and its decoding loses pages"},
		{"cuelang.org/go", "schema", "everything else sees Go types"},
		{"github.com/go-git/go-git", "reconcile/source", "everything else sees an fs.FS"},
		{"github.com/spf13/", "cmd/reconcile", "flags are the program's, not the packages'"},
		{"github.com/Masterminds/sprig", "reconcile/answer", "templates are rendered in one place"},
	}
	for _, f := range tree(t) {
		for _, imported := range f.imports {
			for _, o := range owners {
				if !f.test && strings.HasPrefix(imported, o.prefix) && f.dir != o.owner {
					t.Errorf("%s imports %s, which belongs to %s: %s", f.path, imported, o.owner, o.why)
				}
			}
		}
	}
}

// TestLayers: knowledge goes one way. A package may import those that are named
// beside it, and the packages for tests and for the lab besides.
func TestLayers(t *testing.T) {
	layers := map[string][]string{
		"schema":               {},
		"hosts":                {},
		"isohttp/fat":          {},
		"isohttp/iso9660":      {"isohttp/fat"},
		"isohttp":              {"isohttp/iso9660"},
		"reconcile/marker":     {},
		"reconcile/rollout":    {},
		"reconcile/credential": {},
		"reconcile/answer":     {},
		"reconcile/source":     {"reconcile/credential"},
		"reconcile/redfish":    {"reconcile/credential", "reconcile/marker"},
		"reconcile/netbox":     {"reconcile/credential", "schema"},
		"reconcile/verify":     {"schema"},
		"reconcile": {
			"schema", "isohttp", "isohttp/iso9660", "reconcile/answer", "reconcile/credential", "reconcile/marker",
			"reconcile/netbox", "reconcile/redfish", "reconcile/rollout",
		},
		"reconcile/report": {"reconcile", "reconcile/marker", "isohttp"},
		"reconcile/notify": {"reconcile", "reconcile/credential", "reconcile/report"},
		"reconcile/record": {"reconcile", "reconcile/redfish", "reconcile/report", "isohttp"},

		// For tests, and the lab that is made of them: they pretend to be what
		// others wrote, so they know nothing of the client they are to test.
		"isohttp/iso9660/isotest":           {},
		"reconcile/netbox/netboxtest":       {},
		"reconcile/redfish/bmctest":         {},
		"reconcile/redfish/qemubmc":         {"reconcile/redfish/bmctest"},
		"reconcile/redfish/qemubmc/testdvd": {},
		"reconcile/lab": {
			"schema", "reconcile", "reconcile/marker", "isohttp/iso9660/isotest", "reconcile/netbox/netboxtest", "reconcile/redfish/bmctest",
		},
	}
	for _, f := range tree(t) {
		if f.test || strings.HasPrefix(f.dir, "cmd/") {
			continue
		}
		allowed, known := layers[f.dir]
		if !known {
			t.Errorf("%s: the package %s has no place in the layers; give it one here", f.path, f.dir)
			continue
		}
		for _, imported := range f.imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, which %s may not know", f.path, ours, f.dir)
			}
		}
	}
}

// TestNoCommandInPackages: only the command ends the process or owns the
// standard streams.
func TestNoCommandInPackages(t *testing.T) {
	banned := regexp.MustCompile(`\bos\.(Exit|Stdout|Stderr|Stdin)\b|\blog\.(Fatal|Print|Panic)|\bhttp\.(DefaultServeMux|HandleFunc|Handle)\(|\bfunc init\(\)`)
	for _, f := range tree(t) {
		if f.test || strings.HasPrefix(f.dir, "cmd/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(f.path)))
		if err != nil {
			t.Fatal(err)
		}
		if found := banned.FindString(string(text)); found != "" {
			t.Errorf("%s uses %s", f.path, found)
		}
	}
}

// TestReadme: what the README shows is what the program says.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(exitCodes, "\n")[1:] {
		code, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
		if row := "| " + code + " | " + strings.TrimSpace(meaning) + " |"; !strings.Contains(string(readme), row) {
			t.Errorf("the README lacks the exit code %q", row)
		}
	}
	for _, command := range []string{"go run ./cmd/reconcile lab", "go test ./..."} {
		if !strings.Contains(string(readme), command) {
			t.Errorf("the README lacks the command %q", command)
		}
	}
	known := map[string]bool{"help": true}
	var learn func(*cobra.Command)
	learn = func(cmd *cobra.Command) {
		for _, set := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			set.VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
		}
		for _, sub := range cmd.Commands() {
			learn(sub)
		}
	}
	learn((&cli{}).rootCommand())
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]+`).FindAllString(string(readme), -1) {
		if !known[strings.TrimPrefix(flag, "--")] {
			t.Errorf("the README names %s, which the program does not have", flag)
		}
	}
}
