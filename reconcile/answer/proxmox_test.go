package answer_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const minimalProxmox = `[global]
keyboard = "en-us"
country = "jp"
fqdn = "{{ .Host.Name }}.example.com"
mailto = "ops@example.com"
timezone = {{ .Vars.timezone | toJson }}
root-password-hashed = {{ secret "root-password" | toJson }}
reboot-mode = "power-off"

[network]
source = "from-dhcp"

[disk-setup]
filesystem = "ext4"
disk-list = ["sda"]
`

// proxmoxLayout is an image as Proxmox makes them since 8.4: one GRUB menu,
// whose automatic entry shows only if the medium has been prepared.
func proxmoxLayout(product, long, version string) layout {
	return layout{"Proxmox-" + product + "-" + version + "-x86_64", "proxmox", version, "x86_64", func() answer.ISO {
		t := tree("boot/linux26", "boot/initrd.img", "boot/memtest86+x64.bin", "boot/grub/i386-pc/eltorito.img", "boot/grub/i386-pc/normal.mod",
			"efi.img", product+"-base.squashfs", product+"-installer.squashfs", "proxmox/packages/zstd_1.5.4_amd64.deb", "EULA", "Release.txt", "auto-installer-capable")
		t["."+product+"-cd-id.txt"] = file("019a985d-b08c-7000-8000-000000000000\n")
		info := fmt.Sprintf("RELEASE='%s'\nISORELEASE='1'\nISONAME='proxmox-%s'\nPRODUCT='%s'\nPRODUCTLONG='%s'\n", version, product, product, long)
		t[".cd-info"], t[".disk/info"] = file(info), file(info)
		t["boot/grub/grub.cfg"] = file(strings.ReplaceAll(proxmoxGrub, "@PRODUCT@", long))
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/BOOTX64.EFI": file("grub"), "EFI/BOOT/grubx64.efi": file("grub")}, VolumeID: strings.ToUpper(product)}
	}}
}

const proxmoxGrub = `insmod gzio
insmod iso9660

if [ x$feature_default_font_path = xy ] ; then
   font=unicode
else
   font=$prefix/unicode.pf2
fi

set gfxmode=1024x768,640x480
set gfxpayload=1024x768

if loadfont $font; then
    if test "${grub_platform}" = "efi"; then
        insmod efi_gop
        insmod efi_uga
    fi
    insmod gfxterm
    set theme=/boot/grub/pvetheme/theme.txt
    export theme
    terminal_input console
    terminal_output gfxterm
fi

insmod serial
if serial --unit=0 --speed=115200; then
    terminal_input --append serial
    terminal_output --append serial
    set show_serial_entry=y
fi

if [ -f auto-installer-mode.toml ]; then
    set timeout-style=menu
    set timeout=10

    menuentry 'Install @PRODUCT@ (Automated)' --class debian --class gnu-linux --class gnu --class os {
        echo        'Loading @PRODUCT@ Automatic Installer ...'
        linux       /boot/linux26 ro ramdisk_size=16777216 rw quiet splash=silent proxmox-start-auto-installer
        echo        'Loading initial ramdisk ...'
        initrd      /boot/initrd.img
    }
fi

menuentry 'Install @PRODUCT@ (Graphical)' --class debian --class gnu-linux --class gnu --class os {
    echo	'Loading @PRODUCT@ Installer ...'
    linux	/boot/linux26 ro ramdisk_size=16777216 rw quiet splash=silent
    echo	'Loading initial ramdisk ...'
    initrd	/boot/initrd.img
}

menuentry 'Install @PRODUCT@ (Terminal UI)' --class debian --class gnu-linux --class gnu --class os {
    set background_color=black
    gfxpayload=800x600x16,800x600
    linux   /boot/linux26 ro ramdisk_size=16777216 rw quiet splash=silent proxtui
    initrd  /boot/initrd.img
}

submenu 'Advanced Options' {
    if [ x"${show_serial_entry}" == 'xy' ]; then
        menuentry 'Install @PRODUCT@ (Terminal UI, Serial Console)' {
            linux	/boot/linux26 ro ramdisk_size=16777216 rw splash=verbose proxtui console=ttyS0,115200
            initrd	/boot/initrd.img
        }
    fi

    menuentry 'Rescue Boot' {
        insmod lvm
        linux /boot/linux26 ro root=LABEL=pve
        initrd /boot/initrd.img
    }
}
`

func proxmoxLayouts() []layout {
	return []layout{proxmoxLayout("pve", "Proxmox VE", "8.4"), proxmoxLayout("pve", "Proxmox VE", "9.2"), proxmoxLayout("pbs", "Proxmox Backup Server", "4.0")}
}

func TestProxmoxSurprises(t *testing.T) {
	l := proxmoxLayout("pve", "Proxmox VE", "9.2")
	testSurprises(t, l, []surprise{
		{"version", func(_ fstest.MapFS, l *layout) { l.version = "9.1" }, "/.cd-info says that it is Proxmox VE 9.2"},
		{"too old", func(tree fstest.MapFS, l *layout) {
			tree[".cd-info"], l.version = file("RELEASE='8.3'\nPRODUCT='pve'\nPRODUCTLONG='Proxmox VE'\n"), "8.3"
		}, "cannot power off; 8.4 is the first"},
		{"product", func(tree fstest.MapFS, _ *layout) { tree[".cd-info"] = file("RELEASE='1.0'\nPRODUCT='pxx'\n") }, `the product is "pxx"`},
		{"arch", func(_ fstest.MapFS, l *layout) { l.arch = "aarch64" }, `not for "aarch64"`},
		{"no identity", func(tree fstest.MapFS, _ *layout) { delete(tree, ".cd-info"); delete(tree, ".disk/info") }, "/.disk/info: file does not exist"},
		{"no automatic entry", func(tree fstest.MapFS, _ *layout) {
			tree["boot/grub/grub.cfg"] = file("menuentry 'Graphical' {\n linux /boot/linux26\n initrd /boot/initrd.img\n}\n")
		}, `no entry that starts a plain install; it has "Graphical"`},
		{"no menu", func(tree fstest.MapFS, _ *layout) { delete(tree, "boot/grub/grub.cfg") }, "/boot/grub/grub.cfg: file does not exist"},
		{"no kernel", func(tree fstest.MapFS, _ *layout) { delete(tree, "boot/linux26") }, "boots /boot/linux26: file does not exist"},
		{"no id", func(tree fstest.MapFS, _ *layout) { delete(tree, ".pve-cd-id.txt") }, "/.pve-cd-id.txt: file does not exist"},
		{"no system", func(tree fstest.MapFS, _ *layout) { delete(tree, "pve-base.squashfs") }, "/pve-base.squashfs: file does not exist"},
		{"prepared", func(tree fstest.MapFS, _ *layout) { tree["auto-installer-mode.toml"] = file("") }, "/auto-installer-mode.toml is on the image already"},
	})
}

func TestProxmoxAnswers(t *testing.T) {
	testAnswers(t, proxmoxLayout("pve", "Proxmox VE", "9.2"), []badAnswer{
		{"[global]", "[global", "line 1: toml: "},
		{"mailto", "mail-to", "line 5: the installer knows no global.mail-to"},
		{"reboot-mode", "reboot_mode", "line 8: the installer knows no global.reboot_mode"},
		{`"power-off"`, `"reboot"`, `global.reboot-mode is "reboot", not power-off`},
		{`reboot-mode = "power-off"`, "", `global.reboot-mode is "", not power-off`},
		{`reboot-mode`, "reboot-on-error = true\nreboot-mode", "reboot-on-error is true"},
		{`root-password-hashed`, "root-password = \"x\"\nroot-password-hashed", "exactly one of global.root-password"},
		{`timezone = {{ .Vars.timezone | toJson }}`, "", "global.timezone is missing"},
		{`fqdn = "{{ .Host.Name }}.example.com"`, "", "global.fqdn is missing"},
		{`"from-dhcp"`, `"from-answer"`, "wants cidr, dns, gateway and filter"},
		{`"from-dhcp"`, "\"from-dhcp\"\ncidr = \"10.0.0.1/24\"", "takes no cidr"},
		{`"from-dhcp"`, `"dhcp"`, `network.source is "dhcp"`},
		{`"ext4"`, `"zfs"`, "disk-setup.zfs.raid is missing"},
		{`"ext4"`, `"ntfs"`, `disk-setup.filesystem is "ntfs"`},
		{`"ext4"`, "\"ext4\"\nzfs.raid = \"raid1\"", "disk-setup.zfs is not for ext4"},
		{`["sda"]`, `["sda", "sdb"]`, "disk-setup.disk-list has 2 disks, ext4 takes one"},
		{`disk-list = ["sda"]`, "", "no disk is named"},
		{`disk-list`, "filter.ID_SERIAL = \"x\"\ndisk-list", "both disk-list and filter"},
		{"[network]", "[first-boot]\nsource = \"from-iso\"\n[network]", `first-boot from "from-iso"`},
	})
}

// A surprise is a medium that is not laid out as its recipe says.
type surprise struct {
	name  string
	spoil func(tree fstest.MapFS, l *layout)
	want  string
}

func testSurprises(t *testing.T, of layout, all []surprise) {
	t.Helper()
	for _, s := range all {
		l := of
		iso := l.iso()
		s.spoil(iso.Tree.(fstest.MapFS), &l)
		check := answer.Check(iso, l.family, l.version, l.arch)
		r := request(t, of)
		r.ISO = iso
		_, render := answer.Render(r)
		if !strings.Contains(fmt.Sprint(check, render), s.want) {
			t.Errorf("%s: Check says %v, Render says %v; want %s", s.name, check, render, s.want)
		}
	}
}

// A badAnswer is an answer that differs from a good one in one place.
type badAnswer struct{ old, new, want string }

func testAnswers(t *testing.T, l layout, all []badAnswer) {
	t.Helper()
	for _, a := range all {
		r := request(t, l)
		if !strings.Contains(r.Template, a.old) {
			t.Fatalf("the template has no %q", a.old)
		}
		r.Template = strings.Replace(r.Template, a.old, a.new, 1)
		if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%q for %q:\n got %v\nwant %s", a.new, a.old, err, a.want)
		}
	}
}
