package isotest

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	diskiso "github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/kdomanski/iso9660"
)

func TestKdomanskiReadsRHEL(t *testing.T) {
	img := build(t, Options{})
	r, err := iso9660.OpenImage(bytes.NewReader(img))
	if err != nil {
		t.Fatal(err)
	}
	label, _ := r.Label()
	if want := "Rocky-9-6-x86_64-dvd"; label != want {
		t.Errorf("label %q, want %q", label, want)
	}
	f, err := r.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split("isolinux/isolinux.cfg", "/") {
		f = child(t, f, name)
	}
	got, err := io.ReadAll(f.Reader())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{}
	o.setDefaults()
	if string(got) != isolinuxCfg(o) {
		t.Errorf("isolinux.cfg is not what was laid out: %q", got)
	}
}

func child(t *testing.T, dir *iso9660.File, name string) *iso9660.File {
	t.Helper()
	children, err := dir.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range children {
		if c.Name() == name {
			return c
		}
	}
	t.Fatalf("%s not found among %d", name, len(children))
	return nil
}

func TestDiskfsReadsRHEL(t *testing.T) {
	img := build(t, Options{Arch: "aarch64", FullRoot: true})
	disk, size := storage(t, img)
	fsys, err := diskiso.Read(disk, size, 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(fsys, "media.repo")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("name=Rocky Linux 9.6")) {
		t.Errorf("media.repo: %q", got)
	}
	esp, err := fs.ReadFile(fsys, "images/efiboot.img")
	if err != nil {
		t.Fatal(err)
	}
	disk, size = storage(t, esp)
	fat, err := fat12.Read(disk, size, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	got, err = fs.ReadFile(fat, "EFI/BOOT/grub.cfg")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("rd.live.check")) {
		t.Errorf("grub.cfg of the FAT: %q", got)
	}
}

func storage(t *testing.T, img []byte) (backend.Storage, int64) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, img, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return file.New(f, true), int64(len(img))
}

func build(t *testing.T, o Options) []byte {
	t.Helper()
	img, err := RHEL(o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestDiscReadsAnywhere(t *testing.T) {
	d, err := RHELDisc(Options{})
	if err != nil {
		t.Fatal(err)
	}
	whole := d.Bytes()
	for off := int64(0); off < d.Size(); off += 4099 {
		p := make([]byte, 5003)
		n, err := d.ReadAt(p, off)
		if want := min(int64(len(p)), d.Size()-off); int64(n) != want || (err == io.EOF) != (n < len(p)) {
			t.Fatalf("at %d: %d bytes, %v; want %d", off, n, err, want)
		}
		if !bytes.Equal(p[:n], whole[off:off+int64(n)]) {
			t.Fatalf("at %d: other bytes than the whole image's", off)
		}
	}
}
