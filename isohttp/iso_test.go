package isohttp_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	foreign "github.com/kdomanski/iso9660"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
)

// rangeReader reads a URL by ranges, like a BMC.
type rangeReader struct {
	t    *testing.T
	http *http.Client
	url  string
}

func (r rangeReader) ReadAt(p []byte, off int64) (int, error) {
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		return 0, err
	}
	q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	res, err := r.http.Do(q)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("range at %d: %s", off, res.Status)
	}
	return io.ReadFull(res.Body, p)
}

// TestPatchedImage publishes a patched installer image, reads it over HTTP with a
// reader that is not ours, and looks at the account.
func TestPatchedImage(t *testing.T) {
	data, err := isotest.RHEL(isotest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rocky.iso")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	img, err := iso9660.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	kickstart := []byte("# kickstart of db-01\npoweroff\n")
	edit := img.Edit()
	edit.Write("/ks.cfg", kickstart)
	view, err := edit.View()
	if err != nil {
		t.Fatal(err)
	}
	regions := regionsOf(t, view, map[isohttp.Phase]string{isohttp.Answer: "/ks.cfg", isohttp.Kernel: "/images/pxeboot/vmlinuz"})
	s := &isohttp.Server{}
	p, err := s.Publish(isohttp.Medium{
		Host: "db-01", Token: isohttp.Token([]byte("key"), "db-01", "1"), View: view, Regions: regions,
		Base: isohttp.Base{Path: path, SHA256: fmt.Sprintf("%064x", 1), Size: int64(len(data))},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Withdraw()
	over := rangeReader{t, &http.Client{Transport: s.Transport()}, "http://media.example" + p.Path()}

	whole := make([]byte, view.Size())
	if _, err := over.ReadAt(whole, 0); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, view.Size())
	if _, err := view.ReadAt(want, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if !bytes.Equal(whole, want) {
		t.Error("served bytes are not the view's")
	}
	tree, err := foreign.OpenImage(over)
	if err != nil {
		t.Fatal(err)
	}
	if got := readForeign(t, tree, "ks.cfg"); !bytes.Equal(got, kickstart) {
		t.Errorf("a foreign reader finds the answer file %q", got)
	}
	for p.Progress().Active > 0 {
		time.Sleep(time.Millisecond) // a reader that knows when it has all is ahead of the account
	}
	q := p.Progress()
	if a := q.Of(isohttp.Answer); a.Total != int64(len(kickstart)) || a.Distinct != a.Total {
		t.Errorf("answer file: %+v", a)
	}
	if q.Distinct != view.Size() || q.Furthest() != isohttp.Payload || q.Of(isohttp.Kernel).Total == 0 || q.Of(isohttp.Structure).Total == 0 {
		t.Errorf("progress: %+v", q)
	}
}

func regionsOf(t *testing.T, v *iso9660.View, files map[isohttp.Phase]string) (regions []isohttp.Region) {
	t.Helper()
	for phase, path := range files {
		extents, err := v.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range extents {
			regions = append(regions, isohttp.Region{Phase: phase, Path: path, Off: e.Off, Len: e.Len})
		}
	}
	for _, e := range v.Structure() {
		regions = append(regions, isohttp.Region{Phase: isohttp.Structure, Off: e.Off, Len: e.Len})
	}
	return regions
}

func readForeign(t *testing.T, img *foreign.Image, name string) []byte {
	t.Helper()
	root, err := img.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	all, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Name() == name {
			b, err := io.ReadAll(f.Reader())
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatalf("a foreign reader finds no %s", name)
	return nil
}
