package iso9660

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	diskiso "github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/kdomanski/iso9660"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// Two Go libraries that read ISO 9660 find the patch too, whether root directories had room or not.
func TestGoReadersAgree(t *testing.T) {
	for _, o := range []isotest.Options{{}, {Enhanced: true, FullRoot: true}} {
		img := rhel(t, o)
		m := open(t, img)
		b := materialize(t, view(t, hostPatch(m, []byte("text\npoweroff\n"))), img)
		menu, err := fs.ReadFile(open(t, b).FS(), "isolinux/isolinux.cfg")
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"ks.cfg": "text\npoweroff\n", "isolinux/isolinux.cfg": string(menu)} {
			if got := readKdomanski(t, b, name); got != want {
				t.Errorf("kdomanski/iso9660: %s is %q", name, got)
			}
			if got := readDiskfs(t, b, name); got != want {
				t.Errorf("go-diskfs: %s is %q", name, got)
			}
		}
	}
}

func readKdomanski(t *testing.T, img []byte, name string) string {
	t.Helper()
	r, err := iso9660.OpenImage(strings.NewReader(string(img)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.RootDir()
	if err != nil {
		t.Fatal(err)
	}
next:
	for part := range strings.SplitSeq(name, "/") {
		children, err := f.GetChildren()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range children {
			if c.Name() == part {
				f = c
				continue next
			}
		}
		t.Fatalf("kdomanski/iso9660: no %s of %s among %d files", part, name, len(children))
	}
	b, err := io.ReadAll(f.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readDiskfs(t *testing.T, img []byte, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.iso")
	if err := os.WriteFile(path, img, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fsys, err := diskiso.Read(file.New(f, true), int64(len(img)), 0, blockSize)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		t.Errorf("go-diskfs: %v", err)
	}
	return string(b)
}
