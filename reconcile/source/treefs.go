package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

const (
	// maxFile bounds one file of a fleet, in bytes: far more than any template.
	maxFile = 16 << 20
	// maxLinks bounds the symbolic links that one name may lead over, as
	// Linux does.
	maxLinks = 40
)

var (
	errEOF    = io.EOF
	errNotDir = syscall.ENOTDIR

	errSubmodule = errors.New("is in a git submodule, which is not read: copy the files into the repository")
	errLFS       = errors.New("is kept in Git LFS, which is not read: commit the file itself")
	errTooLarge  = fmt.Errorf("is larger than %d bytes", maxFile)
	errOutside   = errors.New("is a symbolic link that leads out of the repository")
	errLoop      = errors.New("leads over too many symbolic links")
)

// A treeFS is a commit's tree as a file system. Symbolic links lead to where
// they point as long as that is in the tree; submodules and files in Git LFS
// are errors that name them.
type treeFS struct {
	mu     sync.Mutex // go-git's storage is not made for concurrent use
	store  storer.EncodedObjectStorer
	time   time.Time // of the commit
	root   plumbing.Hash
	folder map[plumbing.Hash]*object.Tree
}

func newTreeFS(store storer.EncodedObjectStorer, commit *object.Commit) (*treeFS, error) {
	t := &treeFS{store: store, time: commit.Committer.When, root: commit.TreeHash, folder: map[plumbing.Hash]*object.Tree{}}
	if _, err := t.tree(commit.TreeHash); err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", commit.Hash, err)
	}
	return t, nil
}

var (
	_ fs.ReadFileFS = (*treeFS)(nil)
	_ fs.ReadDirFS  = (*treeFS)(nil)
	_ fs.StatFS     = (*treeFS)(nil)
	_ fs.ReadLinkFS = (*treeFS)(nil)
)

// Open implements [fs.FS].
func (t *treeFS) Open(name string) (fs.File, error) {
	n, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.IsDir() {
		entries, err := t.entries(n)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return &openDir{node: n, entries: entries}, nil
	}
	data, err := t.read(n)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{node: n, Reader: bytes.NewReader(data)}, nil
}

// ReadFile implements [fs.ReadFileFS].
func (t *treeFS) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name, true)
	if err != nil {
		return nil, err
	}
	data, err := t.read(n)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// ReadDir implements [fs.ReadDirFS].
func (t *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	entries, err := t.entries(n)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

// Stat implements [fs.StatFS].
func (t *treeFS) Stat(name string) (fs.FileInfo, error) { return t.info("stat", name, true) }

// Lstat implements [fs.ReadLinkFS].
func (t *treeFS) Lstat(name string) (fs.FileInfo, error) { return t.info("lstat", name, false) }

// ReadLink implements [fs.ReadLinkFS].
func (t *treeFS) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode != filemode.Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := t.blob(n.hash)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(target), nil
}

func (t *treeFS) info(op, name string, follow bool) (fs.FileInfo, error) {
	n, err := t.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// find returns what name leads to; follow says whether a symbolic link at its
// end is followed.
func (t *treeFS) find(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := t.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	n.base = path.Base(name)
	return n, nil
}

// resolve walks from the root along name. A symbolic link on the way is put in
// place of the parts up to it.
func (t *treeFS) resolve(name string, follow bool) (*node, error) {
	root := &node{fs: t, hash: t.root, mode: filemode.Dir}
	at, done, links := root, []string(nil), 0
	for rest := parts(name); len(rest) > 0; {
		child, err := t.child(at, rest[0])
		if err != nil {
			return nil, err
		}
		if child.mode != filemode.Symlink || len(rest) == 1 && !follow {
			at, done, rest = child, append(done, rest[0]), rest[1:]
			continue
		}
		if links++; links > maxLinks {
			return nil, errLoop
		}
		target, err := t.blob(child.hash)
		if err != nil {
			return nil, err
		}
		full := path.Join(path.Join(done...), string(target))
		if path.IsAbs(string(target)) || !fs.ValidPath(full) {
			return nil, errOutside
		}
		at, done, rest = root, nil, append(parts(full), rest[1:]...)
	}
	if at.mode == filemode.Submodule {
		return nil, errSubmodule
	}
	return at, nil
}

func parts(name string) []string {
	if name == "." {
		return nil
	}
	return strings.Split(name, "/")
}

// child returns an entry of a folder.
func (t *treeFS) child(dir *node, name string) (*node, error) {
	switch dir.mode {
	case filemode.Dir:
	case filemode.Submodule:
		return nil, errSubmodule
	default:
		return nil, fs.ErrNotExist
	}
	tree, err := t.tree(dir.hash)
	if err != nil {
		return nil, err
	}
	for _, entry := range tree.Entries {
		if entry.Name == name {
			return &node{fs: t, base: name, hash: entry.Hash, mode: entry.Mode}, nil
		}
	}
	return nil, fs.ErrNotExist
}

func (t *treeFS) tree(hash plumbing.Hash) (*object.Tree, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tree := t.folder[hash]; tree != nil {
		return tree, nil
	}
	tree, err := object.GetTree(t.store, hash)
	if err == nil {
		t.folder[hash] = tree
	}
	return tree, err
}

func (t *treeFS) size(hash plumbing.Hash) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.store.EncodedObjectSize(hash)
}

// blob returns the content of an object.
func (t *treeFS) blob(hash plumbing.Hash) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	blob, err := object.GetBlob(t.store, hash)
	if err != nil {
		return nil, err
	}
	if blob.Size > maxFile {
		return nil, errTooLarge
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errTooLarge
	}
	return data, err
}

// read returns the content of a file.
func (t *treeFS) read(n *node) ([]byte, error) {
	if n.IsDir() {
		return nil, errors.New("is a directory")
	}
	data, err := t.blob(n.hash)
	if err == nil && bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")) {
		err = errLFS
	}
	return data, err
}

// entries returns what a folder holds, sorted by name.
func (t *treeFS) entries(dir *node) ([]fs.DirEntry, error) {
	if !dir.IsDir() {
		return nil, errNotDir
	}
	tree, err := t.tree(dir.hash)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, 0, len(tree.Entries))
	for _, e := range tree.Entries {
		entries = append(entries, fs.FileInfoToDirEntry(&node{fs: t, base: e.Name, hash: e.Hash, mode: e.Mode}))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// A node is an entry of a tree, and what is known of it.
type node struct {
	fs   *treeFS
	base string
	hash plumbing.Hash
	mode filemode.FileMode
}

func (n *node) Name() string       { return n.base }
func (n *node) ModTime() time.Time { return n.fs.time }
func (n *node) IsDir() bool        { return n.mode == filemode.Dir }
func (n *node) Sys() any           { return nil }

func (n *node) Size() int64 {
	if n.mode == filemode.Dir || n.mode == filemode.Submodule {
		return 0
	}
	size, err := n.fs.size(n.hash)
	if err != nil {
		return 0 // reading it says what is wrong
	}
	return size
}

func (n *node) Mode() fs.FileMode {
	switch n.mode {
	case filemode.Dir:
		return fs.ModeDir | 0o555
	case filemode.Symlink:
		return fs.ModeSymlink | 0o444
	case filemode.Submodule:
		return fs.ModeIrregular
	case filemode.Executable:
		return 0o555
	}
	return 0o444
}

// An openFile is a file that is being read.
type openFile struct {
	*node
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Close() error               { return nil }
func (f *openFile) Size() int64                { return f.Reader.Size() }

// An openDir is a folder that is being listed.
type openDir struct {
	*node
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.base, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		all := d.entries
		d.entries = nil
		return all, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	some := d.entries[:n]
	d.entries = d.entries[n:]
	return some, nil
}
