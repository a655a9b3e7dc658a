package bmctest

import (
	"encoding/binary"
	"errors"
	"io"
)

// maxFAT bounds a file allocation table: those of EFI images are far smaller.
const maxFAT = 4 << 20

// checkChains makes sure that no chain of clusters leads back to itself: the
// library that reads the files would follow it for ever.
func checkChains(r io.ReaderAt, boot []byte) error {
	le := binary.LittleEndian
	sector, cluster := int64(le.Uint16(boot[11:])), int64(boot[13])
	reserved, roots := int64(le.Uint16(boot[14:])), int64(le.Uint16(boot[17:]))*32
	total, perFAT := int64(le.Uint16(boot[19:])), int64(le.Uint16(boot[22:]))
	if total == 0 {
		total = int64(le.Uint32(boot[32:]))
	}
	if perFAT == 0 {
		perFAT = int64(le.Uint32(boot[36:]))
	}
	if sector < 512 || cluster == 0 || perFAT*sector > maxFAT {
		return errors.New("no FAT file system")
	}
	count := (total - reserved - int64(boot[16])*perFAT - (roots+sector-1)/sector) / cluster
	if count <= 0 || count > maxFAT {
		return errors.New("no FAT file system")
	}
	table := make([]byte, perFAT*sector)
	if _, err := r.ReadAt(table, reserved*sector); err != nil {
		return err
	}
	return followChains(table, count)
}

// followChains walks from every cluster until the chain ends or meets one that
// was walked before.
func followChains(table []byte, count int64) error {
	next := nextCluster(table, count)
	walked := make([]int64, count+2)
	for start := int64(2); start < count+2; start++ {
		for c := start; c >= 2 && c < count+2; c = next(c) {
			if walked[c] == start {
				return errors.New("a chain of clusters leads back to itself")
			}
			if walked[c] != 0 {
				break
			}
			walked[c] = start
		}
	}
	return nil
}

// nextCluster decodes table entries of 12, 16 or 32 bits, which the number of
// clusters decides (Microsoft's FAT specification, "FAT type determination").
// An entry outside of the table ends the chain.
func nextCluster(table []byte, count int64) func(int64) int64 {
	le := binary.LittleEndian
	switch {
	case count < 4085:
		return func(c int64) int64 {
			i := c + c/2
			if i+2 > int64(len(table)) {
				return 0
			}
			v := int64(le.Uint16(table[i:]))
			if c%2 == 1 {
				return v >> 4
			}
			return v & 0xFFF
		}
	case count < 65525:
		return func(c int64) int64 {
			if 2*c+2 > int64(len(table)) {
				return 0
			}
			return int64(le.Uint16(table[2*c:]))
		}
	}
	return func(c int64) int64 {
		if 4*c+4 > int64(len(table)) {
			return 0
		}
		return int64(le.Uint32(table[4*c:]) & 0x0FFFFFFF)
	}
}
