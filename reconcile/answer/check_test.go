package answer_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// Whatever is not as the recipe says is an error that names what surprises,
// and nothing is rendered.
func TestSurprises(t *testing.T) {
	rocky9, rhel10 := anacondas[1].layout(), anacondas[4].layout()
	tests := []struct {
		name  string
		of    layout
		spoil func(tree, efi fstest.MapFS, l *layout, iso *answer.ISO)
		want  string
	}{
		{"arch", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.arch = "aarch64" }, "/.treeinfo says that it is for x86_64"},
		{"version", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "9.5" }, "/.treeinfo says that it is Rocky Linux 9.6"},
		{"version, shorter", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "9.60" }, "says that it is Rocky Linux 9.6"},
		{"old version", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "7.9" }, `version "7.9" is none of`},
		{"family", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.family = "plan9" }, `family "plan9" is not known; there are `},
		{"unknown arch", rocky9, func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.arch = "s390x" }, `not for "s390x"`},
		{"discinfo", rocky9, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree[".discinfo"] = file("1\n9.6\naarch64\n")
		}, "/.discinfo says that it is for aarch64"},
		{"short discinfo", rocky9, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { tree[".discinfo"] = file("1\n") }, "/.discinfo has 1 lines"},
		{"nothing to go by", rhel10, func(tree, _ fstest.MapFS, _ *layout, iso *answer.ISO) {
			delete(tree, ".treeinfo")
			delete(tree, ".discinfo")
			iso.VolumeID = "CDROM"
		}, `the volume id "CDROM" does not name`},
		{"label", rocky9, func(_, _ fstest.MapFS, _ *layout, iso *answer.ISO) { iso.VolumeID = "Other" }, `labelled "Rocky-9-6-x86_64-dvd", but this one is "Other"`},
		{"no BIOS menu", rocky9, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "isolinux/isolinux.cfg") }, "neither /isolinux/isolinux.cfg nor /boot/grub2/grub.cfg"},
		{"no UEFI menu", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "EFI/BOOT/grub.cfg") }, "/EFI/BOOT/grub.cfg: file does not exist"},
		{"no EFI image", rhel10, func(_, _ fstest.MapFS, _ *layout, iso *answer.ISO) { iso.EFI = nil }, "/EFI/BOOT/grub.cfg: the image has no efi file system"},
		{"no menu in the EFI image", rhel10, func(_, efi fstest.MapFS, _ *layout, _ *answer.ISO) { delete(efi, "EFI/BOOT/grub.cfg") }, "EFI image: /EFI/BOOT/grub.cfg: file does not exist"},
		{"short menu in the EFI image", rhel10, func(_, efi fstest.MapFS, _ *layout, _ *answer.ISO) { efi["EFI/BOOT/grub.cfg"] = file("configfile x\n") }, "EFI image: /EFI/BOOT/grub.cfg has 13 bytes, too few"},
		{"no kernel", rocky9, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "isolinux/vmlinuz") }, "/isolinux/isolinux.cfg boots /isolinux/vmlinuz: file does not exist"},
		{"no initrd", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "images/pxeboot/initrd.img") }, "boots /images/pxeboot/initrd.img: file does not exist"},
		{"no second stage", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "images/install.img") }, "second stage: /images/install.img: file does not exist"},
		{"live medium", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["EFI/BOOT/grub.cfg"] = file("menuentry 'Start Live' {\n linux /images/pxeboot/vmlinuz root=live:CDLABEL=x rd.live.image\n initrd /images/pxeboot/initrd.img\n}\n")
		}, `/EFI/BOOT/grub.cfg has no entry that starts a plain install; it has "Start Live"`},
		{"second stage elsewhere", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["boot/grub2/grub.cfg"] = file("menuentry 'x' {\n linux /images/pxeboot/vmlinuz inst.stage2=http://example.com/\n initrd /images/pxeboot/initrd.img\n}\n")
		}, "inst.stage2=http://example.com/ is not of the form hd:LABEL"},
		{"variable in the menu", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["boot/grub2/grub.cfg"] = file("menuentry 'x' {\n linux /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=RHEL-10-0-BaseOS-x86_64 ${more}\n initrd /images/pxeboot/initrd.img\n}\n")
		}, `"${more}" cannot be taken over`},
		{"broken menu", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["boot/grub2/grub.cfg"] = file("menuentry 'x")
		}, "/boot/grub2/grub.cfg: a quote is not closed"},
		{"huge menu", rhel10, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["boot/grub2/grub.cfg"] = file(strings.Repeat("\n", 1<<21))
		}, "too many for what it is"},
		{"not stock", rocky9, func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { tree["ks.cfg"] = file("text") }, "/ks.cfg is on the image already"},
	}
	for _, tt := range tests {
		l := tt.of
		iso := l.iso()
		tt.spoil(iso.Tree.(fstest.MapFS), iso.EFI.(fstest.MapFS), &l, &iso)
		check := answer.Check(iso, l.family, l.version, l.arch)
		r := request(t, tt.of)
		r.ISO, r.Family, r.Version, r.Arch = iso, l.family, l.version, l.arch
		_, render := answer.Render(r)
		if check == nil && render == nil {
			t.Errorf("%s: nothing is noticed", tt.name)
		}
		if !slices.ContainsFunc([]error{check, render}, func(err error) bool { return err != nil && strings.Contains(err.Error(), tt.want) }) {
			t.Errorf("%s: Check says %v, Render says %v; want %s", tt.name, check, render, tt.want)
		}
	}
}

// Plain ISO 9660 and FAT have no lower case.
func TestUpperCase(t *testing.T) {
	l := anacondas[6].layout()
	iso := l.iso()
	upper := fstest.MapFS{}
	for name, f := range iso.Tree.(fstest.MapFS) {
		upper[strings.ToUpper(name)] = f
	}
	r := request(t, l)
	r.ISO.Tree = upper
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Changes[0].Path; got != "/BOOT/GRUB2/GRUB.CFG" {
		t.Errorf("the menu's path is %s", got)
	}
}

func FuzzMenus(f *testing.F) {
	f.Add(loraxGrub("Fedora", "42", "F", "F", "linux", "initrd"), loraxIsolinux("RHEL", "9", "R"))
	f.Add("menuentry x { linux a\\", "label x\nappend")
	f.Add("menuentry \"x\\\" $y\" {;}}\\\n", "text help\n")
	f.Fuzz(func(t *testing.T, grub, isolinux string) {
		l := anacondas[1].layout()
		iso := l.iso()
		tree := iso.Tree.(fstest.MapFS)
		tree["EFI/BOOT/grub.cfg"], tree["isolinux/isolinux.cfg"] = file(grub), file(isolinux)
		if err := answer.Check(iso, l.family, l.version, l.arch); err == nil {
			r := request(t, l)
			r.ISO = iso
			if _, err := answer.Render(r); err != nil && !strings.Contains(err.Error(), "command line") {
				t.Fatalf("Check takes what Render does not: %v", err)
			}
		}
	})
}
