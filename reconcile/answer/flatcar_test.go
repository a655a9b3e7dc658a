package answer_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const flatcarMinimal = `variant: flatcar
version: 1.1.0
systemd:
  units:
    - name: install.service
      enabled: true
      contents: |
        [Unit]
        Wants=network-online.target
        After=network-online.target
        [Service]
        Type=oneshot
        ExecStart=/usr/bin/flatcar-install -d /dev/sda -i /etc/metalcue/dest.ign
        ExecStartPost=/usr/bin/systemctl --no-block poweroff
        [Install]
        WantedBy=multi-user.target
---
variant: flatcar
version: 1.1.0
passwd:
  users:
    - name: core
      password_hash: {{ secret "core-password" | toJson }}
`

// flatcarLayout is the live image as flatcar/scripts makes it: for the BIOS
// alone, and without a word on its version.
func flatcarLayout() layout {
	return layout{"Flatcar-4230.2.3-x86_64", "flatcar", "4230.2.3", "x86_64", func() answer.ISO {
		t := tree("flatcar/vmlinuz", "flatcar/cpio.gz", "isolinux/isolinux.bin", "isolinux/ldlinux.c32", "isolinux/menu.c32")
		t["isolinux/isolinux.cfg"] = file("INCLUDE /syslinux/syslinux.cfg\n")
		t["syslinux/syslinux.cfg"] = file("default flatcar\nprompt 1\ntimeout 15\n\nlabel flatcar\n  menu default\n  kernel /flatcar/vmlinuz\n  append initrd=/flatcar/cpio.gz flatcar.autologin\n")
		return answer.ISO{Tree: t, VolumeID: "CDROM"}
	}}
}

func TestFlatcarAnswers(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{"flatcar-install -d /dev/sda -i", "flatcar-install -s -i", ""},
		{"/usr/bin/flatcar-install -d /dev/sda", "/usr/bin/dd", "no unit or script runs flatcar-install"},
		{"-d /dev/sda", "", "no disk is named"},
		{"-i /etc/metalcue/dest.ign", "", "flatcar-install is not given -i /etc/metalcue/dest.ign"},
		{"poweroff", "reboot", "the end of an install is seen by the machine being off"},
		{flatcarMinimal[strings.Index(flatcarMinimal, "---"):], "", "nobody could log in: put one after"},
		{"password_hash: {{ secret \"core-password\" | toJson }}", "", "nobody could log in"},
		{"enabled: true", "enable: true", "line 6: $.systemd.units.0.enable: unused key enable"},
		{"variant: flatcar", "variant: fcos", `line 1: the config is neither Ignition's JSON nor Butane of variant "flatcar"`},
	} {
		r := request(t, flatcarLayout())
		if !strings.Contains(r.Template, tt.old) {
			t.Fatalf("the template has no %q", tt.old)
		}
		r.Template = strings.Replace(r.Template, tt.old, tt.new, 1)
		_, err := answer.Render(r)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%q for %q:\n got %v\nwant %s", tt.new, tt.old, err, tt.want)
		}
	}
	r := request(t, flatcarLayout())
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range out.Changes {
		if c.Path != "/oem.cpio" {
			continue
		}
		for _, name := range []string{"usr\x00", "usr/share\x00", "usr/share/oem\x00", "usr/share/oem/config.ign\x00", "/etc/metalcue/dest.ign"} {
			if !bytes.Contains(c.Data, []byte(name)) {
				t.Errorf("the archive has no %q", name)
			}
		}
	}
}

func TestFlatcarSurprises(t *testing.T) {
	for name, want := range map[string]string{
		"flatcar/vmlinuz": "/flatcar/vmlinuz: file does not exist", "flatcar/cpio.gz": "/flatcar/cpio.gz: file does not exist",
		"syslinux/syslinux.cfg": "/syslinux/syslinux.cfg: file does not exist", "isolinux/isolinux.cfg": "/isolinux/isolinux.cfg: file does not exist",
	} {
		l := flatcarLayout()
		iso := l.iso()
		delete(iso.Tree.(fstest.MapFS), name)
		if err := answer.Check(iso, l.family, l.version, l.arch); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	l := flatcarLayout()
	if err := answer.Check(l.iso(), l.family, l.version, "aarch64"); err == nil || !strings.Contains(err.Error(), "family flatcar is known for x86_64, not for") {
		t.Errorf("for aarch64: %v", err)
	}
	iso := l.iso()
	iso.Tree.(fstest.MapFS)["syslinux/syslinux.cfg"] = file("label other\n kernel /flatcar/vmlinuz\n append initrd=/other.gz\n")
	if err := answer.Check(iso, l.family, l.version, l.arch); err == nil || !strings.Contains(err.Error(), `/syslinux/syslinux.cfg has no entry that starts a plain install; it has "other"`) {
		t.Errorf("with another menu: %v", err)
	}
}
