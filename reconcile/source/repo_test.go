package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// A repo is a git repository with a work tree in a temporary folder.
type repo struct {
	t    *testing.T
	dir  string
	git  *git.Repository
	when time.Time
}

// newRepo returns a repository whose first commit holds a small fleet.
func newRepo(t *testing.T) *repo {
	t.Helper()
	// Whoever runs the tests may ignore files of their own.
	t.Setenv("HOME", t.TempDir())
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &repo{t: t, dir: dir, git: g, when: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.write(map[string]string{
		"README.md":                "about the fleet\n",
		"hosts/fleet.cue":          "package fleet\n",
		"hosts/tokyo/hosts.cue":    "package fleet\n\nhosts: {}\n",
		"hosts/templates/a.tmpl":   "text\n",
		"cue.mod/module.cue":       "module: \"example.com/fleet@v0\"\n",
		".gitignore":               "*.log\n/hosts/private/\n",
		"docs/big/notes/notes.txt": "notes\n",
	})
	return r
}

// write writes files; content "" removes one.
func (r *repo) write(files map[string]string) {
	r.t.Helper()
	for name, content := range files {
		full := filepath.Join(r.dir, filepath.FromSlash(name))
		if content == "" {
			if err := os.Remove(full); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *repo) link(target, name string) {
	r.t.Helper()
	if err := os.Symlink(target, filepath.Join(r.dir, name)); err != nil {
		r.t.Fatal(err)
	}
}

// commit commits everything and returns the commit.
func (r *repo) commit(message string) plumbing.Hash {
	r.t.Helper()
	w, err := r.git.Worktree()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := w.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		r.t.Fatal(err)
	}
	r.when = r.when.Add(time.Minute)
	hash, err := w.Commit(message, &git.CommitOptions{Author: &object.Signature{Name: "A", Email: "a@example.com", When: r.when}})
	if err != nil {
		r.t.Fatal(err)
	}
	return hash
}

// tag makes an annotated tag.
func (r *repo) tag(name string, hash plumbing.Hash) {
	r.t.Helper()
	_, err := r.git.CreateTag(name, hash, &git.CreateTagOptions{
		Tagger: &object.Signature{Name: "A", Email: "a@example.com", When: r.when}, Message: name,
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// branch makes a branch, without checking it out.
func (r *repo) branch(name string, hash plumbing.Hash) {
	r.t.Helper()
	ref := plumbing.NewHashReference(plumbing.NewBranchReferenceName(name), hash)
	if err := r.git.Storer.SetReference(ref); err != nil {
		r.t.Fatal(err)
	}
}

// wantErr checks that an error has all the wanted parts.
func wantErr(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
}
