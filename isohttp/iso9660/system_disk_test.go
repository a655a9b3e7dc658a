//go:build system

package iso9660

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An image with an appended GPT partition stays a sound disk. Its second descriptor set is patched too, or blanked: who
// takes the image for a disk then finds one file system.
func TestDiskPresentation(t *testing.T) {
	base := master(t, layouts()["fedora gpt"])
	if out := run(t, "sgdisk", "-v", base); !strings.Contains(out, "No problems found") {
		t.Logf("sgdisk of the base: %s", out)
	}
	m, _ := openImage(t, base)
	second := 0
	for _, tree := range m.Trees() {
		if tree.Second() {
			second++
		}
	}
	if second != 2 || !m.disk.usable {
		t.Fatalf("%d second trees, GPT sound: %t", second, m.disk.usable)
	}
	for _, blank := range []bool{false, true} {
		e := m.Edit()
		e.Write("/ks.cfg", []byte("text\npoweroff\n"))
		e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("stub\n"))
		if blank {
			e.BlankSecondDescriptors()
		}
		img := filepath.Join(t.TempDir(), "patched.iso")
		writeView(t, view(t, e), img)
		b, err := os.ReadFile(img)
		if err != nil {
			t.Fatal(err)
		}
		checkGPT(t, b)
		if out := run(t, "sgdisk", "-v", img); !strings.Contains(out, "No problems found") {
			t.Errorf("sgdisk: %s", out)
		}
		if out := run(t, "parted", "-s", "-m", img, "unit", "s", "print"); strings.Contains(out, "Warning") || strings.Contains(out, "Error") {
			t.Errorf("parted: %s", out)
		}
		out, _ := exec.Command("blkid", "-p", "-O", "32768", img).CombinedOutput()
		if found := strings.Contains(string(out), "iso9660"); found == blank {
			t.Errorf("blanked %t, but blkid finds a file system in partition 1: %t", blank, found)
		}
		if !strings.Contains(run(t, "blkid", "-p", img), `LABEL="Fedora-S-dvd-x86_64-42"`) {
			t.Error("blkid does not find the label")
		}
		part := filepath.Join(t.TempDir(), "partition.iso")
		if err := os.WriteFile(part, b[32768:], 0o644); err != nil {
			t.Fatal(err)
		}
		if !blank { // the whole rest of the image, so that the tail is in it
			if got := run(t, "isoinfo", "-R", "-x", "/ks.cfg", "-i", part); got != "text\npoweroff\n" {
				t.Errorf("isoinfo of partition 1: ks.cfg is %q", got)
			}
			if got := run(t, "isoinfo", "-J", "-x", "/ks.cfg", "-i", part); got != "text\npoweroff\n" {
				t.Errorf("isoinfo -J of partition 1: ks.cfg is %q", got)
			}
		}
	}
}

// The two descriptor sets count blocks from different places: there are numbers of directories with which the root
// directories of both have the same number.
func TestSecondSetIsTold(t *testing.T) {
	dir := t.TempDir()
	esp := stockTree(t, dir, false)
	image := filepath.Join(t.TempDir(), "esp.img")
	if err := os.WriteFile(image, esp, 0o600); err != nil {
		t.Fatal(err)
	}
	same := 0
	for i := range 30 {
		put(t, dir, fmt.Sprintf("more/dir%02d/file", i), "content")
		base := filepath.Join(t.TempDir(), "base.iso")
		run(t, "xorriso", "-as", "mkisofs", "-quiet", "-V", "SETS", "-R", "-J", "-partition_offset", "16", "-append_partition", "2", "0xef", image,
			"-appended_part_as_gpt", "-o", base, dir)
		m, _ := openImage(t, base)
		if len(m.Trees()) != 4 {
			t.Fatalf("%d more directories: %d trees, want 4", i, len(m.Trees()))
		}
		if m.trees[0].root.lba() == m.trees[2].root.lba() {
			same++
		}
	}
	if same == 0 {
		t.Error("no image has roots of the same number")
	}
}
