package iso9660

import (
	"encoding/binary"
	"fmt"
	"time"
)

// record is a directory record, from its length byte to its end (ECMA-119 9.1).
type record []byte

// Flags of a record (ECMA-119 9.1.6).
const (
	flagDir         = 0x02
	flagAssociated  = 0x04
	flagMultiExtent = 0x80
)

func (r record) xar() byte      { return r[1] }
func (r record) lba() uint32    { return binary.LittleEndian.Uint32(r[2:]) }
func (r record) length() uint32 { return binary.LittleEndian.Uint32(r[10:]) }
func (r record) flags() byte    { return r[25] }
func (r record) isDir() bool    { return r[25]&flagDir != 0 }
func (r record) id() []byte     { return r[33 : 33+int(r[32])] }
func (r record) isSelf() bool   { return r[32] == 1 && r[33] == 0 }
func (r record) isParent() bool { return r[32] == 1 && r[33] == 1 }

// interleaved tells whether the file's blocks do not follow each other (ECMA-119 6.4.3).
func (r record) interleaved() bool { return r[26] != 0 || r[27] != 0 }

// use is the system use area.
func (r record) use() []byte { return r[min(r.useAt(), len(r)):] }

func (r record) useAt() int {
	n := 33 + int(r[32])
	return n + n%2
}

func (r record) date() time.Time {
	if r[19] == 0 {
		return time.Time{}
	}
	zone := time.FixedZone("", int(int8(r[24]))*15*60)
	return time.Date(1900+int(r[18]), time.Month(r[19]), int(r[20]), int(r[21]), int(r[22]), int(r[23]), 0, zone).UTC()
}

// setExtent writes block and length, in both byte orders.
func (r record) setExtent(lba, length uint32) {
	putBoth32(r[2:], lba)
	putBoth32(r[10:], length)
}

func putBoth32(p []byte, v uint32) {
	binary.LittleEndian.PutUint32(p, v)
	binary.BigEndian.PutUint32(p[4:], v)
}

// eachRecord calls fn for the records of a directory's bytes, with their offset. A record ends in the block in which it
// begins; zeros fill the rest of a block (ECMA-119 6.8.1.1).
func eachRecord(data []byte, fn func(off int, r record) error) error {
	for off := 0; off < len(data); {
		n := int(data[off])
		if n == 0 {
			off = (off/blockSize + 1) * blockSize
			continue
		}
		left := min(blockSize-off%blockSize, len(data)-off)
		if n < 34 || n > left || 33+int(data[off+32]) > n || data[off+32] == 0 {
			return fmt.Errorf("%w: directory record at byte %d has length %d, identifier of %d, with %d bytes left in its block",
				ErrFormat, off, n, data[min(off+32, len(data)-1)], left)
		}
		if err := fn(off, record(data[off:off+n:off+n])); err != nil {
			return err
		}
		off += n
	}
	return nil
}
