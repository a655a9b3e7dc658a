package reconcile_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// What hosts have in common is prepared once for a run; a template that was
// changed since is a new one, under the same path too.
func TestChangedTemplate(t *testing.T) {
	g := newRig(t, bmctest.ILO6, bmctest.ILO6)
	_, w := g.plan()
	was := w
	files := g.fleet.Files.(fstest.MapFS)
	files["base.ks.tmpl"] = &fstest.MapFile{Data: []byte(strings.Replace(kickstart, "poweroff", "firstboot --disable\npoweroff", 1))}
	_, w = g.plan()
	for name, o := range w.Hosts {
		if o.AnswerErr != nil || o.Config == was.Hosts[name].Config {
			t.Errorf("%s: the config digest is still %s, %v", name, o.Config, o.AnswerErr)
		}
	}
	rendered, err := g.r.Render(t.Context(), "web-01")
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	for _, f := range rendered {
		shown += string(f.Data)
	}
	if !strings.Contains(shown, "firstboot --disable") {
		t.Errorf("the changed template is not what is rendered:\n%s", shown)
	}
}
