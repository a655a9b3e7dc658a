package iso9660

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// style is how a directory's identifiers are made.
type style struct {
	lower   bool // lower case letters, and whatever else names have
	version bool // files end in ";1"
	short   bool // 8.3
	longest int  // bytes
}

// styleOf looks at the files of the directory, or, where there are none, at those of root.
func (t *Tree) styleOf(d, root *dirData) style {
	s := style{short: true}
	seen := 0
	for _, from := range []*dirData{d, root} {
		for i := range from.entries {
			e := &from.entries[i]
			if e.isDir() || seen >= 200 {
				continue
			}
			seen++
			id := e.rec.id()
			name, version, _ := strings.Cut(string(id), ";")
			s.version = s.version || version != ""
			s.lower = s.lower || strings.ToUpper(name) != name
			s.longest = max(s.longest, len(id))
			s.short = s.short && isShort(name)
		}
		if seen > 0 {
			return s
		}
	}
	return style{version: t.kind == Plain || t.kind == RockRidge}
}

func isShort(name string) bool {
	base, ext, _ := strings.Cut(name, ".")
	return len(base) <= 8 && len(ext) <= 3 && !strings.Contains(ext, ".")
}

// identifier makes an identifier for name, in the style of its siblings, that none of the records has.
func (t *Tree) identifier(name string, dir bool, s style, recs []rec) ([]byte, error) {
	switch t.kind {
	case Joliet:
		return t.unique(jolietID(name, dir, s), recs, name)
	case Enhanced:
		if len(name) > 207 {
			return nil, fmt.Errorf("the name has %d bytes, in an ISO 9660:1999 tree 207 are possible", len(name))
		}
		return t.unique([]byte(withVersion(name, !dir && s.version)), recs, name)
	}
	id := plainName(name, dir, s)
	if t == t.img.best && t.kind == Plain && !strings.EqualFold(strings.TrimSuffix(id, "."), name) {
		return nil, fmt.Errorf("the name cannot be recorded: the image has no Rock Ridge, and names there look like %q", id)
	}
	for i := 0; t.taken([]byte(id), recs); i++ {
		if i == 1000 {
			return nil, fmt.Errorf("no identifier is left for it")
		}
		base, ext, dot := strings.Cut(plainName(name, dir, s), ".")
		base = base[:min(len(base), max(1, 8-3))] + fmt.Sprintf("%03d", i)
		if id = base; dot {
			id += "." + ext[:min(len(ext), 3)]
		}
	}
	return []byte(withVersion(id, !dir && s.version)), nil
}

func withVersion(id string, version bool) string {
	if version {
		return id + ";1"
	}
	return id
}

// plainName makes the name fit the style, without version.
func plainName(name string, dir bool, s style) string {
	if s.lower {
		return name[:min(len(name), 128)]
	}
	var base, ext string
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	} else {
		base = name
	}
	base, ext = dchars(base), dchars(ext)
	if s.short {
		base, ext = base[:min(len(base), 8)], ext[:min(len(ext), 3)]
	} else {
		ext = ext[:min(len(ext), 28)]
		base = base[:min(len(base), 30-len(ext))]
	}
	if dir && ext == "" {
		return base
	}
	return base + "." + ext
}

// dchars maps a name to d-characters (ECMA-119 7.4.1).
func dchars(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(s))
}

// jolietID is the name in UCS-2, without the characters that Joliet forbids, cut to 64 or, where siblings are longer, 103.
func jolietID(name string, dir bool, s style) []byte {
	u := utf16.Encode([]rune(strings.Map(func(r rune) rune {
		if strings.ContainsRune(`*/:;?\`, r) || r < 0x20 {
			return '_'
		}
		return r
	}, name)))
	limit := 64
	if s.longest > 2*limit+4 {
		limit = 103
	}
	u = u[:min(len(u), limit)]
	if !dir && s.version {
		u = append(u, ';', '1')
	}
	id := make([]byte, 0, 2*len(u))
	for _, c := range u {
		id = binary.BigEndian.AppendUint16(id, c)
	}
	return id
}

// unique refuses an identifier that is taken.
func (t *Tree) unique(id []byte, recs []rec, name string) ([]byte, error) {
	if t.taken(id, recs) {
		return nil, fmt.Errorf("the %s tree has another file that its name is cut to", t.kind)
	}
	return id, nil
}

// taken tells whether a record has the identifier, whatever its version and case.
func (t *Tree) taken(id []byte, recs []rec) bool {
	unit := t.unit()
	id, _ = cutID(id, ';', unit)
	for i := 2; i < len(recs); i++ {
		if x, _ := cutID(recs[i].b.id(), ';', unit); len(x) == len(id) && bytes.EqualFold(x, id) {
			return true
		}
	}
	return false
}

// unit is the number of bytes of a character in identifiers.
func (t *Tree) unit() int {
	if t.kind == Joliet {
		return 2
	}
	return 1
}

// cutID cuts an identifier at the last sep.
func cutID(id []byte, sep byte, unit int) (before, after []byte) {
	for i := len(id) - unit; i >= 0; i -= unit {
		if id[i+unit-1] == sep && (unit == 1 || id[i] == 0) {
			return id[:i], id[i+unit:]
		}
	}
	return id, nil
}

// compareID is the order of records: name and extension, as if padded with spaces, then version descending (ECMA-119 9.3).
func (t *Tree) compareID(a, b []byte) int {
	unit := t.unit()
	aName, aVersion := cutID(a, ';', unit)
	bName, bVersion := cutID(b, ';', unit)
	aBase, aExt := cutID(aName, '.', unit)
	bBase, bExt := cutID(bName, '.', unit)
	return cmp.Or(comparePadded(aBase, bBase, unit), comparePadded(aExt, bExt, unit), -comparePadded(aVersion, bVersion, unit))
}

func comparePadded(a, b []byte, unit int) int {
	for i := range max(len(a), len(b)) {
		x, y := byte(' '), byte(' ')
		if unit == 2 && i%2 == 0 {
			x, y = 0, 0
		}
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return cmp.Compare(x, y)
		}
	}
	return 0
}
