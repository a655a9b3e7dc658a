package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/redfish"
)

// offReadings is how many readings in a row must say Off.
const offReadings = 3

// watch follows the install until the machine is off. The answer file ends in
// power-off, so a machine that is off has finished and one that stays on has
// failed; and because power also fails, Off counts only when it is read three
// times and the answer file and the payload have been read from our media.
func (in *install) watch(ctx context.Context) error {
	image := in.r.Fleet.Images[in.change.OS]
	w := watcher{install: in, began: time.Now(), deadline: image.Deadline, expected: image.Expected}
	w.heard, w.grown = w.began, w.began
	for {
		wait := in.timing.Poll
		if w.off > 0 {
			wait = in.timing.Confirm
		}
		if err := w.wait(ctx, wait); err != nil {
			return err
		}
		done, err := w.look(ctx)
		if err != nil {
			return err
		}
		if done {
			return in.ended(ctx)
		}
	}
}

type watcher struct {
	*install
	began    time.Time // when the machine was started, or when its install was taken up
	heard    time.Time // when its BMC last answered
	silent   bool      // its silence has been told
	deadline time.Duration
	expected time.Duration // after which the install is called slow
	slow     bool          // that has been told
	off      int           // readings in a row that said Off
	told     int64         // bytes that the last progress event told of
	reads
}

// reads is what was concluded from what was read of the media.
type reads struct {
	distinct int64     // bytes read at least once, at the last look
	grown    time.Time // when they last became more
	stalled  bool      // that they do not has been told
	tamed    bool      // the media boot the machine's disk
	reloads  int       // boots from the media after the first that were told
	refused  int64     // requests of others that were told
}

// wait lets d pass, telling the progress of the media meanwhile.
func (w *watcher) wait(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(left, w.timing.Progress)); err != nil {
			return err
		}
		p := w.pub.Progress()
		if p.Bytes != w.told {
			w.told = p.Bytes
			w.r.Emit(Event{Host: w.change.Host, Kind: Progressed, Step: StepInstall, Progress: &p})
		}
		if err := w.follow(p, time.Now()); err != nil {
			return err
		}
	}
}

// follow draws conclusions from what was read of the media.
func (w *watcher) follow(p isohttp.Progress, now time.Time) error {
	if !w.tamed && w.begun(p) {
		if err := w.pub.Replace(w.prepared.local); err != nil {
			return fmt.Errorf("letting its media boot the disk from now on: %w", err)
		}
		w.tamed = true
	}
	if p.Reloads > w.reloads {
		w.reloads = p.Reloads
		w.warn("it booted from its media again, at %s: its installer did not end in power-off, or its firmware does not keep to boot once%s",
			p.Last.Format(time.TimeOnly), map[bool]string{true: "; they start its disk now"}[w.tamed])
	}
	switch {
	case p.Distinct > w.distinct || w.off > 0:
		w.distinct, w.grown, w.stalled = p.Distinct, now, false
	case !w.stalled && p.Last.After(w.began) && now.Sub(w.grown) > w.timing.Stall:
		w.stalled = true
		w.warn("it has read nothing new of its media for %s; last read: %s", w.timing.Stall, lastRead(p))
	}
	if !w.slow && w.expected > 0 && now.Sub(w.began) > w.expected {
		w.slow = true
		w.warn("it is slower than expected (%s); it counts as failed after %s", w.expected, w.deadline)
	}
	return nil
}

// begun reports whether the installer itself has read from the media, so that
// firmware and boot loader need the menu that starts it no more. Until then
// the boot loader must have its kernel and initrd whole, for some readers look
// ahead. Of an install that was taken up it is not known what was read before.
func (w *watcher) begun(p isohttp.Progress) bool {
	for _, phase := range []isohttp.Phase{isohttp.Kernel, isohttp.Initrd} {
		if of := p.Of(phase); of.Distinct < of.Total && w.change.Resume == "" {
			return false
		}
	}
	return p.Of(isohttp.Payload).Distinct > 0
}

// look reads the machine's power once and judges what is known.
func (w *watcher) look(ctx context.Context) (done bool, err error) {
	power, err := w.machine.Power(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	now := time.Now()
	if err != nil {
		return false, w.unheard(now, err)
	}
	w.heard, w.silent = now, false
	if power != redfish.Off {
		w.off = 0
		return false, w.overdue(now)
	}
	if w.off++; w.off < offReadings {
		return false, nil
	}
	return true, w.corroborate()
}

// unheard bears a silent BMC for a while.
func (w *watcher) unheard(now time.Time, err error) error {
	w.off = 0
	if !w.silent {
		w.silent = true
		w.warn("its BMC does not answer during the install: %v", err)
	}
	if now.Sub(w.heard) > w.timing.BMC {
		return &verdict{"bmc-silent", fmt.Sprintf("its BMC has not answered for %s during the install: %v; it may still be installing", w.timing.BMC, err)}
	}
	return nil
}

// overdue says whether a machine that is on has been so for too long.
func (w *watcher) overdue(now time.Time) error {
	p := w.pub.Progress()
	// Most BMCs read the media when they are inserted: that is no boot.
	if w.change.Resume == "" && !p.Last.After(w.began) && now.Sub(w.began) > w.timing.Boot {
		return &verdict{"media-not-read", fmt.Sprintf("nothing was read from its media within %s of power-on: it did not boot from CD, or its BMC cannot reach this media server", w.timing.Boot)}
	}
	if now.Sub(w.began) > w.deadline {
		return &verdict{"deadline", fmt.Sprintf("it is still on after %s (the image's deadline): the installer stopped at an error or a question; look at its console; its media stay in until this run ends; last read: %s%s", w.deadline, lastRead(p), w.rebooted())}
	}
	return nil
}

// rebooted says that the machine was booted from its media again.
func (w *watcher) rebooted() string {
	if w.reloads == 0 {
		return ""
	}
	return "; it has booted from its media again since, so that its installer seems to have restarted it where it should have powered it off"
}

func lastRead(p isohttp.Progress) string {
	if p.Last.IsZero() {
		return "nothing"
	}
	return fmt.Sprintf("%s at %s", p.Furthest(), p.Last.Format(time.TimeOnly))
}

// corroborate tells a finished install from a machine that lost its power.
func (w *watcher) corroborate() error {
	p := w.pub.Progress()
	if w.change.Resume != "" {
		return w.corroborateResumed(p)
	}
	var missing []string
	for _, phase := range w.prepared.rendered.Evidence {
		if !read(p, phase) {
			missing = append(missing, string(phase))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &verdict{"off-too-early", fmt.Sprintf("it is off, but never read its %s: it lost power, or was switched off, before the install could finish", strings.Join(missing, ", "))}
}

// corroborateResumed judges an install that was taken up. What was read before
// is not known: it counts as finished if it went on reading, and if its role
// has checks that will tell a host that serves from one that does not.
func (w *watcher) corroborateResumed(p isohttp.Progress) error {
	switch {
	case p.Bytes == 0:
		return &verdict{"resumed-blind", "it is off, and has read nothing since its install was taken up from a dead run: it is not known whether the install has finished"}
	case len(w.r.Fleet.Roles[w.change.Role].Verify) == 0 || w.r.Verify == nil:
		return &verdict{"resumed-blind", fmt.Sprintf("it is off, its install was taken up from a dead run, and role %s has no checks (verify) that would tell whether it has finished", w.change.Role)}
	}
	return nil
}

// read reports whether a phase was read as far as an install must read it: the
// answer file whole, of everything else something.
func read(p isohttp.Progress, phase answer.Phase) bool {
	of := p.Of(isohttp.Phase(phase))
	if phase == answer.PhaseAnswer {
		return of.Total > 0 && of.Distinct == of.Total
	}
	return of.Distinct > 0
}
