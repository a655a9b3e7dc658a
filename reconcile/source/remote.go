package source

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/metalcue/metalcue/reconcile/credential"
)

// maxPack bounds what is fetched, in bytes: it is held in memory.
const maxPack = 256 << 20

// scpForm is ssh's short form, user@host:path.
var scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):([^/].*|/.*)$`)

// parseLocation returns the URL of a remote repository, or nil for a
// directory.
func parseLocation(location string) (*url.URL, error) {
	if m := scpForm.FindStringSubmatch(location); m != nil {
		return &url.URL{Scheme: "ssh", User: url.User(m[1]), Host: m[2], Path: m[3]}, nil
	}
	if !strings.Contains(location, "://") {
		return nil, nil
	}
	u, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("the location is no URL: %w", errors.Unwrap(err))
	}
	if _, ok := u.User.Password(); ok {
		return nil, fmt.Errorf("%s has a password: set RECONCILE_CREDENTIAL_GIT_USERNAME and RECONCILE_CREDENTIAL_GIT_PASSWORD instead", u.Redacted())
	}
	switch u.Scheme {
	case "https", "ssh", "file":
		return u, nil
	case "http":
		if isLoopback(u.Hostname()) {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%s cannot prove that it is what it says: use https or ssh", location)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A session speaks to git-upload-pack.
type session interface {
	AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error)
	UploadPack(context.Context, *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	Close() error
}

// openRemote fetches one commit of a remote repository into memory.
func openRemote(ctx context.Context, s Spec, u *url.URL) (*Tree, error) {
	store := memory.NewStorage()
	hash, ref, err := fetch(ctx, s, u, store)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, explain(err, u)
	}
	commit, err := object.GetCommit(store, hash)
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", hash, err)
	}
	fsys, err := newTreeFS(store, commit)
	if err != nil {
		return nil, err
	}
	return newTree(fsys, ".", s.Dir, commit, ref)
}

// connect opens a session. Its context ends it.
func connect(ctx context.Context, s Spec, u *url.URL) (session, error) {
	store := s.Credentials
	if store == nil {
		store = &credential.Store{}
	}
	if u.Scheme == "ssh" {
		return dialSSH(ctx, s, store, u)
	}
	var auth transport.AuthMethod
	login, err := store.Login(ctx, "git")
	switch {
	case err == nil:
		auth = &githttp.BasicAuth{Username: login.Username, Password: login.Password.Reveal()}
	case !errors.Is(err, credential.ErrNotFound):
		return nil, err
	}
	client := s.HTTP
	if client == nil {
		client = NewHTTPClient()
	}
	endpoint, err := transport.NewEndpoint(u.String())
	if err != nil {
		return nil, err
	}
	return githttp.NewClient(client).NewUploadPackSession(endpoint, auth)
}

// NewHTTPClient returns the client that is used for https remotes when a
// [Spec] has none: it follows no redirect to another host.
func NewHTTPClient() *http.Client { return &http.Client{CheckRedirect: sameHost} }

// sameHost refuses redirects to another host: it would be another repository
// than the one that was named.
func sameHost(r *http.Request, via []*http.Request) error {
	if r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return fmt.Errorf("redirected to %s: name that location", r.URL.Redacted())
	}
	if len(via) > 5 {
		return errors.New("redirected too often")
	}
	return nil
}

// fetch gets the commit that the spec names, without its history where the
// server can do that.
func fetch(ctx context.Context, s Spec, u *url.URL, store *memory.Storage) (plumbing.Hash, string, error) {
	remote, err := connect(ctx, s, u)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	defer remote.Close()
	advertised, err := remote.AdvertisedReferencesContext(ctx)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	want, ref, err := wanted(advertised, s.Ref)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	request := packp.NewUploadPackRequestFromCapabilities(advertised.Capabilities)
	for _, c := range []capability.Capability{capability.Shallow, capability.NoProgress} {
		if advertised.Capabilities.Supports(c) {
			if err := request.Capabilities.Set(c); err != nil {
				return plumbing.ZeroHash, "", err
			}
		}
	}
	if advertised.Capabilities.Supports(capability.Shallow) {
		request.Depth = packp.DepthCommits(1)
	}
	request.Wants = []plumbing.Hash{want}
	if err := request.Validate(); err != nil {
		return plumbing.ZeroHash, "", err
	}
	response, err := remote.UploadPack(ctx, request)
	if err != nil {
		return plumbing.ZeroHash, "", err
	}
	defer response.Close()
	if err := unpack(request, response, store); err != nil {
		return plumbing.ZeroHash, "", fmt.Errorf("fetching %s: %w", want, err)
	}
	hash, err := peel(store, want)
	return hash, ref, err
}

// unpack stores what the server sent.
func unpack(request *packp.UploadPackRequest, response io.Reader, store *memory.Storage) error {
	switch {
	case request.Capabilities.Supports(capability.Sideband64k):
		response = sideband.NewDemuxer(sideband.Sideband64k, response)
	case request.Capabilities.Supports(capability.Sideband):
		response = sideband.NewDemuxer(sideband.Sideband, response)
	}
	limited := &limitedReader{r: response, left: maxPack}
	return packfile.UpdateObjectStorage(store, limited)
}

// A limitedReader fails past its limit, where [io.LimitedReader] would end.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the commit is larger than %d MiB: keep images and other large files out of the fleet's repository", maxPack>>20)
	}
	return n, err
}

// wanted returns the object that a ref names, and what the ref is called.
func wanted(advertised *packp.AdvRefs, ref string) (plumbing.Hash, string, error) {
	if ref == "" {
		if advertised.Head == nil {
			return plumbing.ZeroHash, "", errors.New("the repository has no default branch: name a ref")
		}
		return *advertised.Head, defaultBranch(advertised), nil
	}
	for _, name := range []string{ref, "refs/heads/" + ref, "refs/tags/" + ref} {
		if hash, ok := advertised.References[name]; ok {
			return hash, ref, nil
		}
	}
	if _, err := hex.DecodeString(ref); err == nil && len(ref) == 40 {
		return plumbing.NewHash(ref), ref, nil
	}
	var names []string
	for name := range advertised.References {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			names = append(names, branch)
		}
	}
	slices.Sort(names)
	return plumbing.ZeroHash, "", fmt.Errorf("there is no branch or tag %q (a commit needs all 40 digits)%s", ref, known(names))
}

// defaultBranch returns the name of the branch that HEAD is.
func defaultBranch(advertised *packp.AdvRefs) string {
	for _, value := range advertised.Capabilities.Get(capability.SymRef) {
		if branch, ok := strings.CutPrefix(value, "HEAD:refs/heads/"); ok {
			return branch
		}
	}
	return "HEAD"
}

// peel follows annotated tags to their commit.
func peel(store *memory.Storage, hash plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		tag, err := object.GetTag(store, hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return hash, nil
		}
		if err != nil {
			return hash, err
		}
		if tag.TargetType == plumbing.CommitObject {
			return tag.Target, nil
		}
		hash = tag.Target
	}
	return hash, errors.New("the tag leads to tags only")
}

// explain says what can be done about an error of a remote repository.
func explain(err error, u *url.URL) error {
	login := "set RECONCILE_CREDENTIAL_GIT_USERNAME and RECONCILE_CREDENTIAL_GIT_PASSWORD, for GitHub and GitLab to a token"
	if u.Scheme == "ssh" {
		login = "add the key to the agent, or name its file"
	}
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return fmt.Errorf("%w: %s", err, login)
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return fmt.Errorf("%w: this login may not read the repository", err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w, or it is private: %s", err, login)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("%w: push the fleet to it", err)
	case strings.Contains(err.Error(), "not our ref"):
		return fmt.Errorf("the server does not give out that commit; name a branch or a tag that has it: %w", err)
	}
	return err
}

// dialTimeout bounds how long a server may take to be reached and to say who
// it is.
const dialTimeout = 30 * time.Second
