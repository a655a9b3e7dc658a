//go:build system

package answer_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// tool runs a program that these tests need; without it they fail.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// pykickstart's own validator takes the kickstarts of the example fleet, in the
// dialect of the version that they are for.
func TestKickstartsAreValid(t *testing.T) {
	for _, l := range layouts() {
		if l.family != "rhel" {
			continue
		}
		for _, name := range []string{"base", "db"} {
			r := fleetRequest(t, l, name)
			r.Data.Vars["repositories"] = []any{map[string]any{"name": "site", "url": "https://repo.example.com/site"}}
			r.Data.Vars["proxy"] = "http://proxy.example.com:3128"
			out, err := answer.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			validKickstart(t, l, name, out.Answer.Data)
		}
	}
}

// tolerated is what pykickstart warns of although Anaconda takes it. Of two VLANs
// on one bond it compares the parents alone, where Anaconda goes by
// --interfacename; and of partitions for GRUB on two disks the type alone.
var tolerated = []string{"A network device with the name bond0 has already been defined.", "A partition with the mountpoint biosboot has already been defined."}

// validKickstart runs ksvalidator in the dialect of the layout's version.
func validKickstart(t *testing.T, l layout, name string, text []byte) {
	t.Helper()
	major, _, _ := strings.Cut(l.version, ".")
	dialect := "RHEL" + major
	if len(major) == 2 && major != "10" {
		dialect = "F" + major
	}
	file := write(t, name+"-"+l.name+".ks", text)
	out, err := exec.Command("ksvalidator", "-v", dialect, file).CombinedOutput()
	rest := strings.ReplaceAll(string(out), "Checking kickstart file "+file, "")
	for _, w := range tolerated {
		rest = strings.ReplaceAll(rest, w, "")
	}
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) || strings.TrimSpace(rest) != "" {
		t.Errorf("ksvalidator -v %s: %v\n%s", dialect, err, out)
	}
}

// Bash takes the scripts in the kickstarts.
func TestKickstartScriptsParse(t *testing.T) {
	script := regexp.MustCompile(`(?ms)^%(?:pre|post|onerror)[^\n]*\n(.*?)^%end$`)
	for _, name := range []string{"base", "db"} {
		r := fleetRequest(t, layouts()[1], name)
		for _, label := range []any{"pgdata", ""} {
			r.Data.Vars["dataDiskLabel"] = label
			out, err := answer.Preview(r)
			if err != nil {
				t.Fatal(err)
			}
			all := script.FindAllSubmatch(out, -1)
			if len(all) != 3 {
				t.Errorf("%s has %d scripts, want 3", name, len(all))
			}
			for i, m := range all {
				tool(t, "bash", "-n", write(t, fmt.Sprintf("%s-%d.sh", name, i), m[1]))
			}
		}
	}
}

// GRUB's own parser takes every menu that is put on an image.
func TestGrubTakesTheMenus(t *testing.T) {
	for _, l := range layouts() {
		r := request(t, l)
		if l.family != "coreos" { // which takes no arguments that would have to be quoted
			r.KernelArgs = append(r.KernelArgs, `odd=a;b'c"d$e{f}<g>`)
		}
		out, err := answer.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range append(out.Changes, out.Local...) {
			if base := strings.ToLower(filepath.Base(c.Path)); base == "grub.cfg" || base == "boot.conf" || base == "loopback.cfg" {
				tool(t, "grub-script-check", write(t, "grub.cfg", c.Data))
				n++
			}
		}
		if n == 0 && l.family != "esxi" && l.family != "flatcar" { // which have other loaders
			t.Errorf("%s has no menu of GRUB", l.name)
		}
	}
}

// The identity check is for every shell that an installer may have: it goes on
// where a number in the DMI tables is the one in NetBox, and never elsewhere.
func TestIdentityCheckRuns(t *testing.T) {
	r := request(t, layouts()[1])
	r.Template = "%post\n{{ identityCheck }}\necho it goes on\n%end\n" + minimal
	r.Data.Device.Serial = " SGH'1 234 "
	text, err := answer.Preview(r)
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile(`(?s)^%post\n(.*?)%end\n`).FindSubmatch(text)
	for _, shell := range [][]string{{"dash", "-eu"}, {"bash", "-eu"}, {"busybox", "sh", "-eu"}} {
		for file, is := range map[string]string{"product_serial": "sgh'1 234  \n", "chassis_serial": "SGH'1 234", "product_uuid": "SGH'1 2345\n", "none": "SGH'1 234\n"} {
			dmi := t.TempDir()
			if err := os.WriteFile(filepath.Join(dmi, file), []byte(is), 0o600); err != nil {
				t.Fatal(err)
			}
			name := write(t, "check.sh", []byte(strings.ReplaceAll(string(script[1]), "/sys/class/dmi/id", dmi)))
			out, _ := exec.Command("timeout", append(append([]string{"1"}, shell...), name)...).CombinedOutput()
			if want := file == "product_serial" || file == "chassis_serial"; strings.Contains(string(out), "it goes on") != want {
				t.Errorf("%s with %s %q: %s", shell, file, is, out)
			}
		}
	}
}
