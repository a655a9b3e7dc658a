package iso9660

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// style is how a directory's identifiers are made.
type style struct {
	lower   bool // lower case letters, and whatever else names have
	version bool // files end in ";1"
	short   bool // 8.3
	longest int  // bytes, without version
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
			s.longest = max(s.longest, len(name))
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

// maxEnhanced is the longest identifier of an ISO 9660:1999 tree in bytes (ECMA-119 4th edition, 9.1.11).
const maxEnhanced = 207

// identifier makes an identifier for name, in the style of its siblings, that none of the records has. A name that is too
// long, or has characters that the tree's names cannot have, is changed; where that makes it another's, it gets a number.
func (t *Tree) identifier(name string, dir bool, s style, recs []rec) ([]byte, error) {
	if t == t.img.best && t.kind == Plain {
		if id := plainName(name, dir, s); !strings.EqualFold(strings.TrimSuffix(id, "."), name) {
			return nil, fmt.Errorf("the name cannot be recorded: the image has no Rock Ridge, and names there look like %q", id)
		}
	}
	for i := -1; i < 1000; i++ {
		if id := t.numbered(name, dir, s, i); !t.taken(id, recs) {
			return id, nil
		}
	}
	return nil, fmt.Errorf("no identifier is left for it")
}

// numbered is the identifier for name with the number i, which takes the place of its last characters; without one if i is
// negative.
func (t *Tree) numbered(name string, dir bool, s style, i int) []byte {
	version := !dir && s.version
	switch t.kind {
	case Joliet:
		return jolietID(withNumber(jolietChars(name), s.joliet(), i, utf16Len), version)
	case Enhanced:
		return []byte(withVersion(withNumber(noVersion(name), maxEnhanced, i, utf8Len), version))
	}
	id := plainName(name, dir, s)
	if i >= 0 {
		base, ext, dot := strings.Cut(id, ".")
		id = base[:min(len(base), max(1, 8-3))] + fmt.Sprintf("%03d", i)
		if dot {
			id += "." + ext[:min(len(ext), 3)]
		}
	}
	return []byte(withVersion(id, version))
}

// withNumber cuts a name to a length, and gives it a number, before a short extension, unless that is negative.
func withNumber(name string, limit, i int, length func(rune) int) string {
	if i < 0 {
		return fit(name, limit, length)
	}
	ext := path.Ext(name)
	if len(ext) > 8 {
		ext = ""
	}
	return fit(strings.TrimSuffix(name, ext), limit-3-len(ext), length) + fmt.Sprintf("%03d", i) + ext
}

// noVersion replaces what would be taken for the beginning of a version.
func noVersion(name string) string { return strings.ReplaceAll(name, ";", "_") }

// fit cuts a name to a length, never inside of a character.
func fit(name string, limit int, length func(rune) int) string {
	n := 0
	for i, r := range name {
		if n += length(r); n > limit {
			return name[:i]
		}
	}
	return name
}

func utf16Len(r rune) int { return max(1, utf16.RuneLen(r)) }

func utf8Len(r rune) int { return max(1, utf8.RuneLen(r)) }

func withVersion(id string, version bool) string {
	if version {
		return id + ";1"
	}
	return id
}

// plainName makes the name fit the style, without version.
func plainName(name string, dir bool, s style) string {
	if s.lower {
		return fit(noVersion(name), max(31, s.longest), utf8Len)
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

// jolietChars replaces the characters that Joliet forbids, and those that UCS-2 does not have.
func jolietChars(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`*/:;?\`, r) || r < 0x20 || r > 0xFFFF {
			return '_'
		}
		return r
	}, name)
}

// joliet is the longest name in UCS-2: 64 or, where siblings are longer, 103.
func (s style) joliet() int {
	if s.longest > 2*64+1 {
		return 103
	}
	return 64
}

// jolietID is the name in UCS-2.
func jolietID(name string, version bool) []byte {
	u := utf16.Encode([]rune(withVersion(name, version)))
	id := make([]byte, 0, 2*len(u))
	for _, c := range u {
		id = binary.BigEndian.AppendUint16(id, c)
	}
	return id
}

// taken tells whether a record has the identifier, whatever its version. Where names are in upper case, case is no difference.
func (t *Tree) taken(id []byte, recs []rec) bool {
	unit := t.unit()
	id, _ = cutID(id, ';', unit)
	same := bytes.Equal
	if t.kind == Plain || t.kind == RockRidge {
		same = equalFold
	}
	for i := 2; i < len(recs); i++ {
		if x, _ := cutID(recs[i].b.id(), ';', unit); same(x, id) {
			return true
		}
	}
	return false
}

// equalFold compares without regard to the case of ASCII letters: identifiers may be in any encoding.
func equalFold(a, b []byte) bool {
	lower := func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
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
