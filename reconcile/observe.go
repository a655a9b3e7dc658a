package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
	"golang.org/x/sync/errgroup"
)

// Observe reads what NetBox and the BMCs say about the chosen hosts. It changes
// nothing: BMCs and NetBox are asked with GET only. A host that cannot be read
// is an [Observation] with an error; Observe itself fails only when no host is
// chosen, NetBox cannot be read, or ctx ends.
func (r *Reconciler) Observe(ctx context.Context, s Selector) (*World, error) {
	w, err := r.Inventorise(ctx, s)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex // so that Done counts up in the order of the events
	var done int64
	var kits kits
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(r.Asks, 32))
	observed := func(name string) error {
		mu.Lock()
		defer mu.Unlock()
		done++
		r.Emit(Event{Kind: Observed, Step: StepObserve, Host: name, Done: done, Total: int64(len(w.Hosts) + len(w.Neighbours))})
		return ctx.Err()
	}
	for _, name := range sortedKeys(w.Hosts) {
		g.Go(func() error {
			r.observe(ctx, w.Hosts[name], &kits)
			return observed(name)
		})
	}
	for _, name := range sortedKeys(w.Neighbours) {
		g.Go(func() error {
			r.look(ctx, w.Neighbours[name], func(Machine) {})
			return observed(name)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("reading BMCs: %w", err)
	}
	w.At = time.Now()
	return w, nil
}

// Inventorise reads NetBox only, and checks the chosen hosts against it.
func (r *Reconciler) Inventorise(ctx context.Context, sel Selector) (*World, error) {
	hosts, err := sel.Hosts(r.Fleet)
	if err != nil {
		return nil, err
	}
	scope := r.Fleet.Policy.NetBox.Scope
	snapshot, err := r.Inventory.Scan(ctx, netbox.Scope{Tag: scope.Tag, Site: scope.Site, Role: scope.Role, Tenant: scope.Tenant}, r.Fleet.HostNames())
	if err != nil {
		return nil, fmt.Errorf("reading NetBox: %w", err)
	}
	w := &World{At: time.Now(), Commit: r.Commit, Dirty: r.Dirty, Limit: sel.expressions(), Hosts: map[string]*Observation{}}
	if _, ok := r.Inventory.(*netbox.Offline); ok {
		w.Snapshot = snapshot.At
	}
	devices := snapshot.ByName()
	for _, name := range hosts {
		o := newObservation(r.Fleet.Hosts[name], devices)
		var rack string
		if o.Device != nil {
			rack = o.Device.Rack
		}
		if sel.match(o.Host, &rack) {
			w.Hosts[name] = o
		}
	}
	if len(w.Hosts) == 0 {
		return nil, fmt.Errorf("no host of the fleet is chosen by --limit %s", sel)
	}
	w.Neighbours = neighbours(r.Fleet, w.Hosts, devices)
	if err := r.attachNetworks(ctx, w, snapshot); err != nil {
		return nil, err
	}
	for _, f := range netbox.Check(r.Fleet, snapshot) {
		o := cmp.Or(w.Hosts[f.Host], w.Neighbours[f.Host])
		switch {
		case o != nil:
			o.Findings = append(o.Findings, f)
		case f.Severity == netbox.Fatal:
			w.Fatal = append(w.Fatal, f)
		case f.Host == "" || r.Fleet.Hosts[f.Host] == nil:
			w.Notes = append(w.Notes, f)
		}
	}
	return w, nil
}

// newObservation begins with what NetBox says of a host.
func newObservation(h *schema.Host, devices map[string]*netbox.Device) *Observation {
	o := &Observation{Host: h, Device: devices[strings.ToLower(h.Name)], BMC: h.BMC.Address}
	if o.Device == nil {
		o.BMC = ""
	} else if o.BMC == "" && o.Device.OOB.IsValid() {
		o.BMC = o.Device.OOB.String()
	}
	return o
}

// neighbours returns the hosts that share a failure domain of their role with
// one of the chosen ones, without these.
func neighbours(f *schema.Fleet, chosen map[string]*Observation, devices map[string]*netbox.Device) map[string]*Observation {
	if len(chosen) == len(f.Hosts) {
		return nil
	}
	type domain struct{ role, name string }
	of := func(o *Observation) domain {
		return domain{o.Host.Role, failureDomain(f.Roles[o.Host.Role], o.Host, o.Device)}
	}
	domains := map[domain]bool{}
	for _, o := range chosen {
		domains[of(o)] = true
	}
	all := map[string]*Observation{}
	for name, h := range f.Hosts {
		if chosen[name] != nil {
			continue
		}
		if o := newObservation(h, devices); domains[of(o)] {
			all[name] = o
		}
	}
	return all
}

// attachNetworks gives each observation its network.
func (r *Reconciler) attachNetworks(ctx context.Context, w *World, s *netbox.Snapshot) error {
	var ids []int
	for _, all := range []map[string]*Observation{w.Hosts, w.Neighbours} { // the rules look at both
		for _, o := range all {
			if o.Device != nil {
				ids = append(ids, o.Device.ID)
			}
		}
	}
	slices.Sort(ids)
	if err := r.Inventory.Networks(ctx, s, ids); err != nil {
		return fmt.Errorf("reading the hosts' networks from NetBox: %w", err)
	}
	for _, o := range w.Hosts {
		if o.Device != nil {
			o.Network = s.Networks[o.Device.ID]
		}
	}
	return nil
}

// target returns how the machine is reached.
func (o *Observation) target() Target {
	t := Target{Host: o.Host, Address: o.BMC}
	if o.Device != nil {
		t.AssetTag = o.Device.AssetTag
	}
	return t
}

// observe reads one machine and renders the answer file that it would get.
func (r *Reconciler) observe(ctx context.Context, o *Observation, k *kits) {
	r.look(ctx, o, func(m Machine) {
		o.Orphan = r.orphan(o.System)
		if len(o.takes()) > 0 {
			o.Config = unrendered
			return
		}
		o.Config, o.AnswerErr = r.preview(ctx, o, m, k)
	})
}

// look reads one machine, and has more done while it is connected to.
func (r *Reconciler) look(ctx context.Context, o *Observation, more func(Machine)) {
	if o.Device == nil || o.BMC == "" {
		return // a finding says so
	}
	m, err := r.Dial(ctx, o.target())
	if err != nil {
		o.Err = err
		return
	}
	defer m.Close(context.WithoutCancel(ctx))
	if o.System, err = m.Observe(ctx); err != nil {
		o.System, o.Err = nil, err
		return
	}
	more(m)
}

// orphan reports whether a drive holds media that only this process can serve,
// and that it does not serve yet: those of a run that is dead.
func (r *Reconciler) orphan(s *redfish.System) bool {
	return r.OwnMedia != nil && slices.ContainsFunc(s.Slots, func(slot redfish.Slot) bool {
		return slot.Inserted && r.OwnMedia(slot.Image)
	})
}

// template returns the text of the host's answer template and its path.
func (r *Reconciler) template(h *schema.Host) (text, path string, err error) {
	path = r.Fleet.Roles[h.Role].Answer.Template
	b, err := fs.ReadFile(r.Fleet.Files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", path, fmt.Errorf("the answer template %s of role %s is not in the fleet", path, h.Role)
	}
	return string(b), path, err
}

// hardware asks a host's BMC for its drives and NICs, once, when a template
// first wants them.
func (r *Reconciler) hardware(ctx context.Context, o *Observation) func() (*redfish.Hardware, error) {
	return sync.OnceValues(func() (*redfish.Hardware, error) {
		m, err := r.Dial(ctx, o.target())
		if err != nil {
			return nil, err
		}
		defer m.Close(context.WithoutCancel(ctx))
		return m.Hardware(ctx)
	})
}
