package reconcile_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/record"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/reconcile/report"
)

// A tape is all that a run tells its record, in order.
type tape struct {
	mu    sync.Mutex
	calls []func(*record.Run)
}

func (p *tape) add(call func(*record.Run)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, call)
}

// taped runs one install and returns what it tells.
func taped(t *testing.T, change func(*rig)) *tape {
	p := &tape{}
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.IDRAC9)
		change(g)
		g.onRequest = func(host string, q redfish.Request) { p.add(func(r *record.Run) { r.Request(host, q) }) }
		g.r.OnRendered = func(host string, files []reconcile.RenderedFile) {
			p.add(func(r *record.Run) { r.Rendered(host, files) })
		}
		g.r.OnEvent = func(e reconcile.Event) { p.add(func(r *record.Run) { r.Event(e) }) }
		plan, w := g.plan()
		p.add(func(r *record.Run) { r.Plan(plan) })
		rep, err := g.r.Apply(t.Context(), plan, w)
		if err != nil {
			t.Fatal(err)
		}
		p.add(func(r *record.Run) { r.Report(rep) })
	})
	return p
}

// record plays the tape to a record and returns its files, by path.
func (p *tape) record(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	r, err := record.Create(dir, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), "run1")
	if err != nil {
		t.Fatal(err)
	}
	for _, call := range p.calls {
		call(r)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return readAll(t, dir)
}

// readAll reads what is below dir, and holds it to be for its owner alone.
func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if name != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		if e.IsDir() {
			return nil
		}
		b, err := os.ReadFile(name)
		files[strings.TrimPrefix(name, dir+string(filepath.Separator))] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRecord: an install's record says what was rendered, asked, read and
// reached, and no secret; the same events give the same bytes.
func TestRecord(t *testing.T) {
	tape := taped(t, func(*rig) {})
	files := tape.record(t)
	if diff := cmp.Diff(files, tape.record(t)); diff != "" {
		t.Errorf("the same events give another record (-first +second):\n%s", diff)
	}
	run := "20000101T000000Z-run1/"
	for name, want := range map[string][]string{
		run + "run.jsonl":                                   {`{"type":"plan",`, `"kind":"step","step":"claim"`, `"kind":"finished"`, `{"type":"report",`},
		run + "hosts/web-01/outcome.json":                   {`"result": "installed"`, `"marker": "rc1.k1.`, `"phase": "answer"`},
		run + "hosts/web-01/requests.jsonl":                 {`"method":"PATCH"`, `VirtualMedia.InsertMedia`, `"status":200`, `"tookMs":`},
		run + "hosts/web-01/reads.jsonl":                    {`"furthest":"payload"`, `"phase":"answer"`},
		run + "hosts/web-01/rendered/iso/ks.cfg":            {"__secret:root-password__", "timezone UTC"},
		run + "hosts/web-01/rendered/efi/EFI/BOOT/grub.cfg": {"configfile"},
	} {
		for _, w := range want {
			if !strings.Contains(files[name], w) {
				t.Errorf("%s lacks %q; there are %v:\n%.2000s", name, w, slices.Sorted(maps.Keys(files)), files[name])
			}
		}
	}
	for name, text := range files {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds the secret %q", name, secret)
			}
		}
		if strings.HasSuffix(name, ".jsonl") {
			wholeLines(t, name, text)
		}
	}
	if n := strings.Count(files[run+"hosts/web-01/reads.jsonl"], "\n"); n < 5 || n > 150 {
		t.Errorf("%d lines of reads", n)
	}
}

// wholeLines holds every line to be a JSON object.
func wholeLines(t *testing.T, name, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%s: %v: %s", name, err, line)
		}
	}
}

// TestRecordOfFailure: what failed is told too.
func TestRecordOfFailure(t *testing.T) {
	files := taped(t, func(g *rig) { g.bmcs["web-01"].Machine.Habits.HangsInInstaller = true }).record(t)
	got := files["20000101T000000Z-run1/hosts/web-01/outcome.json"]
	if !strings.Contains(got, `"result": "failed"`) || !strings.Contains(got, "deadline") {
		t.Errorf("outcome:\n%s", got)
	}
}

// TestRecordAfterKill: a record that nobody could end holds whole lines up to
// then, and what a host came to is there as soon as it came to it.
func TestRecordAfterKill(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	r, err := record.Create(dir, at, "run1")
	if err != nil {
		t.Fatal(err)
	}
	r.Event(reconcile.Event{At: at, Run: "run1", Host: "db-01", Kind: reconcile.Started})
	r.Event(reconcile.Event{At: at, Run: "run1", Host: "db-01", Kind: reconcile.Failed, Step: reconcile.StepInstall, Text: "failed", Error: "it hangs"})
	files := readAll(t, dir) // and no Close
	if got := files["20261121T120000Z-run1/hosts/db-01/outcome.json"]; !strings.Contains(got, "it hangs") {
		t.Errorf("outcome %q in %v", got, slices.Sorted(maps.Keys(files)))
	}
	var e bytes.Buffer
	if err := report.EventJSON(&e, reconcile.Event{At: at, Run: "run1", Host: "db-01", Kind: reconcile.Started}); err != nil {
		t.Fatal(err)
	}
	if got := files["20261121T120000Z-run1/run.jsonl"]; !strings.HasPrefix(got, e.String()) {
		t.Errorf("run.jsonl begins with %q, -o json says %q", got, e.String())
	}
	if _, err := record.Create(dir, at, "run1"); err == nil {
		t.Error("a second record of the same run was begun")
	}
}

// TestRecordFull: a record that cannot be written says so at its end, and
// stops nothing.
func TestRecordFull(t *testing.T) {
	dir := t.TempDir()
	r, err := record.Create(dir, time.Now(), "run1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.Dir(), "hosts"), nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	r.Event(reconcile.Event{Run: "run1", Host: "db-01", Kind: reconcile.Started})
	r.Rendered("../db-02", []reconcile.RenderedFile{{Name: "/ks.cfg"}})
	r.Event(reconcile.Event{Run: "run1", Host: "db-01", Kind: reconcile.Finished, Text: "installed"})
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "recording the run in") {
		t.Errorf("closed with %v", err)
	}
}
