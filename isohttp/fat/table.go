package fat

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// table reads FAT entries through a window, from any reader of the image.
type table struct {
	f      *FS
	r      io.ReaderAt
	at     int64 // offset of window in the image; 0: empty
	window [512]byte
	filled int
}

// entryOffset is where the entry of cluster c begins in copy i of the FAT. FAT12's entries begin in the middle of a byte
// when c is odd.
func (f *FS) entryOffset(c uint32, i int) int64 {
	return f.table + int64(i)*f.tableLen + int64(c)*int64(f.bits)/8
}

// get returns the entry of cluster c, which must be valid.
func (t *table) get(c uint32) (uint32, error) {
	off := t.f.entryOffset(c, t.f.active)
	n := int64(2)
	if t.f.bits == 32 {
		n = 4
	}
	if t.at == 0 || off < t.at || off+n > t.at+int64(t.filled) {
		want := min(int64(len(t.window)), t.f.size-off)
		if err := readFull(t.r, t.window[:want], off); err != nil {
			return 0, err
		}
		t.at, t.filled = off, int(want)
	}
	p := t.window[off-t.at:]
	switch v := uint32(binary.LittleEndian.Uint16(p)); t.f.bits {
	case 12:
		if c%2 == 1 {
			return v >> 4, nil
		}
		return v & 0xFFF, nil
	case 16:
		return v, nil
	}
	return binary.LittleEndian.Uint32(p) & 0x0FFFFFFF, nil
}

// last tells whether an entry ends a chain.
func (f *FS) last(v uint32) bool { return v >= 0x0FFFFFF8&(1<<f.bits-1) }

func (f *FS) valid(c uint32) bool { return c >= 2 && c-2 < f.clusters }

func (f *FS) clusterOffset(c uint32) int64 { return f.data + int64(c-2)*f.cluster }

// chain follows the chain of first for at most limit clusters and returns its ranges, those that adjoin as one, and
// the last cluster. A chain that is longer is an error when whole is set; one that comes to a cluster twice always is.
func (f *FS) chain(r io.ReaderAt, first uint32, limit int64, whole bool) ([]Extent, uint32, error) {
	if limit <= 0 {
		return nil, 0, nil
	}
	if limit > int64(f.clusters) {
		return nil, 0, fmt.Errorf("%w: chain from cluster %d for %d clusters, there are %d", ErrFormat, first, limit, f.clusters)
	}
	ext, last, ended, err := f.follow(table{f: f, r: r}, first, limit)
	if err == nil && (whole && !ended || overlap(ext)) {
		err = fmt.Errorf("%w: chain from cluster %d is longer than %d clusters, or loops", ErrFormat, first, limit)
	}
	if err != nil {
		return nil, 0, err
	}
	return ext, last, nil
}

// follow goes along a chain to its end, or for limit clusters.
func (f *FS) follow(t table, first uint32, limit int64) (ext []Extent, c uint32, ended bool, err error) {
	c = first
	for n := int64(1); ; n++ {
		if !f.valid(c) {
			return nil, 0, false, fmt.Errorf("%w: chain from cluster %d reaches %d of %d", ErrFormat, first, c, f.clusters)
		}
		off := f.clusterOffset(c)
		if k := len(ext); k > 0 && ext[k-1].Off+ext[k-1].Len == off {
			ext[k-1].Len += f.cluster
		} else {
			ext = append(ext, Extent{off, f.cluster})
		}
		next, err := t.get(c)
		if err != nil {
			return nil, 0, false, err
		}
		if f.last(next) || n >= limit {
			return ext, c, f.last(next), nil
		}
		c = next
	}
}

// overlap tells whether two of the ranges share a byte.
func overlap(ext []Extent) bool {
	s := slices.SortedFunc(slices.Values(ext), func(a, b Extent) int { return cmp.Compare(a.Off, b.Off) })
	for i := 1; i < len(s); i++ {
		if s[i-1].Off+s[i-1].Len > s[i].Off {
			return true
		}
	}
	return false
}

// cut shortens the ranges to n bytes in all, and tells whether there were so many.
func cut(ext []Extent, n int64) ([]Extent, bool) {
	for i := range ext {
		if ext[i].Len >= n {
			ext[i].Len = n
			return ext[:i+1], true
		}
		n -= ext[i].Len
	}
	return ext, n == 0
}
