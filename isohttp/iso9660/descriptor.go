package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Blocks at which descriptor sets begin.
const (
	firstSet  = 16
	secondSet = 32 // block 16 of a partition that starts at block 16
)

const maxDescriptors = 16

// descriptor is a volume descriptor (ECMA-119 8) and where it is.
type descriptor struct {
	off int64
	set int // 0 at block 16, 1 at block 32
	b   []byte
}

func (d descriptor) kind() byte { return d.b[0] }

// treeKind tells which kind of tree a primary or supplementary descriptor describes.
func (d descriptor) treeKind() (Kind, bool) {
	switch esc := d.b[88:120]; {
	case d.b[0] == 1:
		return Plain, true
	case d.b[0] == 2 && d.b[6] == 2:
		return Enhanced, true
	case d.b[0] == 2 && (bytes.HasPrefix(esc, []byte("%/@")) || bytes.HasPrefix(esc, []byte("%/C")) || bytes.HasPrefix(esc, []byte("%/E"))):
		return Joliet, true
	}
	return 0, false
}

func (d descriptor) volumeID() string {
	if k, _ := d.treeKind(); k == Joliet {
		return strings.TrimRight(ucs2String(d.b[40:72]), " \x00")
	}
	return strings.TrimRight(string(d.b[40:72]), " \x00")
}

// ucs2String decodes big-endian UCS-2, in which some tools write UTF-16.
func ucs2String(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// readDescriptors reads the set at block 16 and, where there is one, that at block 32.
func (m *Image) readDescriptors() error {
	set, err := m.readSet(0, firstSet)
	if err != nil {
		return err
	}
	m.descriptors = set
	if len(set) >= secondSet-firstSet {
		return nil
	}
	if set, err := m.readSet(1, secondSet); err == nil {
		m.descriptors = append(m.descriptors, set...)
	}
	return nil
}

func (m *Image) readSet(number int, lba int64) ([]descriptor, error) {
	var set []descriptor
	for i := range int64(maxDescriptors) {
		d := descriptor{off: (lba + i) * blockSize, set: number, b: make([]byte, blockSize)}
		if err := m.read(d.b, d.off); err != nil {
			return nil, fmt.Errorf("reading volume descriptor at block %d: %w", lba+i, err)
		}
		if string(d.b[1:6]) != "CD001" {
			return nil, fmt.Errorf("%w: no volume descriptor at block %d", ErrFormat, lba+i)
		}
		set = append(set, d)
		if d.kind() == 255 {
			if set[0].kind() == 1 || number == 0 {
				return set, nil
			}
			break
		}
	}
	return nil, fmt.Errorf("%w: the volume descriptors from block %d on have no end", ErrFormat, lba)
}

// refuseUDF looks for a volume recognition sequence behind the descriptors (ECMA-167 2/9.1) and the anchor at block 256.
func (m *Image) refuseUDF() error {
	b := make([]byte, blockSize)
	last := m.descriptors[0].off
	for _, d := range m.descriptors {
		if d.set == 0 {
			last = d.off
		}
	}
	udf := fmt.Errorf("%w image: it is a UDF bridge, as Windows installers are; its UDF tree cannot be patched", ErrUnsupported)
	for off := last + blockSize; off < last+17*blockSize && off+blockSize <= m.size; off += blockSize {
		if err := m.read(b, off); err != nil {
			return err
		}
		switch string(b[1:6]) {
		case "NSR02", "NSR03":
			return udf
		case "BEA01", "BOOT2", "CD001", "CDW02", "TEA01":
			continue
		}
		break
	}
	const anchor = 256 * blockSize
	if m.size < anchor+blockSize {
		return nil
	}
	if err := m.read(b[:16], anchor); err != nil {
		return err
	}
	var sum byte
	for i, c := range b[:16] {
		if i != 4 {
			sum += c
		}
	}
	if binary.LittleEndian.Uint16(b) == 2 && binary.LittleEndian.Uint32(b[12:]) == 256 && sum == b[4] {
		return udf
	}
	return nil
}

// readTrees makes a tree of each descriptor that has one. A descriptor of the second set either describes a tree of its
// own, whose block numbers count from block 16, or repeats the first set's. Which of these, its root directory tells: equal
// numbers do not, for the two sets count from different blocks.
func (m *Image) readTrees() error {
	for _, d := range m.descriptors {
		kind, ok := d.treeKind()
		if !ok {
			continue
		}
		t, err := m.newTree(d, kind)
		if err != nil {
			return fmt.Errorf("volume descriptor at block %d: %w", d.off/blockSize, err)
		}
		if d.set == 0 {
			if twin := m.twin(t); twin != nil { // genisoimage -iso-level 4 describes one tree twice
				twin.vds = append(twin.vds, d.off)
				continue
			}
			if err := t.readRoot(); err != nil {
				return fmt.Errorf("%s tree: %w", t.kind, err)
			}
			m.trees = append(m.trees, t)
			continue
		}
		t.bias = secondSet - firstSet
		if err := t.readRoot(); err == nil {
			m.trees = append(m.trees, t)
		} else if twin := m.twin(t); twin != nil {
			twin.vds = append(twin.vds, d.off)
		}
	}
	if i := slices.IndexFunc(m.trees, (*Tree).primary); i > 0 { // descriptors may come in any order
		first := m.trees[i]
		m.trees = slices.Insert(slices.Delete(m.trees, i, i+1), 0, first)
	}
	if len(m.trees) == 0 || !m.trees[0].primary() {
		return fmt.Errorf("%w: no primary volume descriptor at block %d", ErrFormat, firstSet)
	}
	m.best = m.trees[0]
	for _, t := range m.trees {
		if t.bias == 0 && t.kind > m.best.kind {
			m.best = t
		}
	}
	return nil
}

// primary tells whether the tree is of the first set's primary descriptor.
func (t *Tree) primary() bool { return t.bias == 0 && (t.kind == Plain || t.kind == RockRidge) }

// twin is the tree of the first set that a descriptor describes again. pycdlib makes the second one's root shorter.
func (m *Image) twin(t *Tree) *Tree {
	for _, x := range m.trees {
		if x.bias == 0 && x.root.lba() == t.root.lba() {
			return x
		}
	}
	return nil
}
