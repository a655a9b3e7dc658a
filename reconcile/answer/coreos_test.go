package answer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const coreosMinimal = `variant: fcos
version: 1.5.0
systemd:
  units:
    - name: coreos-installer-reboot.service
      dropins:
        - name: poweroff.conf
          contents: |
            [Service]
            ExecStart=
            ExecStart=/usr/bin/systemctl --no-block poweroff
storage:
  files:
    - path: /etc/coreos/installer.d/disk.yaml
      contents:
        inline: |
          dest-device: /dev/sda
---
variant: fcos
version: 1.5.0
passwd:
  users:
    - name: core
      password_hash: {{ secret "core-password" | toJson }}
`

// coreosLayout is a live image as osbuild's coreos stage makes it: room for
// kernel arguments in both menus, a stub in the EFI image that goes by label.
func coreosLayout(volid, version, vendor, arch string) layout {
	return layout{strings.SplitN(volid, "-", 2)[0] + "-" + version + "-" + arch, "coreos", version, arch, func() answer.ISO {
		t := tree("images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/pxeboot/rootfs.img", "images/efiboot.img", "coreos/miniso.dat")
		t["images/ignition.img"] = &fstest.MapFile{Data: make([]byte, 256<<10)}
		t["coreos/igninfo.json"] = file("{\n  \"file\": \"images/ignition.img\"\n}\n")
		t["coreos/features.json"] = file(`{"installer-config": true, "live-initrd-network": true}`)
		menus := map[string]string{"EFI/" + vendor + "/grub.cfg": coreosGrub}
		loader := "BOOTAA64.EFI"
		if arch == "x86_64" {
			loader, menus["isolinux/isolinux.cfg"] = "BOOTX64.EFI", coreosIsolinux
			for _, n := range []string{"isolinux.bin", "ldlinux.c32", "libcom32.c32", "libutil.c32", "vesamenu.c32", "boot.msg"} {
				t["isolinux/"+n] = file(n)
			}
		}
		preset := "mitigations=auto,nosmt coreos.liveiso=" + volid + " ignition.firstboot ignition.platform.id=metal"
		var areas []string
		for _, name := range slices.Sorted(maps.Keys(menus)) {
			text := menus[name]
			t[name] = file(strings.Replace(text, "@@KERNEL-ARGS@@", preset+"\n"+strings.Repeat("#", 1000), 1))
			areas = append(areas, fmt.Sprintf(`{"path": %q, "offset": %d, "pad": "#", "end": "\n"}`, name, strings.Index(text, "@@")))
		}
		t["coreos/kargs.json"] = file(fmt.Sprintf(`{"default": %q, "files": [%s], "size": %d}`, preset, strings.Join(areas, ", "), len(preset)+1+1000))
		stub := fmt.Sprintf("search --label \"%s\" --set root --no-floppy\nset prefix=($root)/EFI/%s\necho \"Booting via ESP...\"\nconfigfile $prefix/grub.cfg\nboot\n", volid, vendor)
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/" + loader: file("shim"), "EFI/BOOT/grub.cfg": file(stub)}, VolumeID: volid}
	}}
}

const coreosGrub = `set default="1"

function load_video {
  insmod efi_gop
  insmod all_video
}

load_video
set gfxpayload=keep
insmod gzio

set timeout=5
### END /etc/grub.d/00_header ###

### BEGIN /etc/grub.d/10_linux ###
menuentry 'Fedora CoreOS (Live)' --class fedora --class gnu-linux --class gnu --class os {
	linux /images/pxeboot/vmlinuz @@KERNEL-ARGS@@# COREOS_KARG_EMBED_AREA
	initrd /images/pxeboot/initrd.img /images/ignition.img
}
`

const coreosIsolinux = `serial 0
default vesamenu.c32
# timeout in units of 1/10s. 50 == 5 seconds
timeout 50

display boot.msg

menu clear
menu title Fedora CoreOS

label linux
  menu label ^Fedora CoreOS (Live)
  menu default
  kernel /images/pxeboot/vmlinuz
  append initrd=/images/pxeboot/initrd.img,/images/ignition.img @@KERNEL-ARGS@@# COREOS_KARG_EMBED_AREA

menu separator # insert an empty line

menu end
`

func coreosLayouts() []layout {
	return []layout{
		coreosLayout("fedora-coreos-42.20250929.3.0", "42", "fedora", "x86_64"),
		coreosLayout("fedora-coreos-42.20250929.3.0", "42.20250929.3.0", "fedora", "aarch64"),
		coreosLayout("rhcos-418.94.202502100215-0", "4.18", "redhat", "x86_64"),
	}
}

// embedded returns the config in the initial file system that the image gets.
func embedded(t *testing.T, out *answer.Rendered) []byte {
	t.Helper()
	for _, c := range out.Changes {
		if c.Path == "/images/ignition.img" {
			if len(c.Data) != 256<<10 {
				t.Errorf("the room for the config has %d bytes now", len(c.Data))
			}
			_, rest, _ := bytes.Cut(c.Data, []byte("config.ign\x00"))
			config, _, ok := bytes.Cut(bytes.TrimLeft(rest, "\x00"), []byte("070701"))
			if !ok {
				t.Fatal("there is no trailer after config.ign")
			}
			return bytes.TrimRight(config, "\x00")
		}
	}
	t.Fatal("/images/ignition.img is not changed")
	return nil
}

// The live system's config carries the other one, and has coreos-installer use
// it, as "coreos-installer iso customize" does it.
func TestCoreOSConfigs(t *testing.T) {
	out, err := answer.Render(request(t, coreosLayouts()[0]))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var live struct {
		Storage struct {
			Files []struct {
				Path     string
				Mode     int
				Contents struct{ Source string }
			}
		}
	}
	if err := json.Unmarshal(embedded(t, out), &live); err != nil {
		t.Fatal(err)
	}
	for _, f := range live.Storage.Files {
		files[f.Path] = f.Contents.Source
		if data, ok := strings.CutPrefix(f.Contents.Source, "data:;base64,"); ok {
			text, err := base64.StdEncoding.DecodeString(data)
			if err != nil || f.Mode != 0o600 {
				t.Errorf("%s: %v, mode %o", f.Path, err, f.Mode)
			}
			files[f.Path] = string(text)
		}
	}
	if got := files["/etc/coreos/installer.d/0000-metalcue.yaml"]; got != "ignition-file: /etc/coreos/dest.ign\n" {
		t.Errorf("coreos-installer is told %q", got)
	}
	const want = `{"ignition":{"version":"3.4.0"},"passwd":{"users":[{"name":"core","passwordHash":"__secret:core-password__"}]}}`
	if got := files["/etc/coreos/dest.ign"]; got != want {
		t.Errorf("the installed system's config is %s", got)
	}
}

// A config that needs more room than there is is compressed; past that it is an
// error.
func TestCoreOSRoom(t *testing.T) {
	r := request(t, coreosLayouts()[0])
	r.Template = strings.Replace(r.Template, "storage:\n  files:", "storage:\n  files:\n    - path: /etc/big\n      contents:\n        inline: {{ .Vars.big | toJson }}", 1)
	r.Data.Vars["big"] = strings.Repeat("all alike ", 50_000)
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	if c := out.Changes[len(out.Changes)-2]; c.Path != "/images/ignition.img" || len(c.Data) != 256<<10 || !bytes.HasPrefix(c.Data, []byte{0x1f, 0x8b}) {
		t.Errorf("%s has %d bytes", c.Path, len(c.Data))
	}
	x := uint32(1)
	var noise strings.Builder
	for range 400_000 {
		x = x*1664525 + 1013904223
		noise.WriteByte('a' + byte(x>>24)%64)
	}
	r.Data.Vars["big"] = base64.StdEncoding.EncodeToString([]byte(noise.String()))
	if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), "has room for 262144") {
		t.Errorf("a huge config gives: %v", err)
	}
}

func TestCoreOSAnswers(t *testing.T) {
	tests := []struct{ old, new, want string }{
		{"path: /etc/coreos/installer.d/disk.yaml", "path: etc/disk.yaml", "the rendered Ignition config: line 14: $.storage.files.0.path: path not absolute"},
		{"path: /etc/coreos/installer.d/disk.yaml", "pth: /etc/coreos/installer.d/disk.yaml", "line 14: $.storage.files.0"},
		{"password_hash:", "password:", "line 24: $.passwd.users.0.password: unused key password"},
		{"contents: |\n            [Service]", "contents: |\n            [Service", "unit"},
		{"version: 1.5.0\nsystemd", "version: 9.9.9\nsystemd", `line 1: Butane's variant fcos is not known in version "9.9.9"; there are 1.3.0, 1.4.0, 1.5.0, 1.6.0`},
		{"variant: fcos\nversion: 1.5.0\npasswd", "variant: flatcar\nversion: 1.0.0\npasswd", `line 19: the config is neither Ignition's JSON nor Butane of variant "fcos", but of variant "flatcar"`},
		{"systemd:", "systemd: [", "line 4: did not find"},
		{"poweroff\n", "reboot\n", "the end of an install is seen by the machine being off"},
		{"dest-device: /dev/sda", "offline: true", "no disk is named"},
		{"dest-device: /dev/sda", "dest-device: [", "/etc/coreos/installer.d/disk.yaml: yaml: "},
		{"dest-device: /dev/sda", "dest-device: /dev/sda\n          ignition-file: /etc/other.ign", "ignition-file names /etc/other.ign, but the config"},
		{"dest-device: /dev/sda", "dest-device: /dev/sda\n          ignition-url: https://example.com/x.ign", "ignition-url fetches a config"},
		{"---\nvariant", "---\n---\nvariant", ""},
		{"---\nvariant", "---\n# no config\n---\nvariant", "neither Ignition's JSON nor Butane"},
		{"    - name: core\n      password_hash: {{ secret \"core-password\" | toJson }}", "    - name: core", "nobody could log in"},
		{coreosMinimal[strings.Index(coreosMinimal, "---"):], "", "the installed system has no config and nobody could log in"},
		{coreosMinimal, "---\n", "there are 0 configs"},
		{"dest-device: /dev/sda\n---", "dest-device: /dev/sda\n---\n{\"ignition\": {\"version\": \"3.3.0\"}, \"passwd\": {\"users\": [{\"name\": \"x\"}]},\n \"stroage\": {}}\n---\n", "line 20: $.stroage: unused key stroage"},
		{coreosMinimal[strings.Index(coreosMinimal, "---\n"):], "---\n{\"ignition\": {\"version\": \"3.3.0\"},\n \"passwd\": {\"users\": [{\"name\": \"x\", \"sshAuthorizedKeys\": [\"ssh-ed25519 AAAA\"]}]}}\n", ""},
		{coreosMinimal[strings.Index(coreosMinimal, "---\n"):], "---\n{\"ignition\": {\"version\": \"2.3.0\"}}\n", "line 19: unsupported config version"},
	}
	for _, tt := range tests {
		r := request(t, coreosLayouts()[0])
		if !strings.Contains(r.Template, tt.old) {
			t.Fatalf("the template has no %q", tt.old)
		}
		r.Template = strings.Replace(r.Template, tt.old, tt.new, 1)
		_, err := answer.Render(r)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q for %q:\n got %v\nwant %s", tt.new, tt.old, err, tt.want)
		}
	}
}

func TestCoreOSSurprises(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(tree, efi fstest.MapFS, l *layout, iso *answer.ISO)
		want  string
	}{
		{"version", func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "41" }, "the volume id says that it is version 42.20250929.3.0"},
		{"arch", func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.arch = "aarch64" }, `the volume id says that it is for "x86_64"`},
		{"no loader", func(_, efi fstest.MapFS, _ *layout, _ *answer.ISO) { delete(efi, "EFI/BOOT/BOOTX64.EFI") }, "EFI image: there is neither"},
		{"other volume", func(_, _ fstest.MapFS, _ *layout, iso *answer.ISO) { iso.VolumeID = "Fedora" }, `the volume id "Fedora" is none of`},
		{"relabelled", func(_, _ fstest.MapFS, _ *layout, iso *answer.ISO) { iso.VolumeID = "fedora-coreos-42.1" }, `coreos.liveiso looks for a medium labelled "fedora-coreos-42.20250929.3.0"`},
		{"no igninfo", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "coreos/igninfo.json") }, "/coreos/igninfo.json: file does not exist"},
		{"broken igninfo", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { tree["coreos/igninfo.json"] = file("{") }, "/coreos/igninfo.json: unexpected end"},
		{"s390x", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["coreos/igninfo.json"] = file(`{"file": "images/cdboot.img", "offset": 5, "length": 9}`)
		}, "/coreos/igninfo.json names a part of the file"},
		{"no area", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "images/ignition.img") }, "/coreos/igninfo.json: /images/ignition.img: file does not exist"},
		{"not stock", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { tree["images/ignition.img"] = file("070701") }, "/images/ignition.img holds a config already"},
		{"no kargs", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "coreos/kargs.json") }, "/coreos/kargs.json: file does not exist"},
		{"broken kargs", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { tree["coreos/kargs.json"] = file("[]") }, "/coreos/kargs.json: json: "},
		{"no BIOS menu", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["coreos/kargs.json"] = file(strings.Replace(string(tree["coreos/kargs.json"].Data), "isolinux/isolinux.cfg", "EFI/fedora/grub.cfg", 1))
		}, "/coreos/kargs.json: /EFI/fedora/grub.cfg has other kernel arguments"},
		{"other menu", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["coreos/kargs.json"] = file(`{"files": [{"path": "zipl.prm"}]}`)
		}, "/coreos/kargs.json: /zipl.prm is no menu that is known"},
		{"no menu listed", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["coreos/kargs.json"] = file(`{"files": []}`)
		}, "/coreos/kargs.json does not list the menu for the UEFI"},
		{"area outside", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["coreos/kargs.json"] = file(`{"size": 100000, "files": [{"path": "EFI/fedora/grub.cfg", "offset": 5}]}`)
		}, "and no room of 100000 from 5 on"},
		{"other arguments", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["EFI/fedora/grub.cfg"] = file(strings.Replace(string(tree["EFI/fedora/grub.cfg"].Data), "nosmt", "other", 1))
		}, "/EFI/fedora/grub.cfg has other kernel arguments than the image's own"},
		{"no rootfs", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "images/pxeboot/rootfs.img") }, "/images/pxeboot/rootfs.img: file does not exist"},
		{"no kernel", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "images/pxeboot/vmlinuz") }, "boots /images/pxeboot/vmlinuz: file does not exist"},
	}
	for _, tt := range tests {
		l := coreosLayouts()[0]
		iso := l.iso()
		tt.spoil(iso.Tree.(fstest.MapFS), iso.EFI.(fstest.MapFS), &l, &iso)
		if err := answer.Check(iso, l.family, l.version, l.arch); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// Images of 2021 have the menu for UEFI in the EFI image.
func TestCoreOSMenuInTheEFIImage(t *testing.T) {
	l := coreosLayouts()[0]
	r := request(t, l)
	tree, efi := r.ISO.Tree.(fstest.MapFS), r.ISO.EFI.(fstest.MapFS)
	menu := tree["EFI/fedora/grub.cfg"]
	delete(tree, "EFI/fedora/grub.cfg")
	efi["EFI/fedora/grub.cfg"] = menu
	tree["coreos/kargs.json"] = file(strings.Replace(string(tree["coreos/kargs.json"].Data), "EFI/fedora/grub.cfg", "images/efiboot.img", 1))
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Changes {
		if c.In == answer.EFI && c.Path == "/EFI/fedora/grub.cfg" && len(c.Data) == len(menu.Data) && bytes.Contains(c.Data, []byte("ignition.platform.id=metal console=tty0 console=ttyS0,115200n8\n###")) {
			return
		}
	}
	t.Errorf("no menu in the EFI image has the arguments:\n%s", show(out.Changes))
}

// One text serves both menus' languages, and has only so much room.
func TestCoreOSKernelArguments(t *testing.T) {
	for arg, want := range map[string]string{"odd=a;b": "would have to be quoted", strings.Repeat("x", 1001): "the image has room for", "coreos.inst.install_dev=/dev/sda": "not for images to set"} {
		r := request(t, coreosLayouts()[0])
		r.KernelArgs = []string{arg}
		if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives: %v", arg, err)
		}
	}
}
