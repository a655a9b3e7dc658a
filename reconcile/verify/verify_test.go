package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/verify"
	"github.com/metalcue/metalcue/schema"
	"golang.org/x/crypto/ssh"
)

func TestTCPIsTriedUntilItPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int32
		v := verify.Verifier{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
			if address != "192.0.2.7:22" {
				t.Errorf("dialled %s, want 192.0.2.7:22", address)
			}
			if tries.Add(1) < 4 {
				return nil, errors.New("connection refused")
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}}
		began := time.Now()
		if err := v.Run(t.Context(), "192.0.2.7", nil, []schema.Check{{TCP: 22, Timeout: time.Minute}}); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(began); got != 15*time.Second {
			t.Errorf("passed after %s, want three pauses of 5 s", got)
		}
	})
}

func TestTimeoutTellsWhatWasSeenLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verify.Verifier{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("connection refused")
		}}
		err := v.Run(t.Context(), "192.0.2.7", nil, []schema.Check{{TCP: 5432, Timeout: time.Minute}})
		want := `check "tcp 5432": not passed in time, last: connection refused`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/sick" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte("all is well"))
	}))
	defer srv.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	tests := []struct {
		check schema.HTTPCheck
		want  string // in the error; "" for none
	}{
		{schema.HTTPCheck{URL: "http://{host}:" + port + "/", Status: 200, Body: "well"}, ""},
		{schema.HTTPCheck{URL: "http://{host}:" + port + "/sick", Status: 200}, "status 503, want 200"},
		{schema.HTTPCheck{URL: "http://{host}:" + port + "/", Status: 200, Body: "ready"}, `does not contain "ready"`},
	}
	for _, tt := range tests {
		v := verify.Verifier{Every: time.Millisecond}
		err := v.Run(t.Context(), "127.0.0.1", nil, []schema.Check{{HTTP: &tt.check, Timeout: 200 * time.Millisecond}})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.check.URL, err, tt.want)
		}
	}
}

func TestSSHHostKey(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // SSH needs a connection that buffers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			config := &ssh.ServerConfig{NoClientAuth: true}
			config.AddHostKey(signer)
			ssh.NewServerConn(conn, config)
			conn.Close()
		}
	}()
	v := verify.Verifier{Every: time.Millisecond, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	}}
	if err := v.Run(t.Context(), "192.0.2.7", nil, []schema.Check{{SSH: true, Timeout: 5 * time.Second}}); err != nil {
		t.Errorf("a server with a host key: %v", err)
	}
	v.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go server.Close()
		return client, nil
	}
	if err := v.Run(t.Context(), "192.0.2.7", nil, []schema.Check{{SSH: true, Timeout: 50 * time.Millisecond}}); err == nil {
		t.Error("a server that hangs up passed")
	}
}

func TestExec(t *testing.T) {
	v := verify.Verifier{Every: time.Millisecond}
	t.Setenv("NETBOX_TOKEN", "do-not-tell")
	env := map[string]string{"RECONCILE_HOST": "db-01"}
	ok := schema.Check{Exec: []string{"sh", "-c", `test "$RECONCILE_HOST" = db-01 && test -z "$NETBOX_TOKEN"`}, Timeout: 5 * time.Second}
	if err := v.Run(t.Context(), "", env, []schema.Check{ok}); err != nil {
		t.Errorf("a command that sees the host's facts: %v", err)
	}
	bad := schema.Check{Exec: []string{"sh", "-c", "echo 3 of 9 tests failed; exit 1"}, Timeout: 2 * time.Second}
	err := v.Run(t.Context(), "", env, []schema.Check{bad})
	if err == nil || !strings.Contains(err.Error(), "exit status 1: 3 of 9 tests failed") {
		t.Errorf("got %v, want the exit status and the last line", err)
	}
}

func TestNoAddress(t *testing.T) {
	var v verify.Verifier
	err := v.Run(t.Context(), "", nil, []schema.Check{{TCP: 22}})
	if err == nil || !strings.Contains(err.Error(), "no primary address in NetBox") {
		t.Errorf("got %v, want a word about NetBox", err)
	}
}
