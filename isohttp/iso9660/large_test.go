package iso9660

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// large has a file of several sections, and directories and small files beyond 4 GiB.
func large(t testing.TB) *isotest.Disc {
	t.Helper()
	d, err := isotest.Lay(isotest.Layout{
		VolumeID: "LARGE", RockRidge: true, Joliet: true, Enhanced: true, FullRoot: true,
		Files: []isotest.File{
			{Path: "a.squashfs", Size: 5 << 30},
			{Path: "isolinux/isolinux.cfg", Data: []byte("timeout 600\n")},
			{Path: "images/initrd.img", Size: 100000},
			{Path: "z.squashfs", Size: 4<<30 + 5},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func openDisc(t testing.TB, d *isotest.Disc) *Image {
	t.Helper()
	m, err := Open(d, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// readAt reads n bytes of a file at off.
func readAt(t testing.TB, fsys fs.FS, name string, off int64, n int) []byte {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, n)
	if _, err := f.(io.ReaderAt).ReadAt(p, off); err != nil {
		t.Fatalf("%s at %d: %v", name, off, err)
	}
	return p
}

func payload(file int, off int64, n int) []byte {
	p := make([]byte, n)
	isotest.Payload(uint64(file)<<40, p, off)
	return p
}

func TestBeyond4GiB(t *testing.T) {
	m := openDisc(t, large(t))
	e := m.Edit()
	e.Write("/ks.cfg", []byte("poweroff\n"))
	e.Write("/isolinux/isolinux.cfg", []byte("timeout 1\n"))
	e.Append("/images/initrd.img", []byte("cpio"))
	e.Append("/a.squashfs", []byte("more"))
	e.Write("/z.squashfs", []byte("short now"))
	v := view(t, e)
	got, err := Open(v, v.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, tree := range got.Trees() {
		for name, want := range map[string]string{"ks.cfg": "poweroff\n", "isolinux/isolinux.cfg": "timeout 1\n", "z.squashfs": "short now"} {
			if b, err := fs.ReadFile(tree, name); err != nil || string(b) != want {
				t.Errorf("%s: %s is %q, %v", tree.Kind(), name, b, err)
			}
		}
		for _, off := range []int64{0, maxSection - 7, 4<<30 - 3, 5<<30 - 14} {
			if b := readAt(t, tree, "a.squashfs", off, 14); !bytes.Equal(b, payload(0, off, 14)) {
				t.Errorf("%s: a.squashfs at %d is %q", tree.Kind(), off, b)
			}
		}
		if b := readAt(t, tree, "a.squashfs", 5<<30-2, 6); string(b[2:]) != "more" {
			t.Errorf("%s: a.squashfs ends in %q", tree.Kind(), b)
		}
		if b := readAt(t, tree, "images/initrd.img", 99996, 8); string(b[4:]) != "cpio" || !bytes.Equal(b[:4], payload(2, 99996, 4)) {
			t.Errorf("%s: initrd.img ends in %q", tree.Kind(), b)
		}
		checkTables(t, tree)
	}
	var memory int64
	for _, p := range v.Pieces() {
		if !p.Base {
			memory += p.Len
		}
	}
	if memory > 64<<10 {
		t.Errorf("the view holds %d bytes in memory", memory)
	}
}

func TestManyFiles(t *testing.T) {
	for _, n := range []int{6000, 20000} {
		m := openDisc(t, dvd(t, n))
		e := hostPatch(m, []byte("poweroff\n"))
		e.Write("/BaseOS/Packages/c/package-added.rpm", []byte("rpm"))
		v := view(t, e)
		got, err := Open(v, v.Size())
		if err != nil {
			t.Fatal(err)
		}
		for _, tree := range got.Trees() {
			checkTables(t, tree)
			list, err := fs.ReadDir(tree, "BaseOS/Packages/c")
			if want := (n-3)/26 + 2; err != nil || len(list) != want {
				t.Errorf("%s: %d files in a directory, want %d (%v)", tree.Kind(), len(list), want, err)
			}
			name := fmt.Sprintf("BaseOS/Packages/c/package-%05d-1.0-1.el9.x86_64.rpm", 26*(n/26/2)+2)
			was, err := fs.Stat(m.FS(), name)
			if err != nil {
				t.Fatal(err)
			}
			if is, err := fs.Stat(tree, name); err != nil || is.Size() != was.Size() {
				t.Errorf("%s: %s has changed (%v)", tree.Kind(), name, err)
			}
		}
		checkLookup(t, got, v, "ks.cfg", "EFI/BOOT/grub.cfg")
	}
}

// Budget: 64 KiB beyond the answer file for a host's view.
func TestViewAllocatesLittle(t *testing.T) {
	d := dvd(t, 6000)
	m := openDisc(t, d)
	answer := make([]byte, 8<<10)
	view(t, hostPatch(m, answer))
	var before, after runtime.MemStats
	const runs = 50
	runtime.ReadMemStats(&before)
	for range runs {
		view(t, hostPatch(m, answer))
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc-before.TotalAlloc)/runs - uint64(len(answer)); got > 64<<10 {
		t.Errorf("a view allocates %d bytes beyond the answer file, want at most %d", got, 64<<10)
	}
}

// Open's cost does not grow with the number of files: it reads as many bytes of 20,000 files as of 6,000.
func TestOpenReadsLittle(t *testing.T) {
	var read [2]int64
	for i, n := range []int{6000, 20000} {
		d := dvd(t, n)
		c := &countingReader{r: d}
		if _, err := Open(c, d.Size()); err != nil {
			t.Fatal(err)
		}
		read[i] = c.bytes
	}
	if read[0] != read[1] || read[0] > 256<<10 {
		t.Errorf("opening reads %d and %d bytes", read[0], read[1])
	}
}

type countingReader struct {
	r     io.ReaderAt
	mu    sync.Mutex
	bytes int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	c.bytes += int64(len(p))
	c.mu.Unlock()
	return c.r.ReadAt(p, off)
}

// One image and one view are read and patched by many at once.
func TestConcurrentUse(t *testing.T) {
	img := rhel(t, isotest.Options{Enhanced: true, FullRoot: true})
	m := open(t, img)
	shared := view(t, hostPatch(m, []byte("shared")))
	want := materialize(t, shared, img)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			got := make([]byte, len(want))
			if _, err := shared.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
				t.Errorf("reader %d reads something else (%v)", i, err)
			}
			answer := fmt.Appendf(nil, "host %d\n", i)
			v, err := hostPatch(m, answer).View()
			if err != nil {
				t.Error(err)
				return
			}
			ext, err := v.Lookup("/ks.cfg")
			if err != nil || len(ext) != 1 {
				t.Errorf("host %d: %v, %v", i, ext, err)
				return
			}
			p := make([]byte, ext[0].Len)
			if _, err := v.ReadAt(p, ext[0].Off); err != nil || !bytes.Equal(p, answer) {
				t.Errorf("host %d has %q, %v", i, p, err)
			}
			v.Structure()
		})
	}
	wg.Wait()
}
