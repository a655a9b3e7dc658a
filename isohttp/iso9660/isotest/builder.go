package isotest

import (
	"encoding/binary"
	"fmt"
	"slices"
)

type builder struct {
	Layout
	root   *node
	byPath map[string]*node
	files  []*node
	trees  []*tree
	chunks []chunk
	next   int64 // next free block
	bootLB int64 // block of the catalog
	espLB  int64
}

// lay gives everything its place, then writes it.
func (b *builder) lay() (*Disc, error) {
	b.trees = append(b.trees, &tree{b: b, kind: primary})
	if b.Joliet {
		b.trees = append(b.trees, &tree{b: b, kind: joliet})
	}
	if b.Enhanced {
		b.trees = append(b.trees, &tree{b: b, kind: enhanced})
	}
	b.next = 16 + int64(len(b.trees)) + 1
	if len(b.Boot) > 0 || b.ESP != nil {
		b.next++
	}
	for _, t := range b.trees {
		if err := t.place(); err != nil {
			return nil, err
		}
	}
	if len(b.Boot) > 0 || b.ESP != nil {
		if b.Catalog != "" {
			b.byPath[clean(b.Catalog)].lba = b.take(1)
			b.bootLB = b.byPath[clean(b.Catalog)].lba
		} else {
			b.bootLB = b.take(1)
		}
	}
	for _, n := range b.files {
		b.placeFile(n)
	}
	volume := b.next
	if b.ESP != nil {
		b.espLB = b.take(blocks(int64(len(b.ESP))))
		volume = b.next
		b.take(blocks(gptEntries*gptEntrySize + 512)) // backup GPT
	}
	return b.write(volume)
}

func (b *builder) take(n int64) int64 {
	lba := b.next
	b.next += n
	return lba
}

func (b *builder) placeFile(n *node) {
	switch {
	case n.lba != 0: // the catalog
	case n.file.Link != "":
		to := b.byPath[clean(n.file.Link)]
		n.lba, n.len = to.lba, to.len
	case n.len == 0:
		n.lba = 16 // as xorriso does, one block for all of them
	default:
		n.lba = b.take(blocks(n.len))
	}
}

func (b *builder) write(volume int64) (*Disc, error) {
	if err := b.writeCatalog(); err != nil {
		return nil, err
	}
	if err := b.writeDescriptors(volume); err != nil {
		return nil, err
	}
	for _, t := range b.trees {
		t.write()
	}
	for _, n := range b.files {
		if n.len > 0 && n.file.Link == "" && (b.Catalog == "" || n != b.byPath[clean(b.Catalog)]) {
			b.put(n.lba*block, n.len, n.file.Data, n.seed)
		}
	}
	size := b.next*block + b.Tail
	if b.ESP != nil {
		b.put(b.espLB*block, int64(len(b.ESP)), b.ESP, 0)
		b.writeGPT(size, volume)
	}
	slices.SortFunc(b.chunks, func(x, y chunk) int { return int(min(max(x.off-y.off, -1), 1)) })
	return &Disc{chunks: b.chunks, size: size}, nil
}

func (b *builder) put(off, n int64, data []byte, seed uint64) {
	b.chunks = append(b.chunks, chunk{off: off, len: n, data: data, seed: seed})
}

func (b *builder) putBytes(off int64, data []byte) { b.put(off, int64(len(data)), data, 0) }

// writeDescriptors writes the volume descriptors (ECMA-119 8).
func (b *builder) writeDescriptors(volume int64) error {
	lba := int64(16)
	for i, t := range b.trees {
		vd, err := t.descriptor(volume)
		if err != nil {
			return err
		}
		b.putBytes(lba*block, vd)
		lba++
		if i == 0 && b.bootLB != 0 {
			br := make([]byte, block)
			copy(br, "\x00CD001\x01EL TORITO SPECIFICATION")
			binary.LittleEndian.PutUint32(br[71:], uint32(b.bootLB))
			b.putBytes(lba*block, br)
			lba++
		}
	}
	end := make([]byte, block)
	copy(end, "\xffCD001\x01")
	b.putBytes(lba*block, end)
	return nil
}

// writeCatalog writes the boot catalog (El Torito 2): the validation and default entries, then a section for each other.
func (b *builder) writeCatalog() error {
	boots := slices.Clone(b.Boot)
	if b.ESP != nil {
		boots = append(boots, Boot{Platform: 0xEF})
	}
	if len(boots) == 0 {
		return nil
	}
	cat := make([]byte, block)
	cat[0], cat[1], cat[30], cat[31] = 1, boots[0].Platform, 0x55, 0xAA
	var sum uint16
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(cat[i:])
	}
	binary.LittleEndian.PutUint16(cat[28:], -sum)
	at := 32
	for i, boot := range boots {
		if i > 0 {
			cat[at], cat[at+1], cat[at+2] = 0x90, boot.Platform, 1
			if i == len(boots)-1 {
				cat[at] = 0x91
			}
			at += 32
		}
		if err := b.bootEntry(cat[at:at+32], boot); err != nil {
			return err
		}
		at += 32
	}
	b.putBytes(b.bootLB*block, cat)
	return nil
}

func (b *builder) bootEntry(e []byte, boot Boot) error {
	lba, n := b.espLB, int64(len(b.ESP))
	if boot.Path != "" {
		img := b.byPath[clean(boot.Path)]
		if img == nil || img.dir() {
			return fmt.Errorf("isotest: boot image %s is not in the layout", boot.Path)
		}
		lba, n = img.lba, img.len
		if boot.Table && img.file.Data != nil {
			img.file.Data = withBootTable(img.file.Data, lba)
		}
	}
	sectors := int64(boot.Sectors)
	if sectors == 0 {
		if sectors = (n + 511) / 512; sectors > 65535 {
			sectors = 0
		}
	}
	e[0] = 0x88
	binary.LittleEndian.PutUint16(e[6:], uint16(sectors))
	binary.LittleEndian.PutUint32(e[8:], uint32(lba))
	return nil
}

// withBootTable returns the boot image with isolinux' boot-info-table at byte 8.
func withBootTable(image []byte, lba int64) []byte {
	p := slices.Clone(image)
	p = append(p, make([]byte, max(0, 64-len(p)))...)
	var sum uint32
	for i := 64; i < len(p); i += 4 {
		var w [4]byte
		copy(w[:], p[i:])
		sum += binary.LittleEndian.Uint32(w[:])
	}
	clear(p[8:64])
	binary.LittleEndian.PutUint32(p[8:], 16)
	binary.LittleEndian.PutUint32(p[12:], uint32(lba))
	binary.LittleEndian.PutUint32(p[16:], uint32(len(p)))
	binary.LittleEndian.PutUint32(p[20:], sum)
	return p
}
