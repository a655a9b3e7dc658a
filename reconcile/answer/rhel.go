package answer

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// rhel is Anaconda: RHEL, Rocky, Alma, CentOS Stream and Oracle Linux 8 to 10,
// and Fedora.
//
// Sources: anaconda's boot options and dracut scripts, lorax' templates
// (x86.tmpl, aarch64.tmpl) for the layout of media.
var rhel = &family{
	name:     "rhel",
	arches:   []string{"x86_64", "aarch64"},
	format:   "kickstart",
	reserved: []string{"inst.ks", "ks", "inst.stage2", "stage2", "initrd", "inst.ks.sendmac", "inst.ks.device", "rd.live.check", "inst.rescue", "rescue", "inst.nokill"},
	identify: identifyAnaconda,
	recipe:   anacondaRecipe,
	inspect:  inspectKickstart,
}

func identifyAnaconda(d *disc, version, arch string) error {
	if major, _, _ := strings.Cut(version, "."); !slices.Contains([]string{"8", "9", "10"}, major) {
		if n, err := strconv.Atoi(major); err != nil || n < 40 {
			return fmt.Errorf("version %q is none of RHEL's 8, 9, 10 or Fedora's 40 and later", version)
		}
	}
	all, err := products(d)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.arch != "" && p.arch != arch {
			return fmt.Errorf("%s says that it is for %s", p.source, p.arch)
		}
		if p.version != "" && !sameVersion(version, p.version) {
			return fmt.Errorf("%s says that it is %s", p.source, strings.TrimSpace(p.name+" "+p.version))
		}
	}
	if len(all) == 0 && !labelSays(d.VolumeID, version, arch) {
		return fmt.Errorf("there is neither /.treeinfo nor /.discinfo, and the volume id %q does not name that version and architecture", d.VolumeID)
	}
	return nil
}

// anacondaRecipe follows lorax: isolinux for the BIOS up to 9, GRUB for
// everything else.
func anacondaRecipe(d *disc, arch, _ string) (*recipe, error) {
	const uefi = "/EFI/BOOT/grub.cfg"
	rec := &recipe{
		answer: "/ks.cfg",
		pick:   func(e entry) bool { return !slices.ContainsFunc(e.args, notPlain) && isStage2(e.args) },
		drops: func(a string) bool {
			return slices.Contains([]string{"rd.live.check", "check", "quiet", "rhgb", "splash"}, a)
		},
		arguments: func(stock, image []string) ([]string, error) {
			return anacondaArguments(stock, image, d.VolumeID)
		},
		loaders:  shims(arch, "shim@.efi", "redhat", "rocky", "almalinux", "centos", "fedora"),
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	if arch == "x86_64" {
		bios := map[string]menuKind{"/isolinux/isolinux.cfg": isolinux, "/boot/grub2/grub.cfg": grub}
		for _, p := range []string{"/isolinux/isolinux.cfg", "/boot/grub2/grub.cfg"} {
			if d.has(Tree, p) {
				rec.menus = append(rec.menus, menu{kind: bios[p], path: p})
			}
		}
		if len(rec.menus) == 0 {
			return nil, fmt.Errorf("neither /isolinux/isolinux.cfg nor /boot/grub2/grub.cfg is on the image: there is no menu for the BIOS")
		}
	}
	rec.menus = append(rec.menus, menu{kind: grub, path: uefi}, menu{kind: stub, path: uefi, source: uefi})
	// Images that boot 32-bit firmware too have the same menu twice.
	if d.has(Tree, "/EFI/BOOT/BOOT.conf") {
		rec.menus = append(rec.menus, menu{kind: grub, path: "/EFI/BOOT/BOOT.conf"})
	}
	if d.has(EFI, "/EFI/BOOT/BOOT.conf") {
		rec.menus = append(rec.menus, menu{kind: stub, path: "/EFI/BOOT/BOOT.conf", source: uefi})
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	return rec, rec.anacondaFiles(d)
}

// anacondaFiles finds the second stage and the loaders.
func (rec *recipe) anacondaFiles(d *disc) error {
	stage2 := "/images/install.img"
	if !d.has(Tree, stage2) && d.has(Tree, "/LiveOS/squashfs.img") {
		stage2 = "/LiveOS/squashfs.img"
	}
	if err := d.assert(stage2); err != nil {
		return fmt.Errorf("the installer's second stage: %w", err)
	}
	rec.payload = d.present(stage2)
	rec.loader = d.present("/isolinux/isolinux.bin", "/isolinux/ldlinux.c32", "/isolinux/libcom32.c32", "/isolinux/libutil.c32", "/isolinux/vesamenu.c32",
		"/boot/grub2/i386-pc/normal.mod", "/images/eltorito.img", "/images/efiboot.img",
		"/EFI/BOOT/BOOTX64.EFI", "/EFI/BOOT/grubx64.efi", "/EFI/BOOT/BOOTAA64.EFI", "/EFI/BOOT/grubaa64.efi", "/EFI/BOOT/grub.cfg")
	return nil
}

// notPlain tells the arguments of entries that do not install in the usual way.
func notPlain(a string) bool {
	key, _, _ := strings.Cut(a, "=")
	return slices.Contains([]string{"inst.rescue", "rescue", "nomodeset", "inst.xdriver", "xdriver", "inst.text", "inst.vnc", "inst.rdp", "rd.live.ram", "rd.live.image"}, key)
}

func isStage2(args []string) bool {
	_, ok := argument(args, "inst.stage2")
	return ok
}

// anacondaArguments adds the answer file where the stock menu says that the
// second stage is: on the medium with this label.
func anacondaArguments(stock, image []string, volumeID string) ([]string, error) {
	stage2, _ := argument(stock, "inst.stage2")
	label, ok := strings.CutPrefix(stage2, "hd:LABEL=")
	if !ok || strings.Contains(label, ":") {
		return nil, fmt.Errorf("inst.stage2=%s is not of the form hd:LABEL=…, by which the answer file could be found", stage2)
	}
	if got := udevUnescape(label); got != volumeID {
		return nil, fmt.Errorf("inst.stage2 looks for a medium labelled %q, but this one is %q", got, volumeID)
	}
	args := append(slices.Clone(stock), "inst.ks="+stage2+":"+path.Join("/", "ks.cfg"))
	ui := []string{"inst.text", "inst.cmdline", "inst.graphical", "inst.vnc", "inst.rdp"}
	if !slices.ContainsFunc(image, func(a string) bool { return slices.Contains(ui, strings.SplitN(a, "=", 2)[0]) }) {
		args = append(args, "inst.cmdline") // fails instead of asking
	}
	return append(args, image...), nil
}

// udevUnescape undoes \x20 and the like, as they stand in /dev/disk/by-label.
func udevUnescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && i+4 <= len(s) {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
