package isotest

import (
	"fmt"
	"strings"
)

// Options say what the image of RHEL is called and how large it is. The zero value is a small Rocky Linux 9.6.
type Options struct {
	VolumeID string // default: Name, Version and Arch, as in "Rocky-9-6-x86_64-dvd"
	Family   string // the product's name in menus and .treeinfo; default "Rocky Linux"
	Version  string // default "9.6"
	Arch     string // "x86_64" (default) or "aarch64"

	Payload  int64 // bytes of generated packages in /BaseOS/Packages; default 256 KiB
	Packages int   // number of these; default 8

	Enhanced bool // an ISO 9660:1999 tree besides Rock Ridge and Joliet
	FullRoot bool // no room for a further file in the root directories
}

func (o *Options) setDefaults() {
	if o.Family == "" {
		o.Family = "Rocky Linux"
	}
	if o.Version == "" {
		o.Version = "9.6"
	}
	if o.Arch == "" {
		o.Arch = "x86_64"
	}
	if o.VolumeID == "" {
		o.VolumeID = strings.Fields(o.Family)[0] + "-" + strings.ReplaceAll(o.Version, ".", "-") + "-" + o.Arch + "-dvd"
	}
	if o.Payload == 0 {
		o.Payload = 256 << 10
	}
	if o.Packages == 0 {
		o.Packages = 8
	}
}

// RHEL returns an image laid out like a RHEL 9 DVD: /isolinux, /EFI/BOOT, /images with efiboot.img, install.img and
// pxeboot, /BaseOS/Packages, .treeinfo, .discinfo and media.repo. Its menus are the stock ones: they wait 60 seconds, then
// check the medium and install by hand. The default image is about 1.5 MiB.
func RHEL(o Options) ([]byte, error) {
	d, err := RHELDisc(o)
	if err != nil {
		return nil, err
	}
	return d.Bytes(), nil
}

// RHELDisc is RHEL for images that need not or cannot be held in memory.
func RHELDisc(o Options) (*Disc, error) {
	l, err := RHELLayout(o)
	if err != nil {
		return nil, err
	}
	return Lay(l)
}

// RHELLayout returns what RHEL builds, to be changed by the caller.
func RHELLayout(o Options) (Layout, error) {
	o.setDefaults()
	loader := Generated(1, 40<<10)
	efi := map[string]string{"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI"}[o.Arch]
	if efi == "" {
		return Layout{}, fmt.Errorf("isotest: no RHEL of architecture %q", o.Arch)
	}
	grub := []byte(grubCfg(o))
	esp, err := FAT{Bits: 12, Files: []File{
		{Path: "/EFI/BOOT/" + efi, Data: loader},
		{Path: "/EFI/BOOT/grub.cfg", Data: grub},
		{Path: "/EFI/BOOT/mmx64.efi", Data: Generated(2, 9000)},
	}}.Build()
	if err != nil {
		return Layout{}, err
	}
	l := Layout{
		VolumeID: o.VolumeID, RockRidge: true, Joliet: true, Untranslated: true, Enhanced: o.Enhanced, FullRoot: o.FullRoot,
		Files: []File{
			{Path: "/.discinfo", Data: fmt.Appendf(nil, "1746100800.123456\n%s\n%s\n", o.Version, o.Arch)},
			{Path: "/.treeinfo", Data: []byte(treeinfo(o))},
			{Path: "/media.repo", Data: fmt.Appendf(nil, "[InstallMedia]\nname=%s %s\nmediaid=1746100800.123456\nmetadata_expire=-1\ngpgcheck=0\ncost=500\n", o.Family, o.Version)},
			{Path: "/EULA", Data: []byte("Use it.\n")},
			{Path: "/LICENSE", Data: []byte("Copy it.\n")},
			{Path: "/COMMUNITY-CHARTER", Data: []byte("Talk about it.\n")},
			{Path: "/RPM-GPG-KEY-9", Data: Generated(4, 1600)},
			{Path: "/RPM-GPG-KEY-9-Testing", Data: Generated(5, 1600)},
			{Path: "/extra_files.json", Data: []byte("{}\n")},
			{Path: "/AppStream/repodata/repomd.xml", Data: []byte("<repomd/>\n")},
			{Path: "/BaseOS/repodata/repomd.xml", Data: []byte("<repomd/>\n")},
			{Path: "/EFI/BOOT/" + efi, Data: loader},
			{Path: "/EFI/BOOT/grub.cfg", Data: grub},
			{Path: "/images/efiboot.img", Data: esp},
			{Path: "/images/install.img", Size: 256 << 10},
			{Path: "/images/pxeboot/vmlinuz", Size: 64 << 10},
			{Path: "/images/pxeboot/initrd.img", Size: 128 << 10},
		},
	}
	if o.Arch == "x86_64" {
		l.Files = append(l.Files,
			File{Path: "/isolinux/isolinux.bin", Data: Generated(3, 24<<10)},
			File{Path: "/isolinux/isolinux.cfg", Data: []byte(isolinuxCfg(o))},
			File{Path: "/isolinux/vmlinuz", Link: "/images/pxeboot/vmlinuz"},
			File{Path: "/isolinux/initrd.img", Link: "/images/pxeboot/initrd.img"},
		)
		l.Catalog = "/isolinux/boot.cat"
		l.Boot = append(l.Boot, Boot{Path: "/isolinux/isolinux.bin", Sectors: 4, Table: true})
	}
	l.Boot = append(l.Boot, Boot{Platform: 0xEF, Path: "/images/efiboot.img"})
	for i := range o.Packages {
		size := o.Payload / int64(o.Packages)
		if i == 0 {
			size += o.Payload % int64(o.Packages)
		}
		p := fmt.Sprintf("/BaseOS/Packages/%c/package-%05d-1.0-1.el9.%s.rpm", 'a'+i%26, i, o.Arch)
		l.Files = append(l.Files, File{Path: p, Size: size})
	}
	return l, nil
}

// Generated returns n bytes of the content that seed generates.
func Generated(seed uint64, n int) []byte {
	p := make([]byte, n)
	Payload(seed<<40, p, 0)
	return p
}

func treeinfo(o Options) string {
	return fmt.Sprintf(`[checksums]
images/efiboot.img = sha256:0000000000000000000000000000000000000000000000000000000000000000

[general]
; WARNING.0 = This section provides compatibility with pre-productmd treeinfos.
arch = %[3]s
family = %[1]s
name = %[1]s %[2]s
packagedir = BaseOS/Packages
platforms = %[3]s,xen
repository = BaseOS
timestamp = 1746100800
variant = BaseOS
variants = AppStream,BaseOS
version = %[2]s

[header]
type = productmd.treeinfo
version = 1.2

[images-%[3]s]
efiboot.img = images/efiboot.img
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[media]
discnum = 1
totaldiscs = 1

[release]
name = %[1]s
short = %[4]s
version = %[2]s

[stage2]
mainimage = images/install.img

[tree]
arch = %[3]s
build_timestamp = 1746100800
platforms = %[3]s,xen
variants = AppStream,BaseOS

[variant-BaseOS]
id = BaseOS
name = BaseOS
packages = BaseOS/Packages
repository = BaseOS
type = variant
uid = BaseOS
`, o.Family, o.Version, o.Arch, strings.Fields(o.Family)[0])
}

// isolinuxCfg is lorax' menu for the BIOS.
func isolinuxCfg(o Options) string {
	label := strings.ReplaceAll(o.VolumeID, " ", `\x20`)
	return fmt.Sprintf(`default vesamenu.c32
timeout 600

display boot.msg

# Clear the screen when exiting the menu, instead of leaving the menu displayed.
menu clear
menu background splash.png
menu title %[1]s %[2]s
menu vshift 8
menu rows 18
menu margin 8
menu helpmsgrow 15
menu tabmsgrow 13

# Border Area
menu color border * #00000000 #00000000 none

menu tabmsg Press Tab for full configuration options on menu items.

menu separator # insert an empty line
menu separator # insert an empty line

label linux
  menu label ^Install %[1]s %[2]s
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=%[3]s quiet

label check
  menu label Test this ^media & install %[1]s %[2]s
  menu default
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=%[3]s rd.live.check quiet

menu separator # insert an empty line

# utilities submenu
menu begin ^Troubleshooting
  menu title Troubleshooting %[1]s %[2]s

label basic
  menu indent count 5
  menu label Install using ^basic graphics mode
  text help
	Try this option out if you're having trouble installing
	%[1]s %[2]s.
  endtext
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=%[3]s nomodeset quiet

label rescue
  menu indent count 5
  menu label ^Rescue a %[1]s system
  kernel vmlinuz
  append initrd=initrd.img inst.stage2=hd:LABEL=%[3]s inst.rescue quiet

label local
  menu label Boot from ^local drive
  localboot 0xffff

menu separator # insert an empty line

label returntomain
  menu label Return to ^main menu
  menu exit

menu end
`, o.Family, o.Version, label)
}

// grubCfg is lorax' menu for UEFI.
func grubCfg(o Options) string {
	linux, initrd := "linuxefi", "initrdefi"
	if o.Arch == "aarch64" {
		linux, initrd = "linux", "initrd"
	}
	return fmt.Sprintf(`set default="1"

function load_video {
  insmod efi_gop
  insmod efi_uga
  insmod video_bochs
  insmod video_cirrus
  insmod all_video
}

load_video
set gfxpayload=keep
insmod gzio
insmod part_gpt
insmod ext2
insmod chain

set timeout=60
### END /etc/grub.d/00_header ###

search --no-floppy --set=root -l '%[6]s'

### BEGIN /etc/grub.d/10_linux ###
menuentry 'Install %[1]s %[2]s' --class fedora --class gnu-linux --class gnu --class os {
	%[4]s /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=%[3]s quiet
	%[5]s /images/pxeboot/initrd.img
}
menuentry 'Test this media & install %[1]s %[2]s' --class fedora --class gnu-linux --class gnu --class os {
	%[4]s /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=%[3]s rd.live.check quiet
	%[5]s /images/pxeboot/initrd.img
}
submenu 'Troubleshooting -->' {
	menuentry 'Install %[1]s %[2]s using basic graphics mode' --class fedora --class gnu-linux --class gnu --class os {
		%[4]s /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=%[3]s nomodeset quiet
		%[5]s /images/pxeboot/initrd.img
	}
	menuentry 'Rescue a %[1]s system' --class fedora --class gnu-linux --class gnu --class os {
		%[4]s /images/pxeboot/vmlinuz inst.stage2=hd:LABEL=%[3]s inst.rescue quiet
		%[5]s /images/pxeboot/initrd.img
	}
}
`, o.Family, o.Version, strings.ReplaceAll(o.VolumeID, " ", `\x20`), linux, initrd, o.VolumeID)
}
