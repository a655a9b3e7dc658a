//go:build !linux

package isohttp

import (
	"context"
	"net"
)

// newLoops says that there are no event loops: net/http serves everything.
func (s *Server) newLoops(context.Context, *net.TCPListener, *connCount) (*loops, error) {
	return nil, nil
}

type loops struct{ net.Listener }

func (g *loops) start()                      {}
func (g *loops) wait()                       {}
func (g *loops) stop()                       {}
func (g *loops) drain(context.Context) error { return nil }
