package source

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// dirty returns the slash paths, sorted, of what differs between the work tree
// at root and a commit, as far as it matters to the fleet in that folder.
//
// It holds the files themselves against the commit, not against the index: what
// has been staged, or how git remembers a file's times, does not matter.
func dirty(ctx context.Context, root string, commit *object.Commit, fleet string) ([]string, error) {
	tree, err := commit.Tree()
	if err != nil {
		return nil, err
	}
	d := &differ{ctx: ctx, root: root, fleet: fleet, committed: map[string]object.TreeEntry{}}
	if err := d.readTree(tree); err != nil {
		return nil, err
	}
	if err := d.readIgnored(); err != nil {
		return nil, err
	}
	if err := d.walk("."); err != nil {
		return nil, err
	}
	for name := range d.committed { // what is left was not found
		d.found = append(d.found, name)
	}
	slices.Sort(d.found)
	return d.found, nil
}

// A differ walks a work tree.
type differ struct {
	ctx       context.Context // for the time of one walk
	root      string
	fleet     string
	committed map[string]object.TreeEntry // what matters of the commit, less what has been seen
	folders   map[string]bool             // the folders that hold something of committed
	patterns  []gitignore.Pattern
	found     []string
}

// matters reports whether a file can change what the fleet says.
func (d *differ) matters(name string) bool {
	if strings.HasSuffix(name, ".cue") {
		return true
	}
	for _, dir := range [...]string{d.fleet, "schema", "cue.mod"} {
		if dir == "." || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

func (d *differ) readTree(tree *object.Tree) error {
	d.folders = map[string]bool{".": true}
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, entry, err := walker.Next()
		if err != nil {
			if errors.Is(err, errEOF) {
				return nil
			}
			return err
		}
		if entry.Mode == filemode.Dir || entry.Mode == filemode.Submodule || !d.matters(name) {
			continue
		}
		d.committed[name] = entry
		for dir := path.Dir(name); !d.folders[dir]; dir = path.Dir(dir) {
			d.folders[dir] = true
		}
	}
}

// readIgnored reads the patterns of the system, of the user and of the
// repository; those of a folder are added when it is walked.
func (d *differ) readIgnored() error {
	for _, load := range []func() ([]gitignore.Pattern, error){
		func() ([]gitignore.Pattern, error) { return gitignore.LoadSystemPatterns(osfs.New("/")) },
		func() ([]gitignore.Pattern, error) { return gitignore.LoadGlobalPatterns(osfs.New("/")) },
	} {
		patterns, err := load()
		if err != nil {
			return err
		}
		d.patterns = append(d.patterns, patterns...)
	}
	return d.readPatterns(filepath.Join(d.root, ".git", "info", "exclude"), nil)
}

// readPatterns adds the patterns of one file; domain is the folder that they
// hold for.
func (d *differ) readPatterns(file string, domain []string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#") {
			d.patterns = append(d.patterns, gitignore.ParsePattern(line, domain))
		}
	}
	return nil
}

// walk compares what is in a folder of the work tree.
func (d *differ) walk(dir string) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	var domain []string
	if dir != "." {
		domain = strings.Split(dir, "/")
	}
	if err := d.readPatterns(filepath.Join(d.root, filepath.FromSlash(dir), ".gitignore"), domain); err != nil {
		return err
	}
	ignored := gitignore.NewMatcher(d.patterns)
	entries, err := os.ReadDir(filepath.Join(d.root, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.Name() == ".git":
		case entry.IsDir():
			if d.folders[name] || !ignored.Match(strings.Split(name, "/"), true) {
				if err := d.folder(name); err != nil {
					return err
				}
			}
		case d.matters(name):
			if err := d.file(name, entry, ignored); err != nil {
				return err
			}
		}
	}
	return nil
}

// folder walks a folder, unless it is a repository of its own.
func (d *differ) folder(name string) error {
	if _, err := os.Lstat(filepath.Join(d.root, filepath.FromSlash(name), ".git")); err == nil && !d.folders[name] {
		return nil
	}
	return d.walk(name)
}

// file compares one file.
func (d *differ) file(name string, entry fs.DirEntry, ignored gitignore.Matcher) error {
	was, ok := d.committed[name]
	delete(d.committed, name)
	if !ok {
		if !ignored.Match(strings.Split(name, "/"), false) {
			d.found = append(d.found, name)
		}
		return nil
	}
	same, err := d.same(name, entry, was)
	if err != nil {
		return err
	}
	if !same {
		d.found = append(d.found, name)
	}
	return nil
}

// same reports whether a file is what it was. A checkout may have turned line
// ends into CRLF; whether a file can be executed is of no matter here.
func (d *differ) same(name string, entry fs.DirEntry, was object.TreeEntry) (bool, error) {
	full := filepath.Join(d.root, filepath.FromSlash(name))
	if link := entry.Type()&fs.ModeSymlink != 0; link || was.Mode == filemode.Symlink {
		if !link || was.Mode != filemode.Symlink {
			return false, nil
		}
		target, err := os.Readlink(full)
		return err == nil && blobHash([]byte(filepath.ToSlash(target))) == was.Hash, err
	}
	if !entry.Type().IsRegular() {
		return false, nil
	}
	info, err := entry.Info()
	if err != nil {
		return false, err
	}
	if info.Size() > maxFile {
		return false, nil
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return false, err
	}
	if blobHash(data) == was.Hash {
		return true, nil
	}
	plain := bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	return len(plain) != len(data) && blobHash(plain) == was.Hash, nil
}

func blobHash(data []byte) plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, data) }
