// Package verify proves that an installed host is well: a port that accepts
// connections, a page that answers, an SSH server that shows its host key, a
// command that exits with 0.
package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metalcue/metalcue/schema"
	"golang.org/x/crypto/ssh"
)

// A Verifier runs checks. Its zero value is ready for use.
type Verifier struct {
	// DialContext connects to hosts; nil means the network.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Every is the pause between two tries of a check; 0 means 5 seconds.
	Every time.Duration
	// Attempt bounds one try that the check itself does not; 0 means 10 seconds.
	Attempt time.Duration
}

// Run runs checks one after the other against the host at address, an IP
// address or name without port. Each is tried again until it passes, its own
// timeout is over, or ctx ends; the error names the check and what it saw
// last. env is added to the environment of commands.
func (v *Verifier) Run(ctx context.Context, address string, env map[string]string, checks []schema.Check) error {
	for _, c := range checks {
		if err := v.run(ctx, address, env, c); err != nil {
			return fmt.Errorf("check %q: %w", c, err)
		}
	}
	return nil
}

func (v *Verifier) run(ctx context.Context, address string, env map[string]string, c schema.Check) error {
	if address == "" && c.Kind() != "exec" {
		return errors.New("the device has no primary address in NetBox to check it at")
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	every := v.Every
	if every == 0 {
		every = 5 * time.Second
	}
	var last error
	for {
		err := v.try(ctx, address, env, c)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err // not that of a try which was cut short
		}
		pause := time.NewTimer(every)
		select {
		case <-ctx.Done():
			pause.Stop()
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("not passed in time, last: %w", last)
		case <-pause.C:
		}
	}
}

// try runs a check once.
func (v *Verifier) try(ctx context.Context, address string, env map[string]string, c schema.Check) error {
	if c.Kind() == "exec" {
		return command(ctx, env, c.Exec)
	}
	attempt := v.Attempt
	if attempt == 0 {
		attempt = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	switch c.Kind() {
	case "tcp":
		conn, err := v.dial(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(c.TCP)))
		if err != nil {
			return err
		}
		return conn.Close()
	case "ssh":
		return v.hostKey(ctx, net.JoinHostPort(address, "22"))
	default:
		return v.page(ctx, address, c.HTTP)
	}
}

func (v *Verifier) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if v.DialContext != nil {
		return v.DialContext(ctx, network, address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// errSeen ends an SSH handshake once the host key has been seen.
var errSeen = errors.New("host key seen")

// hostKey passes once an SSH server has proved that it holds a host key.
func (v *Verifier) hostKey(ctx context.Context, address string) error {
	conn, err := v.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	seen := false
	_, _, _, err = ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: "metalcue",
		HostKeyCallback: func(string, net.Addr, ssh.PublicKey) error {
			seen = true
			return errSeen
		},
	})
	if seen {
		return nil
	}
	return fmt.Errorf("SSH handshake with %s: %w", address, err)
}

// page passes when the URL answers as declared. Certificates are verified.
func (v *Verifier) page(ctx context.Context, address string, c *schema.HTTPCheck) error {
	host := address
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(c.URL, "{host}", host), nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: v.dial, DisableKeepAlives: true}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != c.Status {
		return fmt.Errorf("status %d, want %d", resp.StatusCode, c.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	if !bytes.Contains(body, []byte(c.Body)) {
		return fmt.Errorf("the page does not contain %q", c.Body)
	}
	return nil
}

// command passes when it exits with 0. It is killed when ctx ends.
func command(ctx context.Context, env map[string]string, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), isSecret)
	for k, value := range env {
		cmd.Env = append(cmd.Env, k+"="+value)
	}
	slices.Sort(cmd.Env)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, tail(out))
	}
	return nil
}

// isSecret reports whether a variable of our own environment holds what a
// checking command has no business to know.
func isSecret(variable string) bool {
	return strings.HasPrefix(variable, "RECONCILE_CREDENTIAL_") || strings.HasPrefix(variable, "RECONCILE_SECRET_") ||
		strings.HasPrefix(variable, "NETBOX_TOKEN=")
}

// tail returns the last line of a command's output, bounded.
func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if last == "" {
		return "no output"
	}
	return last[max(0, len(last)-200):]
}
