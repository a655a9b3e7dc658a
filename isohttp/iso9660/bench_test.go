package iso9660

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// dvd is an image of 9 GB like a RHEL DVD: root directories full, in three trees, packages in 27 directories.
func dvd(t testing.TB, packages int) *isotest.Disc {
	t.Helper()
	dvds.Lock()
	defer dvds.Unlock()
	if d := dvds.made[packages]; d != nil {
		return d
	}
	l, err := isotest.RHELLayout(isotest.Options{Enhanced: true, FullRoot: true, Payload: 9 << 30, Packages: packages})
	if err != nil {
		t.Fatal(err)
	}
	d, err := isotest.Lay(l)
	if err != nil {
		t.Fatal(err)
	}
	dvds.made[packages] = d
	return d
}

// dvds are those made, for the larger takes a second.
var dvds = struct {
	sync.Mutex
	made map[int]*isotest.Disc
}{made: map[int]*isotest.Disc{}}

// sparseFile writes only what is not payload, so that reads cost what they cost of a file in the page cache.
func sparseFile(t testing.TB, d *isotest.Disc) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "dvd.iso"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(d.Size()); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, min(d.Size(), 24<<20)) // the structure and the small files come first
	if _, err := d.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		t.Fatal(err)
	}
	return f
}

// hostPatch is what a host's view changes: answer file, marker, both menus and the menu in the EFI image.
func hostPatch(m *Image, answer []byte) *Edit {
	e := m.Edit()
	e.Write("/ks.cfg", answer)
	e.Write("/.boot-4f1c2a9b", nil)
	e.Write("/isolinux/isolinux.cfg", []byte("default auto\nprompt 0\ntimeout 1\nlabel auto\n  kernel vmlinuz\n  append initrd=initrd.img inst.ks=hd:LABEL=x:/ks.cfg\n"))
	e.Write("/EFI/BOOT/grub.cfg", []byte("set default=0\nset timeout=0\nmenuentry 'auto' {\n linux /images/pxeboot/vmlinuz\n initrd /images/pxeboot/initrd.img\n}\n"))
	e.WriteEFI("/EFI/BOOT/grub.cfg", []byte("search --no-floppy --set=root --file /.boot-4f1c2a9b\nconfigfile /EFI/BOOT/grub.cfg\n"))
	return e
}

// Budget: 5 ms, growing with directories, not with files. No peer parses once: assisted-image-service takes 2 ms for each request.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{6000, 60000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			d := dvd(b, n)
			f := sparseFile(b, d)
			b.ReportAllocs()
			for b.Loop() {
				m, err := Open(f, d.Size())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := fs.Stat(m.FS(), "EFI/BOOT/grub.cfg"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Budget: 0.3 ms and 64 KiB beyond the answer file. Peers: patchwork 0.02 to 0.15 ms but breaks on such an image,
// assisted-image-service 2 ms.
func BenchmarkView(b *testing.B) {
	for _, n := range []int{6000, 60000} {
		b.Run(fmt.Sprintf("files=%d", n), func(b *testing.B) {
			d := dvd(b, n)
			m, err := Open(sparseFile(b, d), d.Size())
			if err != nil {
				b.Fatal(err)
			}
			answer := make([]byte, 8<<10)
			view(b, hostPatch(m, answer)) // what an Image keeps
			b.ReportAllocs()
			for b.Loop() {
				view(b, hostPatch(m, answer))
			}
			b.ReportMetric(float64(len(view(b, hostPatch(m, answer)).Pieces())), "pieces")
		})
		b.Run(fmt.Sprintf("files=%d,anew", n), func(b *testing.B) { // as for the first host of an image
			d := dvd(b, n)
			m, err := Open(sparseFile(b, d), d.Size())
			if err != nil {
				b.Fatal(err)
			}
			answer := make([]byte, 8<<10)
			view(b, hostPatch(m, answer))
			b.ReportAllocs()
			for b.Loop() {
				m.made.Store(nil)
				view(b, hostPatch(m, answer))
			}
		})
	}
}
