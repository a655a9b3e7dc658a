package answer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// liveRequest asks for a ready-made template of the example fleet.
func liveRequest(t *testing.T, l layout, template string) answer.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "hosts", "templates", template))
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, l)
	r.Template, r.TemplateName = string(text), "templates/"+template
	r.Data.Vars["product"] = "SLES"
	return r
}

// The ready-made templates of image-based installers and of Agama: one system
// disk, which is named or which the BMC tells, or a mirror of two.
func TestReadyTemplates(t *testing.T) {
	pair := hardware
	for i := range 2 {
		pair.Drives = append(pair.Drives, answer.Drive{Name: "M.2", Model: "BOSS", Serial: "B" + string(rune('1'+i)), WWN: "0x500253850000001" + string(rune('1'+i)),
			Protocol: "SATA", MediaType: "SSD", Bytes: 240e9})
	}
	for template, l := range map[string]layout{
		"coreos.bu.tmpl": coreosLayouts()[0], "flatcar.bu.tmpl": flatcarLayout(), "agama.json.tmpl": agamaLayouts()[0],
	} {
		name, _, _ := strings.Cut(template, ".")
		for disks, change := range map[string]func(r *answer.Request){
			"named": func(r *answer.Request) { r.Data.Vars["disk"] = "disk/by-id/wwn-0x5000c500a1b2c3d4" },
			"one":   func(r *answer.Request) { r.Data.Hardware = func() (answer.Hardware, error) { return hardware, nil } },
			"two":   func(r *answer.Request) { r.Data.Hardware = func() (answer.Hardware, error) { return pair, nil } },
		} {
			r := liveRequest(t, l, template)
			change(&r)
			r.Data.Vars["repositories"] = []any{map[string]any{"name": "site", "url": "https://repo.example.com/16/"}, map[string]any{"name": "more", "url": "https://more.example.com/"}}
			out, err := answer.Render(r)
			if err != nil {
				t.Errorf("%s, disks %s: %v", template, disks, err)
				continue
			}
			if !out.PowersOff {
				t.Errorf("%s, disks %s: it does not power off", template, disks)
			}
			golden(t, "templates/"+name+"-"+disks+".txt", string(out.Answer.Data))
			if name == "agama" && !json.Valid(out.Answer.Data) {
				t.Errorf("%s, disks %s: it is no JSON", template, disks)
			}
		}
		for _, other := range layouts() {
			if installer(other) != installer(l) {
				continue
			}
			r := liveRequest(t, other, template)
			r.Data.Vars["disk"], r.Data.Vars["bootLabel"] = "sda", name == "agama"
			out, err := answer.Render(r)
			if err != nil || !out.PowersOff {
				t.Errorf("%s on %s: %v", template, other.name, err)
				continue
			}
			if strings.Contains(string(out.Answer.Data), "efibootmgr") != (name == "agama") {
				t.Errorf("%s on %s: the marker is not written into the boot entry", template, other.name)
			}
		}
		for want, spoil := range map[string]func(r *answer.Request){
			"serial number":                 func(r *answer.Request) { r.Data.Device.Serial = "" },
			"nobody could log in":           func(r *answer.Request) { r.Data.Vars["sshKeys"] = []any{} },
			`there is no "timezone"`:        func(r *answer.Request) { delete(r.Data.Vars, "timezone") },
			"what is built in is not known": func(r *answer.Request) { delete(r.Data.Vars, "disk") },
			"has an address in NetBox":      func(r *answer.Request) { r.Data.Interfaces = nil },
		} {
			r := liveRequest(t, l, template)
			r.Data.Vars["disk"] = "sda"
			spoil(&r)
			if _, err := answer.Preview(r); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", template, err, want)
			}
		}
	}
}
