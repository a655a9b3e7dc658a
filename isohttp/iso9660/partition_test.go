package iso9660

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// checkGPT holds both headers of an image's GPT against the image.
func checkGPT(t testing.TB, img []byte) {
	t.Helper()
	le := binary.LittleEndian
	last := uint64(len(img)/sectorSize) - 1
	var arrays [2][]byte
	for i, at := range []uint64{1, last} {
		h := img[at*sectorSize:][:sectorSize]
		if string(h[:8]) != "EFI PART" || le.Uint32(h[16:]) != headerCRC(h) {
			t.Fatalf("header at sector %d is damaged", at)
		}
		if le.Uint64(h[24:]) != at || le.Uint64(h[32:]) != 1+last-at {
			t.Errorf("header at sector %d says %d, other %d of %d", at, le.Uint64(h[24:]), le.Uint64(h[32:]), last)
		}
		array := img[le.Uint64(h[72:])*sectorSize:][:le.Uint32(h[80:])*le.Uint32(h[84:])]
		if le.Uint32(h[88:]) != crc32.ChecksumIEEE(array) {
			t.Errorf("entries of the header at sector %d are damaged", at)
		}
		if usable := le.Uint64(h[48:]); usable >= last-uint64(len(array)/sectorSize) {
			t.Errorf("sectors up to %d are usable, the backup is from %d on", usable, last-uint64(len(array)/sectorSize))
		}
		arrays[i] = array
	}
	if !bytes.Equal(arrays[0], arrays[1]) {
		t.Error("the entries differ from their backup")
	}
	for at := 446; at < 510; at += 16 {
		if e := img[at : at+16]; e[4] == 0xEE && uint64(le.Uint32(e[8:]))+uint64(le.Uint32(e[12:]))-1 != last {
			t.Errorf("the protective partition is of %d sectors from %d on, the image ends at %d", le.Uint32(e[12:]), le.Uint32(e[8:]), last)
		}
	}
}

func TestGPTIsMended(t *testing.T) {
	base := tiny(t)[3]
	m := open(t, base)
	if !m.disk.usable {
		t.Fatal("the image has no sound GPT")
	}
	e := m.Edit()
	e.Write("/ks.cfg", []byte("poweroff\n"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("stub\n"))
	img := materialize(t, view(t, e), base)
	checkGPT(t, img)
	if got := open(t, img); !got.disk.usable {
		t.Error("the patched image's GPT is not sound")
	}
}

// A GPT that is not sound, as Debian's is, is left as it is.
func TestUnsoundGPTIsLeft(t *testing.T) {
	base := bytes.Clone(tiny(t)[3])
	base[sectorSize+100] = 1 // behind the header's 92 bytes: no harm
	base[sectorSize+60]++    // in them: its checksum is wrong
	e := open(t, base).Edit()
	e.Write("/ks.cfg", []byte("poweroff\n"))
	img := materialize(t, view(t, e), base)
	if !bytes.Equal(img[sectorSize:16*blockSize], base[sectorSize:16*blockSize]) {
		t.Error("the header or its entries were changed")
	}
}

// mbr writes partition entries of type, first sector and length into an image's first sector.
func mbr(img []byte, entries ...[3]uint32) {
	clear(img[446:510])
	for i, x := range entries {
		e := img[446+16*i:]
		e[4] = byte(x[0])
		binary.LittleEndian.PutUint32(e[8:], x[1])
		binary.LittleEndian.PutUint32(e[12:], x[2])
	}
	img[510], img[511] = 0x55, 0xAA
}

// Of the entries of an MBR those grow that stand for the whole image; the dummy of one sector that makes old firmware boot a
// protected disk (xorriso --mbr-force-bootable, as Fedora and Ubuntu have it) does not, nor one that ends before another.
func TestMBRIsMended(t *testing.T) {
	base := tiny(t)[0]
	n := uint32(len(base) / sectorSize)
	for name, c := range map[string]struct {
		entries [][3]uint32
		grows   int // entry, -1: none
	}{
		"protective":         {[][3]uint32{{0xEE, 1, n - 1}}, 0},
		"with dummy":         {[][3]uint32{{0xEE, 1, n - 1}, {0, 0, 1}}, 0},
		"hybrid":             {[][3]uint32{{0xEE, 1, 63}, {0xEF, 64, n - 64}}, -1},
		"too large":          {[][3]uint32{{0xEE, 1, 0xFFFFFFFF}}, 0},
		"only dummy":         {[][3]uint32{{0, 0, 1}}, -1},
		"isohybrid":          {[][3]uint32{{0x17, 0, n}}, 0},
		"isohybrid with ESP": {[][3]uint32{{0, 0, n}, {0xEF, 100, 8}}, 0},
		"appended ESP":       {[][3]uint32{{0x83, 0, n - 8}, {0xEF, n - 8, 8}}, -1},
		"offset":             {[][3]uint32{{0x83, 64, n - 64}}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			img := bytes.Clone(base)
			mbr(img, c.entries...)
			e := open(t, img).Edit()
			e.Write("/ks.cfg", []byte("poweroff\n"))
			got := materialize(t, view(t, e), img)
			want := bytes.Clone(img[:sectorSize])
			if c.grows >= 0 {
				at := 446 + 16*c.grows
				first := binary.LittleEndian.Uint32(want[at+8:])
				binary.LittleEndian.PutUint32(want[at+12:], uint32(len(got)/sectorSize)-first)
			}
			if !bytes.Equal(got[:sectorSize], want) {
				t.Errorf("entries\n% x, want\n% x", got[446:510], want[446:510])
			}
		})
	}
}

// A GPT partition for the whole image, as isohybrid writes it, grows with the image; others stay.
func TestGPTWholeEntry(t *testing.T) {
	for name, whole := range map[string]bool{"isohybrid": true, "appended": false} {
		t.Run(name, func(t *testing.T) {
			img := bytes.Clone(tiny(t)[3])
			le := binary.LittleEndian
			h := img[sectorSize:]
			array := img[le.Uint64(h[72:])*sectorSize:][:le.Uint32(h[80:])*le.Uint32(h[84:])]
			if whole {
				le.PutUint64(array[32:], 0)
				le.PutUint64(array[40:], le.Uint64(array[128+40:])+5)
				le.PutUint32(h[88:], crc32.ChecksumIEEE(array))
				le.PutUint32(h[16:], headerCRC(h))
			}
			was := bytes.Clone(array)
			e := open(t, img).Edit()
			e.Write("/ks.cfg", []byte("poweroff\n"))
			got := materialize(t, view(t, e), img)
			checkGPT(t, got)
			h = got[sectorSize:]
			is := got[le.Uint64(h[72:])*sectorSize:][:len(was)]
			if whole {
				le.PutUint64(was[40:], le.Uint64(h[48:]))
			}
			if !bytes.Equal(is, was) {
				t.Errorf("entries end at %d and %d, want %d and %d", le.Uint64(is[40:]), le.Uint64(is[168:]), le.Uint64(was[40:]), le.Uint64(was[168:]))
			}
		})
	}
}
