package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
	"golang.org/x/sync/errgroup"
)

// prepared is all that an install needs and that can be made, and can go
// wrong, before a machine is touched.
type prepared struct {
	base     *base
	rendered *answer.Rendered
	view     *iso9660.View
	local    *iso9660.View // of the same size, and boots the machine's disk
	regions  []isohttp.Region
}

// A shelf opens each base image once and keeps it for the run.
type shelf struct {
	images Images
	mu     sync.Mutex
	bases  map[string]func() (*base, error) // by SHA-256
}

// get returns the opened base of an image, verified by its digest.
func (s *shelf) get(ctx context.Context, image *schema.Image) (*base, error) {
	s.mu.Lock()
	once, ok := s.bases[image.SHA256]
	if !ok {
		once = sync.OnceValues(func() (*base, error) { return openBase(ctx, s.images, image.URL, image.SHA256) })
		if s.bases == nil {
			s.bases = map[string]func() (*base, error){}
		}
		s.bases[image.SHA256] = once
	}
	s.mu.Unlock()
	b, err := once()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image.Name, err)
	}
	return b, nil
}

func openBase(ctx context.Context, images Images, url, sha256 string) (*base, error) {
	b, err := images.Get(ctx, url, sha256)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(b.Path)
	if err != nil {
		return nil, err
	}
	image, err := iso9660.Open(f, b.Size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", b.Path, err), f.Close())
	}
	iso := answer.ISO{Tree: image.FS(), VolumeID: image.VolumeID()}
	if efi, _, err := image.EFI(); err == nil {
		iso.EFI = efi
	}
	return &base{Base: b, image: image, iso: iso, close: f.Close}, nil
}

// Close lets go of all images.
func (s *shelf) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, once := range s.bases {
		if b, err := once(); err == nil {
			errs = append(errs, b.close())
		}
	}
	return errors.Join(errs...)
}

// prepareAll prepares all hosts of the plan that are worked on and returns,
// beside what succeeded, an error for each host that did not. No machine is
// touched.
func (r *Reconciler) prepareAll(ctx context.Context, w *World, work []Change, s *shelf) (map[string]*prepared, map[string]error) {
	var mu sync.Mutex
	ready, unfit := map[string]*prepared{}, map[string]error{}
	var g errgroup.Group
	g.SetLimit(8)
	for _, c := range work {
		if c.Resume == StepEject {
			mu.Lock()
			ready[c.Host] = &prepared{} // its media have served
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			o := w.Hosts[c.Host]
			o.Mark = c.installed().String()
			p, err := r.prepare(ctx, o, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				unfit[c.Host] = &HostError{Host: c.Host, Step: StepPrepare, Err: err}
			} else {
				ready[c.Host] = p
			}
			return nil
		})
	}
	g.Wait()
	return ready, unfit
}

// prepare renders one host's answer file with its secrets and patches it into
// its image.
func (r *Reconciler) prepare(ctx context.Context, o *Observation, s *shelf) (*prepared, error) {
	image := r.Fleet.Images[o.Host.OS]
	b, err := s.get(ctx, image)
	if err != nil {
		return nil, err
	}
	kit, err := r.kit(&b.kits, o.Host, b.iso)
	if err != nil {
		return nil, err
	}
	if err := kit.Check(); err != nil { // is it what the fleet says that it is?
		return nil, fmt.Errorf("image %s (%s): %w", image.Name, image.URL, err)
	}
	hw := r.hardware(ctx, o) // asked once, also where the record renders again
	rendered, err := r.render(o, b, hw, func(name string) (string, error) {
		if r.Secret == nil {
			return "", fmt.Errorf("secret %q is asked for, and no source of secrets is set up", name)
		}
		v, err := r.Secret(ctx, name)
		return v.Reveal(), err
	})
	if err != nil {
		return nil, err
	}
	if r.OnRendered != nil {
		files, err := r.renderedFiles(o, b, hw)
		if err != nil {
			return nil, err
		}
		r.OnRendered(o.Host.Name, files)
	}
	if o.Host.BMC.Marker == string(redfish.EFILabel) && o.Mark != "" && !bytes.Contains(rendered.Answer.Data, []byte(o.Mark)) {
		return nil, fmt.Errorf("its marker is to be an EFI label (bmc.marker), and the answer template %s writes none: put {{ efiLabel }} where the installer has set up the boot loader",
			r.Fleet.Roles[o.Host.Role].Answer.Template)
	}
	view, err := patch(b.image, rendered, rendered.Changes)
	if err != nil {
		return nil, fmt.Errorf("patching image %s: %w", image.Name, err)
	}
	local, err := patch(b.image, rendered, rendered.Local)
	if err != nil {
		return nil, fmt.Errorf("patching image %s to boot the disk: %w", image.Name, err)
	}
	if local.Size() != view.Size() {
		return nil, fmt.Errorf("image %s: the media that boot the disk have %d bytes and those that install %d; they must be alike, for they share one URL", image.Name, local.Size(), view.Size())
	}
	regions, err := regionsOf(view, rendered)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", image.Name, err)
	}
	return &prepared{base: b, rendered: rendered, view: view, local: local, regions: regions}, nil
}

// render makes the changes to a base image that install one host. A nil secret
// leaves the secrets' names in their place.
func (r *Reconciler) render(o *Observation, b *base, hw func() (*redfish.Hardware, error), secret func(string) (string, error)) (*answer.Rendered, error) {
	kit, err := r.kit(&b.kits, o.Host, b.iso)
	if err != nil {
		return nil, err
	}
	data := facts(r.Fleet, o, hw)
	data.Image.Label = b.iso.VolumeID
	return kit.Render(data, secret)
}

// preview renders the answer file as it would be now, without image and
// secrets, and returns its digest.
func (r *Reconciler) preview(ctx context.Context, o *Observation, m Machine, k *kits) (digest string, err error) {
	kit, err := r.kit(k, o.Host, answer.ISO{})
	if err != nil {
		return "", err
	}
	inputs, err := kit.Inputs(facts(r.Fleet, o, sync.OnceValues(func() (*redfish.Hardware, error) { return m.Hardware(ctx) })))
	if err != nil {
		return "", err
	}
	return marker.ConfigDigest(inputs...), nil
}

// patch lays changes over an image. What the boot loader does not read lies
// apart from what it does: who reads ahead must not seem to be further than it is.
func patch(image *iso9660.Image, rendered *answer.Rendered, changes []answer.Change) (*iso9660.View, error) {
	edit := image.Edit()
	for _, c := range changes {
		switch {
		case c.In == answer.EFI:
			edit.WriteEFI(c.Path, c.Data)
		case c.Op == answer.Append:
			edit.Append(c.Path, c.Data)
		default:
			edit.Write(c.Path, c.Data)
		}
		if c.In == answer.Tree && len(c.Data) > 0 && !slices.Contains(rendered.Files[answer.PhaseLoader], c.Path) {
			edit.Apart(c.Path)
		}
	}
	return edit.View()
}

// regionsOf tells the media server which bytes of a view mean which phase of
// an install. What is neither a named file nor structure is payload.
func regionsOf(view *iso9660.View, rendered *answer.Rendered) ([]isohttp.Region, error) {
	regions := make([]isohttp.Region, 0, 64)
	for _, phase := range sortedKeys(rendered.Files) {
		for _, path := range rendered.Files[phase] {
			extents, err := view.Lookup(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s, which the installer reads, is not on the image", path)
			}
			if err != nil {
				return nil, err
			}
			for _, e := range extents {
				regions = append(regions, isohttp.Region{Phase: isohttp.Phase(phase), Path: path, Off: e.Off, Len: e.Len})
			}
		}
	}
	for _, e := range view.Structure() {
		regions = append(regions, isohttp.Region{Phase: isohttp.Structure, Off: e.Off, Len: e.Len})
	}
	return regions, nil
}
