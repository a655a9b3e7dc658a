package answer_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// preview renders a template that ends in what every kickstart must have.
func preview(t *testing.T, template string, change func(*answer.Data)) (string, error) {
	t.Helper()
	const tail = "\nrootpw --lock\nautopart\npoweroff\n"
	r := request(t, layouts()[1])
	r.Template = template + tail
	if change != nil {
		change(&r.Data)
	}
	out, err := answer.Preview(r)
	return strings.TrimSuffix(string(out), tail), err
}

func TestTemplateFunctions(t *testing.T) {
	tests := []struct{ template, want string }{
		{`# {{ .Host.Name }} {{ .Host.Generation }} {{ .Vars.timezone }} {{ .Device.CustomFields.owner }}`, "# db-01 2 Asia/Tokyo dba"},
		{`# {{ netmask "10.0.0.5/20" }} {{ address .Device.PrimaryIP4 }} {{ network .Device.PrimaryIP4 }} {{ prefixLength .Device.PrimaryIP6 }}`,
			"# 255.255.240.0 10.1.20.11 10.1.20.0/24 64"},
		{`# {{ nthAddress "10.0.1.5/23" 1 }} {{ nthAddress "10.0.1.5/23" -2 }} {{ nthAddress "2001:db8::/32" 65536 }}`, "# 10.0.0.1 10.0.1.254 2001:db8::1:0"},
		{`# {{ ip4 .Device.DNS | join "," }} {{ ip6 .Device.DNS | join "," }}`, "# 10.1.0.53 2001:db8::53"},
		{`# {{ bootInterface.Name }} {{ bootInterface.VLAN }}`, "# bond0.20 20"},
		{`# {{ ksquote "plain-1.0" }} {{ ksquote "two words" }} {{ ksquote "" }} {{ ksquote "it's" }} {{ ksquote 5 }} {{ ksquote "%end" }}`,
			`# plain-1.0 'two words' '' 'it'\''s' 5 '%end'`},
		{"%pre\n{{ shquote \"$(rm -rf /)\\nb\" }}\n%end", "%pre\n'$(rm -rf /)\nb'\n%end"},
		{`# {{ keys .Vars | join " " }} {{ dict "b" 1 "a" 2 | values | join " " }}`, "# dataDiskLabel packages sshKeys timezone 2 1"},
		{`# {{ range .Vars.packages }}{{ . }} {{ end }}{{ until 3 | join "" }} {{ repeat 3 "ab" }}{{ nindent 2 "x" }}`, "# postgresql-server tmux 012 ababab\n  x"},
		{`# {{ $_ := set .Vars "timezone" "changed" }}{{ .Vars.timezone }}`, "# changed"},
		{`# {{ get .Vars "none" | default "absent" }} {{ toJson .Vars.packages }}`, `# absent ["postgresql-server","tmux"]`},
		{`# {{ define "x" }}[{{ . }}]{{ end }}{{ template "x" .Host.Name }}`, "# [db-01]"},
		{`# {{ (drive "ssd" "min=400GB").Path }} {{ (drive "nvme").Path }} {{ drives "sata" | len }} {{ .Hardware.UEFI }} {{ (drive "model=mz7" "max=1TB").Serial }}`,
			"# disk/by-id/wwn-0x5002538e00000002 disk/by-id/nvme-eui.0025385b71b00000 3 true S2"},
	}
	for _, tt := range tests {
		asked := 0
		got, err := preview(t, tt.template, func(d *answer.Data) {
			d.Hardware = func() (answer.Hardware, error) { asked++; return hardware, nil }
		})
		if err != nil || got != tt.want {
			t.Errorf("%s\n got %q, %v\nwant %q", tt.template, got, err, tt.want)
		}
		if want := min(1, strings.Count(tt.template, "ardware")+strings.Count(tt.template, "drive")); asked != want {
			t.Errorf("%s: the BMC was asked %d times, want %d", tt.template, asked, want)
		}
	}
}

var hardware = answer.Hardware{UEFI: true, Drives: []answer.Drive{
	{Name: "Bay 2", Model: "HGST HUS", Serial: "S3", WWN: "5000CCA000000003", Protocol: "SATA", MediaType: "HDD", Bytes: 4e12},
	{Name: "Bay 1", Model: "SAMSUNG MZ7L3480", Serial: "S2", WWN: "0x5002538E00000002", Protocol: "SATA", MediaType: "SSD", Bytes: 480e9},
	{Name: "Bay 0", Model: "SAMSUNG MZ7", Serial: "S1", Protocol: "SATA", MediaType: "SSD", Bytes: 2e12},
	{Name: "NVMe 1", Model: "PM9A3", Serial: "N1", WWN: "eui.0025385b71b00000", Protocol: "NVMe", MediaType: "SSD", Bytes: 960e9},
}}

// Vars come from JSON, where every number is a float.
func TestNumbers(t *testing.T) {
	got, err := preview(t, `# {{ .Vars.port }} {{ .Vars.big }} {{ .Vars.ratio }} {{ .Vars.list | join "," }} {{ divf 10 4 }} {{ mulf 1.0e6 10 }}`, func(d *answer.Data) {
		if err := json.Unmarshal([]byte(`{"port": 5432, "big": 10000000, "ratio": 0.25, "list": [1000000, 2]}`), &d.Vars); err != nil {
			t.Fatal(err)
		}
	})
	if want := "# 5432 10000000 0.25 1000000,2 2.5 10000000"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestTemplateErrors(t *testing.T) {
	tests := []struct{ template, want string }{
		{"#\n# {{ .Vars.colour }}", `t.ks:2: db-01: .Vars.colour: there is no "colour"; set it in the vars of the role or of the host`},
		{"# {{ .Context.colour }}", `t.ks:1: db-01: .Context.colour: there is no "colour"; set it in NetBox's config context of the device`},
		{"# {{ .Device.CustomFields.colour }}", `t.ks:1: db-01: .Device.CustomFields.colour: there is no "colour"`},
		{"# {{ .Device.Colour }}", "t.ks:1: db-01: .Device.Colour: can't evaluate field Colour"},
		{"# {{ .Vars.none }}", "t.ks:1: db-01: .Vars.none: it is null"},
		{"# {{ .Vars.packages }}", "t.ks:1: db-01: .Vars.packages: it is a list and not text"},
		{"# {{ .Vars }}", "t.ks:1: db-01: .Vars: it is a map and not text"},
		{"#\n\n# {{ .Device.Gateway4 }}", "t.ks:3: db-01: .Device.Gateway4: it is not set"},
		{"# {{ if true }}\n{{ end", "t.ks:2: db-01: unclosed action"},
		{"# {{ nothing 1 }}", `t.ks:1: db-01: function "nothing" not defined`},
		{"# {{ __text \"\" 1 }}", `t.ks:1: db-01: function "__text" not defined`},
		{"# {{ now }}", `function "now" not defined`},
		{"# {{ env \"HOME\" }}", `function "env" not defined`},
		{"# {{ randInt 1 5 }}", `function "randInt" not defined`},
		{"# {{ range 100000000000 }}{{ end }}", "t.ks:1: db-01: more than 50000 turns of loops"},
		{`{{ define "x" }}{{ template "x" }}{{ end }}{{ template "x" }}`, "t.ks:1: db-01:"},
		{"# {{ range until 10000 }}{{ repeat 200 \"x\" }}{{ end }}", "exceeds 1048576 bytes"},
		{`# {{ repeat 100000000 "x" }}`, "repeat of 100000000 is too much"},
		{`# {{ until 100000000 }}`, "too much"},
		{`# {{ indent 100000000 "x" }}`, "too much"},
		{`# {{ required "there must be a rack" "" }}`, `t.ks:1: db-01: required "there must be a rack" "": there must be a rack`},
		{"# {{ .Hardware.UEFI }}", "what is built in is not known here"},
		{`# {{ (drive "ssd" "min=5TB").Path }}`, "the machine has no drive that is ssd and min=5TB"},
		{`# {{ drives "big" }}`, `"big" is no condition for drives`},
		{`# {{ secret "a b" }}`, `"a b" is no name of a secret`},
		{`# {{ netmask .Device.PrimaryIP6 }}`, "has no netmask"},
		{`# {{ nthAddress "10.0.0.0/24" 256 }}`, "10.0.0.0/24 has no address 256"},
		{`# {{ ksquote "a\nb" }}`, "does not fit in one line of a kickstart"},
	}
	for _, tt := range tests {
		r := request(t, layouts()[1])
		r.TemplateName = "t.ks"
		r.Template = tt.template
		r.Data.Vars["none"] = nil
		r.Data.Device.Gateway4 = netip.Addr{}
		if strings.Contains(tt.template, "drive") {
			r.Data.Hardware = func() (answer.Hardware, error) { return hardware, nil }
		}
		_, err := answer.Preview(r)
		var e *answer.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.template, err, tt.want)
			continue
		}
		if e.Host != "db-01" || e.File != "t.ks" {
			t.Errorf("%s: the error names %q and %q", tt.template, e.File, e.Host)
		}
	}
}

// What NetBox holds is not trusted to be one line.
func TestHostileFacts(t *testing.T) {
	for name, spoil := range map[string]func(*answer.Data){
		"Device.Serial":      func(d *answer.Data) { d.Device.Serial = "x\n%end" },
		"Device.NTP[0]":      func(d *answer.Data) { d.Device.NTP = []string{"a\rb"} },
		"Interfaces[1].Name": func(d *answer.Data) { d.Interfaces[1].Name = "eno1\x00" },
		"Device.Tags[0]":     func(d *answer.Data) { d.Device.Tags = []string{"a\u2028b"} },
	} {
		if _, err := preview(t, "#", spoil); err == nil || !strings.Contains(err.Error(), "."+name+" holds a control character") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Templates may change their copy of the data, not the data.
func TestDataIsNotChanged(t *testing.T) {
	d := data(t, layouts()[1])
	d.Vars["deep"] = map[string]any{"list": []any{map[string]any{"k": "v"}}}
	_, err := preview(t, `{{ $_ := set .Vars "timezone" "x" }}{{ $_ := set (index .Vars.deep.list 0) "k" "changed" }}{{ $_ := set .Device.CustomFields "owner" "x" }}`,
		func(into *answer.Data) { *into = d })
	if err != nil {
		t.Fatal(err)
	}
	deep := d.Vars["deep"].(map[string]any)["list"].([]any)[0].(map[string]any)["k"]
	if d.Vars["timezone"] != "Asia/Tokyo" || d.Device.CustomFields["owner"] != "dba" || deep != "v" {
		t.Errorf("the data was changed: %v, %v", d.Vars, d.Device.CustomFields)
	}
}

// A function that a new sprig brings must be looked at before templates may
// call it.
func TestFunctionsAreListed(t *testing.T) {
	golden(t, "functions.txt", strings.Join(answer.FunctionNames(), "\n")+"\n")
}

func TestFleetTemplates(t *testing.T) {
	for _, name := range []string{"base", "db"} {
		for _, l := range layouts() {
			if l.family != "rhel" {
				continue
			}
			out, err := answer.Render(fleetRequest(t, l, name))
			if err != nil {
				t.Fatal(err)
			}
			if !out.PowersOff {
				t.Errorf("%s.ks.tmpl on %s does not power off", name, l.name)
			}
			if l.version == "8.10" || l.version == "10.0" && l.arch == "x86_64" {
				golden(t, "templates/"+name+"-"+l.name+".ks", string(out.Answer.Data))
			}
		}
		for missing, want := range map[string]string{
			"sshKeys":  `.Vars.sshKeys: there is no "sshKeys"; set it in the vars`,
			"packages": `.Vars.packages: there is no "packages"; set it in the vars`,
			"timezone": `.Vars.timezone: there is no "timezone"; set it in the vars`,
		} {
			r := fleetRequest(t, layouts()[1], name)
			delete(r.Data.Vars, missing)
			if _, err := answer.Preview(r); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s without %s: %v", name, missing, err)
			}
		}
		for what, spoil := range map[string]func(*answer.Data){
			"serial number":              func(d *answer.Data) { d.Device.Serial = " " },
			"nobody could log in":        func(d *answer.Data) { d.Vars["sshKeys"] = []any{} },
			"is no name of a package":    func(d *answer.Data) { d.Vars["packages"] = []any{"%end"} },
			"has an address in NetBox":   func(d *answer.Data) { d.Interfaces = nil },
			"no enabled ports in NetBox": func(d *answer.Data) { d.Interfaces[3].Enabled, d.Interfaces[4].Enabled = false, false },
		} {
			r := fleetRequest(t, layouts()[1], name)
			spoil(&r.Data)
			if _, err := answer.Preview(r); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s without %s: %v", name, what, err)
			}
		}
	}
}

func fleetRequest(t *testing.T, l layout, name string) answer.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "hosts", "templates", name+".ks.tmpl"))
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, l)
	r.Template, r.TemplateName = string(text), "templates/"+name+".ks.tmpl"
	return r
}
