package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path"
)

// addFile makes records for a new file, like those of its siblings.
func (tp *treePatch) addFile(d *dirEdit, name string, secs []section) error {
	id, err := tp.newID(d, name, false)
	if err != nil {
		return err
	}
	model, serial := tp.model(d), tp.newSerial()
	recs := make([]rec, len(secs))
	for i, s := range secs {
		b, err := tp.newRecord(model, id, name, 0)
		if err != nil {
			return err
		}
		if err := tp.point(b, s, i < len(secs)-1, serial); err != nil {
			return err
		}
		recs[i] = rec{b: b, off: -1, changed: true}
	}
	tp.insert(d, recs...)
	return nil
}

func (tp *treePatch) newID(d *dirEdit, name string, dir bool) ([]byte, error) {
	data := d.data
	if data == nil {
		data = tp.root.data
	}
	return tp.t.identifier(name, dir, tp.t.styleOf(data, tp.root.data), d.recs)
}

// model is a record whose attributes a new file takes: a regular file's of the directory, or of root, or else the
// directory's own.
func (tp *treePatch) model(d *dirEdit) record {
	for _, from := range []*dirEdit{d, tp.root} {
		if from.data == nil {
			continue
		}
		for i := range from.data.entries {
			e := &from.data.entries[i]
			if !e.isDir() && !e.special && e.mode&fs.ModeSymlink == 0 {
				return e.rec
			}
		}
	}
	return d.recs[0].b
}

// newRecord makes a record called id, and name in Rock Ridge, with the model's date and attributes.
func (tp *treePatch) newRecord(model record, id []byte, name string, flags byte) (record, error) {
	r := make(record, 33, 256)
	copy(r[18:25], model[18:25])
	r[25] = flags
	copy(r[28:32], model[28:32])
	r[32] = byte(len(id))
	r = append(r, id...)
	if len(id)%2 == 0 {
		r = append(r, 0)
	}
	if tp.t.susp {
		var err error
		if r, err = tp.appendUse(r, model, name, flags&flagDir != 0); err != nil {
			return nil, err
		}
	}
	if len(r)%2 == 1 {
		r = append(r, 0)
	}
	if len(r) > 254 {
		return nil, fmt.Errorf("its record would have %d bytes, 254 are possible", len(r))
	}
	r[0] = byte(len(r))
	return r, nil
}

// appendUse appends a system use area: the model's attributes and times, and the name, in the model's order. A name that
// has no room goes to a continuation area.
func (tp *treePatch) appendUse(r, model record, name string, dir bool) (record, error) {
	if n := tp.t.skip; n > 0 {
		skipped := make([]byte, n)
		if u := model.use(); len(u) >= n && string(u[:2]) != "SP" {
			copy(skipped, u[:n])
		}
		r = append(r, skipped...)
	}
	var before, after []byte
	named := false
	err := tp.t.fields(model, continuations(0), func(f field) error {
		b := bytes.Clone(f.b)
		switch f.sig() {
		case "PX":
			setMode(b, model.isDir(), dir)
		case "RR":
			b[4] = 0x89 // PX, NM, TF
		case "NM":
			named = true
			return nil
		case "TF":
		default:
			return nil
		}
		if named {
			after = append(after, b...)
		} else {
			before = append(before, b...)
		}
		return nil
	})
	if err != nil || name == "" {
		return append(append(r, before...), after...), err
	}
	nm := nameFields(name)
	if len(r)+len(before)+len(nm)+len(after) <= 254 {
		return append(append(append(r, before...), nm...), after...), nil
	}
	r = append(append(r, before...), after...)
	return append(r, tp.ce.add(tp, nm)...), nil
}

// setMode makes attributes (RRIP 4.1.1) fit a new file or directory.
func setMode(px []byte, wasDir, isDir bool) {
	if len(px) < 36 {
		return
	}
	mode, links := binary.LittleEndian.Uint32(px[4:]), binary.LittleEndian.Uint32(px[12:])
	switch {
	case isDir:
		mode = 0o040000 | mode&0o7777
		links = min(links, 2)
	case wasDir:
		mode, links = 0o100000|mode&0o444, 1
	default:
		links = 1
	}
	putBoth32(px[4:], mode)
	putBoth32(px[12:], links)
}

// nameFields are the NM fields of a name (RRIP 4.1.4).
func nameFields(name string) []byte {
	var b []byte
	for {
		n := min(len(name), 250)
		more := byte(0)
		if n < len(name) {
			more = 1
		}
		b = append(append(b, 'N', 'M', byte(5+n), 1, more), name[:n]...)
		if name = name[n:]; name == "" {
			return b
		}
	}
}

// ceArea is a block of the tail for fields that have no room in their records.
type ceArea struct {
	off  int64
	data []byte
}

// add stores fields and returns the CE field that points at them (SUSP 5.1).
func (c *ceArea) add(tp *treePatch, fields []byte) []byte {
	if c.data == nil || len(c.data)+len(fields) > blockSize {
		c.flush(tp.p)
		c.off, c.data = tp.p.allocMetadata(blockSize), make([]byte, 0, blockSize)
	}
	lba, _ := tp.t.block(c.off) // that of its file could be recorded too
	ce := make([]byte, 28)
	copy(ce, "CE\x1c\x01")
	putBoth32(ce[4:], lba)
	putBoth32(ce[12:], uint32(len(c.data)))
	putBoth32(ce[20:], uint32(len(fields)))
	c.data = append(c.data, fields...)
	return ce
}

func (c *ceArea) flush(p *patch) {
	if c.data != nil {
		p.append(c.off, part{data: c.data})
		c.data = nil
	}
}

// mkdir adds an empty directory to d.
func (tp *treePatch) mkdir(d *dirEdit, name string) error {
	base := path.Base(name)
	if e, err := tp.match(d, base, false, true); err != nil || d.made[base] != nil || e != nil && e.isDir() {
		return err
	}
	id, err := tp.newID(d, base, true)
	if err != nil {
		return err
	}
	model := d.recs[0].b
	r, err := tp.newRecord(model, id, base, flagDir)
	if err != nil {
		return err
	}
	n := &dirEdit{logic: d, id: id, grown: true, prefix: name + "/", serial: tp.newSerial()}
	if err := tp.setSerial(r, n.serial); err != nil {
		return err
	}
	for i := range 2 {
		dot, err := tp.newRecord(model, []byte{byte(i)}, "", flagDir)
		if err != nil {
			return err
		}
		if i == 0 { // ".." has the parent's, as the model
			if err := tp.setSerial(dot, n.serial); err != nil {
				return err
			}
		}
		n.recs = append(n.recs, rec{b: dot, off: -1, changed: true})
	}
	if d.made == nil {
		d.made = map[string]*dirEdit{}
	}
	d.made[base] = n
	tp.order = append(tp.order, n)
	tp.insert(d, rec{b: r, off: -1, changed: true})
	return tp.countLinks(d)
}

// countLinks adds the new directory to its parent's link count, where the tool that made the image counts: GNU find does
// not look for directories beyond it.
func (tp *treePatch) countLinks(d *dirEdit) error {
	if !tp.t.susp {
		return nil
	}
	own := []*rec{&d.recs[0]}
	if d == tp.root {
		own = append(own, &d.recs[1])
	} else if d.logic != nil {
		if r := d.logic.child(d); r != nil {
			own = append(own, r)
		}
	}
	for _, r := range own {
		b := bytes.Clone(r.b)
		err := tp.t.ownFields(b, func(f field) error {
			if f.sig() == "PX" && len(f.b) >= 36 {
				if n := binary.LittleEndian.Uint32(f.b[12:]); n >= 2 {
					putBoth32(b[f.inRecord+12:], n+1)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.b, r.changed = b, true
	}
	return nil
}

// child is the record that names the directory c, nil: there is none, for it was relocated.
func (d *dirEdit) child(c *dirEdit) *rec {
	for i := 2; i < len(d.recs); i++ {
		r := &d.recs[i]
		if !r.b.isDir() {
			continue
		}
		if c.data != nil && r.off >= 0 && d.was(r) == c.ref.lba || c.data == nil && bytes.Equal(r.b.id(), c.id) {
			return r
		}
	}
	return nil
}
