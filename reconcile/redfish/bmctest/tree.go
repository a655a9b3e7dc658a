package bmctest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/kdomanski/iso9660"
)

// maxText bounds what is read of a file that is text: menus and answer files.
const maxText = 4 << 20

// file is a file or a directory of a medium, whichever reader found it.
type file struct {
	name string
	dir  bool
	size int64
	list func() ([]file, error)
	open func() io.Reader
}

// library wraps a file of the ISO 9660 library.
func (c *medium) library(f *iso9660.File) file {
	out := file{name: f.Name(), dir: f.IsDir(), size: f.Size(), open: f.Reader}
	out.list = func() ([]file, error) {
		all, err := f.GetAllChildren()
		if err == nil {
			err = c.failed() // the library answers a failed read with an empty directory
		}
		if err != nil {
			return nil, err
		}
		var list []file
		for _, child := range all {
			if name := child.Name(); name != "\x00" && name != "\x01" && name != "" && name != "." && name != ".." {
				list = append(list, c.library(child))
			}
		}
		return list, nil
	}
	return out
}

// lookup returns the file at a slash path. Names are compared exactly first,
// and then without regard to case, as plain names are found.
func (f file) lookup(name string) (file, error) {
	for _, part := range strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			continue
		}
		if !f.dir {
			return file{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		list, err := f.list()
		if err != nil {
			return file{}, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		hit := -1
		for i, child := range list {
			if child.name == part {
				hit = i
				break
			}
			if hit < 0 && strings.EqualFold(child.name, part) {
				hit = i
			}
		}
		if hit < 0 {
			return file{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		f = list[hit]
	}
	return f, nil
}

// text reads a whole small file below f.
func (f file) text(name string) ([]byte, error) {
	f, err := f.lookup(name)
	if err != nil {
		return nil, err
	}
	if f.dir || f.size > maxText {
		return nil, fmt.Errorf("%s: no text file", name)
	}
	data, err := io.ReadAll(f.open())
	if err == nil && int64(len(data)) != f.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// maxFiles bounds the tree that is walked: a damaged one may hold itself.
const maxFiles = 200_000

// payload lists the files that only an installation reads: everything in
// folders that do not boot it.
func (c *medium) payload() ([]file, error) {
	var files []file
	seen := 0
	var walk func(dir file, depth int) error
	walk = func(dir file, depth int) error {
		list, err := dir.list()
		if err != nil || depth > 16 {
			return err
		}
		if seen += len(list); seen > maxFiles {
			return errors.New("too many files")
		}
		sort.SliceStable(list, func(i, j int) bool { return list[i].name < list[j].name })
		for _, f := range list {
			switch {
			case f.dir:
				if err := walk(f, depth+1); err != nil {
					return err
				}
			case f.size > 0:
				files = append(files, f)
			}
		}
		return nil
	}
	top, err := c.root.list()
	if err != nil {
		return nil, err
	}
	for _, f := range top {
		switch strings.ToLower(f.name) {
		case "isolinux", "images", "efi", "boot", "liveos":
			continue
		}
		if f.dir {
			if err := walk(f, 1); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}
