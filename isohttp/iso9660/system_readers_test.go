//go:build system

package iso9660

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// extractors are the foreign readers that unpack an image into a directory.
var extractors = map[string]func(t *testing.T, img, dir string){
	"xorriso": func(t *testing.T, img, dir string) {
		out := run(t, "xorriso", "-osirrox", "on:auto_chmod_on", "-indev", img, "-extract", "/", dir)
		complain(t, "xorriso", out)
		run(t, "chmod", "-R", "u+rwX", dir)
	},
	"bsdtar": func(t *testing.T, img, dir string) {
		if out := run(t, "bsdtar", "-x", "-f", img, "-C", dir, "--no-same-permissions"); out != "" {
			t.Errorf("bsdtar: %s", out)
		}
		run(t, "chmod", "-R", "u+rwX", dir)
	},
	"7z": func(t *testing.T, img, dir string) {
		complain(t, "7z", run(t, "7z", "x", "-y", "-bd", "-o"+dir, img))
		os.RemoveAll(filepath.Join(dir, "[BOOT]"))
	},
}

// refusesLongNames shows what libarchive does not read: a directory that was moved and has names too long for its records,
// of which the rest is in continuation areas. It reads an image from the front to the back, and takes these areas only where
// they lie behind the directory and before the files' content; SUSP 5.1 lets them lie in any block. Content of the base
// lies before a directory that was moved, so that no place would do. All other readers take the image.
func refusesLongNames(t *testing.T, base, img string) {
	t.Helper()
	if out := run(t, "bsdtar", "-tf", base); !strings.Contains(out, strings.Repeat("0", 150)) {
		t.Error("bsdtar shows no long names of the base image")
	}
	out, err := exec.Command("bsdtar", "-tf", img).CombinedOutput()
	if err == nil || !strings.Contains(string(out), `Invalid parameter in SUSP "CE" extension`) {
		t.Errorf("bsdtar reads long names in a directory that was moved, or fails otherwise: %v: %s", err, tail(out))
	}
}

func checkIsoinfo(t *testing.T, l layout, img string) {
	t.Helper()
	plain := "/KS.CFG;1"
	if run(t, "isoinfo", "-x", plain, "-i", img) == "" {
		plain = "/ks.cfg" // genisoimage -U, and both tools' -iso-level 4
	}
	reads := map[string][]string{"plain": {"-x", plain}}
	if l.rock {
		reads["Rock Ridge"] = []string{"-R", "-x", "/ks.cfg"}
	}
	if l.joliet {
		reads["Joliet"] = []string{"-J", "-x", "/ks.cfg"}
	}
	for name, args := range reads {
		got := run(t, "isoinfo", append(args, "-i", img)...)
		if want := "text\npoweroff\n"; got != want {
			t.Errorf("isoinfo, %s: %s is %q, want %q", name, args[len(args)-1], got, want)
		}
		complain(t, "isoinfo", run(t, "isoinfo", append(args[:len(args)-2:len(args)-2], "-l", "-i", img)...))
	}
}

// checkESP reads the EFI image with dosfstools and mtools.
func checkESP(t *testing.T, m *Image, img string) {
	t.Helper()
	_, at, err := m.EFI()
	if err != nil {
		t.Fatal(err)
	}
	esp := make([]byte, at.Len)
	f, err := os.Open(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(esp, at.Off); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "esp.img")
	if err := os.WriteFile(name, esp, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "fsck.fat", "-n", name)
	got := run(t, "mtype", "-i", name, "::/EFI/BOOT/grub.cfg")
	if want := "configfile /EFI/BOOT/grub.cfg\n"; strings.TrimRight(got, "\n")+"\n" != want || len(got) != 950 {
		t.Errorf("mtype: grub.cfg has %d bytes, %.60q", len(got), got)
	}
}

// checkDisk runs sgdisk where it finds nothing to complain about in the base, and parted where it can read the base.
func checkDisk(t *testing.T, l layout, base, img string) {
	t.Helper()
	verify := func(name string) string {
		out, _ := exec.Command("sgdisk", "-v", name).CombinedOutput()
		return string(out)
	}
	if was, is := verify(base), verify(img); strings.Contains(was, "No problems found") && !strings.Contains(is, "No problems found") {
		t.Errorf("sgdisk: %s", is)
	} else if l.gpt && strings.Contains(was, "appended_part_as_gpt") && !strings.Contains(is, "No problems found") {
		t.Errorf("sgdisk finds problems in base and image: %s", is)
	}
	parted := func(name string) []byte {
		out, _ := exec.Command("parted", "-s", "-m", name, "unit", "s", "print").CombinedOutput()
		return out
	}
	if was, is := parted(base), parted(img); !bytes.Contains(was, []byte("Error")) && !bytes.Contains(was, []byte("Warning")) &&
		(bytes.Contains(is, []byte("Error")) || bytes.Contains(is, []byte("Warning"))) {
		t.Errorf("parted: %s\nbase: %s", is, was)
	}
}

// RRIP 1.12, which libarchive writes, numbers files: equal numbers mean hard links. What is new has new ones.
func TestSerialNumbers(t *testing.T) {
	dir, base := t.TempDir(), filepath.Join(t.TempDir(), "base.iso")
	stockTree(t, dir, false)
	run(t, "bsdtar", "-c", "-f", base, "--format=iso9660", "-C", dir, ".")
	m, _ := openImage(t, base)
	e := m.Edit()
	for _, name := range []string{"new", "new/sub", "new/sub/deeper", "images/new"} {
		e.Mkdir(name)
	}
	for _, name := range []string{"ks.cfg", "empty1", "empty2", "new/ks.cfg", "new/sub/ks.cfg", "readme.txt", "images/empty"} {
		e.Write(name, []byte(strings.Repeat("x", 2048*(len(name)%2))))
	}
	img := filepath.Join(t.TempDir(), "patched.iso")
	writeView(t, view(t, e), img)
	list := run(t, "bsdtar", "-tvf", img)
	if strings.Contains(list, "link to") || !strings.Contains(list, "new/sub/deeper") {
		t.Errorf("there are no links, but bsdtar finds\n%s", list)
	}
	is := t.TempDir()
	extractors["bsdtar"](t, img, is)
	if have := hashTree(t, is); have["new/sub/ks.cfg"] != hash("") || have["EULA"] != hash("Use it.\n") {
		t.Errorf("bsdtar extracts other files: %v", have)
	}
}
