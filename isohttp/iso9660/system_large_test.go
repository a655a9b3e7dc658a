//go:build system

package iso9660

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeSparse writes the view without its zeros.
func writeSparse(t *testing.T, v *View, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf, zero := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := int64(0); off < v.Size(); off += int64(len(buf)) {
		n, err := v.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Truncate(v.Size()); err != nil {
		t.Fatal(err)
	}
}

// A file of 5 GiB in two sections, 60,000 files, and root directories without room, of xorriso's making.
func TestForeignReadersLarge(t *testing.T) {
	work := t.TempDir()
	dir := filepath.Join(work, "tree")
	stockTree(t, dir, false)
	fullRoot(t, dir)
	for i := range 60000 {
		put(t, dir, fmt.Sprintf("Packages/%02d/package-%05d.rpm", i%30, i), "")
	}
	put(t, dir, "big.img", "begin")
	if err := os.Truncate(filepath.Join(dir, "big.img"), 5<<30); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(work, "base.iso")
	run(t, "xorriso", append(join3([]string{"-as", "mkisofs", "-quiet", "-V", "LARGE", "-iso-level", "3", "-R", "-J", "-U"}, biosBoot, efiBoot), "-o", base, dir)...)
	m, _ := openImage(t, base)
	e := m.Edit()
	e.Write("/ks.cfg", []byte("text\npoweroff\n"))
	e.Write("/isolinux/isolinux.cfg", []byte("timeout 1\n"))
	e.Write("/Packages/07/package-added.rpm", []byte("rpm"))
	e.Append("/big.img", []byte("end of it"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("configfile /EFI/BOOT/grub.cfg\n"))
	img := filepath.Join(work, "patched.iso")
	writeSparse(t, view(t, e), img)
	if err := os.Remove(base); err != nil {
		t.Fatal(err)
	}

	got, _ := openImage(t, img)
	for _, tree := range got.Trees() {
		checkTables(t, tree)
		if b := readAt(t, tree, "big.img", 5<<30-1, 10); string(b[1:]) != "end of it" {
			t.Errorf("%s: big.img ends in %q", tree.Kind(), b)
		}
		if list, err := fs.ReadDir(tree, "Packages/07"); err != nil || len(list) != 2001 {
			t.Errorf("%s: %d files in /Packages/07, %v", tree.Kind(), len(list), err)
		}
	}
	for tool, out := range map[string]string{
		"xorriso": run(t, "xorriso", "-indev", img, "-find", "/"),
		"isoinfo": run(t, "isoinfo", "-R", "-f", "-i", img),
		"Joliet":  run(t, "isoinfo", "-J", "-f", "-i", img),
		"bsdtar":  run(t, "bsdtar", "-tf", img),
		"7z":      run(t, "7z", "l", "-ba", img),
	} {
		complain(t, tool, out)
		if n := strings.Count(out, ".rpm"); n != 60000+40+1 {
			t.Errorf("%s: %d packages", tool, n)
		}
		if !strings.Contains(out, "ks.cfg") {
			t.Errorf("%s: no ks.cfg", tool)
		}
	}
	out := filepath.Join(work, "big.img")
	complain(t, "xorriso", run(t, "xorriso", "-osirrox", "on", "-indev", img, "-extract", "/big.img", out))
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 9)
	if _, err := f.ReadAt(b, 5<<30); err != nil || string(b) != "end of it" {
		t.Errorf("xorriso: big.img ends in %q, %v", b, err)
	}
	checkESP(t, got, img)
}
