package fat

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

const (
	attrVolume = 0x08
	attrDir    = 0x10
	attrLong   = 0x0F

	maxDirBytes  = 65536 * 32 // a directory has at most so many entries
	maxDepth     = 64
	cacheEntries = 8192 // directory entries kept in memory
)

// entry is a file or directory.
type entry struct {
	name  string
	attr  byte
	first uint32
	size  uint32
	mod   time.Time
	off   int64 // of the 32-byte entry in the image
}

func (e *entry) dir() bool { return e.attr&attrDir != 0 }

// rootDir is the entry that stands for the root.
func (f *FS) rootDir() entry { return entry{name: ".", attr: attrDir, first: f.rootCluster} }

// dirKey tells of a directory that was looked at where it begins and in which it was found.
type dirKey struct{ self, parent uint32 }

// list returns the entries of the directory that begins at cluster self (0, or FAT32's root cluster: the root), in
// the directory parent.
func (f *FS) list(self, parent uint32) ([]entry, error) {
	key := dirKey{self, parent}
	f.mu.Lock()
	list, ok := f.dirs[key]
	f.mu.Unlock()
	if ok {
		return list, nil
	}
	var err error
	ext := []Extent{f.root}
	root := self == 0 || self == f.rootCluster
	if !root || f.bits == 32 {
		if ext, _, err = f.chain(f.r, self, min(maxDirBytes/f.cluster+1, int64(f.clusters)), true); err != nil {
			return nil, err
		}
	}
	p := dirParser{f: f, root: root}
	for _, x := range ext {
		if err := p.extent(x); err != nil {
			return nil, err
		}
		if p.end {
			break
		}
	}
	if err := p.check(self, parent); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cachedNumber+len(p.list) <= cacheEntries {
		f.dirs[key] = p.list
		f.cachedNumber += len(p.list) + 1
	}
	return p.list, nil
}

// dirParser collects the entries of a directory.
type dirParser struct {
	f      *FS
	root   bool
	list   []entry
	dots   []entry
	long   []byte // 32-byte long entries before the short one, as found
	end    bool
	number int
}

func (p *dirParser) extent(x Extent) error {
	buf := make([]byte, min(x.Len, 16<<10))
	for at := int64(0); at < x.Len && !p.end; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), x.Len-at)]
		if err := readFull(p.f.r, buf, x.Off+at); err != nil {
			return err
		}
		for i := 0; i+32 <= len(buf) && !p.end; i += 32 {
			if err := p.one(buf[i:i+32], x.Off+at+int64(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *dirParser) one(b []byte, off int64) error {
	p.number++
	switch {
	case b[0] == 0:
		p.end = true
		return nil
	case b[0] == 0xE5:
		p.long = p.long[:0]
		return nil
	case b[11]&0x3F == attrLong:
		if b[0]&0x40 != 0 {
			p.long = p.long[:0]
		}
		if len(p.long) < 20*32 {
			p.long = append(p.long, b...)
		}
		return nil
	case b[11]&attrVolume != 0:
		p.long = p.long[:0]
		return nil
	}
	le := binary.LittleEndian
	e := entry{name: shortName(b), attr: b[11], size: le.Uint32(b[28:]), mod: dosTime(le.Uint16(b[24:]), le.Uint16(b[22:])), off: off}
	e.first = uint32(le.Uint16(b[26:]))
	if p.f.bits == 32 {
		e.first |= uint32(le.Uint16(b[20:])&0x0FFF) << 16
	}
	if name := longName(p.long, b); name != "" {
		e.name = name
	}
	p.long = p.long[:0]
	if e.name == "." || e.name == ".." {
		p.dots = append(p.dots, e)
		return nil
	}
	if !validName(e.name) {
		return fmt.Errorf("%w: directory entry at %d is named %q", ErrFormat, off, e.name)
	}
	p.list = append(p.list, e)
	return nil
}

// check holds "." and ".." against where the directory was found, and no two entries to be the same directory: so that
// no directory contains itself and walking ends.
func (p *dirParser) check(self, parent uint32) error {
	for _, d := range p.dots {
		want := self
		if d.name == ".." {
			want = parent
		}
		isRoot := (want == 0 || want == p.f.rootCluster) && (d.first == 0 || d.first == p.f.rootCluster)
		if p.root || d.first != want && !isRoot {
			return fmt.Errorf("%w: %q at %d names cluster %d, not %d", ErrFormat, d.name, d.off, d.first, want)
		}
	}
	if !p.root && len(p.dots) != 2 {
		return fmt.Errorf("%w: the directory at cluster %d has no \".\" and \"..\"", ErrFormat, self)
	}
	seen := map[uint32]bool{}
	for _, e := range p.list {
		if !e.dir() {
			continue
		}
		if seen[e.first] || e.first == self || e.first == p.f.rootCluster || !p.f.valid(e.first) {
			return fmt.Errorf("%w: directory %q at cluster %d is listed twice, its own parent, or out of range", ErrFormat, e.name, e.first)
		}
		seen[e.first] = true
	}
	return nil
}

func validName(s string) bool {
	return s != "" && fs.ValidPath(s) && s != "." && !strings.ContainsAny(s, "/\\\x00")
}

// shortName is the 8.3 name of a directory entry, with the lower case flags that Windows NT and Linux heed.
func shortName(b []byte) string {
	part := func(p []byte, lower bool) string {
		var s strings.Builder
		for i, c := range p {
			if i == 0 && c == 0x05 {
				c = 0xE5
			}
			s.WriteRune(rune(c))
		}
		t := strings.TrimRight(s.String(), " ")
		if lower {
			t = strings.ToLower(t)
		}
		return t
	}
	name, ext := part(b[:8], b[12]&0x08 != 0), part(b[8:11], b[12]&0x10 != 0)
	if ext != "" {
		name += "." + ext
	}
	return name
}

// longName joins the long entries before the short entry b, or returns "" when they do not belong to it.
func longName(long, b []byte) string {
	n := len(long) / 32
	if n == 0 || int(long[0]) != n|0x40 {
		return ""
	}
	var sum byte
	for _, c := range b[:11] {
		sum = sum>>1 | sum<<7
		sum += c
	}
	var units []uint16
	for i := n - 1; i >= 0; i-- {
		e := long[32*i : 32*i+32]
		if int(e[0]&0x3F) != n-i || e[13] != sum {
			return ""
		}
		for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			units = append(units, binary.LittleEndian.Uint16(e[at:]))
		}
	}
	if i := slices.Index(units, 0); i >= 0 {
		units = units[:i]
	}
	name := string(utf16.Decode(units))
	if !validName(name) {
		return ""
	}
	return name
}

func dosTime(date, clock uint16) time.Time {
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}

// find returns the entry at a path in the sense of io/fs.
func (f *FS) find(name string) (entry, uint32, error) {
	e, parent := f.rootDir(), f.rootCluster
	if name == "." {
		return e, parent, nil
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return e, 0, fmt.Errorf("%w: more than %d directories deep", ErrFormat, maxDepth)
	}
	for _, part := range parts {
		if !e.dir() {
			return e, 0, fs.ErrNotExist
		}
		list, err := f.list(e.first, parent)
		if err != nil {
			return e, 0, err
		}
		i := slices.IndexFunc(list, func(x entry) bool { return strings.EqualFold(x.name, part) })
		if i < 0 {
			return e, 0, fs.ErrNotExist
		}
		e, parent = list[i], e.first
	}
	return e, parent, nil
}

// Extents returns the ranges of the image that hold the file's content, in order.
func (f *FS) Extents(name string) ([]Extent, error) {
	e, _, err := f.find(clean(name))
	if err == nil && e.dir() {
		err = errIsDir
	}
	var ext []Extent
	if err == nil {
		ext, err = f.extents(&e)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "locate", Path: name, Err: err}
	}
	return ext, nil
}

func (f *FS) extents(e *entry) ([]Extent, error) {
	ext, _, err := f.chain(f.r, e.first, (int64(e.size)+f.cluster-1)/f.cluster, false)
	if err != nil {
		return nil, err
	}
	ext, ok := cut(ext, int64(e.size))
	if !ok && e.size > 0 {
		return nil, fmt.Errorf("%w: %d bytes, but a shorter chain", ErrFormat, e.size)
	}
	return ext, nil
}

// clean takes paths with or without a leading slash.
func clean(name string) string { return path.Clean(strings.TrimLeft(name, "/")) }
