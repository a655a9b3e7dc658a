package answer

import (
	"bytes"
	"fmt"
	"strings"
)

// cpio returns an archive of one file, with the directories that lead to it,
// that a kernel unpacks over its initial file system: format newc, as in Linux'
// buffer-format.rst, not compressed, so that the same text always gives the
// same bytes.
func cpio(name string, data []byte) []byte {
	var b bytes.Buffer
	add := func(name string, mode, size, ino int) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		pad(&b, 4)
	}
	ino := 1
	for i := range name {
		if strings.HasPrefix(name[i:], "/") {
			add(name[:i], 0o040755, 0, ino)
			ino++
		}
	}
	add(name, 0o100600, len(data), ino)
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
