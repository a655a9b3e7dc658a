package iso9660

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The trees of an image show the same files under different names: Joliet cuts them to 64 characters, plain ISO 9660 to 8.3
// in upper case, and where two become one, the tools make up something. A file of the best tree is found in another by its
// very name or, failing that, as what is most like it of what nobody else's is.

// pairing tells which entry of a directory is which one of the same directory in the best tree.
type pairing struct {
	of    map[string]int // by the name in the best tree
	taken []bool
}

// match returns what is called name in the best tree, where the base has it if inBase is set; nil: there is nothing. Without
// inBase, that is what this tree alone has.
func (tp *treePatch) match(d *dirEdit, name string, inBase, dir bool) (*entry, error) {
	if d.data == nil {
		return nil, nil
	}
	entries := d.data.entries
	for i := range entries {
		if entries[i].name == name {
			return &entries[i], nil
		}
	}
	if tp.t.kind == RockRidge || tp.t == tp.p.img.best {
		return nil, nil
	}
	like := tp.names(name)
	alike := func(e *entry) bool { return e.isDir() == dir && like.rank(e.name) < other }
	if !inBase && !slices.ContainsFunc(entries, func(e entry) bool { return alike(&e) }) {
		return nil, nil
	}
	p, err := tp.pair(d)
	if err != nil {
		return nil, err
	}
	if i, ok := p.of[name]; ok || inBase {
		if !ok || entries[i].isDir() != dir {
			return nil, nil
		}
		return &entries[i], nil
	}
	for i := range entries {
		if !p.taken[i] && alike(&entries[i]) {
			return &entries[i], nil
		}
	}
	return nil, nil
}

// likeness is a name in lower case, and what tools make of it in a tree.
type likeness struct {
	name    string
	mangled [2]string
}

// Ranks of likeness.
const (
	folded = iota // but for the case
	cutOff
	other
)

func (tp *treePatch) names(name string) likeness {
	l := likeness{name: strings.ToLower(name)}
	switch tp.t.kind {
	case Joliet:
		for i, n := range []int{64, 103} {
			l.mangled[i] = strings.ToLower(fit(jolietChars(name), n, utf16Len))
		}
	case Enhanced:
		l.mangled[0] = strings.ToLower(fit(name, maxEnhanced, utf8Len))
	case Plain:
		for i, short := range []bool{true, false} {
			l.mangled[i] = strings.ToLower(strings.TrimSuffix(plainName(name, true, style{short: short}), "."))
		}
	}
	return l
}

// all are the names, each once.
func (l likeness) all() []string {
	all := append([]string{l.name}, l.mangled[:]...)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

func (l *likeness) rank(have string) int {
	switch have = strings.ToLower(have); have {
	case l.name:
		return folded
	case l.mangled[0], l.mangled[1]:
		return cutOff
	}
	return other
}

// spot stands for the content of a file or directory: where it begins, and how long it is. It is zero when there is none.
type spot struct{ off, size int64 }

// spot returns a file's content, or that of the files in a directory.
func (t *Tree) spot(e *entry) spot {
	if !e.isDir() {
		if e.size == 0 {
			return spot{}
		}
		return spot{t.offset(e.sections()[0].lba), e.size}
	}
	var all spot
	d, err := t.list(e.dir, e.parent)
	if err != nil {
		return spot{}
	}
	for i := range d.entries {
		if f := &d.entries[i]; !f.isDir() && f.size > 0 {
			all.off += t.spot(f).off
			all.size += f.size
		}
	}
	return all
}

// pair finds the pairs of a directory: by the very name first, by name and content, by content, by a name that is like one and
// like no other, and at last what of files without content looks like a name with a number.
func (tp *treePatch) pair(d *dirEdit) (*pairing, error) {
	if d.pairs != nil {
		return d.pairs, nil
	}
	best, err := tp.bestDir(d)
	if err != nil {
		return nil, err
	}
	b := pairBuilder{tp: tp, have: d.data.entries, p: &pairing{of: map[string]int{}, taken: make([]bool, len(d.data.entries))}}
	for i := range best.entries {
		b.left = append(b.left, &best.entries[i])
	}
	b.build()
	d.pairs = b.p
	return b.p, nil
}

// bestDir is the same directory in the best tree; one without files when there is none.
func (tp *treePatch) bestDir(d *dirEdit) (*dirData, error) {
	best := tp.p.img.best
	e, err := best.walk(clean(d.prefix), false)
	if errors.Is(err, fs.ErrNotExist) {
		return &dirData{}, nil
	}
	if err != nil {
		return nil, err
	}
	return best.list(e.dir, e.parent)
}

type pairBuilder struct {
	tp     *treePatch
	have   []entry
	left   []*entry          // of the best tree
	byName map[string]*queue // in lower case
	byStem map[string]*queue // of files without content
	bySpot map[spot]*queue
	p      *pairing
}

// queue is indices of entries, of which those at its beginning may be taken.
type queue struct{ of []int }

// maxRivals is how many entries are looked at for one: those that have the same content or all but the same name.
const maxRivals = 64

func push[K comparable](m map[K]*queue, key K, i int) {
	q := m[key]
	if q == nil {
		q = &queue{}
		m[key] = q
	}
	q.of = append(q.of, i)
}

func (b *pairBuilder) build() {
	b.byName = map[string]*queue{}
	for i := range b.have {
		push(b.byName, b.have[i].name, i)
	}
	b.each(func(x *entry) int { return b.first(x, b.byName[x.name], nil) })
	if len(b.left) == 0 {
		return
	}
	clear(b.byName)
	b.byStem, b.bySpot = map[string]*queue{}, map[spot]*queue{}
	for i := range b.have {
		if b.p.taken[i] {
			continue
		}
		e, name := &b.have[i], strings.ToLower(b.have[i].name)
		push(b.byName, name, i)
		if at := b.tp.t.spot(e); at != (spot{}) {
			push(b.bySpot, at, i)
		} else if !e.isDir() {
			push(b.byStem, stem(name), i)
		}
	}
	b.each(func(x *entry) int {
		return b.first(x, b.byName[strings.ToLower(x.name)], func(e *entry) bool { return x.isDir() || b.same(x, e) })
	})
	b.each(func(x *entry) int {
		like := b.tp.names(x.name)
		return b.first(x, b.bySpot[b.tp.p.img.best.spot(x)], func(e *entry) bool { return like.rank(e.name) < other })
	})
	b.each(func(x *entry) int { return b.first(x, b.bySpot[b.tp.p.img.best.spot(x)], nil) })
	rivals := map[string]int{}
	for _, x := range b.left {
		for _, name := range b.tp.names(x.name).all() {
			rivals[name]++
		}
	}
	b.each(func(x *entry) int {
		for _, name := range b.tp.names(x.name).all() {
			if i := b.first(x, b.byName[name], nil); i >= 0 && rivals[name] == 1 {
				return i
			}
		}
		return -1
	})
	slices.SortStableFunc(b.left, func(x, y *entry) int { return strings.Compare(x.name, y.name) }) // as they were numbered
	b.each(b.empty)
}

// empty is the first of the free files without content that may be x with a number for the last characters of its name.
func (b *pairBuilder) empty(x *entry) int {
	if x.isDir() || x.size > 0 {
		return -1
	}
	for _, name := range b.tp.names(x.name).mangled {
		for n := len(name); n > 0 && n >= len(name)-8; n-- {
			if i := b.first(x, b.byStem[name[:n]], nil); i >= 0 {
				return i
			}
		}
	}
	return -1
}

// stem is a name without extension and number.
func stem(name string) string {
	return strings.TrimRight(strings.TrimSuffix(name, path.Ext(name)), "0123456789")
}

// each pairs what is left of the best tree with what find returns, unless that is negative.
func (b *pairBuilder) each(find func(x *entry) int) {
	b.left = slices.DeleteFunc(b.left, func(x *entry) bool {
		i := find(x)
		if i >= 0 {
			b.p.of[x.name], b.p.taken[i] = i, true
		}
		return i >= 0
	})
}

// first is the first of the entries that is free, of the same sort, and suits.
func (b *pairBuilder) first(x *entry, q *queue, suits func(e *entry) bool) int {
	if q == nil {
		return -1
	}
	for len(q.of) > 0 && b.p.taken[q.of[0]] {
		q.of = q.of[1:]
	}
	for _, i := range q.of[:min(len(q.of), maxRivals)] {
		if e := &b.have[i]; !b.p.taken[i] && e.isDir() == x.isDir() && (suits == nil || suits(e)) {
			return i
		}
	}
	return -1
}

func (b *pairBuilder) same(x, e *entry) bool { return b.tp.p.img.best.spot(x) == b.tp.t.spot(e) }
