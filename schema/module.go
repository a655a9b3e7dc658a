package schema

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/module"
)

//go:embed fleet.cue forms.cue
var definitions embed.FS

// strictFile makes "cue vet" as strict as [Load] is by itself.
const strictFile = "strict.cue"

const (
	modulePath = "github.com/metalcue/metalcue"
	importPath = modulePath + "/schema"
	moduleFile = "cue.mod/module.cue"

	// definitionsRoot is where a workspace has this module, out of the way of
	// anything that a repository may hold.
	definitionsRoot = ".metalcue"

	// lonelyModule is the module of a fleet whose repository declares none.
	lonelyModule = "module: \"fleet.local@v0\"\nlanguage: version: \"v0.14.0\"\n"

	// definitionsModule is the module at definitionsRoot.
	definitionsModule = "module: \"" + modulePath + "@v0\"\nlanguage: version: \"v0.14.0\"\n"

	// localModule makes imports of this module lead to definitionsRoot.
	localModule = "language: version: \"v0.17.0\"\n" +
		"deps: \"" + modulePath + "@v0\": {v: \"v0.0.1\", replaceWith: \"/" + definitionsRoot + "\"}\n"
)

// A workspace is a repository as the CUE loader is to see it: with a module,
// and with the definitions behind the import of the schema.
type workspace struct {
	fsys fs.FS
	root string // the module's root, a slash path in fsys
}

// newWorkspace looks for the module that dir belongs to. A repository without
// one is given one. The repository of this very module keeps its own
// definitions; every other sees those embedded here, whatever version it
// requires, for it is these that the decoding fits.
func newWorkspace(fsys fs.FS, dir string) (*workspace, error) {
	root, data, err := findModule(fsys, dir)
	if err != nil {
		return nil, err
	}
	over := overlay{base: fsys, files: map[string]string{}}
	name := path.Join(root, moduleFile)
	if data == nil {
		data = []byte(lonelyModule)
		over.files[name] = lonelyModule
	}
	mod, err := modfile.ParseNonStrict(data, name)
	if err != nil {
		return nil, newError(violationsOf(err, Position{File: name}))
	}
	if mod.ModuleRootPath() == modulePath {
		over.files[path.Join(root, "schema", strictFile)] = "package schema\n"
		return &workspace{fsys: over, root: root}, nil
	}
	over.files[path.Join(root, "cue.mod/local-module.cue")] = localModule
	over.files[path.Join(definitionsRoot, moduleFile)] = definitionsModule
	for _, kind := range [...]string{"pkg", "usr", "gen"} {
		over.hidden = append(over.hidden, path.Join(root, "cue.mod", kind, importPath))
	}
	over.mount, over.mounted = path.Join(definitionsRoot, "schema"), definitions
	return &workspace{fsys: over, root: root}, nil
}

// findModule returns the root of the module that dir belongs to and its module
// file; where there is none, data is nil and root the repository's own.
func findModule(fsys fs.FS, dir string) (root string, data []byte, err error) {
	for root = dir; ; root = path.Dir(root) {
		data, err = fs.ReadFile(fsys, path.Join(root, moduleFile))
		if err == nil {
			return root, data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, fmt.Errorf("reading CUE module: %w", err)
		}
		if root == "." {
			return root, nil, nil
		}
	}
}

// noRegistry refuses modules that would have to be fetched: what a commit
// declares must not depend on the network.
type noRegistry struct{}

func (noRegistry) refuse(m string) error {
	return fmt.Errorf("module %s is not in the repository: copy the packages that the fleet imports into cue.mod/pkg", m)
}

func (r noRegistry) ModFile(_ context.Context, m module.Version) (*modfile.File, error) {
	return nil, r.refuse(m.String())
}

func (r noRegistry) Fetch(_ context.Context, m module.Version) (module.SourceLoc, error) {
	return module.SourceLoc{}, r.refuse(m.String())
}

func (r noRegistry) ModuleVersions(_ context.Context, m string) ([]string, error) {
	return nil, nil
}

// An overlay is a file system with some files and one folder laid over it, and
// some folders left out. What is laid over is found by name; listing their parents does not show them.
type overlay struct {
	base    fs.FS
	files   map[string]string // content by path
	hidden  []string          // folders of base that are not seen
	mount   string            // where mounted is
	mounted fs.FS
}

// Open implements [fs.FS].
func (o overlay) Open(name string) (fs.File, error) {
	if content, ok := o.files[name]; ok {
		return &memFile{Reader: strings.NewReader(content), name: path.Base(name), mode: 0o444}, nil
	}
	if o.mounted != nil {
		if name == path.Dir(o.mount) {
			return openFolder(name), nil
		}
		if rest, ok := strings.CutPrefix(name+"/", o.mount+"/"); ok {
			return o.mounted.Open(path.Clean(rest))
		}
	}
	for _, dir := range o.hidden {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	f, err := o.base.Open(name)
	if errors.Is(err, fs.ErrNotExist) && o.holds(name) {
		return openFolder(name), nil
	}
	return f, err
}

func openFolder(name string) fs.File {
	return &memFile{Reader: strings.NewReader(""), name: path.Base(name), mode: fs.ModeDir | 0o555}
}

// holds reports whether a laid-over file is in the folder. The loader takes a
// folder to be a module's root by its having a cue.mod.
func (o overlay) holds(folder string) bool {
	for name := range o.files {
		if path.Dir(name) == folder {
			return true
		}
	}
	return false
}

// A memFile is an open file, or an open folder that shows nothing, and what is
// known of it.
type memFile struct {
	*strings.Reader
	name string
	mode fs.FileMode
}

func (f *memFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *memFile) Close() error               { return nil }
func (f *memFile) Name() string               { return f.name }
func (f *memFile) Mode() fs.FileMode          { return f.mode }
func (f *memFile) ModTime() time.Time         { return time.Time{} }
func (f *memFile) IsDir() bool                { return f.mode.IsDir() }
func (f *memFile) Sys() any                   { return nil }
func (f *memFile) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 {
		return nil, io.EOF
	}
	return nil, nil
}
