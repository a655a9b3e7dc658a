//go:build system

package iso9660

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// These tests hold patched images of foreign tools against foreign readers. They need xorriso, genisoimage, isolinux,
// mtools, dosfstools, gdisk, p7zip and bsdtar, and fail without them.

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, tail(out))
	}
	return string(out)
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

// stockTree writes a tree like a DVD's.
func stockTree(t *testing.T, dir string, names83 bool) []byte {
	t.Helper()
	esp, err := isotest.FAT{Bits: 12, Size: 1440 << 10, Files: []isotest.File{
		{Path: "/EFI/BOOT/BOOTX64.EFI", Data: isotest.Generated(1, 40<<10)},
		{Path: "/EFI/BOOT/grub.cfg", Data: []byte(strings.Repeat("menuentry stock {}\n", 50))},
	}}.Build()
	if err != nil {
		t.Fatal(err)
	}
	isolinux, err := os.ReadFile("/usr/lib/ISOLINUX/isolinux.bin")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"isolinux/isolinux.bin": string(isolinux), "isolinux/isolinux.cfg": "default vesamenu.c32\ntimeout 600\n",
		"isolinux/vmlinuz": string(isotest.Generated(7, 50001)), "images/efiboot.img": string(esp),
		"EFI/BOOT/grub.cfg": strings.Repeat("menuentry stock {}\n", 50), "media.rep": "[InstallMedia]\n", "EULA": "Use it.\n",
		"images/initrd.img": string(isotest.Generated(8, 70001)), "images/empty": "", "readme.txt": "hello\n",
	}
	for i := range 40 {
		files[fmt.Sprintf("BaseOS/pkg%04d.rpm", i)] = string(isotest.Generated(uint64(100+i), 3000+i))
	}
	for name, data := range files {
		put(t, dir, name, data)
	}
	return esp
}

// master makes the image and returns its file.
func master(t *testing.T, l layout) string {
	t.Helper()
	work := t.TempDir()
	dir, out := filepath.Join(work, "tree"), filepath.Join(work, "base.iso")
	esp := stockTree(t, dir, l.plain83)
	if l.more != nil {
		l.more(t, dir)
	}
	args := append([]string{}, l.args...)
	for i, a := range args {
		if a == "ESP" {
			args[i] = filepath.Join(work, "esp.img")
			put(t, work, "esp.img", string(esp))
		}
	}
	if l.tool == "xorriso" {
		args = append([]string{"-as", "mkisofs", "-quiet"}, args...)
	}
	run(t, l.tool, append(args, "-o", out, dir)...)
	return out
}

func openImage(t *testing.T, name string) (*Image, *os.File) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m, f
}

// changes is the standard patch, with paths as in the tree.
func changes(e *Edit, l layout) map[string]string {
	want := map[string]string{
		"ks.cfg":                "text\npoweroff\n",
		"isolinux/isolinux.cfg": strings.Repeat("label linux\n", 300),
		"EFI/BOOT/grub.cfg":     "set timeout=0\n",
		"readme.txt":            "",
		"images/empty":          "full\n",
		"newdir/user-data":      "#cloud-config\n",
		"newdir/meta-data":      "",
		"EULA":                  gone,
		"images/initrd.img":     string(isotest.Generated(8, 70001)) + "...070701 cpio",
		"BaseOS/pkg0007.rpm":    string(isotest.Generated(9, 5000)),
		"newdir/sub/deep.txt":   "deep\n",
	}
	if l.plain83 {
		for _, name := range []string{"newdir/user-data", "newdir/meta-data"} {
			want[strings.Replace(name, "-data", ".txt", 1)] = want[name]
			delete(want, name)
		}
	}
	up := func(name string) string {
		if l.plain83 {
			return strings.ToUpper(name)
		}
		return name
	}
	e.Mkdir(up("newdir"))
	e.Mkdir(up("newdir/sub"))
	for i := range 30 {
		name := fmt.Sprintf("extra%02d.cfg", i)
		want[name] = name
	}
	more := func(dir string, n int) {
		for i := range n {
			want[fmt.Sprintf("%s/an-added-file-%02d.conf", dir, i)] = "added"
		}
	}
	switch {
	case l.more != nil && len(l.args) > 1 && l.args[1] == "DEEP":
		more(deepPath, 30)
		more("d1/d2/d3/d4/d5/d6/d7", 30)
		more(deepPath+"/e1/e2/e3/e4/e5/e6/e7", 40)
		more("d1/d2/d3/d4/d5/d6", 30)
	case l.more != nil && len(l.args) > 1 && l.args[1] == "LONG":
		want["long/"+strings.Repeat("n", 255)] = "long and new"
		want["long/"+strings.Repeat("m", 200)+".cfg"] = "long and new"
		want["long/"+strings.Repeat("d", 60)+"/grub.cfg"] = "new"
	}
	for name, data := range want {
		switch {
		case data == gone:
			e.Hide(up(name))
		case name == "images/initrd.img":
			e.Append(up(name), []byte("...070701 cpio"))
		default:
			e.Write(up(name), []byte(data))
		}
	}
	e.Apart(up("ks.cfg"))
	e.Apart(up("images/initrd.img"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("configfile /EFI/BOOT/grub.cfg\n"))
	return want
}

func writeView(t *testing.T, v *View, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(v, 0, v.Size())); err != nil {
		t.Fatal(err)
	}
}

// hashTree maps the files under dir to hashes of their content.
func hashTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		all[rel] = hash(string(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%d:%x", len(s), h[:6])
}

func complain(t *testing.T, tool, out string) {
	t.Helper()
	for line := range strings.SplitSeq(out, "\n") {
		for _, word := range []string{"FAILURE", "SORRY", "FATAL", "WARNING", "ERROR", "Warning", "BAD "} {
			if strings.Contains(line, word) {
				t.Errorf("%s: %s", tool, line)
			}
		}
	}
}

func TestForeignReaders(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLayout(t, l)
		})
	}
}

func testLayout(t *testing.T, l layout) {
	base := master(t, l)
	m, _ := openImage(t, base)
	for _, tree := range m.Trees() {
		checkTables(t, tree)
	}
	e := m.Edit()
	changed := changes(e, l)
	v := view(t, e)
	img := filepath.Join(t.TempDir(), "patched.iso")
	writeView(t, v, img)

	got, _ := openImage(t, img)
	for _, tree := range got.Trees() {
		checkTables(t, tree)
	}
	for tool, extract := range extractors {
		long, relocated := strings.Contains(strings.Join(l.args, " "), "LONG"), l.tool == "genisoimage" && strings.Contains(strings.Join(l.args, " "), "DEEP")
		if tool == "bsdtar" && long {
			refusesLongNames(t, base, img)
			continue
		}
		was, is := t.TempDir(), t.TempDir()
		extract(t, base, was)
		extract(t, img, is)
		if tool != "xorriso" && (long || relocated) {
			// 7z cuts long names to Joliet's, and shows relocated directories where they are kept. So does bsdtar when
			// their files lie before them.
			compareContents(t, tool, hashTree(t, was), hashTree(t, is), changed)
			continue
		}
		compare(t, tool, hashTree(t, was), hashTree(t, is), changed, m)
	}
	complain(t, "xorriso -check_media", run(t, "xorriso", "-abort_on", "NEVER", "-indev", img, "-check_media", "--"))
	checkIsoinfo(t, l, img)
	checkESP(t, got, img)
	checkDisk(t, l, base, img)
}

// compare holds what a tool finds in the patched image against what it finds in the base, changed. Names of files that are
// new or whose case a tree changes are compared without regard to case.
func compare(t *testing.T, tool string, was, is, changed map[string]string, m *Image) {
	t.Helper()
	want := map[string]string{}
	for name, h := range was {
		want[strings.ToLower(name)] = h
	}
	for name, data := range changed {
		if data == gone {
			delete(want, strings.ToLower(name))
		} else {
			want[strings.ToLower(name)] = hash(data)
		}
	}
	delete(want, "images/efiboot.img") // its menu was changed; see checkESP
	have := map[string]string{}
	for name, h := range is {
		have[strings.ToLower(name)] = h
	}
	delete(have, "images/efiboot.img")
	if maps.Equal(want, have) {
		return
	}
	n := 0
	for name, h := range want {
		if have[name] != h && n < 10 {
			n++
			t.Errorf("%s: %s is %q, want %q", tool, name, have[name], h)
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok && n < 20 {
			n++
			t.Errorf("%s: %s is unexpected", tool, name)
		}
	}
}

// compareContents is compare without names.
func compareContents(t *testing.T, tool string, was, is, changed map[string]string) {
	t.Helper()
	count := map[string]int{}
	for _, h := range is {
		count[h]++
	}
	for name, h := range was {
		if _, ok := changed[name]; !ok && !strings.HasSuffix(name, "efiboot.img") {
			count[h]--
		}
	}
	for _, data := range changed {
		if data != gone {
			count[hash(data)]--
		}
	}
	wrong := 0
	for _, n := range count {
		wrong += max(n, -n)
	}
	if wrong > 5 { // the EFI image, and files of the base that were changed but have other names there
		t.Errorf("%s: %d files have unexpected contents or are missing: %v", tool, wrong, count)
	}
}
