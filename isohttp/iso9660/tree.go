package iso9660

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// A Kind is a kind of tree. The greater is the better one to read.
type Kind int

const (
	Plain     Kind = iota // ISO 9660 names only
	Enhanced              // ISO 9660:1999
	Joliet                // Joliet
	RockRidge             // ISO 9660 with Rock Ridge
)

func (k Kind) String() string {
	return [...]string{"ISO 9660", "ISO 9660:1999", "Joliet", "Rock Ridge"}[k]
}

// A Tree is one directory tree of an image. It is an fs.FS; see Image.FS.
type Tree struct {
	img      *Image
	kind     Kind
	bias     int64   // to add to block numbers: 16 in the second set
	vds      []int64 // offsets of the descriptors that describe it
	root     record  // as in the descriptor
	skip     int     // SUSP: bytes to skip in each system use area
	susp     bool
	volumeID string
	space    uint32 // volume space size

	tableLen int64     // bytes of a path table
	tables   [4]uint32 // blocks of L, optional L, M, optional M; 0: none

	mu      sync.Mutex
	parents map[uint32]uint32 // see onlyParent
	index   dirIndex
	last    *region
}

// Kind tells what names the tree has.
func (t *Tree) Kind() Kind { return t.kind }

// VolumeID is the volume identifier of the tree's descriptor. Joliet's is cut to 16 characters.
func (t *Tree) VolumeID() string { return t.volumeID }

// Second tells whether the tree belongs to the descriptor set at block 32, which is seen only by who mounts the first
// partition of the image as a disk.
func (t *Tree) Second() bool { return t.bias != 0 }

func (m *Image) newTree(d descriptor, kind Kind) (*Tree, error) {
	le, be := binary.LittleEndian, binary.BigEndian
	t := &Tree{
		img: m, kind: kind, vds: []int64{d.off}, volumeID: d.volumeID(),
		space:    le.Uint32(d.b[80:]),
		tableLen: int64(le.Uint32(d.b[132:])),
		tables:   [4]uint32{le.Uint32(d.b[140:]), le.Uint32(d.b[144:]), be.Uint32(d.b[148:]), be.Uint32(d.b[152:])},
	}
	if n := le.Uint16(d.b[128:]); n != blockSize {
		return nil, fmt.Errorf("%w: logical blocks of %d bytes", ErrUnsupported, n)
	}
	t.root = record(slices.Clone(d.b[156:190]))
	if t.root[0] != 34 || !t.root.isDir() || t.root[32] != 1 {
		return nil, fmt.Errorf("%w: no root directory record", ErrFormat)
	}
	if d.set == 0 && int64(t.space) > blocks(m.size) {
		return nil, fmt.Errorf("%w: the volume has %d blocks, the image only %d: it is cut short", ErrFormat, t.space, blocks(m.size))
	}
	if t.tableLen > min(maxDirLen, m.size) {
		return nil, fmt.Errorf("%w: path tables of %d bytes", ErrFormat, t.tableLen)
	}
	return t, nil
}

// readRoot checks root's "." record and looks there for SUSP (SUSP 5.3), which CD-XA moves by 14 bytes.
func (t *Tree) readRoot() error {
	r, err := t.firstRecord(t.root.lba())
	if err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	if t.kind != Plain {
		return nil
	}
	use := r.use()
	for _, at := range []int{0, 14} {
		if at+7 <= len(use) && string(use[at:at+2]) == "SP" && use[at+4] == 0xBE && use[at+5] == 0xEF {
			t.susp, t.kind, t.skip = true, RockRidge, int(use[at+6])
		}
	}
	return nil
}

// firstRecord returns the "." record of the directory at a block.
func (t *Tree) firstRecord(lba uint32) (record, error) {
	var b [256]byte
	if err := t.img.read(b[:], t.offset(lba)); err != nil {
		return nil, err
	}
	n := int(b[0])
	if n < 34 || n > 255 || b[32] != 1 || b[33] != 0 {
		return nil, fmt.Errorf("%w: no directory at block %d", ErrFormat, lba)
	}
	r := record(b[:n])
	if r.lba() != lba {
		return nil, fmt.Errorf("%w: the directory at block %d says that it is at block %d", ErrFormat, lba, r.lba())
	}
	return r, nil
}

// offset is where a block of the tree begins in the image.
func (t *Tree) offset(lba uint32) int64 { return (int64(lba) + t.bias) * blockSize }

// blocks is the number of blocks that n bytes take.
func blocks(n int64) int64 { return (n + blockSize - 1) / blockSize }
