//go:build system

package answer_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/answer"
)

// A medium is an image that xorriso made of a layout, with real boot loaders
// where there are any.
type medium struct {
	path string
	esp  string // the FAT image, as a path in the tree; "" if it is appended
}

// efiImages are the places of the FAT image in the tree, by family.
var efiImages = []string{"images/efiboot.img", "boot/grub/efi.img", "efi.img", "EFIBOOT.IMG", "boot/x86_64/efi", "boot/aarch64/efi"}

// build makes the layout's image. replace puts other content into its files.
func build(t *testing.T, l layout, replace map[string][]byte) medium {
	t.Helper()
	iso := l.iso()
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	tree := iso.Tree.(fstest.MapFS)
	for name, data := range replace {
		if tree[name] != nil {
			tree[name] = &fstest.MapFile{Data: data}
		}
	}
	if replace != nil && tree["boot/x86_64/loader/isolinux.bin"] != nil {
		// SUSE's isolinux looks beside itself; the one that is used here does not.
		tree["isolinux/ldlinux.c32"] = &fstest.MapFile{Data: replace["isolinux/ldlinux.c32"]}
		tree["isolinux/isolinux.cfg"] = file("include /boot/x86_64/loader/isolinux.cfg\n")
	}
	fat := filepath.Join(dir, "efi.img")
	if iso.EFI != nil {
		buildFAT(t, fat, iso.EFI, replace)
	}
	m := medium{path: filepath.Join(dir, "stock.iso")}
	for _, name := range efiImages {
		if tree[name] != nil {
			m.esp = name
			data, err := os.ReadFile(fat)
			if err != nil {
				t.Fatal(err)
			}
			tree[name] = &fstest.MapFile{Data: data}
		}
	}
	if err := os.CopyFS(root, tree); err != nil {
		t.Fatal(err)
	}
	if l.family == "esxi" { // plain ISO 9660, and nothing but its 8.3 names
		tool(t, "genisoimage", "-quiet", "-iso-level", "1", "-V", iso.VolumeID, "-o", m.path, "-b", "ISOLINUX.BIN", "-c", "BOOT.CAT", "-no-emul-boot",
			"-boot-load-size", "4", "-boot-info-table", "-eltorito-alt-boot", "-e", m.esp, "-no-emul-boot", root)
		return m
	}
	args := []string{"-as", "mkisofs", "-R", "-J", "-V", iso.VolumeID, "-o", m.path}
	for _, bios := range []string{"isolinux/isolinux.bin", "boot/" + l.arch + "/loader/isolinux.bin", "images/eltorito.img", "boot/grub/i386-pc/eltorito.img", "boot/grub2/i386-pc/eltorito.img"} {
		if tree[bios] != nil && len(tree[bios].Data) > 64 {
			args = append(args, "-b", bios, "-c", path.Join(path.Dir(bios), "boot.cat"), "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
			if strings.HasSuffix(bios, "eltorito.img") {
				args = append(args, "--grub2-boot-info", "--grub2-mbr", "/usr/lib/grub/i386-pc/boot_hybrid.img")
			}
			args = append(args, "-eltorito-alt-boot")
		}
	}
	switch {
	case iso.EFI == nil:
		args = args[:len(args)-1] // there is no second boot image
	case m.esp != "":
		args = append(args, "-e", m.esp, "-no-emul-boot")
	default:
		args = append(args, "-partition_offset", "16", "-append_partition", "2", "0xef", fat, "-appended_part_as_gpt",
			"-e", "--interval:appended_partition_2:all::", "-no-emul-boot")
	}
	tool(t, "xorriso", append(args, root)...)
	return m
}

func buildFAT(t *testing.T, name string, files fs.FS, replace map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	size := 1 << 20
	for file, data := range replace {
		if _, err := fs.Stat(files, file); err == nil {
			size += len(data)
			if err := os.WriteFile(filepath.Join(dir, file), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(name, make([]byte, size&^0xffff), 0o666); err != nil {
		t.Fatal(err)
	}
	tool(t, "mkfs.vfat", name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tool(t, "mcopy", "-s", "-i", name, filepath.Join(dir, e.Name()), "::/")
	}
}

// patch makes the image that a host would be served, and writes it to a file.
func patch(t *testing.T, l layout, m medium, r answer.Request, local bool) (string, iso9660.Extent, *answer.Rendered) {
	t.Helper()
	f, err := os.Open(m.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	image, err := iso9660.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	efi, at, err := image.EFI()
	if err != nil && l.iso().EFI != nil {
		t.Fatal(err)
	}
	r.ISO = answer.ISO{Tree: image.FS(), VolumeID: image.VolumeID()}
	if err == nil {
		r.ISO.EFI = efi
	}
	if err := check(r.ISO, l); err != nil {
		t.Fatal(err)
	}
	out, err := answer.Render(r)
	if err != nil {
		t.Fatal(err)
	}
	changes := out.Changes
	if local {
		changes = out.Local
	}
	edit := image.Edit()
	for _, c := range changes {
		if c.In == answer.EFI {
			edit.WriteEFI(c.Path, c.Data)
		} else {
			edit.Write(c.Path, c.Data)
		}
	}
	view, err := edit.View()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "patched.iso")
	w, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.NewSectionReader(view, 0, view.Size())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name, at, out
}

// Readers that share no code with ours, xorriso and mtools, find the answer
// file and the menus in all places of a patched image, and all else as it was.
func TestPatchedMedia(t *testing.T) {
	for _, l := range layouts() {
		t.Run(l.name, func(t *testing.T) {
			m := build(t, l, map[string][]byte{
				"isolinux/isolinux.bin": loader(t, "/usr/lib/ISOLINUX/isolinux.bin"), "ISOLINUX.BIN": loader(t, "/usr/lib/ISOLINUX/isolinux.bin")})
			name, efi, out := patch(t, l, m, request(t, l), false)
			was, is := filepath.Join(t.TempDir(), "was"), filepath.Join(t.TempDir(), "is")
			tool(t, "osirrox", "-indev", m.path, "-extract", "/", was)
			tool(t, "osirrox", "-indev", name, "-extract", "/", is)
			tool(t, "xorriso", "-indev", name, "-check_media", "--")
			changed := map[string][]byte{}
			for _, c := range out.Changes {
				if c.In == answer.Tree {
					changed[c.Path] = c.Data
					continue
				}
				got, err := exec.Command("mtype", "-i", fmt.Sprintf("%s@@%d", name, efi.Off), "::"+c.Path).Output()
				if err != nil || !bytes.Equal(got, c.Data) {
					t.Errorf("EFI image: %s is %q, %v; want %q", c.Path, got, err, c.Data)
				}
			}
			compare(t, was, is, changed, m.esp)
		})
	}
}

// compare holds two extracted trees against each other, but for what changed
// and for the file that holds the EFI image.
func compare(t *testing.T, was, is string, changed map[string][]byte, esp string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(is, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(is, name)
		if err != nil || rel == esp {
			return err
		}
		got, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		want, ok := changed["/"+rel]
		if ok {
			seen++
		} else if want, err = os.ReadFile(filepath.Join(was, rel)); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what it should be", rel)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if seen != len(changed) {
		t.Errorf("%d of %d changed files are there", seen, len(changed))
	}
}

func loader(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
