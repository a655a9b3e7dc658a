package isotest

import (
	"encoding/binary"
	"fmt"
)

// descriptor returns the tree's volume descriptor (ECMA-119 8.4 and 8.5), for a volume of so many blocks.
func (t *tree) descriptor(volume int64) ([]byte, error) {
	if len(t.b.VolumeID) > 32 {
		return nil, fmt.Errorf("isotest: volume id %q is longer than 32 characters", t.b.VolumeID)
	}
	if volume > 0xFFFFFFFF {
		return nil, fmt.Errorf("isotest: %d blocks, more than a volume can have", volume)
	}
	vd := make([]byte, block)
	copy(vd, "\x01CD001\x01")
	t.texts(vd)
	switch t.kind {
	case joliet:
		vd[0] = 2
		copy(vd[88:], "%/E")
	case enhanced:
		vd[0], vd[6] = 2, 2
	}
	both32(vd[80:], uint32(volume))
	both16(vd[120:], 1)
	both16(vd[124:], 1)
	both16(vd[128:], block)
	both32(vd[132:], uint32(t.length))
	binary.LittleEndian.PutUint32(vd[140:], uint32(t.tables[0]))
	binary.LittleEndian.PutUint32(vd[144:], uint32(t.tables[1]))
	binary.BigEndian.PutUint32(vd[148:], uint32(t.tables[2]))
	binary.BigEndian.PutUint32(vd[152:], uint32(t.tables[3]))
	root := t.dirs[0]
	copy(vd[156:], t.record([]byte{0}, root.lba, root.size, 2, nil))
	date := t.b.Date.Format("20060102150405") + "00\x00"
	copy(vd[813:], date)
	copy(vd[830:], date)
	copy(vd[847:], "0000000000000000\x00")
	copy(vd[864:], date)
	vd[881] = 1
	return vd, nil
}

// texts writes the identifiers, padded with spaces.
func (t *tree) texts(vd []byte) {
	for _, f := range []struct {
		off, len int
		text     string
	}{
		{8, 32, "LINUX"}, {40, 32, t.b.VolumeID}, {190, 128, ""}, {318, 128, ""}, {446, 128, "ISOTEST"}, {574, 128, ""},
		{702, 37, ""}, {739, 37, ""}, {776, 37, ""},
	} {
		field := vd[f.off : f.off+f.len]
		if t.kind == joliet {
			for i := 0; i+1 < len(field); i += 2 {
				field[i+1] = ' '
			}
			copy(field[:f.len&^1], ucs2(f.text))
			continue
		}
		for i := range field {
			field[i] = ' '
		}
		copy(field, f.text)
	}
}
