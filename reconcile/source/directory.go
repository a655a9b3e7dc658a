package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// openDirectory opens the repository that dir is in. atCommit reads HEAD where
// no ref is given, and never the work tree.
func openDirectory(ctx context.Context, s Spec, dir string, atCommit bool) (*Tree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, errors.New("not a directory")
	}
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		repo, err = git.PlainOpen(dir) // a bare repository
	}
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return openPlain(s, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading git repository: %w", err)
	}
	root, base, err := workTree(repo, dir)
	if err != nil {
		return nil, err
	}
	commit, ref, err := resolve(repo, s.Ref)
	if err != nil {
		return nil, err
	}
	fsys, err := newTreeFS(repo.Storer, commit)
	if err != nil {
		return nil, err
	}
	if s.Ref != "" || atCommit || root == "" {
		return newTree(fsys, base, s.Dir, commit, ref)
	}
	return openWorkTree(ctx, s, fsys, root, base, commit, ref)
}

// workTree returns the root of the work tree and the slash path of dir in it;
// root is "" in a bare repository.
func workTree(repo *git.Repository, dir string) (root, base string, err error) {
	w, err := repo.Worktree()
	if errors.Is(err, git.ErrIsBareRepository) {
		return "", ".", nil
	}
	if err != nil {
		return "", "", err
	}
	root, err = filepath.EvalSymlinks(w.Filesystem.Root())
	if err != nil {
		return "", "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", "", err
	}
	base, err = filepath.Rel(root, dir)
	if err != nil {
		return "", "", err
	}
	base = filepath.ToSlash(base)
	if !fs.ValidPath(base) {
		return "", "", fmt.Errorf("%s is not inside of its work tree %s", dir, root)
	}
	return root, base, nil
}

// openPlain reads a directory that is in no repository, if that is allowed.
func openPlain(s Spec, dir string) (*Tree, error) {
	if s.Ref != "" {
		return nil, errors.New("not a git repository, so it has no ref")
	}
	if !s.NoGit {
		return nil, errors.New(`not a git repository: what is installed is bound to a commit; run "git init" there and commit the fleet`)
	}
	fsys, err := rootFS(dir)
	if err != nil {
		return nil, err
	}
	fleet, err := findDir(fsys, ".", s.Dir)
	if err != nil {
		return nil, err
	}
	return &Tree{FS: fsys, Dir: fleet}, nil
}

func newTree(fsys fs.FS, base, dir string, commit *object.Commit, ref string) (*Tree, error) {
	fleet, err := findDir(fsys, base, dir)
	if err != nil {
		return nil, err
	}
	return &Tree{FS: fsys, Dir: fleet, Commit: commit.Hash.String(), Ref: ref}, nil
}

// openWorkTree returns the work tree if anything in it matters that commit
// does not have, and commit itself if not: a commit does not change while it
// is being read.
func openWorkTree(ctx context.Context, s Spec, committed fs.FS, root, base string, commit *object.Commit, ref string) (*Tree, error) {
	work, err := rootFS(root)
	if err != nil {
		return nil, err
	}
	fleet, err := findDir(work, base, s.Dir)
	if err != nil {
		return nil, err
	}
	tree := &Tree{FS: committed, Dir: fleet, Commit: commit.Hash.String(), Ref: ref}
	tree.Dirty, err = dirty(ctx, root, commit, fleet)
	if err != nil {
		return nil, fmt.Errorf("comparing the work tree with %s: %w", tree.Commit[:12], err)
	}
	if len(tree.Dirty) > 0 {
		tree.FS = work
	}
	return tree, nil
}

// resolve returns the commit that ref names; "" is HEAD.
func resolve(repo *git.Repository, ref string) (*object.Commit, string, error) {
	if ref == "" {
		head, err := repo.Head()
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			return nil, "", errors.New("the repository has no commit yet: commit the fleet")
		}
		if err != nil {
			return nil, "", fmt.Errorf("reading HEAD: %w", err)
		}
		commit, err := repo.CommitObject(head.Hash())
		if err != nil {
			return nil, "", fmt.Errorf("reading HEAD: %w", err)
		}
		return commit, head.Name().Short(), nil
	}
	// A remote's branch stands in for one that was never checked out.
	for _, name := range []string{ref, "refs/remotes/origin/" + ref} {
		hash, err := repo.ResolveRevision(plumbing.Revision(name))
		if err != nil {
			continue
		}
		commit, err := repo.CommitObject(*hash)
		if err != nil {
			return nil, "", fmt.Errorf("%s is no commit: %w", name, err)
		}
		return commit, ref, nil
	}
	return nil, "", fmt.Errorf("there is no branch, tag or commit %q%s", ref, known(branches(repo)))
}

// branches returns the names of the branches of a repository.
func branches(repo *git.Repository) []string {
	var names []string
	refs, err := repo.Branches()
	if err != nil {
		return nil
	}
	_ = refs.ForEach(func(r *plumbing.Reference) error {
		names = append(names, r.Name().Short())
		return nil
	})
	return names
}

// known lists the branches that there are, when they are few.
func known(names []string) string {
	if len(names) == 0 || len(names) > 8 {
		return ""
	}
	return "; the branches are " + strings.Join(names, ", ")
}
