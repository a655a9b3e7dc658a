package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// A verdict is an install's failure with the word for it that goes into the
// marker.
type verdict struct {
	code FailureCode
	text string
}

func (v *verdict) Error() string { return v.text }

// untouched begins the marker's word for a failure that came before the
// machine was started from our media: what was installed is still there.
const untouched = "pre-"

// failureReason returns the marker's word for an error at a step.
func failureReason(step Step, err error, erasing bool) FailureCode {
	if v, ok := errors.AsType[*verdict](err); ok {
		return v.code
	}
	if !erasing {
		return FailureCode(untouched + string(step))
	}
	return FailureCode(step)
}

// errForbidden: what the plan was made on does not allow it any more.
var errForbidden = errors.New("not allowed now")

// failed ends an install that could not take a step. outer is the run's
// context, which does not end when the claim is lost.
func (in *install) failed(ctx, outer context.Context, step Step, err error) Outcome {
	in.release()
	if cause := context.Cause(ctx); errors.Is(cause, ErrHeld) {
		err = cause
	}
	claim := in.claim.now()
	switch {
	case errors.Is(err, ErrHeld):
		return in.outcome(ResultHeld, step, err)
	case outer.Err() != nil && claim.tried:
		return in.outcome(ResultLeft, step, fmt.Errorf("interrupted %s; its claim ends at %s", in.leftAt(step), claim.lease.Format(time.TimeOnly)))
	case outer.Err() != nil:
		return in.outcome(ResultNotStarted, step, errors.New("interrupted before it was touched"))
	case errors.Is(err, errForbidden):
		return in.outcome(ResultNotStarted, step, err)
	case errors.Is(err, ErrStale):
		return in.outcome(ResultStale, step, err)
	case !claim.held:
		return in.outcome(ResultBlocked, step, err)
	}
	if lost := in.owned(outer); errors.Is(lost, ErrHeld) {
		return in.outcome(ResultHeld, step, lost) // nothing of it is ours to write to
	}
	if !in.erasing {
		err = in.backToService(outer, err)
	}
	m := marker.Marker{
		State: marker.Failed, Attempt: in.change.Attempt, Spec: in.change.To.Spec, Reason: string(failureReason(step, err, in.erasing)),
	}
	if e := in.setMarker(outer, m); e != nil {
		in.warn("writing the failure into its marker: %v", e)
	}
	in.writeBack(outer, "failed", err.Error())
	return in.outcome(ResultFailed, step, err)
}

// leftAt says in which state an interrupt leaves the machine.
func (in *install) leftAt(step Step) string {
	if in.erasing {
		return fmt.Sprintf("at step %s with the installer started", step)
	}
	return fmt.Sprintf("at step %s, before its disks were touched", step)
}

// backToService lets a machine whose disks were not touched run again what it
// ran before. It is started only when nothing of ours can be booted.
func (in *install) backToService(ctx context.Context, cause error) error {
	in.withdraw()
	if err := errors.Join(in.machine.Eject(ctx), in.machine.ClearBoot(ctx)); err != nil {
		return fmt.Errorf("%w; its disks are untouched, and it was not powered on again, for it may boot the installer: %w", cause, err)
	}
	if !in.wasOn {
		return fmt.Errorf("%w; its disks are untouched", cause)
	}
	if err := in.machine.SetPower(ctx, redfish.On); err != nil {
		return fmt.Errorf("%w; its disks are untouched, and it could not be powered on again: %w", cause, err)
	}
	return fmt.Errorf("%w; its disks are untouched and it was powered on again", cause)
}
