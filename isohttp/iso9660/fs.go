package iso9660

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

var (
	_ fs.ReadDirFS   = (*Tree)(nil)
	_ fs.ReadFileFS  = (*Tree)(nil)
	_ fs.StatFS      = (*Tree)(nil)
	_ fs.ReadLinkFS  = (*Tree)(nil)
	_ fs.ReadDirFile = (*openDir)(nil)
	_ io.ReaderAt    = (*openFile)(nil)
	_ io.Seeker      = (*openFile)(nil)
)

var (
	errIsDir  = errors.New("is a directory")
	errNotDir = errors.New("not a directory")
)

const maxLinks = 40

// rootEntry stands for the root directory.
func (t *Tree) rootEntry() entry {
	ref := t.rootRef()
	return entry{name: ".", rec: t.root, mode: fs.ModeDir | 0o555, mod: t.root.date(), dir: ref, parent: ref}
}

// walk returns the entry at a path in the sense of io/fs. Symbolic links in it are followed, the last one when follow is set.
func (t *Tree) walk(name string, follow bool) (entry, error) {
	all, err := t.trace(name, follow)
	if err != nil {
		return entry{}, err
	}
	return all[len(all)-1], nil
}

// trace is walk with the directories on the way, root first.
func (t *Tree) trace(name string, follow bool) ([]entry, error) {
	at := []entry{t.rootEntry()}
	rest := strings.Split(name, "/")
	if name == "." {
		rest = nil
	}
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		cur := &at[len(at)-1]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			at = at[:max(1, len(at)-1)]
			continue
		case !cur.isDir() || len(at) > maxDepth:
			return nil, fs.ErrNotExist
		}
		d, err := t.list(cur.dir, cur.parent)
		if err != nil {
			return nil, err
		}
		e := t.find(d, part)
		if e == nil {
			return nil, fs.ErrNotExist
		}
		if e.mode&fs.ModeSymlink == 0 || len(rest) == 0 && !follow {
			at = append(at, *e)
			continue
		}
		if links++; links > maxLinks || len(rest) > maxDepth {
			return nil, fmt.Errorf("more than %d symbolic links", maxLinks)
		}
		if strings.HasPrefix(e.link, "/") {
			at = at[:1]
		}
		rest = append(strings.Split(e.link, "/"), rest...)
	}
	return at, nil
}

func (t *Tree) lookup(op, name string, follow bool) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e, err := t.walk(name, follow)
	if err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

// content returns the file's extents, for reading.
func (t *Tree) content(e *entry) ([]Extent, error) {
	switch {
	case e.isDir():
		return nil, errIsDir
	case e.special || e.mode&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%w: not a regular file", ErrUnsupported)
	case e.zisofs:
		return nil, fmt.Errorf("%w: the file is compressed with zisofs", ErrUnsupported)
	}
	return t.extents(e)
}

// Extents returns the ranges of the image that hold the file's content, in order. A leading slash is allowed.
func (t *Tree) Extents(name string) ([]Extent, error) {
	e, err := t.lookup("locate", clean(name), true)
	if err != nil {
		return nil, err
	}
	ext, err := t.content(&e)
	if err != nil {
		return nil, &fs.PathError{Op: "locate", Path: name, Err: err}
	}
	return ext, nil
}

// clean takes paths with or without a leading slash.
func clean(name string) string {
	if p := strings.TrimPrefix(name, "/"); p != "." && fs.ValidPath(p) {
		return p // as it is: the common case costs nothing
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	e, err := t.lookup("open", name, true)
	if err != nil {
		return nil, err
	}
	e.name = path.Base(name)
	if e.isDir() {
		return &openDir{t: t, e: e, path: name}, nil
	}
	ext, err := t.content(&e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{e: e, SectionReader: io.NewSectionReader(ranges{t.img, ext}, 0, e.size)}, nil
}

// Stat implements fs.StatFS.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.lookup("stat", name, true)
	if err != nil {
		return nil, err
	}
	e.name = path.Base(name)
	return info{e}, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	e, err := t.lookup("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{e}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	e, err := t.lookup("readlink", name, false)
	if err != nil {
		return "", err
	}
	if e.mode&fs.ModeSymlink == 0 {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.link, nil
}

// ReadDir implements fs.ReadDirFS. Of several versions of a file the first is listed.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.lookup("readdir", name, true)
	if err != nil {
		return nil, err
	}
	list, err := t.dirEntries(&e)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, nil
}

func (t *Tree) dirEntries(e *entry) ([]fs.DirEntry, error) {
	if !e.isDir() {
		return nil, errNotDir
	}
	d, err := t.list(e.dir, e.parent)
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, len(d.entries))
	for i := range d.entries {
		out[i] = info{d.entries[i]}
	}
	slices.SortStableFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(out, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}

// ReadFile implements fs.ReadFileFS. It refuses files of more than 256 MiB: open these instead.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.lookup("read", name, true)
	if err != nil {
		return nil, err
	}
	ext, err := t.content(&e)
	if err == nil && e.size > 256<<20 {
		err = fmt.Errorf("%d bytes are too many to read at once", e.size)
	}
	var p []byte
	if err == nil {
		p = make([]byte, e.size)
		_, err = io.ReadFull(io.NewSectionReader(ranges{t.img, ext}, 0, e.size), p)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return p, nil
}

// ranges reads a file's extents as one.
type ranges struct {
	img *Image
	ext []Extent
}

func (r ranges) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for _, x := range r.ext {
		if off >= x.Len {
			off -= x.Len
			continue
		}
		want := int(min(x.Len-off, int64(len(p)-n)))
		if err := r.img.read(p[n:n+want], x.Off+off); err != nil {
			return n, err
		}
		n, off = n+want, 0
		if n == len(p) {
			return n, nil
		}
	}
	return n, io.EOF
}

type openFile struct {
	e entry
	*io.SectionReader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return info{f.e}, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	t    *Tree
	e    entry
	path string
	list []fs.DirEntry
	read bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return info{d.e}, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errIsDir}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.t.dirEntries(&d.e)
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.path, Err: err}
		}
		d.list, d.read = list, true
	}
	if n > 0 && len(d.list) == 0 {
		return nil, io.EOF
	}
	k := len(d.list)
	if n > 0 {
		k = min(n, k)
	}
	out := d.list[:k:k]
	d.list = d.list[k:]
	return out, nil
}

// info is an entry as io/fs shows it.
type info struct{ e entry }

func (i info) Name() string               { return i.e.name }
func (i info) Size() int64                { return i.e.size }
func (i info) Mode() fs.FileMode          { return i.e.mode }
func (i info) ModTime() time.Time         { return i.e.mod }
func (i info) IsDir() bool                { return i.e.isDir() }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.e.mode.Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fs.FormatDirEntry(i) }
