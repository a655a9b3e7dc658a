package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/metalcue/metalcue/reconcile/marker"
)

// An Adoption is a marker that was written on a person's word.
type Adoption struct {
	Host   string
	Marker string
}

// Adopt writes the marker of what is declared into the machines of hosts,
// which a person has checked. A machine must be the declared one and must bear
// no marker, or one that is not of a living run. All hosts are judged before
// the first is written; those that were written are returned even with an error.
func (r *Reconciler) Adopt(ctx context.Context, hosts []string) ([]Adoption, error) {
	sel, err := ParseSelector(hosts)
	if err != nil {
		return nil, err
	}
	w, err := r.Observe(ctx, sel)
	if err != nil {
		return nil, err
	}
	p := Diff(r.Fleet, w, Options{InstallUnmarked: hosts})
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
		if err != nil {
			return done, &HostError{Host: c.Host, Step: StepMarker, Err: err}
		}
		done = append(done, Adoption{Host: c.Host, Marker: tag})
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
	case m.State == marker.Installing && m.Lease.After(w.At):
		return fmt.Errorf("%w: run %s installs it", ErrHeld, m.Run)
	}
	return nil
}

func (r *Reconciler) adopt(ctx context.Context, o *Observation, c *Change) (string, error) {
	m, err := r.Dial(ctx, Target{Host: o.Host, Address: o.BMC})
	if err != nil {
		return "", err
	}
	defer m.Close(context.WithoutCancel(ctx))
	tag := marker.Marker{State: marker.Installed, Attempt: 1, Spec: c.To.Spec, Config: c.To.Config, Label: c.To.Label}.String()
	return tag, m.SetMarker(ctx, tag)
}
