package iso9660

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// checkAgain varies the content of operations, in length too, and holds each view against the one that a newly opened
// image gives, which has made none before.
func checkAgain(t *testing.T, m *Image, img []byte, ops []op, r *rand.Rand) {
	t.Helper()
	ops = slices.Clone(ops)
	var apart []string
	for i, o := range ops {
		hidden := slices.ContainsFunc(ops[i:], func(x op) bool { return x.kind == opHide && x.path == o.path })
		if o.kind == opWrite && !hidden && r.IntN(4) == 0 {
			apart = append(apart, o.path)
		}
	}
	for range 6 {
		blank := r.IntN(3) == 0
		var views [2]*View
		for i, m := range []*Image{m, open(t, img)} {
			views[i] = view(t, &Edit{img: m, ops: slices.Clone(ops), apart: apart, blank: blank})
		}
		checkSame(t, views[0], views[1], ops)
		for i := range ops {
			o := &ops[i]
			if o.kind != opWrite && o.kind != opAppend || r.IntN(2) == 0 {
				continue
			}
			n := len(o.data)
			switch r.IntN(8) {
			case 0:
				n = int(r.Uint32N(10000))
			case 1, 2, 3:
				n = max(0, (n-1)/blockSize*blockSize+1+r.IntN(blockSize)) // of as many blocks
			}
			o.data = isotest.Generated(r.Uint64N(1000), n)
		}
	}
}

func checkSame(t *testing.T, got, want *View, ops []op) {
	t.Helper()
	if got.Size() != want.Size() || !reflect.DeepEqual(got.Pieces(), want.Pieces()) || got.Digest("x") != want.Digest("x") ||
		!slices.Equal(got.Structure(), want.Structure()) {
		t.Fatalf("another view than of an image that made none before:\n got %v\nwant %v", got.Pieces(), want.Pieces())
	}
	for _, o := range ops {
		if o.kind == opEFI {
			continue
		}
		is, err := got.Lookup(o.path)
		should, other := want.Lookup(o.path)
		if !slices.Equal(is, should) || (err == nil) != (other == nil) {
			t.Fatalf("%s is at %v, %v; want %v, %v", o.path, is, err, should, other)
		}
	}
}

// The views of hosts are made as the first one was, while their files take as many blocks; whoever makes them at once.
func TestViewsOfHosts(t *testing.T) {
	for _, o := range []isotest.Options{{}, {Enhanced: true, FullRoot: true}, {Arch: "aarch64", FullRoot: true}} {
		img := rhel(t, o)
		m := open(t, img)
		host := func(m *Image, n int) *Edit {
			e := hostPatch(m, bytes.Repeat([]byte("k"), n))
			e.Write("/EFI/BOOT/extra.cfg", bytes.Repeat([]byte("e"), 1+n%blockSize))
			e.Apart("/ks.cfg")
			return e
		}
		if o.Arch == "aarch64" { // it has no isolinux
			host = func(m *Image, n int) *Edit {
				e := m.Edit()
				e.Write("/ks.cfg", bytes.Repeat([]byte("k"), n))
				e.Apart("/ks.cfg")
				return e
			}
		}
		view(t, host(m, 5000))
		first := m.made.Load()
		if first == nil {
			t.Fatal("nothing was kept")
		}
		var wg sync.WaitGroup
		for n := 4097; n <= 6144; n += 89 {
			wg.Go(func() {
				e, fresh := host(m, n), host(open(t, img), n)
				checkSame(t, view(t, e), view(t, fresh), e.ops)
			})
		}
		wg.Wait()
		if m.made.Load() != first {
			t.Error("a view of the same shape was made anew")
		}
		for _, n := range []int{6145, 4096, 0, 5000} {
			e, fresh := host(m, n), host(open(t, img), n)
			checkSame(t, view(t, e), view(t, fresh), e.ops)
		}
		last := m.made.Load()
		if last == first {
			t.Error("a view of another shape was not made anew")
		}
		if len(*last) > maxKept {
			t.Errorf("%d views are kept", len(*last))
		}
		for _, n := range []int{6145, 1, 6145, 1, 6145} { // by turns
			e, fresh := host(m, n), host(open(t, img), n)
			checkSame(t, view(t, e), view(t, fresh), e.ops)
		}
		if all := *m.made.Load(); len(all) != len(*last) || all[1] != (*last)[0] {
			t.Error("views of two shapes by turns were each made anew")
		}
		// Another file, or the same in another order, is another edit.
		for _, names := range [][]string{{"/a.cfg", "/b.cfg"}, {"/b.cfg", "/a.cfg"}, {"/a.cfg"}, {"/a.cfg", "/a.cfg"}} {
			for round := range 4 { // in which only what is written first differs, or that the second set is blanked
				var views [2]*View
				var ops []op
				for i, m := range []*Image{m, open(t, img)} {
					e := m.Edit()
					for k, name := range names {
						e.Write(name, bytes.Repeat([]byte{'a' + byte(k)}, 10+k))
					}
					e.ops[0].data = bytes.Repeat([]byte{'x'}, 10+round)
					if round == 3 {
						e.BlankSecondDescriptors()
					}
					views[i], ops = view(t, e), e.ops
				}
				checkSame(t, views[0], views[1], ops)
			}
		}
	}
}
