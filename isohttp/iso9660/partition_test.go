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
