//go:build system

package fat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/isohttp/fat"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Images of mkfs.fat and mtools are read, and, changed in each of the three ways, pass fsck.fat and are read by mtools.
func TestForeignTools(t *testing.T) {
	loader, menu := isotest.Generated(1, 300000), []byte(strings.Repeat("menuentry stock {}\n", 60))
	for name, args := range map[string][]string{
		"fat12":            {"-F", "12", "-C", "IMAGE", "2048"},
		"fat12 mtools":     nil,
		"fat12 one FAT":    {"-F", "12", "-f", "1", "-C", "IMAGE", "2048"},
		"fat16":            {"-F", "16", "-s", "4", "-C", "IMAGE", "10240"},
		"fat16 4k sectors": {"-F", "16", "-S", "4096", "-s", "1", "-C", "IMAGE", "40960"},
		"fat32":            {"-F", "32", "-s", "1", "-C", "IMAGE", "40960"},
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "esp.img")
			if args == nil {
				run(t, "mformat", "-C", "-i", image, "-f", "1440", "::")
			}
			mkfs := append([]string{}, args...)
			for i := range mkfs {
				mkfs[i] = strings.Replace(mkfs[i], "IMAGE", image, 1)
			}
			if args != nil {
				run(t, "mkfs.fat", mkfs...)
			}
			dir := t.TempDir()
			for file, data := range map[string][]byte{"BOOTX64.EFI": loader, "grub.cfg": menu, "Long Name of a Font.pf2": menu} {
				if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run(t, "mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
			run(t, "mcopy", "-i", image, filepath.Join(dir, "BOOTX64.EFI"), filepath.Join(dir, "grub.cfg"), filepath.Join(dir, "Long Name of a Font.pf2"), "::/EFI/BOOT/")
			base, err := os.ReadFile(image)
			if err != nil {
				t.Fatal(err)
			}
			f := open(t, base)
			for file, want := range map[string][]byte{"EFI/BOOT/BOOTX64.EFI": loader, "EFI/BOOT/grub.cfg": menu, "EFI/BOOT/Long Name of a Font.pf2": menu} {
				if got, err := f.ReadFile(file); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, %v", file, len(got), err)
				}
			}
			for _, n := range []int{40, len(menu), len(menu) + 30, 9000, 70000} {
				replaceForeign(t, f, base, n)
			}
		})
	}
}

func replaceForeign(t *testing.T, f *fat.FS, base []byte, n int) {
	t.Helper()
	data := bytes.Repeat([]byte("menu\n"), n/5+1)[:n]
	e := f.Edit()
	if err := e.Replace("/EFI/BOOT/grub.cfg", data); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), fmt.Sprintf("esp%d.img", n))
	if err := os.WriteFile(image, apply(base, e), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "fsck.fat", "-n", image)
	if got := run(t, "mtype", "-i", image, "::/EFI/BOOT/grub.cfg"); strings.TrimRight(got, "\n") != strings.TrimRight(string(data), "\n") {
		t.Errorf("mtype: %d bytes, want %d", len(got), n)
	}
}
