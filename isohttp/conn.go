package isohttp

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"
)

// listener accepts connections for net/http, within the limits of a server.
type listener struct {
	*net.TCPListener
	server *Server
	conns  *connCount
}

// Accept returns the next connection that the limits allow; others are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		t, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		var client netip.Addr
		if a, ok := t.RemoteAddr().(*net.TCPAddr); ok {
			client = a.AddrPort().Addr().Unmap()
		}
		if !l.conns.enter(client, l.server) {
			t.SetLinger(0)
			t.Close()
			continue
		}
		return newConn(t, l.server, l.conns, client, nil), nil
	}
}

// connCount counts the connections of all listeners of a Start.
type connCount struct {
	mu     sync.Mutex
	total  int
	client map[netip.Addr]int
	warned time.Time
}

const defaultMaxConns = 10_000

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

// conn is a connection that net/http serves. It keeps the exchange of its
// answers.
type conn struct {
	*net.TCPConn
	conns    *connCount
	left     sync.Once
	exchange exchange
	first    []byte // what was read of it before net/http got it
}

func newConn(t *net.TCPConn, s *Server, conns *connCount, client netip.Addr, first []byte) *conn {
	c := &conn{TCPConn: t, conns: conns, first: first}
	c.exchange.init(s, client)
	return c
}

func (c *conn) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.TCPConn.Read(p)
	}
	n := copy(p, c.first)
	if c.first = c.first[n:]; len(c.first) == 0 {
		c.first = nil
	}
	return n, nil
}

// Close gives the connection's place to another.
func (c *conn) Close() error {
	c.left.Do(func() { c.conns.leave(c.exchange.client) })
	return c.TCPConn.Close()
}

// connContext hands the connection's exchange to the handler.
func connContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, exchangeKey{}, &c.exchange)
	}
	return ctx
}
