package bmctest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A bareReader reads a volume's primary tree record by record (ECMA-119 §9.1).
// It stands for readers that know no Rock Ridge, such as ISOLINUX, and, with
// rockRidge set, for Linux on media that are too large for the library: that
// one reckons with 32 bits and does not know files of several extents.
type bareReader struct {
	r         io.ReaderAt
	size      int64
	rockRidge bool
	skip      int // bytes before the system use entries (SUSP 1.12 §5.3)
}

const (
	maxDirectory = 16 << 20 // bytes of one directory
	maxEntries   = 64       // system use entries of one record, continuations included
)

// openBare opens the primary volume.
func openBare(r io.ReaderAt, size int64, rockRidge bool) (file, error) {
	b := &bareReader{r: r, size: size}
	sector := make([]byte, isoSector)
	for n := int64(16); n < 64; n++ {
		if _, err := r.ReadAt(sector, n*isoSector); err != nil {
			return file{}, err
		}
		if string(sector[1:6]) != "CD001" {
			break
		}
		if sector[0] != 1 {
			continue
		}
		root, err := b.record(sector[156:190])
		if err != nil {
			return file{}, err
		}
		if rockRidge {
			if err := b.findRockRidge(root); err != nil {
				return file{}, err
			}
		}
		return b.file(root), nil
	}
	return file{}, errors.New("no primary volume descriptor")
}

// bareRecord is a directory record, or several for a file of several extents.
type bareRecord struct {
	name    string
	dir     bool
	more    bool // the next record continues the file
	hidden  bool // a directory that Rock Ridge has moved away
	extents []bareExtent
}

type bareExtent struct{ off, len int64 }

// record decodes one record.
func (b *bareReader) record(p []byte) (bareRecord, error) {
	var rec bareRecord
	if len(p) < 34 || 33+int(p[32]) > len(p) {
		return rec, errors.New("a directory record is damaged")
	}
	e := bareExtent{int64(binary.LittleEndian.Uint32(p[2:])) * isoSector, int64(binary.LittleEndian.Uint32(p[10:]))}
	if e.off+e.len > b.size {
		return rec, errors.New("an extent lies outside the medium")
	}
	rec.extents = []bareExtent{e}
	rec.dir, rec.more = p[25]&2 != 0, p[25]&0x80 != 0
	id := string(p[33 : 33+int(p[32])])
	rec.name = id
	if !rec.dir {
		rec.name, _, _ = strings.Cut(id, ";")
		rec.name = strings.TrimSuffix(rec.name, ".")
	}
	use := 33 + int(p[32]) + (1 - int(p[32])%2)
	if b.rockRidge && id != "\x00" && id != "\x01" && use+b.skip < len(p) {
		name, hidden, err := b.systemUse(p[use+b.skip:])
		if err != nil {
			return rec, err
		}
		if name != "" {
			rec.name = name
		}
		rec.hidden = hidden
	}
	return rec, nil
}

// findRockRidge looks for the SP entry in the root's own record.
func (b *bareReader) findRockRidge(root bareRecord) error {
	p := make([]byte, 256)
	if _, err := b.r.ReadAt(p, root.extents[0].off); err != nil {
		return err
	}
	if n := int(p[0]); n >= 34+7 && string(p[34:36]) == "SP" && p[38] == 0xBE && p[39] == 0xEF {
		b.rockRidge, b.skip = true, int(p[40])
	}
	return nil
}

// systemUse finds the Rock Ridge name (RRIP 1.12 §4.1.4).
func (b *bareReader) systemUse(p []byte) (name string, hidden bool, err error) {
	var next []byte
	for n := 0; n < maxEntries; n++ {
		if len(p) < 4 || p[2] < 4 || int(p[2]) > len(p) || string(p[:2]) == "ST" {
			if next == nil {
				return name, hidden, nil
			}
			p, next = next, nil
			continue
		}
		switch e := p[:p[2]]; string(e[:2]) {
		case "NM":
			if len(e) > 5 {
				name += string(e[5:])
			}
		case "RE":
			hidden = true
		case "CE":
			if len(e) < 28 {
				return "", false, errors.New("a CE entry is damaged")
			}
			off := int64(binary.LittleEndian.Uint32(e[4:]))*isoSector + int64(binary.LittleEndian.Uint32(e[12:]))
			next = make([]byte, min(binary.LittleEndian.Uint32(e[20:]), isoSector))
			if _, err := b.r.ReadAt(next, off); err != nil {
				return "", false, fmt.Errorf("reading a continuation area: %w", err)
			}
		}
		p = p[p[2]:]
	}
	return "", false, errors.New("system use entries without an end")
}

// list reads a directory.
func (b *bareReader) list(dir bareRecord) ([]file, error) {
	e := dir.extents[0]
	if e.len > maxDirectory {
		return nil, errors.New("a directory is too large")
	}
	data := make([]byte, e.len)
	if n, err := b.r.ReadAt(data, e.off); n < len(data) {
		return nil, err
	}
	var all []file
	var whole *bareRecord // the file whose next extent is awaited
	for off := 0; off < len(data); {
		n := int(data[off])
		if n == 0 { // the rest of the sector is empty
			off = (off/isoSector + 1) * isoSector
			continue
		}
		if off%isoSector+n > isoSector || off+n > len(data) {
			return nil, errors.New("a directory record crosses a sector")
		}
		rec, err := b.record(data[off : off+n])
		if err != nil {
			return nil, err
		}
		off += n
		if rec.name == "\x00" || rec.name == "\x01" {
			continue
		}
		if whole != nil {
			rec.extents = append(whole.extents, rec.extents...)
		}
		if whole = nil; rec.more {
			whole = &rec
			continue
		}
		if !rec.hidden {
			all = append(all, b.file(rec))
		}
	}
	return all, nil
}

// file makes a record usable.
func (b *bareReader) file(rec bareRecord) file {
	f := file{name: rec.name, dir: rec.dir}
	for _, e := range rec.extents {
		f.size += e.len
	}
	f.list = func() ([]file, error) { return b.list(rec) }
	f.open = func() io.Reader {
		var parts []io.Reader
		for _, e := range rec.extents {
			parts = append(parts, io.NewSectionReader(b.r, e.off, e.len))
		}
		return io.MultiReader(parts...)
	}
	return f
}
