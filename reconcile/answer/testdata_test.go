package answer_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// A layout is what a stock image looks like: true paths, true menus.
type layout struct {
	name                  string
	family, version, arch string
	iso                   func() answer.ISO
}

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// tree makes a file system of files of which only the names matter.
func tree(names ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for _, n := range names {
		m[n] = file("content of " + n)
	}
	return m
}

// The menus of lorax' x86.tmpl and aarch64.tmpl, as they stand on the media of
// RHEL 8 and 9.
func loraxIsolinux(product, version, label string) string {
	return strings.NewReplacer("@PRODUCT@", product, "@VERSION@", version, "@ROOT@", "inst.stage2=hd:LABEL="+label).Replace(`default vesamenu.c32
timeout 600

display boot.msg

# Clear the screen when exiting the menu, instead of leaving the menu displayed.
# For vesamenu, this means the graphical background is still displayed without
# the menu itself for as long as the screen remains in graphics mode.
menu clear
menu background splash.png
menu title @PRODUCT@ @VERSION@
menu vshift 8
menu rows 18
menu margin 8
#menu hidden
menu helpmsgrow 15
menu tabmsgrow 13

menu color border * #00000000 #00000000 none
menu color sel 0 #ffffffff #00000000 none

menu tabmsg Press Tab for full configuration options on menu items.

menu separator # insert an empty line
menu separator # insert an empty line

label linux
  menu label ^Install @PRODUCT@ @VERSION@
  kernel vmlinuz
  append initrd=initrd.img @ROOT@ quiet

label check
  menu label Test this ^media & install @PRODUCT@ @VERSION@
  menu default
  kernel vmlinuz
  append initrd=initrd.img @ROOT@ rd.live.check quiet

menu separator # insert an empty line

# utilities submenu
menu begin ^Troubleshooting
  menu title Troubleshooting @PRODUCT@ @VERSION@

label basic
  menu indent count 5
  menu label Install using ^basic graphics mode
  text help
	Try this option out if you're having trouble installing
	@PRODUCT@ @VERSION@.
  endtext
  kernel vmlinuz
  append initrd=initrd.img @ROOT@ nomodeset quiet

label rescue
  menu indent count 5
  menu label ^Rescue a @PRODUCT@ system
  text help
	If the system will not boot, this lets you access files
	and edit config files to try to get it booting again.
  endtext
  kernel vmlinuz
  append initrd=initrd.img @ROOT@ inst.rescue quiet

label memtest
  menu label Run a ^memory test
  text help
	If your system is having issues, a problem with your
	system's memory may be the cause. Use this utility to
	see if the memory is working correctly.
  endtext
  kernel memtest

menu separator # insert an empty line

label local
  menu label Boot from ^local drive
  localboot 0xffff

menu separator # insert an empty line
menu separator # insert an empty line

label returntomain
  menu label Return to ^main menu
  menu exit

menu end
`)
}

func loraxGrub(product, version, label, volid, linux, initrd string) string {
	return strings.NewReplacer("@PRODUCT@", product, "@VERSION@", version, "@ROOT@", "inst.stage2=hd:LABEL="+label,
		"@VOLID@", volid, "@LINUX@", linux, "@INITRD@", initrd).Replace(`set default="1"

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

search --no-floppy --set=root -l '@VOLID@'

### BEGIN /etc/grub.d/10_linux ###
menuentry 'Install @PRODUCT@ @VERSION@' --class fedora --class gnu-linux --class gnu --class os {
	@LINUX@ /images/pxeboot/vmlinuz @ROOT@ quiet
	@INITRD@ /images/pxeboot/initrd.img
}
menuentry 'Test this media & install @PRODUCT@ @VERSION@' --class fedora --class gnu-linux --class gnu --class os {
	@LINUX@ /images/pxeboot/vmlinuz @ROOT@ rd.live.check quiet
	@INITRD@ /images/pxeboot/initrd.img
}
submenu 'Troubleshooting -->' {
	menuentry 'Install @PRODUCT@ @VERSION@ in basic graphics mode' --class fedora --class gnu-linux --class gnu --class os {
		@LINUX@ /images/pxeboot/vmlinuz @ROOT@ nomodeset quiet
		@INITRD@ /images/pxeboot/initrd.img
	}
	menuentry 'Rescue a @PRODUCT@ system' --class fedora --class gnu-linux --class gnu --class os {
		@LINUX@ /images/pxeboot/vmlinuz @ROOT@ inst.rescue quiet
		@INITRD@ /images/pxeboot/initrd.img
	}
	if [ "${grub_platform}" = "pc" ]; then
		menuentry 'Boot first drive' --class fedora --class gnu-linux --class gnu --class os {
			chainloader (hd0)+1
		}
	fi
	if [ "${grub_platform}" = "efi" ]; then
		menuentry 'UEFI Firmware Settings' --id 'uefi-firmware' {
			fwsetup
		}
	fi
}
`)
}

// An anaconda describes one medium of the RHEL family.
type anaconda struct {
	product, short, version, arch, volid string
	isolinux, bios32, treeinfo           bool
	linux, initrd                        string
}

func (a anaconda) iso() answer.ISO {
	label := strings.ReplaceAll(a.volid, " ", `\x20`)
	t := tree("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img", "EULA",
		"BaseOS/Packages/a/acl-2.3.1-4.el9.x86_64.rpm", "BaseOS/repodata/repomd.xml")
	if a.arch == "x86_64" {
		t["EFI/BOOT/BOOTX64.EFI"], t["EFI/BOOT/grubx64.efi"] = file("shim"), file("grub")
	} else {
		t["EFI/BOOT/BOOTAA64.EFI"], t["EFI/BOOT/grubaa64.efi"] = file("shim"), file("grub")
	}
	menu := loraxGrub(a.product, a.version, label, a.volid, a.linux, a.initrd)
	t["EFI/BOOT/grub.cfg"] = file(menu)
	efi := fstest.MapFS{"EFI/BOOT/grub.cfg": file(menu), "EFI/BOOT/BOOTX64.EFI": file("shim")}
	if a.bios32 {
		t["EFI/BOOT/BOOT.conf"], efi["EFI/BOOT/BOOT.conf"] = file(menu), file(menu)
	}
	switch {
	case a.isolinux:
		for _, n := range []string{"vmlinuz", "initrd.img", "isolinux.bin", "ldlinux.c32", "vesamenu.c32", "boot.msg", "splash.png"} {
			t["isolinux/"+n] = file(n)
		}
		t["isolinux/isolinux.cfg"] = file(loraxIsolinux(a.product, a.version, label))
		t["isolinux/grub.conf"] = file("#debug --graphics\ndefault=1\n")
		t["images/efiboot.img"] = file("fat")
	case a.arch == "x86_64":
		t["boot/grub2/grub.cfg"] = file(menu)
		t["boot/grub2/i386-pc/normal.mod"] = file("mod")
		t["images/eltorito.img"] = file("core")
	}
	if a.treeinfo {
		t[".discinfo"] = file(fmt.Sprintf("1746100800.123456\n%s\n%s\n", a.version, a.arch))
		t[".treeinfo"] = file(fmt.Sprintf("[general]\n; WARNING.0 = This section provides compatibility with pre-productmd treeinfos.\narch = %[4]s\nfamily = %[1]s\nversion = %[3]s\n\n"+
			"[release]\nname = %[1]s\nshort = %[2]s\nversion = %[3]s\n\n[stage2]\nmainimage = images/install.img\n\n[tree]\narch = %[4]s\nplatforms = %[4]s,xen\n",
			a.product, a.short, a.version, a.arch))
		t["media.repo"] = file("[InstallMedia]\nname=" + a.product + " " + a.version + "\nmediaid=None\nmetadata_expire=-1\ngpgcheck=0\ncost=500\n")
	}
	return answer.ISO{Tree: t, EFI: efi, VolumeID: a.volid}
}

func (a anaconda) layout() layout {
	return layout{a.short + "-" + a.version + "-" + a.arch, "rhel", a.version, a.arch, a.iso}
}

var anacondas = []anaconda{
	{product: "Red Hat Enterprise Linux", short: "RHEL", version: "8.10", arch: "x86_64", volid: "RHEL-8-10-0-BaseOS-x86_64",
		isolinux: true, bios32: true, treeinfo: true, linux: "linuxefi", initrd: "initrdefi"},
	{product: "Rocky Linux", short: "Rocky", version: "9.6", arch: "x86_64", volid: "Rocky-9-6-x86_64-dvd",
		isolinux: true, treeinfo: true, linux: "linuxefi", initrd: "initrdefi"},
	{product: "AlmaLinux", short: "AlmaLinux", version: "9.6", arch: "aarch64", volid: "AlmaLinux-9-6-aarch64-dvd",
		treeinfo: true, linux: "linux", initrd: "initrd"},
	{product: "CentOS Stream", short: "CentOS", version: "9", arch: "x86_64", volid: "CentOS-Stream-9-BaseOS-x86_64",
		isolinux: true, treeinfo: true, linux: "linuxefi", initrd: "initrdefi"},
	{product: "Red Hat Enterprise Linux", short: "RHEL", version: "10.0", arch: "x86_64", volid: "RHEL-10-0-BaseOS-x86_64",
		treeinfo: true, linux: "linux", initrd: "initrd"},
	{product: "Red Hat Enterprise Linux", short: "RHEL", version: "10.0", arch: "aarch64", volid: "RHEL-10-0-BaseOS-aarch64",
		treeinfo: true, linux: "linux", initrd: "initrd"},
	{product: "Fedora", short: "Fedora", version: "42", arch: "x86_64", volid: "Fedora-S-dvd-x86_64-42",
		linux: "linux", initrd: "initrd"},
	{product: "Custom Linux", short: "Custom", version: "9.4", arch: "x86_64", volid: "Custom 9.4 x86_64",
		isolinux: true, treeinfo: true, linux: "linuxefi", initrd: "initrdefi"},
}

func layouts() []layout {
	var all []layout
	for _, a := range anacondas {
		all = append(all, a.layout())
	}
	return slices.Concat(all, otherLayouts(), agamaLayouts(), coreosLayouts(), []layout{flatcarLayout(), genericLayout(), faiLayout("6.0.3")}, proxmoxLayouts(), esxiLayouts())
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// data returns what the templates of the example fleet see: a bond of two
// ports, a VLAN on it with the primary address, a plain storage network and the
// BMC's own interface.
func data(t testing.TB, l layout) answer.Data {
	t.Helper()
	p := netip.MustParsePrefix
	return answer.Data{
		Host:  answer.Host{Name: "db-01", Site: "tokyo", Generation: 2, Labels: map[string]string{"rack": "r1"}},
		Role:  answer.Role{Name: "db"},
		Image: answer.Image{Name: l.name, Family: l.family, Arch: l.arch, Version: l.version, Label: l.iso().VolumeID},
		Vars: map[string]any{
			"packages": []any{"postgresql-server", "tmux"}, "timezone": "Asia/Tokyo", "dataDiskLabel": "pgdata",
			"sshKeys": []any{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmetalcue0000000000000000000000000000000000 it's o'brien"},
		},
		Device: answer.Device{
			ID: 7, Name: "db-01", Serial: "SGH1234567", Site: "tokyo", Rack: "r1", Role: "server", Status: "active",
			PrimaryIP4: p("10.1.20.11/24"), PrimaryIP6: p("2001:db8:20::11/64"), Gateway4: addr("10.1.20.1"), Gateway6: addr("2001:db8:20::1"),
			DNS: []string{"10.1.0.53", "2001:db8::53"}, NTP: []string{"ntp1.example.com", "10.1.0.123"},
			CustomFields: map[string]any{"owner": "dba"},
		},
		Interfaces: []answer.Interface{
			{Name: "ilo", Type: "1000base-t", MAC: "AA:BB:CC:00:00:FF", Enabled: true, MgmtOnly: true, Addresses: []netip.Prefix{p("10.9.0.11/24")}},
			{Name: "bond0.20", Type: "virtual", Enabled: true, Parent: "bond0", VLAN: 20, Primary: true,
				Addresses: []netip.Prefix{p("10.1.20.111/24"), p("10.1.20.11/24"), p("2001:db8:20::11/64")}},
			{Name: "bond0.30", Type: "virtual", Enabled: true, Parent: "bond0", VLAN: 30, Addresses: []netip.Prefix{p("10.1.30.11/24")}},
			{Name: "eno2", Type: "25gbase-x-sfp28", MAC: "AA:BB:CC:00:00:02", Enabled: true, LAG: "bond0"},
			{Name: "eno1", Type: "25gbase-x-sfp28", MAC: "AA:BB:CC:00:00:01", Enabled: true, LAG: "bond0"},
			{Name: "bond0", Type: "lag", Enabled: true, MTU: 9000, TaggedVLANs: []int{20, 30}},
			{Name: "NIC 3", Type: "10gbase-t", MAC: "AA:BB:CC:00:00:03", Enabled: true, MTU: 9000, Addresses: []netip.Prefix{p("192.168.5.11/24")}},
			{Name: "eno4", Type: "10gbase-t", MAC: "AA:BB:CC:00:00:04", Enabled: false, Addresses: []netip.Prefix{p("192.168.6.11/24")}},
		},
		Context: map[string]any{"ntp": "x"},
	}
}

const minimal = `rootpw --iscrypted {{ secret "root-password" | ksquote }}
ignoredisk --only-use=sda
autopart
poweroff
%packages
@core
%end
`

// installer is the family, or, where a family has two, the newer one's own name.
func installer(l layout) string {
	if l.family == "suse" && strings.HasPrefix(l.version, "16") {
		return "agama"
	}
	return l.family
}

// recipeOf is the recipe of a layout that no family knows.
func recipeOf(l layout) *answer.Generic {
	if l.family != "generic" {
		return nil
	}
	return genericRecipe()
}

// check asks whether a layout's image is what the layout says that it is.
func check(iso answer.ISO, l layout) error {
	if own := recipeOf(l); own != nil {
		return own.Check(iso, l.arch)
	}
	return answer.Check(iso, l.family, l.version, l.arch)
}

func request(t testing.TB, l layout) answer.Request {
	t.Helper()
	return answer.Request{
		Generic: recipeOf(l),
		Family:  l.family, Version: l.version, Arch: l.arch, KernelArgs: []string{"console=tty0", "console=ttyS0,115200n8"},
		Template: minimals[installer(l)], TemplateName: "templates/minimal.ks.tmpl", Data: data(t, l), ISO: l.iso(), Mark: "metalcue-0123456789abcdef",
	}
}
