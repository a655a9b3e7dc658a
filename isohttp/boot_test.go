package isohttp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// bootable is a patched installer of realistic sizes, as a run makes it.
type bootable struct {
	view    *iso9660.View
	esp     iso9660.Extent
	regions []Region
}

func newBootable(t testing.TB) *bootable {
	t.Helper()
	l, err := isotest.RHELLayout(isotest.Options{FullRoot: true, Payload: 2 << 30, Packages: 500})
	if err != nil {
		t.Fatal(err)
	}
	for path, size := range map[string]int64{"/images/pxeboot/vmlinuz": 13 << 20, "/images/pxeboot/initrd.img": 98 << 20, "/images/install.img": 700 << 20} {
		l.Files[slices.IndexFunc(l.Files, func(f isotest.File) bool { return f.Path == path })].Size = size
	}
	d, err := isotest.Lay(l)
	if err != nil {
		t.Fatal(err)
	}
	img, err := iso9660.Open(d, d.Size())
	if err != nil {
		t.Fatal(err)
	}
	edit := img.Edit()
	edit.Write("/ks.cfg", make([]byte, 9000))
	edit.Write("/metalcue-mark", nil)
	edit.Write("/isolinux/isolinux.cfg", make([]byte, 300))
	edit.Write("/EFI/BOOT/grub.cfg", make([]byte, 400))
	edit.WriteEFI("/EFI/BOOT/grub.cfg", []byte("configfile\n"))
	edit.Apart("/ks.cfg")
	b := &bootable{}
	if b.view, err = edit.View(); err != nil {
		t.Fatal(err)
	}
	if _, b.esp, err = img.EFI(); err != nil {
		t.Fatal(err)
	}
	for phase, paths := range map[Phase][]string{
		Loader: {"/isolinux/isolinux.bin", "/isolinux/isolinux.cfg", "/EFI/BOOT/BOOTX64.EFI", "/EFI/BOOT/grub.cfg", "/images/efiboot.img"},
		Kernel: {"/images/pxeboot/vmlinuz"}, Initrd: {"/images/pxeboot/initrd.img"}, Answer: {"/ks.cfg"}, Payload: {"/images/install.img"},
	} {
		for _, path := range paths {
			x := b.file(t, path)
			b.regions = append(b.regions, Region{phase, path, x.Off, x.Len})
		}
	}
	for _, x := range b.view.Structure() {
		b.regions = append(b.regions, Region{Phase: Structure, Off: x.Off, Len: x.Len})
	}
	return b
}

func (b *bootable) file(t testing.TB, path string) iso9660.Extent {
	t.Helper()
	x, err := b.view.Lookup(path)
	if err != nil || len(x) != 1 {
		t.Fatalf("%s: %v, %v", path, x, err)
	}
	return x[0]
}

const kib = 1 << 10

// bios is what SeaBIOS and ISOLINUX read: the boot record, the catalog, the
// loader, descriptor and directories, the menu.
func (b *bootable) bios(t testing.TB) (reads []iso9660.Extent) {
	loader := b.file(t, "/isolinux/isolinux.bin")
	reads = append(reads, iso9660.Extent{Off: 34 * kib, Len: 2 * kib}, iso9660.Extent{Off: loader.Off, Len: 2 * kib}, loader)
	return append(append(reads, b.directories()...), b.file(t, "/isolinux/isolinux.cfg"))
}

// uefi is what OVMF and GRUB read: partition tables at both ends, where a UDF
// volume would be told, descriptors, the ESP with loader and stub, directories,
// the menu.
func (b *bootable) uefi(t testing.TB) (reads []iso9660.Extent) {
	n := b.view.Size()
	for _, off := range []int64{0, n - 2*kib, 512 * kib, n - 514*kib, n - 512*kib, 32 * kib, 34 * kib, 36 * kib} {
		reads = append(reads, iso9660.Extent{Off: off, Len: 2 * kib})
	}
	reads = append(reads, iso9660.Extent{Off: b.esp.Off, Len: 4 * kib}, iso9660.Extent{Off: b.esp.Off + 4*kib, Len: b.esp.Len - 4*kib})
	return append(append(reads, b.directories()...), b.file(t, "/EFI/BOOT/grub.cfg"))
}

func (b *bootable) directories() (reads []iso9660.Extent) {
	reads = append(reads, iso9660.Extent{Off: 32 * kib, Len: 2 * kib})
	for _, x := range b.view.Structure() {
		if x.Off > 32*kib && x.Len < iso9660.Gap {
			reads = append(reads, x)
		}
	}
	return reads
}

// kernel is how a boot loader reads kernel and initrd: a look at the header,
// then all in pieces.
func (b *bootable) kernel(t testing.TB) (reads []iso9660.Extent) {
	for _, path := range []string{"/images/pxeboot/vmlinuz", "/images/pxeboot/initrd.img"} {
		x := b.file(t, path)
		reads = append(reads, iso9660.Extent{Off: x.Off, Len: 2 * kib})
		for at := int64(0); at < x.Len; at += 64 * kib {
			reads = append(reads, iso9660.Extent{Off: x.Off + at, Len: min(64*kib, x.Len-at)})
		}
	}
	return reads
}

// installer is what the kernel and an installer read: probes for all kinds of
// file systems at both ends of the disk, the answer file, the second stage here
// and there, packages, and the start of every file beside the boot loader's.
func (b *bootable) installer(t testing.TB) (reads []iso9660.Extent) {
	n := b.view.Size()
	for _, off := range []int64{0, 4 * kib, 32 * kib, 64 * kib, 128 * kib, 256 * kib, 512 * kib, 1024 * kib, 2048 * kib, 4096 * kib, 64 << 20, n - 4*kib, n - 64*kib, n - 128*kib, n - 512*kib} {
		reads = append(reads, iso9660.Extent{Off: off, Len: 4 * kib})
	}
	reads = append(append(reads, b.directories()...), b.file(t, "/ks.cfg"))
	stage2 := b.file(t, "/images/install.img")
	for i := range int64(200) {
		reads = append(reads, iso9660.Extent{Off: stage2.Off + i*7919*4*kib%stage2.Len&^(4*kib-1), Len: 128 * kib})
	}
	for i := range int64(60) {
		x := b.file(t, fmt.Sprintf("/BaseOS/Packages/%c/package-%05d-1.0-1.el9.x86_64.rpm", 'a'+i*8%26, i*8))
		reads = append(reads, x)
	}
	for _, path := range []string{"/.treeinfo", "/media.repo", "/LICENSE", "/EULA"} {
		reads = append(reads, b.file(t, path))
	}
	return append(reads, iso9660.Extent{Off: stage2.Off, Len: 4 * kib}, iso9660.Extent{Off: stage2.Off + stage2.Len - 4*kib, Len: 4 * kib})
}

// reader is how a controller turns what its machine reads into requests.
type reader struct {
	name  string
	fetch func(x iso9660.Extent) iso9660.Extent
	cache []iso9660.Extent // the last requests
}

func readers() (all []*reader) {
	all = append(all, &reader{name: "as asked", fetch: func(x iso9660.Extent) iso9660.Extent { return x }})
	for _, n := range []int64{64 * kib, 128 * kib, 256 * kib, 512 * kib} {
		all = append(all, &reader{name: fmt.Sprintf("%d KiB ahead", n/kib), fetch: func(x iso9660.Extent) iso9660.Extent {
			return iso9660.Extent{Off: x.Off, Len: x.Len + n}
		}}, &reader{name: fmt.Sprintf("blocks of %d KiB", n/kib), fetch: func(x iso9660.Extent) iso9660.Extent {
			from := x.Off / n * n
			return iso9660.Extent{Off: from, Len: (x.Off+x.Len+n-1)/n*n - from}
		}})
	}
	return all
}

// read sends the requests of a machine's reads to the account. What the
// controller has just fetched it does not fetch again.
func (r *reader) read(a *account, reads []iso9660.Extent) {
	for _, x := range reads {
		if slices.ContainsFunc(r.cache, func(c iso9660.Extent) bool { return x.Off >= c.Off && x.Off+x.Len <= c.Off+c.Len }) {
			continue
		}
		f := r.fetch(x)
		f.Len = min(f.Len, a.size-f.Off)
		r.cache = append(r.cache[max(0, len(r.cache)-3):], f)
		a.read(loopback, f.Off, f.Len, time.Unix(1, 0))
	}
}

// TestReadAhead boots a machine as its firmware, boot loader and installer read,
// through controllers that read ahead: the phases stay apart, and boots are
// counted as they are.
func TestReadAhead(t *testing.T) {
	b := newBootable(t)
	firmware := map[string]func(testing.TB) []iso9660.Extent{"BIOS": b.bios, "UEFI": b.uefi}
	for name, loader := range firmware {
		for _, r := range readers() {
			t.Run(name+"/"+r.name, func(t *testing.T) {
				a := &account{}
				if err := a.init(Medium{Regions: b.regions}, b.view.Size()); err != nil {
					t.Fatal(err)
				}
				expect := func(after string, reloads, restarts int) {
					t.Helper()
					if p := a.snapshot(time.Now()); p.Reloads != reloads || p.Restarts != restarts {
						t.Errorf("after %s: %d reloads and %d restarts, want %d and %d", after, p.Reloads, p.Restarts, reloads, restarts)
					}
				}
				r.read(a, loader(t))
				r.read(a, b.kernel(t))
				if p := a.snapshot(time.Now()); p.Of(Answer).Distinct != 0 {
					t.Errorf("%d bytes of the answer file were read before the installer", p.Of(Answer).Distinct)
				}
				r.read(a, b.installer(t))
				expect("one boot", 0, 0)
				if p := a.snapshot(time.Now()); p.Of(Answer).Distinct != p.Of(Answer).Total {
					t.Errorf("answer file: %+v", p.Of(Answer))
				}
				r.read(a, loader(t))
				expect("a second start", 1, 0)
				r.read(a, b.kernel(t))
				r.read(a, b.installer(t))
				expect("two boots", 1, 1)
				r.read(a, loader(t))
				expect("a third start, to the disk", 2, 1)
			})
		}
	}
}
