package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
	"github.com/metalcue/metalcue/reconcile/answer"
)

func bench9660(b testing.TB) *bench {
	b.Helper()
	data, err := isotest.RHEL(isotest.Options{Version: "9.5", FullRoot: true, Packages: 2000, Payload: 4 << 20})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "dvd.iso")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	s, err := newBench(f)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkFresh is what a fresh host's first byte waits for beside the
// connection: rendering, patching, publishing. Patchwork adds 0.02 to 0.15 ms to
// a request and renders nothing, tinkerbell smee 0.6 ms, assisted-image-service
// 1.7 ms; mastering an image takes 3.6 to 42 s.
func BenchmarkFresh(b *testing.B) {
	s := bench9660(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.publish(fmt.Sprint("h", i)); err != nil {
			b.Fatal(err)
		}
	}
}

// The parts of it.
func BenchmarkRender(b *testing.B) {
	s := bench9660(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.render("h"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatch(b *testing.B) {
	s := bench9660(b)
	rendered, _, _ := stages(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.patch(rendered); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRegions(b *testing.B) {
	rendered, view, _ := stages(b, bench9660(b))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := regionsOf(view, rendered); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	s := bench9660(b)
	_, view, regions := stages(b, s)
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.server.Publish(s.medium("h", view, regions))
		if err != nil {
			b.Fatal(err)
		}
		p.Withdraw()
	}
}

// stages makes what the stages of a medium hand on.
func stages(b *testing.B, s *bench) (*answer.Rendered, *iso9660.View, []isohttp.Region) {
	b.Helper()
	rendered, err := s.render("h")
	if err != nil {
		b.Fatal(err)
	}
	view, err := s.patch(rendered)
	if err != nil {
		b.Fatal(err)
	}
	regions, err := regionsOf(view, rendered)
	if err != nil {
		b.Fatal(err)
	}
	return rendered, view, regions
}
