//go:build system

package answer_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc/testdvd"
)

// The BIOS and UEFI boot patched media as far as the kernel prints its command
// line, and the twins of such media boot the local disk.
// "uefi-usb" presents the medium as a disk, on which GRUB reads the menu of the
// EFI image.
func TestMediaBoot(t *testing.T) {
	kernel, err := testdvd.DebianKernel(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	linux, disk := loader(t, kernel.Image), localDisk(t)
	tests := []struct{ layout, install, local string }{
		{"Rocky-9.6-x86_64", "bios uefi", "uefi"},
		{"RHEL-10.0-x86_64", "bios uefi uefi-usb", "bios"},
		{"Ubuntu-24.04-x86_64", "uefi", ""},
	}
	for _, tt := range tests {
		t.Run(tt.layout, func(t *testing.T) {
			all := layouts()
			l := all[slices.IndexFunc(all, func(l layout) bool { return l.name == tt.layout })]
			m := build(t, l, bootable(t, l, linux))
			r := request(t, l)
			r.KernelArgs = []string{"console=ttyS0,115200n8", "odd=a;b"}
			name, _, out := patch(t, l, m, r, false)
			for how := range strings.FieldsSeq(tt.install) {
				want := strings.Join(out.KernelArgs, " ")
				if log := boot(t, how, name, disk, want); !strings.Contains(log, want) {
					t.Errorf("%s: no kernel with the arguments %s:\n%s", how, want, log)
				}
			}
			local, _, _ := patch(t, l, m, r, true)
			for how := range strings.FieldsSeq(tt.local) {
				if log := boot(t, how, local, disk, "installed"); !strings.Contains(log, "installed") {
					t.Errorf("%s: the local disk is not booted:\n%s", how, log)
				}
			}
		})
	}
}

// bootable returns real loaders and a real kernel for a layout's files.
func bootable(t *testing.T, l layout, linux []byte) map[string][]byte {
	t.Helper()
	prefix, early := "/EFI/BOOT", ""
	if l.family == "debian" || l.family == "ubuntu" {
		prefix, early = "/boot/grub", "search --file --set=root /.disk/info\nset prefix=($root)/boot/grub\n"
	}
	efi := grubImage(t, "x86_64-efi", prefix, early)
	files := map[string][]byte{
		"isolinux/isolinux.bin":           loader(t, "/usr/lib/ISOLINUX/isolinux.bin"),
		"isolinux/ldlinux.c32":            loader(t, "/usr/lib/syslinux/modules/bios/ldlinux.c32"),
		"boot/x86_64/loader/isolinux.bin": loader(t, "/usr/lib/ISOLINUX/isolinux.bin"),
		"boot/x86_64/loader/ldlinux.c32":  loader(t, "/usr/lib/syslinux/modules/bios/ldlinux.c32"),
		"images/eltorito.img":             grubImage(t, "i386-pc-eltorito", "/boot/grub2", ""),
		"boot/grub/i386-pc/eltorito.img":  grubImage(t, "i386-pc-eltorito", "/boot/grub", ""),
		"EFI/BOOT/BOOTX64.EFI":            efi,
		"EFI/BOOT/bootx64.efi":            efi,
	}
	for name := range l.iso().Tree.(fstest.MapFS) {
		if base := filepath.Base(name); base == "vmlinuz" || base == "linux" {
			files[name] = linux
		}
	}
	return files
}

// grubImage makes a GRUB with everything that its menus need built in.
func grubImage(t *testing.T, format, prefix, early string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "grub")
	args := []string{"-O", format, "-p", prefix, "-o", out}
	if early != "" {
		args = append(args, "-c", write(t, "early.cfg", []byte(early)))
	}
	args = append(args, "normal", "configfile", "linux", "search", "search_fs_file", "search_label", "iso9660", "fat", "part_gpt", "part_msdos", "echo", "test",
		"chain", "serial", "halt", "boot", "ls", "sleep")
	if format == "x86_64-efi" {
		args = append(args, "linuxefi")
	} else {
		args = append(args, "biosdisk")
	}
	tool(t, "grub-mkimage", args...)
	return loader(t, out)
}

// localDisk makes a disk that says "installed" on the serial port, however it
// is booted: by its boot sector, or by a loader where Rocky has its own.
func localDisk(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk.img")
	efi := grubImage(t, "x86_64-efi", "/none", "serial --unit=0\nterminal_output serial\necho installed\nsleep 60\n")
	buildFAT(t, name, fstest.MapFS{"EFI/rocky/shimx64.efi": file("shim")}, map[string][]byte{"EFI/rocky/shimx64.efi": efi})
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Sends what follows it to COM1 through the BIOS, after the FAT's parameters.
	code := append([]byte{0x31, 0xc0, 0x8e, 0xd8, 0x31, 0xd2, 0xbe, 0x55, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x01, 0xcd, 0x14, 0xeb, 0xf5, 0xf4, 0xeb, 0xfd},
		"installed\r\n\x00"...)
	if _, err := f.WriteAt([]byte{0xeb, 0x3c, 0x90}, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(code, 0x3e); err != nil {
		t.Fatal(err)
	}
	return name
}

// boot starts a machine and returns what it printed on its serial port, until
// it has printed what is wanted or two minutes are over. It is emulated: KVM is
// not to be had everywhere.
func boot(t *testing.T, how, iso, disk, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"-accel", "tcg", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-snapshot",
		"-drive", "if=none,id=disk,format=raw,file=" + disk, "-device", "ide-hd,drive=disk,bootindex=9"}
	if how == "uefi-usb" {
		args = append(args, "-drive", "if=none,id=cd,format=raw,file="+iso, "-device", "qemu-xhci", "-device", "usb-storage,drive=cd,bootindex=1")
	} else {
		args = append(args, "-drive", "if=none,id=cd,media=cdrom,format=raw,file="+iso, "-device", "ide-cd,drive=cd,bootindex=1")
	}
	if how != "bios" {
		args = append(args, "-drive", "if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd",
			"-drive", "if=pflash,unit=1,format=raw,file="+write(t, "vars.fd", loader(t, "/usr/share/OVMF/OVMF_VARS_4M.fd")))
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	serial, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(log.String(), want) {
		n, err := serial.Read(buf)
		log.Write(buf[:n])
		if err != nil {
			break
		}
	}
	cancel()
	_ = cmd.Wait() // it was killed
	return fmt.Sprintf("%s\n%s", bytes.ToValidUTF8(log.Bytes(), nil), errs.String())
}
