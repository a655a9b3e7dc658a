package answer_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/reconcile/answer"
)

func TestKickstartChecks(t *testing.T) {
	const ok = "rootpw --lock\nautopart\npoweroff\n"
	tests := []struct{ name, text, want string }{
		{"plain", ok, ""},
		{"shutdown", "rootpw --lock\nautopart\nshutdown\n", ""},
		{"user instead of rootpw", "user --name=ops\nautopart\npoweroff\n", ""},
		{"named disk", "rootpw --lock\npart / --ondisk=sda --size=1\npoweroff\n", ""},
		{"option and value apart", "rootpw --lock\nclearpart --all --drives sda\npoweroff\n", ""},
		{"reboot in a script and a comment", ok + "# reboot\n%post\nreboot\n%end\n", ""},
		{"written by %pre", "rootpw --lock\n%include /tmp/d.ks\npoweroff\n%pre\necho >/tmp/d.ks\n%end\n", ""},
		{"on the medium", "rootpw --lock\n%include /run/install/repo/site.ks\npoweroff\n", ""},
		{"in %packages", ok + "%packages\n%include /tmp/p\n%end\n%pre\n>/tmp/p\n%end\n", ""},
		{"quoted", "rootpw 'it'\\''s # no comment' # comment\nautopart\npoweroff\n", ""},

		{"empty", "", "there is no poweroff command"},
		{"poweroff in a comment", "rootpw --lock\nautopart\n# poweroff\n", "there is no poweroff command"},
		{"poweroff in a script", "rootpw --lock\nautopart\n%post\npoweroff\n%end\n", "there is no poweroff command"},
		{"reboot", ok + "reboot --eject\n", "line 4: reboot"},
		{"halt", ok + "halt\n", "line 4: halt"},
		{"reboot on the medium", ok + "%include /run/install/repo/reboot.ks\n", "/reboot.ks: reboot"},
		{"unclosed", ok + "%packages\n@core\n", "line 4: %packages has no %end"},
		{"nested", ok + "%pre\n%post\n%end\n", "line 5: %post begins before the %pre of line 4"},
		{"stray %end", ok + "%end\n", "line 4: %end without a section"},
		{"unknown section", ok + "%script\n%end\n", "line 4: %script is no section"},
		{"no disk", "rootpw --lock\nclearpart --all\npart / --size=1\npoweroff\n", "no disk is named"},
		{"no password", "autopart\npoweroff\n", "neither rootpw nor user"},
		{"include from nowhere", ok + "%include /tmp/d.ks\n", "line 4: %include /tmp/d.ks: no %pre script writes it"},
		{"include after poweroff", ok + "%include /tmp/d.ks\n%pre\n>/tmp/d.ks\n%end\n", "comes after poweroff"},
		{"include from afar", ok + "%include http://example.com/x\n", "line 4: %include http://example.com/x fetches"},
		{"include off the medium", ok + "%include /run/install/repo/none.ks\n", "/none.ks: file does not exist"},
		{"include of nothing", ok + "%include\n", "line 4: %include of nothing"},
		{"include without end", ok + "%include /run/install/repo/loop.ks\n", "more than 5 files deep"},
		{"ksappend", ok + "%ksappend http://example.com/x\n", "line 4: %ksappend fetches"},
		{"quote", ok + "timezone 'Europe\n", "line 4: timezone: a quote is not closed"},
	}
	for _, tt := range tests {
		l := layouts()[1]
		r := request(t, l)
		r.Template = tt.text
		tree := r.ISO.Tree.(fstest.MapFS)
		tree["site.ks"], tree["reboot.ks"] = file("autopart\n"), file("reboot\n")
		tree["loop.ks"] = file("%include /run/install/repo/loop.ks\n")
		out, err := answer.Render(r)
		if tt.want == "" && (err != nil || !out.PowersOff) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzKickstart(f *testing.F) {
	f.Add("rootpw --lock\nautopart\npoweroff\n%packages\n@core\n%end\n%include /tmp/x\n")
	f.Add("rootpw 'a\\'\" #\n%pre\n%end")
	f.Fuzz(func(t *testing.T, text string) {
		r := answer.Request{Family: "rhel", Arch: "x86_64", TemplateName: "t", Template: "{{ .Vars.x }}", Data: answer.Data{Vars: map[string]any{"x": text}}}
		out, err := answer.Preview(r)
		if err == nil && string(out) != text {
			t.Fatalf("%q is rendered as %q", text, out)
		}
	})
}
