package iso9660

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// contents are the files of every tree by path, in lower case where a tree has upper case only, and of the EFI image under
// "EFI:".
func contents(t testing.TB, m *Image) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i, tree := range m.Trees() {
		files := map[string]string{}
		walk(t, tree, "", files)
		for path, data := range files {
			all[key(i, tree, path)] = data
		}
	}
	if efi, _, err := m.EFI(); err == nil {
		walk(t, efi, "EFI:", all)
	}
	return all
}

func key(i int, tree *Tree, path string) string {
	if tree.Kind() == Plain {
		path = strings.ToLower(path)
	}
	return fmt.Sprintf("%d %s:%s", i, tree.Kind(), path)
}

func walk(t testing.TB, fsys fs.FS, prefix string, all map[string]string) {
	t.Helper()
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			all[prefix+path+"/"] = ""
			return nil
		}
		b, err := fs.ReadFile(fsys, path)
		all[prefix+path] = string(b)
		return err
	})
	if err != nil {
		t.Fatalf("walking %s: %v", prefix, err)
	}
}

// materialize returns all bytes of the view, and checks that its pieces tell the same.
func materialize(t testing.TB, v *View, base []byte) []byte {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(v, 0, v.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if v.Size()%blockSize != 0 || int64(len(got)) != v.Size() {
		t.Fatalf("view of %d bytes has %d", v.Size(), len(got))
	}
	at := int64(0)
	for i, p := range v.Pieces() {
		want := p.Data
		switch {
		case p.Base:
			want = base[p.BaseOff : p.BaseOff+p.Len]
		case p.Data == nil:
			want = make([]byte, p.Len)
		}
		if p.Off != at || p.Len <= 0 || int64(len(want)) != p.Len || !bytes.Equal(got[at:at+p.Len], want) {
			t.Fatalf("piece %d of %d at %d, of %d bytes at %d, is not what ReadAt gives", i, len(v.Pieces()), at, p.Len, p.Off)
		}
		at += p.Len
	}
	if at != v.Size() {
		t.Fatalf("pieces end at %d of %d", at, v.Size())
	}
	return got
}

func view(t testing.TB, e *Edit) *View {
	t.Helper()
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// patched applies the edit and returns the image of the view, opened again, with the view.
func patched(t testing.TB, e *Edit, base []byte) (*Image, *View) {
	t.Helper()
	v := view(t, e)
	return open(t, materialize(t, v, base)), v
}

// expect compares all files with the base's and the given changes by tree path; "" means gone.
func expect(t testing.TB, base, got *Image, tree map[string]string, efi map[string]string) {
	t.Helper()
	want := contents(t, base)
	for i, x := range base.Trees() {
		for path, data := range tree {
			set(want, key(i, x, path), data)
		}
	}
	for path, data := range efi {
		set(want, "EFI:"+path, data)
	}
	have := contents(t, got)
	for path, data := range want {
		if h, ok := have[path]; !ok {
			t.Errorf("%s is lost", path)
		} else if h != data {
			t.Errorf("%s has %d bytes %.40q, want %d %.40q", path, len(h), h, len(data), data)
		}
	}
	for path := range have {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is unexpected", path)
		}
	}
}

func set(m map[string]string, path, data string) {
	if data == gone {
		delete(m, path)
		return
	}
	m[path] = data
}

const gone = "\x00gone"

func TestPatchRHEL(t *testing.T) {
	for _, o := range []isotest.Options{{}, {Enhanced: true, FullRoot: true}, {Arch: "aarch64", FullRoot: true}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			base := rhel(t, o)
			m := open(t, base)
			old, _ := fs.ReadFile(m.FS(), "EFI/BOOT/grub.cfg")
			stub := "search --no-floppy --set=root --file /.boot-x\nconfigfile /EFI/BOOT/grub.cfg\n"
			e := m.Edit()
			e.Write("/ks.cfg", []byte("text\npoweroff\n"))
			e.Write("/.boot-x", nil)
			e.Write("EFI/BOOT/grub.cfg", []byte("set timeout=0\n"))
			e.WriteEFI("/EFI/BOOT/grub.cfg", []byte(stub))
			got, v := patched(t, e, base)
			_, at, _ := m.EFI()
			esp := make([]byte, at.Len)
			v.ReadAt(esp, at.Off)
			expect(t, m, got, map[string]string{
				"ks.cfg": "text\npoweroff\n", ".boot-x": "", "EFI/BOOT/grub.cfg": "set timeout=0\n",
				"images/efiboot.img": string(esp),
			}, map[string]string{"EFI/BOOT/grub.cfg": stub + strings.Repeat("\n", len(old)-len(stub))})
			if moved := got.Trees()[0].root.lba() != m.Trees()[0].root.lba(); o.FullRoot && !moved {
				t.Error("root was full and has not moved")
			}
			for _, tree := range got.Trees() {
				if int64(tree.space)*blockSize != v.Size() {
					t.Errorf("%s: volume of %d blocks, want %d", tree.Kind(), tree.space, v.Size()/blockSize)
				}
				checkTables(t, tree)
			}
			checkLookup(t, got, v, "ks.cfg", "EFI/BOOT/grub.cfg", "images/install.img", ".boot-x")
		})
	}
}

// checkTables holds the path tables against the directories.
func checkTables(t testing.TB, tree *Tree) {
	t.Helper()
	dirs := map[uint32]bool{}
	var visit func(ref, parent dirRef)
	visit = func(ref, parent dirRef) {
		dirs[ref.lba] = true
		d, err := tree.list(ref, parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.entries {
			if e.isDir() {
				visit(e.dir, ref)
			}
		}
	}
	visit(tree.rootRef(), tree.rootRef())
	for i, lba := range tree.tables {
		if lba == 0 {
			continue
		}
		raw := make([]byte, tree.tableLen)
		if err := tree.img.read(raw, tree.offset(lba)); err != nil {
			t.Fatal(err)
		}
		n := 0
		for at := 0; at < len(raw); n++ {
			if block := tableOrder(i).Uint32(raw[at+2:]); !dirs[block] {
				t.Errorf("%s: path table %d: entry %d %q names block %d, where there is no directory", tree.Kind(), i, n+1, raw[at+8:at+8+int(raw[at])], block)
			}
			at += 8 + int(raw[at]) + int(raw[at])%2
		}
		if n != len(dirs) {
			t.Errorf("%s: path table %d has %d directories, want %d", tree.Kind(), i, n, len(dirs))
		}
	}
}

func checkLookup(t testing.TB, got *Image, v *View, names ...string) {
	t.Helper()
	for _, name := range names {
		want, err := fs.ReadFile(got.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		ext, err := v.Lookup("/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		for _, x := range ext {
			p := make([]byte, x.Len)
			if _, err := v.ReadAt(p, x.Off); err != nil {
				t.Fatal(err)
			}
			b = append(b, p...)
		}
		if !bytes.Equal(b, want) {
			t.Errorf("Lookup(%s) finds other bytes", name)
		}
	}
}

func TestEditErrors(t *testing.T) {
	base := rhel(t, isotest.Options{})
	m := open(t, base)
	for name, c := range map[string]struct {
		edit func(e *Edit)
		want error
		says string
	}{
		"no directory":     {func(e *Edit) { e.Write("/none/ks.cfg", nil) }, fs.ErrNotExist, "/none"},
		"is a directory":   {func(e *Edit) { e.Write("/images", nil) }, errIsDir, "/images"},
		"root":             {func(e *Edit) { e.Write("/", nil) }, fs.ErrInvalid, "/"},
		"file as parent":   {func(e *Edit) { e.Write("/EULA/x", nil) }, errNotDir, "/EULA"},
		"control":          {func(e *Edit) { e.Write("/a\nb", nil) }, fs.ErrInvalid, "control"},
		"long name":        {func(e *Edit) { e.Write(strings.Repeat("x", 256), nil) }, fs.ErrInvalid, "255"},
		"boot image":       {func(e *Edit) { e.Write("/images/efiboot.img", nil) }, ErrUnsupported, "efiboot.img"},
		"catalog":          {func(e *Edit) { e.Write("/isolinux/boot.cat", nil) }, ErrUnsupported, "boot.cat"},
		"append to none":   {func(e *Edit) { e.Append("/none", nil) }, fs.ErrNotExist, "/none"},
		"hide none":        {func(e *Edit) { e.Hide("/none") }, fs.ErrNotExist, "/none"},
		"hide twice":       {func(e *Edit) { e.Hide("/EULA"); e.Hide("EULA") }, fs.ErrNotExist, "EULA"},
		"mkdir over file":  {func(e *Edit) { e.Mkdir("/EULA") }, errNotDir, "EULA"},
		"write over mkdir": {func(e *Edit) { e.Mkdir("/d"); e.Write("/d", nil) }, errIsDir, "/d"},
		"no EFI file":      {func(e *Edit) { e.WriteEFI("/none.cfg", nil) }, fs.ErrNotExist, "none.cfg"},
		"EFI image full":   {func(e *Edit) { e.WriteEFI("/EFI/BOOT/grub.cfg", make([]byte, 9000)) }, nil, "free"},
	} {
		t.Run(name, func(t *testing.T) {
			e := m.Edit()
			c.edit(e)
			_, err := e.View()
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.says)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	m := open(t, rhel(t, isotest.Options{FullRoot: true}))
	digest := func(ks string) string {
		e := m.Edit()
		e.Write("/ks.cfg", []byte(ks))
		return view(t, e).Digest("abc")
	}
	if first, second := digest("a"), digest("a"); first != second {
		t.Error("equal edits have different digests")
	}
	if digest("a") == digest("b") {
		t.Error("different edits have equal digests")
	}
	// Of another Image of the same file, whichever view is its first.
	again := open(t, rhel(t, isotest.Options{FullRoot: true})).Edit()
	again.Write("/ks.cfg", []byte("b"))
	if view(t, again).Digest("abc") != digest("b") {
		t.Error("equal edits of equal images have different digests")
	}
	v := view(t, m.Edit())
	if v.Digest("abc") == v.Digest("abd") {
		t.Error("different bases have equal digests")
	}
}

// Directories that are taken along are hashed apart, once: what they hold counts all the same.
func TestDigestOfDirectoriesTakenAlong(t *testing.T) {
	m := open(t, rhel(t, isotest.Options{FullRoot: true}))
	e := m.Edit()
	e.Write("/ks.cfg", []byte("text"))
	v := view(t, e)
	if len(v.along) == 0 {
		t.Fatal("no directories were taken along")
	}
	was := v.Digest("")
	r := *v.along[0]
	other := bytes.Clone(r.whole)
	other[len(other)-1] ^= 1
	v.along = []*region{{whole: other, sum: func() [sha256.Size]byte { return sha256.Sum256(other) }}}
	for i, x := range v.pieces {
		if len(x.Data) > 0 && &x.Data[0] == &r.whole[0] {
			v.pieces = slices.Clone(v.pieces)
			v.pieces[i].Data = other
		}
	}
	if v.Digest("") == was {
		t.Error("another byte in a directory gives the same digest")
	}
}

// Views of one image that change different directories share what is alike only where it is.
func TestDifferentViewsOfOneImage(t *testing.T) {
	base := rhel(t, isotest.Options{FullRoot: true})
	m := open(t, base)
	for range 2 {
		for _, name := range []string{"ks.cfg", "isolinux/ks.cfg", "AppStream/repodata/ks.cfg", "images/pxeboot/ks.cfg", "AppStream/ks.cfg"} {
			e := m.Edit()
			e.Write("/first.cfg", []byte("1"))
			e.Write("/"+name, []byte("text\n"))
			got, _ := patched(t, e, base)
			expect(t, m, got, map[string]string{"first.cfg": "1", name: "text\n"}, nil)
			for _, tree := range got.Trees() {
				checkTables(t, tree)
			}
		}
	}
}

// Views of the same length and different bytes have different digests, also where a piece of one holds what another's
// pieces are described by.
func TestDigestTellsPieces(t *testing.T) {
	head := func(off, n int64) []byte {
		b := make([]byte, 25)
		binary.BigEndian.PutUint64(b[1:], uint64(off))
		binary.BigEndian.PutUint64(b[9:], uint64(n))
		return b
	}
	data := func(off int64, b []byte) Piece { return Piece{Off: off, Len: int64(len(b)), Data: b} }
	last := []byte("end")
	one := View{size: 53, pieces: []Piece{{Off: 0, Len: 25}, data(25, head(25, 28)), data(50, last)}}
	two := View{size: 53, pieces: []Piece{data(0, head(25, 25)), data(25, append(head(50, 3), last...))}}
	if one.Digest("") == two.Digest("") {
		t.Error("zeros and bytes have one digest")
	}
}
