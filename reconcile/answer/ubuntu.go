package answer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// ubuntu is subiquity on the live-server images, 22.04 and later. The answer is
// cloud-init's user-data with an autoinstall section, found on the medium as a
// NoCloud source: that works in every version, unlike /autoinstall.yaml.
//
// Sources: livecd-rootfs for the layout of media, canonical/subiquity's
// autoinstall reference.
var ubuntu = &family{
	name:     "ubuntu",
	arches:   []string{"x86_64", "aarch64"},
	format:   "user-data",
	reserved: []string{"autoinstall", "ds", "subiquity.autoinstallpath", "cloud-config-url", "initrd", "---", "--"},
	identify: func(d *disc, version, arch string) error {
		p, err := diskInfo(d, "Ubuntu-Server")
		if err != nil {
			return err
		}
		if year, _, _ := strings.Cut(p.version, "."); year < "22" || len(year) != 2 {
			return fmt.Errorf("/.disk/info says that it is version %s, which installs in another way; 22.04 is the first that is known", p.version)
		}
		return p.is(version, arch)
	},
	recipe:  ubuntuRecipe,
	inspect: inspectAutoinstall,
}

func ubuntuRecipe(d *disc, arch, _ string) (*recipe, error) {
	rec := &recipe{
		answer:    "/user-data",
		menus:     []menu{{kind: grub, path: "/boot/grub/grub.cfg"}},
		pick:      func(e entry) bool { return e.kernel == "/casper/vmlinuz" },
		drops:     func(a string) bool { return a == "quiet" || a == "splash" || strings.HasPrefix(a, "fsck.mode=") },
		arguments: debianArguments("autoinstall", "fsck.mode=skip", "ds=nocloud;s=/cdrom/"),
		loaders:   shims(arch, "shim@.efi", "ubuntu"),
		evidence:  []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
		extra:     []Change{{In: Tree, Path: "/meta-data", Op: Write, Data: []byte("instance-id: metalcue\n")}},
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	// GRUB in the EFI image has no menu of its own: it looks for this file.
	if err := d.assert("/.disk/info"); err != nil {
		return nil, err
	}
	if d.has(EFI, "/EFI/BOOT/grub.cfg") || d.has(EFI, "/boot/grub/grub.cfg") {
		return nil, errors.New("EFI image: there is a grub.cfg, which Ubuntu's own images do not have")
	}
	layers, err := fs.Glob(d.ISO.Tree, "casper/*.squashfs")
	if err != nil || len(layers) == 0 {
		return nil, errors.New("there is no /casper/*.squashfs to install from")
	}
	for _, l := range layers {
		rec.payload = append(rec.payload, path.Join("/", l))
	}
	rec.loader = d.present("/EFI/boot/bootx64.efi", "/EFI/boot/grubx64.efi", "/EFI/boot/bootaa64.efi", "/EFI/boot/grubaa64.efi",
		"/boot/grub/i386-pc/eltorito.img", "/boot/grub/i386-pc/normal.mod", "/boot/grub/x86_64-efi/grub.cfg", "/boot/grub/arm64-efi/grub.cfg")
	return rec, nil
}
