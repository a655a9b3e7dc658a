package reconcile

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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
	w.heard = w.began
	for {
		wait := in.timing.Poll
		if w.off > 0 {
			wait = in.timing.Confirm
		}
		if err := w.wait(ctx, wait); err != nil {
			return err
		}
		done, err := w.look(ctx)
		if err == nil && !done {
			err = w.follow(ctx)
		}
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
	off      int           // readings in a row that said Off
	told     int64         // bytes that the last progress event told of
	reads
}

// reads is what was concluded from what was read of the media.
type reads struct {
	tamed    bool       // the media boot the machine's disk
	reloads  int        // boots from the media after the first that were told
	stranger netip.Addr // who was told of as reading what is not theirs
	stalled  time.Time  // when the last new byte was read before a stall that was told
	slow     bool       // that it is slow has been told
	lost     bool       // its drive holds its media no more
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
		if err := w.tame(p); err != nil {
			return err
		}
	}
}

// tame breaks the loop of a machine that boots from CD whenever there is one:
// once the installer runs, the same URL serves media that boot the disk.
func (w *watcher) tame(p isohttp.Progress) error {
	if w.tamed || !w.begun(p) {
		return nil
	}
	if err := w.pub.Replace(w.prepared.local); err != nil {
		return fmt.Errorf("letting its media boot the disk from now on: %w", err)
	}
	w.tamed = true
	return nil
}

// begun reports whether the installer itself has read from the media, so that
// firmware and boot loader need the menu that starts it no more. Until then
// the boot loader must have its kernel and initrd whole, for some readers look
// ahead, and since the machine was started, for some BMCs read media when they
// are inserted. Of an install that was taken up it is not known what was read
// before.
func (w *watcher) begun(p isohttp.Progress) bool {
	for _, phase := range []isohttp.Phase{isohttp.Kernel, isohttp.Initrd} {
		of := p.Of(phase)
		if w.change.Resume == "" && (of.Distinct < of.Total || of.Total > 0 && !of.Last.After(w.began)) {
			return false
		}
	}
	return p.Of(isohttp.Payload).Last.After(w.began)
}

// follow warns of what is odd about the reads. None of it ends the install:
// installers read when they like, and check media, and only the machine's power
// says that one is done.
func (w *watcher) follow(ctx context.Context) error {
	p, now := w.pub.Progress(), time.Now()
	if p.Reloads > w.reloads {
		w.reloads = p.Reloads
		then := ""
		if w.tamed {
			then = "; they start its disk now"
		}
		w.warn("it booted from its media again: its installer restarted it, or its firmware boots from CD whenever there is one%s", then)
	}
	if p.Refused > 0 && p.LastRefused != w.stranger {
		w.stranger = p.LastRefused
		w.warn("%s asked for its media and was refused: only its BMC may read them; if this is its BMC behind address translation, see --media-any-client", p.LastRefused)
	}
	if !w.slow && w.expected > 0 && now.Sub(w.began) > w.expected {
		w.slow = true
		w.warn("it takes longer than expected (%s); it counts as failed after %s; last read: %s", w.expected, w.deadline, lastRead(p))
	}
	if w.off > 0 || !p.LastNew.After(w.began) || p.LastNew.Equal(w.stalled) || now.Sub(p.LastNew) < w.timing.Stall {
		return nil
	}
	w.stalled = p.LastNew
	w.warn("it has read nothing new of its media for %s; last read: %s", w.timing.Stall, lastRead(p))
	return w.searchDrive(ctx)
}

// searchDrive looks whether the media are still in the machine's drive.
func (w *watcher) searchDrive(ctx context.Context) error {
	s, err := w.machine.Observe(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	holds := func(slot redfish.Slot) bool { return slot.Inserted && slot.Image == w.url }
	if err != nil || len(s.Slots) == 0 || slices.ContainsFunc(s.Slots, holds) {
		return nil // as far as is known
	}
	w.lost = true
	w.warn("its drive holds its media no more: its BMC has dropped them")
	return nil
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
		return &verdict{BMCSilent, fmt.Sprintf("its BMC has not answered for %s during the install: %v; it may still be installing", w.timing.BMC, err)}
	}
	return nil
}

// overdue says whether a machine that is on has been so for too long.
func (w *watcher) overdue(now time.Time) error {
	p := w.pub.Progress()
	// Most BMCs read the media when they are inserted: that is no boot.
	if w.change.Resume == "" && !p.Last.After(w.began) && now.Sub(w.began) > w.timing.Boot {
		return &verdict{MediaNotRead, fmt.Sprintf("nothing was read from its media within %s of power-on: it did not boot from CD, or its BMC cannot reach this media server", w.timing.Boot)}
	}
	if now.Sub(w.began) > w.deadline && w.lost {
		return &verdict{MediaLost, fmt.Sprintf("it is still on after %s (the image's deadline), and its BMC has dropped its media in the middle of the install; last read: %s", w.deadline, lastRead(p))}
	}
	if now.Sub(w.began) > w.deadline {
		return &verdict{PastDeadline, fmt.Sprintf("it is still on after %s (the image's deadline): the installer stopped at an error or a question; look at its console; its media stay in until this run ends; last read: %s%s", w.deadline, lastRead(p), w.rebooted())}
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
	return &verdict{OffTooEarly, fmt.Sprintf("it is off, but never read its %s: it lost power, or was switched off, before the install could finish", strings.Join(missing, ", "))}
}

// corroborateResumed judges an install that was taken up. What was read before
// is not known: it counts as finished if it went on reading, and if its role
// has checks that will tell a host that serves from one that does not.
func (w *watcher) corroborateResumed(p isohttp.Progress) error {
	switch {
	case p.Bytes == 0:
		return &verdict{ResumedBlind, "it is off, and has read nothing since its install was taken up from a dead run: it is not known whether the install has finished"}
	case len(w.r.Fleet.Roles[w.change.Role].Verify) == 0 || w.r.Verify == nil:
		return &verdict{ResumedBlind, fmt.Sprintf("it is off, its install was taken up from a dead run, and role %s has no checks (verify) that would tell whether it has finished", w.change.Role)}
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
