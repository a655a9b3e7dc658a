package iso9660

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sort"
	"sync"
)

// A View is a patched image: ranges of the base and bytes in memory, in order. It is immutable, deterministic (equal edits
// of equal images give equal views), and safe for concurrent use. It keeps its Image.
type View struct {
	img      *Image
	size     int64
	pieces   []Piece
	plan     *planner
	names    *names
	metadata []Extent // of the tail
	along    []*region
}

// A Piece is a range of a View: bytes of the base image, or of memory, or zeros.
type Piece struct {
	Off, Len int64
	Base     bool
	BaseOff  int64  // where in the base, when Base is set
	Data     []byte // else the bytes, nil for zeros; not to be changed
}

var _ io.ReaderAt = (*View)(nil)

// view assembles the pieces.
func (p *patch) view() (*View, error) {
	v := &View{img: p.img, size: p.end, plan: p.plan, names: p.names, metadata: p.metadata}
	for _, tp := range p.trees {
		if tp.along != nil && tp.along.whole != nil {
			v.along = append(v.along, tp.along)
		}
	}
	over := merge(p.over)
	v.pieces = make([]Piece, 0, p.pieces(over))
	at := int64(0)
	base := func(to int64) {
		if to > at {
			v.pieces = append(v.pieces, Piece{Off: at, Len: to - at, Base: true, BaseOff: at})
			at = to
		}
	}
	memory := func(b []byte) {
		if len(b) > 0 {
			v.pieces = append(v.pieces, Piece{Off: at, Len: int64(len(b)), Data: b})
			at += int64(len(b))
		}
	}
	for _, o := range over {
		if o.off < at || o.off+int64(len(o.data)) > p.img.size {
			return nil, fmt.Errorf("%w: a change at byte %d lies outside the image", ErrFormat, o.off)
		}
		base(o.off)
		memory(o.data)
	}
	base(p.img.size)
	slices.SortStableFunc(p.tail, func(a, b tailPart) int { return cmp.Compare(a.off, b.off) })
	for _, x := range append(p.tail, tailPart{off: p.end}) {
		if at < x.off {
			v.pieces = append(v.pieces, Piece{Off: at, Len: x.off - at})
			at = x.off
		}
		if x.data != nil {
			memory(x.data)
		} else if x.base.Len > 0 {
			v.pieces = append(v.pieces, Piece{Off: at, Len: x.base.Len, Base: true, BaseOff: x.base.Off})
			at += x.base.Len
		}
	}
	return v, nil
}

// pieces is the number of pieces that overlays and tail make, or a little more.
func (p *patch) pieces(over []overlay) int {
	n, at := 1, int64(0)
	for _, o := range over {
		if n++; o.off > at {
			n++
		}
		at = o.end()
	}
	for _, x := range p.tail {
		if n++; x.len()%blockSize != 0 {
			n++
		}
	}
	return n + 1
}

// merge sorts overlays and joins those that overlap, where the later one holds.
func merge(over []overlay) []overlay {
	for i := range over {
		over[i].seq = i
	}
	slices.SortFunc(over, func(a, b overlay) int { return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.seq, b.seq)) })
	out := over[:0]
	for i := 0; i < len(over); {
		end, j := over[i].end(), i+1
		for ; j < len(over) && over[j].off < end; j++ {
			end = max(end, over[j].end())
		}
		if j > i+1 {
			group := slices.SortedFunc(slices.Values(over[i:j]), func(a, b overlay) int { return cmp.Compare(a.seq, b.seq) })
			all := overlay{off: over[i].off, data: make([]byte, end-over[i].off)}
			for _, o := range group {
				copy(all.data[o.off-all.off:], o.data)
			}
			out = append(out, all)
		} else {
			out = append(out, over[i])
		}
		i = j
	}
	return out
}

// Size is the view's length in bytes: a multiple of 2048.
func (v *View) Size() int64 { return v.size }

// Pieces returns what the view is made of, in order and without gaps. They are not to be changed.
func (v *View) Pieces() []Piece { return v.pieces }

// ReadAt implements io.ReaderAt.
func (v *View) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading view at negative offset %d", off)
	}
	i := sort.Search(len(v.pieces), func(i int) bool { return v.pieces[i].Off+v.pieces[i].Len > off })
	n := 0
	for ; n < len(p) && i < len(v.pieces); i++ {
		x := &v.pieces[i]
		skip := off + int64(n) - x.Off
		want := int(min(x.Len-skip, int64(len(p)-n)))
		switch {
		case x.Base:
		case x.Data == nil:
			clear(p[n : n+want])
			n += want
			continue
		default:
			n += copy(p[n:n+want], x.Data[skip:])
			continue
		}
		if err := v.img.read(p[n:n+want], x.BaseOff+skip); err != nil {
			return n, err
		}
		n += want
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Digest is a hex SHA-256 that tells the view from others: of the base's own digest and the patch. It reads nothing of
// the base. Directories that are taken along, which are most of many patches and the same in them, go in by a digest of
// their own.
func (v *View) Digest(baseSHA256 string) string {
	h := sha256.New()
	fmt.Fprintf(h, "metalcue view 2\n%s\n%d\n", baseSHA256, v.size)
	var head [25]byte
	for i := range v.pieces {
		x := &v.pieces[i]
		data := x.Data
		switch j := slices.IndexFunc(v.along, func(r *region) bool { return len(data) == len(r.whole) && &data[0] == &r.whole[0] }); {
		case x.Base:
			head[0] = 1
		case x.Data == nil:
			head[0] = 2
		case j >= 0:
			head[0] = 3
			sum := v.along[j].sum()
			data = sum[:]
		default:
			head[0] = 0
		}
		binary.BigEndian.PutUint64(head[1:], uint64(x.Off))
		binary.BigEndian.PutUint64(head[9:], uint64(x.Len))
		binary.BigEndian.PutUint64(head[17:], uint64(x.BaseOff))
		h.Write(head[:])
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Lookup returns where in the view the content of a file of the best tree is, in order; it is not to be changed. The error
// of a file that is not there, or hidden, wraps fs.ErrNotExist.
func (v *View) Lookup(name string) ([]Extent, error) {
	n, err := v.names.get(v, name)
	if err != nil || n.target < 0 {
		return n.stock, err
	}
	t := v.plan.list[n.target]
	switch {
	case t.kind == opHide:
		return nil, &fs.PathError{Op: "locate", Path: name, Err: fs.ErrNotExist}
	case t.kind == opMkdir:
		return nil, &fs.PathError{Op: "locate", Path: name, Err: errIsDir}
	case t.body.len == 0:
		return nil, nil
	}
	return []Extent{{t.body.off, t.body.len}}, nil
}

// names remembers what Lookup found, for views that differ in content only.
type names struct {
	mu    sync.Mutex
	files map[string]named
}

// named is a file by its name.
type named struct {
	target int      // of the plan, -1: none
	stock  []Extent // of a file that the view does not change
}

// maxNames is how many are remembered.
const maxNames = 1024

func (n *names) get(v *View, name string) (named, error) {
	n.mu.Lock()
	f, ok := n.files[name]
	n.mu.Unlock()
	if ok {
		return f, nil
	}
	f.target = -1
	if t := v.plan.lookup(name); t != nil {
		f.target = slices.Index(v.plan.list, t)
	} else {
		var err error
		if f.stock, err = v.img.Extents(name); err != nil {
			return f, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.files == nil {
		n.files = map[string]named{}
	}
	if len(n.files) < maxNames {
		n.files[name] = f
	}
	return f, nil
}
