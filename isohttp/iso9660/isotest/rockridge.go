package isotest

// systemUse is the Rock Ridge area of a file's or directory's record: PX, TF, NM, as xorriso orders them.
func (t *tree) systemUse(n *node) []byte {
	if !t.susp() {
		return nil
	}
	use := append(append(t.xa(), px(n.dir())...), t.tf()...)
	return append(use, append([]byte{'N', 'M', byte(5 + len(n.name)), 1, 0}, n.name...)...)
}

// dotSystemUse is the area of "." (self) or "..": in root's "." it opens SUSP and points at ER.
func (t *tree) dotSystemUse(d *dir, self bool) []byte {
	if !t.susp() {
		return nil
	}
	use := t.xa()
	if self && d.node == t.b.root {
		use = append(use, 'S', 'P', 7, 1, 0xBE, 0xEF, byte(len(t.xa())))
	}
	use = append(append(use, px(true)...), t.tf()...)
	if self && d.node == t.b.root {
		ce := make([]byte, 28)
		copy(ce, "CE\x1c\x01")
		both32(ce[4:], uint32(t.ceLB))
		both32(ce[20:], uint32(len(er())))
		use = append(use, ce...)
	}
	return use
}

// xa is what stands before the fields.
func (t *tree) xa() []byte {
	if !t.b.XA {
		return nil
	}
	return []byte("\x00\x00\x00\x00\x0D\x55XA\x00\x00\x00\x00\x00\x00")
}

// px is POSIX attributes as of RRIP 1.10, the form that xorriso and genisoimage write.
func px(dir bool) []byte {
	p := make([]byte, 36)
	copy(p, "PX\x24\x01")
	mode, links := uint32(0o100444), uint32(1)
	if dir {
		mode, links = 0o40555, 2
	}
	both32(p[4:], mode)
	both32(p[12:], links)
	return p
}

func (t *tree) tf() []byte {
	p := []byte{'T', 'F', 26, 1, 0x0E}
	for range 3 {
		p = append(p, shortDate(t.b.Date)...)
	}
	return p
}

// er names the extension in use.
func er() []byte {
	const id = "RRIP_1991A"
	const desc = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	const src = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
	p := []byte{'E', 'R', 0, 1, byte(len(id)), byte(len(desc)), byte(len(src)), 1}
	p = append(p, id+desc+src...)
	p[2] = byte(len(p))
	return p
}
