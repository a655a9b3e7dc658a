package main

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// espImage is an image with an appended EFI partition, as Fedora's are.
func espImage(t testing.TB) []byte {
	t.Helper()
	esp, err := isotest.FAT{Bits: 12, Files: []isotest.File{{Path: "/EFI/BOOT/grub.cfg", Data: []byte("menu\n")}}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	iso, err := isotest.Build(isotest.Layout{VolumeID: "ESP", RockRidge: true, ESP: esp, Files: []isotest.File{{Path: "/a", Data: []byte("a")}}})
	if err != nil {
		t.Fatal(err)
	}
	return iso
}

func TestReadPartitions(t *testing.T) {
	iso := espImage(t)
	got, err := readPartitions(bytes.NewReader(iso), int64(len(iso)))
	if err != nil {
		t.Fatal(err)
	}
	var esp partition
	for _, p := range got {
		if p.Beyond {
			t.Errorf("%s lies beyond the image", p)
		}
		if p.Table == "GPT" && p.Number == 2 {
			esp = p
		}
	}
	if len(got) == 0 || got[0].Table != "MBR" || got[0].Type != "0xee" {
		t.Errorf("no protective partition: %v", got)
	}
	if esp.Size == 0 || !bytes.Equal(iso[esp.Offset+510:][:2], []byte{0x55, 0xAA}) {
		t.Errorf("%s does not begin with a FAT boot sector", esp)
	}
}

func TestReadPartitionsErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(header []byte)
		want  string
	}{
		{"too many", func(h []byte) { binary.LittleEndian.PutUint32(h[80:], 1<<31) }, "GPT: 2147483648 entries of 128 bytes cannot be"},
		{"too wide", func(h []byte) { binary.LittleEndian.PutUint32(h[84:], 1<<31) }, "cannot be"},
		{"outside", func(h []byte) { binary.LittleEndian.PutUint64(h[72:], 1<<62) }, "GPT: its entries lie outside the image"},
	} {
		iso := espImage(t)
		tc.spoil(iso[sector:])
		_, err := readPartitions(bytes.NewReader(iso), int64(len(iso)))
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	if got, err := readPartitions(bytes.NewReader([]byte("short")), 5); err != nil || !cmp.Equal(got, []partition{}) {
		t.Errorf("of five bytes: %v, %v", got, err)
	}
}

// FuzzPartitions: whatever a table says, a partition that is not said to lie
// beyond the image lies in it.
func FuzzPartitions(f *testing.F) {
	iso := espImage(f)
	f.Add(iso[:34*sector])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, image []byte) {
		list, err := readPartitions(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		for _, p := range list {
			if p.Offset < 0 || p.Size < 0 || !p.Beyond && p.Offset+p.Size > int64(len(image)) {
				t.Errorf("%+v of an image of %d bytes", p, len(image))
			}
		}
	})
}
