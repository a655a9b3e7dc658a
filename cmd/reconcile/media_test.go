package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/metalcue/metalcue/isohttp"
)

// TestKeyFile: the first run makes a key that only its user can read, every
// later one has the same, and however many make it at once agree.
func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "media.key")
	var wg sync.WaitGroup
	keys := make([]string, 8)
	for i := range keys {
		wg.Go(func() {
			key, err := keyFile(path)
			if err != nil {
				t.Error(err)
			}
			keys[i] = string(key)
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != 64 || key != keys[0] {
			t.Errorf("keys %q", keys)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v (%v)", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if err := os.WriteFile(path, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyFile(path); err == nil || !strings.Contains(err.Error(), "holds 5 characters and must hold at least 32") || strings.Contains(err.Error(), "short") {
		t.Errorf("a short key: %v", err)
	}
	t.Setenv("RECONCILE_MEDIA_KEY", "short")
	if _, err := new(cli).mediaKey(); err == nil || !strings.Contains(err.Error(), "is 5 characters long") {
		t.Errorf("a short key in the environment: %v", err)
	}
	t.Setenv("RECONCILE_MEDIA_KEY", strings.Repeat("k", 32))
	if key, err := new(cli).mediaKey(); err != nil || string(key) != strings.Repeat("k", 32) {
		t.Errorf("a key in the environment: %q, %v", key, err)
	}
}

// TestOwnMedia: only media at the very address and port that this process
// listens on are those of a dead run.
func TestOwnMedia(t *testing.T) {
	one := &isohttp.Running{HTTP: netip.MustParseAddrPort("127.0.0.2:8080")}
	if !ownMedia(one, "http://127.0.0.2:8080/i/abc/web-01.iso") || ownMedia(one, "http://127.0.0.1:8080/i/abc/web-01.iso") {
		t.Error("who listens on one address does not know it from others")
	}
	running := &isohttp.Running{HTTP: netip.MustParseAddrPort("0.0.0.0:8080"), HTTPS: netip.MustParseAddrPort("[::]:443")}
	for _, tt := range []struct {
		url  string
		want bool
	}{
		{"http://127.0.0.1:8080/i/abc/web-01.iso", true},
		{"https://127.0.0.1/i/abc/web-01.iso", true},
		{"https://[::1]/i/abc/web-01.iso", true},
		{"http://127.0.0.1:8081/i/abc/web-01.iso", false},
		{"https://127.0.0.1:8080/i/abc/web-01.iso", false},
		{"http://127.0.0.1:8080/other.iso", false},
		{"http://192.0.2.7:8080/i/abc/web-01.iso", false},
		{"http://media.example.com:8080/i/abc/web-01.iso", false},
		{"nfs://127.0.0.1:8080/i/abc/web-01.iso", false},
		{"", false},
	} {
		if got := ownMedia(running, tt.url); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.url, got, tt.want)
		}
	}
}
