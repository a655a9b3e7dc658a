package source_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-git/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/source"
)

func open(t *testing.T, s source.Spec) *source.Tree {
	t.Helper()
	tree, err := source.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// content returns the content of a file of a tree.
func content(t *testing.T, tree *source.Tree, name string) string {
	t.Helper()
	data, err := fs.ReadFile(tree.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestOpenCleanWorkTree(t *testing.T) {
	r := newRepo(t)
	hash := r.commit("first")
	// None of these is part of the fleet.
	r.write(map[string]string{"README.md": "changed\n", "notes.txt": "new\n", "hosts/x.log": "ignored\n", "hosts/private/a.cue": "package fleet\nhosts: {}\n"})

	for _, location := range []string{r.dir, filepath.Join(r.dir, "hosts"), "file://" + r.dir} {
		tree := open(t, source.Spec{Location: location})
		want := source.Tree{Dir: "hosts", Commit: hash.String(), Ref: "main"}
		got := *tree
		got.FS = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", location, diff)
		}
		if got := content(t, tree, "README.md"); got != "about the fleet\n" {
			t.Errorf("%s: a clean tree is read at its commit, but README.md is %q", location, got)
		}
		if _, err := fs.Stat(tree.FS, "hosts/private/a.cue"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: an ignored file is part of the fleet: %v", location, err)
		}
	}
}

func TestOpenDirtyWorkTree(t *testing.T) {
	tests := []struct {
		name  string
		write map[string]string
		want  []string
	}{
		{"changed", map[string]string{"hosts/fleet.cue": "package fleet\n//\n"}, []string{"hosts/fleet.cue"}},
		{"new", map[string]string{"hosts/berlin/b.cue": "package fleet\n"}, []string{"hosts/berlin/b.cue"}},
		{"template", map[string]string{"hosts/templates/a.tmpl": "other\n"}, []string{"hosts/templates/a.tmpl"}},
		{"deleted", map[string]string{"hosts/tokyo/hosts.cue": ""}, []string{"hosts/tokyo/hosts.cue"}},
		{"module", map[string]string{"cue.mod/module.cue": "module: \"x.y\"\n", "schema/x.cue": "package schema\n"}, []string{"cue.mod/module.cue", "schema/x.cue"}},
		{"imported package", map[string]string{"docs/lib/lib.cue": "package lib\n"}, []string{"docs/lib/lib.cue"}},
		{"line ends", map[string]string{"hosts/fleet.cue": "package fleet\r\n"}, nil},
		{"ignored", map[string]string{"hosts/a.log": "x"}, nil},
		{"elsewhere", map[string]string{"docs/big/notes/notes.txt": "x", "x.txt": "y"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRepo(t)
			hash := r.commit("first")
			r.write(tt.write)
			before := snapshot(t, r.dir)
			tree := open(t, source.Spec{Location: r.dir})
			if diff := cmp.Diff(tt.want, tree.Dirty); diff != "" {
				t.Errorf("dirty (-want +got):\n%s", diff)
			}
			if tree.Commit != hash.String() {
				t.Errorf("commit %s, want %s", tree.Commit, hash)
			}
			for _, name := range tt.want {
				if tt.write[name] == "" {
					if _, err := fs.Stat(tree.FS, name); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s was deleted, but: %v", name, err)
					}
				} else if got := content(t, tree, name); got != tt.write[name] {
					t.Errorf("%s is %q, want what lies there", name, got)
				}
			}
			if diff := cmp.Diff(before, snapshot(t, r.dir)); diff != "" {
				t.Errorf("the repository was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestStagedIsDirty stages a change without committing it.
func TestStagedIsDirty(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	r.write(map[string]string{"hosts/new.cue": "package fleet\n"})
	w, err := r.git.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Add("hosts/new.cue"); err != nil {
		t.Fatal(err)
	}
	tree := open(t, source.Spec{Location: r.dir})
	if diff := cmp.Diff([]string{"hosts/new.cue"}, tree.Dirty); diff != "" {
		t.Errorf("dirty (-want +got):\n%s", diff)
	}
}

// TestWorkTreeLinks changes a symbolic link of a work tree, and checks that
// one that leads out of it is not followed.
func TestWorkTreeLinks(t *testing.T) {
	r := newRepo(t)
	r.link("templates/a.tmpl", "hosts/link.tmpl")
	r.commit("first")
	if tree := open(t, source.Spec{Location: r.dir}); len(tree.Dirty) > 0 {
		t.Errorf("dirty: %q", tree.Dirty)
	}
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.dir, "hosts/link.tmpl")); err != nil {
		t.Fatal(err)
	}
	r.link(outside, "hosts/link.tmpl")
	tree := open(t, source.Spec{Location: r.dir})
	if diff := cmp.Diff([]string{"hosts/link.tmpl"}, tree.Dirty); diff != "" {
		t.Errorf("dirty (-want +got):\n%s", diff)
	}
	if data, err := fs.ReadFile(tree.FS, "hosts/link.tmpl"); err == nil {
		t.Errorf("read %q through a link that leads out", data)
	}
}

// snapshot returns the content and times of all files below a folder.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		all[name] = info.ModTime().String() + "\n" + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOpenRef(t *testing.T) {
	r := newRepo(t)
	first := r.commit("first")
	r.tag("v1", first)
	r.write(map[string]string{"hosts/fleet.cue": "package fleet // 2\n"})
	second := r.commit("second")
	r.branch("feature/x", first)
	r.write(map[string]string{"hosts/fleet.cue": "package fleet // not committed\n"})

	for ref, want := range map[string]string{
		"v1": first.String(), "feature/x": first.String(), first.String(): first.String(), first.String()[:10]: first.String(),
		"main": second.String(), "HEAD": second.String(), "HEAD~1": first.String(), "refs/heads/main": second.String(),
	} {
		tree := open(t, source.Spec{Location: r.dir, Ref: ref})
		if tree.Commit != want || tree.Ref != ref || len(tree.Dirty) != 0 {
			t.Errorf("%s: commit %s, ref %q, dirty %q; want %s", ref, tree.Commit, tree.Ref, tree.Dirty, want)
		}
		if got, want := content(t, tree, "hosts/fleet.cue"), map[bool]string{true: "package fleet\n", false: "package fleet // 2\n"}[want == first.String()]; got != want {
			t.Errorf("%s: fleet.cue is %q, want %q", ref, got, want)
		}
	}
	_, err := source.Open(t.Context(), source.Spec{Location: r.dir, Ref: "mian"})
	wantErr(t, err, r.dir, "mian", "no branch, tag or commit", "the branches are feature/x, main")
}

func TestOpenBare(t *testing.T) {
	r := newRepo(t)
	hash := r.commit("first")
	bare := filepath.Join(t.TempDir(), "bare.git")
	if err := os.CopyFS(bare, os.DirFS(filepath.Join(r.dir, ".git"))); err != nil {
		t.Fatal(err)
	}
	g, err := git.PlainOpen(bare)
	if err != nil {
		t.Fatal(err)
	}
	config, err := g.Config()
	if err != nil {
		t.Fatal(err)
	}
	config.Core.IsBare = true
	if err := g.SetConfig(config); err != nil {
		t.Fatal(err)
	}
	tree := open(t, source.Spec{Location: bare})
	if tree.Commit != hash.String() || tree.Dir != "hosts" {
		t.Errorf("commit %s, dir %s", tree.Commit, tree.Dir)
	}
}

func TestOpenDir(t *testing.T) {
	r := newRepo(t)
	r.write(map[string]string{"fleets/a/f.cue": "package fleet\n", "fleets/b/hosts/f.cue": "package fleet\n", "docs/x.txt": "x\n"})
	r.commit("first")
	for _, tt := range []struct{ location, dir, want, wantErr string }{
		{".", "", "hosts", ""},
		{"fleets/a", "", "fleets/a", ""},
		{"fleets/b", "", "fleets/b/hosts", ""},
		{".", "fleets/a", "fleets/a", ""},
		{"fleets", "a", "fleets/a", ""},
		{"fleets", "../hosts", "hosts", ""},
		{".", "..", "", "outside of the repository"},
		{".", "nothing", "", "there is no folder nothing"},
		{"docs", "", "", "no CUE files in docs/hosts, nor in docs"},
	} {
		tree, err := source.Open(t.Context(), source.Spec{Location: filepath.Join(r.dir, tt.location), Dir: tt.dir})
		if tt.wantErr != "" {
			wantErr(t, err, tt.wantErr)
		} else if err != nil || tree.Dir != tt.want {
			t.Errorf("%s, %s: %+v, %v; want %s", tt.location, tt.dir, tree, err, tt.want)
		}
	}
}

func TestOpenWithoutGit(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "hosts"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts", "f.cue"), []byte("package fleet\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := source.Open(t.Context(), source.Spec{Location: dir})
	wantErr(t, err, dir, "not a git repository", "git init")
	tree := open(t, source.Spec{Location: dir, NoGit: true})
	if tree.Commit != "" || tree.Dir != "hosts" || content(t, tree, "hosts/f.cue") != "package fleet\n" {
		t.Errorf("got %+v", tree)
	}
	_, err = source.Open(t.Context(), source.Spec{Location: dir, NoGit: true, Ref: "main"})
	wantErr(t, err, "it has no ref")
}

func TestOpenErrors(t *testing.T) {
	r := newRepo(t)
	_, err := source.Open(t.Context(), source.Spec{Location: r.dir})
	wantErr(t, err, "no commit yet")
	_, err = source.Open(t.Context(), source.Spec{Location: filepath.Join(r.dir, "README.md")})
	wantErr(t, err, "not a directory")
	_, err = source.Open(t.Context(), source.Spec{Location: filepath.Join(r.dir, "nothing")})
	wantErr(t, err, "no such file")
	_, err = source.Open(t.Context(), source.Spec{})
	wantErr(t, err, "no location")

	r.commit("first")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Open(ctx, source.Spec{Location: r.dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}
