package schema

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

const smallFleet = `package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet

roles: web: answer: template: "a.tmpl"
images: alma: {
	family: "rhel"
	url:    "alma.iso"
	sha256: "5b1e7c94d2a80f3667c1e5b9f04d83a2c76e91b05fd4a83827e6c0b19d5f34a8"
}
hosts: one: {os: "alma", role: "web"}
`

// TestWorkspaces loads a fleet from repositories of every kind.
func TestWorkspaces(t *testing.T) {
	const module = "module: \"example.com/infra@v0\"\nlanguage: version: \"v0.14.0\"\n"
	for _, tt := range []struct {
		name, dir string
		files     map[string]string
	}{
		{"no module", "hosts", nil},
		{"at the root", ".", nil},
		{"in a module", "hosts", map[string]string{"cue.mod/module.cue": module}},
		{"deep in a module", "a/b/hosts", map[string]string{"a/cue.mod/module.cue": module}},
		{"a module of its own", "hosts", map[string]string{"hosts/cue.mod/module.cue": module}},
		{"in a module of another kind", "hosts", map[string]string{"cue.mod/module.cue": module, "schema/x.cue": "package schema\n#Fleet: nonsense: 1\n"}},
		{"an old schema is vendored", "hosts", map[string]string{
			"cue.mod/module.cue": module, "cue.mod/pkg/github.com/metalcue/metalcue/schema/x.cue": "package schema\n#Fleet: nonsense: 1\n",
		}},
		{"with a module beside it", "hosts", map[string]string{"hosts/vendor/cue.mod/module.cue": module, "hosts/vendor/x.cue": "package fleet\nnonsense: 1\n"}},
		{"with a local module file", "hosts", map[string]string{"cue.mod/module.cue": module, "cue.mod/local-module.cue": "deps: {}\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prefix := tt.dir + "/"
			if tt.dir == "." {
				prefix = ""
			}
			fsys := fstest.MapFS{prefix + "fleet.cue": {Data: []byte(smallFleet)}, prefix + "a.tmpl": {}}
			for name, content := range tt.files {
				fsys[name] = &fstest.MapFile{Data: []byte(content)}
			}
			fleet, err := Load(fsys, tt.dir)
			if err != nil {
				t.Fatal(err)
			}
			h := fleet.Hosts["one"]
			if h == nil || h.Site != "" || h.Pos.File != prefix+"fleet.cue" {
				t.Errorf("host %+v", h)
			}
			if _, err := fs.Stat(fleet.Files, "a.tmpl"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOwnDefinitions checks that the repository of this module is held against
// its own definitions, not against those of the program.
func TestOwnDefinitions(t *testing.T) {
	fsys := repository(t, nil)
	fsys["schema/more.cue"] = &fstest.MapFile{Data: []byte("package schema\n\n#Image: bits: 32 | 64\n")}
	_, err := Load(fsys, "hosts")
	if err == nil || !strings.Contains(err.Error(), "images.alma-10.bits") {
		t.Errorf("error %v, want one about bits", err)
	}
}

func TestSiteNames(t *testing.T) {
	for _, root := range []string{"hosts", "."} {
		prefix := map[string]string{"hosts": "hosts/", ".": ""}[root]
		fleet, err := Load(fstest.MapFS{
			prefix + "fleet.cue":         {Data: []byte(smallFleet)},
			prefix + "a.tmpl":            {},
			prefix + "asia/x.cue":        {Data: []byte("package fleet\n\nhosts: two: {os: \"alma\", role: \"web\"}\n")},
			prefix + "asia/tokyo/x.cue":  {Data: []byte("package fleet\n\nhosts: three: {os: \"alma\", role: \"web\"}\n")},
			prefix + "asia/_draft/x.cue": {Data: []byte("package fleet\n\nnonsense: 1\n")},
		}, root)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"one": "", "two": "asia", "three": "asia/tokyo"} {
			if got := fleet.Hosts[name].Site; got != want {
				t.Errorf("in %s: site of %s is %q, want %q", root, name, got, want)
			}
		}
	}
}

func TestLoadErrors(t *testing.T) {
	for dir, want := range map[string]string{
		"../hosts": "is not a path inside the repository",
		"nothing":  "nothing",
		"hosts":    "holds no CUE package",
	} {
		_, err := Load(fstest.MapFS{"hosts/readme": {}}, dir)
		var faults *Error
		if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &faults) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}
