package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

func build(t testing.TB, l isotest.Layout) []byte {
	t.Helper()
	l.VolumeID = "NAMES"
	img, err := isotest.Build(l)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func files(content ...string) []isotest.File {
	var all []isotest.File
	for i := 0; i < len(content); i += 2 {
		all = append(all, isotest.File{Path: content[i], Data: []byte(content[i+1])})
	}
	return all
}

// list is what a tree holds, "name=content" each, sorted.
func list(t testing.TB, tree *Tree) string {
	t.Helper()
	all := map[string]string{}
	walk(t, tree, "", all)
	var s []string
	for name, data := range all {
		if name != "./" {
			s = append(s, name+"="+data)
		}
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

// Paths that differ in case are one path where the image's best tree has no case.
func TestCaseOfPaths(t *testing.T) {
	for _, l := range []isotest.Layout{{Joliet: true}, {}} {
		l.Files = files("README.TXT", "old", "EFI/BOOT.CFG", "boot")
		base := build(t, l)
		for name, c := range map[string]struct {
			edit func(e *Edit)
			want string // of the plain tree; "" an error
		}{
			"hide and write":  {func(e *Edit) { e.Hide("/README.TXT"); e.Write("/readme.txt", []byte("new")) }, "EFI/= EFI/BOOT.CFG=boot README.TXT=new"},
			"hide twice":      {func(e *Edit) { e.Hide("/README.TXT"); e.Hide("/readme.txt") }, ""},
			"write twice":     {func(e *Edit) { e.Write("/README.TXT", []byte("1")); e.Write("/Readme.txt", []byte("2")) }, "EFI/= EFI/BOOT.CFG=boot README.TXT=2"},
			"write and add":   {func(e *Edit) { e.Write("/readme.txt", []byte("1")); e.Append("/README.TXT", []byte("2")) }, "EFI/= EFI/BOOT.CFG=boot README.TXT=12"},
			"new twice":       {func(e *Edit) { e.Write("/KS.CFG", []byte("1")); e.Write("/ks.cfg", []byte("2")) }, "EFI/= EFI/BOOT.CFG=boot KS.CFG=2 README.TXT=old"},
			"new and hidden":  {func(e *Edit) { e.Write("/KS.CFG", []byte("1")); e.Hide("/ks.cfg") }, "EFI/= EFI/BOOT.CFG=boot README.TXT=old"},
			"directories":     {func(e *Edit) { e.Mkdir("/efi"); e.Write("/Efi/boot.cfg", []byte("new")) }, "EFI/= EFI/BOOT.CFG=new README.TXT=old"},
			"new directories": {func(e *Edit) { e.Mkdir("/NEW"); e.Mkdir("/new/SUB"); e.Write("/New/sub/X", []byte("x")) }, "EFI/= EFI/BOOT.CFG=boot NEW/= NEW/SUB/= NEW/SUB/X=x README.TXT=old"},
		} {
			t.Run(fmt.Sprintf("joliet=%t/%s", l.Joliet, name), func(t *testing.T) {
				m := open(t, base)
				e := m.Edit()
				c.edit(e)
				if c.want == "" {
					if _, err := e.View(); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("got %v", err)
					}
					return
				}
				got, v := patched(t, e, base)
				for _, tree := range got.Trees() {
					if have := list(t, tree); !strings.EqualFold(have, c.want) {
						t.Errorf("%s tree: %s, want %s", tree.Kind(), have, c.want)
					}
				}
				if ext, err := v.Lookup("/rEADME.tXT"); err != nil || len(ext) != 1 {
					t.Errorf("README.TXT: %v, %v", ext, err)
				}
			})
		}
	}
}

// Where the best tree has case, names that differ in it are two files, in the other trees too.
func TestCaseOfFiles(t *testing.T) {
	base := build(t, isotest.Layout{RockRidge: true, Joliet: true, Enhanced: true, Files: files("readme.txt", "old", "dir/f.txt", "f")})
	m := open(t, base)
	e := m.Edit()
	e.Write("/README.TXT", []byte("new"))
	e.Mkdir("/DIR")
	e.Write("/DIR/f.txt", []byte("1"))
	e.Write("/dir/F.txt", []byte("2"))
	got, _ := patched(t, e, base)
	for _, tree := range got.Trees() {
		if have, want := list(t, tree), "DIR/= DIR/f.txt=1 README.TXT=new dir/= dir/F.txt=2 dir/f.txt=f readme.txt=old"; have != want {
			t.Errorf("%s tree: %s, want %s", tree.Kind(), have, want)
		}
	}
}

// Trees that cut names have made something up where two became one. Each file is found there as itself.
func TestMadeUpNames(t *testing.T) {
	long := strings.Repeat("n", 70)
	for name, c := range map[string]struct {
		l    isotest.Layout
		edit func(e *Edit)
		want string // of the other tree
	}{
		"directory": {
			isotest.Layout{Joliet: true, Files: files("directory-one/grub.cfg", "1", "directory-two/grub.cfg", "2")},
			func(e *Edit) {
				e.Write("/directory-two/grub.cfg", []byte("new"))
				e.Write("/directory-two/new.cfg", []byte("3"))
			},
			"DIREC000/= DIREC000/GRUB.CFG=new DIREC000/NEW.CFG=3 DIRECTOR/= DIRECTOR/GRUB.CFG=1",
		},
		"other's name": {
			isotest.Layout{Joliet: true, Files: files("read-me.txt", "other")},
			func(e *Edit) {
				e.Write("/read_me.txt", []byte("new"))
				e.Mkdir("/read-me.d")
				e.Mkdir("/read+me.d")
				e.Write("/read+me.d/x", []byte("x"))
			},
			"READ_000.D/= READ_000.D/X=x READ_000.TXT=new READ_ME.D/= READ_ME.TXT=other",
		},
		"file": {
			isotest.Layout{Joliet: true, Files: files("kernel-a1.img", "1", "kernel-a2.img", "2", "kernel-a3.img", "3")},
			func(e *Edit) { e.Write("/kernel-a3.img", []byte("new")); e.Hide("/kernel-a2.img") },
			"KERNE001.IMG=new KERNEL_A.IMG=1",
		},
		"empty": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files(long, "", "x", "y")},
			func(e *Edit) { e.Write("/"+long, []byte("new")) },
			long[:64] + "=new x=y",
		},
		"two empty": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files(long+"1.cfg", "", long+"2.cfg", "", long+"3.cfg", "3")},
			func(e *Edit) { e.Write("/"+long+"2.cfg", []byte("new")); e.Hide("/" + long + "1.cfg") },
			long[:61] + "000=new " + long[:61] + "001=3",
		},
		"hidden": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files(long, "", "x", "y")},
			func(e *Edit) { e.Hide("/" + long) },
			"x=y",
		},
		"long": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files(long+"1", "1", long+"2", "2", long+"d1/f", "d1", long+"d2/f", "d2")},
			func(e *Edit) {
				e.Write("/"+long+"2", []byte("new"))
				e.Write("/"+long+"3.cfg", []byte("3"))
				e.Write("/"+long+"d2/f", []byte("f"))
			},
			long[:57] + "000.cfg=3 " + long[:61] + "000=new " + long[:61] + "001/= " + long[:61] + "001/f=d1 " + long[:61] + "002/= " + long[:61] + "002/f=f " + long[:64] + "=1",
		},
		"not ASCII": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files("ä.cfg", "1")},
			func(e *Edit) { e.Write("/å.cfg", []byte("2")); e.Write("/"+strings.Repeat("😀", 63), []byte("3")) },
			strings.Repeat("_", 63) + "=3 ä.cfg=1 å.cfg=2",
		},
		"version": {
			isotest.Layout{RockRidge: true, Enhanced: true, Files: files("a;b.txt", "1", "a", "2")},
			func(e *Edit) {
				e.Write("/a;b.txt", []byte("new"))
				e.Write("/a;2", []byte("3"))
				e.Write("/"+strings.Repeat("é", 120), []byte("4"))
			},
			"a;b.txt=new a=2 a_2=3 " + strings.Repeat("é", 103) + "=4",
		},
		"illegal": {
			isotest.Layout{RockRidge: true, Joliet: true, Files: files("x", "y")},
			func(e *Edit) {
				e.Write("/a:b", []byte("1"))
				e.Write("/a?b", []byte("2"))
				e.Write(`/a\b`, []byte("3"))
			},
			"a_b000=2 a_b001=3 a_b=1 x=y",
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := build(t, c.l)
			m := open(t, base)
			e := m.Edit()
			c.edit(e)
			got, _ := patched(t, e, base)
			other := got.Trees()[len(got.Trees())-1]
			if !c.l.RockRidge {
				other = got.Trees()[0]
			}
			if have := list(t, other); have != c.want {
				t.Errorf("%s tree: %s\nwant %s", other.Kind(), have, c.want)
			}
		})
	}
}

// What the edit hid or made itself is as if the base had never had it, but for the name of a file of the base.
func TestHiddenNames(t *testing.T) {
	base := build(t, isotest.Layout{RockRidge: true, Joliet: true, Files: files("f", "old")})
	m := open(t, base)
	e := m.Edit()
	e.Hide("/f")
	e.Mkdir("/f")
	if _, err := e.View(); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "/f") {
		t.Errorf("a directory for a hidden file: %v", err)
	}
	e = m.Edit()
	e.Write("/d", nil)
	e.Hide("/d")
	e.Mkdir("/d")
	e.Write("/d/x", []byte("x"))
	got, _ := patched(t, e, base)
	if have := list(t, got.Trees()[1]); have != "d/= d/x=x f=old" {
		t.Errorf("have %s", have)
	}
}

// A path may lead through symbolic links; what is changed is what they lead to.
func TestSymbolicLinks(t *testing.T) {
	for _, c := range []struct{ components, link, write, through string }{
		{"\x00\x06images\x00\x0Ainitrd.img", "images/initrd.img", "images/initrd.img", "link"},
		{"\x00\x06images", "images", "link/initrd.img", "link/initrd.img"},
		{"\x08\x00\x00\x06images", "/images", "link/initrd.img", "images/../link/initrd.img"},
		{"\x02\x00\x04\x00\x00\x06images", "./../images", "link/initrd.img", "link/initrd.img"},
	} {
		img := bytes.Clone(tiny(t)[0])
		r := img[bytes.Index(img, []byte("LINK.;1"))-33:]
		putBoth32(r[bytes.Index(r, []byte("PX"))+4:], 0o120777)
		field := fmt.Sprintf("SL\x1A\x01\x00%s", c.components)
		if n := 26 - len(field); n >= 4 {
			field = fmt.Sprintf("SL%c\x01\x00%sPD%c\x01", 26-n, c.components, n)
		}
		copy(r[bytes.Index(r, []byte("TF")):][:26], field+strings.Repeat("\x00", 26))
		m := open(t, img)
		if got, err := m.best.ReadLink("link"); err != nil || got != c.link {
			t.Errorf("the link leads to %q, %v; want %q", got, err, c.link)
		}
		if st, err := m.best.Lstat("link"); err != nil || st.Mode() != fs.ModeSymlink|0o777 {
			t.Errorf("the link is %v, %v", st, err)
		}
		e := m.Edit()
		e.Write("/"+c.write, []byte("new"))
		e.Apart("/" + c.through)
		got, v := patched(t, e, img)
		if b, err := fs.ReadFile(got.FS(), "images/initrd.img"); err != nil || string(b) != "new" {
			t.Errorf("%s: the file is %q, %v", c.link, b, err)
		}
		ext, err := v.Lookup("/" + c.through)
		want, _ := v.Lookup("/images/initrd.img")
		if err != nil || len(ext) != 1 || ext[0].Off < m.Size() || !slices.Equal(ext, want) {
			t.Errorf("%s: %s is at %v, %v; want %v", c.link, c.through, ext, err, want)
		}
		e = m.Edit()
		e.Append("/link", []byte("more"))
		if _, err := e.View(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("appending to a link: %v", err)
		}
	}
}

// A name of Rock Ridge is one field, or, of more than 250 bytes, two, of which the first says that there is another.
func TestNameFields(t *testing.T) {
	img := tiny(t)[0]
	for _, n := range []int{1, 250, 251, 255} {
		name := strings.Repeat("x", n)
		e := open(t, img).Edit()
		e.Write("/"+name, []byte("new"))
		got, _ := patched(t, e, img)
		at, err := got.best.walk(name, false)
		if err != nil {
			t.Fatal(err)
		}
		var flags []byte
		err = got.best.fields(at.rec, continuations(0), func(f field) error {
			if f.sig() == "NM" {
				flags = append(flags, f.b[4])
			}
			return nil
		})
		want := []byte{0}
		if n > 250 {
			want = []byte{1, 0}
		}
		if err != nil || !bytes.Equal(flags, want) {
			t.Errorf("%d bytes: flags % x, %v; want % x", n, flags, err, want)
		}
	}
}

// Many files that only their content tells apart, and many that nothing does, take no time to speak of.
func TestManyMadeUpNames(t *testing.T) {
	const n = 60000
	tp := &treePatch{t: &Tree{kind: Plain}, p: &patch{img: &Image{best: &Tree{kind: Joliet}}}}
	same := make(record, 34)
	b := pairBuilder{tp: tp, p: &pairing{of: map[string]int{}, taken: make([]bool, n)}}
	for i := range n {
		size := int64(i % 2)
		b.left = append(b.left, &entry{name: fmt.Sprintf("a file called %05d.txt", i), rec: same, size: size})
		b.have = append(b.have, entry{name: fmt.Sprintf("A_FIL%05d.TXT", i), rec: same, size: size})
	}
	begin := time.Now()
	b.build()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("pairing %d files takes %v", n, took)
	}
	if len(b.p.of) != n {
		t.Errorf("%d files of %d are paired", len(b.p.of), n)
	}
}
