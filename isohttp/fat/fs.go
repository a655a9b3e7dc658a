package fat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

var (
	_ fs.ReadDirFS   = (*FS)(nil)
	_ fs.ReadFileFS  = (*FS)(nil)
	_ fs.StatFS      = (*FS)(nil)
	_ io.ReaderAt    = (*file)(nil)
	_ io.Seeker      = (*file)(nil)
	_ fs.ReadDirFile = (*dir)(nil)
)

var errIsDir = errors.New("is a directory")

// Open implements fs.FS. Files are io.ReaderAt and io.Seeker too.
func (f *FS) Open(name string) (fs.File, error) {
	e, parent, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	if e.dir() {
		return &dir{f: f, e: e, parent: parent, name: name}, nil
	}
	ext, err := f.extents(&e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	r := &ranges{r: f.r, ext: ext}
	return &file{e: e, SectionReader: io.NewSectionReader(r, 0, int64(e.size))}, nil
}

func (f *FS) lookup(op, name string) (entry, uint32, error) {
	if !fs.ValidPath(name) {
		return entry{}, 0, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e, parent, err := f.find(name)
	if err != nil {
		return entry{}, 0, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, parent, nil
}

// Stat implements fs.StatFS.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	e, _, err := f.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	return info{e}, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	e, parent, err := f.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	list, err := f.entries(e, parent)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, nil
}

func (f *FS) entries(e entry, parent uint32) ([]fs.DirEntry, error) {
	if !e.dir() {
		return nil, errors.New("not a directory")
	}
	list, err := f.list(e.first, parent)
	if err != nil {
		return nil, err
	}
	out := make([]fs.DirEntry, len(list))
	for i, x := range list {
		out[i] = info{x}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// ReadFile implements fs.ReadFileFS.
func (f *FS) ReadFile(name string) ([]byte, error) {
	e, _, err := f.lookup("read", name)
	if err != nil {
		return nil, err
	}
	if e.dir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDir}
	}
	ext, err := f.extents(&e)
	if err == nil {
		p := make([]byte, e.size) // extents prove that the image is at least so large
		if err = readFull(&ranges{r: f.r, ext: ext}, p, 0); err == nil {
			return p, nil
		}
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: err}
}

// ranges reads a file's ranges as one.
type ranges struct {
	r   io.ReaderAt
	ext []Extent
}

func (r *ranges) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for _, x := range r.ext {
		if off >= x.Len {
			off -= x.Len
			continue
		}
		want := min(x.Len-off, int64(len(p)-n))
		if err := readFull(r.r, p[n:n+int(want)], x.Off+off); err != nil {
			return n, err
		}
		n, off = n+int(want), 0
		if n == len(p) {
			return n, nil
		}
	}
	return n, io.EOF
}

type file struct {
	e entry
	*io.SectionReader
}

func (f *file) Stat() (fs.FileInfo, error) { return info{f.e}, nil }
func (f *file) Close() error               { return nil }

type dir struct {
	f      *FS
	e      entry
	parent uint32
	name   string
	list   []fs.DirEntry
	read   bool
}

func (d *dir) Stat() (fs.FileInfo, error) { return info{d.e}, nil }
func (d *dir) Close() error               { return nil }
func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDir}
}

func (d *dir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		list, err := d.f.entries(d.e, d.parent)
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.name, Err: err}
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
func (i info) Size() int64                { return int64(i.e.size) }
func (i info) ModTime() time.Time         { return i.e.mod }
func (i info) IsDir() bool                { return i.e.dir() }
func (i info) Sys() any                   { return nil }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fmt.Sprintf("%s %d", i.e.name, i.e.size) }
func (i info) Mode() fs.FileMode {
	if i.e.dir() {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
