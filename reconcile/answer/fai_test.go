package answer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const minimalFAI = `#!/bin/sh
echo 'rootpw={{ secret "root-password" }}' >"$NEWROOT/var/lib/fai/config/class/DEFAULT.var"
echo 'disklist=sda' >>"$NEWROOT/var/lib/fai/config/class/DEFAULT.var"
`

// faiLayout is an image that fai-cd made: the menu is in three places, and for
// the BIOS in a fourth, inside of bios.img.
func faiLayout(version string) layout {
	return layout{"FAI-" + version + "-x86_64", "fai", version, "x86_64", func() answer.ISO {
		t := tree("boot/vmlinuz", "boot/initrd.img", "boot/config-6.1.0-18-amd64", "boot/grub/bios.img", "EFI/BOOT/BOOTx64.EFI", "LiveOS/squashfs.img")
		t["FAI-CD"] = file("FAI " + version + "  build 2026 Nov 01 - 10:00\n")
		for _, name := range []string{"boot/grub/grub.cfg", "EFI/debian/grub.cfg"} {
			t[name] = file(faiGrub)
		}
		return answer.ISO{Tree: t, VolumeID: "FAI_CD", EFI: fstest.MapFS{
			"efi/boot/grub.cfg": file(faiGrub), "efi/boot/BOOTx64.EFI": file("shim"), "efi/boot/grubx64.efi": file("grub")}}
	}}
}

const faiGrub = `## grub2 configuration
set default="Boot OS from first partition on first disk"
set timeout=20

insmod part_msdos
insmod part_gpt
insmod regexp

menuentry "        |        Fully  Automatic  Installation                |" {
set timeout=20
}

menuentry "Client standalone installation - select installation type from menu " {
    search --set=root --file /FAI-CD
    linux   /boot/vmlinuz FAI_FLAGS="menu,verbose,createvt" FAI_ACTION=install FAI_CONFIG_SRC=detect:// rd.live.overlay.overlayfs root=live:CDLABEL=FAI_CD rd.neednet quiet
    initrd  /boot/initrd.img
}

menuentry "Boot OS from first partition on first disk" {
if [ "$grub_platform" == "efi" ]; then
  for d in (hd*,gpt*); do
    for cfg in efi/debian/grub.cfg grub/grub.cfg boot/grub/grub.cfg ; do
      if [ -e "$d/$cfg" ]; then
         configfile "$d/$cfg"
      fi
    done
  done
else
  for d in (hd*,msdos*) (hd*,gpt*); do
    regexp -s device '^\((.+),' $d
    set root=($device)
    chainloader +1
  done
fi
}

menuentry "Rescue system, no installation" {
    search --set=root --file /FAI-CD
    linux /boot/vmlinuz FAI_FLAGS="verbose,createvt" FAI_ACTION=sysinfo FAI_CONFIG_SRC=detect:// rd.live.overlay.overlayfs root=live:CDLABEL=FAI_CD quiet
    initrd /boot/initrd.img
}

menuentry "FAI server installation - using external DHCP server" {
    search --set=root --file /FAI-CD
    linux /boot/vmlinuz FAI_FLAGS="verbose,createvt" FAI_ACTION=install hostname=faiserver FAI_CONFIG_SRC=detect:// rd.live.overlay.overlayfs root=live:CDLABEL=FAI_CD rd.neednet quiet
    initrd /boot/initrd.img
}
`

func TestFAISurprises(t *testing.T) {
	menu := func(old, new string) func(tree fstest.MapFS, _ *layout) {
		return func(tree fstest.MapFS, _ *layout) {
			tree["EFI/debian/grub.cfg"] = file(strings.ReplaceAll(faiGrub, old, new))
		}
	}
	testSurprises(t, faiLayout("6.0.3"), []surprise{
		{"version", func(_ fstest.MapFS, l *layout) { l.version = "6.2" }, "/FAI-CD says that it is of FAI 6.0.3"},
		{"old", func(tree fstest.MapFS, _ *layout) { tree["FAI-CD"] = file("FAI 5.10.3 build 2022 Jan 01 - 10:00\n") }, "of FAI 5.10.3; 6 is known"},
		{"other", func(tree fstest.MapFS, _ *layout) { tree["FAI-CD"] = file("x\n") }, `/FAI-CD says that it is "x"`},
		{"arch", func(_ fstest.MapFS, l *layout) { l.arch = "aarch64" }, `not for "aarch64"`},
		{"label", menu("CDLABEL=FAI_CD", "CDLABEL=X"), `boots root=live:CDLABEL=X, but this medium is labelled "FAI_CD"`},
		{"no install", menu("FAI_ACTION=install", "FAI_ACTION=x"), "no entry that starts a plain install"},
		{"no system", func(tree fstest.MapFS, _ *layout) { delete(tree, "LiveOS/squashfs.img") }, "/LiveOS/squashfs.img: file does not exist"},
		{"no menu", func(tree fstest.MapFS, _ *layout) { delete(tree, "EFI/debian/grub.cfg") }, "/EFI/debian/grub.cfg: file does not exist"},
	})
}

func TestFAIAnswers(t *testing.T) {
	testAnswers(t, faiLayout("6.0.3"), []badAnswer{
		{"#!/bin/sh", "# x", "first line is not #!/bin/sh"},
		{"disklist=sda", "x=y", "no disk is named"},
		{"echo 'disklist", "FAI_FLAGS=reboot\necho 'disklist", "it sets FAI_FLAGS="},
	})
	r := request(t, faiLayout("6.0.3"))
	r.Template = "#!/bin/sh\ndisklist=sda\n"
	if _, err := answer.Render(r); err == nil || !strings.Contains(err.Error(), "nothing below $NEWROOT") {
		t.Errorf("a hook that writes nothing: %v", err)
	}
}
