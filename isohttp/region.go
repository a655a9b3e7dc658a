package isohttp

import (
	"fmt"
	"slices"
)

// Phase is what a range of a medium is for. In the order in which a machine
// reads them:
type Phase string

const (
	Firmware  Phase = "firmware"  // what the firmware itself reads: the EFI system partition image
	Loader    Phase = "loader"    // boot loader, its modules and menus
	Kernel    Phase = "kernel"    // the installer's kernel
	Initrd    Phase = "initrd"    // the installer's initial file systems
	Answer    Phase = "answer"    // the answer file
	Payload   Phase = "payload"   // what gets installed
	Structure Phase = "structure" // descriptors and directories, read at any time
)

// phases gives each phase its number; its place in the order.
var phases = [...]Phase{Firmware, Loader, Kernel, Initrd, Answer, Payload, Structure}

const (
	firmware = iota
	loader
	kernel
	initrd
	answer
	payload
	structure
	phaseCount
)

func (p Phase) number() (int, error) {
	if i := slices.Index(phases[:], p); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("unknown phase %q", string(p))
}

// Region says what the bytes [Off, Off+Len) of a medium are for. A file in
// several extents is several regions with the same path.
type Region struct {
	Phase Phase  `json:"phase"`
	Path  string `json:"path"`
	Off   int64  `json:"off"`
	Len   int64  `json:"len"`
}

// slot is a stretch of a medium that belongs to one file of the account.
type slot struct {
	from, to int64
	file     int32
}

// layout resolves regions into disjoint slots, sorted, and the list of files
// they belong to; file 0 is the rest. Where regions overlap, the one listed
// first has the bytes.
func layout(regions []Region, rest Phase, size int64) ([]slot, []fileAccount, error) {
	if rest == "" {
		rest = Payload
	}
	r, err := rest.number()
	if err != nil {
		return nil, nil, err
	}
	type name struct {
		phase int
		path  string
	}
	files := []fileAccount{{phase: r}}
	index := make(map[name]int32, len(regions))
	slots := make([]slot, 0, len(regions))
	for i, g := range regions {
		p, err := g.Phase.number()
		if err != nil {
			return nil, nil, fmt.Errorf("region %d (%s): %w", i, g.Path, err)
		}
		if g.Off < 0 || g.Len < 0 || g.Len > size || g.Off > size-g.Len {
			return nil, nil, fmt.Errorf("region %d (%s): [%d, +%d) lies outside the medium of %d bytes", i, g.Path, g.Off, g.Len, size)
		}
		if g.Len == 0 {
			continue
		}
		f, ok := index[name{p, g.Path}]
		if !ok {
			f = int32(len(files))
			index[name{p, g.Path}] = f
			files = append(files, fileAccount{phase: p, path: g.Path})
		}
		slots = insertSlot(slots, slot{g.Off, g.Off + g.Len, f})
	}
	files[0].total = size
	for _, s := range slots {
		files[s.file].total += s.to - s.from
		files[0].total -= s.to - s.from
	}
	return slots, files, nil
}

// insertSlot adds what of n is still free.
func insertSlot(slots []slot, n slot) []slot {
	if k := len(slots); k == 0 || slots[k-1].to <= n.from {
		return append(slots, n) // regions mostly come in order
	}
	i := findSlot(slots, n.from)
	for n.from < n.to {
		free := n.to
		if i < len(slots) {
			free = min(free, slots[i].from)
		}
		if n.from < free {
			slots = slices.Insert(slots, i, slot{n.from, free, n.file})
			i++
		}
		if i == len(slots) {
			break
		}
		n.from = max(n.from, slots[i].to)
		i++
	}
	return slots
}

// findSlot returns the index of the first slot that ends after off.
func findSlot(slots []slot, off int64) int {
	i, j := 0, len(slots)
	for i < j {
		if m := int(uint(i+j) >> 1); slots[m].to <= off {
			i = m + 1
		} else {
			j = m
		}
	}
	return i
}
