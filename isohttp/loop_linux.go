package isohttp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loops serve plain http on one socket, short answers in event loops.
//
// net/http starts a goroutine for a connection, wakes it for each request, reads
// ahead in another, and sends header and body by a call each. Most of what a
// controller waits for, and half of the processor time of a small range, is that.
// A loop waits for many sockets at once in the kernel (epoll) and answers without
// another goroutine: one call to read a request, one or two to answer it.
//
// A loop does nothing that takes long. An answer that is long, or that the kernel
// has to read from a disk, goes on in a goroutine of its own, which waits like any
// other, and its connection then comes back.
//
// Loops answer only what [parseRequest] calls plain: GET and HEAD of a published
// medium, whole or of one range. A connection that brings anything else goes over
// to net/http with what was read of it, for good. So this is not another HTTP
// server: what is seldom, old, wrong or hostile is still answered by the one that
// is proven.
type loops struct {
	server *Server
	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	fd     int // listening
	addr   net.Addr
	conns  *connCount
	each   []*loop
	alive  sync.WaitGroup
	once   sync.Once

	// net/http's side of it, a net.Listener
	foreign chan net.Conn
	closed  chan struct{}
}

// loopCount is how many loops there are. While a loop waits, the runtime has to
// find out that its processor is free, which costs less if there are others.
func loopCount() int { return max(1, min(runtime.GOMAXPROCS(0)/2, 8)) }

// newLoops takes over a listening socket. It returns nil if net/http has to
// serve everything, which alone knows how to send slowly.
func (s *Server) newLoops(ctx context.Context, l *net.TCPListener, conns *connCount) (*loops, error) {
	if s.Rate > 0 || s.RatePerClient > 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &loops{server: s, ctx: ctx, cancel: cancel, fd: -1, addr: l.Addr(), conns: conns, foreign: make(chan net.Conn), closed: make(chan struct{})}
	err := g.init(l)
	if err != nil {
		g.release()
		return nil, err
	}
	return g, l.Close()
}

func (g *loops) init(l *net.TCPListener) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	// A descriptor of our own: those of the runtime wake the runtime.
	if failed := raw.Control(func(fd uintptr) { g.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil || err != nil {
		return errors.Join(failed, os.NewSyscallError("fcntl", err))
	}
	// Accepted sockets inherit these; the values are package net's.
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		if err := unix.SetsockoptInt(g.fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	for range loopCount() {
		l, err := newLoop(g)
		if err != nil {
			return err
		}
		g.each = append(g.each, l)
	}
	return nil
}

// start serves until stop or drain.
func (g *loops) start() {
	for _, l := range g.each {
		g.alive.Go(l.run)
	}
}

// stop ends all connections of the loops.
func (g *loops) stop() {
	g.cancel()
	g.once.Do(func() { close(g.closed) })
	for _, l := range g.each {
		l.post(l.closeAll)
	}
}

// drain accepts nothing more, closes idle connections, and returns when the last
// answer was sent, or with the error of ctx when that ends before.
func (g *loops) drain(ctx context.Context) error {
	for _, l := range g.each {
		l.post(l.drain)
	}
	done := make(chan struct{})
	go func() {
		g.alive.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when the loops have ended.
func (g *loops) wait() {
	g.alive.Wait()
	g.release()
}

func (g *loops) release() {
	g.cancel()
	for _, l := range g.each {
		l.release()
	}
	if g.fd >= 0 {
		unix.Close(g.fd)
	}
}

// Accept returns connections that the loops leave to net/http.
func (g *loops) Accept() (net.Conn, error) {
	select {
	case c := <-g.foreign:
		return c, nil
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

func (g *loops) Close() error {
	g.once.Do(func() { close(g.closed) })
	return nil
}

func (g *loops) Addr() net.Addr { return g.addr }

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
		_ = f.SetWriteDeadline(time.Unix(1, 0))
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
