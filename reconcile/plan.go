package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/schema"
)

// An Action is what a plan does to one host.
type Action string

const (
	None      Action = "none"      // it is as declared, or nothing may be done about it
	Install   Action = "install"   // it bears nothing of ours yet
	Reinstall Action = "reinstall" // it bears something else than is declared
	Blocked   Action = "blocked"   // it should be looked at by a person; nothing is done
	Held      Action = "held"      // another run drives it
	Resume    Action = "resume"    // a dead run began its install; it is followed to its end
)

// A ReasonCode is one enumerated fact that made [Diff] choose an action. Codes
// are part of the JSON contract: they are added, never changed.
type ReasonCode string

const (
	InSync             ReasonCode = "in-sync"
	OSDiffers          ReasonCode = "os-differs"
	RoleDiffers        ReasonCode = "role-differs"
	GenerationDiffers  ReasonCode = "generation-differs"
	ConfigDiffers      ReasonCode = "config-differs"
	MarkerAbsent       ReasonCode = "marker-absent"
	MarkerForeign      ReasonCode = "marker-foreign"
	MarkerUnreadable   ReasonCode = "marker-unreadable"
	AttemptFailed      ReasonCode = "attempt-failed"
	LeaseEnded         ReasonCode = "lease-ended"
	OwnerGone          ReasonCode = "owner-gone"
	Resumable          ReasonCode = "resumable"
	Claimed            ReasonCode = "claimed"
	Undecided          ReasonCode = "undecided"
	Quarantined        ReasonCode = "quarantined"
	Protected          ReasonCode = "protected"
	Frozen             ReasonCode = "frozen"
	StatusForbids      ReasonCode = "status-forbids"
	NotReinstalled     ReasonCode = "policy-reinstall-on"
	InventoryDisagrees ReasonCode = "inventory"
	IdentityMismatch   ReasonCode = "identity-mismatch"
	Unreachable        ReasonCode = "unreachable"
	CredentialsRefuse  ReasonCode = "credentials"
	BMCUnsupported     ReasonCode = "bmc-unsupported"
	AnswerInvalid      ReasonCode = "answer-invalid"
	TakesAddress       ReasonCode = "takes-address"
	ByRequest          ReasonCode = "by-request"
)

// A Reason is a code and the words for it.
type Reason struct {
	Code ReasonCode `json:"code"`
	Text string     `json:"text"`
}

// A Drift is one named difference between what is declared and what was found.
type Drift struct {
	Kind string `json:"kind"` // os, role, generation, config, identity, inventory
	From string `json:"from"`
	To   string `json:"to"`
}

// A Change is what happens to one host, and why.
type Change struct {
	Host    string   `json:"host"`
	Action  Action   `json:"action"`
	Reasons []Reason `json:"reasons"`
	Drift   []Drift  `json:"drift,omitempty"`
	// Loses says what an install erases, for the person who reads the plan.
	Loses string `json:"loses,omitempty"`
	// Error is whether the host is not as it should be for a cause that a
	// person must mend.
	Error bool `json:"error,omitempty"`
	// Warnings are the inventory's and the policy's remarks that stop nothing.
	Warnings []string `json:"warnings,omitempty"`

	OS     string `json:"os"`
	Role   string `json:"role"`
	Site   string `json:"site,omitempty"`
	Rack   string `json:"rack,omitempty"`
	Domain string `json:"domain,omitempty"` // its failure domain, for the rollout

	// From is what the plan is bound to: Apply looks again and refuses a host
	// that has changed since.
	From Found `json:"from"`
	// To is the marker's digests and label once the host is as declared.
	To Wanted `json:"to"`
	// Attempt is the number that an install would be.
	Attempt int `json:"attempt,omitempty"`
	// Resume is the step at which an install is taken up that a dead run began.
	Resume Step `json:"resume,omitempty"`

	Pos schema.Position `json:"pos"`
}

// installed is the marker of the host once an install has succeeded.
func (c *Change) installed() marker.Marker {
	return marker.Marker{State: marker.Installed, Attempt: c.Attempt, Spec: c.To.Spec, Config: c.To.Config, Label: c.To.Label}
}

// Found is what was observed of one machine.
type Found struct {
	Marker  string `json:"marker"` // as it stands in the BMC; "" for none
	Serial  string `json:"serial,omitempty"`
	Power   string `json:"power,omitempty"`
	BMC     string `json:"bmc,omitempty"` // the address that was asked
	Vendor  string `json:"vendor,omitempty"`
	Model   string `json:"model,omitempty"`
	Profile string `json:"profile,omitempty"`
}

// Wanted is what is declared of one host, as a marker says it.
type Wanted struct {
	Spec   string `json:"spec"`
	Config string `json:"config"`
	Label  string `json:"label"`
}

// A Plan is everything that Apply will do, in order, and what it will leave
// alone. It can be stored and read back.
type Plan struct {
	Format int    `json:"format"`
	Commit string `json:"commit"` // "" when the fleet is in no repository
	Dirty  bool   `json:"dirty,omitempty"`
	// Limit and Options are what the plan was asked for with.
	Limit   []string `json:"limit,omitempty"`
	Options Options  `json:"options,omitzero"`
	Changes []Change `json:"changes"` // one for each selected host, sorted by name
	// Waves is the order of installs if all of them succeed.
	Waves [][]string `json:"waves,omitempty"`
	// Snapshot is when NetBox said what the plan rests on, when that was read
	// from a snapshot. Such a plan is to be looked at, never applied.
	Snapshot time.Time `json:"snapshot,omitzero"`
	// Down are hosts that were not chosen and are unavailable in a failure domain
	// of one that was; they count in its limits.
	Down []Neighbour `json:"down,omitempty"`
	// Bounds is the arithmetic behind the waves, in words; empty without installs.
	Bounds []string `json:"bounds,omitempty"`
	// Refused says why nothing of this plan may be applied; "" when it may.
	Refused string `json:"refused,omitempty"`
	// Notes concern no single host.
	Notes []string `json:"notes,omitempty"`
}

// A Neighbour is a host beside the chosen ones.
type Neighbour struct {
	Host   string `json:"host"`
	Role   string `json:"role"`
	Domain string `json:"domain"`
	Text   string `json:"text"` // why it is unavailable
}

// PlanFormat is the version of the plan's JSON form.
const PlanFormat = 1

// Installs returns the changes that erase a machine's disks.
func (p *Plan) Installs() []Change {
	var installs []Change
	for _, c := range p.Changes {
		if c.Action == Install || c.Action == Reinstall {
			installs = append(installs, c)
		}
	}
	return installs
}

// clone returns a copy whose changes can be changed.
func (p *Plan) clone() *Plan {
	c := *p
	c.Changes = slices.Clone(p.Changes)
	return &c
}

// Work returns the changes that Apply makes: the installs, and those that it
// follows to their end.
func (p *Plan) Work() []Change {
	var work []Change
	for _, c := range p.Changes {
		if c.worked() {
			work = append(work, c)
		}
	}
	return work
}

// Count returns how many changes have the action.
func (p *Plan) Count(a Action) (n int) {
	for _, c := range p.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Errors returns how many hosts need a person.
func (p *Plan) Errors() (n int) {
	for _, c := range p.Changes {
		if c.Error {
			n++
		}
	}
	return n
}

// Drifted returns how many hosts differ from what is declared, whatever is
// done about it.
func (p *Plan) Drifted() (n int) {
	for _, c := range p.Changes {
		if c.Action != None || len(c.Drift) > 0 {
			n++
		}
	}
	return n
}

// Change returns the change of one host, or nil.
func (p *Plan) Change(host string) *Change {
	for i := range p.Changes {
		if p.Changes[i].Host == host {
			return &p.Changes[i]
		}
	}
	return nil
}

// Differs returns the names of the hosts for which two plans do not say the
// same, and whether anything else about them differs.
func (p *Plan) Differs(q *Plan) (hosts []string, other bool) {
	for _, c := range p.Changes {
		if d := q.Change(c.Host); d == nil || !sameChange(c, *d) {
			hosts = append(hosts, c.Host)
		}
	}
	for _, c := range q.Changes {
		if p.Change(c.Host) == nil {
			hosts = append(hosts, c.Host)
		}
	}
	return hosts, p.Format != q.Format || p.Commit != q.Commit || p.Dirty != q.Dirty || p.Refused != q.Refused
}

// sameChange compares what is bound: words and positions may differ.
func sameChange(a, b Change) bool {
	return a.Action == b.Action && a.Attempt == b.Attempt && a.Resume == b.Resume && a.Loses == b.Loses && a.OS == b.OS && a.Role == b.Role &&
		a.To == b.To && a.From.Marker == b.From.Marker && a.From.Serial == b.From.Serial && a.From.BMC == b.From.BMC
}

// Errors that callers tell apart.
var (
	// ErrStale: a host, or the fleet, is no longer what the plan was made from.
	ErrStale = errors.New("plan is stale")
	// ErrRefused: the plan as a whole may not be applied.
	ErrRefused = errors.New("plan refused")
	// ErrWrongMachine: the machine behind a BMC is not the declared one.
	ErrWrongMachine = errors.New("wrong machine")
	// ErrInterrupted: the run was asked to stop before everything was done.
	ErrInterrupted = errors.New("interrupted")
	// ErrHeld: another run drives the host.
	ErrHeld = errors.New("held by another run")
)

// A HostError is an error of one host at one step.
type HostError struct {
	Host string
	Step Step
	Err  error
}

func (e *HostError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Host, e.Step, e.Err) }
func (e *HostError) Unwrap() error { return e.Err }
