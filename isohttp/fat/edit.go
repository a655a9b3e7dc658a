package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
)

// maxMenu is the length up to which a file is taken for a boot menu.
const maxMenu = 1 << 20

// A Patch is a range of the image with its new content.
type Patch struct {
	Off  int64
	Data []byte
}

// An Edit plans changes of one image; each sees those before it. It is not safe for concurrent use.
type Edit struct {
	f       *FS
	patches []Patch
}

// Edit begins a plan.
func (f *FS) Edit() *Edit { return &Edit{f: f} }

// Patches returns what was planned, in order: where two overlap, the later one holds.
func (e *Edit) Patches() []Patch { return e.patches }

// ReadAt reads the image as planned.
func (e *Edit) ReadAt(p []byte, off int64) (int, error) {
	n, err := e.f.r.ReadAt(p, off)
	for _, w := range e.patches {
		from, to := max(off, w.Off), min(off+int64(n), w.Off+int64(len(w.Data)))
		if from < to {
			copy(p[from-off:to-off], w.Data[from-w.Off:])
		}
	}
	return n, err
}

func (e *Edit) write(off int64, data []byte) { e.patches = append(e.patches, Patch{off, data}) }

// Replace gives an existing file, a boot menu, other content, by the first of these that fits: bytes of the same length,
// data padded with newlines, so that nothing but the content changes; the slack of the file's last cluster; free
// clusters. It does not keep data.
func (e *Edit) Replace(name string, data []byte) error {
	if err := e.replace(name, data); err != nil {
		return &fs.PathError{Op: "replace", Path: name, Err: err}
	}
	return nil
}

func (e *Edit) replace(name string, data []byte) error {
	x, _, err := e.f.find(clean(name))
	if err != nil {
		return err
	}
	if x.dir() {
		return errIsDir
	}
	var raw [32]byte
	if err := readFull(e, raw[:], x.off); err != nil {
		return err
	}
	le := binary.LittleEndian
	size := int64(le.Uint32(raw[28:]))
	first := uint32(le.Uint16(raw[26:]))
	if e.f.bits == 32 {
		first |= uint32(le.Uint16(raw[20:])&0x0FFF) << 16
	}
	if size > maxMenu {
		return fmt.Errorf("it has %d bytes: no boot menu", size)
	}
	if int64(len(data)) <= size {
		data = append(bytes.Clone(data), bytes.Repeat([]byte("\n"), int(size)-len(data))...)
	}
	if len(data) > maxMenu {
		return fmt.Errorf("%d bytes are too many for a boot menu", len(data))
	}
	ext, err := e.room(x.off, first, int64(len(data)))
	if err != nil {
		return err
	}
	if int64(len(data)) != size {
		e.write(x.off+28, le.AppendUint32(nil, uint32(len(data))))
		data = bytes.Clone(data)
	}
	for _, r := range ext {
		n := min(r.Len, int64(len(data)))
		if n > 0 {
			e.write(r.Off, data[:n])
		}
		data = data[n:]
	}
	return nil
}

// room returns ranges for n bytes of the file whose chain begins at first, lengthened with free clusters if need be.
func (e *Edit) room(entryOff int64, first uint32, n int64) ([]Extent, error) {
	need := (n + e.f.cluster - 1) / e.f.cluster
	var ext []Extent
	var last uint32
	if first != 0 {
		var err error
		if ext, last, err = e.f.chain(e, first, min(max(need, 1), int64(e.f.clusters)), false); err != nil {
			return nil, err
		}
	}
	have := int64(0)
	for _, x := range ext {
		have += x.Len / e.f.cluster
	}
	if have >= need {
		return ext, nil
	}
	free, err := e.free(need - have)
	if err != nil {
		return nil, err
	}
	if first == 0 {
		e.write(entryOff+26, binary.LittleEndian.AppendUint16(nil, uint16(free[0])))
		if e.f.bits == 32 {
			e.write(entryOff+20, binary.LittleEndian.AppendUint16(nil, uint16(free[0]>>16)))
		}
	}
	for _, c := range free {
		if last != 0 {
			if err := e.set(last, c); err != nil {
				return nil, err
			}
		}
		last = c
		ext = append(ext, Extent{e.f.clusterOffset(c), e.f.cluster})
	}
	if err := e.set(last, 0x0FFFFFFF); err != nil {
		return nil, err
	}
	return ext, e.countFree(-int64(len(free)))
}

// free finds n free clusters.
func (e *Edit) free(n int64) ([]uint32, error) {
	t := table{f: e.f, r: e}
	var found []uint32
	for c := uint32(2); e.f.valid(c) && int64(len(found)) < n; c++ {
		v, err := t.get(c)
		if err != nil {
			return nil, err
		}
		if v == 0 {
			found = append(found, c)
		}
	}
	if int64(len(found)) < n {
		return nil, fmt.Errorf("%d clusters of %d bytes more are needed and %d are free", n, e.f.cluster, len(found))
	}
	return found, nil
}

// set writes the entry of cluster c in every copy of the FAT.
func (e *Edit) set(c, v uint32) error {
	le := binary.LittleEndian
	for i := range e.f.tables {
		off := e.f.entryOffset(c, i)
		n := 2
		if e.f.bits == 32 {
			n = 4
		}
		p := make([]byte, n)
		if err := readFull(e, p, off); err != nil {
			return err
		}
		switch old := le.Uint16(p); {
		case e.f.bits == 32:
			le.PutUint32(p, le.Uint32(p)&0xF0000000|v&0x0FFFFFFF)
		case e.f.bits == 16:
			le.PutUint16(p, uint16(v))
		case c%2 == 1:
			le.PutUint16(p, old&0x000F|uint16(v&0xFFF)<<4)
		default:
			le.PutUint16(p, old&0xF000|uint16(v&0xFFF))
		}
		e.write(off, p)
	}
	return nil
}

// countFree corrects the number of free clusters that FAT32's FSInfo sector keeps, where it is known.
func (e *Edit) countFree(delta int64) error {
	if e.f.fsInfo == 0 {
		return nil
	}
	var b [512]byte
	if err := readFull(e, b[:], e.f.fsInfo); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(b[488:])
	if string(b[:4]) != "RRaA" || string(b[484:488]) != "rrAa" || n == 0xFFFFFFFF || int64(n)+delta < 0 {
		return nil
	}
	e.write(e.f.fsInfo+488, binary.LittleEndian.AppendUint32(nil, uint32(int64(n)+delta)))
	return nil
}
