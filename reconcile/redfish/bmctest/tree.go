package bmctest

import (
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

// children lists a directory of the medium.
func (c *medium) children(dir *iso9660.File) ([]*iso9660.File, error) {
	if !dir.IsDir() {
		return nil, fs.ErrNotExist
	}
	all, err := dir.GetAllChildren()
	if err == nil {
		err = c.failed() // the reader answers a failed read with an empty directory
	}
	if err != nil {
		return nil, err
	}
	var list []*iso9660.File
	for _, f := range all {
		if name := f.Name(); name != "\x00" && name != "\x01" && name != "" && name != "." && name != ".." {
			list = append(list, f)
		}
	}
	return list, nil
}

// find returns the file at a slash path. Names are compared as Linux does it
// on a Rock Ridge tree, exactly, and then without regard to case, as it finds
// the plain names of a medium that has none.
func (c *medium) find(name string) (*iso9660.File, error) {
	f := c.root
	for _, part := range strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/") {
		if part == "" {
			continue
		}
		list, err := c.children(f)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		f = nil
		for _, child := range list {
			if child.Name() == part {
				f = child
				break
			}
			if f == nil && strings.EqualFold(child.Name(), part) {
				f = child
			}
		}
		if f == nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	return f, nil
}

// text reads a whole small file.
func (c *medium) text(name string) ([]byte, error) {
	f, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if f.IsDir() || f.Size() > maxText {
		return nil, fmt.Errorf("%s: no text file", name)
	}
	data, err := io.ReadAll(f.Reader())
	if err == nil && int64(len(data)) != f.Size() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// payload lists the files that only an installation reads: everything outside
// the folders that boot it.
func (c *medium) payload() ([]*iso9660.File, error) {
	var files []*iso9660.File
	var walk func(dir *iso9660.File, depth int) error
	walk = func(dir *iso9660.File, depth int) error {
		list, err := c.children(dir)
		if err != nil || depth > 16 {
			return err
		}
		sort.SliceStable(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
		for _, f := range list {
			switch {
			case f.IsDir():
				if err := walk(f, depth+1); err != nil {
					return err
				}
			case f.Size() > 0:
				files = append(files, f)
			}
		}
		return nil
	}
	top, err := c.children(c.root)
	if err != nil {
		return nil, err
	}
	for _, f := range top {
		switch strings.ToLower(f.Name()) {
		case "isolinux", "images", "efi", "boot", "liveos":
			continue
		}
		if f.IsDir() {
			if err := walk(f, 1); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}
