package source_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/source"
)

// uploadPack returns go-git's server for a repository.
func uploadPack(store storer.Storer) (transport.UploadPackSession, error) {
	endpoint := &transport.Endpoint{Protocol: "file", Path: "/"}
	return server.NewServer(server.MapLoader{endpoint.String(): store}).NewUploadPackSession(endpoint, nil)
}

// A gitHTTP serves a repository as git's smart HTTP protocol has it.
type gitHTTP struct {
	store    storer.Storer
	password string // "" for anyone
	requests []string
	auth     []string
	hang     chan struct{} // if not nil, POST waits for it or for the client to go
	redirect string
}

func (g *gitHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests = append(g.requests, r.Method+" "+r.URL.Path)
	g.auth = append(g.auth, r.Header.Get("Authorization"))
	if g.redirect != "" {
		http.Redirect(w, r, g.redirect+r.URL.RequestURI(), http.StatusFound)
		return
	}
	if _, password, _ := r.BasicAuth(); password != g.password {
		w.WriteHeader(map[bool]int{true: http.StatusUnauthorized, false: http.StatusForbidden}[password == ""])
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/org/fleet.git/") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	session, err := uploadPack(g.store)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		err = advertise(w, session, []byte("# service=git-upload-pack"))
	} else {
		if g.hang != nil {
			select {
			case <-g.hang:
			case <-r.Context().Done():
				return
			}
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		err = upload(w, r.Body, session)
	}
	if err != nil {
		panic(err)
	}
}

func advertise(w io.Writer, session transport.UploadPackSession, prefix []byte) error {
	advertised, err := session.AdvertisedReferences()
	if err != nil {
		return err
	}
	if prefix != nil {
		advertised.Prefix = [][]byte{prefix, pktline.Flush}
	}
	return advertised.Encode(w)
}

func upload(w io.Writer, r io.Reader, session transport.UploadPackSession) error {
	request := packp.NewUploadPackRequest()
	if err := request.UploadRequest.Decode(r); err != nil {
		return err
	}
	response, err := session.UploadPack(context.Background(), request)
	if err != nil {
		return err
	}
	defer response.Close()
	return response.Encode(w)
}

// inProcess sends requests to a handler, without a socket.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.handler.ServeHTTP(w, r)
	}()
	select {
	case <-done:
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
	response := w.Result()
	response.Request = r
	return response, nil
}

func logins(vars map[string]string) *credential.Store {
	return &credential.Store{Env: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

func TestOpenHTTP(t *testing.T) {
	r := newRepo(t)
	first := r.commit("first")
	r.tag("v1", first)
	r.write(map[string]string{"hosts/fleet.cue": "package fleet // 2\n"})
	second := r.commit("second")
	r.branch("old", first)
	g := &gitHTTP{store: r.git.Storer}
	spec := source.Spec{Location: "https://git.example.com/org/fleet.git", HTTP: &http.Client{Transport: inProcess{g}}, Credentials: logins(nil)}
	for ref, want := range map[string]plumbing.Hash{
		"": second, "main": second, "old": first, "v1": first, "refs/tags/v1": first, first.String(): first,
	} {
		spec.Ref = ref
		tree, err := source.Open(t.Context(), spec)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		wantRef := map[bool]string{true: "main", false: ref}[ref == ""]
		if tree.Commit != want.String() || tree.Dir != "hosts" || tree.Ref != wantRef {
			t.Errorf("%s: commit %s in %s, ref %q; want %s", ref, tree.Commit, tree.Dir, tree.Ref, want)
		}
		if got, want := content(t, tree, "hosts/fleet.cue"), map[bool]string{true: "package fleet\n", false: "package fleet // 2\n"}[want == first]; got != want {
			t.Errorf("%s: fleet.cue is %q, want %q", ref, got, want)
		}
	}
	spec.Ref = "mian"
	_, err := source.Open(t.Context(), spec)
	wantErr(t, err, "https://git.example.com/org/fleet.git at mian", `no branch or tag "mian"`, "the branches are main, old")
	spec.Ref, spec.Location = "", "https://git.example.com/org/other.git"
	_, err = source.Open(t.Context(), spec)
	wantErr(t, err, "org/other.git", "repository not found", "or it is private", "RECONCILE_CREDENTIAL_GIT_PASSWORD")
	for _, auth := range g.auth {
		if auth != "" {
			t.Errorf("sent %q without a login", auth)
		}
	}
}

func TestOpenHTTPLogin(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	const password = "tok-3nsecret"
	g := &gitHTTP{store: r.git.Storer, password: password}
	spec := source.Spec{Location: "https://git.example.com/org/fleet.git", HTTP: &http.Client{Transport: inProcess{g}}}
	login := func(password string) *credential.Store {
		return logins(map[string]string{"RECONCILE_CREDENTIAL_GIT_USERNAME": "x", "RECONCILE_CREDENTIAL_GIT_PASSWORD": password})
	}
	spec.Credentials = login(password)
	if tree := open(t, spec); tree.Dir != "hosts" {
		t.Errorf("dir %q", tree.Dir)
	}
	spec.Credentials = logins(nil)
	_, err := source.Open(t.Context(), spec)
	wantErr(t, err, "authentication required", "RECONCILE_CREDENTIAL_GIT_USERNAME")
	spec.Credentials = login("wr0ng-one")
	_, err = source.Open(t.Context(), spec)
	wantErr(t, err, "authorization failed", "may not read the repository")
	if strings.Contains(err.Error(), "wr0ng-one") {
		t.Errorf("the error has the password: %v", err)
	}
	spec.Credentials = logins(map[string]string{"RECONCILE_CREDENTIAL_GIT_USERNAME": "x"})
	_, err = source.Open(t.Context(), spec)
	wantErr(t, err, "_PASSWORD is not")
}

func TestOpenHTTPRedirect(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	g := &gitHTTP{store: r.git.Storer, redirect: "https://evil.example.com"}
	spec := source.Spec{
		Location:    "https://git.example.com/org/fleet.git",
		Credentials: logins(map[string]string{"RECONCILE_CREDENTIAL_GIT_USERNAME": "x", "RECONCILE_CREDENTIAL_GIT_PASSWORD": "y"}),
	}
	// The client that is used when none is given, on another transport.
	spec.HTTP = source.NewHTTPClient()
	spec.HTTP.Transport = inProcess{g}
	_, err := source.Open(t.Context(), spec)
	wantErr(t, err, "redirected to https://evil.example.com/", "name that location")
	if len(g.requests) != 1 {
		t.Errorf("followed: %q", g.requests)
	}
}

func TestOpenHTTPCancelled(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	g := &gitHTTP{store: r.git.Storer, hang: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(t.Context())
	transport := inProcess{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			cancel(errors.New("interrupted"))
		}
		g.ServeHTTP(w, r)
	})}
	_, err := source.Open(ctx, source.Spec{Location: "https://git.example.com/org/fleet.git", HTTP: &http.Client{Transport: transport}, Credentials: logins(nil)})
	wantErr(t, err, "opening https://git.example.com/org/fleet.git: interrupted")
}

func TestLocations(t *testing.T) {
	for location, want := range map[string]string{
		"http://git.example.com/org/fleet.git":       "use https or ssh",
		"git://git.example.com/org/fleet.git":        "use https or ssh",
		"ftp://git.example.com/org/fleet.git":        "use https or ssh",
		"https://a:s3cret@git.example.com/org/f":     "has a password: set RECONCILE_CREDENTIAL_GIT_USERNAME",
		"https://git.example.com/%zz":                "no URL",
		"git@git.example.com:org/fleet.git":          "",
		"no-such-directory/at-all":                   "no such file",
		"ssh://git@git.example.com/org/fleet.git":    "",
		"git@[2001:db8::1]:org/fleet.git":            "",
		"file:///no/such/directory/fleet.git":        "no such file",
		"file://" + filepath.ToSlash(t.TempDir()):    "not a git repository",
		"https://example.invalid./org/fleet.git#%20": "",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if want == "" { // known as a remote, and not spoken to
			cancel()
		}
		_, err := source.Open(ctx, source.Spec{Location: location, Credentials: logins(nil), KnownHosts: []string{os.DevNull}, SSHKey: os.DevNull})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", location, err)
		}
		if want == "" && strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s is taken for a directory: %v", location, err)
		}
	}
}

// A gitSSH serves a repository over ssh on loopback.
type gitSSH struct {
	address string
	hostKey ssh.Signer
	command chan string
	mute    bool // accepts connections and says nothing
}

// serveSSH accepts the key's owner as "git".
func serveSSH(t *testing.T, store storer.Storer, key ssh.PublicKey, mute bool) *gitSSH {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	g := &gitSSH{address: listener.Addr().String(), hostKey: signer, command: make(chan string, 1), mute: mute}
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, offered ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "git" || !bytes.Equal(offered.Marshal(), key.Marshal()) {
			return nil, errors.New("who are you")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go g.serve(conn, config, store)
		}
	}()
	return g
}

func (g *gitSSH) serve(conn net.Conn, config *ssh.ServerConfig, store storer.Storer) {
	defer conn.Close()
	if g.mute {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			if request.Type != "exec" {
				_ = request.Reply(false, nil)
				continue
			}
			_ = request.Reply(true, nil)
			g.exec(channel, string(request.Payload[4:]), store)
		}
	}
}

func (g *gitSSH) exec(channel ssh.Channel, command string, store storer.Storer) {
	g.command <- command
	status := byte(0)
	session, err := uploadPack(store)
	if command != "git-upload-pack 'org/it'\\''s.git'" {
		_, _ = io.WriteString(channel.Stderr(), "fatal: no such repository\n")
		status = 128
	} else if err == nil {
		if err = advertise(channel, session, nil); err == nil {
			err = upload(channel, channel, session)
		}
	}
	if err != nil {
		status = 1
	}
	_, _ = channel.SendRequest("exit-status", false, []byte{0, 0, 0, status})
	channel.Close()
}

// sshKey returns a new key and the file that it is in.
func sshKey(t *testing.T, passphrase string) (ssh.PublicKey, string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, file
}

func knownHosts(t *testing.T, address string, key ssh.PublicKey) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(knownhosts.Line([]string{address}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpenSSH(t *testing.T) {
	r := newRepo(t)
	hash := r.commit("first")
	key, file := sshKey(t, "")
	g := serveSSH(t, r.git.Storer, key, false)
	known := knownHosts(t, g.address, g.hostKey.PublicKey())
	spec := source.Spec{
		Location: "ssh://git@" + g.address + "/org/it's.git", SSHKey: file, KnownHosts: []string{known}, Credentials: logins(nil),
	}
	spec.Location = "ssh://git@" + g.address + "/"
	_, err := source.Open(t.Context(), spec)
	wantErr(t, err, "repository not found", "fatal: no such repository")
	if got := <-g.command; got != "git-upload-pack '/'" {
		t.Errorf("ran %q", got)
	}

	// A path with a quote must stay one word for the server's shell.
	host, port, err := net.SplitHostPort(g.address)
	if err != nil {
		t.Fatal(err)
	}
	spec.Location = "ssh://git@" + net.JoinHostPort(host, port) + "/~/org/it's.git"
	tree, err := source.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-g.command; got != "git-upload-pack 'org/it'\\''s.git'" {
		t.Errorf("ran %q", got)
	}
	if tree.Commit != hash.String() || content(t, tree, "hosts/fleet.cue") != "package fleet\n" {
		t.Errorf("got %+v", tree)
	}
	pemKey, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spec.SSHKey, spec.Credentials = "", logins(map[string]string{"RECONCILE_SECRET_GIT_SSH_KEY": strings.TrimSpace(string(pemKey))})
	if tree := open(t, spec); tree.Commit != hash.String() {
		t.Errorf("got %+v", tree)
	}
}

func TestOpenSSHRefuses(t *testing.T) {
	r := newRepo(t)
	r.commit("first")
	key, file := sshKey(t, "")
	other, otherFile := sshKey(t, "")
	_, locked := sshKey(t, "correct horse")
	g := serveSSH(t, r.git.Storer, key, false)
	known := knownHosts(t, g.address, g.hostKey.PublicKey())
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, tt := range []struct {
		name, key, known string
		want             []string
	}{
		{"unknown server", file, knownHosts(t, "192.0.2.1", g.hostKey.PublicKey()), []string{g.address, "is not known", "known_hosts"}},
		{"changed server", file, knownHosts(t, g.address, other), []string{g.address, "another host key", "someone may be in between"}},
		{"wrong key", otherFile, known, []string{"authentication required", "add the key to the agent"}},
		{"locked key", locked, known, []string{locked, "RECONCILE_SECRET_GIT_SSH_PASSPHRASE"}},
		{"no key", "", known, []string{"no ssh key", "ssh-agent"}},
		{"missing key", file + "x", known, []string{"reading ssh key", "no such file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := source.Open(t.Context(), source.Spec{
				Location: "ssh://git@" + g.address + "/~/org/it's.git", SSHKey: tt.key, KnownHosts: []string{tt.known}, Credentials: logins(nil),
			})
			wantErr(t, err, tt.want...)
		})
	}
}

func TestOpenSSHCancelled(t *testing.T) {
	key, file := sshKey(t, "")
	g := serveSSH(t, nil, key, true)
	ctx, cancel := context.WithCancelCause(t.Context())
	go cancel(errors.New("interrupted"))
	_, err := source.Open(ctx, source.Spec{
		Location: "ssh://git@" + g.address + "/x.git", SSHKey: file, KnownHosts: []string{knownHosts(t, g.address, g.hostKey.PublicKey())}, Credentials: logins(nil),
	})
	wantErr(t, err, "interrupted")
}

func TestOpenHTTPLoopback(t *testing.T) {
	r := newRepo(t)
	hash := r.commit("first")
	s := httptest.NewServer(&gitHTTP{store: r.git.Storer})
	defer s.Close()
	tree := open(t, source.Spec{Location: s.URL + "/org/fleet.git", Credentials: logins(nil)})
	if tree.Commit != hash.String() {
		t.Errorf("commit %s, want %s", tree.Commit, hash)
	}
	if _, err := fs.Stat(tree.FS, "hosts/fleet.cue"); err != nil {
		t.Error(err)
	}
}
