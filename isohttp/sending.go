package isohttp

import (
	"net/netip"
	"slices"
	"time"
)

// sending is an answer that is being sent, as its medium knows it. A connection
// keeps one for all its answers, as HTTP/1 sends them one after the other.
type sending struct {
	client netip.Addr
	cut    func() // makes sending fail, at any time between begin and end

	p          *Publication
	c          *content
	next, prev *sending // in Publication.active
	aborted    bool     // guarded by Publication.mu
}

// begin enters an answer of the medium into the list of those that Withdraw
// ends, and into the account.
func (x *sending) begin(p *Publication, now time.Time) error {
	if p.allow.IsValid() && x.client != p.allow {
		p.refuse(x.client, now)
		return errRefused
	}
	if !p.enter(x) {
		return errUnknown
	}
	return nil
}

// end takes the answer out of the list. One that Withdraw has cut off may not
// leave its connection in use.
func (x *sending) end() (aborted bool) {
	x.p.leave(x)
	aborted = x.aborted
	x.p, x.c, x.aborted = nil, nil, false
	return aborted
}

// sent accounts bytes that the network has taken, and says whether events were
// queued.
func (x *sending) sent(off, n int64) bool {
	return n > 0 && x.p.account.read(x.client, off, n, time.Now())
}

func (p *Publication) enter(x *sending) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.withdrawn() {
		return false
	}
	x.p, x.c = p, p.content.Load()
	x.next, x.prev = p.active, nil
	if x.next != nil {
		x.next.prev = x
	}
	p.active = x
	p.count++
	return true
}

func (p *Publication) leave(x *sending) {
	p.mu.Lock()
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		p.active = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	x.next, x.prev = nil, nil
	p.count--
	last := p.active == nil && p.withdrawn()
	p.mu.Unlock()
	if last {
		p.close()
	}
}

// cutAll makes all answers fail that are being sent. It is called with mu held,
// which keeps them from ending.
func (p *Publication) cutAll() {
	for x := p.active; x != nil; x = x.next {
		x.aborted = true
		x.cut()
	}
}

// refusals are the requests from addresses that may not read a medium.
type refusals struct {
	requests int64
	last     netip.Addr
	at       time.Time
	reported []netip.Addr // at most maxClients
}

// refuse counts a request from an address that may not read the medium, and
// reports each address once.
func (p *Publication) refuse(client netip.Addr, now time.Time) {
	p.mu.Lock()
	r := &p.refused
	r.requests, r.last, r.at = r.requests+1, client, now
	known := len(r.reported) == maxClients || slices.Contains(r.reported, client)
	if !known {
		r.reported = append(r.reported, client)
	}
	p.mu.Unlock()
	if known {
		return
	}
	p.server.log().Warn("medium asked for by a wrong address", "host", p.host, "client", client, "want", p.allow)
	p.account.mu.Lock()
	p.account.emit(Event{Kind: EventRefused, At: now, Client: client})
	p.account.mu.Unlock()
	p.server.deliver()
}
