package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/lab"
	"github.com/metalcue/metalcue/schema"
)

const serveFleet = `package fleet

import "github.com/metalcue/metalcue/schema"

schema.#Fleet

images: "rocky-9.6": {family: "rhel", version: "9.6", url: *"https://mirror.example.com/r.iso" | string, sha256: *"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" | string}
roles: web: answer: template: "plain.ks.tmpl"
hosts: "web-01": {os: "rocky-9.6", role: "web"}
policy: bmc: credentials: "lab"
`

const serveTemplate = `text
rootpw --iscrypted {{ secret "root-password" }}
zerombr
clearpart --all --initlabel
autopart
poweroff
%packages
%end
`

// TestISOServe serves an image until it is interrupted: over http and https,
// with the certificate that it says, and tells what was read.
func TestISOServe(t *testing.T) {
	dir := serveLab(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdout, says := io.Pipe()
	var stderr strings.Builder // read after the end only
	c := &cli{stdout: says, stderr: &stderr, drain: make(chan struct{})}
	root := c.rootCommand()
	root.SetArgs([]string{"iso", "web-01", "--serve", "--fleet", dir, "--listen", "127.0.0.1:0", "--listen-https", "127.0.0.1:0",
		"--media-address", "127.0.0.1", "--image-cache", filepath.Join(dir, ".cache")})
	ended := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		says.CloseWithError(err)
		ended <- err
	}()
	var lines []string
	for in := bufio.NewScanner(stdout); len(lines) < 3 && in.Scan(); {
		lines = append(lines, in.Text())
	}
	if len(lines) < 3 {
		t.Fatalf("said %q, and ended with %v", lines, <-ended)
	}
	fingerprint, ok := strings.CutPrefix(lines[2], "certificate SHA-256 ")
	if !ok {
		t.Errorf("said %q of the certificate", lines[2])
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		if sum := sha256.Sum256(s.PeerCertificates[0].Raw); hex.EncodeToString(sum[:]) != fingerprint {
			t.Errorf("certificate %x, said to be %s", sum, fingerprint)
		}
		return nil
	}}}}
	defer client.CloseIdleConnections()
	for i, scheme := range []string{"http", "https"} {
		body := fetch(t, client, lines[i])
		if !strings.HasPrefix(lines[i], scheme+"://127.0.0.1:") || !strings.Contains(body, "\nrootpw --iscrypted hunter-two\n") {
			t.Errorf("%s: %d bytes without the answer file", lines[i], len(body))
		}
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, want := range []string{"reads answer", "127.0.0.1: first request", "\nanswer "} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, &stderr)
		}
	}
	if strings.Contains(stderr.String(), "/i/") || strings.Contains(stderr.String(), "hunter-two") {
		t.Errorf("stderr tells a secret:\n%s", &stderr)
	}
}

// serveLab starts a data centre of one host and returns its fleet.
func serveLab(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fleet.cue", serveFleet)
	write("plain.ks.tmpl", serveTemplate)
	fleet, err := schema.Load(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lab.Start(fleet, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	image := fleet.Images["rocky-9.6"]
	write("image.cue", "package fleet\nimages: \"rocky-9.6\": {url: \"file://"+image.URL+"\", sha256: \""+image.SHA256+"\"}\n")
	t.Setenv("NETBOX_URL", l.NetBoxURL)
	t.Setenv("NETBOX_TOKEN", lab.Token)
	t.Setenv("RECONCILE_SECRET_ROOT_PASSWORD", "hunter-two")
	return dir
}

func fetch(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}
