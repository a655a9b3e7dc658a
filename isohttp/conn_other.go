//go:build !linux

package isohttp

import "net/http"

// outgoing is empty: bodies go out through net/http.
type outgoing struct{}

func (c *conn) prepare() bool { return false }

func (x *exchange) sendConn(off, n int64) error { panic("unreachable") }

func (x *exchange) answerConn(h http.Header) error { panic("unreachable") }
