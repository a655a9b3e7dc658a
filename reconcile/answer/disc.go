package answer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

const maxRead = 1 << 20 // of menus and descriptions

// A disc reads the files of an ISO. Paths are absolute slash paths; letter
// case does not count where there is no exact match, because FAT and plain ISO
// 9660 have no lower case.
type disc struct {
	ISO
	fault error // the first error that told nothing of whether a file is there
}

func (d *disc) fsys(in Where) fs.FS {
	if in == EFI {
		return d.ISO.EFI
	}
	return d.ISO.Tree
}

// find returns the path as it is spelt on the disc, and the file's size.
func (d *disc) find(in Where, name string) (string, int64, error) {
	fsys := d.fsys(in)
	if fsys == nil {
		return "", 0, fmt.Errorf("%s: the image has no %s file system: %w", name, in, fs.ErrNotExist)
	}
	rel := strings.TrimPrefix(path.Clean(name), "/")
	info, err := fs.Stat(fsys, rel)
	if errors.Is(err, fs.ErrNotExist) {
		if rel, err = fold(fsys, rel); err == nil {
			info, err = fs.Stat(fsys, rel)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s%s: %w", partOf(in), name, plainFS(err))
		if d.fault == nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			d.fault = err
		}
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s%s is no regular file", partOf(in), name)
	}
	return "/" + rel, info.Size(), nil
}

// fold returns the path in fsys that equals name but for letter case.
func fold(fsys fs.FS, name string) (string, error) {
	at := "."
	for elem := range strings.SplitSeq(name, "/") {
		entries, err := fs.ReadDir(fsys, at)
		if err != nil {
			return "", err
		}
		found := ""
		for _, e := range entries {
			if strings.EqualFold(e.Name(), elem) {
				found = e.Name()
				break
			}
		}
		if found == "" {
			return "", fs.ErrNotExist
		}
		at = path.Join(at, found)
	}
	return at, nil
}

// partOf names the file system of a path in messages.
func partOf(in Where) string {
	if in == EFI {
		return "EFI image: "
	}
	return ""
}

// plainFS leaves the path out of a path error: it is named already.
func plainFS(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// has reports whether the file is there.
func (d *disc) has(in Where, name string) bool {
	_, _, err := d.find(in, name)
	return err == nil
}

// sure returns err or, before it, what kept the disc from being read: then
// nothing can be concluded from a file that seemed not to be there.
func (d *disc) sure(err error) error {
	if d.fault != nil {
		return d.fault
	}
	return err
}

// assert returns an error that names the first of these files that the tree
// does not have.
func (d *disc) assert(names ...string) error {
	for _, name := range names {
		if _, _, err := d.find(Tree, name); err != nil {
			return err
		}
	}
	return nil
}

// read returns a small text file.
func (d *disc) read(in Where, name string) (string, error) {
	name, size, err := d.find(in, name)
	if err != nil {
		return "", err
	}
	if size > maxRead {
		return "", fmt.Errorf("%s%s has %d bytes, too many for what it is", partOf(in), name, size)
	}
	b, err := fs.ReadFile(d.fsys(in), name[1:])
	if err != nil {
		return "", fmt.Errorf("%s%s: %w", partOf(in), name, plainFS(err))
	}
	return string(b), nil
}

// present returns those of the files that the tree has, as they are spelt.
func (d *disc) present(names ...string) []string {
	var all []string
	for _, name := range names {
		if p, _, err := d.find(Tree, name); err == nil {
			all = append(all, p)
		}
	}
	return all
}

var markName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$`)

func checkMark(mark string) error {
	if !markName.MatchString(mark) {
		return fmt.Errorf("mark %q is not 8 to 64 of [A-Za-z0-9._-]", mark)
	}
	return nil
}
