package answer_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// minimals are the shortest answers of each family that would install without
// a question and power off.
var minimals = map[string]string{
	"rhel": minimal, "proxmox": minimalProxmox, "esxi": minimalESXi, "fai": minimalFAI,
	"debian": `d-i partman-auto/method string lvm
d-i partman/choose_partition select finish
d-i partman/confirm boolean true
d-i passwd/root-password-crypted password {{ secret "root-password" }}
d-i finish-install/reboot_in_progress note
d-i debian-installer/exit/poweroff boolean true
`,
	"ubuntu": `#cloud-config
autoinstall:
  version: 1
  shutdown: poweroff
  storage: {layout: {name: lvm}}
  identity: {hostname: "{{ .Host.Name }}", username: ops, password: {{ secret "ops-password" | toJson }}}
`,
	"agama":   agamaMinimal,
	"coreos":  coreosMinimal,
	"flatcar": flatcarMinimal,
	"generic": genericMinimal,
	"suse": `<?xml version="1.0"?>
<!DOCTYPE profile>
<profile xmlns="http://www.suse.com/1.0/yast2ns" xmlns:config="http://www.suse.com/1.0/configns">
  <general><mode><confirm config:type="boolean">false</confirm><halt config:type="boolean">true</halt></mode></general>
  <partitioning config:type="list"><drive><use>all</use></drive></partitioning>
  <users config:type="list"><user><username>root</username><user_password>{{ secret "root-password" }}</user_password><encrypted config:type="boolean">true</encrypted></user></users>
</profile>
`,
}

// debianLayout is a netinst image as debian-cd makes it: the entries of the
// BIOS are in txt.cfg and gtk.cfg, GRUB in the EFI image looks for /.disk.
func debianLayout(version, codename, arch string) layout {
	word, dir := "amd64", "install.amd"
	if arch == "aarch64" {
		word, dir = "arm64", "install.a64"
	}
	return layout{"Debian-" + version + "-" + arch, "debian", version, arch, func() answer.ISO {
		t := tree(dir+"/vmlinuz", dir+"/initrd.gz", dir+"/gtk/initrd.gz", dir+"/gtk/vmlinuz", "boot/grub/efi.img",
			"dists/"+strings.ToLower(codename)+"/Release", "dists/"+strings.ToLower(codename)+"/main/binary-"+word+"/Packages.gz", "md5sum.txt")
		t[".disk/info"] = file(fmt.Sprintf("Debian GNU/Linux %s.1.0 \"%s\" - Official %s NETINST with firmware 20250517-09:51", version, codename, word))
		t["boot/grub/grub.cfg"] = file(strings.ReplaceAll(debianGrub, "@DIR@", "/"+dir))
		if arch == "x86_64" {
			t["isolinux/isolinux.bin"], t["isolinux/ldlinux.c32"] = file("isolinux"), file("ldlinux.c32")
			t["isolinux/isolinux.cfg"] = file("# D-I config version 2.0\n# search path for the c32 support libraries (libcom32, libutil etc.)\npath \ninclude menu.cfg\ndefault vesamenu.c32\nprompt 0\ntimeout 0\n")
			t["isolinux/gtk.cfg"] = file("label installgui\n\tmenu label ^Graphical install\n\tmenu default\n\tkernel /install.amd/vmlinuz\n\tappend vga=788 initrd=/install.amd/gtk/initrd.gz --- quiet \n")
			t["isolinux/txt.cfg"] = file("label install\n\tmenu label ^Install\n\tkernel /install.amd/vmlinuz\n\tappend vga=788 initrd=/install.amd/initrd.gz --- quiet \n")
		}
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"efi/boot/bootx64.efi": file("shim"), "efi/debian/grub.cfg": file("search --file --set=root /.disk/id/0c1f\nset prefix=($root)/boot/grub\nsource $prefix/x86_64-efi/grub.cfg\n")},
			VolumeID: "Debian " + version + ".1.0 " + word + " n"}
	}}
}

const debianGrub = `if [ x$feature_default_font_path = xy ] ; then
   font=unicode
else
   font=$prefix/font.pf2
fi

if loadfont $font ; then
  set gfxmode=800x600
  set gfxpayload=keep
  insmod efi_gop
  insmod efi_uga
  insmod video_bochs
  insmod video_cirrus
  insmod gfxterm
  insmod png
  terminal_output gfxterm
fi

if background_image /isolinux/splash.png; then
  set color_normal=light-gray/black
  set color_highlight=white/black
fi

insmod play
play 960 440 1 0 4 440 1
menuentry --hotkey=g 'Graphical install' {
    set background_color=black
    linux    @DIR@/vmlinuz vga=788 --- quiet 
    initrd   @DIR@/gtk/initrd.gz
}
menuentry --hotkey=i 'Install' {
    set background_color=black
    linux    @DIR@/vmlinuz vga=788 --- quiet 
    initrd   @DIR@/initrd.gz
}
submenu --hotkey=a 'Advanced options ...' {
    set menu_color_normal=cyan/blue
    menuentry '... Expert install' {
        set background_color=black
        linux    @DIR@/vmlinuz priority=low vga=788 --- 
        initrd   @DIR@/initrd.gz
    }
    menuentry '... Rescue mode' {
        set background_color=black
        linux    @DIR@/vmlinuz vga=788 rescue/enable=true --- quiet 
        initrd   @DIR@/initrd.gz
    }
}
`

// ubuntuLayout is a live-server image as livecd-rootfs makes it: one menu, and
// none in the EFI image.
func ubuntuLayout(version, point, word, arch string) layout {
	return layout{"Ubuntu-" + version + "-" + arch, "ubuntu", version, arch, func() answer.ISO {
		t := tree("casper/vmlinuz", "casper/initrd", "casper/hwe-vmlinuz", "casper/hwe-initrd", "casper/ubuntu-server-minimal.squashfs",
			"casper/ubuntu-server-minimal.ubuntu-server.squashfs", "EFI/boot/bootx64.efi", "EFI/boot/grubx64.efi", "md5sum.txt")
		if arch == "x86_64" {
			t["boot/grub/i386-pc/eltorito.img"] = file("core")
		}
		t[".disk/info"] = file(fmt.Sprintf("Ubuntu-Server %s LTS \"Noble Numbat\" - Release %s (20250217.1)", point, word))
		t["boot/grub/grub.cfg"] = file(`set timeout=30

loadfont unicode

set menu_color_normal=white/black
set menu_color_highlight=black/light-gray

menuentry "Try or Install Ubuntu Server" {
	set gfxpayload=keep
	linux	/casper/vmlinuz  --- quiet
	initrd	/casper/initrd
}
menuentry "Ubuntu Server with the HWE kernel" {
	set gfxpayload=keep
	linux	/casper/hwe-vmlinuz  --- quiet
	initrd	/casper/hwe-initrd
}
grub_platform
if [ "$grub_platform" = "efi" ]; then
menuentry 'Boot from next volume' {
	exit 1
}
menuentry 'UEFI Firmware Settings' {
	fwsetup
}
else
menuentry 'Test memory' {
	linux16 /boot/memtest86+x64.bin
}
fi
`)
		t["boot/grub/loopback.cfg"] = file("menuentry \"Try or Install Ubuntu Server\" {\n\tlinux\t/casper/vmlinuz iso-scan/filename=${iso_path} --- quiet\n\tinitrd\t/casper/initrd\n}\n")
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/bootx64.efi": file("shim"), "EFI/BOOT/grubx64.efi": file("grub")}, VolumeID: "Ubuntu-Server " + point + " LTS " + word}
	}}
}

// suseLayout is an image as installation-images makes it: the BIOS' default is
// the hard disk.
func suseLayout(name, version, medium, arch string) layout {
	return layout{name + "-" + version + "-" + arch, "suse", version, arch, func() answer.ISO {
		dir := "boot/" + arch
		kernels := dir + "/loader"
		if arch == "aarch64" {
			kernels = dir // as there is no isolinux
		}
		t := tree(kernels+"/linux", kernels+"/initrd", dir+"/root", dir+"/efi", "EFI/BOOT/bootx64.efi", "EFI/BOOT/grub.efi", "CHECKSUMS")
		t["media.1/media"] = file(strings.SplitN(medium, "-", 2)[0] + " - " + medium + "-Media\n" + medium + "\n1\n")
		if arch == "x86_64" {
			t[dir+"/loader/isolinux.cfg"] = file(suseIsolinux)
			t[dir+"/loader/isolinux.bin"] = file("isolinux")
		}
		menu := strings.ReplaceAll(suseGrub, "@DIR@", "/"+kernels)
		t["EFI/BOOT/grub.cfg"] = file(menu)
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/GRUB.CFG": file(menu), "EFI/BOOT/BOOTX64.EFI": file("shim")}, VolumeID: medium[:min(len(medium), 32)]}
	}}
}

const suseIsolinux = `default harddisk

# hard disk
label harddisk
  localboot 0x80
# install
label linux
  kernel linux
  append initrd=initrd splash=silent showopts
# upgrade
label upgrade
  kernel linux
  append initrd=initrd splash=silent upgrade=1 showopts
# rescue
label rescue
  kernel linux
  append initrd=initrd splash=silent rescue=1 showopts
# mediachk
label mediachk
  kernel linux
  append initrd=initrd splash=silent mediacheck=1 showopts

ui		gfxboot bootlogo message
implicit	1
display		message
prompt		1
timeout		600
`

const suseGrub = `with_fat=1

insmod all_video
insmod gfxmenu
insmod gfxterm
insmod png

if [ "${locale_dir}" = "" ]; then
  locale_dir=/boot/grub2-efi/locale
fi

terminal_input console
terminal_output gfxterm
set default=1
timeout=60

menuentry "Boot from Hard Disk" --class opensuse --class gnu-linux --class gnu --class os {
  if search --no-floppy --file /efi/boot/fallback.efi --set ; then
    for os in opensuse sles caasp ; do
      if [ -f /efi/$os/grub.efi ] ; then
        chainloader /efi/$os/grub.efi
        boot
      fi
    done
  fi
  exit
}
menuentry 'Installation' --class opensuse --class gnu-linux --class gnu --class os {
  set gfxpayload=keep
  echo 'Loading kernel ...'
  linux @DIR@/linux splash=silent
  echo 'Loading initial ramdisk ...'
  initrd @DIR@/initrd
}

submenu 'More ...' {
  menuentry 'Upgrade' --class opensuse {
    linux @DIR@/linux splash=silent upgrade=1
    initrd @DIR@/initrd
  }
  menuentry 'Rescue System' --class opensuse {
    linux @DIR@/linux splash=silent rescue=1
    initrd @DIR@/initrd
  }
}
`

func otherLayouts() []layout {
	return []layout{
		debianLayout("12", "Bookworm", "x86_64"), debianLayout("13", "Trixie", "x86_64"), debianLayout("13", "Trixie", "aarch64"),
		ubuntuLayout("22.04", "22.04.5", "amd64", "x86_64"), ubuntuLayout("24.04", "24.04.2", "amd64", "x86_64"), ubuntuLayout("24.04.2", "24.04.2", "arm64", "aarch64"),
		suseLayout("SLES", "15.6", "SLE-15-SP6-Full-x86_64-Build50.1", "x86_64"), suseLayout("Leap", "15.6", "openSUSE-Leap-15.6-DVD-x86_64-Build710.3", "x86_64"),
		suseLayout("Leap", "15", "openSUSE-Leap-15.6-DVD-aarch64-Build710.3", "aarch64"),
	}
}

// What each family's answers must hold, and how it says so when they do not.
func TestAnswerChecks(t *testing.T) {
	of := map[string]layout{}
	for _, l := range layouts() {
		of[installer(l)] = l
	}
	tests := []struct{ family, old, new, want string }{
		{"debian", "boolean true\n", "bool true\n", `line 3: partman/confirm: "bool" is no type of debconf`},
		{"debian", "d-i debian-installer/exit/poweroff", "# d-i debian-installer/exit/poweroff", "debian-installer/exit/poweroff is not true"},
		{"debian", "exit/poweroff boolean true", "exit/poweroff boolean \\\n false", "debian-installer/exit/poweroff is not true"},
		{"debian", "d-i finish-install", "d-i debian-installer/exit/halt boolean true\nd-i finish-install", "line 5: debian-installer/exit/halt"},
		{"debian", "d-i finish-install/reboot_in_progress note", "", "finish-install/reboot_in_progress is missing"},
		{"debian", "d-i partman-auto/method string lvm", "", "partman-auto/method is missing"},
		{"debian", "d-i partman/confirm boolean true", "", "partman/confirm is missing"},
		{"debian", "d-i passwd/root-password-crypted", "d-i passwd/other", "neither passwd/root-password-crypted"},
		{"debian", "d-i partman-auto/method", "d-i preseed/include string http://x/y\nd-i partman-auto/method", "line 1: preseed/include fetches"},
		{"debian", "exit/poweroff boolean true", "exit/poweroff \\", "line 6: goes on after the last line"},
		{"debian", "d-i partman/confirm boolean true", "d-i partman/confirm", `line 3: "d-i partman/confirm" is not owner, question, type and value`},

		{"ubuntu", "#cloud-config\n", "", "first line is not #cloud-config"},
		{"ubuntu", "autoinstall:", "autoinstal:", "there is no autoinstall section"},
		{"ubuntu", "version: 1", "version: 2", "autoinstall.version is 2"},
		{"ubuntu", "version: 1", "version: 1\n  version: 1", `"version" already defined`},
		{"ubuntu", "shutdown: poweroff", "shutdown: reboot", `autoinstall.shutdown is "reboot"`},
		{"ubuntu", "shutdown: poweroff", "", `autoinstall.shutdown is "", not poweroff`},
		{"ubuntu", "shutdown: poweroff", "shutdown: poweroff\n  interactive-sections: [network]", "interactive-sections has network"},
		{"ubuntu", "storage: {layout: {name: lvm}}", "storage: {swap: {size: 0}}", "no disk is named"},
		{"ubuntu", "identity:", "identit:", "nobody could log in"},
		{"ubuntu", "version: 1", "version: 1\n  late_commands: [x]", "autoinstall.late_commands is no key that the installer knows"},
		{"ubuntu", "version: 1", "version: 1\n  late-commands: [[x, 1]]", "autoinstall.late-commands is no list of commands"},
		{"ubuntu", "version: 1", "version: 1\n  packages: x", "autoinstall.packages is no list"},
		{"ubuntu", "version: 1", "version: 1\n  ssh: {allow-pw: 0}", "autoinstall.ssh.allow-pw is no boolean"},
		{"ubuntu", "version: 1", "version: 1\n  updates: none", `autoinstall.updates is "none"`},
		{"ubuntu", "username:", "user:", "autoinstall.identity.user is no key"},
		{"ubuntu", "username: ops,", "", "autoinstall.identity.username is missing"},
		{"ubuntu", "storage: {", "storage: {{ `{` }}[", "yaml: "},

		{"suse", "</general>", "</genera>", "XML syntax error"},
		{"suse", "<profile xmlns=\"http://www.suse.com/1.0/yast2ns\"", "<profile", `not profile of "http://www.suse.com/1.0/yast2ns"`},
		{"suse", "<halt config:type=\"boolean\">true", "<halt config:type=\"boolean\">false", "neither general/mode/halt nor final_halt"},
		{"suse", "<halt config:type=\"boolean\">true</halt>", "<final_reboot>true</final_reboot>", "general/mode/final_reboot"},
		{"suse", "<confirm config:type=\"boolean\">false", "<confirm config:type=\"boolean\">true", "confirm is not false"},
		{"suse", "<drive>", "<dive>", "XML syntax error"},
		{"suse", "<drive><use>all</use></drive>", "", "no disk is named"},
		{"suse", "<user>", "<use>", "XML syntax error"},
		{"suse", "</profile>", "</profile><x/>", "after its root element"},
		{"suse", "</mode>", "<final_hlat>x</final_hlat></mode>", "line 4: YaST knows no final_hlat in profile/general/mode"},
		{"suse", "</general>", "</general><softwear/>", "line 4: YaST knows no softwear in profile"},
		{"suse", "config:type=\"list\"", "config:type=\"array\"", `profile/partitioning: "array" is no type of YaST`},
	}
	for _, tt := range tests {
		r := request(t, of[tt.family])
		if !strings.Contains(r.Template, tt.old) {
			t.Fatalf("%s: the template has no %q", tt.family, tt.old)
		}
		r.Template = strings.Replace(r.Template, tt.old, tt.new, 1)
		if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s, %q for %q:\n got %v\nwant %s", tt.family, tt.new, tt.old, err, tt.want)
		}
	}
}

func TestOtherSurprises(t *testing.T) {
	deb, ubu, sus := debianLayout("12", "Bookworm", "x86_64"), ubuntuLayout("24.04", "24.04.2", "amd64", "x86_64"), suseLayout("SLES", "15.6", "SLE-15-SP6-Full-x86_64-Build50.1", "x86_64")
	tests := []struct {
		name  string
		of    layout
		spoil func(tree fstest.MapFS, l *layout)
		want  string
	}{
		{"version", deb, func(_ fstest.MapFS, l *layout) { l.version = "13" }, "/.disk/info says that it is version 12.1.0"},
		{"arch", deb, func(_ fstest.MapFS, l *layout) { l.arch = "aarch64" }, `/.disk/info says that it is for "x86_64"`},
		{"live", deb, func(tree fstest.MapFS, _ *layout) {
			tree[".disk/info"] = file("Debian GNU/Linux 12.1.0 \"Bookworm\" - Official amd64 LIVE")
		}, "live image"},
		{"not Debian", deb, func(tree fstest.MapFS, _ *layout) { tree[".disk/info"] = file("Other") }, `/.disk/info says that it is "Other"`},
		{"no txt.cfg", deb, func(tree fstest.MapFS, _ *layout) { delete(tree, "isolinux/txt.cfg") }, "/isolinux/txt.cfg: file does not exist"},
		{"no isolinux.cfg", deb, func(tree fstest.MapFS, _ *layout) { delete(tree, "isolinux/isolinux.cfg") }, "/isolinux/isolinux.cfg: file does not exist"},
		{"no packages", deb, func(tree fstest.MapFS, _ *layout) { delete(tree, "dists/bookworm/main/binary-amd64/Packages.gz") }, "/dists/bookworm/main/binary-amd64/Packages.gz: file does not exist"},
		{"no kernel", ubu, func(tree fstest.MapFS, _ *layout) { delete(tree, "casper/vmlinuz") }, "/boot/grub/grub.cfg boots /casper/vmlinuz: file does not exist"},
		{"desktop", ubu, func(tree fstest.MapFS, _ *layout) {
			tree[".disk/info"] = file("Ubuntu 24.04.2 LTS \"Noble Numbat\" - Release amd64 (20250215)")
		}, "not Ubuntu-Server"},
		{"20.04", ubu, func(tree fstest.MapFS, l *layout) {
			tree[".disk/info"], l.version = file("Ubuntu-Server 20.04.6 LTS \"Focal Fossa\" - Release amd64 (2023)"), "20.04"
		}, "22.04 is the first"},
		{"no squashfs", ubu, func(tree fstest.MapFS, _ *layout) {
			delete(tree, "casper/ubuntu-server-minimal.squashfs")
			delete(tree, "casper/ubuntu-server-minimal.ubuntu-server.squashfs")
		}, "no /casper/*.squashfs"},
		{"not stock", ubu, func(tree fstest.MapFS, _ *layout) { tree["meta-data"] = file("") }, "/meta-data is on the image already"},
		{"service pack", sus, func(_ fstest.MapFS, l *layout) { l.version = "15.5" }, "/media.1/media says that it is version 15.6"},
		{"agama", sus, func(tree fstest.MapFS, _ *layout) { tree["LiveOS/squashfs.img"] = file("") }, "Agama"},
		{"tumbleweed", sus, func(tree fstest.MapFS, _ *layout) {
			tree["media.1/media"] = file("x\nopenSUSE-20250101-x86_64-Build1\n")
		}, "neither SLE nor openSUSE Leap"},
		{"no root", sus, func(tree fstest.MapFS, _ *layout) { delete(tree, "boot/x86_64/root") }, "second stage: /boot/x86_64/root: file does not exist"},
	}
	for _, tt := range tests {
		l := tt.of
		iso := l.iso()
		tt.spoil(iso.Tree.(fstest.MapFS), &l)
		check := answer.Check(iso, l.family, l.version, l.arch)
		r := request(t, tt.of)
		r.ISO = iso
		_, render := answer.Render(r)
		if !strings.Contains(fmt.Sprint(check, render), tt.want) {
			t.Errorf("%s: Check says %v, Render says %v; want %s", tt.name, check, render, tt.want)
		}
	}
}

func TestFamilies(t *testing.T) {
	for _, name := range answer.Families() {
		if err := answer.Check(answer.ISO{Tree: fstest.MapFS{}}, name, "9.6", "x86_64"); err == nil {
			t.Errorf("%s: an empty image is taken", name)
		}
	}
	for name, way := range map[string]string{"windows": "second medium with autounattend.xml", "talos": "Image Factory"} {
		if err := answer.Check(answer.ISO{}, name, "1", "x86_64"); err == nil || !strings.Contains(err.Error(), way) {
			t.Errorf("%s is refused with: %v", name, err)
		}
	}
}
