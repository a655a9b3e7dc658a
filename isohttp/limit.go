package isohttp

import (
	"net/netip"
	"sync"
	"time"
)

// limits bounds the bytes sent per second, in all and per client.
type limits struct {
	mu      sync.Mutex
	total   bucket
	clients map[netip.Addr]*bucket
}

// bucket paces one stream of bytes. What was sent pushes next ahead, and who
// comes earlier waits.
type bucket struct {
	next  time.Time
	users int
}

const (
	// limitStep is how often a limited sender gets a share, limitBurst how much
	// unused time it may make up for.
	limitStep  = 100 * time.Millisecond
	limitBurst = 250 * time.Millisecond
	minChunk   = 4 << 10
)

// take books a share of the bytes that the rates allow, of at most that many
// bytes, and says how long to wait before sending them. They count whether they
// are sent or not: most must not be more than there is to send. client may be
// nil, a rate 0: unbounded.
func (l *limits) take(client *bucket, rate, clientRate, most int64, now time.Time) (n int64, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(most, maxChunk)
	if rate > 0 {
		n = min(n, max(minChunk, rate/int64(time.Second/limitStep)))
	}
	if client != nil && clientRate > 0 {
		n = min(n, max(minChunk, clientRate/int64(time.Second/limitStep)))
	}
	if rate > 0 {
		wait = l.total.book(n, rate, now)
	}
	if client != nil && clientRate > 0 {
		wait = max(wait, client.book(n, clientRate, now))
	}
	return n, wait
}

func (b *bucket) book(n, rate int64, now time.Time) time.Duration {
	if earliest := now.Add(-limitBurst); b.next.Before(earliest) {
		b.next = earliest
	}
	wait := b.next.Sub(now)
	b.next = b.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	return wait
}

// acquire returns the bucket of a client, which release gives back.
func (l *limits) acquire(client netip.Addr) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients == nil {
		l.clients = map[netip.Addr]*bucket{}
	}
	b := l.clients[client]
	if b == nil {
		b = &bucket{}
		l.clients[client] = b
	}
	b.users++
	return b
}

// release lets go of a bucket. It is kept while its client owes time, and until
// there are many.
func (l *limits) release(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clients[client].users--
	if len(l.clients) < 1024 {
		return
	}
	now := time.Now()
	for a, b := range l.clients {
		if b.users == 0 && b.next.Before(now) {
			delete(l.clients, a)
		}
	}
}
