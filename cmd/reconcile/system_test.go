//go:build system

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/hosts"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc"
	"github.com/metalcue/metalcue/reconcile/redfish/qemubmc/testdvd"
)

// TestRealInput is the program's whole job on real parts: a DVD that xorriso
// made, with ISOLINUX, GRUB and Debian's kernel, is installed by one run onto a
// machine of SeaBIOS and one of OVMF in QEMU, with the example fleet's own
// template; the second run has nothing to do.
func TestRealInput(t *testing.T) {
	iso := filepath.Join(t.TempDir(), "dvd.iso")
	dvd := testdvd.DVD{}
	if err := dvd.Write(t.Context(), iso); err != nil {
		t.Fatal(err)
	}
	before := sum(t, iso)
	nb := &netboxtest.Server{Token: "netbox-token"}
	machines := map[string]*qemubmc.Machine{}
	bmcs := map[string]*bmctest.BMC{}
	var declared strings.Builder
	for i, firmware := range []qemubmc.Firmware{qemubmc.BIOS, qemubmc.UEFI} {
		name := "real-" + string(firmware)
		m := &qemubmc.Machine{Dir: t.TempDir(), Firmware: firmware, Serial: "SN-" + name}
		bmc := &bmctest.BMC{Vendor: bmctest.Generic, Username: "operator", Password: "bmc-password", Serial: m.Serial, Backend: m}
		server := httptest.NewTLSServer(bmc)
		t.Cleanup(func() {
			server.Close()
			bmc.Close()
			m.Close()
			if t.Failed() {
				t.Logf("%s boots: %q, console:\n%s", name, m.Boots(), m.Console())
			}
		})
		machines[name], bmcs[name] = m, bmc
		pin := sha256.Sum256(server.Certificate().Raw)
		fmt.Fprintf(&declared, "hosts: %q: {os: \"rocky-9.6\", role: \"plain\", bmc: {address: %q, tls: sha256: %q}}\n",
			name, server.URL, hex.EncodeToString(pin[:]))
		nb.Devices = append(nb.Devices, netboxtest.Device{
			Name: name, Serial: m.Serial, Status: "staged", Site: "lab", Rack: "r1", Role: "plain",
			OOB: fmt.Sprintf("10.0.0.%d/24", i+1), Primary4: fmt.Sprintf("10.1.0.%d/24", i+1),
			Context: map[string]any{"reconcile": map[string]any{"gateway": "10.1.0.254", "dns": []any{"10.0.0.53"}}},
		})
	}
	server := httptest.NewServer(nb)
	t.Cleanup(server.Close)
	dir := realFleet(t, iso, before, declared.String())
	t.Setenv("NETBOX_URL", server.URL)
	t.Setenv("NETBOX_TOKEN", "netbox-token")
	t.Setenv("RECONCILE_CREDENTIAL_DEFAULT_USERNAME", "operator")
	t.Setenv("RECONCILE_CREDENTIAL_DEFAULT_PASSWORD", "bmc-password")
	args := []string{"--fleet", dir, "--image-cache", t.TempDir(), "--listen", "127.0.0.1:0", "--listen-https", "", "--media-address", "127.0.0.1"}

	out, code := runLogged(t, args...)
	if code != exitOK {
		t.Fatalf("the first run exits with %d:\n%s", code, out)
	}
	if strings.Contains(out, "booted from its media again") {
		t.Errorf("one boot of each machine counts as several, though QEMU reads ahead:\n%s", out)
	}
	for name, m := range machines {
		disk, err := testdvd.ReadDisk(m.Disk())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# " + name + ": plain, rocky-9.6, generation 1", "want=SN-" + name, "10.1.0."} {
			if !bytes.Contains(disk.Answer, []byte(want)) {
				t.Errorf("%s: the answer file on the disk lacks %q:\n%s", name, want, disk.Answer)
			}
		}
		if got := string(m.Firmware); disk.Firmware != got {
			t.Errorf("%s: the installer was booted by %s, want %s", name, disk.Firmware, got)
		}
		if mark, err := marker.Parse(bmcs[name].Tag()); err != nil || mark.State != marker.Installed {
			t.Errorf("%s: marker %q (%v), want installed", name, bmcs[name].Tag(), err)
		}
		if n := len(m.Boots()); n != 2 {
			t.Errorf("%s: boots %q, want the CD once and then the disk", name, m.Boots())
		}
	}
	if after := sum(t, iso); after != before {
		t.Error("the base image was changed")
	}
	writes := len(nb.Writes())
	if out, code = runLogged(t, args...); code != exitOK || !strings.Contains(out, "nothing to do, 2 hosts in sync") {
		t.Errorf("the second run exits with %d:\n%s", code, out)
	}
	if n := len(nb.Writes()) - writes; n != 0 {
		t.Errorf("the second run wrote to NetBox %d times", n)
	}
}

// realFleet commits a fleet of the declared hosts to a repository.
func realFleet(t *testing.T, iso, digest, declared string) string {
	t.Helper()
	dir := t.TempDir()
	template, err := hosts.FS.ReadFile("templates/base.ks.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"templates/base.ks.tmpl": string(template),
		"fleet.cue": fmt.Sprintf(`package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet
images: "rocky-9.6": {family: "rhel", version: "9.6", url: "file://%s", sha256: %q, deadline: "10m", kernelArgs: ["console=ttyS0,115200n8"]}
roles: plain: {
	answer: template: "templates/base.ks.tmpl"
	vars: {timezone: "UTC", packages: ["vim"], sshKeys: ["ssh-ed25519 AAAA ops@example.com"]}
	rollout: {domain: "rack", maxUnavailable: 2, canary: 0}
	verify: [] // nothing listens in the guest
}
policy: bmc: credentials: "default"
%s`, iso, digest, declared),
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "fleet"}} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	return dir
}

// runLogged runs the program in this process and logs what it says.
func runLogged(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	var out bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &out)
	t.Logf("reconcile %s: exit %d\n%s", strings.Join(args, " "), code, out.String())
	return out.String(), code
}

func sum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
