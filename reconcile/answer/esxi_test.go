package answer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const minimalESXi = `vmaccepteula
rootpw --iscrypted {{ secret "root-password" }}
install --firstdisk --overwritevmfs
network --bootproto=dhcp --device=vmnic0
%post --interpreter=busybox
sleep 5
poweroff -f
`

// esxiLayout is an image of ESXi: plain ISO 9660 with upper-case names, whose
// loaders read a BOOT.CFG each.
func esxiLayout(version, build, label string) layout {
	return layout{"ESXi-" + version + "-x86_64", "esxi", version, "x86_64", func() answer.ISO {
		t := tree("B.B00", "JUMPSTRT.GZ", "USEROPTS.GZ", "K.B00", "S.V00", "IMGDB.TGZ", "ISOLINUX.BIN", "MBOOT.C32", "MENU.C32", "SAFEBOOT.C32",
			"EFIBOOT.IMG", "EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/CRYPTO64.EFI", "UPGRADE/METADATA.XML")
		cfg := strings.ReplaceAll(`bootstate=0
title=Loading ESXi installer
timeout=5
prefix=
kernel=/b.b00
kernelopt=runweasel cdromBoot
modules=/jumpstrt.gz --- /useropts.gz --- /k.b00 --- /s.v00 --- /imgdb.tgz
build=@BUILD@
updated=0
`, "@BUILD@", build)
		t["BOOT.CFG"], t["EFI/BOOT/BOOT.CFG"] = file(cfg), file(cfg)
		t["ISOLINUX.CFG"] = file("DEFAULT MENU.C32\nMENU TITLE " + label + " Boot Menu\nNOHALT 1\nPROMPT 0\nTIMEOUT 80\nLABEL install\n  KERNEL MBOOT.C32\n" +
			"  APPEND -c BOOT.CFG\n  MENU LABEL " + label + " ^Installer\nLABEL hddboot\n  LOCALBOOT 0x80\n  MENU LABEL ^Boot from local disk\n")
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/BOOTX64.EFI": file("safeboot")}, VolumeID: label}
	}}
}

func esxiLayouts() []layout {
	return []layout{esxiLayout("7.0.3", "7.0.3-0.125.23794027", "ESXI-7.0U3Q-23794027-STANDARD"), esxiLayout("8.0.3", "8.0.3-0.0.24022510", "ESXI-8.0U3-24022510-STANDARD")}
}

func TestESXiSurprises(t *testing.T) {
	cfg := func(old, new string) func(tree fstest.MapFS, _ *layout) {
		return func(tree fstest.MapFS, _ *layout) {
			tree["BOOT.CFG"] = file(strings.Replace(string(tree["BOOT.CFG"].Data), old, new, 1))
		}
	}
	testSurprises(t, esxiLayouts()[1], []surprise{
		{"version", func(_ fstest.MapFS, l *layout) { l.version = "7.0" }, "/BOOT.CFG says that it is version 8.0.3"},
		{"old", cfg("8.0.3-", "6.7.0-"), `build "6.7.0-0.0.24022510", neither of ESXi 7 nor of 8`},
		{"title", cfg("Loading ESXi installer", "Other"), `the title "Other"`},
		{"arch", func(_ fstest.MapFS, l *layout) { l.arch = "aarch64" }, `not for "aarch64"`},
		{"no BOOT.CFG", func(tree fstest.MapFS, _ *layout) { delete(tree, "BOOT.CFG") }, "/BOOT.CFG: file does not exist"},
		{"none for UEFI", func(tree fstest.MapFS, _ *layout) { delete(tree, "EFI/BOOT/BOOT.CFG") }, "/EFI/BOOT/BOOT.CFG: file does not exist"},
		{"no isolinux.cfg", func(tree fstest.MapFS, _ *layout) { delete(tree, "ISOLINUX.CFG") }, "/ISOLINUX.CFG: file does not exist"},
		{"other isolinux.cfg", func(tree fstest.MapFS, _ *layout) { tree["ISOLINUX.CFG"] = file("DEFAULT x\n") }, "/ISOLINUX.CFG: it has no entry that starts mboot.c32"},
		{"no loader", func(tree fstest.MapFS, _ *layout) { delete(tree, "MBOOT.C32") }, "/MBOOT.C32: file does not exist"},
		{"no kernel", func(tree fstest.MapFS, _ *layout) { delete(tree, "B.B00") }, "/b.b00: file does not exist"},
		{"no module", func(tree fstest.MapFS, _ *layout) { delete(tree, "S.V00") }, "/s.v00: file does not exist"},
		{"no modules", cfg("modules=", "other="), "there are no modules"},
		{"not the installer", cfg("runweasel ", ""), "no entry that starts a plain install"},
		{"not stock", func(tree fstest.MapFS, _ *layout) { tree["KS.CFG"] = file("") }, "/KS.CFG is on the image already"},
	})
}

func TestESXiAnswers(t *testing.T) {
	testAnswers(t, esxiLayouts()[1], []badAnswer{
		{"vmaccepteula", "", "vmaccepteula is missing"},
		{"rootpw --iscrypted", "# rootpw", "rootpw is missing"},
		{"network --", "# network --", "network is missing"},
		{"install --firstdisk", "# install", "install is missing"},
		{"install --firstdisk", "install --ignoressd", "line 3: install has none of --disk"},
		{"install --firstdisk", "upgrade --firstdisk", "line 3: upgrade does not install anew"},
		{"install", "instal", "line 3: instal is no command"},
		{"%post", "reboot\n%post", "line 5: reboot: "},
		{"%post --interpreter=busybox", "%firstboot --interpreter=busybox", "there is no %post script that powers off"},
		{"%post --interpreter=busybox", "%post --interpreter=python", "line 5: the last %post script is not for busybox"},
		{"poweroff -f", "esxcli system shutdown poweroff", "not poweroff -f"},
		{"poweroff -f\n", "poweroff -f\n%post --interpreter=busybox\nreboot\n", `line 8: the last command of the last %post script is "reboot"`},
		{"network --bootproto=dhcp", "%include /tmp/net", "line 4: %include /tmp/net"},
		{"vmaccepteula", "vmaccepteula 'x", "line 1: vmaccepteula: a quote is not closed"},
	})
}
