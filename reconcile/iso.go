package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// An ISO is one host's patched image, with its secrets in it. It refers to its
// base image until it is closed.
type ISO struct {
	Host    string
	BMC     string // address of the BMC; "" when neither CUE nor NetBox has one
	View    *iso9660.View
	Base    isohttp.Base
	Regions []isohttp.Region // what the bytes are read for

	shelf shelf
}

// ISO makes the image that a host would be installed from now: the one that
// Apply serves, secrets included. It reads NetBox, the base image and, when the
// template asks for hardware, the BMC; it changes nothing but the image cache.
func (r *Reconciler) ISO(ctx context.Context, host string) (*ISO, error) {
	o, err := r.lookUp(ctx, host)
	if err != nil {
		return nil, err
	}
	i := &ISO{Host: host, BMC: o.BMC}
	i.shelf.images = r.Images
	p, err := r.prepare(ctx, o, &i.shelf)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", host, err), i.Close())
	}
	i.View, i.Base, i.Regions = p.view, p.base.Base, p.regions
	return i, nil
}

// Close lets go of the base image.
func (i *ISO) Close() error { return i.shelf.Close() }

// Locate returns how the BMC of a host is addressed: as the fleet declares it,
// else, and only then asking NetBox, by the device's oob_ip.
func (r *Reconciler) Locate(ctx context.Context, host string) (Target, error) {
	h := r.Fleet.Hosts[host]
	if h == nil {
		return Target{}, fmt.Errorf("%q is no host of the fleet", host)
	}
	if h.BMC.Address != "" && h.BMC.Marker != string(redfish.EFILabel) {
		return Target{Host: h, Address: h.BMC.Address}, nil
	}
	o, err := r.lookUp(ctx, host)
	if err != nil {
		return Target{}, err
	}
	if o.BMC == "" {
		return Target{}, fmt.Errorf("%s: its device in NetBox has no oob_ip, and no bmc.address is declared", host)
	}
	return o.target(), nil
}

// lookUp returns what NetBox has of one host of the fleet, which must be there.
func (r *Reconciler) lookUp(ctx context.Context, host string) (*Observation, error) {
	if r.Fleet.Hosts[host] == nil {
		return nil, fmt.Errorf("%q is no host of the fleet", host)
	}
	sel, err := ParseSelector([]string{host})
	if err != nil {
		return nil, err
	}
	w, err := r.Inventorise(ctx, sel)
	if err != nil {
		return nil, err
	}
	o := w.Hosts[host]
	if o.Device == nil {
		for _, f := range o.Findings {
			err = errors.Join(err, errors.New(f.String()))
		}
		if err == nil {
			err = fmt.Errorf("NetBox has no device named %s", host)
		}
		return nil, err
	}
	return o, nil
}
