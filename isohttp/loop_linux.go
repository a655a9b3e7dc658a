package isohttp

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loop serves a share of the connections.
type loop struct {
	group *loops
	epoll int
	wake  int          // eventfd: something was posted
	open  atomic.Int32 // connections, those on their way here included

	// of run alone
	conns     map[int32]*loopConn    // by descriptor
	away      map[*loopConn]*os.File // answered by a goroutine of its own
	turn      []*loopConn            // to go on with, whatever the socket says
	nextTurn  []*loopConn
	sweep     time.Time // when the next connection may have waited too long
	listening bool
	retry     time.Time // when to accept again after a failure
	draining  bool
	ended     bool
	scratch   *buffer
	date      []byte // value of Date
	second    int64  // of date

	mu     sync.Mutex
	posted []func()
	dead   bool
}

func newLoop(g *loops) (*loop, error) {
	l := &loop{group: g, epoll: -1, wake: -1, conns: map[int32]*loopConn{}, away: map[*loopConn]*os.File{}, scratch: new(buffer)}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		l.release()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err = l.watch(l.wake, unix.EPOLLIN); err == nil {
		err = l.listen()
	}
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *loop) watch(fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// listen makes the loop one of those that are woken for new connections.
func (l *loop) listen() error {
	l.listening = true
	return l.watch(l.group.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

func (l *loop) unlisten() {
	if l.listening {
		l.listening = false
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, l.group.fd, nil)
	}
}

func (l *loop) release() {
	for _, fd := range []int{l.epoll, l.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// post has f called by run, if that has not ended.
func (l *loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	if l.posted = append(l.posted, f); len(l.posted) == 1 {
		one := [8]byte{1} // any number but 0
		_, _ = unix.Write(l.wake, one[:])
	}
	return true
}

// run serves until the loop has been told to end.
func (l *loop) run() {
	events := make([]unix.EpollEvent, 128)
	for !l.ended && (!l.draining || len(l.conns)+len(l.away) > 0) {
		n, err := unix.EpollWait(l.epoll, events, l.timeout())
		if err != nil && err != unix.EINTR {
			l.group.server.log().Error("media server: waiting for connections", "err", os.NewSyscallError("epoll_wait", err))
			l.closeAll()
			break
		}
		for _, e := range events[:max(n, 0)] {
			switch int(e.Fd) {
			case l.group.fd:
				l.accept()
			case l.wake:
				l.runPosted()
			default:
				// A descriptor may have a new owner by now, who does not mind.
				if c := l.conns[e.Fd]; c != nil {
					l.step(c)
				}
			}
		}
		l.turn, l.nextTurn = l.nextTurn, l.turn[:0]
		for _, c := range l.turn {
			c.queued = false
			if l.conns[int32(c.fd)] == c {
				l.step(c)
			}
		}
		clear(l.turn)
		if !l.sweep.IsZero() || !l.retry.IsZero() {
			l.tend(time.Now())
		}
	}
	l.unlisten()
	l.ended = true
	l.mu.Lock()
	l.dead = true
	rest := l.posted
	l.mu.Unlock()
	for _, f := range rest {
		f()
	}
	l.closeAll()
}

// timeout returns how long to wait for the kernel, in milliseconds.
func (l *loop) timeout() int {
	if len(l.nextTurn) > 0 {
		return 0
	}
	at := l.sweep
	if !l.retry.IsZero() && (at.IsZero() || l.retry.Before(at)) {
		at = l.retry
	}
	if at.IsZero() {
		return -1
	}
	return int(max(0, min(time.Until(at), time.Hour)/time.Millisecond)) + 1
}

func (l *loop) runPosted() {
	var count [8]byte
	_, _ = unix.Read(l.wake, count[:])
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

// acceptBatch is how many connections are accepted before the others have their
// turn.
const acceptBatch = 16

func (l *loop) accept() {
	for range acceptBatch {
		if l.draining || l.ended {
			return
		}
		fd, from, err := unix.Accept4(l.group.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			l.admit(fd, from)
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EINVAL: // another loop has begun to drain
			l.unlisten()
			return
		default: // no descriptors or memory left: a pause, as the socket stays ready
			l.group.server.log().Warn("media server: accepting connection", "err", os.NewSyscallError("accept4", err))
			l.unlisten()
			l.retry = time.Now().Add(100 * time.Millisecond)
			return
		}
	}
}

// admit takes in a new connection, within the limits.
func (l *loop) admit(fd int, from unix.Sockaddr) {
	g := l.group
	client := clientAt(from)
	if !g.conns.enter(client, g.server) {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
		return
	}
	to := l
	for _, other := range g.each {
		if other.open.Load() < to.open.Load() {
			to = other
		}
	}
	to.open.Add(1)
	c := newLoopConn(to, fd, client)
	join := func() { c.join(g.server.headerTimeout()) }
	if to == l {
		join()
	} else if !to.post(join) {
		to.open.Add(-1)
		unix.Close(fd)
		g.conns.leave(client)
	}
}

// clientAt returns the address of a peer. Without its zone: an address that is
// declared for a machine has none.
func clientAt(from unix.Sockaddr) netip.Addr {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr)
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap()
	}
	return netip.Addr{}
}

// tend closes connections that have waited too long for a request, and accepts
// again after a failure.
func (l *loop) tend(now time.Time) {
	if !l.retry.IsZero() && !l.retry.After(now) {
		l.retry = time.Time{}
		if err := l.listen(); err != nil {
			l.retry = now.Add(time.Second)
		}
	}
	if l.sweep.IsZero() || l.sweep.After(now) {
		return
	}
	l.sweep = time.Time{}
	for _, c := range l.conns {
		switch {
		case c.deadline.IsZero():
		case !c.deadline.After(now):
			l.close(c)
		default:
			l.sweepAt(c.deadline)
		}
	}
}

func (l *loop) sweepAt(t time.Time) {
	if l.sweep.IsZero() || t.Before(l.sweep) {
		l.sweep = t
	}
}

// drain closes what is idle; see loops.drain.
func (l *loop) drain() {
	l.draining = true
	l.unlisten()
	// Closed it is by the last loop, which may be long: whoever connects until then
	// would wait in vain, and nobody else could have the address.
	_ = unix.Shutdown(l.group.fd, unix.SHUT_RDWR)
	l.retry = time.Time{}
	for _, c := range l.conns {
		if c.idle() {
			l.close(c)
		}
	}
}

func (l *loop) closeAll() {
	l.ended = true
	for _, c := range l.conns {
		l.close(c)
	}
	for _, f := range l.away {
		// No deadline: an answer that never has to wait would not see it.
		if raw, err := f.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
		}
	}
}

// again puts a connection among those that run goes on with.
func (l *loop) again(c *loopConn) {
	if !c.queued {
		c.queued = true
		l.nextTurn = append(l.nextTurn, c)
	}
}

// now is the time, and sets date.
func (l *loop) now() time.Time {
	now := time.Now()
	if s := now.Unix(); s != l.second || l.date == nil {
		l.second, l.date = s, now.UTC().AppendFormat(l.date[:0], httpTime)
	}
	return now
}
