package fat_test

import (
	"bytes"
	"io/fs"
	"testing"

	"github.com/metalcue/metalcue/isohttp/fat"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// small are images that fit a corpus.
func small(t testing.TB) [][]byte {
	f := []isotest.File{
		{Path: "EFI/BOOT/grub.cfg", Data: []byte("menuentry stock {}\n")}, {Path: "EFI/a long name for a file.txt", Data: isotest.Generated(1, 1500)},
		{Path: "empty", Data: []byte{}},
	}
	return [][]byte{
		build(t, isotest.FAT{Bits: 12, Cluster: 1, Free: 3, Files: f}),
		build(t, isotest.FAT{Bits: 12, Cluster: 2, FATs: 1, Free: 20, Files: f}),
	}
}

func FuzzRead(f *testing.F) {
	for _, img := range small(f) {
		f.Add(img)
	}
	f.Fuzz(readAndReplace)
}

// FuzzMutate changes bytes of a sound image of any width, the wide ones too large for a corpus.
func FuzzMutate(f *testing.F) {
	images := append(small(f), build(f, isotest.FAT{Bits: 16, Size: 3 << 20, Cluster: 1}), build(f, isotest.FAT{Bits: 32, Size: 34 << 20, Cluster: 1}))
	for i := range images {
		f.Add(uint8(i), []byte{0, 0, 13, 1, 0, 2, 3, 4})
	}
	f.Fuzz(func(t *testing.T, which uint8, changes []byte) {
		img := images[int(which)%len(images)]
		var undo []byte
		for c := changes; len(c) >= 4; c = c[4:] {
			at := (int(c[0])<<16 | int(c[1])<<8 | int(c[2])) % min(len(img), 2<<20)
			undo = append(undo, img[at])
			img[at] = c[3]
		}
		readAndReplace(t, img)
		for i := len(undo) - 1; i >= 0; i-- {
			c := changes[4*i:]
			img[(int(c[0])<<16|int(c[1])<<8|int(c[2]))%min(len(img), 2<<20)] = undo[i]
		}
	})
}

// readAndReplace reads everything and replaces a menu: errors, or ranges inside the image.
func readAndReplace(t *testing.T, img []byte) {
	f, err := fat.Open(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		return
	}
	n := 0
	_ = fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if n++; n > len(img) {
			t.Fatal("more files than the image has room for")
		}
		if err != nil || d.IsDir() || n > 1000 {
			return nil
		}
		ext, err := f.Extents(path)
		if err != nil {
			return nil
		}
		for _, x := range ext {
			if x.Off < 0 || x.Len <= 0 || x.Off+x.Len > int64(len(img)) {
				t.Fatalf("%s: range %v lies outside the image of %d", path, x, len(img))
			}
		}
		return nil
	})
	for _, size := range []int{5, 900, 3000} {
		e := f.Edit()
		if e.Replace("EFI/BOOT/grub.cfg", make([]byte, size)) != nil {
			continue
		}
		for _, p := range e.Patches() {
			if p.Off < 0 || p.Off+int64(len(p.Data)) > int64(len(img)) {
				t.Fatalf("patch of %d bytes at %d lies outside the image of %d", len(p.Data), p.Off, len(img))
			}
		}
	}
}

// Every beginning of an image is an error, or cut behind all that it holds.
func TestEveryPrefix(t *testing.T) {
	for i, img := range small(t) {
		for n := 0; n < len(img); n += 97 {
			if _, err := fat.Open(bytes.NewReader(img[:n]), int64(n)); err == nil {
				t.Errorf("image %d cut to %d of %d bytes was opened", i, n, len(img))
			}
		}
	}
}
