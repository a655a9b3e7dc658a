package reconcile

import (
	"time"

	"github.com/metalcue/metalcue/isohttp"
)

// A Step is one stage of an install (design: "one install").
type Step string

const (
	StepObserve  Step = "observe"
	StepPrepare  Step = "prepare"   // base image, answer file, patch: nothing is touched
	StepIdentity Step = "identity"  // the machine is the declared one, and as planned
	StepMedia    Step = "media"     // its media are offered
	StepClaim    Step = "claim"     // the marker is written and read back
	StepPowerOff Step = "power-off" //
	StepInsert   Step = "insert"    // virtual media ejected, inserted and proved
	StepBoot     Step = "boot"      // boot once from CD, power on
	StepInstall  Step = "install"   // the installer runs
	StepEject    Step = "eject"     // media out, override cleared
	StepDisk     Step = "disk"      // powered on from its disk
	StepVerify   Step = "verify"
	StepMarker   Step = "marker"  // installed, written and read back
	StepJournal  Step = "journal" // NetBox knows
)

// A Kind says what an [Event] tells.
type Kind string

const (
	Observed   Kind = "observed"   // one host was looked at
	Started    Kind = "started"    // a host's install begins
	Stepped    Kind = "step"       // a host enters a step
	Progressed Kind = "progress"   // the installer has read more
	Warned     Kind = "warning"    // something is odd, and the install goes on
	Finished   Kind = "finished"   // a host is installed, verified and marked
	Failed     Kind = "failed"     // a host's install failed
	Left       Kind = "left"       // a host was left in the middle by an interrupt
	Waiting    Kind = "waiting"    // the rollout waits
	Fetching   Kind = "fetching"   // a base image is being fetched or verified
	Draining   Kind = "draining"   // no further install starts
	NotStarted Kind = "notstarted" // the rollout never let a host start
)

// An Event is one thing that happened, in the order in which it happened.
type Event struct {
	At       time.Time         `json:"at"`
	Run      string            `json:"run"`
	Host     string            `json:"host,omitempty"`
	Kind     Kind              `json:"kind"`
	Step     Step              `json:"step,omitempty"`
	Text     string            `json:"text,omitempty"`
	Progress *isohttp.Progress `json:"progress,omitempty"`
	Error    string            `json:"error,omitempty"`
	// Done and Total count hosts for Observed, bytes for Fetching.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// A Result is what became of one host in a run.
type Result string

const (
	ResultInstalled  Result = "installed"
	ResultFailed     Result = "failed"
	ResultBlocked    Result = "blocked"     // found unfit before it was touched
	ResultNotStarted Result = "not-started" // a limit or an interrupt came first
	ResultLeft       Result = "left"        // interrupted in the middle
	ResultStale      Result = "stale"       // it changed since the plan was made
	ResultHeld       Result = "held"        // another run drives it
)

// A FailureCode is the word for why an install failed, which is also in the
// machine's marker: a verdict of the watch, or the name of the step that could
// not be taken, behind "pre-" when the disks were not touched.
type FailureCode string

const (
	BMCSilent    FailureCode = "bmc-silent"     // its BMC did not answer during the install
	MediaNotRead FailureCode = "media-not-read" // nothing was read from its media after power-on
	MediaLost    FailureCode = "media-lost"     // its media went out of the drive during the install
	PastDeadline FailureCode = "deadline"       // it was still on at the image's deadline
	OffTooEarly  FailureCode = "off-too-early"  // it was off before the install could be finished
	ResumedBlind FailureCode = "resumed-blind"  // taken up from a dead run, and nothing tells whether it has finished
)

// An Outcome is what became of one change of the plan.
type Outcome struct {
	Host     string            `json:"host"`
	Result   Result            `json:"result"`
	Step     Step              `json:"step,omitempty"` // where it ended
	Code     FailureCode       `json:"code,omitempty"` // why it failed
	Reason   string            `json:"reason,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Marker   string            `json:"marker,omitempty"` // what the BMC bears now, as far as is known
	Started  time.Time         `json:"started,omitzero"`
	Finished time.Time         `json:"finished,omitzero"`
	Media    *isohttp.Progress `json:"media,omitempty"`
	Err      error             `json:"-"`
}

// A Report says what became of every install of a plan.
type Report struct {
	Format   int       `json:"format"`
	Run      string    `json:"run"`
	Commit   string    `json:"commit"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Outcomes []Outcome `json:"outcomes"` // sorted by host
}

// Count returns how many outcomes have the result.
func (r *Report) Count(result Result) (n int) {
	for _, o := range r.Outcomes {
		if o.Result == result {
			n++
		}
	}
	return n
}

// Emit stamps an event and hands it to OnEvent, one at a time. Those who work
// on the run's behalf, such as a store that fetches an image, tell of it so.
func (r *Reconciler) Emit(ev Event) {
	if r.OnEvent == nil {
		return
	}
	r.emitting.Lock()
	defer r.emitting.Unlock()
	ev.At, ev.Run = time.Now(), r.Run
	r.OnEvent(ev)
}
