package isohttp

import (
	"net/netip"
	"time"
)

// Progress is what was read of a medium up to now. Distinct bytes are counted
// once however often they are read, and never too many. Under a pattern of
// reads in very many pieces (beyond 65,536 separate ranges) they may be too few.
type Progress struct {
	Host string `json:"host"`
	Size int64  `json:"size"` // of the medium, bytes

	Requests int64 `json:"requests"`
	Bytes    int64 `json:"bytes"`    // sent, repeats included
	Distinct int64 `json:"distinct"` // sent at least once
	Rate     int64 `json:"rate"`     // bytes per second, mean of the last seconds
	Active   int   `json:"active"`   // answers being sent at this moment

	First   time.Time `json:"first,omitzero"` // first byte sent
	Last    time.Time `json:"last,omitzero"`
	LastNew time.Time `json:"lastNew,omitzero"` // last byte that had not been sent before: Distinct grew

	// Resumed says that the medium was published before and that what was read
	// then is not known: nothing here may be taken as never read.
	Resumed bool `json:"resumed,omitempty"`

	Phases []PhaseProgress `json:"phases"` // in the order of the phases; those the medium has
	Files  []FileProgress  `json:"files"`  // those of which something was read, in the order of the regions

	// Reloads counts how often the boot loader was read again, or a kernel loaded
	// again, after initrd, answer file or payload: something booted from the
	// medium again. Restarts counts those that went on to the kernel: the
	// installer ran again. One boot leaves both at 0, however far a controller
	// reads ahead, if the files that differ between phases lie apart; see
	// Apart of iso9660.Edit.
	Reloads  int `json:"reloads"`
	Restarts int `json:"restarts"`

	Clients      []ClientProgress `json:"clients"`
	OtherClients int64            `json:"otherClients,omitempty"` // requests of further addresses

	// Refused counts the requests of addresses that may not read the medium,
	// none of which is counted above.
	Refused       int64      `json:"refused,omitempty"`
	LastRefused   netip.Addr `json:"lastRefused,omitzero"` // where the last came from
	LastRefusedAt time.Time  `json:"lastRefusedAt,omitzero"`
}

// PhaseProgress is the part of one phase in a [Progress].
type PhaseProgress struct {
	Phase    Phase     `json:"phase"`
	Total    int64     `json:"total"`
	Distinct int64     `json:"distinct"`
	Bytes    int64     `json:"bytes"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
}

// FileProgress is the part of one file in a [Progress].
type FileProgress struct {
	Phase    Phase     `json:"phase"`
	Path     string    `json:"path"`
	Total    int64     `json:"total"`
	Distinct int64     `json:"distinct"`
	Bytes    int64     `json:"bytes"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}

// ClientProgress is what one address has read.
type ClientProgress struct {
	Addr     netip.Addr `json:"addr"`
	Requests int64      `json:"requests"`
	Bytes    int64      `json:"bytes"`
	First    time.Time  `json:"first"`
	Last     time.Time  `json:"last"`
}

// Of returns the progress of one phase; its Total is 0 if the medium has no such
// phase.
func (p Progress) Of(phase Phase) PhaseProgress {
	for _, q := range p.Phases {
		if q.Phase == phase {
			return q
		}
	}
	return PhaseProgress{Phase: phase}
}

// File returns the progress of one file, summed over phases; its Total is 0 if
// nothing of it was read.
func (p Progress) File(path string) FileProgress {
	sum := FileProgress{Path: path}
	for _, f := range p.Files {
		if f.Path != path {
			continue
		}
		if sum.Total == 0 {
			sum = f
			continue
		}
		sum.Total += f.Total
		sum.Distinct += f.Distinct
		sum.Bytes += f.Bytes
		if f.First.Before(sum.First) {
			sum.First = f.First
		}
		if f.Last.After(sum.Last) {
			sum.Last = f.Last
		}
	}
	return sum
}

// Furthest returns the furthest phase in the order of a boot of which something
// was read, or "".
func (p Progress) Furthest() Phase {
	for i := structure - 1; i >= 0; i-- {
		if p.Of(phases[i]).Distinct > 0 {
			return phases[i]
		}
	}
	return ""
}

// snapshot fills in everything but the host.
func (a *account) snapshot(now time.Time) Progress {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := Progress{
		Size: a.size, Requests: a.requests, Bytes: a.bytes, Distinct: a.distinct,
		Rate: a.rate.perSecond(now.UnixNano(), a.first), First: timeOf(a.first), Last: timeOf(a.last),
		LastNew: timeOf(a.lastNew), Resumed: a.resumed,
		Phases: []PhaseProgress{}, Files: []FileProgress{}, Clients: []ClientProgress{},
		Reloads: a.boot.reloads, Restarts: a.boot.restarts, OtherClients: a.others,
	}
	var sums [phaseCount]fileAccount
	for i := range a.files {
		f := &a.files[i]
		sums[f.phase].add(f)
		if f.bytes > 0 && f.path != "" {
			p.Files = append(p.Files, FileProgress{phases[f.phase], f.path, f.total, f.distinct, f.bytes, timeOf(f.first), timeOf(f.last)})
		}
	}
	for i, f := range sums {
		if f.total > 0 {
			p.Phases = append(p.Phases, PhaseProgress{phases[i], f.total, f.distinct, f.bytes, timeOf(f.first), timeOf(f.last)})
		}
	}
	for _, c := range a.clients {
		p.Clients = append(p.Clients, ClientProgress{c.addr, c.requests, c.bytes, timeOf(c.first), timeOf(c.last)})
	}
	return p
}

func (f *fileAccount) add(g *fileAccount) {
	f.total += g.total
	f.bytes += g.bytes
	f.distinct += g.distinct
	if g.first != 0 && (f.first == 0 || g.first < f.first) {
		f.first = g.first
	}
	f.last = max(f.last, g.last)
}

func timeOf(unixNano int64) time.Time {
	if unixNano == 0 {
		return time.Time{}
	}
	return time.Unix(0, unixNano).UTC()
}
