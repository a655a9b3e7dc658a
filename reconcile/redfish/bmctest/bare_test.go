package bmctest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kdomanski/iso9660"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// paths lists a tree with the sizes of its files.
func paths(t *testing.T, f file, prefix string, into map[string]int64) {
	t.Helper()
	list, err := f.list()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		into[prefix+c.name] = c.size
		if c.dir {
			paths(t, c, prefix+c.name+"/", into)
		}
	}
}

// TestBareReaderAgrees reads one image with the library and with the bare
// reader: names and sizes are the same.
func TestBareReaderAgrees(t *testing.T) {
	for _, full := range []bool{false, true} {
		image, err := isotest.RHEL(isotest.Options{VolumeID: "TEST", FullRoot: full, Packages: 40})
		if err != nil {
			t.Fatal(err)
		}
		cd := &medium{size: int64(len(image))}
		img, err := iso9660.OpenImage(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		root, err := img.RootDir()
		if err != nil {
			t.Fatal(err)
		}
		bare, err := openBare(bytes.NewReader(image), cd.size, true)
		if err != nil {
			t.Fatal(err)
		}
		want, got := map[string]int64{}, map[string]int64{}
		paths(t, cd.library(root), "", want)
		paths(t, bare, "", got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("full root %v: (-library +bare):\n%s", full, diff)
		}
		if len(got) < 50 {
			t.Errorf("only %d files", len(got))
		}
	}
}

// TestPlainNames reads a tree whose plain names are not its Rock Ridge names.
func TestPlainNames(t *testing.T) {
	image, err := isotest.Build(isotest.Layout{VolumeID: "TEST", RockRidge: true, Files: []isotest.File{{Path: "/isolinux/a-long-name.config", Data: []byte("x")}}})
	if err != nil {
		t.Fatal(err)
	}
	for rockRidge, name := range map[bool]string{true: "a-long-name.config", false: "A_LONG_N.CON"} {
		root, err := openBare(bytes.NewReader(image), int64(len(image)), rockRidge)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := root.lookup("/isolinux")
		if err != nil {
			t.Fatal(err)
		}
		list, err := dir.list()
		if err != nil || len(list) != 1 || list[0].name != name {
			t.Errorf("Rock Ridge %v: %v %v", rockRidge, list, err)
		}
	}
}

// TestLargeMedium installs from a DVD of more than 4 GiB, one file of which
// has two extents; what boots and the answer file lie behind it.
func TestLargeMedium(t *testing.T) {
	l, err := isotest.RHELLayout(isotest.Options{VolumeID: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	ks := strings.Replace(testKickstart, "cdrom\n", "url --url=http://mirror.example/\n", 1)
	menu := "default a\nlabel a\nkernel /images/pxeboot/vmlinuz\nappend initrd=/images/pxeboot/initrd.img " + testArgs + "\n"
	files := []isotest.File{{Path: "/AppStream/huge.bin", Size: 5 << 30}}
	for _, f := range l.Files {
		if f.Path == "/isolinux/isolinux.cfg" {
			f.Data = []byte(menu)
		}
		files = append(files, f)
	}
	l.Files = append(files, isotest.File{Path: "/ks.cfg", Data: []byte(ks)})
	disc, err := isotest.Lay(l)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m := &Machine{Firmware: BIOS, InstallTime: time.Minute}
		k := newBench(t, &BMC{Machine: m}, nil)
		m.Fetch = handlerTransport{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Unix(1, 0), io.NewSectionReader(disc, 0, disc.Size()))
		})}
		k.bootCD()
		until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
		if d, ok := m.Installed(); !ok || string(d.Answer) != ks {
			t.Errorf("not installed: %s", k.screen())
		}
		cd, err := m.openMedium(t.Context(), testISO)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := cd.root.lookup("/AppStream/huge.bin"); err != nil || f.size != 5<<30 {
			t.Errorf("the file of two extents has %d bytes, %v", f.size, err)
		}
	})
}

// TestSystemUse decodes Rock Ridge names that continue elsewhere.
func TestSystemUse(t *testing.T) {
	both := func(n byte) string { return string([]byte{n, 0, 0, 0, 0, 0, 0, n}) }
	image := make([]byte, 2*isoSector)
	copy(image[isoSector+8:], "NM\x0a\x01\x00-more")
	b := &bareReader{r: bytes.NewReader(image), size: int64(len(image)), rockRidge: true}
	tests := []struct {
		name, entries, want string
		hidden              bool
		err                 string
	}{
		{"one entry", "RR\x05\x01\x89NM\x08\x01\x00abc", "abc", false, ""},
		{"two entries", "NM\x08\x01\x01abcNM\x08\x01\x00def", "abcdef", false, ""},
		{"continued", "NM\x08\x01\x01abcCE\x1c\x01" + both(1) + both(8) + both(10), "abc-more", false, ""},
		{"moved", "RE\x04\x01NM\x06\x01\x00x", "x", true, ""},
		{"none", "", "", false, ""},
		{"stopped", "ST\x04\x01NM\x06\x01\x00x", "", false, ""},
		{"length of zero", "NM\x00\x01\x00x", "", false, ""},
		{"CE too short", "CE\x05\x01\x00", "", false, "damaged"},
		{"CE outside", "CE\x1c\x01" + both(200) + both(0) + both(10), "", false, "continuation area"},
		{"endless", strings.Repeat("XX\x04\x01", 100), "", false, "without an end"},
	}
	for _, tt := range tests {
		name, hidden, err := b.systemUse([]byte(tt.entries))
		if name != tt.want || hidden != tt.hidden || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q %v %v, want %q %v %s", tt.name, name, hidden, err, tt.want, tt.hidden, tt.err)
		}
	}
}
