package lab

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"
)

// sshServer stands for the SSH servers of all installed machines: it proves
// that it holds a host key, and lets nobody in.
type sshServer struct{ listener net.Listener }

func startSSH() (*sshServer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the lab's host key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, fmt.Errorf("making the lab's host key: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the lab's SSH server: %w", err)
	}
	s := &sshServer{listener}
	go s.serve(signer)
	return s, nil
}

func (s *sshServer) serve(signer ssh.Signer) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // it was closed
		}
		go func() {
			config := &ssh.ServerConfig{PasswordCallback: func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
				return nil, fmt.Errorf("nobody logs in to the lab")
			}}
			config.AddHostKey(signer)
			ssh.NewServerConn(conn, config)
			conn.Close()
		}()
	}
}

func (s *sshServer) close() { s.listener.Close() }

// DialContext connects to an installed machine at its own address. Port 22 is
// a real SSH server on loopback, once the machine would answer there.
func (l *Lab) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.Rack.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if _, port, _ := net.SplitHostPort(address); port != "22" {
		return conn, nil
	}
	conn.Close()
	return new(net.Dialer).DialContext(ctx, network, l.ssh.listener.Addr().String())
}
