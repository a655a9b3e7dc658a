//go:build system

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/metalcue/metalcue/reconcile/lab"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// TestKilledRun kills a run with SIGKILL while the installer runs, and starts
// it again: the same process address, the same media, and the same one install
// is followed to its end.
func TestKilledRun(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	l, env := killableFleet(t, dir)
	var machine *bmctest.Machine
	for _, m := range l.Rack.Machines {
		machine = m
	}
	machine.Patience, machine.InstallTime = 2*time.Minute, 40*time.Second
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	var out bytes.Buffer
	start := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "--fleet", dir, "--listen", listen, "--listen-https", "")
		cmd.Args[0] = "reconcile"
		cmd.Env = slices.Concat(os.Environ(), env, []string{"HOME=" + home, "XDG_CACHE_HOME=" + home})
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	killed := start()
	for machine.Installs() == 0 {
		if time.Sleep(100 * time.Millisecond); t.Context().Err() != nil || killed.ProcessState != nil {
			t.Fatal("no install began")
		}
	}
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed.Wait()
	out.Reset()
	if err := start().Wait(); err != nil {
		t.Errorf("the second run: %v", err)
	}
	if !strings.Contains(out.String(), "is taken up at step install") || !strings.Contains(out.String(), "1 installed") {
		t.Errorf("it does not tell that it took the install up:\n%s", out.String())
	}
	if n := machine.Installs(); n != 1 {
		t.Errorf("%d installs, want one", n)
	}
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// killableFleet writes and commits a fleet of one host and builds its data
// centre, which it returns with the environment that names it.
func killableFleet(t *testing.T, dir string) (*lab.Lab, []string) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("plain.ks.tmpl", "text\nnetwork --hostname={{ .Host.Name }}\nrootpw --lock\nzerombr\nclearpart --all --initlabel\nautopart\npoweroff\n%packages\n@core\n%end\n")
	write("fleet.cue", `package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet

images: "rocky-9.6": {family: "rhel", version: "9.6", url: *"https://mirror.example.com/r.iso" | string, sha256: *"`+strings.Repeat("a", 64)+`" | string}
roles: web: {answer: template: "plain.ks.tmpl", rollout: canary: 0, verify: [{exec: ["true"]}]}
hosts: "web-01": {os: "rocky-9.6", role: "web"}
policy: {bmc: credentials: "lab", guard: maxPercent: 100, netbox: severity: "oob-mismatch": "off"}
`)
	fleet, err := schema.Load(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(fleet, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if err := l.SetStatus("web-01", "staged"); err != nil {
		t.Fatal(err)
	}
	url, pin, err := l.BMC("10.10.0.10")
	if err != nil {
		t.Fatal(err)
	}
	image := fleet.Images["rocky-9.6"]
	write("lab.cue", fmt.Sprintf("package fleet\nimages: \"rocky-9.6\": {url: \"file://%s\", sha256: %q}\nhosts: \"web-01\": bmc: {address: %q, tls: sha256: %q}\n", image.URL, image.SHA256, url, pin))
	repository, err := git.PlainInit(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repository.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Commit("fleet", &git.CommitOptions{Author: &object.Signature{Name: "t", Email: "t@example.com"}}); err != nil {
		t.Fatal(err)
	}
	return l, []string{
		"NETBOX_URL=" + l.NetBoxURL, "NETBOX_TOKEN=" + lab.Token,
		"RECONCILE_CREDENTIAL_LAB_USERNAME=" + lab.Username, "RECONCILE_CREDENTIAL_LAB_PASSWORD=" + lab.Password,
	}
}
