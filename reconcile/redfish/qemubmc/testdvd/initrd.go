package testdvd

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// busybox is where Debian's busybox-static puts the program.
const busybox = "/bin/busybox"

//go:embed installer.sh
var installer []byte

// programs are what answer files' scripts expect of Anaconda's ramdisk beyond BusyBox.
var programs = []string{"/bin/bash", "/bin/lsblk"}

// initrd makes the initial ramdisk: the installer, BusyBox, a few programs and the kernel's modules.
func initrd(ctx context.Context, k *Kernel) ([]byte, error) {
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
	others, err := withLibraries(ctx, programs)
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
	for _, path := range slices.Sorted(maps.Keys(others)) {
		archive.parents(path)
		archive.file(path, 0o755, others[path])
	}
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

// withLibraries reads programs and the libraries that ldd(1) says they load, by their paths without the leading slash.
func withLibraries(ctx context.Context, programs []string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	add := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading what goes on the ramdisk (packages bash, util-linux): %w", err)
		}
		files[strings.TrimPrefix(path, "/")] = data
		return nil
	}
	for _, program := range programs {
		if err := add(program); err != nil {
			return nil, err
		}
		list, err := run(ctx, "", "ldd", program)
		if err != nil {
			return nil, err
		}
		for _, word := range strings.Fields(string(list)) {
			if !strings.HasPrefix(word, "/") {
				continue
			}
			if err := add(word); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
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
	w    *gzip.Writer
	ino  int
	dirs []string // that are there
	err  error
}

func (c *cpio) dir(name string) {
	if !slices.Contains(c.dirs, name) {
		c.dirs = append(c.dirs, name)
		c.entry(name, 0o040755, nil)
	}
}

// parents makes the folders that a file lies in: the kernel makes none.
func (c *cpio) parents(name string) {
	for i, r := range name {
		if r == '/' {
			c.dir(name[:i])
		}
	}
}
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
