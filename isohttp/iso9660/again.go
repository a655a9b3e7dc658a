package iso9660

import (
	"bytes"
	"maps"
	"slices"
)

// made is how one of the last views of an image was made. The views of a fleet's hosts differ in what their files hold, not in
// which files these are: where every file takes as many blocks as it did, all is where it was, and only its length changes
// in the directories that name it. It is not changed once it is kept.
type made struct {
	ops   []op
	apart []string
	blank bool
	patch *patch     // as it was before its pieces were put together
	files []madeFile // by operation
}

// madeFile is what depends on the content of one operation.
type madeFile struct {
	target  int // of patch.targets; -1: more depends on it than content and length
	records []madeRecord
}

// madeRecord is where in patch.emitted a file's record is.
type madeRecord struct{ dir, rec int }

// emitted is a directory, and the parts of the patch that it gave.
type emitted struct {
	tp         *treePatch
	d          *dirEdit
	over, tail span
}

type span struct{ from, to int }

// maxKept is the number of views that are remembered: of a fleet's roles, and of answer files that take a block more.
const maxKept = 4

// maxMade is the number of records up to which a view is remembered.
const maxMade = 8192

// keep remembers how a view is made.
func (m *Image) keep(e *Edit, p *patch) {
	records := 0
	for _, x := range p.emitted {
		records += len(x.d.recs)
	}
	if records > maxMade {
		return
	}
	kept := *p
	kept.over, kept.tail = slices.Clone(p.over), slices.Clone(p.tail)
	k := &made{ops: slices.Clone(e.ops), apart: slices.Clone(e.apart), blank: e.blank, patch: &kept}
	k.files = k.dependent()
	all := []*made{k}
	if was := m.made.Load(); was != nil {
		all = append(all, (*was)[:min(len(*was), maxKept-1)]...)
	}
	m.made.Store(&all) // if another one is kept meanwhile, one of them is made anew later
}

// dependent finds what depends on the content of each operation.
func (k *made) dependent() []madeFile {
	targets := make([]*target, len(k.ops))
	n := map[*target]int{} // operations
	for i, o := range k.ops {
		if o.kind == opEFI {
			continue
		}
		if at, err := k.patch.plan.resolve(o.path); err == nil {
			targets[i] = at.target
			n[at.target]++
		}
	}
	files := make([]madeFile, len(k.ops))
	for i, o := range k.ops {
		files[i].target = -1
		if t := targets[i]; o.kind == opWrite && t != nil && n[t] == 1 {
			files[i] = k.file(t, o)
		}
	}
	return files
}

// file finds what depends on the content of the only operation on a target.
func (k *made) file(t *target, o op) madeFile {
	f := madeFile{target: -1}
	b := t.body
	if b == nil || len(o.data) == 0 || b.len != int64(len(o.data)) || b.len > maxSection || len(b.parts) != 1 || b.parts[0].data == nil {
		return f
	}
	for _, tp := range k.patch.trees {
		r, ok := k.record(tp, b)
		if !ok {
			return f
		}
		f.records = append(f.records, r)
	}
	f.target = slices.Index(k.patch.targets, t)
	return f
}

// record finds the only record of a tree that names the content.
func (k *made) record(tp *treePatch, b *body) (found madeRecord, ok bool) {
	lba, err := tp.t.block(b.off)
	if err != nil {
		return found, false
	}
	n := 0
	for i, x := range k.patch.emitted {
		for j := range x.d.recs {
			if r := &x.d.recs[j]; x.tp == tp && r.changed && !r.b.isDir() && r.b.lba() == lba {
				found = madeRecord{i, j}
				n++
			}
		}
	}
	return found, n == 1
}

// again makes a view as one of the last ones was made, nil: it cannot. It is the one that all of View would make.
func (m *Image) again(e *Edit) (*View, error) {
	all := m.made.Load()
	if all == nil {
		return nil, nil
	}
	i := slices.IndexFunc(*all, func(k *made) bool { return k.like(e) })
	if i < 0 {
		return nil, nil
	}
	k := (*all)[i]
	was := k.patch
	p := &patch{img: m, edit: e, plan: was.plan.clone(), names: was.names, start: was.start, end: was.end, trees: was.trees, metadata: was.metadata}
	p.targets = p.plan.list
	lengths := make([][]madeLength, len(was.emitted))
	for i, f := range k.files {
		if f.target < 0 || bytes.Equal(e.ops[i].data, k.ops[i].data) {
			continue
		}
		t := *was.targets[f.target]
		t.body = &body{parts: []part{{data: e.ops[i].data}}, len: int64(len(e.ops[i].data)), off: t.body.off}
		p.targets[f.target], p.plan.byPath[t.path] = &t, &t
		for _, r := range f.records {
			lengths[r.dir] = append(lengths[r.dir], madeLength{r.rec, uint32(t.body.len)})
		}
	}
	p.over = make([]overlay, 0, len(was.over)+16)
	p.tail = make([]tailPart, 0, len(was.tail)+1)
	var over, tail int // of was, copied so far
	for i, x := range was.emitted {
		if lengths[i] == nil {
			continue
		}
		p.over = append(p.over, was.over[over:x.over.from]...)
		p.tail = append(p.tail, was.tail[tail:x.tail.from]...)
		over, tail = x.over.to, x.tail.to
		(&treePatch{p: p, t: x.tp.t}).emit(x.d.with(lengths[i]))
	}
	p.over = append(p.over, was.over[over:]...)
	p.tail = append(p.tail, was.tail[tail:]...)
	for _, t := range p.targets {
		if i := slices.IndexFunc(p.tail, func(x tailPart) bool { return t.body != nil && x.off == t.body.off && x.data != nil }); i >= 0 && len(t.body.parts) == 1 {
			p.tail[i].part = t.body.parts[0]
		}
	}
	return p.view()
}

// clone returns a copy whose targets can be exchanged.
func (p *planner) clone() *planner {
	return &planner{img: p.img, list: slices.Clone(p.list), byPath: maps.Clone(p.byPath)}
}

// like tells whether an edit differs only in what does not matter to where things are.
func (k *made) like(e *Edit) bool {
	if e.blank != k.blank || len(e.ops) != len(k.ops) || !slices.Equal(e.apart, k.apart) {
		return false
	}
	for i, o := range e.ops {
		was := k.ops[i]
		switch {
		case o.kind != was.kind || o.path != was.path:
			return false
		case bytes.Equal(o.data, was.data):
		case k.files[i].target < 0 || blocks(int64(len(o.data))) != blocks(int64(len(was.data))) || len(o.data) == 0 || int64(len(o.data)) > maxSection:
			return false
		}
	}
	return true
}

// madeLength is the new length of a record's file.
type madeLength struct {
	rec int
	len uint32
}

// with returns the directory with other lengths of files.
func (d *dirEdit) with(lengths []madeLength) *dirEdit {
	c := *d
	c.recs = slices.Clone(d.recs)
	for _, l := range lengths {
		r := &c.recs[l.rec]
		r.b = bytes.Clone(r.b)
		r.b.setExtent(r.b.lba(), l.len)
	}
	return &c
}
