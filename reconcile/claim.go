package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// A claim is a run's word in a machine's BMC that it installs it. An asset tag
// knows no compare-and-swap: of two runs that write at once, the last has it.
// So a claim is looked at again after a while, before each step that changes
// the machine, and whenever it is renewed; who finds another's there, stops.
type claim struct {
	writing sync.Mutex // one look or write of it at a time
	mu      sync.Mutex
	said    claimState
	stop    context.CancelFunc
	done    chan struct{} // closed when it is no longer renewed
}

// claimState is what is known of a claim.
type claimState struct {
	stage marker.State // Installing, or Verifying once the installer has ended well
	tag   string       // what the BMC bears of ours, as far as is known; "" before the first write
	lease time.Time    // until when it lasts
	tried bool         // the first write was sent, whatever came of it
	held  bool         // it is ours, and was seen to be
}

// now returns what is known at this moment.
func (c *claim) now() claimState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said
}

// learn changes what is known.
func (c *claim) learn(change func(*claimState)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.said)
}

// take proves that the marker can be written before anything is destroyed, and
// keeps other runs away.
func (in *install) take(ctx context.Context) error {
	if err := in.writeClaim(ctx); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, in.restore(ctx))
		}
		return fmt.Errorf("claiming it: %w", err)
	}
	// Another run may have looked before we wrote, and write now.
	if err := sleep(ctx, in.timing.Settle); err != nil {
		return err
	}
	if err := in.owned(ctx); err != nil {
		return err
	}
	in.claim.learn(func(s *claimState) { s.held = true })
	in.keep(ctx)
	return nil
}

// writeClaim writes the claim with a lease that begins now.
func (in *install) writeClaim(ctx context.Context) error {
	lease := time.Now().Add(in.timing.Lease).Truncate(time.Second)
	m := marker.Marker{State: in.claim.now().stage, Attempt: in.change.Attempt, Spec: in.change.To.Spec, Run: in.r.Run, Lease: lease}
	in.claim.learn(func(s *claimState) { s.tried = true })
	if err := in.setMarker(ctx, m); err != nil {
		return err
	}
	in.claim.learn(func(s *claimState) { s.lease = lease })
	return nil
}

// setMarker writes a marker. One that a BMC keeps staged until the next reset
// counts as written: it is read back from where it is staged.
func (in *install) setMarker(ctx context.Context, m marker.Marker) error {
	tag := m.String()
	if err := writeMarker(ctx, in.machine, tag); err != nil {
		return err
	}
	in.claim.learn(func(s *claimState) { s.tag = tag })
	return nil
}

func writeMarker(ctx context.Context, m Machine, tag string) error {
	err := m.SetMarker(ctx, tag)
	if e, ok := errors.AsType[*redfish.MarkerError](err); ok && e.Reason == redfish.MarkerStaged {
		return nil
	}
	return err
}

// owned returns nil when the BMC bears our claim, and otherwise [ErrHeld].
func (in *install) owned(ctx context.Context) error {
	s, err := in.machine.Observe(ctx)
	if err != nil {
		return err
	}
	present := strings.TrimSpace(s.Marker.Value)
	if present == in.claim.now().tag {
		return nil
	}
	return heldBy(present)
}

// heldBy says who has taken a machine from us.
func heldBy(present string) error {
	if m, err := marker.Parse(present); err == nil && m.IsClaim() {
		return fmt.Errorf("%w: run %s until %s", ErrHeld, m.Run, m.Lease.Format(time.TimeOnly))
	}
	return fmt.Errorf("%w: its marker, our claim, was replaced by %q", ErrHeld, present)
}

// keep renews the claim from now until release. When it has become another's,
// the install ends at once.
func (in *install) keep(ctx context.Context) {
	ctx, in.claim.stop = context.WithCancel(ctx)
	in.claim.done = make(chan struct{})
	go func() {
		defer close(in.claim.done)
		for sleep(ctx, in.timing.Lease/3) == nil {
			err := in.renew(ctx)
			switch {
			case errors.Is(err, ErrHeld):
				in.lose(err)
				return
			case err != nil && ctx.Err() == nil:
				in.warn("renewing its claim: %v", err)
			}
		}
	}()
}

// renew writes the claim anew if it is still ours.
func (in *install) renew(ctx context.Context) error {
	in.claim.writing.Lock()
	defer in.claim.writing.Unlock()
	if err := in.owned(ctx); err != nil {
		return err
	}
	return in.writeClaim(ctx)
}

// ended says in the claim that the installer has ended well: a run that comes
// after this one goes on from there. When the BMC does not take it now, the
// next renewal writes it.
func (in *install) ended(ctx context.Context) error {
	in.claim.learn(func(s *claimState) { s.stage = marker.Verifying })
	err := in.renew(ctx)
	if errors.Is(err, ErrHeld) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		in.warn("writing into its claim that the installer has ended: %v", err)
	}
	return nil
}

// release ends the renewing, so that nothing is written beside what follows.
func (in *install) release() {
	if in.claim.stop != nil {
		in.claim.stop()
		<-in.claim.done
	}
}

// restore puts the former tag back after a claim that did not hold, so that a
// claim that a BMC cut short does not stand where a marker was. What another
// run has written meanwhile stays.
func (in *install) restore(ctx context.Context) error {
	s, err := in.machine.Observe(ctx)
	if err != nil {
		return err
	}
	former, present := in.change.From.Marker, strings.TrimSpace(s.Marker.Value)
	if present == former {
		return nil
	}
	if m, err := marker.Parse(present); err == nil && (!m.IsClaim() || m.Run != in.r.Run) {
		return heldBy(present)
	}
	if err := writeMarker(ctx, in.machine, former); err != nil {
		return fmt.Errorf("putting its former tag %q back: %w", former, err)
	}
	return nil
}
