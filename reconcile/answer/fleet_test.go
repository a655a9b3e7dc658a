package answer_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// A readyMade is a template of the example fleet that is not a kickstart of
// RHEL, with the layouts that it is held against.
type readyMade struct {
	file   string
	family string
	vars   map[string]any // beside those of data
}

var readyMades = []readyMade{
	{"debian.preseed", "debian", nil},
	{"ubuntu.yaml", "ubuntu", nil},
	{"suse.xml", "suse", nil},
	{"proxmox.toml", "proxmox", map[string]any{"domain": "example.com", "mailto": "ops@example.com", "country": "jp"}},
	{"esxi.ks", "esxi", nil},
	{"fai.sh", "fai", map[string]any{"classes": []any{"FAIBASE", "DEBIAN"}}},
}

// readyRequest is a host for one of these templates: two SSDs that are alike and
// a large disk, a repository and a proxy.
func readyRequest(t *testing.T, m readyMade, l layout) answer.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "hosts", "templates", m.file+".tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, l)
	r.Template, r.TemplateName = string(text), "templates/"+m.file+".tmpl"
	r.Data.Vars["repositories"] = []any{map[string]any{"name": "site", "url": "https://repo.example.com/site", "suite": "stable", "key": "file:///usr/share/keyrings/site.gpg"}}
	r.Data.Vars["proxy"] = "http://proxy.example.com:3128"
	for k, v := range m.vars {
		r.Data.Vars[k] = v
	}
	r.Data.Hardware = func() (answer.Hardware, error) {
		ssd := answer.Drive{Name: "0", Model: "SSD 1", Serial: "S1", WWN: "0x5000c500a1b2c3d4", Protocol: "SATA", MediaType: "SSD", Bytes: 480e9}
		twin := ssd
		twin.Name, twin.Serial, twin.WWN = "1", "S2", "0x5000c500a1b2c3d5"
		return answer.Hardware{UEFI: true, Drives: []answer.Drive{ssd, twin, {Name: "2", Model: "HDD", Serial: "S3", WWN: "0x5000c500a1b2c3d6", Protocol: "SAS", MediaType: "HDD", Bytes: 8e12}}}, nil
	}
	if m.family == "proxmox" { // whose installer knows neither bonds nor VLANs
		r.Data.Interfaces = []answer.Interface{{Name: "eno1", Type: "25gbase-x-sfp28", MAC: "AA:BB:CC:00:00:01", Enabled: true, Primary: true,
			Addresses: []netip.Prefix{r.Data.Device.PrimaryIP4}}}
	}
	return r
}

func (m readyMade) layouts() []layout {
	return slices.DeleteFunc(layouts(), func(l layout) bool {
		return l.family != m.family || l.family == "suse" && strings.Contains(l.version, "16")
	})
}

// The ready-made templates make an answer for every medium of their family,
// and say what is missing.
func TestReadyMade(t *testing.T) {
	for _, m := range readyMades {
		for i, l := range m.layouts() {
			out, err := answer.Render(readyRequest(t, m, l))
			if err != nil {
				t.Errorf("%s: %v", l.name, err)
				continue
			}
			if !out.PowersOff {
				t.Errorf("%s does not power off", m.file)
			}
			if i == 0 {
				golden(t, "templates/"+m.file, string(out.Answer.Data))
			}
		}
		l := m.layouts()[0]
		for what, spoil := range map[string]func(*answer.Data){
			"serial number":          func(d *answer.Data) { d.Device.Serial = "" },
			"nobody could log in":    func(d *answer.Data) { d.Vars["sshKeys"] = []any{} },
			"has an address":         func(d *answer.Data) { d.Interfaces = nil },
			"what is built in":       func(d *answer.Data) { d.Hardware = nil },
			"no name of a package":   func(d *answer.Data) { d.Vars["packages"] = []any{"a b"} },
			`there is no "timezone"`: func(d *answer.Data) { delete(d.Vars, "timezone") },
		} {
			r := readyRequest(t, m, l)
			if !m.cares(what) {
				continue
			}
			spoil(&r.Data)
			if _, err := answer.Preview(r); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s without %s: %v", m.file, what, err)
			}
		}
	}
}

// cares tells which of the faults a template can have.
func (m readyMade) cares(what string) bool {
	switch m.family {
	case "proxmox":
		return what == "has an address" || what == "what is built in" || strings.Contains(what, "timezone")
	case "esxi":
		return what == "serial number" || what == "has an address"
	case "suse":
		return true
	}
	return what != "what is built in"
}

// On a machine without two disks that are alike there is no mirror, and what is
// optional can be left out.
func TestReadyMadeAlone(t *testing.T) {
	for _, m := range readyMades {
		r := readyRequest(t, m, m.layouts()[0])
		two := r.Data.Hardware
		r.Data.Hardware = func() (answer.Hardware, error) {
			hw, err := two()
			hw.Drives = hw.Drives[1:]
			hw.UEFI = false
			return hw, err
		}
		for _, name := range []string{"repositories", "proxy", "dataDiskLabel"} {
			delete(r.Data.Vars, name)
		}
		r.Data.Device.NTP = nil
		r.Data.Vars["bootLabel"] = true
		out, err := answer.Render(r)
		if err != nil {
			t.Errorf("%s: %v", m.file, err)
			continue
		}
		text := string(out.Answer.Data)
		if mirror := map[string]string{"suse": "CT_MD", "proxmox": "zfs"}[m.family]; mirror != "" && strings.Contains(text, mirror) {
			t.Errorf("%s: a mirror of one disk:\n%s", m.file, text)
		}
		if m.family != "proxmox" && m.family != "esxi" && !strings.Contains(text, "efibootmgr -q -c -d") {
			t.Errorf("%s does not write the boot label", m.file)
		}
	}
}

// The disks that a host names are taken as they are.
func TestReadyMadeNamedDisks(t *testing.T) {
	for _, m := range readyMades {
		r := readyRequest(t, m, m.layouts()[0])
		r.Data.Vars["disks"], r.Data.Vars["disk"] = []any{"sdx", "sdy"}, "naa.1"
		out, err := answer.Render(r)
		if err != nil {
			t.Errorf("%s: %v", m.file, err)
			continue
		}
		for _, want := range map[string][]string{"esxi": {"--disk=naa.1"}}[m.family] {
			if !strings.Contains(string(out.Answer.Data), want) {
				t.Errorf("%s has no %s", m.file, want)
			}
		}
		if m.family != "esxi" && !(strings.Contains(string(out.Answer.Data), "sdx") && strings.Contains(string(out.Answer.Data), "sdy")) {
			t.Errorf("%s does not name the disks", m.file)
		}
	}
}
