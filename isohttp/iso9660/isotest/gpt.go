package isotest

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	gptEntries   = 248 // as xorriso lays them out: more than the usual 128
	gptEntrySize = 128
)

// writeGPT writes the protective MBR, the GPT and its backup: partition 1 is the file system, 2 the appended ESP.
func (b *builder) writeGPT(size, volume int64) {
	sectors := uint64(size / 512)
	mbr := make([]byte, 512)
	mbr[450] = 0xEE
	binary.LittleEndian.PutUint32(mbr[454:], 1)
	binary.LittleEndian.PutUint32(mbr[458:], uint32(sectors-1))
	mbr[510], mbr[511] = 0x55, 0xAA
	b.putBytes(0, mbr)

	array := make([]byte, gptEntries*gptEntrySize)
	gptPartition(array, 0xEBD0A0A2, 64, uint64(b.espLB*4)-1, "ISO9660")
	gptPartition(array[gptEntrySize:], 0xC12A7328, uint64(b.espLB*4), uint64(volume*4)-1, "Appended2")
	arraySectors := uint64(len(array) / 512)
	b.putBytes(512, gptHeader(array, 1, sectors-1, 2, sectors))
	b.putBytes(1024, array)
	b.putBytes(int64(sectors-1-arraySectors)*512, array)
	b.putBytes(int64(sectors-1)*512, gptHeader(array, sectors-1, 1, sectors-1-arraySectors, sectors))
}

func gptPartition(e []byte, kind uint32, first, last uint64, name string) {
	binary.LittleEndian.PutUint32(e, kind) // enough of the type's GUID to tell it
	binary.LittleEndian.PutUint32(e[16:], kind^uint32(first))
	binary.LittleEndian.PutUint64(e[32:], first)
	binary.LittleEndian.PutUint64(e[40:], last)
	for i, c := range name {
		e[56+2*i] = byte(c)
	}
}

func gptHeader(array []byte, at, other, arrayAt, sectors uint64) []byte {
	h := make([]byte, 512)
	copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
	binary.LittleEndian.PutUint64(h[24:], at)
	binary.LittleEndian.PutUint64(h[32:], other)
	binary.LittleEndian.PutUint64(h[40:], 64)
	binary.LittleEndian.PutUint64(h[48:], sectors-2-uint64(len(array)/512))
	copy(h[56:], "isotest disk id.")
	binary.LittleEndian.PutUint64(h[72:], arrayAt)
	binary.LittleEndian.PutUint32(h[80:], gptEntries)
	binary.LittleEndian.PutUint32(h[84:], gptEntrySize)
	binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
	return h
}
