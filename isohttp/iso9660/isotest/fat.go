package isotest

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
)

// A FAT describes a FAT file system image, such as the one that UEFI boots from.
type FAT struct {
	Bits    int    // 12, 16 or 32; the size must give a fitting number of clusters
	Size    int64  // bytes; 0: as small as the files allow, with Free clusters left
	Free    int    // clusters left free when Size is 0
	Cluster int    // sectors per cluster; default 4
	FATs    int    // copies of the table; default 2
	Label   string // default "ANACONDA"
	Files   []File // only those with Data
}

const sector = 512

// fatWriter writes one FAT image.
type fatWriter struct {
	FAT
	img          []byte
	reserved     int
	tableSectors int
	rootSectors  int
	clusters     int
	nextFree     int
	root         *node
}

// Build returns the image.
func (f FAT) Build() ([]byte, error) {
	w := &fatWriter{FAT: f, nextFree: 2, root: &node{}}
	if w.Cluster == 0 {
		w.Cluster = 4
	}
	if w.FATs == 0 {
		w.FATs = 2
	}
	if w.Label == "" {
		w.Label = "ANACONDA"
	}
	if err := w.add(); err != nil {
		return nil, err
	}
	if err := w.geometry(); err != nil {
		return nil, err
	}
	w.writeBoot()
	if err := w.writeTree(); err != nil {
		return nil, err
	}
	return w.img, nil
}

func (w *fatWriter) add() error {
	b := &builder{root: w.root, byPath: map[string]*node{".": w.root}}
	for i := range w.Files {
		if w.Files[i].Data == nil {
			return fmt.Errorf("isotest: %s: a FAT image takes files with data only", w.Files[i].Path)
		}
		if err := b.add(&w.Files[i], 0); err != nil {
			return err
		}
	}
	return nil
}

// need is the number of clusters that the directory and all in it take.
func (w *fatWriter) need(n *node) int {
	if !n.dir() && n.len == 0 {
		return 0
	}
	if !n.dir() {
		return int(blocksOf(n.len, int64(w.Cluster*sector)))
	}
	total := 0
	if n != w.root || w.Bits == 32 {
		total = int(blocksOf(int64(32*w.entries(n)), int64(w.Cluster*sector)))
	}
	for _, c := range n.children {
		total += w.need(c)
	}
	return total
}

func blocksOf(n, unit int64) int64 { return max(1, (n+unit-1)/unit) }

// entries is the number of 32-byte entries of a directory.
func (w *fatWriter) entries(n *node) int {
	count := 2 // "." and "..", or label and end
	for _, c := range n.children {
		count += 1 + (len(c.name)+12)/13
	}
	return count + 1
}

func (w *fatWriter) geometry() error {
	w.reserved, w.rootSectors = 1, 32
	if w.Bits == 32 {
		w.reserved, w.rootSectors = 32, 0
	}
	if w.Size == 0 {
		w.clusters = w.need(w.root) + w.Free
		w.tableSectors = int(blocksOf(int64((w.clusters+2)*w.Bits+7)/8, sector))
		total := w.reserved + w.FATs*w.tableSectors + w.rootSectors + w.clusters*w.Cluster
		w.Size = int64(total) * sector
	} else {
		total := int(w.Size / sector)
		w.tableSectors = int(blocksOf((int64(total/w.Cluster+2)*int64(w.Bits)+7)/8, sector))
		w.clusters = (total - w.reserved - w.FATs*w.tableSectors - w.rootSectors) / w.Cluster
	}
	low, high := 1, 4084
	switch w.Bits {
	case 16:
		low, high = 4085, 65524
	case 32:
		low, high = 65525, 0x0FFFFFF0
	case 12:
	default:
		return fmt.Errorf("isotest: no FAT of %d bits", w.Bits)
	}
	if w.clusters < low || w.clusters > high {
		return fmt.Errorf("isotest: %d clusters do not make a FAT%d", w.clusters, w.Bits)
	}
	if w.need(w.root) > w.clusters {
		return fmt.Errorf("isotest: files need %d clusters, the FAT has %d", w.need(w.root), w.clusters)
	}
	w.img = make([]byte, w.Size)
	return nil
}

// writeBoot writes the boot sector with its BPB, FAT32's FSInfo and backup, and the first two entries of each FAT.
func (w *fatWriter) writeBoot() {
	b := w.img[:sector]
	copy(b, "\xEB\x3C\x90mkfs.fat")
	le := binary.LittleEndian
	le.PutUint16(b[11:], sector)
	b[13] = byte(w.Cluster)
	le.PutUint16(b[14:], uint16(w.reserved))
	b[16] = byte(w.FATs)
	le.PutUint16(b[17:], uint16(w.rootSectors*sector/32))
	total := w.Size / sector
	if total < 0x10000 && w.Bits != 32 {
		le.PutUint16(b[19:], uint16(total))
	} else {
		le.PutUint32(b[32:], uint32(total))
	}
	b[21] = 0xF8
	le.PutUint16(b[24:], 32)
	le.PutUint16(b[26:], 64)
	ext := b[36:]
	if w.Bits == 32 {
		le.PutUint32(b[36:], uint32(w.tableSectors))
		le.PutUint32(b[44:], 2)
		le.PutUint16(b[48:], 1)
		le.PutUint16(b[50:], 6)
		ext = b[64:]
	} else {
		le.PutUint16(b[22:], uint16(w.tableSectors))
	}
	ext[0], ext[2] = 0x80, 0x29
	copy(ext[3:], "\x17\x29\x31\x4A")
	copy(ext[7:], fmt.Sprintf("%-11.11sFAT%d   ", w.Label, w.Bits))
	b[510], b[511] = 0x55, 0xAA
	w.set(0, 0x0FFFFFF8)
	w.set(1, 0x0FFFFFFF)
}

// set writes a FAT entry, masked to the FAT's width, in every copy.
func (w *fatWriter) set(c int, v uint32) {
	for i := range w.FATs {
		t := w.img[(w.reserved+i*w.tableSectors)*sector:]
		switch w.Bits {
		case 12:
			at := c + c/2
			old := binary.LittleEndian.Uint16(t[at:])
			if c%2 == 0 {
				old = old&0xF000 | uint16(v&0xFFF)
			} else {
				old = old&0x000F | uint16(v&0xFFF)<<4
			}
			binary.LittleEndian.PutUint16(t[at:], old)
		case 16:
			binary.LittleEndian.PutUint16(t[2*c:], uint16(v))
		case 32:
			binary.LittleEndian.PutUint32(t[4*c:], v&0x0FFFFFFF)
		}
	}
}

// alloc takes a chain of n clusters.
func (w *fatWriter) alloc(n int) []int {
	chain := make([]int, n)
	for i := range chain {
		chain[i] = w.nextFree
		w.nextFree++
	}
	for i, c := range chain {
		if i < n-1 {
			w.set(c, uint32(chain[i+1]))
		} else {
			w.set(c, 0x0FFFFFFF)
		}
	}
	return chain
}

// store writes data into the chain.
func (w *fatWriter) store(chain []int, data []byte) {
	first := (w.reserved + w.FATs*w.tableSectors + w.rootSectors) * sector
	for _, c := range chain {
		data = data[copy(w.img[first+(c-2)*w.Cluster*sector:][:w.Cluster*sector], data):]
	}
}

func (w *fatWriter) writeTree() error {
	if w.Bits != 32 {
		data, err := w.directory(w.root, 0, 0)
		if err != nil {
			return err
		}
		if len(data) > w.rootSectors*sector {
			return fmt.Errorf("isotest: too many files in the FAT's root")
		}
		copy(w.img[(w.reserved+w.FATs*w.tableSectors)*sector:], data)
		return nil
	}
	chain := w.alloc(int(blocksOf(int64(32*w.entries(w.root)), int64(w.Cluster*sector))))
	data, err := w.directory(w.root, 0, 0)
	if err != nil {
		return err
	}
	w.store(chain, data)
	info := w.img[sector:]
	copy(info, "RRaA")
	copy(info[484:], "rrAa")
	binary.LittleEndian.PutUint32(info[488:], uint32(w.clusters-(w.nextFree-2)))
	binary.LittleEndian.PutUint32(info[492:], uint32(w.nextFree))
	info[510], info[511] = 0x55, 0xAA
	copy(w.img[6*sector:8*sector], w.img[:2*sector])
	return nil
}

// directory allocates and writes what is in the directory, and returns the directory's own content.
func (w *fatWriter) directory(n *node, self, parent int) ([]byte, error) {
	var out []byte
	if n == w.root {
		out = append(out, shortEntry(fmt.Sprintf("%-11.11s", w.Label), 0x08, 0, 0)...)
	} else {
		out = append(out, shortEntry(".          ", 0x10, self, 0)...)
		out = append(out, shortEntry("..         ", 0x10, parent, 0)...)
	}
	used := map[string]bool{}
	for _, c := range n.children {
		var chain []int
		attr, size := byte(0x20), c.len
		if c.dir() {
			attr, size = 0x10, 0
			chain = w.alloc(int(blocksOf(int64(32*w.entries(c)), int64(w.Cluster*sector))))
			data, err := w.directory(c, chain[0], self)
			if err != nil {
				return nil, err
			}
			w.store(chain, data)
		} else if c.len > 0 {
			chain = w.alloc(int(blocksOf(c.len, int64(w.Cluster*sector))))
			w.store(chain, c.file.Data)
		}
		first := 0
		if len(chain) > 0 {
			first = chain[0]
		}
		short, long := shortName(c.name, used)
		if long {
			out = append(out, longEntries(c.name, short)...)
		}
		out = append(out, shortEntry(short, attr, first, size)...)
	}
	return out, nil
}

func shortEntry(name string, attr byte, cluster int, size int64) []byte {
	e := make([]byte, 32)
	copy(e, name)
	e[11] = attr
	le := binary.LittleEndian
	for _, at := range []int{16, 18, 24} {
		le.PutUint16(e[at:], 45<<9|5<<5|1) // 2025-05-01
	}
	le.PutUint16(e[20:], uint16(cluster>>16))
	le.PutUint16(e[26:], uint16(cluster))
	le.PutUint32(e[28:], uint32(size))
	return e
}

// shortName returns the 8.3 name as 11 characters, and whether the name needs long entries.
func shortName(name string, used map[string]bool) (string, bool) {
	upper := strings.ToUpper(name)
	ext := path.Ext(upper)
	base := strings.TrimSuffix(upper, ext)
	ext = strings.TrimPrefix(ext, ".")
	long := upper != name || len(base) > 8 || len(ext) > 3 || strings.ContainsAny(base, ". +,;=[]")
	short := fmt.Sprintf("%-8.8s%-3.3s", strings.NewReplacer(".", "_", " ", "_").Replace(base), ext)
	for i := 1; used[short] || len(base) > 8 && i == 1; i++ {
		tail := fmt.Sprintf("~%d", i)
		short = fmt.Sprintf("%-8.8s%-3.3s", base[:min(len(base), 8-len(tail))]+tail, ext)
	}
	used[short] = true
	return short, long
}

// longEntries returns the VFAT entries of a name, last part first.
func longEntries(name, short string) []byte {
	var sum byte
	for i := range 11 {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	units := ucs2(name) // big-endian; swapped below
	count := (len(units)/2 + 12) / 13
	var out []byte
	for i := count; i >= 1; i-- {
		e := make([]byte, 32)
		e[0], e[11], e[13] = byte(i), 0x0F, sum
		if i == count {
			e[0] |= 0x40
		}
		for j, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			u := uint16(0xFFFF)
			switch k := (i-1)*13 + j; {
			case k < len(units)/2:
				u = binary.BigEndian.Uint16(units[2*k:])
			case k == len(units)/2:
				u = 0
			}
			binary.LittleEndian.PutUint16(e[at:], u)
		}
		out = append(out, e...)
	}
	return out
}
