package fat_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/isohttp/fat"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

var menu = []byte(strings.Repeat("menuentry 'Install' { linux /vmlinuz }\n", 50))

func files() []isotest.File {
	return []isotest.File{
		{Path: "EFI/BOOT/BOOTX64.EFI", Data: isotest.Generated(1, 70000)},
		{Path: "EFI/BOOT/grub.cfg", Data: menu},
		{Path: "EFI/BOOT/a rather long name for a font.pf2", Data: isotest.Generated(2, 5000)},
		{Path: "EFI/BOOT/empty.cfg", Data: []byte{}},
		{Path: "startup.nsh", Data: []byte("exit\n")},
	}
}

func build(t testing.TB, f isotest.FAT) []byte {
	t.Helper()
	if f.Files == nil {
		f.Files = files()
	}
	img, err := f.Build()
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func variants() map[string]isotest.FAT {
	return map[string]isotest.FAT{
		"12 full":     {Bits: 12},
		"12 one FAT":  {Bits: 12, FATs: 1, Free: 9},
		"12 room":     {Bits: 12, Size: 2 << 20},
		"16 room":     {Bits: 16, Size: 10 << 20},
		"16 clusters": {Bits: 16, Size: 33 << 20, Cluster: 8},
		"32 room":     {Bits: 32, Size: 40 << 20, Cluster: 1},
	}
}

func open(t testing.TB, img []byte) *fat.FS {
	t.Helper()
	f, err := fat.Open(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRead(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			img := build(t, v)
			f := open(t, img)
			if f.Bits() != v.Bits || f.Size() != int64(len(img)) {
				t.Errorf("FAT%d of %d bytes, want FAT%d of %d", f.Bits(), f.Size(), v.Bits, len(img))
			}
			var names []string
			for _, x := range files() {
				names = append(names, x.Path)
				got, err := f.ReadFile(x.Path)
				if err != nil || !bytes.Equal(got, x.Data) {
					t.Errorf("%s: %d bytes, %v; want %d", x.Path, len(got), err, len(x.Data))
				}
				var at []byte
				ext, err := f.Extents("/" + strings.ToUpper(x.Path))
				for _, e := range ext {
					at = append(at, img[e.Off:e.Off+e.Len]...)
				}
				if err != nil || !bytes.Equal(at, x.Data) {
					t.Errorf("%s: ranges %v, %v, hold other bytes", x.Path, ext, err)
				}
			}
			if err := fstest.TestFS(f, names...); err != nil {
				t.Error(err)
			}
		})
	}
}

// apply returns the image with what was planned.
func apply(img []byte, e *fat.Edit) []byte {
	img = bytes.Clone(img)
	for _, p := range e.Patches() {
		copy(img[p.Off:], p.Data)
	}
	return img
}

func TestReplace(t *testing.T) {
	for name, v := range variants() {
		img := build(t, v)
		for _, n := range []int{0, 1, len(menu) - 1, len(menu), len(menu) + 10, 2048, 2049, 9000} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				data := isotest.Generated(9, n)
				e := open(t, img).Edit()
				err := e.Replace("/EFI/BOOT/grub.cfg", data)
				if full := name == "12 full" && n > 2048; full != (err != nil) {
					t.Fatalf("replacing by %d bytes: %v", n, err)
				} else if full {
					return
				}
				want := data
				if n < len(menu) {
					want = append(data, bytes.Repeat([]byte("\n"), len(menu)-n)...)
				}
				got := apply(img, e)
				checkFiles(t, got, "EFI/BOOT/grub.cfg", want)
				if n <= len(menu) && len(e.Patches()) != 1 {
					t.Errorf("%d patches for equal length", len(e.Patches()))
				}
			})
		}
	}
}

func checkFiles(t *testing.T, img []byte, changed string, want []byte) {
	t.Helper()
	f := open(t, img)
	for _, x := range files() {
		w := x.Data
		if x.Path == changed {
			w = want
		}
		if got, err := f.ReadFile(x.Path); err != nil || !bytes.Equal(got, w) {
			t.Errorf("%s: %d bytes, %v; want %d", x.Path, len(got), err, len(w))
		}
	}
}

func TestReplaceSeesEarlierReplacements(t *testing.T) {
	for name, v := range variants() {
		if !strings.Contains(name, "room") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			img := build(t, v)
			e := open(t, img).Edit()
			first, second := isotest.Generated(3, 9001), isotest.Generated(4, 20000)
			for path, data := range map[string][]byte{"EFI/BOOT/empty.cfg": first, "EFI/BOOT/grub.cfg": first} {
				if err := e.Replace(path, data); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Replace("EFI/BOOT/grub.cfg", second); err != nil {
				t.Fatal(err)
			}
			f := open(t, apply(img, e))
			for path, want := range map[string][]byte{"EFI/BOOT/empty.cfg": first, "EFI/BOOT/grub.cfg": second} {
				if got, err := f.ReadFile(path); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, %v; want %d", path, len(got), err, len(want))
				}
			}
		})
	}
}

func TestReplaceErrors(t *testing.T) {
	e := open(t, build(t, isotest.FAT{Bits: 12})).Edit()
	if err := e.Replace("EFI/BOOT/none.cfg", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := e.Replace("EFI/BOOT", nil); err == nil {
		t.Error("a directory was replaced")
	}
	if len(e.Patches()) != 0 {
		t.Errorf("%d patches after errors", len(e.Patches()))
	}
}

func TestDamagedImages(t *testing.T) {
	sound := build(t, isotest.FAT{Bits: 12, Size: 1 << 20})
	for name, damage := range map[string]func(p []byte){
		"no signature":        func(p []byte) { p[510] = 0 },
		"sector size":         func(p []byte) { p[11] = 1 },
		"small sectors":       func(p []byte) { p[11], p[12] = 0, 1 },
		"large sectors":       func(p []byte) { p[11], p[12] = 0, 0x20 },
		"cluster size":        func(p []byte) { p[13] = 3 },
		"no tables":           func(p []byte) { p[16] = 0 },
		"longer than image":   func(p []byte) { p[19], p[20] = 0xFF, 0xFF },
		"table too short":     func(p []byte) { p[22] = 1 },
		"chain loops":         func(p []byte) { p[512+3], p[512+4], p[512+5] = 0x02, 0x20, 0x00 },
		"chain out of range":  func(p []byte) { p[512+3], p[512+4], p[512+5] = 0xE0, 0xEE, 0xFE },
		"file's chain loops":  func(p []byte) { loopMenu(p, 5000) },
		"file beyond image":   func(p []byte) { loopMenu(p, 0xFFFFFFFF) },
		"root in its own sub": func(p []byte) { root := p[512*5:]; copy(root[32+26:], root[64+26:66+26]) },
	} {
		t.Run(name, func(t *testing.T) {
			p := bytes.Clone(sound)
			damage(p)
			f, err := fat.Open(bytes.NewReader(p), int64(len(p)))
			if err == nil {
				err = fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
					if err == nil && !d.IsDir() {
						_, err = f.ReadFile(path)
					}
					return err
				})
			}
			if !errors.Is(err, fat.ErrFormat) {
				t.Errorf("got %v, want ErrFormat", err)
			}
		})
	}
}

// loopMenu makes the chain of grub.cfg a loop of its first cluster, and the file so many bytes long.
func loopMenu(p []byte, size uint32) {
	e := p[bytes.Index(p, []byte("GRUB    CFG")):]
	c := int(binary.LittleEndian.Uint16(e[26:]))
	at := 512 + c*3/2 // FAT12, behind one reserved sector
	v := binary.LittleEndian.Uint16(p[at:])
	if c%2 == 1 {
		v = v&0x000F | uint16(c)<<4
	} else {
		v = v&0xF000 | uint16(c)
	}
	binary.LittleEndian.PutUint16(p[at:], v)
	binary.LittleEndian.PutUint32(e[28:], size)
}

// A file in fragments, and one whose chain is longer than it needs, are sound.
func TestFragments(t *testing.T) {
	img := build(t, isotest.FAT{Bits: 12, Size: 1 << 20, Cluster: 1})
	e := open(t, img).Edit()
	first, second := isotest.Generated(3, 3000), isotest.Generated(4, 9000)
	for _, x := range []struct {
		name string
		data []byte
	}{{"EFI/BOOT/empty.cfg", first[:1000]}, {"EFI/BOOT/grub.cfg", second[:5000]}, {"EFI/BOOT/empty.cfg", first}, {"EFI/BOOT/grub.cfg", second}} {
		if err := e.Replace(x.name, x.data); err != nil {
			t.Fatal(err)
		}
	}
	img = apply(img, e)
	if ext, err := open(t, img).Extents("EFI/BOOT/grub.cfg"); err != nil || len(ext) < 3 {
		t.Errorf("the menu is in %v, %v: want fragments", ext, err)
	}
	at := bytes.Index(img, []byte("EMPTY   CFG"))
	binary.LittleEndian.PutUint32(img[at+28:], 1000) // of a chain for 3,000 bytes
	f := open(t, img)
	for name, want := range map[string][]byte{"EFI/BOOT/empty.cfg": first[:1000], "EFI/BOOT/grub.cfg": second} {
		if got, err := f.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
		}
	}
}

// Directories that lead back to others are found out also when these have been read before: a walk could double at every
// level.
func TestCycles(t *testing.T) {
	for _, bits := range []int{12, 32} {
		size := int64(1 << 20)
		if bits == 32 {
			size = 34 << 20
		}
		img := build(t, isotest.FAT{Bits: bits, Size: size, Cluster: 1, Files: []isotest.File{
			{Path: "UP/A/before", Data: menu}, {Path: "UP/A/A1/f", Data: menu}, {Path: "UP/B/B1/f", Data: menu},
		}})
		entry := func(name string) []byte { return img[bytes.Index(img, []byte(name+"         ")):] }
		target := entry("UP")[26:28]
		if bits == 32 {
			target = []byte{2, 0} // root
		}
		for _, name := range []string{"A1", "B1"} {
			copy(entry(name)[26:], target)
		}
		n, damaged := 0, 0
		err := fs.WalkDir(open(t, img), ".", func(path string, d fs.DirEntry, err error) error {
			if n++; n > 100 {
				return errors.New("too many files")
			}
			if errors.Is(err, fat.ErrFormat) {
				damaged++
			}
			return nil
		})
		if err != nil || damaged == 0 {
			t.Errorf("FAT%d: %v after %d files, %d errors", bits, err, n, damaged)
		}
	}
}

// A file whose second cluster lies right before its first is no loop.
func TestBackwards(t *testing.T) {
	img := build(t, isotest.FAT{Bits: 16, Size: 3 << 20, Cluster: 1})
	le := binary.LittleEndian
	e := img[bytes.Index(img, []byte("STARTUP NSH")):]
	table := img[512*int(le.Uint16(img[14:])):]
	const c = 5000 // free
	if le.Uint16(table[2*c:]) != 0 || le.Uint16(table[2*c-2:]) != 0 {
		t.Fatal("the cluster is not free")
	}
	le.PutUint16(e[26:], c)
	le.PutUint16(table[2*c:], c-1)
	le.PutUint16(table[2*c-2:], 0xFFFF)
	le.PutUint32(e[28:], 1000)
	if ext, err := open(t, img).Extents("startup.nsh"); err != nil || len(ext) != 2 || ext[1].Off+512 != ext[0].Off || ext[1].Len != 488 {
		t.Errorf("got %v, %v", ext, err)
	}
}

// FAT32 keeps the number of free clusters. It stays right, or unknown.
func TestFreeCount(t *testing.T) {
	img := build(t, isotest.FAT{Bits: 32, Size: 40 << 20, Cluster: 1})
	le := binary.LittleEndian
	info := img[512*int(le.Uint16(img[48:])):][:512]
	for _, was := range []uint32{70000, 2, 0xFFFFFFFF} {
		copy(info, "RRaA")
		copy(info[484:], "rrAa")
		le.PutUint32(info[488:], was)
		e := open(t, img).Edit()
		if err := e.Replace("EFI/BOOT/grub.cfg", make([]byte, len(menu)+10*512)); err != nil {
			t.Fatal(err)
		}
		want := was
		if was == 70000 {
			want -= 10
		}
		if got := le.Uint32(apply(img, e)[512*int(le.Uint16(img[48:]))+488:]); got != want {
			t.Errorf("of %d free clusters %d are left, want %d", was, got, want)
		}
	}
}

// The width of a FAT follows from the number of clusters, to the cluster.
func TestBits(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		clusters, bits int // 0: an error
		wide           bool
	}{
		{1, 12, false}, {4084, 12, false}, {4085, 16, false}, {65524, 16, false}, {65525, 0, false},
		{65524, 0, true}, {65525, 32, true}, {1 << 20, 32, true}, {0, 0, false},
	} {
		b := make([]byte, 512)
		copy(b, "\xEB\x3C\x90")
		le.PutUint16(b[11:], 512)
		b[13], b[14], b[16], b[510], b[511] = 1, 1, 1, 0x55, 0xAA
		table := (c.clusters+2)*4/512 + 1
		if c.wide {
			le.PutUint32(b[36:], uint32(table))
		} else {
			le.PutUint16(b[22:], uint16(table))
		}
		le.PutUint32(b[32:], uint32(1+table+c.clusters))
		f, err := fat.Open(bytes.NewReader(b), int64(1+table+c.clusters)*512)
		if c.bits == 0 && !errors.Is(err, fat.ErrFormat) || c.bits != 0 && (err != nil || f.Bits() != c.bits) {
			t.Errorf("%d clusters: %+v, %v; want FAT%d", c.clusters, f, err, c.bits)
		}
	}
}
