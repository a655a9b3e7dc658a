package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// An Edit collects changes of an image; View applies them. Paths are those of the best tree, with or without a leading
// slash. It is not safe for concurrent use; any number of Edits of one Image may be.
type Edit struct {
	img   *Image
	ops   []op
	apart []string
	blank bool
}

type op struct {
	kind opKind
	path string
	data []byte
}

type opKind int

const (
	opWrite opKind = iota
	opAppend
	opMkdir
	opHide
	opEFI
)

func (k opKind) String() string {
	return [...]string{"writing", "appending to", "making directory", "hiding", "writing to EFI image"}[k]
}

// Edit begins a patch.
func (m *Image) Edit() *Edit { return &Edit{img: m} }

// Write adds a file, or gives an existing one other content, in every tree. The directory must exist or have been made.
// An existing file keeps its attributes; a new one takes them from its siblings. Files that other names share are changed
// under this name only. Write copies data.
func (e *Edit) Write(name string, data []byte) { e.add(opWrite, name, bytes.Clone(data)) }

// Append adds to the end of an existing file, or of one written before, without copying what it holds: the view names the
// base's bytes a second time. What follows a cpio archive in an initrd must begin at a multiple of four bytes; Append
// does not pad. It copies data.
func (e *Edit) Append(name string, data []byte) { e.add(opAppend, name, bytes.Clone(data)) }

// Mkdir adds a directory. It is no error when it exists.
func (e *Edit) Mkdir(name string) { e.add(opMkdir, name, nil) }

// Hide takes a file's name out of every tree. Its content stays where it is.
func (e *Edit) Hide(name string) { e.add(opHide, name, nil) }

// WriteEFI gives a boot menu inside the EFI image other content. Data that is shorter than what it replaces is padded
// with newlines, so that only the menu's own bytes change; longer data takes the slack of its last cluster, then free
// clusters. Where there are none, View fails: write a stub that goes on to the menu in the tree instead,
//
//	search --no-floppy --set=root --file /<marker file>
//	configfile /EFI/BOOT/grub.cfg
//
// The menus exist twice on most images, and which one is read depends on the firmware: write both.
func (e *Edit) WriteEFI(name string, data []byte) { e.add(opEFI, name, bytes.Clone(data)) }

// Apart keeps the content of a file that the edit writes, or appends to, [Gap] bytes away from all other content. Firmware,
// boot loaders and management controllers read ahead, by blocks of 64 to 512 KiB; a file that lies apart is read only when
// somebody reads it. The bytes between are zeros, which cost no memory; they are in the view's structure. It is an error to
// name a file whose content the edit does not change.
func (e *Edit) Apart(name string) { e.apart = append(e.apart, name) }

// Gap is how far from other content a file lies that is kept apart, in bytes. It is more than what is read ahead, also from
// where firmware looks for a UDF volume: 256 and 257 blocks before the end of the medium.
const Gap = 2 << 20

// BlankSecondDescriptors makes the descriptor set at block 32 unrecognizable, so that who takes the image for a disk finds
// one file system with its label, the patched one. Without a second set it does nothing. Without this, the second set's
// trees are patched as the others, though what lies behind the first partition's end cannot be read through it.
func (e *Edit) BlankSecondDescriptors() { e.blank = true }

func (e *Edit) add(k opKind, name string, data []byte) {
	e.ops = append(e.ops, op{k, name, data})
}

// body is the content of a file in the view, and where it is.
type body struct {
	parts []part
	len   int64
	off   int64
}

// part is a range of the base, or bytes.
type part struct {
	base Extent
	data []byte
}

func (p part) len() int64 {
	if p.data != nil {
		return int64(len(p.data))
	}
	return p.base.Len
}

func (b *body) add(p part) {
	if p.len() > 0 {
		b.parts = append(b.parts, p)
		b.len += p.len()
	}
}

// target is what becomes of one path.
type target struct {
	path string // in the sense of io/fs
	kind opKind // opWrite, opMkdir or opHide
	body *body
	base *entry // in the best tree, nil: none
}

// targets replays the operations onto the paths they name.
func (e *Edit) targets() ([]*target, error) {
	p := planner{img: e.img, byPath: map[string]*target{}}
	for _, o := range e.ops {
		if o.kind == opEFI {
			continue
		}
		if err := p.op(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.kind, o.path, err)
		}
	}
	return p.list, nil
}

type planner struct {
	img    *Image
	list   []*target
	byPath map[string]*target
}

func (p *planner) op(o op) error {
	t, err := p.target(o)
	if err != nil {
		return err
	}
	there := t.body != nil || t.base != nil && t.kind != opHide
	switch o.kind {
	case opMkdir:
		if there {
			return errNotDir
		}
		return nil
	case opHide:
		if !there {
			return fs.ErrNotExist
		}
		t.kind, t.body = opHide, nil
		return nil
	case opAppend:
		if !there {
			return fs.ErrNotExist
		}
		if t.body == nil {
			ext, err := p.img.best.content(t.base)
			if err != nil {
				return err
			}
			t.body = &body{}
			for _, x := range ext {
				t.body.add(part{base: x})
			}
		}
	default:
		t.body = &body{}
	}
	t.kind = opWrite
	t.body.add(part{data: o.data})
	return nil
}

// target finds what the operation is about, and refuses what cannot be patched.
func (p *planner) target(o op) (*target, error) {
	name := clean(o.path)
	if !fs.ValidPath(name) || name == "." {
		return nil, fs.ErrInvalid
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 }) || len(path.Base(name)) > 255 {
		return nil, fmt.Errorf("%w: control characters, or a name of more than 255 bytes", fs.ErrInvalid)
	}
	if t := p.byPath[name]; t != nil {
		if t.kind == opMkdir && o.kind != opMkdir {
			return nil, errIsDir
		}
		if t.kind == opMkdir {
			return &target{kind: opHide}, nil // made already
		}
		return t, nil
	}
	t := &target{path: name}
	if o.kind == opMkdir {
		t.kind = opMkdir
	}
	dir := path.Dir(name)
	if made := p.byPath[dir]; made == nil || made.kind != opMkdir {
		e, err := p.base(name, dir)
		if err != nil {
			return nil, err
		}
		if e != nil && e.isDir() {
			if o.kind == opMkdir {
				return &target{kind: opHide}, nil
			}
			return nil, errIsDir
		}
		t.base = e
		if err := p.patchable(e, o.kind); err != nil {
			return nil, err
		}
	}
	p.list, p.byPath[name] = append(p.list, t), t
	return t, nil
}

// base returns the entry of the base image's best tree, nil if the directory has none of that name.
func (p *planner) base(name, dir string) (*entry, error) {
	best := p.img.best
	parent, err := best.walk(dir, false)
	if err != nil {
		return nil, fmt.Errorf("directory /%s: %w", strings.TrimPrefix(dir, "."), err)
	}
	if !parent.isDir() {
		return nil, fmt.Errorf("/%s: %w", dir, errNotDir)
	}
	e, err := best.walk(name, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &e, err
}

// patchable refuses files whose records or extents stand for more than a plain file's content.
func (p *planner) patchable(e *entry, k opKind) error {
	if e == nil || k == opHide && e.mode&fs.ModeSymlink != 0 {
		return nil
	}
	ext, err := p.img.best.content(e)
	if err != nil || len(ext) == 0 {
		return err
	}
	for _, b := range p.img.boot {
		if b.Bootable && b.Off == ext[0].Off {
			return fmt.Errorf("%w: the boot catalog points at it: what boots would stay as it is", ErrUnsupported)
		}
	}
	if p.img.catalog.Len > 0 && p.img.catalog.Off == ext[0].Off {
		return fmt.Errorf("%w: it is the boot catalog", ErrUnsupported)
	}
	return nil
}
