package testdvd

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	_ "embed"
	"fmt"
	"os"
	"strings"
)

// busybox is where Debian's busybox-static puts the program.
const busybox = "/bin/busybox"

//go:embed installer.sh
var installer []byte

// initrd makes the initial ramdisk: the installer, BusyBox and the kernel's modules.
func initrd(k *Kernel) ([]byte, error) {
	shell, err := os.ReadFile(busybox)
	if err != nil {
		return nil, fmt.Errorf("reading BusyBox, which the package busybox-static has: %w", err)
	}
	if err := static(shell); err != nil {
		return nil, fmt.Errorf("%s: %w: install the package busybox-static", busybox, err)
	}
	modules, err := k.modules()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := cpio{w: zip}
	archive.dir("bin")
	archive.dir("dev")
	archive.dir("modules")
	archive.file("bin/busybox", 0o755, shell)
	archive.file("init", 0o755, installer)
	var order strings.Builder
	for _, m := range modules {
		archive.file("modules/"+m.name+".ko", 0o644, m.data)
		fmt.Fprintln(&order, m.name)
	}
	archive.file("modules/order", 0o644, []byte(order.String()))
	archive.end()
	if archive.err != nil {
		return nil, archive.err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// static is an error if a program needs an interpreter, which the ramdisk does not have.
func static(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return err
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("it is linked dynamically")
		}
	}
	return nil
}

// cpio writes an archive of the kernel's "newc" form (Documentation/driver-api/early-userspace/buffer-format.rst).
// The first error stays.
type cpio struct {
	w   *gzip.Writer
	ino int
	err error
}

func (c *cpio) dir(name string)                            { c.entry(name, 0o040755, nil) }
func (c *cpio) file(name string, mode uint32, data []byte) { c.entry(name, 0o100000|mode, data) }
func (c *cpio) end()                                       { c.entry("TRAILER!!!", 0, nil) }

// entry writes a header, a name and a body, each padded to four bytes.
func (c *cpio) entry(name string, mode uint32, data []byte) {
	if c.err != nil {
		return
	}
	c.ino++
	var b bytes.Buffer
	fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name)
	b.WriteByte(0)
	pad(&b, 4)
	b.Write(data)
	pad(&b, 4)
	_, c.err = c.w.Write(b.Bytes())
}

// pad appends zeros up to a multiple of n bytes.
func pad(b *bytes.Buffer, n int) {
	for b.Len()%n != 0 {
		b.WriteByte(0)
	}
}
