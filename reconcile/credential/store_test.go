package credential_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// TestMain makes the test's own binary serve as helper: what it does is in the
// environment.
func TestMain(m *testing.M) {
	switch os.Getenv("HELPER") {
	case "":
		os.Exit(m.Run())
	case "login":
		os.Stdout.WriteString(`{"username": "` + strings.Join(os.Args[1:], " ") + `", "password": "` + password + `"}`)
	case "value":
		os.Stdout.WriteString(`{"value": "` + password + `", "more": 1}` + "\n")
	case "nonsense":
		os.Stdout.WriteString(password)
	case "unknown":
		os.Exit(1)
	case "broken":
		os.Stderr.WriteString("vault is sealed\n" + strings.Repeat("x", 1<<20))
		os.Exit(3)
	case "huge":
		os.Stdout.WriteString(`{"value": "` + strings.Repeat("x", 1<<20) + `"}`)
	case "hang":
		os.Stdout.WriteString("{")
		time.Sleep(time.Minute)
	}
	os.Exit(0)
}

// write makes files in a new folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func TestLogin(t *testing.T) {
	const prefix = "RECONCILE_CREDENTIAL_TOKYO_BMC_2"
	tests := []struct {
		name    string
		env     map[string]string
		files   map[string]string
		want    credential.Login
		wantErr string // part of the error
	}{
		{name: "environment", env: map[string]string{prefix + "_USERNAME": "u", prefix + "_PASSWORD": "p\n"}, want: credential.Login{Username: "u", Password: "p\n"}},
		{name: "environment wins", env: map[string]string{prefix + "_USERNAME": "u", prefix + "_PASSWORD": "p"},
			files: map[string]string{"tokyo-bmc.2/username": "x", "tokyo-bmc.2/password": "y"}, want: credential.Login{Username: "u", Password: "p"}},
		{name: "half in environment", env: map[string]string{prefix + "_USERNAME": "u"},
			files: map[string]string{"tokyo-bmc.2/username": "x", "tokyo-bmc.2/password": "y"}, wantErr: prefix + "_USERNAME is set and " + prefix + "_PASSWORD is not"},
		{name: "empty in environment", env: map[string]string{prefix + "_USERNAME": "u", prefix + "_PASSWORD": ""}, wantErr: "empty user name or password"},
		{name: "folder", files: map[string]string{"tokyo-bmc.2/username": "u\n", "tokyo-bmc.2/password": " p \n\n"}, want: credential.Login{Username: "u", Password: " p \n"}},
		{name: "folder, CRLF", files: map[string]string{"tokyo-bmc.2/username": "u\r\n", "tokyo-bmc.2/password": "p\r\n"}, want: credential.Login{Username: "u", Password: "p"}},
		{name: "half in folder", files: map[string]string{"tokyo-bmc.2/username": "u", "tokyo-bmc.2.json": `{"username":"x","password":"y"}`}, wantErr: "password is missing"},
		{name: "JSON", files: map[string]string{"tokyo-bmc.2.json": `{"username":"u","password":"p"}`}, want: credential.Login{Username: "u", Password: "p"}},
		{name: "bad JSON", files: map[string]string{"tokyo-bmc.2.json": `{"username":"u","pass":"` + password + `"}`}, wantErr: "want JSON"},
		{name: "empty", files: map[string]string{"tokyo-bmc.2/username": "u", "tokyo-bmc.2/password": "\n"}, wantErr: "empty user name or password"},
		{name: "too large", files: map[string]string{"tokyo-bmc.2/username": "u", "tokyo-bmc.2/password": strings.Repeat("x", 64<<10+1)}, wantErr: "larger than 65536 bytes"},
		{name: "nowhere", wantErr: "set " + prefix + "_USERNAME and"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := credential.Store{Env: env(tt.env), Dir: write(t, tt.files)}
			got, err := store.Login(t.Context(), "tokyo-bmc.2")
			checkErr(t, err, tt.wantErr)
			if got != tt.want {
				t.Errorf("got %q and %q, want %q and %q", got.Username, got.Password.Reveal(), tt.want.Username, tt.want.Password.Reveal())
			}
			if missing := tt.name == "nowhere"; errors.Is(err, credential.ErrNotFound) != missing {
				t.Errorf("errors.Is(%v, ErrNotFound) = %v", err, !missing)
			}
		})
	}
}

func TestSecret(t *testing.T) {
	tests := []struct {
		name    string
		env     map[string]string
		files   map[string]string
		want    credential.Secret
		wantErr string
	}{
		{name: "environment", env: map[string]string{"RECONCILE_SECRET_ROOT_HASH": "v"}, want: "v"},
		{name: "empty environment", env: map[string]string{"RECONCILE_SECRET_ROOT_HASH": ""}, files: map[string]string{"root-hash": "x"}, wantErr: "RECONCILE_SECRET_ROOT_HASH is empty"},
		{name: "file", files: map[string]string{"root-hash": "a\nb\n"}, want: "a\nb"},
		{name: "file in folder", files: map[string]string{"root-hash/value": "v"}, want: "v"},
		{name: "folder without it", files: map[string]string{"root-hash/other": "v"}, wantErr: "not found"},
		{name: "nowhere", wantErr: "set RECONCILE_SECRET_ROOT_HASH, or write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store := credential.Store{Env: env(tt.env), Dir: write(t, tt.files)}
			got, err := store.Secret(t.Context(), "root-hash")
			checkErr(t, err, tt.wantErr)
			if got != tt.want {
				t.Errorf("got %q, want %q", got.Reveal(), tt.want.Reveal())
			}
		})
	}
}

// checkErr checks that an error has the wanted part, and never the secret.
func checkErr(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("no error, want one with %q", want)
	case err != nil && want == "":
		t.Errorf("error %v", err)
	case err != nil && !strings.Contains(err.Error(), want):
		t.Errorf("error %q lacks %q", err, want)
	}
	if err != nil && strings.Contains(err.Error(), password) {
		t.Errorf("error has the secret: %v", err)
	}
}

func TestNames(t *testing.T) {
	dir := write(t, map[string]string{"a": "v", "sub/value": "v"})
	store := credential.Store{Env: env(nil), Dir: filepath.Join(dir, "sub")}
	for _, name := range []string{"", ".", "..", "../a", "a/b", `a\b`, "-rf", "a b", "a\x00b", "ä", strings.Repeat("a", 101)} {
		if _, err := store.Secret(t.Context(), name); err == nil || !strings.Contains(err.Error(), "is no name of a secret") {
			t.Errorf("Secret(%q): %v", name, err)
		}
		if _, err := store.Login(t.Context(), name); err == nil || !strings.Contains(err.Error(), "is no name of a secret") {
			t.Errorf("Login(%q): %v", name, err)
		}
	}
}

func TestWarnsOfOpenFile(t *testing.T) {
	dir := write(t, map[string]string{"open": password, "closed": password})
	if err := os.Chmod(filepath.Join(dir, "open"), 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	store := credential.Store{Env: env(nil), Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	for _, name := range []string{"open", "closed"} {
		if _, err := store.Secret(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, filepath.Join(dir, "open")) || strings.Contains(got, password) {
		t.Errorf("logged %q", got)
	}
}

func TestHelper(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	store := credential.Store{Env: env(nil), Helper: self}
	tests := []struct {
		does    string
		wantErr string
	}{
		{"value", ""},
		{"nonsense", `want JSON: {"value": "…"}`},
		{"login", `want JSON: {"value": "…"}`},
		{"unknown", "does not know it either"},
		{"broken", "exit status 3: vault is sealed xxx"},
		{"huge", "prints more than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.does, func(t *testing.T) {
			t.Setenv("HELPER", tt.does)
			got, err := store.Secret(t.Context(), "root-hash")
			checkErr(t, err, tt.wantErr)
			if tt.wantErr == "" && got != password {
				t.Errorf("got %q", got.Reveal())
			}
			if err != nil && len(err.Error()) > 1024+2*len(self) {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
	t.Run("login", func(t *testing.T) {
		t.Setenv("HELPER", "login")
		got, err := store.Login(t.Context(), "bmc")
		if err != nil || got != (credential.Login{Username: "bmc", Password: password}) {
			t.Errorf("got %v, %v; the helper's only argument is the name", got, err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		store := credential.Store{Env: env(nil), Helper: filepath.Join(t.TempDir(), "nothing")}
		_, err := store.Login(t.Context(), "bmc")
		checkErr(t, err, "no such file")
	})
}

func TestHelperIsCancelled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HELPER", "hang")
	store := credential.Store{Env: env(nil), Helper: self}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("enough"))
	defer cancel()
	_, err = store.Secret(ctx, "root-hash")
	checkErr(t, err, "root-hash: enough")
	if errors.Is(err, credential.ErrNotFound) {
		t.Errorf("a cancelled helper counts as one that does not know the name: %v", err)
	}
}
