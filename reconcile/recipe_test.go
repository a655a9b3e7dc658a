package reconcile_test

import (
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// An image with a recipe of its own is rendered by it; an answer file that goes
// into an archive is shown as what it is.
func TestRecipe(t *testing.T) {
	g := newRig(t, bmctest.ILO6)
	image := g.fleet.Images["rocky-9.6"]
	image.Family = "generic"
	image.Generic = &schema.Generic{
		Says: map[string]string{"/.treeinfo": "9.6"}, PowersOff: "poweroff", Args: []string{"inst.ks=file:/ks.cfg"}, Drop: []string{"quiet"},
		Menus: []schema.GenericMenu{{Path: "/EFI/BOOT/grub.cfg", Kind: "grub", Entry: "Install Rocky Linux 9.6"}},
	}
	image.Generic.Answer.Path, image.Generic.Answer.Initrd = "/answer.cpio", "ks.cfg"
	files, err := g.r.Render(t.Context(), "web-01")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, f := range files {
		shown[f.Name] = f.Diff
	}
	for name, want := range map[string]string{"/answer.cpio": "\n+poweroff\n", "/EFI/BOOT/grub.cfg": "initrd.img /answer.cpio"} {
		if !strings.Contains(shown[name], want) {
			t.Errorf("%s lacks %q:\n%s", name, want, shown[name])
		}
	}
	_, w := g.plan()
	was := w.Hosts["web-01"].Config
	image.Generic.Args = append(image.Generic.Args, "inst.text")
	_, w = g.plan()
	if w.Hosts["web-01"].Config == was {
		t.Error("another recipe gives the same config digest")
	}
}
