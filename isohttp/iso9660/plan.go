package iso9660

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// target is what becomes of one path.
type target struct {
	path string // in the best tree, in the sense of io/fs
	kind opKind // opWrite, opMkdir or opHide
	body *body
	base *entry // in the best tree, nil: none
}

// planner replays an edit's operations onto the paths they name.
type planner struct {
	img    *Image
	list   []*target
	byPath map[string]*target
}

// plan makes targets of the operations on trees.
func (e *Edit) plan() (*planner, error) {
	p := &planner{img: e.img, byPath: map[string]*target{}}
	for _, o := range e.ops {
		if o.kind == opEFI {
			continue
		}
		if err := p.op(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.kind, o.path, err)
		}
	}
	return p, nil
}

func (p *planner) op(o op) error {
	at, err := p.resolve(o.path)
	if err != nil {
		return err
	}
	if o.kind == opMkdir {
		return p.mkdir(at)
	}
	if at.isDir() {
		return errIsDir
	}
	t := at.target
	if t == nil {
		if err := p.patchable(at.base, o.kind); err != nil {
			return err
		}
	}
	if o.kind != opWrite && !at.there() {
		return fs.ErrNotExist
	}
	if t == nil {
		t = p.add(at, o.kind)
	}
	switch {
	case o.kind == opHide:
		t.kind, t.body = opHide, nil
		return nil
	case o.kind == opWrite:
		t.body = &body{}
	case t.body == nil:
		ext, err := p.img.best.content(t.base)
		if err != nil {
			return err
		}
		t.body = &body{}
		for _, x := range ext {
			t.body.add(part{base: x})
		}
	}
	t.kind = opWrite
	t.body.add(part{data: o.data})
	return nil
}

// mkdir adds a directory, unless there is one.
func (p *planner) mkdir(at place) error {
	switch {
	case at.isDir():
		return nil
	case at.there():
		if _, err := p.follow(at); err != nil {
			return errNotDir
		}
		return nil
	case at.target == nil:
		p.add(at, opMkdir)
		return nil
	case at.base != nil:
		return fmt.Errorf("%w: the edit hides the file of that name", fs.ErrInvalid)
	}
	at.target.kind = opMkdir
	return nil
}

func (p *planner) add(at place, k opKind) *target {
	t := &target{path: at.path, kind: k, base: at.base}
	p.list, p.byPath[t.path] = append(p.list, t), t
	return t
}

// place is where a path leads in the best tree.
type place struct {
	path   string  // without symbolic links, and with names as they are recorded
	base   *entry  // in the base, nil: nothing
	target *target // what the edit does there, nil: nothing
}

// there tells whether there is something that the edit has not hidden.
func (x *place) there() bool {
	if x.target != nil {
		return x.target.kind != opHide
	}
	return x.base != nil
}

func (x *place) isDir() bool {
	return x.target != nil && x.target.kind == opMkdir || x.target == nil && x.base != nil && x.base.isDir()
}

// resolve finds where a path leads, as the operations so far have it. Its last name need not exist, and may be a symbolic
// link.
func (p *planner) resolve(name string) (place, error) {
	name = clean(name)
	if !fs.ValidPath(name) || name == "." {
		return place{}, fs.ErrInvalid
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 }) || len(path.Base(name)) > 255 {
		return place{}, fmt.Errorf("%w: control characters, or a name of more than 255 bytes", fs.ErrInvalid)
	}
	root := p.img.best.rootEntry()
	at := place{path: ".", base: &root}
	dir, base := path.Split(name)
	for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		if part == "" {
			continue
		}
		next, err := p.in(at, part)
		if err != nil {
			return place{}, err
		}
		if at, err = p.follow(next); err != nil {
			return place{}, fmt.Errorf("directory /%s: %w", next.path, err)
		}
	}
	return p.in(at, base)
}

// in finds a name in a directory.
func (p *planner) in(dir place, name string) (place, error) {
	best := p.img.best
	at := place{path: path.Join(dir.path, name)}
	if dir.base != nil {
		d, err := best.list(dir.base.dir, dir.base.parent)
		if err != nil {
			return place{}, err
		}
		if e := best.find(d, name); e != nil {
			base := *e
			at.base, at.path = &base, path.Join(dir.path, e.name)
		}
	}
	at.target = p.byPath[at.path]
	if at.base == nil && at.target == nil && best.kind != RockRidge {
		i := slices.IndexFunc(p.list, func(t *target) bool { return t.base == nil && strings.EqualFold(t.path, at.path) })
		if i >= 0 {
			at.target, at.path = p.list[i], p.list[i].path
		}
	}
	return at, nil
}

// follow returns the directory at a place, which may be a symbolic link of the base to one of the base.
func (p *planner) follow(at place) (place, error) {
	switch {
	case at.isDir():
		return at, nil
	case !at.there():
		return place{}, fs.ErrNotExist
	case at.target != nil || at.base.mode&fs.ModeSymlink == 0:
		return place{}, errNotDir
	}
	all, err := p.img.best.trace(at.path, true)
	if err != nil {
		return place{}, err
	}
	if at = linked(all); !at.base.isDir() {
		return place{}, errNotDir
	}
	return at, nil
}

// linked is the place to which a trace leads.
func linked(all []entry) place {
	at := place{path: ".", base: &all[len(all)-1]}
	for _, e := range all[1:] {
		at.path = path.Join(at.path, e.name)
	}
	return at
}

// lookup returns what the edit does to the file at a path, through symbolic links of the base; nil: nothing.
func (p *planner) lookup(name string) *target {
	at, err := p.resolve(name)
	if err != nil || at.target != nil || at.base == nil || at.base.mode&fs.ModeSymlink == 0 {
		return at.target
	}
	all, err := p.img.best.trace(at.path, true)
	if err != nil {
		return nil
	}
	return p.byPath[linked(all).path]
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
