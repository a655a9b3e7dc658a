package iso9660

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// packedLen is the length of the directory's records, none across the end of a block.
func (d *dirEdit) packedLen() int64 {
	at := 0
	for _, r := range d.recs {
		if at%blockSize+len(r.b) > blockSize {
			at = (at/blockSize + 1) * blockSize
		}
		at += len(r.b)
	}
	return blocks(int64(at)) * blockSize
}

// pack writes the records into a directory of n bytes.
func (d *dirEdit) pack(n int64) []byte {
	out := make([]byte, n)
	at := 0
	for _, r := range d.recs {
		if at%blockSize+len(r.b) > blockSize {
			at = (at/blockSize + 1) * blockSize
		}
		at += copy(out[at:], r.b)
	}
	return out
}

// fits tells whether the directory has room where it is.
func (d *dirEdit) fits() bool {
	return !d.grown || d.data != nil && d.packedLen() <= int64(d.ref.len) && d.ref.len%blockSize == 0
}

// place gives a directory that outgrows its blocks, is new, or must move a place in the tail. What follows it in the base is
// never free, though it may look so: root's continuation area is often there.
func (tp *treePatch) place(d *dirEdit, must bool) error {
	if d.placed || !must && d.fits() {
		return nil
	}
	n := d.packedLen()
	if n > maxDirLen {
		return fmt.Errorf("/%s: the directory would have %d bytes", d.prefix, n)
	}
	lba, err := tp.t.block(tp.p.allocMetadata(n))
	if err != nil {
		return err
	}
	d.placed, d.moved, d.at = true, true, dirRef{lba, uint32(n)}
	if d == tp.root {
		return tp.rehome(d)
	}
	return nil
}

// repoint makes everything that points to a moved or new directory point to where it is.
func (tp *treePatch) repoint(d *dirEdit) error {
	if d.data != nil && d.recs[1].b.lba() == d.ref.lba { // root's, or any in trees of libisofs
		d.setDot(1, d.at)
	}
	d.setDot(0, d.at)
	if d == tp.root {
		for _, vd := range tp.t.vds {
			if !tp.p.blanked(vd) {
				tp.p.overlayBoth(vd+158, d.at.lba)
				tp.p.overlayBoth(vd+166, d.at.len)
			}
		}
	} else if err := tp.repointParent(d); err != nil {
		return err
	}
	if d.data == nil {
		return nil
	}
	return tp.repointChildren(d)
}

// setDot writes the extent of "." or "..".
func (d *dirEdit) setDot(i int, at dirRef) {
	r := &d.recs[i]
	r.own()
	r.b.setExtent(at.lba, at.len)
}

// repointParent mends the record of d in the directory that it is in, and, of a relocated directory, the child link in its
// parent on the path.
func (tp *treePatch) repointParent(d *dirEdit) error {
	if d.data == nil {
		d.setDot(1, d.logic.at)
		r := d.logic.child(d)
		r.b.setExtent(d.at.lba, d.at.len)
		return nil
	}
	d.up.setChild(d.ref.lba, d.at)
	if d.logic != nil && d.logic != d.up {
		return tp.relink(d.logic, d.ref.lba, d.at.lba)
	}
	return nil
}

// relink mends the child link (RRIP 4.1.5.1) in d that leads to the directory at block was.
func (tp *treePatch) relink(d *dirEdit, was, is uint32) error {
	for i := 2; i < len(d.recs); i++ {
		r := &d.recs[i]
		if r.b.isDir() {
			continue
		}
		done, err := tp.relinkField(r, "CL", was, is)
		if done || err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: no link to the directory at block %d", ErrFormat, was)
}

// relinkField rewrites the block of a CL or PL field that has the block was. The field is in the record or in its
// continuation area, which is the base's.
func (tp *treePatch) relinkField(r *rec, sig string, was, is uint32) (bool, error) {
	done := false
	err := tp.t.fields(r.b, continuations(0), func(f field) error {
		if done || f.sig() != sig || len(f.b) < 12 {
			return nil
		}
		if binary.LittleEndian.Uint32(f.b[4:]) != was {
			return nil
		}
		done = true
		if f.inRecord < 0 {
			tp.p.overlayBoth(f.off+4, is)
			return nil
		}
		r.own()
		putBoth32(r.b[f.inRecord+4:], is)
		return nil
	})
	return done, err
}

// repointChildren mends ".." of every directory in d, and the parent link of those that were relocated out of it.
func (tp *treePatch) repointChildren(d *dirEdit) error {
	for i := range d.data.entries {
		e := &d.data.entries[i]
		if !e.isDir() {
			continue
		}
		if err := tp.repointChild(d, e.dir.lba, e.rec.isDir()); err != nil {
			return err
		}
	}
	if !tp.t.susp {
		return nil
	}
	// Relocated directories are hidden where they are kept: entries do not have them.
	for i := 2; i < len(d.recs); i++ {
		r := &d.recs[i]
		if !r.b.isDir() || r.off < 0 || slices.ContainsFunc(d.data.entries, func(e entry) bool { return e.isDir() && e.dir.lba == d.was(r) }) {
			continue
		}
		if err := tp.repointChild(d, d.was(r), true); err != nil {
			return err
		}
	}
	return nil
}

// repointChild mends ".." of the directory at a block: its extent when it is in d, its parent link when it was relocated.
func (tp *treePatch) repointChild(d *dirEdit, lba uint32, inside bool) error {
	if tp.along != nil {
		if _, ok := tp.along.at[lba]; ok {
			return nil // done
		}
	}
	if c := tp.dirs[lba]; c != nil {
		if inside && c.recs[1].b.lba() == d.ref.lba {
			c.setDot(1, d.at)
			return nil
		} else if inside {
			return nil
		}
		_, err := tp.relinkField(&c.recs[1], "PL", d.ref.lba, d.at.lba)
		return err
	}
	off, r, err := tp.p.head(tp.t, lba)
	if err != nil {
		return err
	}
	if inside && r.lba() != d.ref.lba {
		return nil
	} else if inside {
		b := make([]byte, 16)
		putBoth32(b, d.at.lba)
		putBoth32(b[8:], d.at.len)
		tp.p.overlay(off+2, b)
		return nil
	}
	link := rec{b: bytes.Clone(r), changed: true}
	if _, err := tp.relinkField(&link, "PL", d.ref.lba, d.at.lba); err != nil {
		return err
	}
	tp.p.overlay(off, link.b)
	return nil
}

// emit hands the directory's new bytes to the patch.
func (tp *treePatch) emit(d *dirEdit) {
	if d.moved {
		tp.p.append(tp.t.offset(d.at.lba), part{data: d.pack(int64(d.at.len))})
		return
	}
	base := tp.t.offset(d.ref.lba)
	if d.grown {
		tp.p.differences(base, d.data.raw, d.pack(int64(d.ref.len)))
		return
	}
	for _, r := range d.recs {
		if r.changed {
			tp.p.differences(base+int64(r.off), d.data.raw[r.off:r.off+len(r.b)], r.b)
		}
	}
}

// differences overlays the runs of bytes that differ, those with little between them as one.
func (p *patch) differences(off int64, was, is []byte) {
	const gap = 32
	for i := 0; i < len(is); {
		if was[i] == is[i] {
			i++
			continue
		}
		end := i + 1
		for j := end; j < len(is) && j-end < gap; j++ {
			if was[j] != is[j] {
				end = j + 1
			}
		}
		p.overlay(off+int64(i), is[i:end])
		i = end
	}
}

// rebuildTables writes path tables with all places of directories, and the directories that were made: in level, parent
// and identifier order, which renumbers what follows them (ECMA-119 6.9.1). They stay where they are if they do not need
// further blocks.
func (tp *treePatch) rebuildTables() error {
	made := slices.ContainsFunc(tp.order, func(d *dirEdit) bool { return d.data == nil })
	raw, err := tp.newTables(made)
	if err != nil || raw[0] == nil {
		return err
	}
	size := int64(len(raw[0]))
	for i, lba := range tp.t.tables {
		if lba == 0 {
			continue
		}
		if blocks(size) <= blocks(tp.t.tableLen) {
			tp.p.overlay(tp.t.offset(lba), raw[i/2])
			continue
		}
		off := tp.p.allocMetadata(size)
		tp.p.append(off, part{data: raw[i/2]})
		if err := tp.moveTable(i, off); err != nil {
			return err
		}
	}
	if !made {
		return nil
	}
	for _, vd := range tp.t.vds {
		if !tp.p.blanked(vd) {
			tp.p.overlayBoth(vd+132, uint32(size))
		}
	}
	return nil
}

// newTables returns the path tables L and M. Without made directories they follow from where directories are, and are kept
// with these.
func (tp *treePatch) newTables(made bool) ([2][]byte, error) {
	if !made {
		tp.t.mu.Lock()
		defer tp.t.mu.Unlock()
		if tp.along.tables[0] != nil {
			return tp.along.tables, nil
		}
	}
	tp.table = nil
	if err := tp.loadTable(); err != nil || tp.table == nil {
		return [2][]byte{}, err
	}
	for i := range tp.table {
		e := &tp.table[i]
		if d := tp.dirs[e.lba]; d != nil {
			e.lba = d.at.lba
		} else if tp.along != nil {
			if at, ok := tp.along.at[e.lba]; ok {
				e.lba = at.lba
			}
		}
	}
	for _, d := range tp.order {
		if d.data == nil {
			if err := tp.insertTable(d); err != nil {
				return [2][]byte{}, err
			}
		}
	}
	raw := [2][]byte{tp.encodeTable(0), tp.encodeTable(2)}
	if !made {
		tp.along.tables = raw
	}
	return raw, nil
}

func (tp *treePatch) moveTable(i int, off int64) error {
	lba, err := tp.t.block(off)
	if err != nil {
		return err
	}
	for _, vd := range tp.t.vds {
		if !tp.p.blanked(vd) {
			tp.p.overlay(vd+140+4*int64(i), tableOrder(i).AppendUint32(nil, lba))
		}
	}
	return nil
}

func (tp *treePatch) tableIndex(lba uint32) int {
	return slices.IndexFunc(tp.table, func(e tableRecord) bool { return e.lba == lba })
}

// insertTable adds a directory to the path table.
func (tp *treePatch) insertTable(d *dirEdit) error {
	parent := tp.tableIndex(d.logic.at.lba)
	if parent < 0 {
		return fmt.Errorf("%w: the path table has no directory /%s", ErrFormat, d.logic.prefix)
	}
	if len(tp.table) >= 0xFFFF {
		return fmt.Errorf("%w: the path table has %d directories, no more are possible", ErrUnsupported, len(tp.table))
	}
	levels := make([]int, len(tp.table)+1)
	for i := 1; i < len(tp.table); i++ {
		levels[i] = levels[tp.table[i].parent] + 1
	}
	level := levels[parent] + 1
	at := 1
	for at < len(tp.table) {
		e := tp.table[at]
		if cmp.Or(cmp.Compare(levels[at], level), cmp.Compare(e.parent, parent), tp.t.compareID(e.id, d.id)) > 0 {
			break
		}
		at++
	}
	for i := range tp.table {
		if tp.table[i].parent >= at {
			tp.table[i].parent++
		}
	}
	tp.table = slices.Insert(tp.table, at, tableRecord{lba: d.at.lba, parent: parent, id: d.id})
	return nil
}

// encodeTable is path table i.
func (tp *treePatch) encodeTable(i int) []byte {
	order := tableOrder(i)
	var p []byte
	for _, e := range tp.table {
		p = append(p, byte(len(e.id)), 0)
		p = order.AppendUint32(p, e.lba)
		p = order.AppendUint16(p, uint16(e.parent+1))
		p = append(p, e.id...)
		if len(e.id)%2 == 1 {
			p = append(p, 0)
		}
	}
	return p
}
