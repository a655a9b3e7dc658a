package iso9660

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// TestApart keeps two files away from everything else, on images of all layouts:
// the view is as sound as any, and takes no more memory.
func TestApart(t *testing.T) {
	for _, base := range tiny(t) {
		m := open(t, base)
		e := m.Edit()
		e.Write("/isolinux/isolinux.cfg", []byte("timeout 1\n"))
		e.Write("/ks.cfg", []byte("poweroff\n"))
		e.Write("/empty", nil)
		e.Append("/images/initrd.img", []byte("more"))
		e.Apart("ks.cfg")
		e.Apart("/ks.cfg")
		e.Apart("/images/initrd.img")
		got, v := patched(t, e, base)
		initrd := contents(t, m)[key(0, m.Trees()[0], "images/initrd.img")] + "more"
		expect(t, m, got, map[string]string{"isolinux/isolinux.cfg": "timeout 1\n", "ks.cfg": "poweroff\n", "empty": "", "images/initrd.img": initrd}, nil)
		checkOutside(t, v, base)

		var memory int64
		for _, p := range v.Pieces() {
			memory += int64(len(p.Data))
		}
		if memory > 32<<10 {
			t.Errorf("the view holds %d bytes in memory", memory)
		}
		gaps := 0
		for _, x := range v.Structure() {
			if x.Len >= Gap {
				gaps++
			}
		}
		if gaps != 4 {
			t.Errorf("%d gaps in structure, want one before the tail's content, one before each file apart, and one after", gaps)
		}
		for _, name := range []string{"/ks.cfg", "/images/initrd.img"} {
			x, err := v.Lookup(name)
			if err != nil || len(x) != 1 {
				t.Fatalf("%s: %v, %v", name, x, err)
			}
			alone(t, v, name, x[0])
		}
	}
}

// alone checks that there are only zeros within Gap of a file.
func alone(t *testing.T, v *View, name string, x Extent) {
	t.Helper()
	b := make([]byte, Gap+blocks(x.Len)*blockSize+Gap)
	if _, err := v.ReadAt(b, x.Off-Gap); err != nil {
		t.Fatalf("%s at %d of %d: %v", name, x.Off, v.Size(), err)
	}
	for i, c := range b {
		if c != 0 && (i < Gap || i >= Gap+int(x.Len)) {
			t.Fatalf("%s: byte %d before or behind it is %#x", name, i-Gap, c)
		}
	}
}

func TestApartErrors(t *testing.T) {
	base, err := isotest.RHEL(isotest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/ks.cfg", "/images/install.img", "/EULA", ""} {
		e := open(t, base).Edit()
		e.Hide("/EULA")
		e.Apart(name)
		if _, err := e.View(); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q, whose content does not change, is kept apart: %v", name, err)
		}
	}
}
