package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/rogpeppe/go-internal/diff"
)

// A RenderedFile is one file that differs from the stock image.
type RenderedFile struct {
	Name string // as on the image; files of the EFI image begin with "/EFI image:"
	Data []byte // secrets replaced by their names
	Diff string // against the stock file, as a unified diff
}

// Render returns what a host's image would differ in, with secrets replaced by
// their names. It reads NetBox, the base image and, when the template asks for
// hardware, the BMC; it changes nothing but the image cache.
func (r *Reconciler) Render(ctx context.Context, host string) ([]RenderedFile, error) {
	o, err := r.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	s := shelf{images: r.Images}
	defer s.Close()
	b, err := s.get(ctx, r.Fleet.Images[o.Host.OS])
	if err != nil {
		return nil, err
	}
	return r.renderedFiles(o, b, r.hardware(ctx, o))
}

// renderedFiles renders without secrets.
func (r *Reconciler) renderedFiles(o *Observation, b *base, hw func() (*redfish.Hardware, error)) ([]RenderedFile, error) {
	rendered, err := r.render(o, b, hw, nil)
	if err != nil {
		return nil, err
	}
	var files []RenderedFile
	for _, c := range rendered.Changes {
		if text := rendered.Answer; c.Path == text.Path && !bytes.Equal(c.Data, text.Data) {
			// It is in an archive, which nobody could read.
			files = append(files, RenderedFile{Name: c.Path, Data: text.Data, Diff: string(diff.Diff("/dev/null", nil, c.Path, text.Data))})
			continue
		}
		f, err := renderedFile(b.iso, c)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func renderedFile(iso answer.ISO, c answer.Change) (RenderedFile, error) {
	tree, name := iso.Tree, c.Path
	if c.In == answer.EFI {
		tree, name = iso.EFI, "/EFI image:"+c.Path
	}
	stock, err := fs.ReadFile(tree, strings.TrimPrefix(c.Path, "/"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return RenderedFile{}, fmt.Errorf("reading %s: %w", name, err)
	}
	old := name + " (stock)"
	if err != nil {
		old = "/dev/null"
	}
	if bytes.IndexByte(c.Data, 0) >= 0 {
		return RenderedFile{Name: name, Data: c.Data, Diff: fmt.Sprintf("--- %s\n+++ %s\n@@ %d bytes of binary data @@\n", old, name, len(c.Data))}, nil
	}
	return RenderedFile{Name: name, Data: c.Data, Diff: string(diff.Diff(old, stock, name, c.Data))}, nil
}
