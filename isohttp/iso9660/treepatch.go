package iso9660

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// treePatch is what changes in one tree.
type treePatch struct {
	p     *patch
	t     *Tree
	root  *dirEdit
	dirs  map[uint32]*dirEdit // of the base, by block
	order []*dirEdit          // all, in the order in which they were met
	along *region             // directories that are taken along, nil: none
	table []tableRecord
	ce    ceArea

	serials uint32 // how many new serial numbers there are
}

// dirEdit is a directory that changes, or is looked at for it.
type dirEdit struct {
	ref    dirRef
	data   *dirData // nil: made by the patch
	logic  *dirEdit // the parent on the path
	up     *dirEdit // the directory that it is in: another one when it was relocated
	placed bool
	recs   []rec
	grown  bool // records were added, removed, or changed their length
	moved  bool
	at     dirRef // where it is in the view
	id     []byte // of one that is made
	serial uint32 // of one that is made
	made   map[string]*dirEdit
	prefix string // its path in the best tree
	pairs  *pairing
}

// rec is a record of a directory and where it was.
type rec struct {
	b       record
	off     int // in the base's directory, -1: new
	changed bool
}

// own makes the record's bytes the patch's own.
func (r *rec) own() {
	if !r.changed {
		r.b, r.changed = bytes.Clone(r.b), true
	}
}

// was is the block that a record of the base named.
func (d *dirEdit) was(r *rec) uint32 {
	if r.off < 0 {
		return 0
	}
	return record(d.data.raw[r.off:]).lba()
}

// apply changes the tree's directories as the targets say, and all that points to those that move.
func (tp *treePatch) apply() error {
	for _, t := range tp.p.targets {
		if err := tp.target(t); err != nil {
			return fmt.Errorf("/%s: %w", t.path, err)
		}
	}
	if err := tp.placeAll(); err != nil {
		return err
	}
	rebuild := tp.along != nil || slices.ContainsFunc(tp.order, func(d *dirEdit) bool { return d.data == nil })
	for _, d := range tp.order {
		if !d.moved {
			continue
		}
		if err := tp.repoint(d); err != nil {
			return err
		}
		if d.data != nil && !rebuild {
			if err := tp.moveTables(d.ref.lba, d.at.lba); err != nil {
				return err
			}
		}
	}
	if rebuild {
		if err := tp.rebuildTables(); err != nil {
			return err
		}
	}
	for _, d := range tp.order {
		over, tail := len(tp.p.over), len(tp.p.tail)
		tp.emit(d)
		tp.p.emitted = append(tp.p.emitted, emitted{tp, d, span{over, len(tp.p.over)}, span{tail, len(tp.p.tail)}})
	}
	tp.ce.flush(tp.p)
	return nil
}

func (tp *treePatch) target(t *target) error {
	dir, base := path.Split(t.path)
	d, err := tp.dir(dir)
	if err != nil {
		return err
	}
	if t.kind == opMkdir {
		return tp.mkdir(d, t.path)
	}
	e, err := tp.findFile(d, base, t)
	if err != nil {
		return err
	}
	if t.kind == opHide {
		if e != nil {
			d.remove(e)
		}
		return nil
	}
	secs, err := t.body.sections(tp.t)
	if err != nil {
		return err
	}
	if e != nil {
		return tp.replace(d, e, secs)
	}
	return tp.addFile(d, base, secs)
}

// dir returns the directory at a path, which ends in a slash or is empty.
func (tp *treePatch) dir(name string) (*dirEdit, error) {
	if tp.root == nil {
		d, err := tp.load(tp.t.rootRef(), tp.t.rootRef())
		if err != nil {
			return nil, err
		}
		tp.root = d
	}
	d := tp.root
	for part := range strings.SplitSeq(strings.TrimSuffix(name, "/"), "/") {
		if part == "" {
			continue
		}
		if next := d.made[part]; next != nil {
			d = next
			continue
		}
		if d.data == nil {
			return nil, fmt.Errorf("directory %s: %w", name, fs.ErrNotExist)
		}
		e, err := tp.match(d, part, true, true)
		if err != nil {
			return nil, err
		}
		if e == nil || !e.isDir() {
			return nil, fmt.Errorf("directory %s%s: %w", d.prefix, part, fs.ErrNotExist)
		}
		next, err := tp.load(e.dir, d.ref)
		if err != nil {
			return nil, err
		}
		next.logic, next.prefix = d, d.prefix+part+"/"
		if err := tp.loadUp(next); err != nil {
			return nil, err
		}
		d = next
	}
	return d, nil
}

// findFile finds the file in this tree.
func (tp *treePatch) findFile(d *dirEdit, name string, t *target) (*entry, error) {
	e, err := tp.match(d, name, t.base != nil, false)
	if e != nil && e.isDir() {
		return nil, errIsDir
	}
	return e, err
}

// load returns the directory at a place of the base.
func (tp *treePatch) load(ref, parent dirRef) (*dirEdit, error) {
	if d := tp.dirs[ref.lba]; d != nil {
		return d, nil
	}
	data, err := tp.t.list(ref, parent)
	if err != nil {
		return nil, err
	}
	d := &dirEdit{ref: ref, data: data, at: ref, recs: make([]rec, 0, len(data.entries)+8)}
	err = eachRecord(data.raw, func(off int, r record) error {
		d.recs = append(d.recs, rec{b: r, off: off})
		return nil
	})
	tp.dirs[ref.lba] = d
	tp.order = append(tp.order, d)
	return d, err
}

// index is the place of the entry's first record.
func (d *dirEdit) index(e *entry) (i, n int) {
	i = slices.IndexFunc(d.recs, func(r rec) bool { return r.off == e.off })
	return i, max(1, len(e.more))
}

// loadUp loads the directories that d is in, up to root: the parents on the path, unless one was relocated.
func (tp *treePatch) loadUp(d *dirEdit) error {
	for n := 0; d.up == nil && d != tp.root; n++ {
		if d.logic != nil && d.logic.child(d) != nil {
			d.up = d.logic
			return nil
		}
		_, r, err := tp.p.head(tp.t, d.ref.lba)
		if err != nil {
			return err
		}
		up, err := tp.t.firstRecord(r.lba())
		if err != nil {
			return err
		}
		ref := dirRef{up.lba(), up.length()}
		_, upper, err := tp.p.head(tp.t, ref.lba)
		if err != nil {
			return err
		}
		if d.up, err = tp.load(ref, dirRef{lba: upper.lba()}); err != nil {
			return err
		}
		if d.up.child(d) == nil || n > maxDepth {
			return fmt.Errorf("%w: the directory at block %d is not in the directory at block %d", ErrFormat, d.ref.lba, ref.lba)
		}
		d = d.up
	}
	return nil
}

func (d *dirEdit) remove(e *entry) {
	i, n := d.index(e)
	d.recs = slices.Delete(d.recs, i, i+n)
	d.grown = true
}

// replace points the file's records at its new content. Each keeps what else it says; of a file of several sections the
// last record's fields are those that count.
func (tp *treePatch) replace(d *dirEdit, e *entry, secs []section) error {
	if e.zisofs || e.rec.interleaved() {
		return fmt.Errorf("%w: the file is compressed with zisofs or interleaved", ErrUnsupported)
	}
	i, n := d.index(e)
	serial := tp.newSerial()
	recs := make([]rec, len(secs))
	for k, s := range secs {
		from := d.recs[i+min(k, n-1)]
		if k == len(secs)-1 {
			from.b = d.recs[i+n-1].b
		}
		b := bytes.Clone(from.b)
		recs[k] = rec{b: b, off: from.off, changed: true}
		if k >= n {
			recs[k].off = -1
		}
		if err := tp.point(b, s, k < len(secs)-1, serial); err != nil {
			return err
		}
	}
	if len(secs) == n && len(recs[n-1].b) == len(d.recs[i+n-1].b) {
		copy(d.recs[i:], recs)
		return nil
	}
	d.recs = slices.Replace(d.recs, i, i+n, recs...)
	d.grown = true
	return nil
}

// point makes a file's record name an extent.
func (tp *treePatch) point(r record, s section, more bool, serial uint32) error {
	r.setExtent(s.lba, s.len)
	r[1] = 0
	r[25] &^= flagMultiExtent
	if more {
		r[25] |= flagMultiExtent
	}
	return tp.setSerial(r, serial)
}

// newSerial is a file serial number (RRIP 1.12 4.1.1) for what is new: equal ones mean hard links. Tools count from small
// numbers on.
func (tp *treePatch) newSerial() uint32 {
	tp.serials++
	return 0xFFFFFFFF - tp.serials
}

// setSerial writes the serial number, where the record has one.
func (tp *treePatch) setSerial(r record, serial uint32) error {
	if !tp.t.susp {
		return nil
	}
	return tp.t.ownFields(r, func(f field) error {
		if f.sig() == "PX" && len(f.b) >= 44 {
			putBoth32(r[f.inRecord+36:], serial)
		}
		return nil
	})
}

// insert puts new records where the order of identifiers wants them.
func (tp *treePatch) insert(d *dirEdit, recs ...rec) {
	i := 2
	for i < len(d.recs) && tp.t.compareID(d.recs[i].b.id(), recs[0].b.id()) <= 0 {
		i++
	}
	d.recs = slices.Insert(d.recs, i, recs...)
	d.grown = true
}
