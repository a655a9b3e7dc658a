package answer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const agamaMinimal = `{
  "product": {"id": "SLES"},
  "questions": {"policy": "auto"},
  "storage": {"drives": [{"search": "/dev/sda", "partitions": [{"search": "*", "delete": true}, {"generate": "default"}]}]},
  "root": {"password": {{ secret "root-password" | toJson }}, "hashedPassword": true}
}
`

// agamaLayout is a live image as agama's kiwi makes it: one menu of GRUB, whose
// first entry is the hard disk where the BIOS boots.
func agamaLayout(name, volid, version, arch string) layout {
	return layout{name + "-" + version + "-" + arch, "suse", version, arch, func() answer.ISO {
		dir := "boot/" + arch + "/loader"
		t := tree(dir+"/linux", dir+"/initrd", "LiveOS/squashfs.img", "LiveOS/.packages.gz", "EFI/BOOT/MokManager.efi", "boot/0x1c5f2a3b")
		disk, loader := "", "bootaa64.efi"
		if arch == "x86_64" {
			disk, loader = agamaDisk, "bootx64.efi"
			t["boot/grub2/i386-pc/eltorito.img"] = file("core")
		}
		t["boot/grub2/grub.cfg"] = file(strings.NewReplacer("@DISK@", disk, "@ARCH@", arch, "@LABEL@", name+" ("+arch+")").Replace(agamaGrub))
		stub := "set btrfs_relative_path=\"yes\"\nsearch --file --set=root /boot/0x1c5f2a3b\nset prefix=($root)/boot/grub2\nconfigfile ($root)/boot/grub2/grub.cfg\n"
		t["EFI/BOOT/grub.cfg"], t["EFI/BOOT/"+loader] = file(stub), file("shim")
		return answer.ISO{Tree: t, EFI: fstest.MapFS{"EFI/BOOT/grub.cfg": file(stub), "EFI/BOOT/" + loader: file("shim")}, VolumeID: volid}
	}}
}

const agamaDisk = `if [ "${grub_platform}" != "efi" ]; then
    # classic BIOS boot, try booting from MBR from the first disk
    menuentry "Boot from Hard Disk" --class os --unrestricted {
        insmod file
        if file --is-x86-bios-bootsector (hd0)+1; then
            chainloader (hd0)+1
        else
            read -s
        fi
    }
fi
`

const agamaGrub = `# Agama generated grub2 config file
insmod serial
insmod read

set default=0
if [ -n "${iso_path}" ]; then
    isoboot="iso-scan/filename=${iso_path}"
fi
set timeout=60
set timeout_style=menu
set gfxmode=auto
if serial --unit=0 --speed=9600; then
    terminal_input console serial
    terminal_output gfxterm serial
    set extra_output=serial
else
    terminal_input console
    terminal_output gfxterm
fi

@DISK@
menuentry "Install @LABEL@" --class os --unrestricted {
    set gfxpayload=keep
    echo Loading kernel...
    linux ($root)/boot/@ARCH@/loader/linux ${isoboot} splash=silent ${plymouth} ${live_options}
    echo Loading initrd...
    initrd ($root)/boot/@ARCH@/loader/initrd
}
menuentry "Failsafe -- Install @LABEL@" --class os --unrestricted {
    linux ($root)/boot/@ARCH@/loader/linux ${isoboot} ide=nodma apm=off noresume edd=off nomodeset 3 ${live_options}
    initrd ($root)/boot/@ARCH@/loader/initrd
}
menuentry "Check Installation Medium" --class os --unrestricted {
    linux ($root)/boot/@ARCH@/loader/linux mediacheck=1 plymouth.enable=0 ${isoboot} ${live_options}
    initrd ($root)/boot/@ARCH@/loader/initrd
}
menuentry "Rescue System" --class os --unrestricted {
    linux ($root)/boot/@ARCH@/loader/linux ${isoboot} systemd.unit=multi-user.target systemd.mask=agama.service
    initrd ($root)/boot/@ARCH@/loader/initrd
}

hiddenentry "Text mode" --hotkey "t" {
    set textmode=true
    set plymouth="plymouth.enable=0"
    terminal_output console ${extra_output}
}

hiddenentry "Set Live system password" --hotkey "p" {
    echo "Enter the new root password for the installer live system:"
    read -s live_password
    set live_options="live.password=${live_password}"
}

if [ "${grub_platform}" = "efi" ]; then
    menuentry "UEFI Firmware Settings" {
        fwsetup
    }
fi
`

func agamaLayouts() []layout {
	return []layout{
		agamaLayout("SLES", "Install-SUSE-SLE-16-x86_64", "16.0", "x86_64"), agamaLayout("Leap", "Install-Leap-16.0-x86_64", "16.0", "x86_64"),
		agamaLayout("SLES", "Install-SUSE-SLE-16.1-aarch64", "16.1", "aarch64"),
	}
}

func TestAgamaAnswers(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`"policy": "auto"`, `"policy": "user"`, `questions.policy is "user", not auto`},
		{`"id": "SLES"`, ``, "product.id is missing"},
		{`"id": "SLES"`, `"name": "SLES"`, "the rendered Agama profile: line 2: name is no key of product; there are id, "},
		{`"questions"`, `"question"`, "line 3: question is no key of the whole"},
		{`"search": "/dev/sda", `, ``, "storage.drives[0] has no search: no disk is named"},
		{`"search": "/dev/sda", `, `"serch": "/dev/sda", `, "line 4: serch is no key of storage.drives[]"},
		{`{"search": "/dev/sda", "partitions": [{"search": "*", "delete": true}, {"generate": "default"}]}`, ``, "storage.drives is missing"},
		{`"password": {{ secret "root-password" | toJson }}, "hashedPassword": true`, ``, "nobody could log in"},
		{`"password": {{ secret "root-password" | toJson }}, "hashedPassword": true`, `"sshPublicKeys": ["ssh-ed25519 AAAA"]`, ""},
		{`"root": {`, `"root": {"password": "x", `, "line 5: root.password is there twice"},
		{`"root": {`, `"scripts": {"pre": [{"name": "x", "url": "http://example.com/x"}]}, "root": {`, `scripts.pre: "x" is fetched from elsewhere`},
		{`"root": {`, `"files": [{"destination": "/x", "url": "http://example.com/x"}], "root": {`, `files: "/x" is fetched from elsewhere`},
		{"}\n}\n", "}\n", "it ends too early"},
		{"}\n}\n", "}\n}\n{}", "there is something after the end"},
		{agamaMinimal, "[]", "line 1: it is no JSON object"},
		{agamaMinimal, minimals["suse"], "the rendered Agama profile: line 1: invalid character '<'"},
		{agamaMinimal, "local x = 1; {}", "line 1: invalid character 'l'"},
	} {
		r := request(t, agamaLayouts()[0])
		if !strings.Contains(r.Template, tt.old) && tt.want != "" {
			t.Fatalf("the template has no %q", tt.old)
		}
		r.Template = strings.Replace(r.Template, tt.old, tt.new, 1)
		_, err := answer.Render(r)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q for %q:\n got %v\nwant %s", tt.new, tt.old, err, tt.want)
		}
	}
}

func TestAgamaSurprises(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(tree, efi fstest.MapFS, l *layout, iso *answer.ISO)
		want  string
	}{
		{"AutoYaST's version", func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "15.6" }, "it is an Agama medium of SLES 16 or Leap 16; declare that version"},
		{"version", func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.version = "17.0" }, "the volume id says that it is version 16"},
		{"arch", func(_, _ fstest.MapFS, l *layout, _ *answer.ISO) { l.arch = "aarch64" }, `the volume id says that it is for "x86_64"`},
		{"volume", func(_, _ fstest.MapFS, _ *layout, iso *answer.ISO) { iso.VolumeID = "CDROM" }, `the volume id "CDROM" names neither Leap nor SLE`},
		{"no system", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "LiveOS/squashfs.img") }, "/LiveOS/squashfs.img: file does not exist"},
		{"no menu", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "boot/grub2/grub.cfg") }, "/boot/grub2/grub.cfg: file does not exist"},
		{"no kernel", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) { delete(tree, "boot/x86_64/loader/linux") }, "boots /boot/x86_64/loader/linux: file does not exist"},
		{"no install", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			tree["boot/grub2/grub.cfg"] = file(strings.ReplaceAll(agamaGrub, `"Install @LABEL@"`, `"Other"`))
		}, `it has "Other"`},
		{"no stub", func(_, efi fstest.MapFS, _ *layout, _ *answer.ISO) { delete(efi, "EFI/BOOT/grub.cfg") }, "EFI image: /EFI/BOOT/grub.cfg: file does not exist"},
		{"other stub", func(_, efi fstest.MapFS, _ *layout, _ *answer.ISO) { efi["EFI/BOOT/grub.cfg"] = file("halt\n") }, "EFI image: /EFI/BOOT/grub.cfg does not lead to /boot/grub2"},
		{"other variable", func(tree, _ fstest.MapFS, _ *layout, _ *answer.ISO) {
			m := tree["boot/grub2/grub.cfg"]
			m.Data = []byte(strings.Replace(string(m.Data), "${plymouth}", "${other}", 1))
		}, `"${other}" cannot be taken over`},
	}
	for _, tt := range tests {
		l := agamaLayouts()[0]
		iso := l.iso()
		tt.spoil(iso.Tree.(fstest.MapFS), iso.EFI.(fstest.MapFS), &l, &iso)
		if err := answer.Check(iso, l.family, l.version, l.arch); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}
