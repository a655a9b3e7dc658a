//go:build system

package iso9660

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Firmware boots patched images: SeaBIOS and ISOLINUX find the menu through a root directory that has moved to the tail,
// OVMF and GRUB through the stub in the EFI image. Each menu shows itself on the serial port. Needs qemu-system-x86_64, OVMF
// and grub-efi-amd64-bin.
func TestFirmwareBoots(t *testing.T) {
	work := t.TempDir()
	dir := filepath.Join(work, "tree")
	stockTree(t, dir, false)
	fullRoot(t, dir)
	modules, err := os.ReadFile("/usr/lib/syslinux/modules/bios/ldlinux.c32")
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "isolinux/ldlinux.c32", string(modules))
	loader := filepath.Join(work, "BOOTX64.EFI")
	run(t, "grub-mkimage", "-O", "x86_64-efi", "-o", loader, "-p", "/EFI/BOOT", "part_gpt", "part_msdos", "fat", "iso9660", "normal", "configfile", "search", "search_fs_file", "serial", "echo", "halt")
	esp := filepath.Join(dir, "images/efiboot.img")
	if err := os.Remove(esp); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.fat", "-C", esp, "8192")
	run(t, "mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
	run(t, "mcopy", "-i", esp, loader, filepath.Join(dir, "EFI/BOOT/grub.cfg"), "::/EFI/BOOT/")
	base := filepath.Join(work, "base.iso")
	run(t, "xorriso", append(join3([]string{"-as", "mkisofs", "-quiet", "-V", "BOOT", "-iso-level", "3", "-R", "-J", "-U"}, biosBoot, efiBoot), "-o", base, dir)...)

	m, _ := openImage(t, base)
	e := m.Edit()
	for _, name := range []string{"/ks.cfg", "/.boot-marker", "/third.cfg", "/fourth.cfg", "/fifth.cfg", "/sixth.cfg", "/seventh.cfg", "/eighth.cfg", "/ninth.cfg", "/tenth.cfg", "/eleventh.cfg", "/twelfth.cfg", "/thirteenth.cfg", "/fourteenth.cfg", "/fifteenth.cfg"} {
		e.Write(name, []byte("poweroff\n"))
	}
	e.Write("/isolinux/isolinux.cfg", []byte("serial 0 115200\nprompt 0\ntimeout 1\ndefault x\nlabel x\n  kernel the-patched-kernel\n"))
	e.Write("/EFI/BOOT/grub.cfg", []byte("serial --unit=0 --speed=115200\nterminal_output serial\necho THE PATCHED UEFI MENU\nhalt\n"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("search --no-floppy --set=root --file /.boot-marker\nconfigfile /EFI/BOOT/grub.cfg\n"))
	v := view(t, e)
	img := filepath.Join(work, "patched.iso")
	writeView(t, v, img)
	if got, _ := openImage(t, img); got.Trees()[0].root.lba() == m.Trees()[0].root.lba() {
		t.Error("root has not moved")
	}
	for _, c := range []struct {
		name, want string
		args       []string
	}{
		{"BIOS", "Loading the-patched-kernel", []string{"-cdrom", img}},
		{"UEFI", "THE PATCHED UEFI MENU", []string{"-bios", "/usr/share/OVMF/OVMF_CODE.fd", "-cdrom", img}},
		{"UEFI disk", "THE PATCHED UEFI MENU", []string{"-bios", "/usr/share/OVMF/OVMF_CODE.fd", "-drive", "if=none,id=d,format=raw,readonly=on,file=" + img, "-device", "qemu-xhci", "-device", "usb-storage,drive=d"}},
	} {
		t.Run(c.name, func(t *testing.T) { bootSays(t, c.want, c.args) })
	}
}

// bootSays boots a machine and waits for words on its serial port.
func bootSays(t *testing.T, want string, args []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	serial := filepath.Join(t.TempDir(), "serial")
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-m", "256", "-display", "none", "-net", "none", "-serial", "file:" + serial, "-no-reboot"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		out, _ := os.ReadFile(serial)
		if strings.Contains(string(out), want) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no %q on the serial port: %.2000q", want, out)
		case <-tick.C:
		}
	}
}
