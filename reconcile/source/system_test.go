//go:build system

package source_test

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/source"
)

// TestOpenFromGit fetches from git's own server, which, unlike go-git's, leaves
// history out and multiplexes what it sends.
func TestOpenFromGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t)
	first := r.commit("first")
	r.tag("v1", first)
	r.write(map[string]string{"hosts/fleet.cue": "package fleet // 2\n"})
	second := r.commit("second")
	root := filepath.Dir(r.dir)
	run(t, git, "-C", r.dir, "repack", "-adq")
	s := httptest.NewServer(&cgi.Handler{
		Path: git, Args: []string{"http-backend"}, InheritEnv: []string{"PATH", "HOME"},
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
			"GIT_CONFIG_KEY_1=uploadpack.allowReachableSHA1InWant", "GIT_CONFIG_VALUE_1=true"},
	})
	defer s.Close()
	spec := source.Spec{Location: s.URL + "/" + filepath.Base(r.dir), Credentials: logins(nil)}
	for ref, want := range map[string]string{"": second.String(), "main": second.String(), "v1": first.String(), first.String(): first.String()} {
		spec.Ref = ref
		tree, err := source.Open(t.Context(), spec)
		if err != nil {
			t.Errorf("%q: %v", ref, err)
			continue
		}
		if tree.Commit != want || tree.Ref != map[bool]string{true: "main", false: ref}[ref == ""] {
			t.Errorf("%q: commit %s, ref %q; want %s", ref, tree.Commit, tree.Ref, want)
		}
		if got := content(t, tree, "hosts/fleet.cue"); !strings.HasPrefix(got, "package fleet") {
			t.Errorf("%q: fleet.cue is %q", ref, got)
		}
	}
	spec.Ref = strings.Repeat("1", 40)
	_, err = source.Open(t.Context(), spec)
	wantErr(t, err, spec.Ref, "name a branch or a tag")
}

// TestCloneOfGit reads a work tree that git made, with packed objects, packed
// refs and a linked work tree.
func TestCloneOfGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t)
	hash := r.commit("first")
	clone, linked := filepath.Join(t.TempDir(), "clone"), filepath.Join(t.TempDir(), "linked")
	run(t, git, "clone", "-q", "file://"+r.dir, clone)
	run(t, git, "-C", clone, "pack-refs", "--all")
	run(t, git, "-C", clone, "worktree", "add", "-q", linked, "HEAD")
	for _, dir := range []string{clone, linked} {
		tree := open(t, source.Spec{Location: dir})
		if tree.Commit != hash.String() || len(tree.Dirty) > 0 {
			t.Errorf("%s: commit %s, dirty %q", dir, tree.Commit, tree.Dirty)
		}
		if err := os.WriteFile(filepath.Join(dir, "hosts", "new.cue"), []byte("package fleet\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if tree := open(t, source.Spec{Location: dir}); len(tree.Dirty) != 1 {
			t.Errorf("%s: dirty %q", dir, tree.Dirty)
		}
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
