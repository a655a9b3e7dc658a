//go:build !linux

package isohttp

// outgoing is empty: bodies go out through net/http.
type outgoing struct{}

func (c *conn) prepare() bool { return false }

func (x *exchange) sendConn(off, n int64) error { panic("unreachable") }
