package isohttp

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChangedBase: what was verified is what is opened, or nothing is.
func TestChangedBase(t *testing.T) {
	old := time.Unix(1_700_000_000, 0)
	for _, q := range []struct {
		name   string
		change func(path string) error
		want   string // of the error
	}{
		{"not at all", func(string) error { return nil }, ""},
		{"written", func(path string) error { return os.WriteFile(path, []byte("imagf"), 0o644) }, "was changed since it was verified"},
		{"touched", func(path string) error { return os.Chtimes(path, old, old.Add(1)) }, "was changed since it was verified"},
		{"cut", func(path string) error { return os.Truncate(path, 3) }, "has 3 bytes, want 5"},
		{"replaced by one as old", func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte("imagf"), 0o644), os.Chtimes(path+"2", old, old), os.Rename(path+"2", path))
		}, "was changed since it was verified"},
	} {
		t.Run(q.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "base.iso")
			data := []byte("image")
			if err := errors.Join(os.WriteFile(path, data, 0o644), os.Chtimes(path, old, old)); err != nil {
				t.Fatal(err)
			}
			base, err := (&Store{Dir: filepath.Join(dir, "cache")}).Get(t.Context(), path, digestOf(data))
			if err != nil {
				t.Fatal(err)
			}
			if err := q.change(path); err != nil {
				t.Fatal(err)
			}
			view := &patched{bytes: data, pieces: []Piece{{Len: 5, Base: true}}}
			p, err := new(Server).Publish(Medium{Host: "h", Token: Token(nil), View: view, Base: base})
			if q.want == "" && err != nil || q.want != "" && (err == nil || !strings.HasSuffix(err.Error(), q.want)) {
				t.Errorf("publishing: %v, want %q", err, q.want)
			}
			if err == nil {
				p.Withdraw()
			}
			if err := Export(t.Context(), filepath.Join(dir, "out.iso"), view, base); q.want == "" && err != nil || q.want != "" && (err == nil || !strings.HasSuffix(err.Error(), q.want)) {
				t.Errorf("exporting: %v, want %q", err, q.want)
			}
		})
	}
}

// TestBaseCheck: a file that is written while it is open is noticed, and looked
// at once a second.
func TestBaseCheck(t *testing.T) {
	var files baseFiles
	base := writeBase(t, []byte("image"))
	f, err := files.acquire(base)
	if err != nil {
		t.Fatal(err)
	}
	defer files.release(f)
	now := time.Now()
	check := func(after time.Duration, changed bool) {
		t.Helper()
		if err := f.check(now.Add(after)); (err != nil) != changed {
			t.Errorf("after %v: %v", after, err)
		}
	}
	check(0, false)
	if err := errors.Join(os.WriteFile(base.Path, bytes.ToUpper([]byte("image")), 0o644), os.Chtimes(base.Path, now, now.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	check(lookEvery-1, false)
	check(lookEvery, true)
	check(lookEvery+1, true)
	check(-time.Hour, true) // the clock was set back
	if err := (*baseFile)(nil).check(now); err != nil {
		t.Error(err)
	}
}
