package isotest

import (
	"encoding/binary"
	"fmt"
	"io"
	"sort"
)

// A Disc is a laid out image: its structure in memory, its payload generated where it is read. It is immutable and safe for
// concurrent use, so that images far beyond memory can be read.
type Disc struct {
	chunks []chunk // in order, without overlap; gaps are zero
	size   int64
}

type chunk struct {
	off, len int64
	data     []byte // nil: generated from seed
	seed     uint64
}

var _ io.ReaderAt = (*Disc)(nil)

// Size is the image's length in bytes.
func (d *Disc) Size() int64 { return d.size }

// Bytes returns the whole image.
func (d *Disc) Bytes() []byte {
	b := make([]byte, d.size)
	d.read(b, 0)
	return b
}

// ReadAt implements io.ReaderAt.
func (d *Disc) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("isotest: reading at negative offset %d", off)
	}
	if off >= d.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), d.size-off)
	clear(p[:n])
	d.read(p[:n], off)
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// read fills p, which is zero, from off.
func (d *Disc) read(p []byte, off int64) {
	end := off + int64(len(p))
	i := sort.Search(len(d.chunks), func(i int) bool { return d.chunks[i].off+d.chunks[i].len > off })
	for ; i < len(d.chunks) && d.chunks[i].off < end; i++ {
		c := d.chunks[i]
		from, to := max(off, c.off), min(end, c.off+c.len)
		c.fill(p[from-off:to-off], from-c.off)
	}
}

func (c chunk) fill(p []byte, off int64) {
	if c.data != nil {
		copy(p, c.data[off:])
		return
	}
	Payload(c.seed, p, off)
}

// Payload fills p with the generated content of a file at offset off: each aligned 8 bytes tell the seed and where they are.
func Payload(seed uint64, p []byte, off int64) {
	var word [8]byte
	for len(p) > 0 {
		at := off &^ 7
		binary.LittleEndian.PutUint64(word[:], (seed+uint64(at))*0x9E3779B97F4A7C15)
		n := copy(p, word[off-at:])
		p, off = p[n:], off+int64(n)
	}
}
