package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// An sshSession runs git-upload-pack over ssh. go-git's own transport can
// neither be cancelled while it connects nor be given a connection.
type sshSession struct {
	client  *ssh.Client
	session *ssh.Session
	stop    func() bool // ends the watch of the context
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *head
}

// dialSSH connects, logs in and starts git-upload-pack.
func dialSSH(ctx context.Context, s Spec, store *credential.Store, u *url.URL) (*sshSession, error) {
	address := net.JoinHostPort(u.Hostname(), or(u.Port(), "22"))
	config, closeAgent, err := sshConfig(ctx, s, store, u, address)
	if err != nil {
		return nil, err
	}
	defer closeAgent()
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	// Closing the connection is what ends every later read and write.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	client, err := handshake(conn, address, config)
	if err != nil {
		stop()
		conn.Close()
		return nil, explainSSH(err, address)
	}
	session := &sshSession{client: client, stop: stop, stderr: &head{}}
	// As in git, "/~/" begins a path in the home of the login.
	path, home := strings.CutPrefix(u.Path, "/~/")
	if !home {
		path = u.Path
	}
	if err := session.start(path); err != nil {
		session.Close()
		return nil, err
	}
	return session, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// handshake logs in. It is bounded in time: a server may accept a connection
// and then say nothing.
func handshake(conn net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), conn.SetDeadline(time.Time{})
}

func (s *sshSession) start(path string) (err error) {
	if s.session, err = s.client.NewSession(); err != nil {
		return err
	}
	if s.in, err = s.session.StdinPipe(); err != nil {
		return err
	}
	out, err := s.session.StdoutPipe()
	if err != nil {
		return err
	}
	s.out, s.session.Stderr = bufio.NewReader(out), s.stderr
	return s.session.Start("git-upload-pack '" + strings.ReplaceAll(path, "'", `'\''`) + "'")
}

// AdvertisedReferencesContext reads what the server has.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	advertised := packp.NewAdvRefs()
	if err := advertised.Decode(s.out); err != nil {
		if said := s.said(); said != "" {
			return nil, fmt.Errorf("%w: the server says: %s", transport.ErrRepositoryNotFound, said)
		}
		if errors.Is(err, packp.ErrEmptyAdvRefs) {
			return nil, transport.ErrEmptyRemoteRepository
		}
		return nil, fmt.Errorf("reading what the server has: %w", err)
	}
	return advertised, nil
}

// UploadPack asks for objects.
func (s *sshSession) UploadPack(_ context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if err := request.UploadRequest.Encode(s.in); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(s.in).Encodef("done\n"); err != nil {
		return nil, err
	}
	response := packp.NewUploadPackResponse(request)
	if err := response.Decode(io.NopCloser(s.out)); err != nil {
		if said := s.said(); said != "" {
			return nil, fmt.Errorf("%w: the server says: %s", err, said)
		}
		return nil, err
	}
	return response, nil
}

// said returns what the server complained of, once it has ended.
func (s *sshSession) said() string {
	s.in.Close()
	_ = s.session.Wait() // its error is in what the server says
	return s.stderr.String()
}

// Close ends the connection.
func (s *sshSession) Close() error {
	s.stop()
	return s.client.Close()
}

// sshConfig says who we are, and whom we take the server for.
func sshConfig(ctx context.Context, s Spec, store *credential.Store, u *url.URL, address string) (*ssh.ClientConfig, func(), error) {
	files, err := knownHostsFiles(s)
	if err != nil {
		return nil, nil, err
	}
	known, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, nil, fmt.Errorf("reading known hosts: %w", err)
	}
	auth, closeAgent, err := sshAuth(ctx, s, store)
	if err != nil {
		return nil, nil, err
	}
	user := "git"
	if u.User != nil {
		user = u.User.Username()
	}
	return &ssh.ClientConfig{
		User:              user,
		Auth:              []ssh.AuthMethod{auth},
		HostKeyCallback:   known.HostKeyCallback(),
		HostKeyAlgorithms: known.HostKeyAlgorithms(address),
	}, closeAgent, nil
}

func knownHostsFiles(s Spec) ([]string, error) {
	if len(s.KnownHosts) > 0 {
		return s.KnownHosts, nil
	}
	candidates := []string{"/etc/ssh/ssh_known_hosts"}
	if home, err := os.UserHomeDir(); err == nil {
		candidates = append(candidates, filepath.Join(home, ".ssh", "known_hosts"))
	}
	var files []string
	for _, file := range candidates {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("none of %s exists, so no server can prove who it is: add its key with ssh-keyscan, after checking it", strings.Join(candidates, ", "))
	}
	return files, nil
}

// sshAuth returns the key that we log in with.
func sshAuth(ctx context.Context, s Spec, store *credential.Store) (ssh.AuthMethod, func(), error) {
	nothing := func() {}
	if s.SSHKey != "" {
		data, err := os.ReadFile(s.SSHKey)
		if err != nil {
			return nil, nil, fmt.Errorf("reading ssh key: %w", err)
		}
		auth, err := keyAuth(ctx, store, data, s.SSHKey)
		return auth, nothing, err
	}
	key, err := store.Secret(ctx, "git-ssh-key")
	if err == nil {
		auth, err := keyAuth(ctx, store, []byte(key.Reveal()+"\n"), `secret "git-ssh-key"`)
		return auth, nothing, err
	}
	if !errors.Is(err, credential.ErrNotFound) {
		return nil, nil, err
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, nil, errors.New("no ssh key: start ssh-agent, or name a key file, or set RECONCILE_SECRET_GIT_SSH_KEY")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("asking the ssh agent: %w", err)
	}
	return ssh.PublicKeysCallback(agent.NewClient(conn).Signers), func() { conn.Close() }, nil
}

// keyAuth returns a private key, opened with the passphrase where it is
// locked.
func keyAuth(ctx context.Context, store *credential.Store, pem []byte, from string) (ssh.AuthMethod, error) {
	signer, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		passphrase, secretErr := store.Secret(ctx, "git-ssh-passphrase")
		if secretErr != nil {
			return nil, fmt.Errorf("opening %s: %w", from, secretErr)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(pem, []byte(passphrase.Reveal()))
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", from, err)
	}
	return ssh.PublicKeys(signer), nil
}

// explainSSH says what can be done when a server is not who it should be, or
// does not take us for who we are.
func explainSSH(err error, address string) error {
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("%s shows another host key than the known one: someone may be in between; if its key was changed on purpose, replace it in known_hosts: %w", address, err)
	case knownhosts.IsHostUnknown(err):
		return fmt.Errorf("the host key of %s is not known: check it and add it to known_hosts: %w", address, err)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("%w: %w", transport.ErrAuthenticationRequired, err)
	}
	return err
}

// head keeps the beginning of what a server says on its standard error.
type head struct {
	mu   sync.Mutex
	kept []byte
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, p[:min(len(p), 300-min(300, len(h.kept)))]...)
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(strings.Fields(string(h.kept)), " ")
}
