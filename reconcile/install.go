package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// An install drives one machine from its present state to the declared one.
type install struct {
	r        *Reconciler
	timing   Timing
	change   Change
	obs      *Observation
	prepared *prepared

	machine Machine
	pub     *isohttp.Publication
	wasOn   bool      // before anything was touched
	claimed bool      // our claim is in the BMC
	erasing bool      // the machine was started from our media
	lease   time.Time // until when the claim lasts
	tag     string    // what the BMC bears, as far as is known
	started time.Time

	warnings []string
}

func (a *application) newInstall(host string) *install {
	return &install{
		r: a.r, timing: a.r.Timing.withDefaults(),
		change: *a.fleetPlan.Change(host), obs: a.world.Hosts[host], prepared: a.ready[host],
		tag: a.fleetPlan.Change(host).From.Marker,
	}
}

// A stage is one step of an install.
type stage struct {
	step Step
	do   func(*install, context.Context) error
}

// stages lists an install's steps in order: design section 5.
func stages() []stage {
	return []stage{
		{StepIdentity, (*install).identity},
		{StepClaim, (*install).claim},
		{StepPowerOff, (*install).powerOff},
		{StepInsert, (*install).insert},
		{StepBoot, (*install).boot},
		{StepInstall, (*install).watch},
		{StepEject, (*install).eject},
		{StepDisk, (*install).disk},
		{StepVerify, (*install).verify},
		{StepMarker, (*install).mark},
		{StepJournal, (*install).journal},
	}
}

// run takes all steps and returns what became of the host.
func (in *install) run(ctx context.Context) Outcome {
	in.started = time.Now()
	var err error
	in.machine, err = in.r.Dial(ctx, Target{Host: in.obs.Host, Address: in.obs.BMC})
	if err != nil {
		return in.outcome(ResultBlocked, StepIdentity, err)
	}
	defer in.machine.Close(context.WithoutCancel(ctx))
	defer in.withdraw()
	for _, s := range stages() {
		in.r.Emit(Event{Host: in.change.Host, Kind: Stepped, Step: s.step})
		if err := s.do(in, ctx); err != nil {
			return in.failed(ctx, s.step, err)
		}
	}
	return in.outcome(ResultInstalled, StepJournal, nil)
}

func (in *install) outcome(result Result, step Step, err error) Outcome {
	o := Outcome{
		Host: in.change.Host, Result: result, Step: step, Warnings: in.warnings, Marker: in.tag,
		Started: in.started, Finished: time.Now(),
	}
	if in.pub != nil {
		p := in.pub.Progress()
		o.Media = &p
	}
	if err != nil {
		o.Err = &HostError{Host: in.change.Host, Step: step, Err: err}
	}
	return o
}

// failed ends an install that could not take a step.
func (in *install) failed(ctx context.Context, step Step, err error) Outcome {
	switch {
	case ctx.Err() != nil && in.claimed:
		return in.outcome(ResultLeft, step, fmt.Errorf("interrupted %s; its claim ends at %s", in.leftAt(step), in.lease.Format(time.TimeOnly)))
	case ctx.Err() != nil:
		return in.outcome(ResultNotStarted, step, fmt.Errorf("interrupted before it was touched"))
	case errors.Is(err, ErrStale):
		return in.outcome(ResultStale, step, err)
	case errors.Is(err, ErrHeld):
		return in.outcome(ResultHeld, step, err)
	case !in.claimed:
		return in.outcome(ResultBlocked, step, err)
	}
	if !in.erasing {
		err = in.backToService(ctx, err)
	}
	reason := failureReason(step, err)
	m := marker.Marker{State: marker.Failed, Attempt: in.change.Attempt, Spec: in.change.To.Spec, Reason: reason}
	if e := in.setMarker(ctx, m); e != nil {
		in.warn("writing the failure into its marker: %v", e)
	}
	in.writeBack(ctx, "failed", err.Error())
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
// ran before.
func (in *install) backToService(ctx context.Context, cause error) error {
	errs := []error{in.machine.Eject(ctx), in.machine.ClearBoot(ctx)}
	if in.wasOn {
		errs = append(errs, in.machine.SetPower(ctx, redfish.On))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w; nor could it be brought back into service: %w", cause, err)
	}
	if in.wasOn {
		return fmt.Errorf("%w; its disks are untouched and it was powered on again", cause)
	}
	return fmt.Errorf("%w; its disks are untouched", cause)
}

func (in *install) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	in.warnings = append(in.warnings, text)
	in.r.Emit(Event{Host: in.change.Host, Kind: Warned, Text: text})
}

// withdraw stops offering the media.
func (in *install) withdraw() {
	if in.pub != nil {
		in.pub.Withdraw()
	}
}

// identity looks at the machine once more: it must be the declared one and
// must bear what the plan says.
func (in *install) identity(ctx context.Context) error {
	s, err := in.machine.Observe(ctx)
	if err != nil {
		return err
	}
	if err := identify(in.obs.Device.Serial, s); err != nil {
		return err
	}
	if tag := strings.TrimSpace(s.Marker.Value); tag != in.change.From.Marker {
		if m, err := marker.Parse(tag); err == nil && m.State == marker.Installing && m.Lease.After(time.Now()) {
			return fmt.Errorf("%w: run %s until %s", ErrHeld, m.Run, m.Lease.Format(time.TimeOnly))
		}
		return fmt.Errorf("%w: its marker was %q and is %q; plan again", ErrStale, in.change.From.Marker, tag)
	}
	in.wasOn = s.Power == redfish.On
	in.obs.System = s
	return nil
}

// claim proves that the marker can be written before anything is destroyed,
// and keeps other runs away.
func (in *install) claim(ctx context.Context) error {
	if err := in.renew(ctx); err != nil {
		if old := in.change.From.Marker; !errors.Is(err, context.Canceled) {
			err = errors.Join(err, in.restore(ctx, old))
		}
		return fmt.Errorf("claiming it: %w", err)
	}
	in.claimed = true
	return nil
}

// restore puts the former tag back after a claim that did not hold, so that a
// truncated claim does not stand where a marker was.
func (in *install) restore(ctx context.Context, tag string) error {
	s, err := in.machine.Observe(ctx)
	if err != nil || strings.TrimSpace(s.Marker.Value) == tag {
		return err
	}
	if err := in.machine.SetMarker(ctx, tag); err != nil {
		return fmt.Errorf("putting its former tag %q back: %w", tag, err)
	}
	return nil
}

// renew writes the claim with a lease that begins now.
func (in *install) renew(ctx context.Context) error {
	lease := time.Now().Add(in.timing.Lease).Truncate(time.Second)
	err := in.setMarker(ctx, marker.Marker{
		State: marker.Installing, Attempt: in.change.Attempt, Spec: in.change.To.Spec, Run: in.r.Run, Lease: lease,
	})
	if err == nil {
		in.lease = lease
	}
	return err
}

// setMarker writes a marker. One that a BMC keeps staged until the next reset
// counts as written: it is read back from where it is staged.
func (in *install) setMarker(ctx context.Context, m marker.Marker) error {
	tag := m.String()
	err := in.machine.SetMarker(ctx, tag)
	if e, ok := errors.AsType[*redfish.MarkerError](err); ok && e.Reason == redfish.MarkerStaged {
		err = nil
	}
	if err == nil {
		in.tag = tag
	}
	return err
}

func (in *install) powerOff(ctx context.Context) error {
	return in.machine.SetPower(ctx, redfish.Off)
}

// insert publishes the media under a URL of this attempt and puts it into the
// machine's drive.
func (in *install) insert(ctx context.Context) error {
	if err := in.machine.Eject(ctx); err != nil {
		return fmt.Errorf("ejecting what is in its drives: %w", err)
	}
	var err error
	in.pub, err = in.r.Media.Publish(isohttp.Medium{
		Host:    in.change.Host,
		Token:   isohttp.Token(in.r.Key, in.change.Host, in.change.To.Spec, strconv.Itoa(in.change.Attempt), in.r.Run),
		View:    in.prepared.view,
		Base:    in.prepared.base.Base,
		Regions: in.prepared.regions,
		Rest:    isohttp.Payload,
	})
	if err != nil {
		return fmt.Errorf("publishing its media: %w", err)
	}
	url, err := in.r.MediaURL(ctx, in.pub, in.obs.BMC, in.obs.System.MediaSchemes)
	if err != nil {
		return fmt.Errorf("finding the address at which it can reach the media server: %w", err)
	}
	if err := in.machine.Insert(ctx, url); err != nil {
		return fmt.Errorf("inserting its media: %w", err)
	}
	return nil
}

// boot starts the machine from its media, once.
func (in *install) boot(ctx context.Context) error {
	if err := in.machine.BootOnce(ctx); err != nil {
		return fmt.Errorf("setting it to boot from CD once: %w", err)
	}
	in.erasing = true
	return in.machine.SetPower(ctx, redfish.On)
}

func (in *install) eject(ctx context.Context) error {
	if err := in.machine.Eject(ctx); err != nil {
		return fmt.Errorf("ejecting the installer: %w", err)
	}
	if err := in.machine.ClearBoot(ctx); err != nil {
		return fmt.Errorf("clearing the boot override: %w", err)
	}
	return nil
}

func (in *install) disk(ctx context.Context) error {
	return in.machine.SetPower(ctx, redfish.On)
}

// verify waits until the installed host passes its role's checks.
func (in *install) verify(ctx context.Context) error {
	checks := in.r.Fleet.Roles[in.change.Role].Verify
	if len(checks) == 0 || in.r.Verify == nil {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, in.timing.Verify, errors.New("it did not pass its checks in time"))
	defer cancel()
	return in.r.Verify(ctx, Checked{Host: in.obs.Host, Address: primaryAddress(in.obs.Device), Env: in.env(), Checks: checks})
}

// primaryAddress returns the address to reach a host at: IPv4 before IPv6.
func primaryAddress(dev *netbox.Device) string {
	for _, p := range []netip.Prefix{dev.Primary4, dev.Primary6} {
		if p.IsValid() {
			return p.Addr().String()
		}
	}
	return ""
}

// env is what a verifying command learns of the host.
func (in *install) env() map[string]string {
	return map[string]string{
		"RECONCILE_HOST": in.change.Host, "RECONCILE_ADDRESS": primaryAddress(in.obs.Device),
		"RECONCILE_OS": in.change.OS, "RECONCILE_ROLE": in.change.Role, "RECONCILE_SITE": in.change.Site,
		"RECONCILE_RACK": in.change.Rack, "RECONCILE_RUN": in.r.Run, "RECONCILE_COMMIT": in.r.Commit,
	}
}

func (in *install) mark(ctx context.Context) error {
	err := in.setMarker(ctx, marker.Marker{
		State: marker.Installed, Attempt: in.change.Attempt, Spec: in.change.To.Spec, Config: in.change.To.Config, Label: in.change.To.Label,
	})
	if err != nil {
		return fmt.Errorf("writing its marker: %w", err)
	}
	return nil
}

// journal tells NetBox. The machine is installed whatever NetBox answers, so
// that an error is a warning.
func (in *install) journal(ctx context.Context) error {
	in.writeBack(ctx, "installed", "")
	return nil
}

func (in *install) writeBack(ctx context.Context, outcome, message string) {
	record := netbox.Record{
		DeviceID: in.obs.Device.ID, Run: in.r.Run, Commit: in.r.Commit, Marker: in.tag,
		Image: in.change.OS, Role: in.change.Role, Generation: in.obs.Host.Generation,
		Outcome: outcome, Message: message, Started: in.started, Finished: time.Now(), Link: in.r.Link,
	}
	if outcome == "installed" {
		record.Platform = in.change.OS
		record.Status = in.r.Fleet.Policy.NetBox.StatusAfter
	}
	if err := in.r.Inventory.WriteBack(ctx, record); err != nil {
		in.warn("telling NetBox: %v", err)
	}
}
