package isohttp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestLargeImage reads around 4 and 8 GiB of an image of 9.
func TestLargeImage(t *testing.T) {
	const size = 9 << 30
	path := filepath.Join(t.TempDir(), "base.iso")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	marks := []int64{4<<30 - 3, 4 << 30, 8<<30 + 17, size - 8}
	for _, off := range marks {
		if _, err := fmt.Fprintf(io.NewOffsetWriter(f, off), "<%d>", off>>28); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	v := sparse{size: size + 4, pieces: []Piece{{Len: size, Base: true}, {Off: size, Len: 4, Data: []byte("tail")}}}
	s := &Server{}
	p, err := s.Publish(Medium{Host: "h", Token: Token(nil), View: hashed{v, "x"}, Base: Base{Path: path, Size: size},
		Regions: []Region{{Answer, "/ks.cfg", size, 4}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			base, c := w.client(t, s)
			for _, off := range marks {
				got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", off, off+3)))
				if want := fmt.Sprintf("<%d>", off>>28)[:3]; string(got.body[:3]) != want {
					t.Errorf("at %d: got %q, want %q", off, got.body, want)
				}
			}
			got := ask(t, c, "GET", base+p.Path(), fields("Range", "bytes=-8"))
			if want := fmt.Sprintf("bytes %d-%d/%d", int64(size-4), int64(size+3), int64(size+4)); string(got.body[4:]) != "tail" || got.header.Get("Content-Range") != want {
				t.Errorf("end: %q, %s, want %s", got.body, got.header.Get("Content-Range"), want)
			}
			// 30 MiB across the border, most of it by sendfile.
			if got := ask(t, c, "GET", base+p.Path(), fields("Range", fmt.Sprintf("bytes=%d-%d", int64(4<<30-15<<20), int64(4<<30+15<<20)))); len(got.body) != 30<<20+1 {
				t.Errorf("%d bytes", len(got.body))
			}
		})
	}
	idle(p)
	if q := p.Progress(); q.Of(Answer).Distinct != 4 || q.Distinct != 30<<20+1+4+4+8 {
		t.Errorf("progress: %+v", q)
	}
}
