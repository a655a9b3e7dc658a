package answer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// Talos and Windows are recognised, whatever they are declared to be, and the
// error tells the reason and the way out.
func TestRefusedImages(t *testing.T) {
	const menu = "set timeout=3\nmenuentry \"Talos ISO\" {\n\tlinux /boot/vmlinuz talos.platform=metal init_on_alloc=1\n\tinitrd /boot/initramfs.xz\n}\n"
	for name, tt := range map[string]struct {
		iso  answer.ISO
		want string
	}{
		"Talos by its menu":   {answer.ISO{Tree: fstest.MapFS{"boot/grub/grub.cfg": file(menu), "boot/vmlinuz": file("")}}, "Image Factory"},
		"Talos by its UKI":    {answer.ISO{Tree: fstest.MapFS{}, EFI: fstest.MapFS{"EFI/Linux/Talos-v1.11.0.efi": file("")}}, "a signed UKI"},
		"Talos by its label":  {answer.ISO{Tree: fstest.MapFS{}, VolumeID: "TALOS_V1_11_0"}, "talos.config=metal-iso"},
		"Windows":             {answer.ISO{Tree: fstest.MapFS{"sources/boot.wim": file(""), "setup.exe": file("")}}, "second medium with autounattend.xml"},
		"Windows' ISO 9660":   {answer.ISO{Tree: fstest.MapFS{"README.TXT": file("This disc contains a \"UDF\" file system and requires an operating system\nthat supports the ISO-13346 \"UDF\" file system specification.\n")}}, "efisys_noprompt.bin"},
		"Windows, upper case": {answer.ISO{Tree: fstest.MapFS{"BOOTMGR": file("")}}, "Setup boots from UDF"},
	} {
		for _, family := range answer.Families() {
			err := answer.Check(tt.iso, family, "16.0", "x86_64")
			if err == nil || !strings.Contains(err.Error(), "which cannot be installed: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, declared as %s: %v", name, family, err)
			}
		}
	}
	// A README of another kind is nobody's business.
	l := anacondas[1].layout()
	iso := l.iso()
	iso.Tree.(fstest.MapFS)["README.TXT"] = file("Rocky")
	if err := answer.Check(iso, l.family, l.version, l.arch); err != nil {
		t.Error(err)
	}
}
