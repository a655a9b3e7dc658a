package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrFormat says that the bytes are not a FAT file system, or a damaged one.
var ErrFormat = errors.New("not a valid FAT file system")

// An Extent is a range of bytes of the image.
type Extent struct{ Off, Len int64 }

// FS is a FAT file system. It is safe for concurrent use.
type FS struct {
	r            io.ReaderAt
	bits         int
	sector       int64 // bytes
	cluster      int64 // bytes
	size         int64 // bytes, of the whole file system
	table        int64 // offset of the first FAT
	tableLen     int64 // bytes of one FAT
	tables       int   // copies
	active       int   // the one to read
	root         Extent
	rootCluster  uint32 // FAT32
	data         int64  // offset of cluster 2
	clusters     uint32 // valid numbers are 2 … clusters+1
	fsInfo       int64  // offset of FAT32's FSInfo sector, 0: none
	mu           sync.Mutex
	dirs         map[dirKey][]entry // what was looked at, bounded by cacheEntries
	cachedNumber int
}

// Open reads the boot sector of the file system at the start of r, which may be longer than the file system but not
// beyond size.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	b := make([]byte, 512)
	if size < int64(len(b)) {
		return nil, fmt.Errorf("%w: %d bytes hold no boot sector", ErrFormat, size)
	}
	if err := readFull(r, b, 0); err != nil {
		return nil, fmt.Errorf("reading boot sector: %w", err)
	}
	if b[510] != 0x55 || b[511] != 0xAA || b[0] != 0xEB && b[0] != 0xE9 {
		return nil, fmt.Errorf("%w: no boot sector", ErrFormat)
	}
	f := &FS{r: r, dirs: map[dirKey][]entry{}}
	if err := f.parseBPB(b, size); err != nil {
		return nil, err
	}
	return f, nil
}

// parseBPB reads the BIOS parameter block. The FAT's width follows from the number of clusters alone.
func (f *FS) parseBPB(b []byte, size int64) error {
	le := binary.LittleEndian
	f.sector = int64(le.Uint16(b[11:]))
	perCluster := int64(b[13])
	reserved, rootEntries := int64(le.Uint16(b[14:])), int64(le.Uint16(b[17:]))
	f.tables = int(b[16])
	total, fatSectors := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	wide := fatSectors == 0
	if wide {
		fatSectors = int64(le.Uint32(b[36:]))
	}
	switch {
	case f.sector < 512 || f.sector > 4096 || f.sector&(f.sector-1) != 0:
		return fmt.Errorf("%w: %d bytes per sector", ErrFormat, f.sector)
	case perCluster == 0 || perCluster&(perCluster-1) != 0:
		return fmt.Errorf("%w: %d sectors per cluster", ErrFormat, perCluster)
	case reserved == 0 || f.tables == 0 || fatSectors == 0:
		return fmt.Errorf("%w: %d reserved sectors, %d tables of %d sectors", ErrFormat, reserved, f.tables, fatSectors)
	}
	rootSectors := (rootEntries*32 + f.sector - 1) / f.sector
	before := reserved + int64(f.tables)*fatSectors + rootSectors
	f.cluster, f.size = perCluster*f.sector, total*f.sector
	f.table, f.tableLen = reserved*f.sector, fatSectors*f.sector
	f.root = Extent{(reserved + int64(f.tables)*fatSectors) * f.sector, rootEntries * 32}
	f.data = before * f.sector
	if before >= total || f.size > size {
		return fmt.Errorf("%w: %d sectors, data from sector %d, in an image of %d bytes", ErrFormat, total, before, size)
	}
	f.clusters = uint32((total - before) / perCluster)
	switch {
	case f.clusters < 4085:
		f.bits = 12
	case f.clusters < 65525:
		f.bits = 16
	default:
		f.bits = 32
	}
	return f.checkTable(b, wide)
}

func (f *FS) checkTable(b []byte, wide bool) error {
	le := binary.LittleEndian
	if wide != (f.bits == 32) || f.clusters > 0x0FFFFFF5 || f.clusters == 0 {
		return fmt.Errorf("%w: %d clusters do not fit its kind of boot sector", ErrFormat, f.clusters)
	}
	if need := (int64(f.clusters+2)*int64(f.bits) + 7) / 8; f.tableLen < need {
		return fmt.Errorf("%w: tables of %d bytes for %d clusters", ErrFormat, f.tableLen, f.clusters)
	}
	if f.bits != 32 {
		return nil
	}
	f.rootCluster = le.Uint32(b[44:]) & 0x0FFFFFFF
	if flags := le.Uint16(b[40:]); flags&0x80 != 0 && int(flags&15) < f.tables {
		f.active = int(flags & 15) // mirroring is off
	}
	if info := int64(le.Uint16(b[48:])); info > 0 && info < 0xFFFF && (info+1)*f.sector <= f.table {
		f.fsInfo = info * f.sector
	}
	return nil
}

// Size is the length of the file system in bytes, as its boot sector has it.
func (f *FS) Size() int64 { return f.size }

// Bits is the width of a FAT entry: 12, 16 or 32.
func (f *FS) Bits() int { return f.bits }

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}
