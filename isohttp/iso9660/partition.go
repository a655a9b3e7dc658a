package iso9660

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
)

const sectorSize = 512

// disk is what the image's first sectors say to who takes it for a disk.
type disk struct {
	mbr    []byte // sector 0, nil: no boot signature
	gpt    []byte // sector 1, nil: no sound header
	array  Extent // of GPT's partition entries
	usable bool   // the GPT can be mended: its entries lie in the image and have the header's checksum
	whole  int    // offset of the entry for the image as a whole, from sector 0 on and ending last; -1: none
}

// readDisk reads MBR and GPT (UEFI 5.2, 5.3). What is not sound there is no error, and is left as it is: a CD needs neither.
func (m *Image) readDisk() error {
	b := make([]byte, 2*sectorSize)
	if err := m.read(b, 0); err != nil {
		return err
	}
	if b[510] == 0x55 && b[511] == 0xAA {
		m.disk.mbr = b[:sectorSize]
	}
	h := b[sectorSize:]
	le := binary.LittleEndian
	n := le.Uint32(h[12:])
	if string(h[:8]) != "EFI PART" || n < 92 || n > sectorSize || le.Uint32(h[16:]) != headerCRC(h) || le.Uint64(h[24:]) != 1 {
		return nil
	}
	m.disk.gpt = h
	at, count, size := le.Uint64(h[72:]), int64(le.Uint32(h[80:])), int64(le.Uint32(h[84:]))
	if at > uint64(m.size/sectorSize) || size < 128 || size > 4096 || count > 1024 || int64(at)*sectorSize+count*size > m.size {
		return nil
	}
	m.disk.array = Extent{int64(at) * sectorSize, count * size}
	array := make([]byte, m.disk.array.Len)
	if err := m.read(array, m.disk.array.Off); err != nil {
		return err
	}
	m.disk.usable = crc32.ChecksumIEEE(array) == le.Uint32(h[88:])
	m.disk.whole = wholeEntry(array, int(size))
	return nil
}

// wholeEntry is the offset of the partition entry that starts at sector 0 and ends last, -1: none.
func wholeEntry(array []byte, size int) int {
	le := binary.LittleEndian
	last, whole := uint64(0), -1
	for i := 0; i+size <= len(array); i += size {
		if end := le.Uint64(array[i+40:]); end > last && le.Uint64(array[i:]) != 0 {
			if last = end; le.Uint64(array[i+32:]) == 0 {
				whole = i
			} else {
				whole = -1
			}
		}
	}
	return whole
}

// headerCRC is the checksum of a GPT header, computed with its own field zero.
func headerCRC(h []byte) uint32 {
	h = slices.Clone(h[:binary.LittleEndian.Uint32(h[12:])])
	clear(h[16:20])
	return crc32.ChecksumIEEE(h)
}

// backupLen is the room that a backup GPT takes at the end of the image.
func (d *disk) backupLen() int64 {
	if !d.usable {
		return 0
	}
	return (d.array.Len+sectorSize-1)/sectorSize*sectorSize + sectorSize
}

// mendDisk makes MBR and GPT fit an image that has grown: the protective partition's size, a partition that holds the
// whole image, the primary header, and a backup of header and entries at the end of the tail (UEFI 5.3.2).
func (p *patch) mendDisk() error {
	d, total := &p.img.disk, p.end/sectorSize
	if d.mbr != nil {
		p.mendMBR(total)
	}
	if !d.usable {
		return nil
	}
	le := binary.LittleEndian
	arrayAt := total - d.backupLen()/sectorSize
	array, crc, err := p.mendArray(arrayAt)
	if err != nil {
		return err
	}
	h := bytes.Clone(d.gpt)
	le.PutUint64(h[32:], uint64(total-1))
	le.PutUint64(h[48:], uint64(arrayAt-1))
	le.PutUint32(h[88:], crc)
	le.PutUint32(h[16:], headerCRC(h))
	p.overlay(sectorSize, h[:92])
	backup := bytes.Clone(h)
	le.PutUint64(backup[24:], uint64(total-1))
	le.PutUint64(backup[32:], 1)
	le.PutUint64(backup[72:], uint64(arrayAt))
	le.PutUint32(backup[16:], headerCRC(backup))
	if array != nil {
		p.overlay(d.array.Off, array)
		p.append(arrayAt*sectorSize, part{data: array})
	} else {
		p.append(arrayAt*sectorSize, part{base: d.array})
	}
	p.append((total-1)*sectorSize, part{data: backup})
	return nil
}

// mendArray returns the partition entries when one of them, the image as a whole, grows, and their checksum.
func (p *patch) mendArray(arrayAt int64) ([]byte, uint32, error) {
	d := &p.img.disk
	le := binary.LittleEndian
	if d.whole < 0 {
		return nil, le.Uint32(d.gpt[88:]), nil
	}
	array := make([]byte, d.array.Len)
	if err := p.img.read(array, d.array.Off); err != nil {
		return nil, 0, err
	}
	le.PutUint64(array[d.whole+40:], uint64(arrayAt-1))
	return array, crc32.ChecksumIEEE(array), nil
}

// mendMBR sets the size of entries that end last and stand for the whole image: a protective one, or one that starts at
// sector 0, as isohybrid's does. A protective entry that ends before another is of a hybrid MBR, and stays. One of a single
// sector is a dummy for firmware that boots no disk without an active entry.
func (p *patch) mendMBR(total int64) {
	le := binary.LittleEndian
	end := func(at int) uint64 {
		e := p.img.disk.mbr[at:]
		if n := le.Uint32(e[12:]); n > 1 {
			return uint64(le.Uint32(e[8:])) + uint64(n)
		}
		return 0
	}
	last := uint64(1)
	for at := 446; at < 510; at += 16 {
		last = max(last, end(at))
	}
	for at := 446; at < 510; at += 16 {
		e := p.img.disk.mbr[at:]
		if start := le.Uint32(e[8:]); end(at) == last && (e[4] == 0xEE || start == 0) {
			p.overlay(int64(at)+12, le.AppendUint32(nil, clamp32(total-int64(start))))
		}
	}
}

func clamp32(n int64) uint32 { return uint32(min(n, 0xFFFFFFFF)) }
