package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
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

// Path tables that outgrow their blocks move, with their optional copies; those that just fit stay.
func TestPathTablesGrow(t *testing.T) {
	moved := map[bool]int{}
	for n := 115; n < 172; n += 7 {
		l := isotest.Layout{RockRidge: true, Joliet: true, Enhanced: true, OptionalTables: true, Files: files("f", "f")}
		for i := range n {
			l.Dirs = append(l.Dirs, fmt.Sprintf("d%03d", i))
		}
		base := build(t, l)
		m := open(t, base)
		e := m.Edit()
		want := map[string]string{}
		for i := range 7 {
			name := fmt.Sprintf("d%03dnew", 3*i)
			e.Mkdir(name)
			e.Write(name+"/f", []byte(name))
			want[name+"/"], want[name+"/f"] = "", name
		}
		got, v := patched(t, e, base)
		expect(t, m, got, want, nil)
		checkOutside(t, v, base)
		for i, tree := range got.Trees() {
			checkTables(t, tree)
			was := m.trees[i]
			moves := blocks(tree.tableLen) > blocks(was.tableLen)
			moved[moves]++
			for k, lba := range tree.tables {
				if (lba != was.tables[k]) != moves {
					t.Errorf("%d directories, %s: table %d of %d bytes, before %d, is at block %d, was at %d", n, tree.Kind(), k, tree.tableLen, was.tableLen, lba, was.tables[k])
				}
			}
		}
	}
	if moved[true] == 0 || moved[false] == 0 {
		t.Errorf("tables have moved or not: %v", moved)
	}
}

// A directory may be as long as its records, though ECMA-119 6.8.1.3 wants whole blocks. It moves when it grows.
func TestDirectoryOfOddLength(t *testing.T) {
	img := bytes.Clone(tiny(t)[0])
	m := open(t, img)
	tree := m.best
	root := img[tree.offset(tree.root.lba()):][:tree.root.length()]
	n := uint32(len(bytes.TrimRight(root, "\x00")))
	n += n % 2
	for _, r := range []record{record(img[firstSet*blockSize+156:]), record(root), record(root[root[0]:])} {
		r.setExtent(tree.root.lba(), n)
	}
	for _, name := range []string{"EFI", "images", "isolinux"} {
		d, err := tree.walk(name, false)
		if err != nil {
			t.Fatal(err)
		}
		at := tree.offset(d.dir.lba)
		record(img[at+int64(img[at]):]).setExtent(tree.root.lba(), n)
	}
	e := open(t, img).Edit()
	e.Write("/EFI/BOOT/grub.cfg", []byte("new"))
	e.Write("/ks.cfg", []byte("text"))
	got, v := patched(t, e, img)
	expect(t, m, got, map[string]string{"EFI/BOOT/grub.cfg": "new", "ks.cfg": "text"}, nil)
	checkOutside(t, v, img)
	checkTables(t, got.best)
	if got.best.root.length()%blockSize != 0 {
		t.Errorf("root has %d bytes", got.best.root.length())
	}
}

// New records have what CD-XA puts before Rock Ridge's fields: some readers look for it.
func TestXA(t *testing.T) {
	img := tiny(t)[4]
	e := open(t, img).Edit()
	e.Mkdir("/new")
	e.Write("/new/file", nil)
	e.Write("/ks.cfg", nil)
	got, _ := patched(t, e, img)
	n := 0
	for _, dir := range []string{".", "new"} {
		at, err := got.best.walk(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		d, err := got.best.list(at.dir, at.parent)
		if err != nil {
			t.Fatal(err)
		}
		err = eachRecord(d.raw, func(off int, r record) error {
			if n++; string(r.use()[6:8]) != "XA" {
				t.Errorf("%s: %q has % x", dir, r.id(), r.use()[:14])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 10 {
		t.Errorf("%d records", n)
	}
}
