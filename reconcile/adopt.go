package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
)

// An Adoption is a marker that was written on a person's word.
type Adoption struct {
	Host   string
	Marker string
}

// Adopt writes the marker of what is declared into the machines of hosts,
// which a person has checked. A machine must be the declared one; it must bear
// no marker, or that of an attempt that failed or was abandoned. All hosts are
// judged before the first is written, and each once more before its own write;
// those that were written are returned even with an error.
func (r *Reconciler) Adopt(ctx context.Context, hosts []string) ([]Adoption, error) {
	sel, err := ParseSelector(hosts)
	if err != nil {
		return nil, err
	}
	w, err := r.Observe(ctx, sel)
	if err != nil {
		return nil, err
	}
	p := Diff(r.Fleet, w, Options{InstallUnmarked: hosts, Retry: hosts})
	var errs []error
	for _, c := range p.Changes {
		if err := adoptable(&c, w); err != nil {
			errs = append(errs, &HostError{Host: c.Host, Step: StepIdentity, Err: err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var done []Adoption
	for _, c := range p.Changes {
		tag, err := r.adopt(ctx, w.Hosts[c.Host], &c)
		if tag != "" {
			done = append(done, Adoption{Host: c.Host, Marker: tag})
		}
		if err != nil {
			return done, &HostError{Host: c.Host, Step: StepMarker, Err: err}
		}
	}
	return done, nil
}

func adoptable(c *Change, w *World) error {
	if c.Error {
		return errors.New(c.Reasons[0].Text)
	}
	m, err := marker.Parse(c.From.Marker)
	switch {
	case errors.Is(err, marker.ErrAbsent):
		return nil
	case err != nil:
		return err
	case m.State == marker.Installed:
		return fmt.Errorf("it bears the marker %s already", c.From.Marker)
	case m.HeldAt(w.At):
		return fmt.Errorf("%w: run %s installs it", ErrHeld, m.Run)
	}
	return nil
}

func (r *Reconciler) adopt(ctx context.Context, o *Observation, c *Change) (string, error) {
	began := time.Now()
	m, err := r.Dial(ctx, o.target())
	if err != nil {
		return "", err
	}
	defer m.Close(context.WithoutCancel(ctx))
	s, err := m.Observe(ctx)
	if err != nil {
		return "", err
	}
	if err := identify(o.Device.Serial, s); err != nil {
		return "", err
	}
	if present := strings.TrimSpace(s.Marker.Value); present != c.From.Marker {
		return "", fmt.Errorf("%w: its marker was %q and is %q", ErrStale, c.From.Marker, present)
	}
	tag := marker.Marker{State: marker.Installed, Attempt: 1, Spec: c.To.Spec, Config: c.To.Config, Label: c.To.Label}.String()
	if err := writeMarker(ctx, m, tag); err != nil {
		return "", err
	}
	err = r.Inventory.WriteBack(ctx, netbox.Record{
		DeviceID: o.Device.ID, Run: r.Run, Commit: r.Commit, Marker: tag, Image: c.OS, Role: c.Role,
		Generation: o.Host.Generation, Outcome: "adopted", Started: began, Finished: time.Now(), Link: r.Link, Platform: c.OS,
	})
	if err != nil {
		return tag, fmt.Errorf("it was adopted, and NetBox could not be told: %w", err)
	}
	return tag, nil
}
