package schema

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelang.org/go/cmd/cue/cmd"
	"cuelang.org/go/cue/errors"
)

// cueVet runs the public cue command in a folder and returns what it says.
func cueVet(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	t.Chdir(dir)
	t.Setenv("CUE_CACHE_DIR", t.TempDir())
	t.Setenv("CUE_REGISTRY", "none")
	c, err := cmd.New(append([]string{"vet"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	err = c.Run(t.Context())
	errors.Print(&out, err, nil) // as the command's main does
	return out.String(), err
}

// TestCueVetAcceptsExample runs "cue vet ./hosts/..." as a user does.
func TestCueVetAcceptsExample(t *testing.T) {
	if out, err := cueVet(t, "..", "./hosts/..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCueVetRefuses checks that the definitions alone, without this package's
// own checks, already refuse what people get wrong.
func TestCueVetRefuses(t *testing.T) {
	for _, tt := range []struct{ wrong, want string }{
		{`hosts: "tyo-web-01": {os: "rocky-9.6", rol: "web"}`, "hosts.\"tyo-web-01\".rol: field not allowed"},
		{`hosts: "Web_01": {os: "rocky-9.6", role: "web"}`, "the name of a host is a DNS label"},
		{`hosts: "tyo-web-01": generation: 0`, "out of bound >=1"},
		{`images: "rocky-9.6": size: 3`, "field not allowed"},
		{`roles: new: {answer: template: "x", rollout: domain: "row"}`, `invalid value "row"`},
		{`roles: web: verify: [{tcp: 22}, {icmp: true}]`, "field not allowed"},
		{`policy: attempts: 10`, "out of bound <=9"},
		{`policy: bmc: tls: "off"`, `conflicting values "verify" and "off"`},
	} {
		t.Run(tt.wrong, func(t *testing.T) {
			dir := t.TempDir()
			for name, file := range repository(t, map[string]string{"hosts/wrong.cue": "package fleet\n\n" + tt.wrong + "\n"}) {
				full := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(full, file.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, err := cueVet(t, dir, "./hosts")
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("error %v, want %q; it says:\n%s", err, tt.want, out)
			}
		})
	}
}
