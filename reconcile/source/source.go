// Package source reads a fleet at a git commit: from a work tree, from a local
// repository at a ref, or from a remote repository over https or ssh. It goes
// through go-git alone, needs no git program, and never touches a work tree.
//
// # What is read
//
// A directory without a ref is read at HEAD when nothing that matters has been
// changed since, and as it lies there, with its uncommitted changes, when
// something has; [Tree.Dirty] then names what. Files that git ignores are not
// part of a fleet and are read in the second case only. Everything else is
// read from git's objects.
//
// # Logging in
//
// Over https, the login "git" is used, and none when there is no such login
// (see package credential): for GitHub and GitLab, a token as password with any
// user name. It is sent to the host of the location only. Over ssh, the key is
// the file [Spec.SSHKey], or else the secret "git-ssh-key" (the key itself, in
// PEM), or else what the agent at SSH_AUTH_SOCK has; the secret
// "git-ssh-passphrase" opens a locked key. The server's host key must be in
// [Spec.KnownHosts], or else in ~/.ssh/known_hosts or /etc/ssh/ssh_known_hosts.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// A Spec says where a fleet is.
type Spec struct {
	// Location is a directory in a git repository, or an https, ssh or file
	// URL, or user@host:path.
	Location string

	// Ref is a branch, a tag or a commit. "" means the work tree for a
	// directory and the default branch for a URL. Of a URL, a commit is given
	// with all of its 40 digits.
	Ref string

	// Dir is the fleet's folder, a slash path relative to Location. "" means
	// "hosts" where that holds CUE files, and "." otherwise.
	Dir string

	// NoGit allows a directory that is in no git repository. Its tree has no
	// commit and cannot be told from any other.
	NoGit bool

	// SSHKey is a file with a private key; "" means the secret "git-ssh-key"
	// or the agent.
	SSHKey string
	// KnownHosts are files with the keys of ssh servers; none means the
	// user's and the system's.
	KnownHosts []string
	// Credentials knows the logins and secrets for remote repositories; nil
	// looks in the environment.
	Credentials *credential.Store
	// HTTP speaks to https remotes; nil means a client of this package that
	// follows no redirect to another host.
	HTTP *http.Client
}

// A Tree is a repository at a commit. Its FS is safe for concurrent use.
type Tree struct {
	FS     fs.FS  // the repository's root
	Dir    string // the fleet's folder in FS, a slash path
	Commit string // 40 hexadecimal digits; "" only without git
	Ref    string // what was asked for, or the branch that is checked out or the remote's default

	// Dirty names, sorted, what differs from Commit in a work tree: files that
	// were changed, deleted or added, under Dir, schema and cue.mod, and CUE
	// files anywhere. When it is not empty, FS is the work tree.
	Dirty []string
}

// Open finds the fleet that s speaks of. Its errors name the repository and
// the ref, and what can be done.
func Open(ctx context.Context, s Spec) (*Tree, error) {
	if s.Location == "" {
		return nil, errors.New("opening fleet: no location given")
	}
	r, err := parseLocation(s.Location)
	if err != nil {
		return nil, fmt.Errorf("opening fleet: %w", err)
	}
	var tree *Tree
	switch {
	case r == nil:
		tree, err = openDirectory(ctx, s, s.Location, false)
	case r.Scheme == "file":
		tree, err = openDirectory(ctx, s, filepath.FromSlash(r.Path), true)
	default:
		tree, err = openRemote(ctx, s, r)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", at(s), err)
	}
	return tree, nil
}

// at returns what errors call the fleet.
func at(s Spec) string {
	if s.Ref == "" {
		return s.Location
	}
	return s.Location + " at " + s.Ref
}

// findDir returns the fleet's folder below base.
func findDir(fsys fs.FS, base, dir string) (string, error) {
	if dir != "" {
		full := path.Join(base, filepath.ToSlash(dir))
		if !fs.ValidPath(full) {
			return "", fmt.Errorf("folder %s is outside of the repository", dir)
		}
		if info, err := fs.Stat(fsys, full); err != nil || !info.IsDir() {
			return "", fmt.Errorf("there is no folder %s", full)
		}
		return full, nil
	}
	for _, full := range []string{path.Join(base, "hosts"), base} {
		entries, err := fs.ReadDir(fsys, full)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		for _, entry := range entries {
			if !entry.IsDir() && strings.HasSuffix(entry.Name(), ".cue") {
				return full, nil
			}
		}
	}
	return "", fmt.Errorf("no CUE files in %s, nor in %s: name the fleet's folder", path.Join(base, "hosts"), base)
}

// rootFS returns a directory as a file system whose symbolic links do not lead
// out of it.
func rootFS(dir string) (fs.FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return root.FS(), nil
}
