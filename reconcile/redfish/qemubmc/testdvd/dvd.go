package testdvd

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// The files of a stock DVD that have words in them, and the menus that boot without asking.
//
//go:embed stock
var stock embed.FS

// product is whose DVD it is like.
const product = "Rocky Linux"

// A DVD says which installer DVD to make. The zero value is one of Rocky Linux 9.6 with stock menus: their default is
// to test the medium after a minute, as on the real one.
type DVD struct {
	// Version is that of the distribution; empty means 9.6.
	Version string
	// VolumeID names the medium; empty means Rocky-9-6-x86_64-dvd for version 9.6.
	VolumeID string
	// Packages is how many bytes of packages to put on it, the same ones each time; 0 means 8 MiB.
	// At least two files of half a mebibyte are made.
	Packages int64
	// Kernel is what to boot; nil means that of [DebianKernel] in the user's cache.
	Kernel *Kernel
	// Unattended, if not nil, makes what an installation boots in the end: for tests of machines, where nothing
	// patches the medium.
	Unattended *Unattended
}

// Unattended is how to install without asking.
type Unattended struct {
	Answer     []byte // becomes /ks.cfg
	KernelArgs string // appended to the kernel's command line
}

// Loaders from Debian's packages, by their place on the DVD.
var loaders = map[string]string{
	"isolinux/isolinux.bin": "/usr/lib/ISOLINUX/isolinux.bin",
	"isolinux/ldlinux.c32":  "/usr/lib/syslinux/modules/bios/ldlinux.c32",
	"isolinux/libcom32.c32": "/usr/lib/syslinux/modules/bios/libcom32.c32",
	"isolinux/libutil.c32":  "/usr/lib/syslinux/modules/bios/libutil.c32",
	"isolinux/vesamenu.c32": "/usr/lib/syslinux/modules/bios/vesamenu.c32",
}

// isohybrid is the boot sector that makes the DVD bootable as a disk too.
const isohybrid = "/usr/lib/ISOLINUX/isohdpfx.bin"

// dvdGRUB are the modules of the DVD's GRUB. It cannot load others, as a signed one cannot.
var dvdGRUB = []string{
	"all_video", "boot", "cat", "configfile", "echo", "fat", "gzio", "halt", "iso9660", "linux", "linuxefi", "ls",
	"minicmd", "normal", "part_gpt", "part_msdos", "reboot", "search", "search_fs_file", "search_fs_uuid",
	"search_label", "serial", "sleep", "terminal", "test",
}

// efiSize is the size of the EFI image: as large as GRUB, its menu and some room ask for.
const efiSize = 8 << 20

// Write makes the DVD at path, with xorriso, GRUB and mtools, in a few seconds.
func (d *DVD) Write(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("making test DVD: %w", err)
	}
	tmp, err := os.MkdirTemp("", "testdvd-")
	if err != nil {
		return fmt.Errorf("making test DVD: %w", err)
	}
	defer os.RemoveAll(tmp)
	full := *d
	if full.Version == "" {
		full.Version = "9.6"
	}
	if full.VolumeID == "" {
		full.VolumeID = "Rocky-" + strings.ReplaceAll(full.Version, ".", "-") + "-x86_64-dvd"
	}
	if full.Packages == 0 {
		full.Packages = 8 << 20
	}
	if full.Kernel == nil {
		if full.Kernel, err = DebianKernel(ctx, ""); err != nil {
			return fmt.Errorf("making test DVD: %w", err)
		}
	}
	b := builder{DVD: full, tmp: tmp, root: filepath.Join(tmp, "root"), sums: make(map[string]string)}
	if err := b.build(ctx, path); err != nil {
		return fmt.Errorf("making test DVD: %w", err)
	}
	return nil
}

// builder collects the DVD's files in a folder.
type builder struct {
	DVD
	tmp, root string
	sums      map[string]string // SHA-256 of what was written, by place
}

func (b *builder) build(ctx context.Context, out string) error {
	for _, step := range []func(context.Context) error{b.loaders, b.kernel, b.efi, b.stage2, b.packages, b.words} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err := run(ctx, b.tmp, "xorriso", "-as", "mkisofs", "-quiet", "-o", out, "-V", b.VolumeID,
		"-R", "-J", "-joliet-long", "-isohybrid-mbr", isohybrid,
		"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		"-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot", b.root)
	return err
}

// kernel puts kernel and ramdisk where each of the two boot loaders looks for them: one file under two names. The
// folders are there when the loaders are.
func (b *builder) kernel(ctx context.Context) error {
	ramdisk, err := initrd(ctx, b.Kernel)
	if err != nil {
		return fmt.Errorf("making initial ramdisk: %w", err)
	}
	image, err := os.ReadFile(b.Kernel.Image)
	if err != nil {
		return fmt.Errorf("reading kernel: %w", err)
	}
	for name, data := range map[string][]byte{"vmlinuz": image, "initrd.img": ramdisk} {
		if err := b.write("images/pxeboot/"+name, data); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(b.root, "images/pxeboot", name), filepath.Join(b.root, "isolinux", name)); err != nil {
			return err
		}
	}
	return nil
}

// loaders puts ISOLINUX and its menu on the DVD.
func (b *builder) loaders(context.Context) error {
	for place, from := range loaders {
		data, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("reading boot loader (packages isolinux, syslinux-common): %w", err)
		}
		if err := b.write(place, data); err != nil {
			return err
		}
	}
	menu := b.text("isolinux.cfg")
	if err := b.write("isolinux/isolinux.cfg", menu); err != nil {
		return err
	}
	if err := b.write("isolinux/grub.conf", menu); err != nil {
		return err
	}
	return b.write("isolinux/boot.msg", []byte("\fPress [Tab] to edit options.\n"))
}

// efi puts GRUB and its menu on the DVD twice: in the tree, and in the FAT image that firmware looks into.
func (b *builder) efi(ctx context.Context) error {
	loader, err := grub(ctx, b.tmp, "dvd", "", dvdGRUB...)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(loader)
	if err != nil {
		return err
	}
	menu := b.text("grub.cfg")
	for place, data := range map[string][]byte{
		"EFI/BOOT/BOOTX64.EFI": data, "EFI/BOOT/grubx64.efi": data, "EFI/BOOT/grub.cfg": menu, "EFI/BOOT/BOOT.conf": menu,
	} {
		if err := b.write(place, data); err != nil {
			return err
		}
	}
	image := filepath.Join(b.tmp, "efiboot.img")
	err = writeFAT(ctx, image, efiSize, "ANACONDA", map[string]string{
		"BOOTX64.EFI": loader,
		"grubx64.efi": loader,
		"grub.cfg":    filepath.Join(b.root, "EFI/BOOT/grub.cfg"),
		"BOOT.conf":   filepath.Join(b.root, "EFI/BOOT/BOOT.conf"),
	})
	if err != nil {
		return err
	}
	if data, err = os.ReadFile(image); err != nil {
		return err
	}
	return b.write("images/efiboot.img", data)
}

func (b *builder) stage2(ctx context.Context) error {
	image, err := stage2(ctx, b.tmp)
	if err != nil {
		return err
	}
	return b.write("images/install.img", image)
}

// packages makes files that nothing compresses, and the list that the installer checks them against.
func (b *builder) packages(context.Context) error {
	const each = 512 << 10
	random := rand.NewChaCha8(sha256.Sum256([]byte(b.VolumeID)))
	repositories := []string{"BaseOS", "AppStream"}
	lists := make([]strings.Builder, len(repositories))
	for i, left := 0, max(b.Packages, int64(len(repositories))*each); left > 0; i++ {
		data := make([]byte, min(left, each))
		left -= int64(len(data))
		if _, err := io.ReadFull(random, data); err != nil {
			return err
		}
		r := i % len(repositories)
		place := fmt.Sprintf("Packages/p/package-%d-1.el9.x86_64.rpm", i)
		if err := b.write(repositories[r]+"/"+place, data); err != nil {
			return err
		}
		fmt.Fprintf(&lists[r], "%s  %s\n", b.sums[repositories[r]+"/"+place], place)
	}
	for r, name := range repositories {
		if err := b.write(name+"/repodata/SHA256SUMS", []byte(lists[r].String())); err != nil {
			return err
		}
	}
	return nil
}

// words puts the files for people and for programs in the root, and the answer file if it belongs there.
func (b *builder) words(context.Context) error {
	for place, text := range map[string]string{".treeinfo": "treeinfo", ".discinfo": "discinfo", "media.repo": "media.repo"} {
		if err := b.write(place, b.text(text)); err != nil {
			return err
		}
	}
	for _, name := range []string{
		"COMMUNITY-CHARTER", "Contributors", "EULA", "LICENSE", "RPM-GPG-KEY-Rocky-9", "RPM-GPG-KEY-Rocky-9-Testing",
	} {
		if err := b.write(name, []byte("This is a DVD for tests. It installs nothing of use.\n")); err != nil {
			return err
		}
	}
	if b.Unattended == nil {
		return nil
	}
	return b.write("ks.cfg", b.Unattended.Answer)
}

// text is a file of the folder stock with its words filled in. Of a menu there are two.
func (b *builder) text(name string) []byte {
	words := []string{
		"@PRODUCT@", product,
		"@VERSION@", b.Version,
		"@VOLID@", b.VolumeID,
		"@LABEL@", strings.ReplaceAll(b.VolumeID, " ", `\x20`), // as udev names it
	}
	for place, sum := range b.sums {
		words = append(words, "@SHA256 "+place+"@", sum)
	}
	file := path.Join("stock", name)
	if b.Unattended != nil {
		words = append(words, "@ARGS@", b.Unattended.KernelArgs)
		if other, err := stock.ReadFile("stock/unattended-" + name); err == nil {
			return []byte(strings.NewReplacer(words...).Replace(string(other)))
		}
	}
	data, err := stock.ReadFile(file)
	if err != nil {
		panic(err) // embedded: cannot be absent
	}
	return []byte(strings.NewReplacer(words...).Replace(string(data)))
}

// write puts a file on the DVD.
func (b *builder) write(place string, data []byte) error {
	file := filepath.Join(b.root, filepath.FromSlash(place))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	b.sums[place] = fmt.Sprintf("%x", sum)
	return os.WriteFile(file, data, 0o644)
}
