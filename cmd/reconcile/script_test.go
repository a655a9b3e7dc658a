package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/lab"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/schema"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"reconcile": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScript runs testdata/script. Beside testscript's own there are the
// commands
//
//	exits CODE PROGRAM ARG…   run a program that must exit with CODE
//	commit DIR                commit all of DIR to the git repository in it
//	datacentre DIR            build a pretend data centre of the fleet in DIR,
//	                          in which web-01 is as declared, web-02 is outdated,
//	                          db-01 is in service and bears nothing, and db-02
//	                          is new; name its BMCs in DIR/bmc.cue
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("RECONCILE_IMAGE_CACHE", filepath.Join(e.WorkDir, ".cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "commit": commit, "datacentre": datacentre,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](ts.Exec(args[1], args[2:]...)); ok {
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func commit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: commit DIR")
	}
	dir := ts.MkAbs(args[0])
	repository, err := git.PlainOpen(dir)
	if errors.Is(err, git.ErrRepositoryNotExists) {
		repository, err = git.PlainInit(dir, false)
	}
	ts.Check(err)
	tree, err := repository.Worktree()
	ts.Check(err)
	ts.Check(tree.AddWithOptions(&git.AddOptions{All: true}))
	_, err = tree.Commit("fleet", &git.CommitOptions{Author: &object.Signature{Name: "t", Email: "t@example.com", When: time.Unix(1e9, 0)}})
	ts.Check(err)
}

func datacentre(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: datacentre DIR")
	}
	dir := ts.MkAbs(args[0])
	fleet, err := schema.Load(os.DirFS(dir), ".")
	ts.Check(err)
	images := ts.MkAbs(".images")
	ts.Check(os.MkdirAll(images, 0o755))
	l, err := lab.Start(fleet, images)
	ts.Check(err)
	ts.Defer(l.Close)
	var cue strings.Builder
	fmt.Fprintln(&cue, "package fleet")
	for name, image := range fleet.Images {
		fmt.Fprintf(&cue, "images: %q: {url: \"file://%s\", sha256: %q}\n", name, image.URL, image.SHA256)
	}
	for i, name := range fleet.HostNames() {
		url, pin, err := l.BMC(fmt.Sprintf("10.10.0.%d", 10+i))
		ts.Check(err)
		fmt.Fprintf(&cue, "hosts: %q: bmc: {address: %q, tls: sha256: %q}\n", name, url, pin)
	}
	ts.Check(os.WriteFile(filepath.Join(dir, "bmc.cue"), []byte(cue.String()), 0o644))
	spec := func(h *schema.Host, generation int) string {
		return reconcile.SpecDigest(fleet.Images[h.OS].SHA256, h.Role, generation)
	}
	web1, web2 := fleet.Hosts["web-01"], fleet.Hosts["web-02"]
	l.SetMarker("web-01", marker.Marker{State: marker.Installed, Attempt: 1, Spec: spec(web1, web1.Generation), Config: "00000", Label: web1.OS})
	l.SetMarker("web-02", marker.Marker{State: marker.Installed, Attempt: 1, Spec: spec(web2, web2.Generation-1), Config: "00000", Label: web2.OS})
	ts.Check(l.SetStatus("db-02", "staged"))
	ts.Setenv("NETBOX_URL", l.NetBoxURL)
	ts.Setenv("NETBOX_TOKEN", lab.Token)
	ts.Setenv("RECONCILE_CREDENTIAL_LAB_USERNAME", lab.Username)
	ts.Setenv("RECONCILE_CREDENTIAL_LAB_PASSWORD", lab.Password)
}
