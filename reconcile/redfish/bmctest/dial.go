package bmctest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DialContext connects to the installed OS: to its listening ports while it
// runs. Another port is refused; a machine that is off or starting does not
// answer, which is an error after three seconds or when ctx ends. The host in
// addr is ignored.
func (m *Machine) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	_, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.Stage() != StageOS {
		if !sleep(ctx, 3*time.Second) {
			return nil, context.Cause(ctx)
		}
		return nil, unreachable(network)
	}
	ports := m.Ports
	if ports == nil {
		ports = []int{22}
	}
	if !slices.Contains(ports, port) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		if m.Serve != nil {
			m.Serve(port, server)
			return
		}
		serve(port, server)
	}()
	return client, nil
}

// serve is what listens on a port if nobody said anything else.
func serve(port int, c net.Conn) {
	if port == 22 {
		if _, err := io.WriteString(c, "SSH-2.0-OpenSSH_9.9\r\n"); err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, c) // ends when the client hangs up
		return
	}
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, err = io.Copy(io.Discard, req.Body)
		resp := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: 3, Body: io.NopCloser(strings.NewReader("ok\n"))}
		if err := errors.Join(err, resp.Write(c)); err != nil {
			return
		}
	}
}
