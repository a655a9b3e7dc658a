//go:build system

package answer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc/testdvd"
)

// boots says by which firmware the media of a family are booted in these tests.
var boots = map[string]string{"rhel": "bios uefi", "debian": "bios uefi", "ubuntu": "bios uefi", "suse": "bios uefi",
	"proxmox": "bios uefi", "fai": "uefi", "flatcar": "bios", "coreos": "bios uefi"}

// A grubHome says where GRUB in the EFI image of a family finds its menu: in a
// folder of the device that it was started from, or of the one with a file.
type grubHome struct{ folder, anchor string }

var grubHomes = map[string]grubHome{
	"rhel": {"/EFI/BOOT", ""}, "suse": {"/EFI/BOOT", ""}, "fai": {"/EFI/debian", ""},
	"debian": {"/boot/grub", "/.disk/info"}, "ubuntu": {"/boot/grub", "/.disk/info"}, "proxmox": {"/boot/grub", "/.cd-info"},
}

// The BIOS and UEFI boot the patched medium of every layout as far as the
// kernel prints its command line. (Media for aarch64 differ in names only, and
// are not booted: there is no such firmware here.)
func TestMediaBoot(t *testing.T) {
	kernel, err := testdvd.DebianKernel(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	linux, disk := loader(t, kernel.Image), write(t, "disk.img", make([]byte, 1<<20))
	for _, l := range layouts() {
		how := boots[l.family]
		if l.arch != "x86_64" || how == "" {
			continue
		}
		switch l.name {
		case "RHEL-10.0-x86_64":
			how += " uefi-usb" // GRUB reads the menu of the EFI image
		case "Custom-9.4-x86_64":
			how = "bios" // Debian's GRUB, unlike Red Hat's, cannot pass on the \x20 in its label
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			m := build(t, l, bootable(t, l, linux))
			r := request(t, l)
			r.KernelArgs = []string{"console=ttyS0,115200n8"}
			if l.family != "coreos" { // which takes no arguments that would have to be quoted
				r.KernelArgs = append(r.KernelArgs, "odd=a;b")
			}
			name, _, out := patch(t, l, m, r, false)
			for how := range strings.FieldsSeq(how) {
				want := strings.Join(out.KernelArgs, " ")
				if log := boot(t, machine{how, name, disk}, want); !strings.Contains(log, want) {
					t.Errorf("%s: no kernel with the arguments %s:\n%s", how, want, log)
				}
			}
		})
	}
}

// The twin of a medium boots the local disk, although the medium comes first.
// Where there is a loader for UEFI on the disk, the menu itself starts it; the
// firmware is not asked for the next in its order.
func TestTwinsBootTheDisk(t *testing.T) {
	tests := []struct {
		layout, how string
		loader      string // on the disk's EFI partition
	}{
		{"Rocky-9.6-x86_64", "bios", ""},
		{"Rocky-9.6-x86_64", "uefi", "EFI/rocky/shimx64.efi"},
		{"Rocky-9.6-x86_64", "uefi", "EFI/BOOT/BOOTX64.EFI"},
		{"RHEL-10.0-x86_64", "bios", ""},
		{"RHEL-10.0-x86_64", "bios-usb", ""},
		{"RHEL-10.0-x86_64", "uefi-usb", "EFI/BOOT/BOOTX64.EFI"},
		{"Debian-12-x86_64", "bios", ""},
		{"Debian-12-x86_64", "uefi", "EFI/debian/grubx64.efi"},
		{"Ubuntu-24.04-x86_64", "bios", ""},
		{"Ubuntu-24.04-x86_64", "uefi", "EFI/ubuntu/shimx64.efi"},
		{"SLES-15.6-x86_64", "bios", ""},
		{"SLES-15.6-x86_64", "uefi", "EFI/sles/shim.efi"},
		{"Proxmox-pve-9.2-x86_64", "uefi", "EFI/proxmox/grubx64.efi"},
		{"FAI-6.0.3-x86_64", "uefi", "EFI/debian/shimx64.efi"},
	}
	for _, tt := range tests {
		t.Run(tt.layout+"/"+tt.how+"/"+path.Base(tt.loader), func(t *testing.T) {
			t.Parallel()
			all := layouts()
			l := all[slices.IndexFunc(all, func(l layout) bool { return l.name == tt.layout })]
			m := build(t, l, bootable(t, l, []byte("no kernel")))
			name, _, _ := patch(t, l, m, request(t, l), true)
			log := boot(t, machine{tt.how, name, localDisk(t, tt.loader)}, "installed")
			if !strings.Contains(log, "installed") {
				t.Errorf("the local disk is not booted:\n%s", log)
			}
			if strings.Count(log, "BdsDxe: starting") > 1 {
				t.Errorf("the firmware was asked for more than the medium:\n%s", log)
			}
		})
	}
}

// bootable returns real loaders and a real kernel for a layout's files.
func bootable(t *testing.T, l layout, linux []byte) map[string][]byte {
	t.Helper()
	home, early := grubHomes[l.family], ""
	if l.family == "coreos" { // the folder has the vendor's name
		menus, err := fs.Glob(l.iso().Tree, "EFI/*/grub.cfg")
		if err != nil || len(menus) != 1 {
			t.Fatalf("menus %q (%v)", menus, err)
		}
		home = grubHome{"/" + path.Dir(menus[0]), "/coreos/kargs.json"}
	}
	if home.anchor != "" {
		early = "search --file --set=root " + home.anchor + "\nset prefix=($root)" + home.folder + "\n"
	}
	efi := grubImage(t, "x86_64-efi", home.folder, early)
	ldlinux := loader(t, "/usr/lib/syslinux/modules/bios/ldlinux.c32")
	files := map[string][]byte{
		"isolinux/isolinux.bin":           loader(t, "/usr/lib/ISOLINUX/isolinux.bin"),
		"isolinux/ldlinux.c32":            ldlinux,
		"boot/x86_64/loader/isolinux.bin": loader(t, "/usr/lib/ISOLINUX/isolinux.bin"),
		"images/eltorito.img":             grubImage(t, "i386-pc-eltorito", "/boot/grub2", ""),
		"boot/grub/i386-pc/eltorito.img":  grubImage(t, "i386-pc-eltorito", "/boot/grub", ""),
		"boot/grub2/i386-pc/eltorito.img": grubImage(t, "i386-pc-eltorito", "/boot/grub2", ""),
	}
	if l.family == "coreos" { // whose own menu stays
		for _, module := range []string{"vesamenu.c32", "libcom32.c32", "libutil.c32"} {
			files["isolinux/"+module] = loader(t, "/usr/lib/syslinux/modules/bios/"+module)
		}
	}
	iso := l.iso()
	for _, fsys := range []fs.FS{iso.Tree, iso.EFI} {
		if fsys == nil {
			continue
		}
		for name := range fsys.(fstest.MapFS) {
			switch base := strings.ToLower(path.Base(name)); base {
			case "vmlinuz", "linux", "linux26":
				files[name] = linux
			case "bootx64.efi":
				files[name] = efi
			}
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
		"minicmd", "regexp", "chain", "serial", "halt", "boot", "ls", "sleep")
	if format == "x86_64-efi" {
		args = append(args, "linuxefi")
	} else {
		args = append(args, "biosdisk")
	}
	tool(t, "grub-mkimage", args...)
	return loader(t, out)
}

// localDisk makes a disk that says "installed" on the serial port: from its
// boot sector, or from a loader on its EFI partition.
func localDisk(t *testing.T, loader string) string {
	t.Helper()
	disk := make([]byte, 2048*512)
	// Sends what follows it to COM1 through the BIOS.
	copy(disk, []byte{0x31, 0xc0, 0x8e, 0xd8, 0x31, 0xd2, 0xbe, 0x17, 0x7c, 0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x01, 0xcd, 0x14, 0xeb, 0xf5, 0xf4, 0xeb, 0xfd})
	copy(disk[0x17:], "installed\r\n\x00")
	disk[510], disk[511] = 0x55, 0xaa
	if loader == "" {
		return write(t, "disk.img", disk)
	}
	efi := grubImage(t, "x86_64-efi", "/none", "serial --unit=0\nterminal_output serial\necho installed\nsleep 60\n")
	fat := filepath.Join(t.TempDir(), "disk.img")
	buildFAT(t, fat, fstest.MapFS{loader: file("")}, map[string][]byte{loader: efi})
	part, err := os.ReadFile(fat)
	if err != nil {
		t.Fatal(err)
	}
	entry := disk[446:462]
	entry[4] = 0xef
	binary.LittleEndian.PutUint32(entry[8:], 2048)
	binary.LittleEndian.PutUint32(entry[12:], uint32(len(part)/512))
	return write(t, "disk.img", append(disk, part...))
}

// A machine has a medium, which it boots first, and a disk.
type machine struct {
	how    string // "bios", "uefi"; "-usb" presents the medium as a disk
	medium string
	disk   string
}

// boot starts a machine and returns what it printed on its serial port, until
// it has printed what is wanted or two minutes are over. It is emulated: KVM is
// not to be had everywhere.
func boot(t *testing.T, m machine, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"-accel", "tcg", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot", "-serial", "stdio", "-snapshot",
		"-drive", "if=none,id=disk,format=raw,file=" + m.disk, "-device", "ide-hd,drive=disk,bootindex=9"}
	firmware, usb := strings.CutSuffix(m.how, "-usb")
	if usb {
		args = append(args, "-drive", "if=none,id=cd,format=raw,file="+m.medium, "-device", "qemu-xhci", "-device", "usb-storage,drive=cd,bootindex=1")
	} else {
		args = append(args, "-drive", "if=none,id=cd,media=cdrom,format=raw,file="+m.medium, "-device", "ide-cd,drive=cd,bootindex=1")
	}
	if firmware == "uefi" {
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
