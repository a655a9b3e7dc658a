//go:build system

package redfish_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
)

// TestSushy drives OpenStack's emulator, a Redfish service by other people,
// over real sockets. What it cannot do, keep a marker, is refused clearly. It
// needs sushy-emulator (PyPI: sushy-tools).
func TestSushy(t *testing.T) {
	address := startSushy(t)
	iso := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, 64<<10)) // to the emulator, which may hang up
	}))
	defer iso.Close()
	c := &redfish.Client{Address: address, Login: login}
	defer c.Close(t.Context())
	ctx := t.Context()
	sys, err := c.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if sys.Profile != "sushy-tools" || sys.UUID == "" || len(sys.Slots) == 0 || sys.Refusal != "" {
		t.Errorf("observed %+v", sys)
	}
	medium := iso.URL + "/i/AAAAAAAAAAAAAAAAAAAAAA/web-01.iso"
	for _, s := range []struct {
		name string
		act  func() error
	}{
		{"power off", func() error { return c.SetPower(ctx, redfish.Off) }},
		{"eject", func() error { return c.Eject(ctx) }},
		{"insert", func() error { return c.Insert(ctx, medium) }},
		{"boot once", func() error { return c.BootOnce(ctx) }},
		{"power on", func() error { return c.SetPower(ctx, redfish.On) }},
		{"power off again", func() error { return c.SetPower(ctx, redfish.Off) }},
		{"eject again", func() error { return c.Eject(ctx) }},
		{"clear", func() error { return c.ClearBoot(ctx) }},
	} {
		if err := s.act(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		now, err := c.Observe(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if now.Requests > 3 {
			t.Errorf("after %s: a look took %d requests", s.name, now.Requests)
		}
		switch s.name {
		case "insert":
			if !now.Slots[0].Inserted || now.Slots[0].Image != medium {
				t.Errorf("inserted %+v", now.Slots)
			}
		case "eject again":
			if now.Slots[0].Inserted {
				t.Errorf("still inserted: %+v", now.Slots)
			}
		}
	}
	err = c.SetMarker(ctx, done)
	if !matches(err, marker(redfish.MarkerReadOnly)) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("marker: error %v, want a clear refusal", err)
	}
	report, err := c.Probe(ctx)
	if err != nil || report.Usable() {
		t.Errorf("probe: %+v, error %v; want not usable for want of a marker", report, err)
	}
}

// startSushy runs the emulator with its own pretend machine on a free port.
func startSushy(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	dir := t.TempDir()
	conf := filepath.Join(dir, "sushy.conf")
	text := fmt.Sprintf("SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\nSUSHY_EMULATOR_LISTEN_PORT = %s\nSUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_STATE_DIR = %q\n", port, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sushy-emulator", "--config", conf)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("sushy-emulator (PyPI: sushy-tools): %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 100 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return "http://127.0.0.1:" + port
		}
		time.Sleep(200 * time.Millisecond)
	}
	said, _ := os.ReadFile(log.Name())
	t.Fatalf("sushy-emulator does not listen:\n%s", said)
	return ""
}
