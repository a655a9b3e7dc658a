package answer

import (
	"bytes"
	"fmt"
)

// cpio returns an archive of one file that a kernel unpacks over its initial
// file system: format newc, as in Linux' buffer-format.rst, not compressed, so
// that the same text always gives the same bytes.
func cpio(name string, data []byte) []byte {
	var b bytes.Buffer
	add := func(name string, mode, size, ino int) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		pad(&b, 4)
	}
	add(name, 0o100600, len(data), 1)
	b.Write(data)
	pad(&b, 4)
	add("TRAILER!!!", 0, 0, 0)
	pad(&b, 512)
	return b.Bytes()
}

func pad(b *bytes.Buffer, to int) {
	for b.Len()%to != 0 {
		b.WriteByte(0)
	}
}
