package isotest

import (
	"encoding/binary"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf16"
)

type kind int

const (
	primary kind = iota
	joliet
	enhanced
)

// tree is one of the image's directory trees.
type tree struct {
	b      *builder
	kind   kind
	dirs   []*dir // in the order of the path table
	byNode map[*node]*dir
	ceLB   int64 // block of root's continuation area
	tables [4]int64
	length int // of a path table
	ids    map[*node][]byte
}

type dir struct {
	node   *node
	parent *dir
	number int
	lba    int64
	size   int64
	order  []*node
	fill   int // bytes added to each record's system use area
}

// place finds the directories, and gives them and the path tables their blocks.
func (t *tree) place() error {
	root := &dir{node: t.b.root}
	root.parent = root
	t.dirs, t.byNode = []*dir{root}, map[*node]*dir{t.b.root: root}
	for i := 0; i < len(t.dirs); i++ {
		d := t.dirs[i]
		d.number = i + 1
		d.order = sorted(d.node.children, t.id)
		for _, n := range d.order {
			if n.dir() {
				c := &dir{node: n, parent: d}
				t.dirs, t.byNode[n] = append(t.dirs, c), c
			}
		}
	}
	if len(t.dirs) > 0xFFFF {
		return fmt.Errorf("isotest: %d directories, more than a path table numbers", len(t.dirs))
	}
	if t.b.FullRoot {
		t.fillRoot(root)
	}
	for _, d := range t.dirs {
		n := len(t.dirID(d))
		t.length += 8 + n + n%2
		d.size = t.pack(d, nil)
	}
	for i := range t.tables {
		if i%2 == 0 || t.b.OptionalTables {
			t.tables[i] = t.b.take(blocks(int64(t.length)))
		}
	}
	for _, d := range t.dirs {
		d.lba = t.b.take(d.size / block)
		if d == root && t.susp() {
			t.ceLB = t.b.take(1)
		}
	}
	return nil
}

// fillRoot lengthens the records of root until a further one of the shortest length does not fit.
func (t *tree) fillRoot(root *dir) {
	size := t.pack(root, nil)
	for ; root.fill < 220 && t.pack(root, nil) == size; root.fill += 2 {
		used := 0
		for _, r := range t.records(root) {
			used += len(r)
		}
		if used > int(size)-34 {
			return
		}
	}
	root.fill -= 2 // it takes a further block: so near is enough
}

func (t *tree) susp() bool { return t.kind == primary && t.b.RockRidge }

// records returns the directory's records in order.
func (t *tree) records(d *dir) [][]byte {
	recs := [][]byte{
		t.record([]byte{0}, d.lba, d.size, 2, t.dotSystemUse(d, true)),
		t.record([]byte{1}, d.parent.lba, d.parent.size, 2, t.dotSystemUse(d, false)),
	}
	for _, n := range d.order {
		if n.dir() {
			c := t.byNode[n]
			recs = append(recs, t.record(t.id(n), c.lba, c.size, 2, t.filled(d, n)))
			continue
		}
		lba := n.lba
		parts := sections(n.len)
		for i, size := range parts {
			flags := byte(0)
			if i < len(parts)-1 {
				flags = 0x80
			}
			recs = append(recs, t.record(t.id(n), lba, size, flags, t.filled(d, n)))
			lba += blocks(size)
		}
	}
	return recs
}

// filled is a system use area, lengthened as Layout.FullRoot wants it: with a padding field where fields are expected (SUSP 5.2).
func (t *tree) filled(d *dir, n *node) []byte {
	use := t.systemUse(n)
	if d.fill < 4 || 34+len(t.id(n))+len(use)+d.fill > 254 {
		return use
	}
	pad := make([]byte, d.fill)
	if t.susp() {
		copy(pad, []byte{'P', 'D', byte(d.fill), 1})
	}
	return append(use, pad...)
}

// pack writes the records into out, none across a block's end, and returns the length they take.
func (t *tree) pack(d *dir, out []byte) int64 {
	at := int64(0)
	for _, r := range t.records(d) {
		if at%block+int64(len(r)) > block {
			at = (at/block + 1) * block
		}
		if out != nil {
			copy(out[at:], r)
		}
		at += int64(len(r))
	}
	return blocks(at) * block
}

func (t *tree) write() {
	for i, lba := range t.tables {
		if lba != 0 {
			t.b.putBytes(lba*block, t.pathTable(i >= 2))
		}
	}
	for _, d := range t.dirs {
		out := make([]byte, d.size)
		t.pack(d, out)
		t.b.putBytes(d.lba*block, out)
	}
	if t.ceLB != 0 {
		t.b.putBytes(t.ceLB*block, er())
	}
}

// pathTable returns the table (ECMA-119 9.4), of type M when big is set.
func (t *tree) pathTable(big bool) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	var p []byte
	for _, d := range t.dirs {
		id := t.dirID(d)
		p = append(p, byte(len(id)), 0)
		p = order.AppendUint32(p, uint32(d.lba))
		p = order.AppendUint16(p, uint16(d.parent.number))
		p = append(p, id...)
		if len(id)%2 == 1 {
			p = append(p, 0)
		}
	}
	return p
}

func (t *tree) dirID(d *dir) []byte {
	if d.node == t.b.root {
		return []byte{0}
	}
	return t.id(d.node)
}

// id is the identifier of a file or directory in this tree. Of names that become one, all but the first get a number.
func (t *tree) id(n *node) []byte {
	if t.kind == enhanced || t.kind == primary && t.b.Untranslated {
		return []byte(n.name)
	}
	if id, ok := t.ids[n]; ok {
		return id
	}
	if t.ids == nil {
		t.ids = map[*node][]byte{}
	}
	used := map[string]bool{}
	for _, c := range n.parent.children {
		id := t.translate(c, c.name)
		for i := 0; used[string(id)]; i++ {
			id = t.translate(c, numbered(c.name, t.limit(), i))
		}
		used[string(id)] = true
		t.ids[c] = id
	}
	return t.ids[n]
}

// limit is the longest name before its extension.
func (t *tree) limit() int {
	if t.kind == joliet {
		return 64
	}
	return 8
}

func numbered(name string, limit, i int) string {
	ext := path.Ext(name)
	name = strings.TrimSuffix(name, ext)
	return fmt.Sprintf("%s%03d%s", name[:min(len(name), limit-3)], i, ext)
}

// translate makes a name one that the tree can have.
func (t *tree) translate(n *node, name string) []byte {
	if t.kind == joliet {
		u := ucs2(name)
		return u[:min(len(u), 2*64)]
	}
	name, ext, dot := strings.Cut(strings.ToUpper(name), ".")
	id := dchars(name, 8)
	if n.dir() {
		return []byte(id)
	}
	if dot {
		ext = dchars(ext, 3)
	}
	return []byte(id + "." + ext + ";1")
}

func dchars(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
	return s[:min(len(s), n)]
}

func ucs2(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.BigEndian.AppendUint16(b, u)
	}
	return b
}

// record returns a directory record (ECMA-119 9.1).
func (t *tree) record(id []byte, lba, size int64, flags byte, use []byte) []byte {
	r := make([]byte, 33, 255)
	both32(r[2:], uint32(lba))
	both32(r[10:], uint32(size))
	copy(r[18:], shortDate(t.b.Date))
	r[25] = flags
	both16(r[28:], 1)
	r[32] = byte(len(id))
	r = append(r, id...)
	if len(id)%2 == 0 {
		r = append(r, 0)
	}
	r = append(r, use...)
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

func shortDate(d time.Time) []byte {
	return []byte{byte(d.Year() - 1900), byte(d.Month()), byte(d.Day()), byte(d.Hour()), byte(d.Minute()), byte(d.Second()), 0}
}

func both32(p []byte, v uint32) {
	binary.LittleEndian.PutUint32(p, v)
	binary.BigEndian.PutUint32(p[4:], v)
}

func both16(p []byte, v uint16) {
	binary.LittleEndian.PutUint16(p, v)
	binary.BigEndian.PutUint16(p[2:], v)
}
