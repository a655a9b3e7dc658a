package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// One error names what is wrong, and where.
func TestHostileImages(t *testing.T) {
	base := tiny(t)[0]
	m := open(t, base)
	root := m.trees[0].offset(m.trees[0].root.lba())
	record := func(img []byte, id string) []byte {
		i := bytes.Index(img[root:root+blockSize], []byte(id))
		if i < 0 {
			t.Fatalf("no record %s", id)
		}
		return img[int(root)+i-33:]
	}
	for name, c := range map[string]struct {
		damage func(img []byte)
		says   string
	}{
		"directory contains itself": {func(img []byte) { putBoth32(record(img, "IMAGES")[2:], m.trees[0].root.lba()) }, "contains itself"},
		"directory twice":           {func(img []byte) { copy(record(img, "IMAGES")[2:10], record(img, "EFI")[2:10]) }, "listed twice"},
		"directory elsewhere":       {func(img []byte) { putBoth32(record(img, "EFI")[2:], m.trees[0].root.lba()+1) }, "directory"},
		"directory without end":     {func(img []byte) { putBoth32(record(img, "EFI")[10:], 0xFFFFFFF0) }, "4294967280"},
		"file outside": {func(img []byte) {
			putBoth32(record(img, "EMPTY")[2:], 0x7FFFFFFF)
			putBoth32(record(img, "EMPTY")[10:], 7)
		}, "beyond the image"},
		"file too long":         {func(img []byte) { putBoth32(record(img, "EMPTY")[10:], 0x7FFFFFFF) }, "more than the image"},
		"path tables too long":  {func(img []byte) { putBoth32(img[16*blockSize+132:], 0x00FFFFFF) }, "path tables"},
		"directory's own again": {func(img []byte) { r := record(img, "IMAGES"); r[32], r[33] = 1, 0 }, `".."`},
		"parent's again":        {func(img []byte) { r := record(img, "IMAGES"); r[32], r[33] = 1, 1 }, `".."`},
		"record too long":       {func(img []byte) { record(img, "IMAGES")[0] = 20 }, "directory record at byte"},
		"identifier too long":   {func(img []byte) { record(img, "IMAGES")[32] = 200 }, "identifier"},
		"name with slash":       {func(img []byte) { copy(img[bytes.Index(img, []byte("images")):], "im/ges") }, "im/ges"},
		"name of dots": {func(img []byte) {
			i := bytes.Index(img, []byte("NM\x08\x01\x00EFI"))
			copy(img[i:], "NM\x07\x01\x00..")
		}, `".."`},
		"field too long": {func(img []byte) { r := record(img, "IMAGES"); r[bytes.Index(r, []byte("TF"))+2] = 250 }, "system use field"},
		"continuation loop": {func(img []byte) {
			i := bytes.Index(img, []byte("CE\x1c\x01"))
			ce := bytes.Clone(img[i : i+28])
			putBoth32(ce[20:], 28)
			copy(img[bytes.Index(img, []byte("ER\xed\x01")):], ce)
			r := record(img, "IMAGES")
			copy(r[bytes.Index(r, []byte("PX")):], ce)
		}, "continuation"},
		"cut short": {func(img []byte) { putBoth32(img[16*blockSize+80:], 0x00FFFFFF) }, "cut short"},
	} {
		t.Run(name, func(t *testing.T) {
			img := bytes.Clone(base)
			c.damage(img)
			m, err := Open(bytes.NewReader(img), int64(len(img)))
			if err == nil {
				err = readAll(m)
			}
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want ErrFormat with %q", err, c.says)
			}
		})
	}
}

func TestDamagedCatalog(t *testing.T) {
	for name, damage := range map[string]func(cat []byte){
		"validation": func(cat []byte) { cat[30] = 0 },
		"checksum":   func(cat []byte) { cat[28]++ },
		"image":      func(cat []byte) { cat[41] = 0xFF },
		"entries":    func(cat []byte) { cat[64], cat[66], cat[67] = 0x91, 0xFF, 0xFF },
	} {
		t.Run(name, func(t *testing.T) {
			img := bytes.Clone(tiny(t)[2])
			m := open(t, img)
			damage(img[m.catalog.Off:])
			if _, err := Open(bytes.NewReader(img), int64(len(img))); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "boot catalog at block") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefusesZisofs(t *testing.T) {
	img := bytes.Clone(tiny(t)[0])
	r := img[bytes.Index(img, []byte("LINK.;1"))-33:]
	copy(r[bytes.Index(r, []byte("TF")):], "ZF")
	m := open(t, img)
	if _, err := fs.ReadFile(m.FS(), "link"); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "zisofs") {
		t.Errorf("reading: %v", err)
	}
	e := m.Edit()
	e.Write("/link", nil)
	if _, err := e.View(); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "zisofs") {
		t.Errorf("writing: %v", err)
	}
}

// Without Rock Ridge and Joliet a name must be one that the tree can show.
func TestPlainNames(t *testing.T) {
	base, err := isotest.Build(isotest.Layout{VolumeID: "ESXI", Files: []isotest.File{
		{Path: "EFI/BOOT/BOOT.CFG", Data: []byte("timeout=5\n")}, {Path: "B.B00", Data: []byte("b")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, base)
	e := m.Edit()
	e.Write("/ks.cfg", []byte("vmaccepteula\n"))
	e.Write("/efi/boot/boot.cfg", []byte("timeout=0\n"))
	got, _ := patched(t, e, base)
	expect(t, m, got, map[string]string{"ks.cfg": "vmaccepteula\n", "efi/boot/boot.cfg": "timeout=0\n"}, nil)
	for _, name := range []string{"/user-data.conf", "/a b.cfg", "/kickstart.cfg"} {
		e := m.Edit()
		e.Write(name, nil)
		if _, err := e.View(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusesUDF(t *testing.T) {
	img := bytes.Clone(tiny(t)[0])
	end := bytes.Index(img, []byte("\xffCD001")) + blockSize
	for i, id := range []string{"BEA01", "NSR02", "TEA01"} {
		copy(img[end+i*blockSize:], "\x00"+id+"\x01")
	}
	if _, err := Open(bytes.NewReader(img), int64(len(img))); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "UDF") {
		t.Errorf("got %v", err)
	}
}

// Continuation areas that many records share must not take long to read: an image of 2 MiB could keep a reader for an hour.
func TestSharedContinuationAreas(t *testing.T) {
	const areas, area = 31, 64 << 10
	img := bytes.Clone(tiny(t)[0])
	at := uint32(len(img) / blockSize)
	ce := func(lba uint32) []byte {
		b := append([]byte("CE\x1c\x01"), make([]byte, 24)...)
		putBoth32(b[4:], lba)
		putBoth32(b[20:], area)
		return b
	}
	chain := bytes.Repeat([]byte("XX\x04\x01"), areas*area/4)
	for i := range uint32(areas - 1) {
		copy(chain[i*area:], ce(at+(i+1)*area/blockSize))
	}
	self, length := at+areas*area/blockSize, uint32(16*blockSize)
	dir := slices.Concat(rawRecord("\x00", self, length, 2, []byte("SP\x07\x01\xBE\xEF\x00")), rawRecord("\x01", self, length, 2, nil))
	for i := 0; len(dir)+100 < int(length); i++ {
		r := rawRecord(fmt.Sprintf("F%05d.;1", i), 0, 0, 0, ce(at))
		if len(dir)%blockSize+len(r) > blockSize {
			dir = append(dir, make([]byte, blockSize-len(dir)%blockSize)...)
		}
		dir = append(dir, r...)
	}
	img = slices.Concat(img, chain, dir, make([]byte, int(length)-len(dir)))
	vd := img[firstSet*blockSize:]
	putBoth32(vd[80:], uint32(len(img)/blockSize))
	record(vd[156:]).setExtent(self, length)
	begin := time.Now()
	_, err := fs.ReadDir(open(t, img).FS(), ".")
	if took := time.Since(begin); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "continuation") || took > 2*time.Second {
		t.Errorf("got %v after %v", err, took)
	}
}

// rawRecord is a directory record.
func rawRecord(id string, lba, length uint32, flags byte, use []byte) []byte {
	r := append(make(record, 33), id...)
	r.setExtent(lba, length)
	r[25], r[32] = flags, byte(len(id))
	if len(id)%2 == 0 {
		r = append(r, 0)
	}
	if r = append(r, use...); len(r)%2 == 1 {
		r = append(r, 0)
	}
	r[0] = byte(len(r))
	return r
}

// Descriptors are told by what they are, in whatever order they come.
func TestDescriptorOrder(t *testing.T) {
	img := bytes.Clone(tiny(t)[1])
	first, second := img[firstSet*blockSize:][:blockSize], img[(firstSet+1)*blockSize:][:blockSize]
	was := contents(t, open(t, img))
	swapped := slices.Concat(second, first)
	copy(first, swapped)
	copy(second, swapped[blockSize:])
	m := open(t, img)
	if got := contents(t, m); !maps.Equal(got, was) || m.VolumeID() != "TINY" {
		t.Errorf("%s has %d files, want %d", m.VolumeID(), len(got), len(was))
	}
	for _, level := range []string{"%/@", "%/C", "%/E"} {
		copy(first[88:], level)
		if got := contents(t, open(t, img)); !maps.Equal(got, was) {
			t.Errorf("Joliet %s: %d files, want %d", level, len(got), len(was))
		}
	}
}

// A path table that is damaged is no reason to write another damaged one.
func TestDamagedPathTable(t *testing.T) {
	for name, damage := range map[string]func(table []byte){
		"parent": func(table []byte) { table[10+6] = 9 },
		"length": func(table []byte) { table[10] = 250 },
	} {
		t.Run(name, func(t *testing.T) {
			img := bytes.Clone(tiny(t)[0])
			m := open(t, img)
			tree := m.trees[0]
			damage(img[tree.offset(tree.tables[0]):])
			e := m.Edit()
			e.Mkdir("/new")
			if _, err := e.View(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "path table at block") {
				t.Errorf("making a directory: %v", err)
			}
			e = m.Edit()
			grow(e, "images")
			if _, err := e.View(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "path table at block") {
				t.Errorf("moving a directory: %v", err)
			}
		})
	}
}

// Directories that lead back to others are found out also when these have been read before: a walk could double at every level.
func TestCycles(t *testing.T) {
	img := bytes.Clone(tiny(t)[0])
	m := open(t, img)
	tree := m.best
	root, err := tree.list(tree.rootRef(), tree.rootRef())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"EFI", "isolinux"} {
		d := tree.find(root, name)
		in, err := tree.list(d.dir, d.parent)
		if err != nil {
			t.Fatal(err)
		}
		at := tree.offset(d.dir.lba) + int64(in.entries[0].off)
		r := record(img[at:])
		r.setExtent(tree.root.lba(), tree.root.length())
		r[25] = flagDir
		if use := r[:r[0]].use(); use[4] != 0 { // PX
			putBoth32(use[4:], 0o40555)
		}
	}
	n, damaged := 0, 0
	err = fs.WalkDir(open(t, img).FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if n++; n > 100 {
			return errTooMuch
		}
		if errors.Is(err, ErrFormat) && strings.Contains(err.Error(), "its parent is") {
			damaged++
		}
		return nil
	})
	if err != nil || damaged != 2 {
		t.Errorf("walking: %v after %d files, %d errors", err, n, damaged)
	}
}
