package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// tiny are small images of different kinds: seeds of the fuzz targets and subjects of the tests over every byte.
func tiny(t testing.TB) [][]byte {
	t.Helper()
	esp, err := isotest.FAT{Bits: 12, Cluster: 1, Files: []isotest.File{{Path: "EFI/BOOT/grub.cfg", Data: []byte("menuentry stock {}\n")}}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	files := []isotest.File{
		{Path: "EFI/BOOT/grub.cfg", Data: []byte("menuentry stock {}\n")}, {Path: "isolinux/isolinux.cfg", Data: []byte("timeout 600\n")},
		{Path: "images/initrd.img", Size: 100}, {Path: "empty", Data: []byte{}}, {Path: "link", Link: "images/initrd.img"},
	}
	efi := append(files[:len(files):len(files)], isotest.File{Path: "images/efiboot.img", Data: esp})
	boot := []isotest.Boot{{Platform: 0xEF, Path: "images/efiboot.img"}}
	var all [][]byte
	for _, l := range []isotest.Layout{
		{VolumeID: "TINY", RockRidge: true, Files: files},
		{VolumeID: "TINY", Joliet: true, OptionalTables: true, Files: files},
		{VolumeID: "TINY", RockRidge: true, Joliet: true, Enhanced: true, Untranslated: true, FullRoot: true, Files: efi, Boot: boot, Catalog: "isolinux/boot.cat"},
		{VolumeID: "TINY", RockRidge: true, Files: files, ESP: esp, Tail: 1000},
		{VolumeID: "TINY", RockRidge: true, XA: true, FullRoot: true, Files: files},
	} {
		img, err := isotest.Build(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, img)
	}
	return all
}

// errTooMuch ends a walk that goes on for longer than an image of its size can have reason to.
var errTooMuch = errors.New("more files than the image has room for")

// readAll walks every tree and reads every file, and checks that extents lie in the image.
func readAll(m *Image) error {
	var all []error
	trees := []fs.FS{}
	for _, t := range m.Trees() {
		trees = append(trees, t)
	}
	if efi, _, err := m.EFI(); err == nil {
		trees = append(trees, efi)
	} else if !errors.Is(err, ErrNoEFI) {
		all = append(all, err)
	}
	for _, tree := range trees {
		n := int64(0)
		err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
			if n++; n > m.Size() {
				return errTooMuch
			}
			if err != nil {
				all = append(all, err)
				return nil
			}
			if d.Type().IsRegular() && n < 1000 {
				if _, err := fs.ReadFile(tree, path); err != nil {
					all = append(all, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(all...)
}

// stdPatch is an edit that suits every tiny image.
func stdPatch(m *Image) *Edit {
	e := m.Edit()
	e.Mkdir("/new")
	e.Write("/new/a long name for a file.cfg", []byte("x"))
	for i := range 12 {
		e.Write(fmt.Sprintf("/added%02d.cfg", i), bytes.Repeat([]byte{'k'}, 100*i))
	}
	e.Write("/EFI/BOOT/grub.cfg", []byte("set timeout=0\n"))
	e.Append("/images/initrd.img", []byte("more"))
	e.Hide("/empty")
	if _, _, err := m.EFI(); err == nil {
		e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("stub\n"))
	}
	e.Apart("/added03.cfg")
	e.Apart("/images/initrd.img")
	return e
}

// mapped checks that pieces lie in base and view, in order and without gaps.
func mapped(v *View, base int64) error {
	at := int64(0)
	for i, p := range v.Pieces() {
		if p.Off != at || p.Len <= 0 || p.Base && (p.BaseOff < 0 || p.BaseOff+p.Len > base) || !p.Base && p.Data != nil && int64(len(p.Data)) != p.Len {
			return fmt.Errorf("piece %d at %d: %d bytes at %d, of the base %t at %d", i, at, p.Len, p.Off, p.Base, p.BaseOff)
		}
		at += p.Len
	}
	if at != v.Size() || at%blockSize != 0 {
		return fmt.Errorf("pieces of %d bytes in a view of %d", at, v.Size())
	}
	return nil
}

func FuzzOpen(f *testing.F) {
	for _, img := range tiny(f) {
		f.Add(img)
	}
	f.Fuzz(func(t *testing.T, img []byte) {
		m, err := Open(bytes.NewReader(img), int64(len(img)))
		if err != nil {
			return
		}
		if err := readAll(m); errors.Is(err, errTooMuch) {
			t.Fatal(err)
		}
	})
}

// FuzzMutate changes bytes of a sound image where they matter: in its structure.
func FuzzMutate(f *testing.F) {
	images := tiny(f)
	structures := make([][]Extent, len(images))
	for i, img := range images {
		structures[i] = open(f, img).findStructure()
		f.Add(uint8(i), []byte{0, 80, 156, 7})
	}
	f.Fuzz(func(t *testing.T, which uint8, changes []byte) {
		i := int(which) % len(images)
		img := bytes.Clone(images[i])
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0])<<16 | int(changes[1])<<8 | int(changes[2])
			img[inside(structures[i], at)] = changes[3]
		}
		patchAnything(t, img)
	})
}

// inside is the offset of byte n of the ranges, which are taken to be endless.
func inside(ext []Extent, n int) int64 {
	total := int64(0)
	for _, x := range ext {
		total += x.Len
	}
	at := int64(n) % total
	for _, x := range ext {
		if at < x.Len {
			return x.Off + at
		}
		at -= x.Len
	}
	panic("ranges without end")
}

// FuzzPatch opens anything and patches it.
func FuzzPatch(f *testing.F) {
	for _, img := range tiny(f) {
		f.Add(img)
	}
	f.Fuzz(patchAnything)
}

// patchAnything patches an image that may be damaged: an error, or a view of which nothing lies outside the base.
func patchAnything(t *testing.T, img []byte) {
	m, err := Open(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		return
	}
	if err := readAll(m); errors.Is(err, errTooMuch) {
		t.Fatal(err)
	}
	v, err := stdPatch(m).View()
	if err != nil {
		return
	}
	if err := mapped(v, m.Size()); err != nil {
		t.Fatal(err)
	}
	v.Structure()
	if _, err := io.Copy(io.Discard, io.NewSectionReader(v, 0, v.Size())); err != nil {
		t.Fatal(err)
	}
}

// Of every beginning of an image, opening and reading is an error, or gives what the whole image has.
func TestEveryPrefix(t *testing.T) {
	for i, img := range tiny(t) {
		whole := contents(t, open(t, img))
		for n := 0; n < len(img); n += 211 {
			m, err := Open(bytes.NewReader(img[:n]), int64(n))
			if err != nil || readAll(m) != nil {
				continue
			}
			got := contents(t, m)
			for path, data := range got {
				if whole[path] != data {
					t.Fatalf("image %d cut to %d of %d: %s is read as something else", i, n, len(img), path)
				}
			}
			if len(got) != len(whole) {
				t.Errorf("image %d cut to %d of %d: %d files of %d and no error", i, n, len(img), len(got), len(whole))
			}
		}
	}
}

// Random edits, held against what they say, and every byte outside the patch against the base.
func TestRandomPatches(t *testing.T) {
	for i, img := range tiny(t) {
		m := open(t, img)
		for seed := range uint64(40) {
			t.Run(fmt.Sprintf("image=%d/seed=%d", i, seed), func(t *testing.T) {
				randomPatch(t, m, img, rand.New(rand.NewPCG(seed, uint64(i))))
			})
		}
	}
}

func randomPatch(t *testing.T, m *Image, img []byte, r *rand.Rand) {
	e := m.Edit()
	want := map[string]string{}
	data := func() []byte {
		return isotest.Generated(r.Uint64N(1000), int([]uint64{0, 1, 100, 2048, 2049, 9000}[r.IntN(6)]))
	}
	dirs := []string{"", "EFI/", "EFI/BOOT/", "images/"}
	for range r.IntN(30) {
		switch r.IntN(6) {
		case 0:
			if dir := fmt.Sprintf("%sdir%d", dirs[r.IntN(len(dirs))], len(dirs)); len(dir) < 60 {
				e.Mkdir(dir)
				dirs = append(dirs, dir+"/")
				want[dir+"/"] = ""
			}
		case 1:
			b := data()
			if _, ok := want["images/initrd.img"]; !ok {
				p := make([]byte, 100)
				isotest.Payload(2<<40, p, 0)
				want["images/initrd.img"] = string(p)
			}
			e.Append("images/initrd.img", b)
			want["images/initrd.img"] += string(b)
		case 2:
			if want["isolinux/isolinux.cfg"] != gone {
				e.Hide("isolinux/isolinux.cfg")
				want["isolinux/isolinux.cfg"] = gone
			}
		case 3:
			b := data()
			e.Write("EFI/BOOT/grub.cfg", b)
			want["EFI/BOOT/grub.cfg"] = string(b)
		default:
			b := data()
			name := fmt.Sprintf("%sf%d.cfg", dirs[r.IntN(len(dirs))], r.IntN(60))
			e.Write(name, b)
			want[name] = string(b)
		}
	}
	got, v := patched(t, e, img)
	expect(t, m, got, want, nil)
	for _, tree := range got.Trees() {
		checkTables(t, tree)
	}
	checkOutside(t, v, img)
	checkAgain(t, m, img, e.ops, r)
}

// checkOutside compares every byte of the base that is not in the patch: all pieces before the tail either are the base's
// own bytes at their own place, or lie in structure.
func checkOutside(t *testing.T, v *View, img []byte) {
	t.Helper()
	structure := v.Structure()
	inside := func(off, n int64) bool {
		for _, x := range structure {
			if off >= x.Off && off+n <= x.Off+x.Len {
				return true
			}
		}
		return false
	}
	for _, p := range v.Pieces() {
		if p.Off >= int64(len(img)) {
			break
		}
		if p.Base && p.BaseOff != p.Off {
			t.Errorf("bytes at %d are those at %d", p.Off, p.BaseOff)
		}
		if !p.Base && !inside(p.Off, p.Len) && p.Off < int64(len(img)) {
			t.Errorf("%d bytes at %d are changed, and are no structure", p.Len, p.Off)
		}
	}
	b := make([]byte, len(img))
	if _, err := v.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	for i := range img {
		if b[i] != img[i] && !inside(int64(i), 1) {
			t.Fatalf("byte %d is changed, and is no structure", i)
		}
	}
}
