package isohttp

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestExport(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	data := randomBytes(r, 3<<20)
	v, base := patch(r, data, 10), writeBase(t, data)
	path := filepath.Join(t.TempDir(), "db-01.iso")
	if err := Export(t.Context(), path, v, base); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, v.bytes) {
		t.Errorf("%d bytes, %v, or other ones than the view's", len(got), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestExportHasNoName: a process that is killed while it exports leaves nothing.
func TestExportHasNoName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db-01.iso")
	for i := range 2 { // the second replaces the first
		f, temp, err := create(path)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if temp != "" {
			t.Skip("this file system knows no files without a name")
		}
		if got := files(t, filepath.Dir(path)); len(got) != i {
			t.Errorf("files before: %q", got)
		}
		r := rand.New(rand.NewPCG(8, 12))
		data := randomBytes(r, 1000)
		if err := Export(t.Context(), path, patch(r, data, 1), writeBase(t, data)); err != nil {
			t.Fatal(err)
		}
		if got := files(t, filepath.Dir(path)); len(got) != 1 {
			t.Errorf("files: %q", got)
		}
	}
}

// TestExportKeepsHoles exports 8 GiB of which a few KiB are data, and as much of
// zeros.
func TestExportKeepsHoles(t *testing.T) {
	const size = 8 << 30
	dir := t.TempDir()
	src := filepath.Join(dir, "base.iso")
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), 4096)
	for _, off := range []int64{0, 1 << 20, 5 << 30} {
		if _, err := f.WriteAt(block, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	v := sparse{size: 2*size + 10, pieces: []Piece{{Len: size, Base: true}, {Off: size, Len: 10, Data: []byte("0123456789")}, {Off: size + 10, Len: size}}}
	path := filepath.Join(dir, "out.iso")
	if err := Export(t.Context(), path, v, Base{Path: src, Size: size}); err != nil {
		t.Fatal(err)
	}
	g, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	got := make([]byte, 4096)
	for _, off := range []int64{0, 1 << 20, 5 << 30} {
		if _, err := g.ReadAt(got, off); err != nil || !bytes.Equal(got, block) {
			t.Errorf("at %d: other bytes, %v", off, err)
		}
	}
	if _, err := g.ReadAt(got[:10], size); err != nil || string(got[:10]) != "0123456789" {
		t.Errorf("tail is %q, %v", got[:10], err)
	}
	info, err := g.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Blocks*512 > 64<<20 {
		t.Errorf("%d bytes on disk for 12 KiB of data", st.Blocks*512)
	}
}

// TestExportSteps: all but the ends of what is copied are whole blocks, which is
// what a file system can share. TestExportSharesBlocks has one that does.
func TestExportSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 10))
	for range 1000 {
		from := r.Int64N(1 << 20)
		end := from + 1 + r.Int64N(3*exportStep)
		apart := int64(0)
		for at := from; at < end; {
			n := step(at, end)
			if n <= 0 || n > end-at || n > exportStep {
				t.Fatalf("step of %d at %d of [%d, %d)", n, at, from, end)
			}
			if at%blockAlign != 0 || n%blockAlign != 0 {
				apart += n
			}
			at += n
		}
		if apart >= 2*blockAlign {
			t.Errorf("of [%d, %d), %d bytes are not copied by the block", from, end, apart)
		}
	}
}

type sparse struct {
	View
	size   int64
	pieces []Piece
}

func (s sparse) Size() int64     { return s.size }
func (s sparse) Pieces() []Piece { return s.pieces }

func TestExportErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	data := randomBytes(r, 1<<20)
	v, base := patch(r, data, 3), writeBase(t, data)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.iso")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Export(cancelled, path, v, base); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := Export(t.Context(), path, v, Base{Path: base.Path, Size: 5}); err == nil || !strings.Contains(err.Error(), "outside the base image of 5 bytes") {
		t.Errorf("got %v", err)
	}
	if err := os.Truncate(base.Path, 1000); err != nil {
		t.Fatal(err)
	}
	// The kernel's copy may end early or leave a hole; it may not succeed.
	if err := Export(t.Context(), path, v, base); err == nil {
		t.Error("an image that is too short was exported")
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("files left: %v", got)
	}
}
