package iso9660

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxDirLen  = 64 << 20 // longest directory: some 500,000 files
	maxDepth   = 256
	cachedDir  = 64 << 10 // directories up to this length are kept
	cacheBytes = 4 << 20  // and so much of them in all
)

// entry is a file or directory of a tree, of one record or more.
type entry struct {
	name    string
	rec     record // the last one, whose fields count
	off     int    // of the first record in its directory
	more    []section
	size    int64
	mode    fs.FileMode
	mod     time.Time
	link    string
	dir     dirRef // of a directory
	parent  dirRef
	zisofs  bool
	special bool // a device, socket or pipe
}

// section is one of the extents of a file of several.
type section struct{ lba, len uint32 }

// dirRef tells where a directory is.
type dirRef struct{ lba, len uint32 }

// dirData is a directory as read.
type dirData struct {
	ref     dirRef
	raw     []byte
	entries []entry
}

// dirCache keeps small directories that were looked at.
type dirCache struct {
	mu    sync.Mutex
	dirs  map[dirKey]*dirData
	bytes int64
}

// dirKey tells where a directory was found, too: it has been held against that alone.
type dirKey struct {
	t      *Tree
	ref    dirRef
	parent uint32
}

func (c *dirCache) get(k dirKey) *dirData {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dirs[k]
}

func (c *dirCache) put(k dirKey, d *dirData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(d.raw) > cachedDir || c.bytes+int64(len(d.raw)) > cacheBytes || c.dirs[k] != nil {
		return
	}
	if c.dirs == nil {
		c.dirs = map[dirKey]*dirData{}
	}
	c.dirs[k] = d
	c.bytes += int64(len(d.raw))
}

func (t *Tree) rootRef() dirRef { return dirRef{t.root.lba(), t.root.length()} }

// readRaw reads a directory's bytes.
func (t *Tree) readRaw(ref dirRef) ([]byte, error) {
	if ref.len == 0 || ref.len > maxDirLen {
		return nil, fmt.Errorf("%w: directory at block %d of %d bytes", ErrFormat, ref.lba, ref.len)
	}
	raw := make([]byte, 0)
	for left := int64(ref.len); left > 0; { // in steps, so that a length beyond the image costs nothing
		n := min(left, 1<<20)
		at := len(raw)
		if t.offset(ref.lba)+int64(ref.len) > t.img.size {
			return nil, fmt.Errorf("%w: directory at block %d of %d bytes reaches beyond the image", ErrFormat, ref.lba, ref.len)
		}
		raw = slices.Grow(raw, int(n))[:at+int(n)]
		if err := t.img.read(raw[at:], t.offset(ref.lba)+int64(at)); err != nil {
			return nil, err
		}
		left -= n
	}
	return raw, nil
}

// list reads the directory ref, which was found in parent. The records "." and ".." must say the same, or it must not be
// found elsewhere: so no directory is reached twice, and walking a tree ends.
func (t *Tree) list(ref, parent dirRef) (*dirData, error) {
	key := dirKey{t, ref, parent.lba}
	if d := t.img.cache.get(key); d != nil {
		return d, nil
	}
	raw, err := t.readRaw(ref)
	if err != nil {
		return nil, err
	}
	p := dirParser{t: t, d: &dirData{ref: ref, raw: raw}, parent: parent, dirs: map[uint32]bool{ref.lba: true}, left: continuations(len(raw))}
	if err := eachRecord(raw, p.one); err != nil {
		return nil, fmt.Errorf("directory at block %d: %w", ref.lba, err)
	}
	if p.n < 2 || p.open {
		return nil, fmt.Errorf("%w: directory at block %d ends early", ErrFormat, ref.lba)
	}
	t.img.cache.put(key, p.d)
	return p.d, nil
}

// dirParser makes entries of records.
type dirParser struct {
	t      *Tree
	d      *dirData
	parent dirRef
	dirs   map[uint32]bool // blocks of the directories seen
	n      int             // records seen
	open   bool            // the last record said that another section follows
	left   *int64          // bytes of continuation areas that may be read
	cur    entry
}

func (p *dirParser) one(off int, r record) error {
	p.n++
	switch {
	case p.n == 1:
		if !r.isSelf() || r.lba() != p.d.ref.lba {
			return fmt.Errorf("%w: its first record is not its own", ErrFormat)
		}
		return nil
	case p.n == 2:
		return p.checkParent(r)
	case r.isSelf() || r.isParent():
		return fmt.Errorf("%w: \".\" or \"..\" at byte %d", ErrFormat, off)
	case r.flags()&flagAssociated != 0:
		return nil
	}
	if p.open && !bytes.Equal(r.id(), p.cur.rec.id()) {
		return fmt.Errorf("%w: the sections of %q at byte %d are not together", ErrFormat, p.cur.rec.id(), p.cur.off)
	}
	if !p.open {
		p.cur = entry{off: off}
	}
	e := &p.cur
	e.rec = r
	if p.open || r.flags()&flagMultiExtent != 0 {
		e.more = append(e.more, section{r.lba() + uint32(r.xar()), r.length()})
	}
	e.size += int64(r.length())
	p.open = r.flags()&flagMultiExtent != 0
	if p.open {
		return nil
	}
	hidden, err := p.finish(e)
	if err != nil || hidden {
		return err
	}
	p.d.entries = append(p.d.entries, *e)
	return nil
}

func (p *dirParser) checkParent(r record) error {
	if !r.isParent() {
		return fmt.Errorf("%w: its second record is not its parent's", ErrFormat)
	}
	says := r.lba()
	if p.t.susp {
		k, err := p.t.rockRidge(r, p.left)
		if err != nil {
			return err
		}
		if k.parent != 0 { // relocated: not to be found where it is kept
			says = k.parent
		}
	}
	if says == p.parent.lba {
		return nil
	}
	if self := p.d.ref.lba; says == self && self != p.t.root.lba() && p.t.onlyParent(self, p.parent.lba) {
		return nil // libisofs writes its Joliet and ISO 9660:1999 trees so
	}
	return fmt.Errorf("%w: its parent is the directory at block %d, it says %d", ErrFormat, p.parent.lba, says)
}

// onlyParent notes where a directory was found that does not know its parent, and tells whether it was found there before.
func (t *Tree) onlyParent(lba, parent uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, ok := t.parents[lba]; ok {
		return was == parent
	}
	if t.parents == nil {
		t.parents = map[uint32]uint32{}
	}
	t.parents[lba] = parent
	return true
}

// finish gives the entry its name and attributes.
func (p *dirParser) finish(e *entry) (hidden bool, err error) {
	t, r := p.t, e.rec
	e.mod, e.parent = r.date(), p.d.ref
	e.mode = 0o444
	var k rock
	if t.susp {
		if k, err = t.rockRidge(r, p.left); err != nil {
			return false, fmt.Errorf("record %q at byte %d: %w", r.id(), e.off, err)
		}
		if k.relocated {
			return true, nil
		}
		if k.mode != 0 {
			e.mode = k.fileMode()
		}
		if !k.mod.IsZero() {
			e.mod = k.mod
		}
		e.zisofs, e.link = k.zisofs, k.link
	}
	if e.name, err = t.name(r, k.name); err != nil {
		return false, fmt.Errorf("record at byte %d: %w", e.off, err)
	}
	e.mode &^= fs.ModeDir
	switch {
	case k.child != 0 && !r.isDir():
		self, err := t.firstRecord(k.child)
		if err != nil {
			return false, fmt.Errorf("relocated directory %q: %w", e.name, err)
		}
		e.dir = dirRef{k.child, self.length()}
	case r.isDir():
		e.dir = dirRef{r.lba(), r.length()}
	default:
		if k.symlink {
			e.mode = e.mode&0o777 | fs.ModeSymlink
		}
		e.special = e.mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0
		return false, nil
	}
	if p.dirs[e.dir.lba] {
		return false, fmt.Errorf("%w: directory %q at block %d is listed twice or contains itself", ErrFormat, e.name, e.dir.lba)
	}
	p.dirs[e.dir.lba] = true
	e.mode = e.mode&0o777 | fs.ModeDir
	if k.mode == 0 {
		e.mode |= 0o111
	}
	e.size = 0
	return false, nil
}

// name is the file's name in this tree: Rock Ridge's, or the identifier without its version.
func (t *Tree) name(r record, rr string) (string, error) {
	name := rr
	if name == "" {
		name = string(r.id())
		if t.kind == Joliet {
			name = ucs2String(r.id())
		}
		if i := strings.LastIndexByte(name, ';'); i > 0 && !r.isDir() && strings.Trim(name[i+1:], "0123456789") == "" {
			name = name[:i]
		}
		if t.kind == Plain || t.kind == RockRidge {
			name = strings.TrimSuffix(name, ".")
		}
	}
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "\uFFFD")
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf("%w: a file is named %q", ErrFormat, name)
	}
	return name, nil
}

// dirFlag tells whether the entry is a directory.
func (e *entry) isDir() bool { return e.mode.IsDir() }

// sections are the file's extents in blocks.
func (e *entry) sections() []section {
	if e.more != nil {
		return e.more
	}
	return []section{{e.rec.lba() + uint32(e.rec.xar()), e.rec.length()}}
}

// extents are the ranges of the image that hold the file's content, those that adjoin as one.
func (t *Tree) extents(e *entry) ([]Extent, error) {
	if e.rec.interleaved() {
		return nil, fmt.Errorf("%w: the file is interleaved", ErrUnsupported)
	}
	if e.size > t.img.size {
		return nil, fmt.Errorf("%w: the file has %d bytes, more than the image", ErrFormat, e.size)
	}
	var ext []Extent
	for _, s := range e.sections() {
		x := Extent{t.offset(s.lba), int64(s.len)}
		if x.Len == 0 {
			continue
		}
		if x.Off > t.img.size-x.Len {
			return nil, fmt.Errorf("%w: %d bytes at block %d reach beyond the image", ErrFormat, x.Len, s.lba)
		}
		if n := len(ext); n > 0 && ext[n-1].Off+ext[n-1].Len == x.Off {
			ext[n-1].Len += x.Len
		} else {
			ext = append(ext, x)
		}
	}
	return ext, nil
}

// find returns the entry called name: exactly, or, in trees whose names readers compare so, without regard to case.
func (t *Tree) find(d *dirData, name string) *entry {
	for i := range d.entries {
		if d.entries[i].name == name {
			return &d.entries[i]
		}
	}
	if t.kind == RockRidge {
		return nil
	}
	for i := range d.entries {
		if strings.EqualFold(d.entries[i].name, name) {
			return &d.entries[i]
		}
	}
	return nil
}
