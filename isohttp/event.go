package isohttp

import (
	"net/netip"
	"sync"
	"time"
)

// EventKind says what happened to a medium.
type EventKind string

const (
	EventPublished EventKind = "published"
	EventReplaced  EventKind = "replaced"
	EventWithdrawn EventKind = "withdrawn"
	EventClient    EventKind = "client"   // a first request from an address
	EventRefused   EventKind = "refused"  // a request from an address that is not the medium's; once per address
	EventPhase     EventKind = "phase"    // the first byte of a phase in this boot
	EventProgress  EventKind = "progress" // bytes were read; at most once a second
	EventReload    EventKind = "reload"   // see [Progress.Reloads]
	EventRestart   EventKind = "restart"  // see [Progress.Restarts]
)

const progressEvery = time.Second

// Event is one thing that happened to a medium.
type Event struct {
	Kind   EventKind  `json:"kind"`
	At     time.Time  `json:"at"`
	Host   string     `json:"host"`
	Client netip.Addr `json:"client,omitzero"`
	Phase  Phase      `json:"phase,omitempty"` // of EventPhase
	Read   int64      `json:"read"`            // distinct bytes of the medium read so far
	Total  int64      `json:"total"`           // its size
}

// eventQueue hands events to a callback in order and never concurrently, without
// a goroutine of its own: whoever adds one sees to it that it is delivered, unless
// someone is already delivering.
type eventQueue struct {
	mu   sync.Mutex
	list []Event
	busy bool
}

func (q *eventQueue) push(e Event) {
	q.mu.Lock()
	q.list = append(q.list, e)
	q.mu.Unlock()
}

// deliver calls f for what is queued. f may cause further events.
func (q *eventQueue) deliver(f func(Event)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy {
		return
	}
	q.busy = true
	defer func() { q.busy = false }()
	for len(q.list) > 0 {
		batch := q.list
		q.list = nil
		func() {
			q.mu.Unlock()
			defer q.mu.Lock()
			for _, e := range batch {
				f(e)
			}
		}()
	}
}
