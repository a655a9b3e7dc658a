package iso9660

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
)

// A directory that moves to the tail lies behind the directories in it. Most readers do not mind. libarchive reads an image
// from its beginning to its end, and ignores directories that lie before the one that names them; it also wants root's
// continuation area behind root. So, in the tree that libarchive reads, what moves takes its directories along: their
// bytes stay where they are, the view names them a second time with other block numbers in them.

// maxAlong is the number of directories up to which a tree's directories are taken along.
const maxAlong = 512

// dirIndex tells of every directory of a tree where it is and where in it blocks of directories are named.
type dirIndex struct {
	once  sync.Once
	err   error
	nodes []dirNode // root first
	links bool      // there are relocated directories
}

type dirNode struct {
	ref    dirRef
	parent int
	fixes  []fix
}

// fix is a place in a directory that names a directory: 16 bytes of block and length, or 8 of the block only.
type fix struct {
	off   int
	node  int
	block bool
}

var errManyDirs = errors.New("too many directories, or links to directories in continuation areas")

// directories returns the tree's index, which is made once.
func (t *Tree) directories() ([]dirNode, error) {
	t.index.once.Do(func() {
		b := indexBuilder{t: t, byLBA: map[uint32]int{}}
		if t.index.err = b.build(); t.index.err == nil {
			t.index.nodes, t.index.links = b.nodes, len(b.links) > 0
		}
	})
	return t.index.nodes, t.index.err
}

type indexBuilder struct {
	t     *Tree
	nodes []dirNode
	byLBA map[uint32]int
	links []link
	left  *int64 // bytes of continuation areas that may be read
}

// link is a child or parent link of Rock Ridge, whose directory may be met later.
type link struct {
	node, off int
	lba       uint32
}

func (b *indexBuilder) build() error {
	root := b.t.rootRef()
	b.nodes = []dirNode{{ref: root}}
	b.byLBA[root.lba] = 0
	for i := 0; i < len(b.nodes); i++ {
		if err := b.directory(i); err != nil {
			return err
		}
	}
	for _, l := range b.links {
		to, ok := b.byLBA[l.lba]
		if !ok {
			return errManyDirs
		}
		b.nodes[l.node].fixes = append(b.nodes[l.node].fixes, fix{l.off, to, true})
	}
	for _, n := range b.nodes {
		slices.SortFunc(n.fixes, func(x, y fix) int { return cmp.Compare(x.off, y.off) })
	}
	b.order()
	return nil
}

// order sorts the nodes as they lie in the base, root first: an order that suits libarchive there suits it in the tail.
func (b *indexBuilder) order() {
	places := make([]int, len(b.nodes)) // places[new] = old
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places[1:], func(x, y int) int { return cmp.Compare(b.nodes[x].ref.lba, b.nodes[y].ref.lba) })
	at := make([]int, len(places))
	sorted := make([]dirNode, len(places))
	for is, was := range places {
		at[was], sorted[is] = is, b.nodes[was]
	}
	for i := range sorted {
		sorted[i].parent = at[sorted[i].parent]
		for k := range sorted[i].fixes {
			sorted[i].fixes[k].node = at[sorted[i].fixes[k].node]
		}
	}
	b.nodes = sorted
}

func (b *indexBuilder) directory(i int) error {
	raw, err := b.t.readRaw(b.nodes[i].ref)
	if err != nil {
		return err
	}
	n := 0
	b.left = continuations(len(raw))
	return eachRecord(raw, func(off int, r record) error {
		n++
		to := i
		switch {
		case n == 1:
		case n == 2:
			if r.lba() == b.nodes[b.nodes[i].parent].ref.lba {
				to = b.nodes[i].parent
			}
		case !r.isDir():
			return b.rockLinks(i, off, r)
		default:
			if _, ok := b.byLBA[r.lba()]; ok || len(b.nodes) > maxAlong {
				return errManyDirs
			}
			to = len(b.nodes)
			b.byLBA[r.lba()] = to
			b.nodes = append(b.nodes, dirNode{ref: dirRef{r.lba(), r.length()}, parent: i})
		}
		b.nodes[i].fixes = append(b.nodes[i].fixes, fix{off + 2, to, false})
		if n == 2 {
			return b.rockLinks(i, off, r)
		}
		return nil
	})
}

// rockLinks notes child and parent links.
func (b *indexBuilder) rockLinks(i, off int, r record) error {
	if !b.t.susp {
		return nil
	}
	return b.t.fields(r, b.left, func(f field) error {
		if sig := f.sig(); sig != "CL" && sig != "PL" || len(f.b) < 12 {
			return nil
		}
		if f.inRecord < 0 {
			return errManyDirs
		}
		b.links = append(b.links, link{i, off + f.inRecord + 4, binary.LittleEndian.Uint32(f.b[4:])})
		return nil
	})
}

// placeAll gives every directory that grows or is new its place, and, in the tree that libarchive reads, those inside them:
// first the patch's own, in the order of the base, then those that are taken along.
func (tp *treePatch) placeAll() error {
	nodes, err := tp.takeAlong()
	if err != nil {
		return err
	}
	refs := make([]dirRef, len(nodes))
	var rest []int
	for i, n := range nodes {
		refs[i] = n.ref
		must := tp.mustMove(nodes, i)
		if d := tp.dirs[n.ref.lba]; d != nil {
			if err := tp.place(d, must); err != nil {
				return err
			}
			refs[i] = d.at
		} else if must {
			rest = append(rest, i)
		}
	}
	if len(rest) > 0 {
		if err := tp.placeRest(nodes, refs, rest); err != nil {
			return err
		}
	}
	for _, d := range tp.order { // what nodes do not have
		if err := tp.place(d, false); err != nil {
			return err
		}
	}
	return nil
}

// placeRest places the directories that are taken along one after the other.
func (tp *treePatch) placeRest(nodes []dirNode, refs []dirRef, rest []int) error {
	var total int64
	for _, i := range rest {
		total += blocks(int64(nodes[i].ref.len)) * blockSize
	}
	start := tp.p.allocMetadata(total)
	at := start
	for _, i := range rest {
		lba, err := tp.t.block(at)
		if err != nil {
			return err
		}
		refs[i].lba = lba
		at += blocks(int64(nodes[i].ref.len)) * blockSize
		if up := tp.dirs[nodes[nodes[i].parent].ref.lba]; up != nil {
			up.setChild(nodes[i].ref.lba, refs[i])
		}
	}
	r, err := tp.t.region(nodes, refs, rest, start, total)
	if err != nil {
		return err
	}
	tp.along = r
	tp.p.tail = append(tp.p.tail, r.parts...)
	return nil
}

// region is what directories that are taken along look like: the same for every patch that puts all directories into the
// same places, as those of the hosts of one role do. A tree keeps the last one.
type region struct {
	refs   []dirRef // of all directories
	rest   []int    // those that are taken along
	parts  []tailPart
	at     map[uint32]dirRef // by the block it had
	tables [2][]byte         // the path tables L and M with these places

	whole []byte                   // the bytes of parts, if they are kept as one
	sum   func() [sha256.Size]byte // of whole, made once
}

// keepRegion is the length up to which a region is kept as bytes. Beyond, views name the base's bytes in pieces.
const keepRegion = 2 << 20

func (t *Tree) region(nodes []dirNode, refs []dirRef, rest []int, start, total int64) (*region, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last != nil && slices.Equal(t.last.refs, refs) && slices.Equal(t.last.rest, rest) {
		return t.last, nil
	}
	r := &region{refs: refs, rest: rest, at: make(map[uint32]dirRef, len(rest))}
	for _, i := range rest {
		r.at[nodes[i].ref.lba] = refs[i]
		r.parts = t.copyParts(r.parts, nodes[i], refs, refs[i])
	}
	if total <= keepRegion {
		all := make([]byte, total)
		for _, x := range r.parts {
			p := all[x.off-start:][:x.len()]
			if x.data != nil {
				copy(p, x.data)
			} else if err := t.img.read(p, x.base.Off); err != nil {
				return nil, err
			}
		}
		r.parts, r.whole = []tailPart{{start, part{data: all}}}, all
		r.sum = sync.OnceValue(func() [sha256.Size]byte { return sha256.Sum256(all) })
	}
	t.last = r
	return r, nil
}

// copyParts appends the parts of a directory of the base with the blocks that it names mended.
func (t *Tree) copyParts(parts []tailPart, n dirNode, refs []dirRef, at dirRef) []tailPart {
	from, to := t.offset(n.ref.lba), t.offset(at.lba)
	done := int64(0)
	base := func(end int64) {
		if end > done {
			parts = append(parts, tailPart{to + done, part{base: Extent{from + done, end - done}}})
			done = end
		}
	}
	for _, f := range n.fixes {
		b := make([]byte, 16)
		putBoth32(b, refs[f.node].lba)
		putBoth32(b[8:], refs[f.node].len)
		if f.block {
			b = b[:8]
		}
		base(int64(f.off))
		parts = append(parts, tailPart{to + done, part{data: b}})
		done += int64(len(b))
	}
	base(int64(n.ref.len))
	return parts
}

// mustMove tells whether the directory of a node moves: it, or one that it is in, outgrows its blocks. Where there are
// relocated directories all move, for libarchive has its own ideas of their order.
func (tp *treePatch) mustMove(nodes []dirNode, i int) bool {
	for ; !tp.t.index.links; i = nodes[i].parent {
		if d := tp.dirs[nodes[i].ref.lba]; d != nil && !d.fits() {
			return true
		}
		if i == 0 {
			return false
		}
	}
	return true
}

// takeAlong returns the directories of the tree if a directory with directories in it outgrows its blocks, libarchive reads
// the tree, and there are not too many.
func (tp *treePatch) takeAlong() ([]dirNode, error) {
	if tp.t != tp.p.img.sequential() {
		return nil, nil
	}
	for _, d := range tp.order {
		if d.data == nil || d.fits() {
			continue
		}
		for i := range d.data.entries {
			if d.data.entries[i].isDir() {
				nodes, err := tp.t.directories()
				if errors.Is(err, errManyDirs) {
					return nil, nil
				}
				return nodes, err
			}
		}
	}
	return nil, nil
}

// sequential is the tree that libarchive reads.
func (m *Image) sequential() *Tree {
	if m.trees[0].kind != RockRidge {
		for _, t := range m.trees {
			if t.kind == Joliet && !t.Second() {
				return t
			}
		}
	}
	return m.trees[0]
}

// setChild points the record of the directory at block was to where it is now.
func (d *dirEdit) setChild(was uint32, at dirRef) {
	for i := 2; i < len(d.recs); i++ {
		if r := &d.recs[i]; r.b.isDir() && r.off >= 0 && d.was(r) == was {
			r.own()
			r.b.setExtent(at.lba, at.len)
			return
		}
	}
}

// rehome moves root's continuation area behind root.
func (tp *treePatch) rehome(d *dirEdit) error {
	if !tp.t.susp {
		return nil
	}
	r := &d.recs[0]
	return tp.t.fields(r.b, continuations(0), func(f field) error {
		if f.sig() != "CE" || len(f.b) < 28 || f.inRecord < 0 {
			return nil
		}
		le := binary.LittleEndian
		lba, off, n := le.Uint32(f.b[4:]), le.Uint32(f.b[12:]), le.Uint32(f.b[20:])
		if n == 0 || n > blockSize {
			return nil
		}
		home := tp.p.allocMetadata(int64(n))
		tp.p.append(home, part{base: Extent{tp.t.offset(lba) + int64(off), int64(n)}})
		is, err := tp.t.block(home)
		if err != nil {
			return err
		}
		r.own()
		putBoth32(r.b[f.inRecord+4:], is)
		putBoth32(r.b[f.inRecord+12:], 0)
		return nil
	})
}
