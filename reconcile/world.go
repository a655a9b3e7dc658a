package reconcile

import (
	"slices"
	"time"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
)

// A World is what Observe saw of the selected hosts, and when.
type World struct {
	At     time.Time
	Commit string
	Dirty  bool
	Limit  []string // the selector's expressions
	// Snapshot is when NetBox said what it says here, in a run from a
	// snapshot; it is zero when NetBox was asked.
	Snapshot time.Time
	// Fatal are findings that concern no single host and stop the run.
	Fatal []netbox.Finding
	// Notes are findings that concern no declared host and stop nothing.
	Notes []netbox.Finding
	// Hosts holds an observation for every selected host.
	Hosts map[string]*Observation
	// Neighbours are the hosts that were not selected and that share a failure
	// domain of their role with one that was: what is down of them counts.
	Neighbours map[string]*Observation
}

// An Observation is what the world said about one host. A host that cannot be
// read is an observation with an error, not an error of Observe.
type Observation struct {
	Host      *schema.Host
	Device    *netbox.Device // nil when NetBox has none
	Network   netbox.Network
	Findings  []netbox.Finding
	BMC       string          // the address that was asked; "" when there is none
	System    *redfish.System // nil when Err is set, or nothing could be asked
	Err       error           // why the BMC could not be read
	Orphan    bool            // a drive of it holds media of this very server's address, from before this run
	Config    string          // digest of the answer file as it would be now
	Mark      string          // the marker that it will bear once it is installed; "" before that is prepared
	AnswerErr error           // why the answer file cannot be rendered; nil when it can
}

// clone returns a copy whose observations can be changed.
func (w *World) clone() *World {
	c := *w
	c.Hosts = make(map[string]*Observation, len(w.Hosts))
	for name, o := range w.Hosts {
		own := *o
		c.Hosts[name] = &own
	}
	return &c
}

// Findings returns all that was found wrong in NetBox about the chosen hosts
// and about the whole, sorted by where in the fleet it is declared.
func (w *World) Findings() []netbox.Finding {
	all := slices.Concat(w.Fatal, w.Notes)
	for _, name := range sortedKeys(w.Hosts) {
		all = append(all, w.Hosts[name].Findings...)
	}
	slices.SortStableFunc(all, func(a, b netbox.Finding) int { return a.Pos.Compare(b.Pos) })
	return all
}
