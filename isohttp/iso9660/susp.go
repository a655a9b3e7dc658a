package iso9660

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Bounds on what a record, or all of a directory, may make us read through continuation areas. Many records can name the
// same area.
const (
	maxContinuations = 32
	maxContinuation  = 64 << 10
)

// continuations is how many bytes of continuation areas the records of a directory of n bytes may have: far more than tools
// write, and so many that reading takes no longer than the directory deserves.
func continuations(n int) *int64 {
	left := int64(1<<20) + 64*int64(n)
	return &left
}

// field is one system use field (SUSP 4.1) and the offset in the image of its first byte, or where it lies in its record.
type field struct {
	b        []byte
	off      int64 // in the image; only for fields in continuation areas
	inRecord int   // in the record; -1 in a continuation area
}

func (f field) sig() string { return string(f.b[:2]) }

// fields calls fn for each field of the record's system use area and its continuation areas, of which left bytes may be
// read; it counts them.
func (t *Tree) fields(r record, left *int64, fn func(f field) error) error {
	skip := t.skip
	if r.isSelf() {
		// Only root's "." has SP, which stands before what it says to skip.
		if u := r.use(); len(u) >= 7 && string(u[:2]) == "SP" {
			skip = 0
		}
	}
	at := r.useAt() + skip
	if at > len(r) {
		return nil
	}
	next, err := t.area(r[at:], 0, at, fn)
	for n := 0; err == nil && next.len > 0; n++ {
		*left -= int64(next.len)
		if n == maxContinuations || next.len > maxContinuation || *left < 0 {
			return fmt.Errorf("%w: continuation area at block %d of %d bytes, or too many of them", ErrFormat, next.block, next.len)
		}
		off := (int64(next.block)+t.bias)*blockSize + int64(next.off)
		buf := make([]byte, next.len)
		if err := t.img.read(buf, off); err != nil {
			return fmt.Errorf("continuation area: %w", err)
		}
		next, err = t.area(buf, off, -1, fn)
	}
	return err
}

// ownFields is fields without continuation areas: those of new records are not in the base.
func (t *Tree) ownFields(r record, fn func(f field) error) error {
	at := r.useAt() + t.skip
	if at > len(r) || r.isSelf() && len(r.use()) >= 7 && string(r.use()[:2]) == "SP" {
		at = r.useAt()
	}
	if at > len(r) {
		return nil
	}
	_, err := t.area(r[at:], 0, at, fn)
	return err
}

// continuation is where fields go on (SUSP 5.1).
type continuation struct{ block, off, len uint32 }

// area calls fn for the fields of one area, which begins at off in the image, or at inRecord in the record.
func (t *Tree) area(p []byte, off int64, inRecord int, fn func(f field) error) (continuation, error) {
	var next continuation
	for i := 0; i+4 <= len(p); {
		n := int(p[i+2])
		if n < 4 || p[i] == 'S' && p[i+1] == 'T' {
			break
		}
		if i+n > len(p) {
			return next, fmt.Errorf("%w: system use field %q of %d bytes, %d are left", ErrFormat, p[i:i+2], n, len(p)-i)
		}
		f := field{b: p[i : i+n : i+n], off: off + int64(i), inRecord: -1}
		if inRecord >= 0 {
			f.inRecord = inRecord + i
		}
		if f.sig() == "CE" && n >= 28 {
			le := binary.LittleEndian
			next = continuation{le.Uint32(f.b[4:]), le.Uint32(f.b[12:]), le.Uint32(f.b[20:])}
		}
		if err := fn(f); err != nil {
			return next, err
		}
		i += n
	}
	return next, nil
}

// rock is what Rock Ridge says of a file.
type rock struct {
	name      string
	mode      uint32 // POSIX; 0: not said
	mod       time.Time
	link      string
	symlink   bool
	child     uint32 // CL: block of the relocated directory that this record stands for
	parent    uint32 // PL: block of the true parent
	relocated bool   // RE: a directory that is shown elsewhere
	zisofs    bool
}

// rockRidge reads the Rock Ridge fields of a record (RRIP 4.1). A leading RR field (RRIP 1.09) without its bit for
// names makes Linux ignore the name, and so do we.
func (t *Tree) rockRidge(r record, left *int64) (rock, error) {
	var k rock
	var name, link strings.Builder
	ignoreName, component := false, false
	err := t.fields(r, left, func(f field) error {
		b := f.b
		le := binary.LittleEndian
		switch sig := f.sig(); {
		case sig == "RR" && len(b) >= 5:
			ignoreName = b[4]&8 == 0
		case sig == "NM" && len(b) >= 5 && b[4]&6 == 0:
			name.Write(b[5:])
		case sig == "PX" && len(b) >= 36:
			k.mode = le.Uint32(b[4:])
		case sig == "TF" && len(b) >= 5:
			k.mod = modified(b)
		case sig == "SL" && len(b) >= 5:
			k.symlink = true
			component = appendLink(&link, b[5:], component)
		case sig == "CL" && len(b) >= 12:
			k.child = le.Uint32(b[4:])
		case sig == "PL" && len(b) >= 12:
			k.parent = le.Uint32(b[4:])
		case sig == "RE":
			k.relocated = true
		case sig == "ZF":
			k.zisofs = true
		}
		if name.Len() > 1024 || link.Len() > 8192 {
			return fmt.Errorf("%w: name or symbolic link of more than %d bytes", ErrFormat, max(name.Len(), link.Len()))
		}
		return nil
	})
	if !ignoreName {
		k.name = name.String()
	}
	k.link = link.String()
	return k, err
}

// appendLink adds the components of a symbolic link field (RRIP 4.1.3.1) and tells whether the last one goes on in the
// next field.
func appendLink(link *strings.Builder, p []byte, goesOn bool) bool {
	for len(p) >= 2 && 2+int(p[1]) <= len(p) {
		flags, text := p[0], p[2:2+int(p[1])]
		if link.Len() > 0 && !goesOn && !strings.HasSuffix(link.String(), "/") {
			link.WriteByte('/')
		}
		switch {
		case flags&2 != 0:
			link.WriteByte('.')
		case flags&4 != 0:
			link.WriteString("..")
		case flags&8 != 0:
			link.WriteByte('/')
		default:
			link.Write(text)
		}
		goesOn = flags&1 != 0
		p = p[2+len(text):]
	}
	return goesOn
}

// modified is the modification time of a TF field (RRIP 4.1.6), which follows creation where that is present.
func modified(b []byte) time.Time {
	at, n := 5, 7
	if b[4]&0x80 != 0 {
		n = 17
	}
	if b[4]&1 != 0 {
		at += n
	}
	if b[4]&2 == 0 || n != 7 || at+n > len(b) {
		return time.Time{}
	}
	r := make(record, 34)
	copy(r[18:25], b[at:])
	return r.date()
}

// fileMode translates POSIX modes.
func (k *rock) fileMode() fs.FileMode {
	m := fs.FileMode(k.mode & 0o777)
	switch k.mode & 0o170000 {
	case 0o040000:
		m |= fs.ModeDir
	case 0o120000:
		m |= fs.ModeSymlink
	case 0o020000:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		m |= fs.ModeDevice
	case 0o010000:
		m |= fs.ModeNamedPipe
	case 0o140000:
		m |= fs.ModeSocket
	}
	return m
}
