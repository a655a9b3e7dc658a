package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/rollout"
	"github.com/metalcue/metalcue/schema"
)

// Options are a person's words for one run, beyond what is declared.
type Options struct {
	// InstallUnmarked are hosts that may be installed although their machine
	// bears no marker and NetBox says that it is in service.
	InstallUnmarked []string `json:"installUnmarked,omitempty"`
	// Retry are quarantined hosts that get one more attempt.
	Retry []string `json:"retry,omitempty"`
	// MaxInstalls lowers or raises policy.guard.maxInstalls; 0 leaves it.
	MaxInstalls int `json:"maxInstalls,omitempty"`
}

// Diff decides what to do about each host of the world. It does no I/O, reads
// no clock, and returns equal plans for equal arguments.
func Diff(f *schema.Fleet, w *World, o Options) *Plan {
	p := &Plan{Format: PlanFormat, Commit: w.Commit, Dirty: w.Dirty, Limit: w.Limit, Options: o}
	for _, name := range sortedKeys(w.Hosts) {
		d := decider{fleet: f, world: w, options: o, obs: w.Hosts[name], host: w.Hosts[name].Host}
		p.Changes = append(p.Changes, d.decide())
	}
	for _, n := range w.Notes {
		p.Notes = append(p.Notes, n.Msg)
	}
	if p.Snapshot = w.Snapshot; !p.Snapshot.IsZero() {
		p.Notes = append(p.Notes, fmt.Sprintf("NetBox was not asked: this is what it said at %s, %s before, and the plan cannot be applied",
			p.Snapshot.UTC().Format(time.RFC3339), w.At.Sub(p.Snapshot).Round(time.Minute)))
	}
	for _, name := range sortedKeys(w.Neighbours) {
		d := decider{fleet: f, world: w, options: o, obs: w.Neighbours[name], host: w.Neighbours[name].Host}
		if c := d.decide(); c.down() || c.unavailable() {
			p.Down = append(p.Down, Neighbour{Host: c.Host, Role: c.Role, Domain: c.Domain, Text: c.Reasons[0].Text})
		}
	}
	hosts, unavailable := rolloutHosts(p)
	p.Waves = rollout.Waves(Limits(f), rolloutRoles(f), hosts, unavailable)
	p.Bounds = bounds(f, hosts, unavailable)
	p.Refused = refusal(f, w, p, o)
	return p
}

// refusal returns why the plan as a whole may not be applied.
func refusal(f *schema.Fleet, w *World, p *Plan, o Options) string {
	if len(w.Fatal) > 0 {
		var all []string
		for _, finding := range w.Fatal {
			all = append(all, finding.Msg)
		}
		return strings.Join(all, "; ")
	}
	most := f.Policy.Guard.MaxInstalls
	if o.MaxInstalls > 0 {
		most = o.MaxInstalls
	}
	if n := len(p.Installs()); n > most {
		return fmt.Sprintf("%d installs are more than policy.guard.maxInstalls allows in one run (%d); narrow the run with --limit, or allow it with --max-installs %d", n, most, n)
	}
	n, hosts, percent := p.Count(Reinstall), len(f.Hosts), f.Policy.Guard.MaxPercent
	if n*100 > percent*hosts {
		return fmt.Sprintf("%d reinstalls are %d %% of the fleet's %d hosts, more than policy.guard.maxPercent allows in one run (%d %%); narrow the run with --limit", n, n*100/hosts, hosts, percent)
	}
	return ""
}

// A decider decides about one host.
type decider struct {
	fleet   *schema.Fleet
	world   *World
	options Options
	obs     *Observation
	host    *schema.Host
	change  Change
}

func (d *decider) decide() Change {
	d.describe()
	if !d.blocked() {
		d.readMarker()
	}
	return d.change
}

// describe fills in what is known whatever is decided.
func (d *decider) describe() {
	h, image := d.host, d.fleet.Images[d.host.OS]
	d.change = Change{
		Host: h.Name, OS: h.OS, Role: h.Role, Site: h.Site, Pos: h.Pos,
		To: Wanted{Spec: SpecDigest(image.SHA256, h.Role, h.Generation), Config: d.obs.Config, Label: h.OS},
	}
	if dev := d.obs.Device; dev != nil {
		d.change.Rack = dev.Rack
		if dev.Site != "" {
			d.change.Site = dev.Site
		}
	}
	d.change.Domain = failureDomain(d.fleet.Roles[h.Role], h, d.obs.Device)
	d.change.From.BMC = d.obs.BMC
	if s := d.obs.System; s != nil {
		d.change.From = Found{
			Marker: strings.TrimSpace(s.Marker.Value), Serial: s.Serial, Power: string(s.Power), BMC: d.obs.BMC,
			Vendor: s.Vendor, Model: s.Model, Profile: s.Profile,
		}
	}
	for _, f := range d.obs.Findings {
		if f.Severity == netbox.Warning {
			d.change.Warnings = append(d.change.Warnings, f.Msg)
		}
	}
}

// blocked looks for what forbids every action, and reports whether it found it.
func (d *decider) blocked() bool {
	for _, f := range d.obs.Findings {
		if f.Severity != netbox.Warning {
			d.block(InventoryDisagrees, f.Msg)
			d.change.Drift = append(d.change.Drift, Drift{Kind: "inventory", From: f.Got, To: f.Want})
		}
	}
	if d.obs.Err != nil {
		d.unread()
	} else if d.obs.System == nil && !d.change.Error {
		d.block(Unreachable, "its BMC was not asked")
	}
	if d.obs.System != nil && d.obs.System.Refusal != "" {
		d.block(BMCUnsupported, d.obs.System.Refusal)
	}
	if d.obs.System != nil && d.obs.Device != nil {
		if err := identify(d.obs.Device.Serial, d.obs.System); err != nil {
			d.block(IdentityMismatch, err.Error())
			d.change.Drift = append(d.change.Drift, Drift{Kind: "identity", From: d.obs.System.Serial, To: d.obs.Device.Serial})
		}
	}
	if d.obs.AnswerErr != nil {
		d.block(AnswerInvalid, d.obs.AnswerErr.Error())
	}
	return d.change.Error
}

func (d *decider) block(code ReasonCode, text string) {
	d.change.Action, d.change.Error = Blocked, true
	d.because(code, text)
}

func (d *decider) because(code ReasonCode, text string) {
	d.change.Reasons = append(d.change.Reasons, Reason{Code: code, Text: text})
}

// unread tells the ways in which a BMC cannot be read apart, each with what to
// do about it.
func (d *decider) unread() {
	err, bmc := d.obs.Err, d.obs.BMC
	switch {
	case errors.Is(err, credential.ErrNotFound):
		d.block(CredentialsRefuse, fmt.Sprintf("no login for its BMC at %s: %v", bmc, err))
	case errors.Is(err, redfish.ErrAuth):
		d.block(CredentialsRefuse, fmt.Sprintf("its BMC at %s refuses the login %q: %v; correct that login, or name another in bmc.credentials", bmc, d.host.BMC.Credentials, err))
	case errors.Is(err, redfish.ErrTLS):
		d.block(Unreachable, fmt.Sprintf("its BMC at %s: %v; see bmc.tls", bmc, err))
	case errors.Is(err, redfish.ErrUnsupported):
		d.block(BMCUnsupported, fmt.Sprintf("its BMC at %s: %v", bmc, err))
	case errors.Is(err, redfish.ErrUnreachable):
		d.block(Unreachable, fmt.Sprintf("its BMC at %s does not answer: %v; check its oob_ip in NetBox and the way from here to it", bmc, err))
	default:
		d.block(Unreachable, fmt.Sprintf("its BMC at %s cannot be read: %v", bmc, err))
	}
}

// readMarker decides by what the machine bears.
func (d *decider) readMarker() {
	tag := d.obs.System.Marker
	if !tag.Present && tag.Where == redfish.WhereLabel {
		d.block(MarkerUnreadable, "its BMC shows no labels of boot entries, where its marker is to be (bmc.marker); reconcile probe says why")
		return
	}
	if !tag.Present {
		d.block(MarkerUnreadable, "its BMC has no asset tag to keep a marker in; declare another marker place or manage it by hand")
		return
	}
	m, err := marker.Parse(tag.Value)
	switch {
	case errors.Is(err, marker.ErrAbsent):
		d.absent()
	case err != nil:
		d.block(MarkerForeign, fmt.Sprintf("%v; clear the tag if it may be overwritten, then adopt or install the host", err))
	case m.State == marker.Installed:
		d.installed(m)
	case m.IsClaim():
		d.claimed(m)
	case m.State == marker.Failed:
		d.failedBefore(m)
	}
}

// absent installs a device that is not in service yet; one that is waits for a
// person. Absence is never permission.
func (d *decider) absent() {
	d.change.Drift = []Drift{{Kind: "os", To: d.host.OS}}
	status := d.obs.Device.Status
	asked := slices.Contains(d.options.InstallUnmarked, d.host.Name)
	text := fmt.Sprintf("it bears no marker, and NetBox says %q", status)
	if !asked && !slices.Contains(d.fleet.Policy.NetBox.InstallUnmarked, status) {
		d.change.Action = Blocked
		d.because(MarkerAbsent, fmt.Sprintf("%s; check what runs there, then: reconcile adopt %s, or: reconcile --install-unmarked %s", text, d.host.Name, d.host.Name))
		return
	}
	d.because(MarkerAbsent, text)
	if asked {
		d.because(ByRequest, "asked for by --install-unmarked")
	}
	d.change.Loses = "whatever is on its disks"
	d.install(Install, 1)
}

// installed compares what is installed with what is declared.
func (d *decider) installed(m marker.Marker) {
	have, known := recognise(d.fleet, d.host, m)
	want := installation{OS: d.host.OS, Role: d.host.Role, Generation: d.host.Generation, Config: d.obs.Config}
	if !known && have.OS == want.OS {
		have.OS += " (another image)"
	}
	if m.Spec == d.change.To.Spec {
		have.OS = want.OS // an image may be declared under two names
	}
	if m.Spec != d.change.To.Spec || len(d.obs.takes()) > 0 {
		have.Config = want.Config // another installation has another configuration, which says nothing
	}
	d.change.Drift = differences(have, want)
	if len(d.change.Drift) == 0 {
		d.change.Action = None
		d.because(InSync, fmt.Sprintf("%s, role %s, generation %d", have.OS, have.Role, have.Generation))
		return
	}
	on := d.fleet.Policy.ReinstallOn
	acts := map[string]bool{"os": on.OS, "role": on.Role, "generation": on.Generation, "config": on.Config}
	codes := map[string]ReasonCode{"os": OSDiffers, "role": RoleDiffers, "generation": GenerationDiffers, "config": ConfigDiffers}
	act := false
	for _, drift := range d.change.Drift {
		d.because(codes[drift.Kind], fmt.Sprintf("%s: %s → %s", drift.Kind, drift.From, drift.To))
		act = act || acts[drift.Kind]
	}
	if !act {
		d.change.Action = None
		d.because(NotReinstalled, "policy.reinstallOn asks for no reinstall over this")
		return
	}
	d.change.Loses = fmt.Sprintf("%s, role %s", have.OS, have.Role)
	d.install(Reinstall, 1)
}

// claimed keeps away from a living run's host. A dead run's install is followed
// to its end where it is known how far it is: the installer has ended, or it
// runs, from media that this process can serve. Otherwise it is made again.
func (d *decider) claimed(m marker.Marker) {
	held := m.HeldAt(d.world.At)
	switch {
	case held && !d.obs.Orphan:
		d.change.Action = Held
		d.because(Claimed, fmt.Sprintf("run %s installs it, and holds it until %s", m.Run, m.Lease.Format(time.RFC3339)))
		return
	case held:
		d.because(OwnerGone, fmt.Sprintf("run %s began attempt %d and is gone: the media in its drive are to come from here, where nobody else serves them", m.Run, m.Attempt))
	default:
		d.because(LeaseEnded, fmt.Sprintf("run %s began attempt %d and has not been heard of since %s", m.Run, m.Attempt, m.Lease.Format(time.RFC3339)))
	}
	same := m.Spec == d.change.To.Spec
	switch {
	case same && m.State == marker.Verifying:
		d.resume(m, StepEject, "its installer has ended")
	case same && held && d.obs.System.Power == redfish.On:
		d.resume(m, StepInstall, "its installer runs")
	case m.State == marker.Verifying:
		d.again(m, "what that attempt has installed", true)
	default:
		d.again(m, "whatever that attempt has left", false)
	}
}

// resume takes up a dead run's install at a step.
func (d *decider) resume(m marker.Marker, at Step, text string) {
	d.change.Drift = []Drift{{Kind: "os", To: d.host.OS}}
	d.change.Resume = at
	d.because(Resumable, fmt.Sprintf("%s, and is taken up at step %s", text, at))
	d.install(Resume, m.Attempt)
}

// failedBefore tries again until the attempts are spent.
func (d *decider) failedBefore(m marker.Marker) {
	d.because(AttemptFailed, fmt.Sprintf("attempt %d failed: %s", m.Attempt, m.Reason))
	if strings.HasPrefix(m.Reason, untouched) {
		d.again(m, "what ran there before that attempt", false)
		return
	}
	d.again(m, "an unfinished install", true)
}

// again makes the next attempt, unless the attempts for this spec are spent.
// When the attempt was for another declaration and may not have touched the
// disks (erased is false), what runs there may well be what is declared now:
// a person decides.
func (d *decider) again(m marker.Marker, loses string, erased bool) {
	d.change.Drift = []Drift{{Kind: "os", To: d.host.OS}}
	attempt, same := m.Attempt+1, m.Spec == d.change.To.Spec
	if !same {
		attempt = 1
	}
	retry := slices.Contains(d.options.Retry, d.host.Name)
	remedy := fmt.Sprintf("look at it, and then: reconcile adopt %[1]s, or: reconcile --retry %[1]s", d.host.Name)
	switch {
	case retry:
		d.because(ByRequest, "asked for by --retry")
	case !same && !erased:
		d.block(Undecided, "that was for another declaration, and what runs there now is not known; "+remedy)
		return
	case attempt > d.fleet.Policy.Attempts:
		d.block(Quarantined, fmt.Sprintf("%d attempts were made (policy.attempts); change its declaration, or %s", m.Attempt, remedy))
		return
	}
	d.change.Loses = loses
	d.install(Reinstall, min(attempt, 9))
}

// install plans an install unless something says that this is not the time.
func (d *decider) install(a Action, attempt int) {
	d.change.Action, d.change.Attempt = a, attempt
	switch status := d.obs.Device.Status; {
	case d.host.Protect:
		d.hold(Protected, "it is protected (protect: true)")
	case a == Reinstall && !slices.Contains(d.fleet.Policy.NetBox.Install, status):
		d.hold(StatusForbids, fmt.Sprintf("NetBox says %q, and policy.netbox.install allows %s only", status, strings.Join(d.fleet.Policy.NetBox.Install, ", ")))
	}
	for _, p := range d.obs.takes() {
		d.because(TakesAddress, fmt.Sprintf("takes the next free address of %s in NetBox and makes it its primary one", p))
	}
	if f := d.fleet.Policy.FrozenAt(d.world.At); f != nil {
		d.hold(Frozen, fmt.Sprintf("frozen until %s: %s", f.Until.Format(time.RFC3339), f.Reason))
	}
}

// hold turns a planned install into a report of why it is not made.
func (d *decider) hold(code ReasonCode, text string) {
	d.change.Action, d.change.Loses, d.change.Attempt, d.change.Resume = Blocked, "", 0, ""
	d.because(code, text)
}

// identify compares the serial that NetBox has with every place where vendors
// keep it.
func identify(serial string, s *redfish.System) error {
	want := strings.TrimSpace(serial)
	found := []string{s.Serial, s.SKU, s.UUID, s.ChassisSerial}
	for i, have := range found {
		found[i] = strings.TrimSpace(have)
		if want != "" && strings.EqualFold(found[i], want) {
			return nil
		}
	}
	return fmt.Errorf("%w: NetBox has serial %q, the machine says serial %q, SKU %q, chassis %q, UUID %q; correct the device's serial or its oob_ip in NetBox",
		ErrWrongMachine, want, found[0], found[1], found[3], found[2])
}

// failureDomain returns the host's domain as its role defines one.
func failureDomain(r *schema.Role, h *schema.Host, dev *netbox.Device) string {
	label, isLabel := strings.CutPrefix(r.Rollout.Domain, "label:")
	switch {
	case isLabel:
		return h.Labels[label]
	case r.Rollout.Domain == "role" || dev == nil:
		return r.Name
	case r.Rollout.Domain == "site":
		return dev.Site
	}
	return dev.Site + "/" + dev.Rack
}
