package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"github.com/metalcue/metalcue/reconcile/report"
)

// A partition is what an image has for those who take it for a disk.
type partition struct {
	Table  string `json:"table"` // "MBR" or "GPT"
	Number int    `json:"number"`
	Type   string `json:"type"` // MBR: "0x" and two digits; GPT: a GUID
	Name   string `json:"name,omitempty"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
	Beyond bool   `json:"beyond,omitempty"` // it does not lie in the image
}

func (p partition) String() string {
	s := fmt.Sprintf("%s %d: %s at byte %d, type %s", p.Table, p.Number, report.Bytes(p.Size), p.Offset, p.Type)
	if p.Name != "" {
		s += fmt.Sprintf(", %q", p.Name)
	}
	if p.Beyond {
		s += ", beyond the image's end"
	}
	return s
}

const (
	sector       = 512
	maxEntries   = 1024 // of a GPT; 128 are usual
	maxEntrySize = 4096 // 128 is usual
)

// readPartitions reads the primary entries of the MBR and of the GPT
// (UEFI 5.2.1, 5.3). A GPT that is damaged is an error, one that is missing not.
func readPartitions(r io.ReaderAt, size int64) ([]partition, error) {
	list := []partition{}
	head := make([]byte, 2*sector)
	if size < int64(len(head)) {
		return list, nil
	}
	if err := readAt(r, head, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint16(head[510:]) == 0xAA55 {
		for i := range 4 {
			e := head[446+16*i:][:16]
			p := partition{Table: "MBR", Number: i + 1, Type: fmt.Sprintf("0x%02x", e[4]),
				Offset: int64(le.Uint32(e[8:])) * sector, Size: int64(le.Uint32(e[12:])) * sector}
			if e[4] != 0 || p.Size != 0 {
				p.Beyond = p.Offset+p.Size > size
				list = append(list, p)
			}
		}
	}
	if string(head[sector:][:8]) != "EFI PART" {
		return list, nil
	}
	gpt, err := readGPT(r, size, head[sector:])
	if err != nil {
		return nil, fmt.Errorf("GPT: %w", err)
	}
	return append(list, gpt...), nil
}

func readGPT(r io.ReaderAt, size int64, header []byte) ([]partition, error) {
	le := binary.LittleEndian
	at, count, width := le.Uint64(header[72:]), int64(le.Uint32(header[80:])), int64(le.Uint32(header[84:]))
	switch {
	case count > maxEntries || width < 128 || width > maxEntrySize:
		return nil, fmt.Errorf("%d entries of %d bytes cannot be", count, width)
	case at > uint64(size/sector) || int64(at)*sector+count*width > size:
		return nil, errors.New("its entries lie outside the image")
	}
	entries := make([]byte, count*width)
	if err := readAt(r, entries, int64(at)*sector); err != nil {
		return nil, err
	}
	var list []partition
	for i := range count {
		e := entries[i*width:][:width]
		if [16]byte(e) == [16]byte{} {
			continue
		}
		p := partition{Table: "GPT", Number: int(i) + 1, Type: guid(e), Name: gptName(e[56:128])}
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if last < first || last >= uint64(size/sector) {
			p.Beyond = true
			first, last = min(first, uint64(size/sector)), min(last, uint64(size/sector))
		}
		p.Offset = int64(first) * sector
		if last >= first {
			p.Size = int64(last-first+1) * sector
		}
		list = append(list, p)
	}
	return list, nil
}

// readAt fills b; that the input ends right behind it is no error.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	_, err := io.ReadFull(io.NewSectionReader(r, off, int64(len(b))), b)
	return err
}

// guid is the text form of a GUID (UEFI appendix A).
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

func gptName(b []byte) string {
	var units []uint16
	for ; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
		units = append(units, binary.LittleEndian.Uint16(b))
	}
	return strings.ToValidUTF8(string(utf16.Decode(units)), "?")
}
