package answer_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

const genericMinimal = `d-i passwd/root-password-crypted password {{ secret "root-password" }}
d-i debian-installer/exit/poweroff boolean true
`

// genericLayout is an image of a distribution that no family knows: Devuan's,
// whose installer is Debian's.
func genericLayout() layout {
	return layout{"Devuan-5.0-x86_64", "generic", "5.0", "x86_64", func() answer.ISO {
		iso := debianLayout("12", "Bookworm", "x86_64").iso()
		t := iso.Tree.(fstest.MapFS)
		t[".disk/info"] = file("Devuan GNU/Linux 5.0.1 Daedalus amd64 - netinstall 20230914")
		iso.EFI.(fstest.MapFS)["efi/devuan/grub.cfg"] = file(strings.Repeat("# an own menu\n", 20))
		iso.VolumeID = "Devuan 5.0.1 amd64"
		return iso
	}}
}

func genericRecipe() *answer.Generic {
	return &answer.Generic{
		Volume: `Devuan 5\..*`, Says: map[string]string{"/.disk/info": "Daedalus amd64"},
		Answer: "/answer.cpio", Initrd: "preseed.cfg", PowersOff: "debian-installer/exit/poweroff boolean true", Files: map[string]string{"/site.txt": "more\n"},
		Menus: []answer.GenericMenu{
			{Path: "/isolinux/isolinux.cfg", Kind: "isolinux", Source: "/isolinux/txt.cfg", Entry: "install"},
			{Path: "/boot/grub/grub.cfg", Kind: "grub", Entry: "Install"},
			{Path: "/efi/devuan/grub.cfg", Kind: "stub", LeadsTo: "/boot/grub/grub.cfg"},
		},
		Drop: []string{"quiet", "vga=788", "---"}, Args: []string{"auto=true", "priority=critical"},
		Payload: []string{"/dists/bookworm/Release"},
	}
}

// A recipe of a fleet's own fails closed like those of the families.
func TestGenericErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(g *answer.Generic, r *answer.Request)
		want  string
	}{
		{"volume", func(g *answer.Generic, _ *answer.Request) { g.Volume = "Devuan" }, `the volume id is "Devuan 5.0.1 amd64", which Devuan does not match`},
		{"bad volume", func(g *answer.Generic, _ *answer.Request) { g.Volume = "(" }, "volume: error parsing regexp"},
		{"says", func(g *answer.Generic, _ *answer.Request) { g.Says["/.disk/info"] = "arm64" }, `/.disk/info does not say "arm64"`},
		{"says nothing", func(g *answer.Generic, _ *answer.Request) { g.Says["/x"] = "y" }, "/x: file does not exist"},
		{"nothing to go by", func(g *answer.Generic, _ *answer.Request) { g.Volume, g.Says = "", nil }, "neither volume nor says tells"},
		{"payload", func(g *answer.Generic, _ *answer.Request) { g.Payload = []string{"/none"} }, "the payload: /none: file does not exist"},
		{"entry", func(g *answer.Generic, _ *answer.Request) { g.Menus[1].Entry = "Begin" }, `/boot/grub/grub.cfg has no entry "Begin"; it has "Graphical install", "Install"`},
		{"no entry", func(g *answer.Generic, _ *answer.Request) { g.Menus[1].Entry = "" }, "/boot/grub/grub.cfg: it is not said which entry"},
		{"no target", func(g *answer.Generic, _ *answer.Request) { g.Menus[2].LeadsTo = "" }, "/efi/devuan/grub.cfg: it is not said which menu"},
		{"wrong target", func(g *answer.Generic, _ *answer.Request) { g.Menus[2].LeadsTo = "/none.cfg" }, "/none.cfg: file does not exist"},
		{"menu", func(g *answer.Generic, _ *answer.Request) { g.Menus[1].Path = "/none.cfg" }, "/none.cfg: file does not exist"},
		{"kind", func(g *answer.Generic, _ *answer.Request) { g.Menus[1].Kind = "lilo" }, `/boot/grub/grub.cfg: "lilo" is no kind of menu`},
		{"stubs alone", func(g *answer.Generic, _ *answer.Request) { g.Menus = g.Menus[2:] }, "no menu of the ISO is named"},
		{"not stock", func(g *answer.Generic, _ *answer.Request) { g.Files["/md5sum.txt"] = "" }, "/md5sum.txt is on the image already"},
		{"power", func(g *answer.Generic, _ *answer.Request) { g.PowersOff = "halt" }, `neither it nor the kernel arguments hold "halt"`},
		{"power unsaid", func(g *answer.Generic, _ *answer.Request) { g.PowersOff = "" }, "seen by the machine being off"},
		{"format", func(g *answer.Generic, _ *answer.Request) { g.Format = "toml" }, `"toml" is no format`},
		{"json", func(g *answer.Generic, _ *answer.Request) { g.Format = "json" }, "line 1: invalid character"},
		{"xml", func(g *answer.Generic, r *answer.Request) { g.Format, r.Template = "xml", "<a></b>" }, "XML syntax error on line 1"},
		{"yaml", func(g *answer.Generic, r *answer.Request) { g.Format, r.Template = "yaml", "a: b\n---\na: [" }, "yaml: line"},
		{"arguments", func(_ *answer.Generic, r *answer.Request) { r.KernelArgs = []string{"auto=false"} }, "not for images to set"},
		{"no recipe", func(_ *answer.Generic, r *answer.Request) { r.Generic = nil }, "this one has none"},
		{"family", func(_ *answer.Generic, r *answer.Request) { r.Family = "debian" }, `a recipe of its own is for family generic, not for "debian"`},
		{"arch", func(_ *answer.Generic, r *answer.Request) { r.Arch = "s390x" }, `not for "s390x"`},
	} {
		r := request(t, genericLayout())
		tt.spoil(r.Generic, &r)
		var check error
		if r.Generic != nil {
			check = r.Generic.Check(r.ISO, r.Arch)
		}
		_, render := answer.Render(r)
		if check == nil && render == nil || !strings.Contains(errText(check)+errText(render), tt.want) {
			t.Errorf("%s:\n got %v and %v\nwant %s", tt.name, check, render, tt.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// The answer file may be a plain file too, and of any format.
func TestGenericPlainFile(t *testing.T) {
	for format, text := range map[string]string{
		"text": "off\n", "json": `{"end": "off"}`, "yaml": "#cloud-config\nend: off\n", "xml": "<?xml version=\"1.0\"?>\n<end>off</end>\n",
	} {
		r := request(t, genericLayout())
		r.Generic.Answer, r.Generic.Initrd, r.Generic.Format, r.Generic.PowersOff = "/answer."+format, "", format, "off"
		r.Template = text
		out, err := answer.Render(r)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		found := false
		for _, c := range out.Changes {
			found = found || c.Path == "/answer."+format && bytes.Equal(c.Data, []byte(text))
			if strings.Contains(string(c.Data), "initrd.gz,/answer") {
				t.Errorf("%s: the answer file is loaded as an initial file system:\n%s", format, c.Data)
			}
		}
		if !found || !out.PowersOff {
			t.Errorf("%s: there is no such file:\n%s", format, show(out.Changes))
		}
	}
}
