package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/schema"
)

// unrendered stands for the digest of an answer file that cannot be rendered
// before the host has an address.
const unrendered = "00000"

// takes returns the prefixes that an install of the host takes an address
// from: those that are declared, of the families that NetBox has none for.
func (o *Observation) takes() []netip.Prefix {
	if o.Device == nil || o.Host.Addresses == nil {
		return nil
	}
	var from []netip.Prefix
	for _, p := range o.Host.Addresses.From {
		if p.Addr().Is4() && !o.Device.Primary4.IsValid() || p.Addr().Is6() && !o.Device.Primary6.IsValid() {
			from = append(from, p)
		}
	}
	return from
}

// takeAddresses takes the addresses that the plan has announced, before
// anything is rendered. A host for which that fails is blocked; the work that
// is left is returned.
func (a *application) takeAddresses(ctx context.Context, work []Change) []Change {
	var left []Change
	for _, c := range work {
		o := a.world.Hosts[c.Host]
		from := o.takes()
		if len(from) == 0 {
			left = append(left, c)
			continue
		}
		err := a.r.takeAddresses(ctx, o, from)
		if err != nil {
			a.finish(Outcome{Host: c.Host, Result: ResultBlocked, Step: StepPrepare, Err: &HostError{Host: c.Host, Step: StepPrepare, Err: err}})
			continue
		}
		c.To.Config = o.Config
		i := slices.IndexFunc(a.plan.Changes, func(planned Change) bool { return planned.Host == c.Host })
		a.plan.Changes[i].To.Config = o.Config
		left = append(left, c)
	}
	return left
}

// takeAddresses takes addresses for one host, reads its network again, and
// holds it against the rules that a host with addresses is held against.
func (r *Reconciler) takeAddresses(ctx context.Context, o *Observation, from []netip.Prefix) error {
	device := *o.Device
	for _, p := range from {
		got, err := r.Inventory.Allocate(ctx, netbox.Allocation{DeviceID: device.ID, Prefix: p,
			VRF: o.Host.Addresses.VRF, Interface: o.Host.Addresses.Interface})
		if err != nil {
			return err
		}
		if got.Addr().Is4() {
			device.Primary4 = got
		} else {
			device.Primary6 = got
		}
	}
	s := &netbox.Snapshot{Devices: []netbox.Device{device}, Scope: netbox.Scope(r.Fleet.Policy.NetBox.Scope)}
	if err := r.Inventory.Networks(ctx, s, []int{device.ID}); err != nil {
		return err
	}
	alone := *r.Fleet
	alone.Hosts = map[string]*schema.Host{o.Host.Name: o.Host}
	for _, f := range netbox.Check(&alone, s) {
		if f.Host == o.Host.Name && f.Severity != netbox.Warning {
			return errors.New(f.Msg)
		}
	}
	o.Device, o.Network = &device, s.Networks[device.ID]
	m, err := r.Dial(ctx, o.target())
	if err != nil {
		return fmt.Errorf("with its new address: %w", err)
	}
	defer m.Close(context.WithoutCancel(ctx))
	if o.Config, err = r.preview(ctx, o, m, new(kits)); err != nil {
		return fmt.Errorf("with its new address: %w", err)
	}
	return nil
}
