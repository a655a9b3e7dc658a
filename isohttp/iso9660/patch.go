package iso9660

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// maxSection is the longest extent of a file: the greatest multiple of a block that a record can hold.
const maxSection = 0xFFFFF800

// readAhead is how much follows the last block that anything is in. GRUB reads a disc through the BIOS by 32 KiB, and where
// these reach beyond its end, it finds a menu empty. Programs that write discs pad them for such readers too.
const readAhead = 16 * blockSize

// patch is a view in the making: bytes over the base's, and a tail behind its end.
type patch struct {
	img      *Image
	edit     *Edit
	plan     *planner
	names    *names
	targets  []*target
	over     []overlay
	tail     []tailPart
	start    int64 // of the tail
	end      int64 // of what is allocated
	zero     int64 // block for files without content, 0: none yet
	trees    []*treePatch
	metadata []Extent // what in the tail is no file's
	emitted  []emitted
	buf      [512]byte
}

type overlay struct {
	off  int64
	data []byte
	seq  int // the later of two holds
}

func (o overlay) end() int64 { return o.off + int64(len(o.data)) }

type tailPart struct {
	off int64
	part
}

// View applies the changes to every tree and returns the patched image. It reads nothing but the directories that
// change, and what points to these. On an error, which names the path, nothing has been changed.
func (e *Edit) View() (*View, error) {
	if v, err := e.img.again(e); v != nil || err != nil {
		return v, err
	}
	plan, err := e.plan()
	if err != nil {
		return nil, err
	}
	p := &patch{img: e.img, edit: e, plan: plan, names: &names{}, targets: plan.list, start: blocks(e.img.size) * blockSize}
	p.end = p.start
	if err := p.placeBodies(); err != nil {
		return nil, err
	}
	for _, t := range e.img.trees {
		if t.Second() && e.blank {
			continue
		}
		tp := &treePatch{p: p, t: t, dirs: map[uint32]*dirEdit{}}
		p.trees = append(p.trees, tp)
		if err := tp.apply(); err != nil {
			return nil, fmt.Errorf("%s tree: %w", t.kind, err)
		}
	}
	if err := p.writeEFI(); err != nil {
		return nil, err
	}
	if p.end > p.start {
		p.end += readAhead
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	e.img.keep(e, p)
	return p.view()
}

// placeBodies gives the new contents their places at the beginning of the tail. Those that lie apart come last, with a gap
// on each side; as other content then must keep from the base's, there is one before it, too.
func (p *patch) placeBodies() error {
	var apart []*target
	for _, name := range p.edit.apart {
		t := p.plan.lookup(name)
		if t == nil || t.body == nil {
			return fmt.Errorf("keeping %s apart: %w: its content does not change", name, fs.ErrInvalid)
		}
		if !slices.Contains(apart, t) {
			apart = append(apart, t)
		}
	}
	if apart != nil {
		p.allocMetadata(Gap)
	}
	for _, t := range p.targets {
		if t.body != nil && !slices.Contains(apart, t) {
			p.place(t.body)
		}
	}
	for _, t := range apart {
		p.allocMetadata(Gap)
		p.place(t.body)
	}
	if apart != nil {
		p.allocMetadata(Gap)
	}
	return nil
}

func (p *patch) place(b *body) {
	if b.len == 0 {
		b.off = p.zeroBlock()
		return
	}
	b.off = p.alloc(b.len)
	at := b.off
	for _, x := range b.parts {
		p.append(at, x)
		at += x.len()
	}
}

// zeroBlock is a block of the tail for files without content, whose records must name one all the same.
func (p *patch) zeroBlock() int64 {
	if p.zero == 0 {
		p.zero = p.allocMetadata(blockSize)
	}
	return p.zero
}

// alloc takes whole blocks for n bytes of the tail.
func (p *patch) alloc(n int64) int64 {
	off := p.end
	p.end += blocks(n) * blockSize
	return off
}

// allocMetadata is alloc for what belongs to no file.
func (p *patch) allocMetadata(n int64) int64 {
	off := p.alloc(n)
	p.metadata = append(p.metadata, Extent{off, blocks(n) * blockSize})
	return off
}

func (p *patch) append(off int64, x part) { p.tail = append(p.tail, tailPart{off, x}) }

func (p *patch) overlay(off int64, data []byte) {
	p.over = append(p.over, overlay{off: off, data: data})
}

// overlayBoth writes a number in both byte orders.
func (p *patch) overlayBoth(off int64, v uint32) {
	b := make([]byte, 8)
	putBoth32(b, v)
	p.overlay(off, b)
}

// sections cuts the body into extents that records can hold, in the tree's block numbers.
func (b *body) sections(t *Tree) ([]section, error) {
	var s []section
	for off, left := b.off, b.len; left > 0 || s == nil; {
		n := min(left, maxSection)
		lba, err := t.block(off)
		if err != nil {
			return nil, err
		}
		s = append(s, section{lba, uint32(n)})
		off, left = off+n, left-n
	}
	return s, nil
}

// block is the tree's number of the block at an offset.
func (t *Tree) block(off int64) (uint32, error) {
	n := off/blockSize - t.bias
	if n < 0 || n > 0xFFFFFFFF {
		return 0, fmt.Errorf("%w: block %d cannot be recorded", ErrUnsupported, n)
	}
	return uint32(n), nil
}

// writeEFI plans the changes inside the EFI image.
func (p *patch) writeEFI() error {
	if !slices.ContainsFunc(p.edit.ops, func(o op) bool { return o.kind == opEFI }) {
		return nil
	}
	efi, at, err := p.img.EFI()
	if err != nil {
		return err
	}
	e := efi.Edit()
	for _, o := range p.edit.ops {
		if o.kind != opEFI {
			continue
		}
		if err := e.Replace(o.path, o.data); err != nil {
			return fmt.Errorf("EFI image: %w", err)
		}
	}
	for _, x := range e.Patches() {
		p.overlay(at.Off+x.Off, x.Data)
	}
	return nil
}

// finish writes what depends on the image's length: the descriptors' space sizes, and MBR and GPT.
func (p *patch) finish() error {
	if p.edit.blank {
		for _, d := range p.img.descriptors {
			if d.set == 1 {
				p.overlay(d.off+1, make([]byte, 5))
			}
		}
	}
	if p.end == p.img.size {
		return nil
	}
	if n := p.img.disk.backupLen(); n > 0 {
		p.allocMetadata(n)
	}
	for _, tp := range p.trees {
		total, err := tp.t.block(p.end)
		if err != nil {
			return err
		}
		for _, vd := range tp.t.vds {
			if !p.blanked(vd) {
				p.overlayBoth(vd+80, total)
			}
		}
	}
	return p.mendDisk()
}

// blanked tells whether a descriptor is of the second set, which is to be blanked.
func (p *patch) blanked(vd int64) bool { return p.edit.blank && vd >= secondSet*blockSize }

// head reads where the ".." record of the directory at a block is, and the record. It is valid until the next head.
func (p *patch) head(t *Tree, lba uint32) (int64, record, error) {
	b := p.buf[:]
	off := t.offset(lba)
	if err := p.img.read(b, off); err != nil {
		return 0, nil, fmt.Errorf("directory at block %d: %w", lba, err)
	}
	n := int(b[0])
	if n < 34 || n+34 > len(b) || b[32] != 1 || b[33] != 0 {
		return 0, nil, fmt.Errorf("%w: no directory at block %d", ErrFormat, lba)
	}
	r := b[n:]
	if m := int(r[0]); m < 34 || m > len(r) || r[32] != 1 || r[33] != 1 {
		return 0, nil, fmt.Errorf("%w: the directory at block %d has no \"..\"", ErrFormat, lba)
	}
	return off + int64(n), record(r[:r[0]]), nil
}

// moveTables makes the path tables tell a directory's new block (ECMA-119 9.4). Where a table has another block than the
// directory had, it is wrong already and stays so.
func (tp *treePatch) moveTables(was, is uint32) error {
	at, err := tp.tableEntry(was)
	if err != nil || at < 0 {
		return err
	}
	for i, lba := range tp.t.tables {
		if lba == 0 {
			continue
		}
		order := tableOrder(i)
		off := tp.t.offset(lba) + at + 2
		if err := tp.p.img.read(tp.p.buf[:4], off); err != nil {
			return fmt.Errorf("path table at block %d: %w", lba, err)
		}
		if order.Uint32(tp.p.buf[:]) == was {
			tp.p.overlay(off, order.AppendUint32(nil, is))
		}
	}
	return nil
}

// byteOrder is what binary.LittleEndian and BigEndian both are.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// tableOrder is the byte order of path table i: L, optional L, M, optional M.
func tableOrder(i int) byteOrder {
	if i >= 2 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// tableEntry is the offset, in each path table, of the entry of the directory at a block; -1: there is none.
func (tp *treePatch) tableEntry(lba uint32) (int64, error) {
	if lba == tp.t.root.lba() {
		return 0, nil
	}
	if err := tp.loadTable(); err != nil {
		return 0, err
	}
	for _, e := range tp.table {
		if e.lba == lba {
			return e.off, nil
		}
	}
	return -1, nil
}

// tableRecord is an entry of a path table.
type tableRecord struct {
	off    int64 // in the table
	lba    uint32
	parent int // index from 0
	id     []byte
}

// maxDirs is the number of directories up to which path tables are read: four times what their numbers can tell apart.
const maxDirs = 1 << 18

// loadTable reads the L path table.
func (tp *treePatch) loadTable() error {
	if tp.table != nil || tp.t.tables[0] == 0 {
		return nil
	}
	raw := make([]byte, tp.t.tableLen)
	if err := tp.p.img.read(raw, tp.t.offset(tp.t.tables[0])); err != nil {
		return fmt.Errorf("path table at block %d: %w", tp.t.tables[0], err)
	}
	le := binary.LittleEndian
	for at := 0; at+8 <= len(raw) && raw[at] != 0; {
		n := int(raw[at])
		if at+8+n > len(raw) {
			return fmt.Errorf("path table at block %d: %w: %w", tp.t.tables[0], ErrFormat, io.ErrUnexpectedEOF)
		}
		if len(tp.table) == maxDirs {
			return fmt.Errorf("path table at block %d: %w: more than %d directories", tp.t.tables[0], ErrUnsupported, maxDirs)
		}
		parent := int(le.Uint16(raw[at+6:])) - 1
		if parent < 0 || parent > len(tp.table) {
			return fmt.Errorf("path table at block %d: %w: entry %d has parent %d", tp.t.tables[0], ErrFormat, len(tp.table)+1, parent+1)
		}
		tp.table = append(tp.table, tableRecord{int64(at), le.Uint32(raw[at+2:]), parent, raw[at+8 : at+8+n]})
		at += 8 + n + n%2
	}
	return nil
}
