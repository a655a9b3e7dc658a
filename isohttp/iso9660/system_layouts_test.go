//go:build system

package iso9660

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layout is a way to master an image from a tree, as a distribution does.
type layout struct {
	tool string
	args []string
	gpt  bool // appended ESP
	// trees that foreign readers must agree on
	rock, joliet bool
	plain83      bool
	more         func(t *testing.T, dir string) // adds to the tree
}

const hybridMBR = "/usr/lib/ISOLINUX/isohdpfx.bin"

var biosBoot = []string{"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"}
var efiBoot = []string{"-eltorito-alt-boot", "-e", "images/efiboot.img", "-no-emul-boot"}

func join3(a []string, b ...[]string) []string {
	out := append([]string{}, a...)
	for _, x := range b {
		out = append(out, x...)
	}
	return out
}

func layouts() map[string]layout {
	appended := []string{"-append_partition", "2", "0xef", "ESP"}
	return map[string]layout{
		"rhel8 pungi": {tool: "genisoimage", rock: true, joliet: true,
			args: join3([]string{"-U", "-R", "-J", "-joliet-long", "-T", "-V", "RHEL-8-9-0-BaseOS-x86_64"}, biosBoot, efiBoot)},
		"rhel9 isohybrid": {tool: "xorriso", rock: true, joliet: true,
			args: join3([]string{"-V", "BENCH-9-5-x86_64", "-iso-level", "3", "-R", "-J", "-joliet-long", "-U", "-isohybrid-mbr", hybridMBR}, biosBoot, efiBoot, []string{"-isohybrid-gpt-basdat"})},
		"fedora gpt": {tool: "xorriso", rock: true, joliet: true, gpt: true,
			args: join3([]string{"-V", "Fedora-S-dvd-x86_64-42", "-R", "-J", "-partition_offset", "16", "-appended_part_as_gpt"}, appended, biosBoot,
				[]string{"-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"})},
		"debian amd64": {tool: "xorriso", rock: true, joliet: true,
			args: join3([]string{"-V", "Debian 12.5.0 amd64 1", "-R", "-J", "-joliet-long", "-cache-inodes", "-isohybrid-mbr", hybridMBR}, biosBoot, efiBoot, []string{"-isohybrid-gpt-basdat", "-isohybrid-apm-hfsplus"})},
		"debian arm64": {tool: "xorriso", rock: true, joliet: true, gpt: true,
			args: join3([]string{"-V", "Debian 12.5.0 arm64 1", "-R", "-J", "-joliet-long"}, appended,
				[]string{"-e", "--interval:appended_partition_2:all::", "-no-emul-boot", "-partition_cyl_align", "all"})},
		"suse": {tool: "xorriso", rock: true,
			args: join3([]string{"-V", "SLE-15-SP6-Full-x86_64", "-R"}, biosBoot, efiBoot)},
		"level 4": {tool: "xorriso", rock: true, joliet: true,
			args: join3([]string{"-V", "LEVEL4", "-iso-level", "4", "-R", "-J"}, biosBoot, efiBoot)},
		"level 4 genisoimage": {tool: "genisoimage", rock: true, joliet: true,
			args: join3([]string{"-V", "LEVEL4", "-iso-level", "4", "-R", "-J"}, biosBoot, efiBoot)},
		"coreos": {tool: "genisoimage", rock: true,
			args: join3([]string{"-V", "fedora-coreos-42", "-R"}, biosBoot, efiBoot)},
		"joliet only": {tool: "genisoimage", joliet: true,
			args: join3([]string{"-V", "JOLIET", "-J"}, biosBoot, efiBoot)},
		"esxi": {tool: "genisoimage", plain83: true,
			args: join3([]string{"-V", "ESXI-8.0U2", "-iso-level", "1"}, biosBoot, efiBoot)},
		"no pad": {tool: "genisoimage", rock: true, joliet: true,
			args: join3([]string{"-V", "NOPAD", "-R", "-J", "-no-pad"}, biosBoot, efiBoot)},
		"full root": {tool: "xorriso", rock: true, joliet: true, more: fullRoot,
			args: join3([]string{"-V", "FULL", "-iso-level", "4", "-R", "-J", "-joliet-long"}, biosBoot, efiBoot)},
		"deep, relocated": {tool: "genisoimage", rock: true, more: deep,
			args: join3([]string{"-V", "DEEP", "-R"}, biosBoot, efiBoot)},
		"deep, xorriso": {tool: "xorriso", rock: true, joliet: true, more: deep,
			args: join3([]string{"-V", "DEEP", "-R", "-J"}, biosBoot, efiBoot)},
		"long names": {tool: "xorriso", rock: true, joliet: true, more: longNames,
			args: join3([]string{"-V", "LONG", "-R", "-J", "-joliet-long"}, biosBoot, efiBoot)},
		"long names genisoimage": {tool: "genisoimage", rock: true, joliet: true, more: longNames,
			args: join3([]string{"-V", "LONG", "-R", "-J", "-joliet-long", "-l"}, biosBoot, efiBoot)},
	}
}

func fullRoot(t *testing.T, dir string) {
	for i := range 45 {
		put(t, dir, fmt.Sprintf("RPM-GPG-KEY-file-number-%02d", i), "key")
		put(t, dir, fmt.Sprintf("dir%02d/sub/file", i), "content")
	}
}

const deepPath = "d1/d2/d3/d4/d5/d6/d7/d8/d9/d10"

func deep(t *testing.T, dir string) {
	for i := range 30 {
		put(t, dir, fmt.Sprintf("%s/file-with-some-name-%02d", deepPath, i), "deep")
		put(t, dir, fmt.Sprintf("d1/d2/d3/d4/d5/d6/d7/file-with-some-name-%02d", i), "less deep")
	}
	put(t, dir, deepPath+"/e1/e2/e3/e4/e5/e6/e7/e8/file", "twice relocated")
}

func longNames(t *testing.T, dir string) {
	for i, n := range []int{100, 103, 180, 200, 240, 255} {
		put(t, dir, fmt.Sprintf("long/%d%0*d", i, n-1, n), "long")
	}
	put(t, dir, "long/"+strings.Repeat("d", 60)+"/grub.cfg", "old")
	put(t, dir, "long/file with spaces; and (marks).tar.gz", "odd")
}

func put(t *testing.T, dir, name, data string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}
