package schema_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/metalcue/metalcue/schema"
)

const contextFleet = `package fleet

import (
	"strings"
	"github.com/metalcue/metalcue/schema"
)

schema.#Fleet

images: "rocky-9.6": {family: "rhel", url: "https://mirror.example.com/r.iso", sha256: strings.Repeat("a", 64)}
roles: db: answer: template: "a.tmpl"
hosts: "db-01": {os: "rocky-9.6", role: "db"}
policy: bmc: credentials: "default"
`

// Config contexts are held against the definition of this package, or the
// fleet's own.
func TestCheckContext(t *testing.T) {
	tests := []struct{ name, definition, context, want string }{
		{"nothing said", "", `{"gateway":"10.0.0.1","dns":["a"],"disk":{"x":1}}`, ""},
		{"default", "", `{"gateway":{"v5":"x"},"dns":{"servers":"a"},"ntp":3}`,
			"dns dns.servers gateway gateway.v5 ntp"},
		{"right", `#Context: schema.#Context & {disk: "sda" | "nvme0n1", ...}`, `{"disk":"sda","gateway":"10.0.0.1"}`, ""},
		{"wrong value", `#Context: schema.#Context & {disk: "sda" | "nvme0n1", ...}`, `{"disk":"sdb"}`,
			`fleet.cue:14:36: disk: conflicting values "nvme0n1" and "sdb"; conflicting values "sda" and "sdb"`},
		{"missing", "#Context: {\n\tdisk!: string\n}", `{}`, `fleet.cue:15:2: disk: field is required but not present`},
		{"unknown key", `#Context: {disk?: string}`, `{"dsk":"sda"}`, `fleet.cue:14:1: dsk: field not allowed`},
		{"helpers", "#Context: {disk: #Disk, n: int & <_max}\n#Disk: =~\"^sd\"\n_max: 3", `{"disk":"sda","n":2}`, ""},
		{"helpers, wrong", "#Context: {disk: #Disk, n: int & <_max}\n#Disk: =~\"^sd\"\n_max: 3", `{"disk":"nvme","n":3}`,
			`fleet.cue:14:18: disk: invalid value "nvme" (out of bound =~"^sd")` + "\n" + `fleet.cue:14:34: n: invalid value 3 (out of bound <3)`},
		{"import", `#Context: {disk: strings.MaxRunes(3)}`, `{"disk":"nvme0n1"}`,
			`fleet.cue:14:18: disk: invalid value "nvme0n1" (does not satisfy strings.MaxRunes(3))`},
		{"not JSON", "", `{`, "it is not JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := schema.Load(fstest.MapFS{
				"fleet.cue": {Data: []byte(contextFleet + tt.definition + "\n")}, "a.tmpl": {Data: []byte("x")},
			}, ".")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var lines, paths []string
				for _, v := range f.CheckContext(f.Hosts["db-01"], []byte(tt.context)) {
					lines, paths = append(lines, v.String()), append(paths, v.Path)
				}
				got := strings.Join(lines, "\n")
				if tt.name == "default" { // where the definitions are is not the test's business
					got = strings.Join(paths, " ")
				}
				if got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
}

// A definition that is wrong by itself, or needs more than definitions, is a
// violation of the fleet.
func TestContextDefinitionIsWrong(t *testing.T) {
	for definition, want := range map[string]string{
		"#Context: {disk: string & 3}": "conflicting values",
		"#Context: {n: len(hosts)}":    "#Context: refers to hosts; it may refer to definitions, hidden fields and imports only",
	} {
		_, err := schema.Load(fstest.MapFS{
			"fleet.cue": {Data: []byte(contextFleet + definition + "\n")}, "a.tmpl": {Data: []byte("x")},
		}, ".")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "fleet.cue:14:") {
			t.Errorf("%s: got %v", definition, err)
		}
	}
}

// A site may have a definition of its own.
func TestContextOfASite(t *testing.T) {
	f, err := schema.Load(fstest.MapFS{
		"fleet.cue":       {Data: []byte(strings.Replace(contextFleet, `hosts: "db-01"`, `hosts: "db-02"`, 1))},
		"tokyo/hosts.cue": {Data: []byte("package fleet\n\nhosts: \"tyo-01\": {os: \"rocky-9.6\", role: \"db\"}\n#Context: {disk: int}\n")},
		"a.tmpl":          {Data: []byte("x")},
	}, ".")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"db-02": 0, "tyo-01": 1} {
		if found := f.CheckContext(f.Hosts[name], []byte(`{"disk":"sda"}`)); len(found) != want {
			t.Errorf("%s: got %v", name, found)
		}
	}
}
