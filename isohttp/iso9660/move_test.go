package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// grow adds so many files to a directory that it moves.
func grow(e *Edit, dir string) map[string]string {
	want := map[string]string{}
	for i := range 60 {
		name := fmt.Sprintf("%s/f%02d.cfg", dir, i)
		e.Write(name, []byte(name))
		want[name] = name
	}
	return want
}

// Directories other than root that move alone, with and without directories in them, are found by path tables too.
func TestDirectoriesMove(t *testing.T) {
	for i, img := range tiny(t) {
		m := open(t, img)
		for _, dir := range []string{"images", "EFI", "EFI/BOOT"} {
			e := m.Edit()
			want := grow(e, dir)
			got, v := patched(t, e, img)
			expect(t, m, got, want, nil)
			for k, tree := range got.Trees() {
				checkTables(t, tree)
				if tree.root.lba() != m.trees[k].root.lba() {
					t.Errorf("image %d: %s: root has moved", i, tree.Kind())
				}
			}
			checkOutside(t, v, img)
		}
	}
}

// In libisofs' Joliet trees ".." names the directory itself. It is taken for one that is in the first place where it is
// found, and for no other's.
func TestParentIsSelf(t *testing.T) {
	img := bytes.Clone(tiny(t)[1])
	m := open(t, img)
	tree := m.best
	root, err := tree.list(tree.rootRef(), tree.rootRef())
	if err != nil {
		t.Fatal(err)
	}
	efi, images := tree.find(root, "EFI"), tree.find(root, "images")
	for _, d := range []*entry{efi, images} {
		at := tree.offset(d.dir.lba)
		record(img[at+int64(img[at]):]).setExtent(d.dir.lba, d.dir.len)
	}
	was := contents(t, open(t, img))
	e := open(t, img).Edit()
	want := grow(e, "EFI")
	for i := range 40 {
		name := fmt.Sprintf("root%02d", i)
		e.Write(name, nil)
		want[name] = ""
	}
	got, _ := patched(t, e, img)
	expect(t, open(t, img), got, want, nil)
	if len(was) != len(contents(t, m)) {
		t.Errorf("%d files, want %d", len(was), len(contents(t, m)))
	}
	// The same directory inside another.
	boot, err := tree.list(efi.dir, efi.parent)
	if err != nil {
		t.Fatal(err)
	}
	r := tree.find(boot, "BOOT")
	record(img[tree.offset(efi.dir.lba)+int64(r.off):]).setExtent(images.dir.lba, images.dir.len)
	if err := readAll(open(t, img)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "its parent is") {
		t.Errorf("a directory in two places: %v", err)
	}
}

// A new directory counts as a link of the one that it is in.
func TestLinkCounts(t *testing.T) {
	img := tiny(t)[0]
	e := open(t, img).Edit()
	e.Mkdir("/one")
	e.Mkdir("/EFI/two")
	e.Mkdir("/EFI/three")
	got, _ := patched(t, e, img)
	tree := got.trees[0]
	links := func(r record) (n uint32) {
		err := tree.ownFields(r, func(f field) error {
			if f.sig() == "PX" {
				n = binary.LittleEndian.Uint32(f.b[12:])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	root, _ := tree.list(tree.rootRef(), tree.rootRef())
	efi := tree.find(root, "EFI")
	in, err := tree.list(efi.dir, efi.parent)
	if err != nil {
		t.Fatal(err)
	}
	self := func(d *dirData) record { return record(d.raw[:d.raw[0]]) }
	for name, c := range map[string]struct{ got, want uint32 }{
		"root's .": {links(self(root)), 3}, "EFI in root": {links(efi.rec), 4}, "EFI's .": {links(self(in)), 4}, "new": {links(tree.find(root, "one").rec), 2},
	} {
		if c.got != c.want {
			t.Errorf("%s has %d links, want %d", name, c.got, c.want)
		}
	}
}

// Root's continuation area goes along with root, wherever in its block it begins: it says that there is Rock Ridge.
func TestContinuationAreaMoves(t *testing.T) {
	for _, off := range []int{0, 300} {
		img := bytes.Clone(tiny(t)[0])
		tree := open(t, img).trees[0]
		root := img[tree.offset(tree.root.lba()):]
		ce := root[bytes.Index(root, []byte("CE\x1c\x01")):]
		area := img[tree.offset(binary.LittleEndian.Uint32(ce[4:])):][:blockSize]
		copy(area, append(make([]byte, off), area[:blockSize-off]...))
		putBoth32(ce[12:], uint32(off))
		e := open(t, img).Edit()
		grow(e, "")
		got, _ := patched(t, e, img)
		is := got.trees[0]
		self, err := is.firstRecord(is.root.lba())
		if err != nil {
			t.Fatal(err)
		}
		found := false
		err = is.fields(self, continuations(0), func(f field) error {
			if f.sig() == "ER" {
				found = bytes.Contains(f.b, []byte("RRIP_1991A")) && f.off > int64(len(img))
			}
			return nil
		})
		if err != nil || !found || is.root.lba() == tree.root.lba() {
			t.Errorf("offset %d: extension found in the tail: %t, %v", off, found, err)
		}
	}
}
