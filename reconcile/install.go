package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	url     string                  // of its media
	found   []string                // URLs of what was in its drives when the install began
	schemes []string                // in which its BMC can fetch them
	wasOn   bool                    // before anything was touched
	erasing bool                    // the machine was started from our media
	claim   claim                   // its word in the BMC
	lose    context.CancelCauseFunc // ends the install when the claim is another's
	started time.Time

	mu       sync.Mutex
	warnings []string
}

func (a *application) newInstall(host string) *install {
	in := &install{
		r: a.r, timing: a.r.Timing.withDefaults(),
		change: *a.plan.Change(host), obs: a.world.Hosts[host], prepared: a.ready[host],
	}
	in.erasing = in.change.Resume != ""
	in.claim.said.stage = marker.Installing
	if in.change.Resume == StepEject {
		in.claim.said.stage = marker.Verifying
	}
	return in
}

// A stage is one step of an install.
type stage struct {
	step Step
	do   func(*install, context.Context) error
}

// stages lists the steps of an install, in order: design section 5. One that is
// taken up at a later step has some of them behind it, but is no less sure of
// its machine and of its claim.
func stages(resume Step) []stage {
	all := []stage{
		{StepIdentity, (*install).identity},
		{StepMedia, (*install).media},
		{StepClaim, (*install).take},
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
	behind := map[Step][]Step{
		StepInstall: {StepPowerOff, StepInsert, StepBoot},
		StepEject:   {StepMedia, StepPowerOff, StepInsert, StepBoot, StepInstall},
	}
	return slices.DeleteFunc(all, func(s stage) bool { return slices.Contains(behind[resume], s.step) })
}

// run takes all steps and returns what became of the host. Its media stay in
// place for a person to look at when it fails; the application withdraws them.
func (in *install) run(outer context.Context) Outcome {
	in.started = time.Now()
	ctx, lose := context.WithCancelCause(outer)
	defer lose(nil)
	in.lose = lose
	var err error
	in.machine, err = in.r.Dial(ctx, in.obs.target())
	if err != nil {
		return in.outcome(ResultBlocked, StepIdentity, err)
	}
	defer in.machine.Close(context.WithoutCancel(ctx))
	defer in.release()
	for _, s := range stages(in.change.Resume) {
		in.r.Emit(Event{Host: in.change.Host, Kind: Stepped, Step: s.step})
		if err := s.do(in, ctx); err != nil {
			return in.failed(ctx, outer, s.step, err)
		}
	}
	in.withdraw()
	return in.outcome(ResultInstalled, StepJournal, nil)
}

func (in *install) outcome(result Result, step Step, err error) Outcome {
	in.mu.Lock()
	defer in.mu.Unlock()
	o := Outcome{
		Host: in.change.Host, Result: result, Step: step, Warnings: slices.Clone(in.warnings), Marker: cmp.Or(in.claim.now().tag, in.change.From.Marker),
		Started: in.started, Finished: time.Now(),
	}
	if in.pub != nil {
		p := in.pub.Progress()
		o.Media = &p
	}
	if err != nil {
		if result == ResultFailed {
			o.Code = failureReason(step, err, in.erasing)
		}
		o.Err = &HostError{Host: in.change.Host, Step: step, Err: err}
	}
	return o
}

func (in *install) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	in.mu.Lock()
	in.warnings = append(in.warnings, text)
	in.mu.Unlock()
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
		if m, err := marker.Parse(tag); err == nil && m.HeldAt(time.Now()) {
			return heldBy(tag)
		}
		return fmt.Errorf("%w: its marker was %q and is %q; plan again", ErrStale, in.change.From.Marker, tag)
	}
	if err := in.permitted(ctx); err != nil {
		return err
	}
	in.wasOn = s.Power == redfish.On
	in.schemes = s.MediaSchemes
	for _, slot := range s.Slots {
		if slot.Inserted {
			in.found = append(in.found, slot.Image)
		}
	}
	return nil
}

// permitted asks once more whether the machine may be erased now: a freeze may
// have begun since the plan was made, or somebody may have said something else
// in NetBox. Following an install that has begun erases nothing.
func (in *install) permitted(ctx context.Context) error {
	if in.change.Resume != "" {
		return nil
	}
	policy, was := &in.r.Fleet.Policy, in.obs.Device
	if f := policy.FrozenAt(time.Now()); f != nil {
		return fmt.Errorf("%w: frozen until %s: %s", errForbidden, f.Until.Format(time.RFC3339), f.Reason)
	}
	devices, err := in.r.Inventory.Recheck(ctx, was.ID)
	if err != nil {
		return fmt.Errorf("reading its device in NetBox once more: %w", err)
	}
	if objection := netbox.Objection(&policy.NetBox, was, devices[was.ID]); objection != "" {
		return fmt.Errorf("%w: since the plan was made, %s", errForbidden, objection)
	}
	return nil
}

// media offers its media before anything is touched: a media server that this
// BMC cannot reach costs nobody anything. Their URL is this attempt's and these
// very bytes', so that a run that takes the attempt up serves what is in the
// drive, or knows that it cannot.
func (in *install) media(ctx context.Context) (err error) {
	view := in.prepared.view
	in.pub, err = in.r.Media.Publish(isohttp.Medium{
		Host:    in.change.Host,
		Token:   isohttp.Token(in.r.Key, in.change.Host, in.change.To.Spec, strconv.Itoa(in.change.Attempt), view.Digest(in.prepared.base.SHA256)),
		View:    view,
		Base:    in.prepared.base.Base,
		Regions: in.prepared.regions,
		Rest:    isohttp.Payload,
		Allow:   in.r.mediaClient(in.obs.BMC),
		Resumed: in.change.Resume != "",
	})
	if err != nil {
		return err
	}
	in.url, err = in.r.MediaURL(ctx, in.pub, in.obs.BMC, in.schemes)
	if err != nil {
		return fmt.Errorf("finding the address at which it can reach the media server: %w", err)
	}
	if in.change.Resume == StepInstall && !slices.Contains(in.found, in.url) {
		m, _ := marker.Parse(in.change.From.Marker)
		return fmt.Errorf("%w: the media in its drive are not those that would be made now, so that its installer cannot go on; its claim ends at %s, and the first run after that installs it again",
			ErrHeld, m.Lease.Format(time.TimeOnly))
	}
	return nil
}

func (in *install) powerOff(ctx context.Context) error {
	return in.machine.SetPower(ctx, redfish.Off)
}

// insert puts its media into the machine's drive.
func (in *install) insert(ctx context.Context) error {
	if err := in.machine.Eject(ctx); err != nil {
		return fmt.Errorf("ejecting what is in its drives: %w", err)
	}
	if err := in.machine.Insert(ctx, in.url); err != nil {
		return fmt.Errorf("inserting its media: %w", err)
	}
	return nil
}

// boot starts the machine from its media, once.
func (in *install) boot(ctx context.Context) error {
	if err := in.machine.BootOnce(ctx); err != nil {
		return fmt.Errorf("setting it to boot from CD once: %w", err)
	}
	if err := in.owned(ctx); err != nil {
		return err // the last moment at which nothing is lost
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
	in.release()
	if err := in.owned(ctx); err != nil {
		return err
	}
	err := in.setMarker(ctx, in.change.installed())
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
		DeviceID: in.obs.Device.ID, Run: in.r.Run, Commit: in.r.Commit, Marker: in.claim.now().tag,
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
