package source_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/metalcue/metalcue/reconcile/source"
)

func TestTreeFS(t *testing.T) {
	r := newRepo(t)
	r.write(map[string]string{"hosts/a.b": "1", "hosts/a/c": "2", "hosts/a-b": "3"})
	r.link("templates/a.tmpl", "hosts/link.tmpl")
	r.link("../hosts/tokyo", "hosts/site")
	r.commit("first")
	tree := open(t, source.Spec{Location: r.dir, Ref: "main"})
	if err := fstest.TestFS(tree.FS, "hosts/fleet.cue", "hosts/tokyo/hosts.cue", "hosts/link.tmpl", "cue.mod/module.cue"); err != nil {
		t.Error(err)
	}
	if got := content(t, tree, "hosts/link.tmpl"); got != "text\n" {
		t.Errorf("through a link: %q", got)
	}
	if got := content(t, tree, "hosts/site/hosts.cue"); got != "package fleet\n\nhosts: {}\n" {
		t.Errorf("through a link to a folder: %q", got)
	}
}

func TestTreeFSRefuses(t *testing.T) {
	r := newRepo(t)
	r.link("/etc/passwd", "hosts/absolute")
	r.link("../../outside", "hosts/outside")
	r.link("loop2", "hosts/loop1")
	r.link("loop1", "hosts/loop2")
	r.link("nothing", "hosts/dangling")
	r.write(map[string]string{"hosts/lfs.tmpl": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"})
	hash := withSubmodule(t, r, r.commit("first"))
	r.branch("sub", hash)
	tree := open(t, source.Spec{Location: r.dir, Ref: "sub"})
	for name, want := range map[string]string{
		"hosts/absolute": "leads out of the repository", "hosts/outside": "leads out of the repository",
		"hosts/loop1": "too many symbolic links", "hosts/dangling": "does not exist", "hosts/lfs.tmpl": "Git LFS",
		"module": "git submodule", "module/x": "git submodule", "hosts": "is a directory", "hosts/fleet.cue/x": "does not exist", "../x": "invalid argument",
	} {
		_, err := fs.ReadFile(tree.FS, name)
		wantErr(t, err, name, want)
		var pathErr *fs.PathError
		if !errors.As(err, &pathErr) || pathErr.Path != name {
			t.Errorf("%s: %#v is no path error with its name", name, err)
		}
	}
	// A walk meets the submodule and does not enter it.
	err := fs.WalkDir(tree.FS, ".", func(name string, entry fs.DirEntry, err error) error {
		if strings.HasPrefix(name, "module/") {
			t.Errorf("entered %s", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// withSubmodule returns a commit with a submodule, which takes no .gitmodules.
func withSubmodule(t *testing.T, r *repo, parent plumbing.Hash) plumbing.Hash {
	t.Helper()
	commit, err := r.git.CommitObject(parent)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := commit.Tree()
	if err != nil {
		t.Fatal(err)
	}
	entries := append([]object.TreeEntry{}, tree.Entries...)
	entries = append(entries, object.TreeEntry{Name: "module", Mode: filemode.Submodule, Hash: parent})
	store := func(o interface {
		Encode(plumbing.EncodedObject) error
	}) plumbing.Hash {
		encoded := r.git.Storer.NewEncodedObject()
		if err := o.Encode(encoded); err != nil {
			t.Fatal(err)
		}
		hash, err := r.git.Storer.SetEncodedObject(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	return store(&object.Commit{
		Author: commit.Author, Committer: commit.Committer, Message: "submodule",
		TreeHash: store(&object.Tree{Entries: entries}), ParentHashes: []plumbing.Hash{parent},
	})
}

// TestTreeFSConcurrently reads from many goroutines; the race detector judges.
func TestTreeFSConcurrently(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	tree := open(t, source.Spec{Location: r.dir, Ref: "main"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := fs.WalkDir(tree.FS, ".", func(name string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				if _, err := fs.Stat(tree.FS, name); err != nil {
					return err
				}
				_, err = fs.ReadFile(tree.FS, name)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
