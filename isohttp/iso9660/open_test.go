package iso9660

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

func rhel(t testing.TB, o isotest.Options) []byte {
	t.Helper()
	img, err := isotest.RHEL(o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func open(t testing.TB, img []byte) *Image {
	t.Helper()
	m, err := Open(bytes.NewReader(img), int64(len(img)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOpenRHEL(t *testing.T) {
	m := open(t, rhel(t, isotest.Options{Enhanced: true}))
	if got, want := m.VolumeID(), "Rocky-9-6-x86_64-dvd"; got != want {
		t.Errorf("volume id %q, want %q", got, want)
	}
	var kinds []Kind
	for _, tree := range m.Trees() {
		kinds = append(kinds, tree.Kind())
		if err := fstest.TestFS(tree, "isolinux/isolinux.cfg", "images/pxeboot/initrd.img", ".treeinfo"); err != nil {
			t.Errorf("%s: %v", tree.Kind(), err)
		}
	}
	if len(kinds) != 3 || kinds[0] != RockRidge || kinds[1] != Joliet || kinds[2] != Enhanced {
		t.Errorf("trees %v", kinds)
	}
	if b := m.BootEntries(); len(b) != 2 || b[0].Platform != PlatformBIOS || b[1].Platform != PlatformEFI {
		t.Errorf("boot entries %+v", b)
	}
	efi, at, err := m.EFI()
	if err != nil {
		t.Fatal(err)
	}
	if want, err := m.Extents("/images/efiboot.img"); err != nil || len(want) != 1 || want[0] != at {
		t.Errorf("EFI image at %v, file at %v (%v)", at, want, err)
	}
	inTree, err := fs.ReadFile(m.FS(), "EFI/BOOT/grub.cfg")
	if err != nil {
		t.Fatal(err)
	}
	if inFAT, err := fs.ReadFile(efi, "EFI/BOOT/grub.cfg"); err != nil || !bytes.Equal(inTree, inFAT) {
		t.Errorf("menus of tree and EFI image differ (%v)", err)
	}
}

func TestOpenNoISO(t *testing.T) {
	for _, n := range []int{0, 100, 40000, 100000} {
		if _, err := Open(bytes.NewReader(make([]byte, n)), int64(n)); !errors.Is(err, ErrFormat) {
			t.Errorf("%d zeros: %v, want ErrFormat", n, err)
		}
	}
}
