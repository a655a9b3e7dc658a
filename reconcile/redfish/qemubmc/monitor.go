package qemubmc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// patience is how long QEMU has to answer. It opens a medium before it answers, which can take a few requests.
const patience = time.Minute

// socket is the listening end that QEMU connects its monitor to: it needs no waiting for QEMU to be ready.
type socket struct {
	net.Listener
	dir, path string
}

// listen makes the socket in a folder with a short name: paths of sockets are limited to 107 bytes.
func listen(ctx context.Context) (*socket, error) {
	dir, err := os.MkdirTemp("", "qmp")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		_ = os.RemoveAll(dir) // the first error says more
		return nil, err
	}
	return &socket{l, dir, path}, nil
}

func (s *socket) close() {
	_ = s.Listener.Close() // nothing can be lost
	_ = os.RemoveAll(s.dir)
}

// accept waits for QEMU to connect, or to fail.
func (s *socket) accept(ctx context.Context, exited <-chan struct{}) (net.Conn, error) {
	accepted := make(chan struct{})
	defer close(accepted)
	go func() {
		select {
		case <-exited:
			s.Listener.Close()
		case <-ctx.Done():
			s.Listener.Close()
		case <-accepted:
		}
	}()
	conn, err := s.Accept()
	if err != nil {
		return nil, fmt.Errorf("it ended before it was ready: %w", err)
	}
	return conn, nil
}

// monitor speaks QMP, QEMU's machine protocol: a JSON object for each greeting, answer and event.
type monitor struct {
	conn    net.Conn
	mu      sync.Mutex // one command at a time
	answers chan message
	closed  chan struct{} // closed when QEMU has closed the connection

	reason string // of the SHUTDOWN event; to be read when closed is closed
	err    error  // that ended reading, likewise
}

// message is anything that QEMU sends.
type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"`
	} `json:"data"`
}

// newMonitor takes the greeting and leaves the negotiation mode. It owns conn.
func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, answers: make(chan message), closed: make(chan struct{})}
	go m.read()
	if err := m.execute("qmp_capabilities", nil); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// read takes what QEMU sends until the connection ends.
func (m *monitor) read() {
	defer close(m.closed)
	d := json.NewDecoder(m.conn)
	for {
		var msg message
		if err := d.Decode(&msg); err != nil {
			m.err = err
			return
		}
		switch {
		case msg.Event == "SHUTDOWN":
			m.reason = msg.Data.Reason
		case msg.Error != nil || msg.Return != nil:
			select {
			case m.answers <- msg:
			case <-time.After(patience):
				m.err = errors.New("QEMU answered what nobody asked")
				return
			}
		}
	}
}

// execute gives a command and waits for its answer.
func (m *monitor) execute(command string, arguments map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		return fmt.Errorf("QMP %s: %w", command, err)
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case msg := <-m.answers:
		if msg.Error != nil {
			return fmt.Errorf("QMP %s: %s: %s", command, msg.Error.Class, msg.Error.Desc)
		}
		return nil
	case <-m.closed:
		return fmt.Errorf("QMP %s: QEMU went away: %w", command, m.err)
	case <-limit.C:
		return fmt.Errorf("QMP %s: no answer within %v", command, patience)
	}
}

// shutdown returns why the machine stopped, after QEMU has gone.
func (m *monitor) shutdown() (reason string, err error) {
	<-m.closed
	if m.reason != "" || errors.Is(m.err, io.EOF) {
		return m.reason, nil
	}
	return "", m.err
}

// close ends the connection, and returns when nothing reads it any more.
func (m *monitor) close() {
	_ = m.conn.Close() // nothing can be lost
	<-m.closed
}
