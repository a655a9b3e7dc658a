package isohttp

import (
	"net/netip"
	"sync"
	"time"
)

// account keeps what was read of one medium. Bytes count once they were handed
// to the network.
type account struct {
	host   string
	events *eventQueue // nil: nobody listens

	mu    sync.Mutex
	size  int64
	slots []slot
	files []fileAccount
	seen  intervals

	requests, bytes, distinct int64
	first, last, lastNew      int64 // Unix nanoseconds
	resumed                   bool  // the account of an earlier server is lost
	rate                      rate
	clients                   []clientAccount
	others                    int64 // requests of clients that clients has no room for

	boot     bootWatch
	entered  uint  // phases read in this boot, as bits
	progress int64 // when the last progress event was made
}

// fileAccount is the account of one file, or of the rest.
type fileAccount struct {
	phase                  int
	path                   string
	total, bytes, distinct int64
	first, last            int64
}

type clientAccount struct {
	addr            netip.Addr
	requests, bytes int64
	first, last     int64
}

// maxClients bounds the addresses kept for a medium; it is made for one.
const maxClients = 16

// read books the bytes [off, off+n) as sent to client. It says whether events
// were queued.
func (a *account) read(client netip.Addr, off, n int64, now time.Time) bool {
	t := now.UnixNano()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first == 0 {
		a.first = t
	}
	a.last = t
	a.bytes += n
	a.rate.add(t, n)
	if c := a.client(client); c != nil {
		c.bytes += n
		c.last = t
	}
	known := a.distinct
	touched := a.touch(off, n, t)
	if a.distinct > known {
		a.lastNew = t
	}
	kinds := a.boot.read(off, n)
	if kinds != nil {
		a.entered = 0
	}
	fresh := touched &^ a.entered &^ (1 << structure)
	a.entered |= fresh
	return a.emitRead(kinds, fresh, now, client)
}

// touch books [off, off+n) in the files it belongs to and returns their phases.
func (a *account) touch(off, n, t int64) (touched uint) {
	end := off + n
	for i := findSlot(a.slots, off); off < end; {
		file, to := int32(0), end
		if i < len(a.slots) {
			if s := a.slots[i]; s.from <= off {
				file, to = s.file, min(to, s.to)
				i++
			} else {
				to = min(to, s.from)
			}
		}
		added := a.seen.add(off, to, a.size)
		a.distinct += added
		f := &a.files[file]
		f.distinct += added
		f.bytes += to - off
		if f.first == 0 {
			f.first = t
		}
		f.last = t
		touched |= 1 << f.phase
		off = to
	}
	return touched
}

// emitRead queues what a read gave rise to: kinds, an event for every phase in
// entered, or one of progress if the last event of a read is a second old.
func (a *account) emitRead(kinds []EventKind, entered uint, now time.Time, client netip.Addr) bool {
	t := now.UnixNano()
	if a.events == nil || kinds == nil && entered == 0 && t-a.progress < int64(progressEvery) {
		return false
	}
	a.progress = t
	for _, kind := range kinds {
		a.emit(Event{Kind: kind, At: now, Client: client})
	}
	for i := range phaseCount {
		if entered&(1<<i) != 0 {
			a.emit(Event{Kind: EventPhase, At: now, Client: client, Phase: phases[i]})
		}
	}
	if kinds == nil && entered == 0 {
		a.emit(Event{Kind: EventProgress, At: now, Client: client})
	}
	return true
}

// emit queues an event, under mu so that the order is that of the account.
func (a *account) emit(e Event) {
	if a.events != nil {
		e.Host, e.Read, e.Total = a.host, a.distinct, a.size
		a.events.push(e)
	}
}

// request books a request of client and says whether events were queued.
func (a *account) request(client netip.Addr, now time.Time) bool {
	t := now.UnixNano()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	c := a.client(client)
	fresh := c == nil
	if fresh {
		if len(a.clients) == maxClients {
			a.others++
			return false
		}
		a.clients = append(a.clients, clientAccount{addr: client, first: t})
		c = &a.clients[len(a.clients)-1]
		a.emit(Event{Kind: EventClient, At: now, Client: client})
	}
	c.requests++
	c.last = t
	return fresh
}

func (a *account) client(addr netip.Addr) *clientAccount {
	for i := range a.clients {
		if a.clients[i].addr == addr {
			return &a.clients[i]
		}
	}
	return nil
}

// rate counts the bytes of each of the last seconds.
type rate [rateWindow]struct{ second, bytes int64 }

const rateWindow = 8 // seconds

func (r *rate) add(t, n int64) {
	s := t / int64(time.Second)
	b := &r[s%rateWindow]
	if b.second != s {
		b.second, b.bytes = s, 0
	}
	b.bytes += n
}

// perSecond is the mean over the window, or over the time since first if that
// is shorter. It falls to 0 by itself when nothing is read.
func (r *rate) perSecond(t, first int64) int64 {
	s := t / int64(time.Second)
	var sum int64
	for _, b := range r {
		if b.second > s-rateWindow && b.second <= s {
			sum += b.bytes
		}
	}
	// The current second has only begun.
	span := (rateWindow-1)*int64(time.Second) + t%int64(time.Second)
	span = max(min(span, t-first), int64(time.Second))
	return int64(float64(sum) / (float64(span) / float64(time.Second)))
}

func (a *account) init(m Medium, size int64) (err error) {
	a.host, a.size, a.resumed = m.Host, size, m.Resumed
	if a.slots, a.files, err = layout(m.Regions, m.Rest, size); err != nil {
		return err
	}
	a.boot.init(a.slots, a.files, size)
	return nil
}
