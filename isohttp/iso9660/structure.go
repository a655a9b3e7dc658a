package iso9660

import (
	"cmp"
	"slices"
)

// Structure returns the ranges of the view that are no file's: the system area, descriptors, boot catalog, path tables,
// directories, and the gaps beside files that are kept apart, in order. Directories are those of the path tables; what cannot be read is left out. The base's part is
// found once per Image.
func (v *View) Structure() []Extent {
	v.img.structureOnce.Do(func() { v.img.structure = v.img.findStructure() })
	return join(slices.Concat(v.img.structure, v.metadata))
}

func (m *Image) findStructure() []Extent {
	ext := []Extent{{0, firstSet * blockSize}}
	for _, d := range m.descriptors {
		ext = append(ext, Extent{d.off, blockSize})
	}
	if m.catalog.Len > 0 {
		ext = append(ext, m.catalog)
	}
	for _, t := range m.trees {
		for _, lba := range t.tables {
			if lba != 0 && t.offset(lba)+t.tableLen <= m.size {
				ext = append(ext, Extent{t.offset(lba), blocks(t.tableLen) * blockSize})
			}
		}
		tp := treePatch{p: &patch{img: m}, t: t}
		if err := tp.loadTable(); err != nil {
			continue
		}
		for _, e := range tp.table {
			self, err := t.firstRecord(e.lba)
			if err == nil && self.length() <= maxDirLen && t.offset(e.lba)+int64(self.length()) <= m.size {
				ext = append(ext, Extent{t.offset(e.lba), int64(self.length())})
			}
		}
	}
	return join(ext)
}

// join sorts ranges and makes one of those that touch.
func join(ext []Extent) []Extent {
	slices.SortFunc(ext, func(a, b Extent) int { return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(a.Len, b.Len)) })
	out := ext[:0]
	for _, x := range ext {
		if n := len(out); n > 0 && out[n-1].Off+out[n-1].Len >= x.Off {
			out[n-1].Len = max(out[n-1].Len, x.Off+x.Len-out[n-1].Off)
		} else {
			out = append(out, x)
		}
	}
	return out
}
