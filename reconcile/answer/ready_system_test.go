//go:build system

package answer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

func ready(t *testing.T, family string) string {
	t.Helper()
	for _, m := range readyMades {
		if m.family == family {
			r := readyRequest(t, m, m.layouts()[0])
			r.Data.Vars["bootLabel"] = true
			out, err := answer.Render(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(out.Answer.Data)
		}
	}
	t.Fatalf("no template for %s", family)
	return ""
}

// debconf's own reader takes the preseed, and the shell its scripts.
func TestPreseedIsValid(t *testing.T) {
	text := ready(t, "debian")
	tool(t, "debconf-set-selections", "-c", write(t, "preseed.cfg", []byte(text)))
	for _, name := range []string{"early", "disks", "late"} {
		script := ""
		for line := range strings.Lines(text) {
			if code, ok := strings.CutPrefix(line, "#"+name+"|"); ok {
				script += code
			}
		}
		if script == "" {
			t.Errorf("there is no script %s", name)
		}
		tool(t, "dash", "-n", write(t, name+".sh", []byte(script)))
	}
}

// The shells take the scripts of the other families.
func TestReadyMadeScriptsParse(t *testing.T) {
	fai := ready(t, "fai")
	_, inner, ok := strings.Cut(fai, "<<'SCRIPT'\n")
	inner, _, ok2 := strings.Cut(inner, "\nSCRIPT\n")
	if !ok || !ok2 {
		t.Fatal("FAI's script for the new system is not found")
	}
	tool(t, "dash", "-n", write(t, "fai.sh", []byte(fai)))
	tool(t, "bash", "-n", write(t, "server.sh", []byte(inner)))
	for i, s := range regexp.MustCompile(`(?ms)^%\w+ --interpreter=busybox\n(.*?)(?:^#|\z|^%)`).FindAllStringSubmatch(ready(t, "esxi"), -1) {
		tool(t, "busybox", "sh", "-n", write(t, fmt.Sprintf("esxi-%d.sh", i), []byte(s[1])))
	}
}

// What the kickstart's %pre script writes for one disk, and for two that are
// alike, is a kickstart too, for machines with BIOS and with UEFI.
func TestDiskPartIsValid(t *testing.T) {
	const two = "sda disk 0 0 0 480000000000 sata SSD\\x201\nsdb disk 0 0 0 480000000000 sata SSD\\x201\nsdc disk 0 0 1 8000000000000 sas HDD\n"
	const one = "sda disk 0 0 1 480000000000  HDD\nsdb disk 0 0 0 480000000000 sata SSD\nsdd disk 1 0 0 64000000000 usb STICK\n"
	for _, l := range layouts() {
		if l.name != "RHEL-8.10-x86_64" && l.name != "Rocky-9.6-x86_64" && l.name != "RHEL-10.0-x86_64" {
			continue
		}
		out, err := answer.Preview(fleetRequest(t, l, "base"))
		if err != nil {
			t.Fatal(err)
		}
		_, script, ok := strings.Cut(string(out), "# The disk, or two of them.\n")
		script, _, ok2 := strings.Cut(script, "trap - EXIT\n")
		if !ok || !ok2 {
			t.Fatal("the script has no part for disks")
		}
		for _, tt := range []struct{ name, disks, efi, want string }{
			{"one", one, "/", "ignoredisk --only-use=sdb\n"}, {"two-bios", two, "/none", "ignoredisk --only-use=sda,sdb\n"}, {"two-uefi", two, "/", "raid /boot/efi "},
		} {
			dir := t.TempDir()
			ks := filepath.Join(dir, "disk.ks")
			code := strings.NewReplacer("/tmp/metalcue-disk.ks", ks, "/sys/firmware/efi", tt.efi).Replace(script)
			code = "set -euo pipefail\nstop() { echo \"$*\" >&2; exit 1; }\nlsblk() { cat " + write(t, "disks", []byte(tt.disks)) + "; }\n" +
				"[() { if test \"$1\" = -b; then return 0; fi; builtin [ \"$@\"; }\n" + code
			tool(t, "bash", write(t, "disks.sh", []byte(code)))
			part, err := os.ReadFile(ks)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(part), tt.want) {
				t.Errorf("%s has no %q:\n%s", tt.name, tt.want, part)
			}
			whole := strings.Replace(string(out), "%include /tmp/metalcue-disk.ks", string(part), 1)
			validKickstart(t, l, tt.name, []byte(whole))
		}
	}
}

// Netplan's own reader takes the network of the autoinstall.
func TestAutoinstallNetworkIsValid(t *testing.T) {
	_, text, ok := strings.Cut(ready(t, "ubuntu"), "\n  network:\n")
	text, _, ok2 := strings.Cut(text, "\n  # The second")
	if !ok || !ok2 {
		t.Fatal("the autoinstall has no network")
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc", "netplan"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "netplan", "01.yaml"), []byte("network:\n"+text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "netplan", "generate", "--root-dir", root)
}

// Python takes the program that chooses Ubuntu's disks, and it writes what
// autoinstall knows.
func TestAutoinstallDiskProgram(t *testing.T) {
	_, text, ok := strings.Cut(ready(t, "ubuntu"), "      - |\n        import glob")
	text, _, ok2 := strings.Cut("        import glob"+text, "\n  late-commands:")
	if !ok || !ok2 {
		t.Fatal("the autoinstall has no program for disks")
	}
	code := regexp.MustCompile(`(?m)^ {8}`).ReplaceAllString(text, "")
	code, _, _ = strings.Cut(code, "\ndisks = choose()")
	code = strings.Replace(code, "time, yaml", "time", 1)
	for efi, want := range map[string]string{"True": `"path": "/boot/efi"`, "False": `"flag": "bios_grub"`} {
		out := tool(t, "python3", "-c", code+"\nos.path.isdir = lambda p: "+efi+"\nprint(json.dumps(storage(['/dev/sda', '/dev/sdb'])))\n")
		if !strings.Contains(out, want) || !strings.Contains(out, `"raidlevel": "raid1"`) {
			t.Errorf("with UEFI %s the storage is %s", efi, out)
		}
	}
	if out := tool(t, "python3", "-c", code+"\nprint(json.dumps(storage(['/dev/sda'])))\n"); !strings.Contains(out, `"match": {"path": "/dev/sda"}`) {
		t.Errorf("the storage of one disk is %s", out)
	}
}
