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
	w := watcher{install: in, began: time.Now(), deadline: in.r.Fleet.Images[in.change.OS].Deadline}
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
		if done || err != nil {
			return err
		}
	}
}

type watcher struct {
	*install
	began    time.Time // when the machine was started
	heard    time.Time // when its BMC last answered
	silent   bool      // its silence has been told
	deadline time.Duration
	off      int   // readings in a row that said Off
	told     int64 // bytes that the last progress event told of
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
		if p := w.pub.Progress(); p.Bytes != w.told {
			w.told = p.Bytes
			w.r.Emit(Event{Host: w.change.Host, Kind: Progressed, Step: StepInstall, Progress: &p})
		}
	}
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
	if p.First.IsZero() && now.Sub(w.began) > w.timing.Boot {
		return &verdict{"media-not-read", fmt.Sprintf("nothing was read from its media within %s of power-on: it did not boot from CD, or its BMC cannot reach this media server", w.timing.Boot)}
	}
	if now.Sub(w.began) > w.deadline {
		return &verdict{"deadline", fmt.Sprintf("it is still on after %s (the image's deadline): the installer stopped at an error or a question; look at its console; its media stay in until this run ends; last read: %s", w.deadline, lastRead(p))}
	}
	return nil
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

// read reports whether a phase was read as far as an install must read it: the
// answer file whole, of everything else something.
func read(p isohttp.Progress, phase answer.Phase) bool {
	of := p.Of(isohttp.Phase(phase))
	if phase == answer.PhaseAnswer {
		return of.Total > 0 && of.Distinct == of.Total
	}
	return of.Distinct > 0
}
