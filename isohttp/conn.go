package isohttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// listener accepts connections within the limits of a server.
type listener struct {
	*net.TCPListener
	server *Server
	conns  *connCount
}

// connCount counts the connections of all listeners of a Start.
type connCount struct {
	mu     sync.Mutex
	total  int
	client map[netip.Addr]int
	warned time.Time
}

const defaultMaxConns = 10_000

// Accept returns the next connection that the limits allow; others are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		t, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		c := &conn{TCPConn: t, conns: l.conns}
		if a, ok := t.RemoteAddr().(*net.TCPAddr); ok {
			c.exchange.client = a.AddrPort().Addr().Unmap()
		}
		if !l.conns.enter(c.exchange.client, l.server) {
			t.SetLinger(0)
			t.Close()
			continue
		}
		c.exchange.server = l.server
		return c, nil
	}
}

func (n *connCount) enter(client netip.Addr, s *Server) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	most, each := s.MaxConns, s.MaxConnsPerClient
	if most <= 0 {
		most = defaultMaxConns
	}
	if n.total >= most || each > 0 && n.client[client] >= each {
		if now := time.Now(); now.Sub(n.warned) > time.Minute {
			n.warned = now
			s.log().Warn("too many connections, closing new ones", "client", client, "of client", n.client[client], "in all", n.total)
		}
		return false
	}
	n.total++
	n.client[client]++
	return true
}

func (n *connCount) leave(client netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.total--
	if n.client[client]--; n.client[client] == 0 {
		delete(n.client, client)
	}
}

// conn is an accepted connection. It keeps the exchange of its answers, and on
// Linux it sends their bodies itself; see sendConn.
type conn struct {
	*net.TCPConn
	conns    *connCount
	left     sync.Once
	exchange exchange
	out      outgoing
}

// Close gives the connection's place to another.
func (c *conn) Close() error {
	c.left.Do(func() { c.conns.leave(c.exchange.client) })
	return c.TCPConn.Close()
}

// connContext hands the connection's exchange to the handler.
func connContext(ctx context.Context, c net.Conn) context.Context {
	switch c := c.(type) {
	case *conn:
		if c.prepare() {
			c.exchange.conn = c
		}
		return context.WithValue(ctx, exchangeKey{}, &c.exchange)
	case *tls.Conn:
		if inner, ok := c.NetConn().(*conn); ok {
			return context.WithValue(ctx, exchangeKey{}, &inner.exchange)
		}
	}
	return ctx
}
