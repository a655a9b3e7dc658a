package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/source"
	"github.com/metalcue/metalcue/reconcile/verify"
	"github.com/metalcue/metalcue/schema"
)

// surroundings is where a run finds what is not its fleet: the world, or the
// lab's pretence of it.
type surroundings struct {
	netboxURL   string
	netboxToken credential.Secret
	snapshot    *netbox.Snapshot // asked in place of a NetBox, unless nil
	login       func(ctx context.Context, name string) (credential.Login, error)
	secret      func(ctx context.Context, name string) (credential.Secret, error)
	bmc         func(t reconcile.Target) (address string, tls redfish.TLS, err error)
	dialHost    func(ctx context.Context, network, address string) (net.Conn, error)
	timing      reconcile.Timing
	bmcTiming   redfish.Timing
	verifier    verify.Verifier
}

// load reads the fleet.
func (c *cli) load(ctx context.Context) (*source.Tree, *schema.Fleet, error) {
	tree, err := source.Open(ctx, source.Spec{
		Location: c.options.fleet, Ref: c.options.ref, Dir: c.options.dir, Credentials: c.credentials(),
		NoGit: true, // to look at; refuseDirty keeps it from being applied
	})
	if err != nil {
		return nil, nil, err
	}
	fleet, err := schema.Load(tree.FS, tree.Dir)
	if err != nil {
		return nil, nil, err
	}
	return tree, fleet, nil
}

// credentials is where logins and secrets are looked up.
func (c *cli) credentials() *credential.Store {
	return &credential.Store{Dir: c.options.credentialsDir, Helper: c.options.credentialHelper, Logger: c.logger()}
}

// world returns the surroundings that flags and environment describe.
func (c *cli) world(fleet *schema.Fleet) (*surroundings, error) {
	snapshot, err := c.snapshot()
	if err != nil {
		return nil, err
	}
	if c.options.netboxURL == "" && snapshot == nil {
		return nil, errors.New("no NetBox is named; set NETBOX_URL or --netbox-url, and NETBOX_TOKEN")
	}
	store := c.credentials()
	return &surroundings{
		snapshot:    snapshot,
		netboxURL:   c.options.netboxURL,
		netboxToken: credential.Secret(os.Getenv("NETBOX_TOKEN")),
		login:       store.Login,
		secret:      store.Secret,
		bmc:         func(t reconcile.Target) (string, redfish.TLS, error) { return bmcOf(fleet, t) },
	}, nil
}

// bmcOf returns how a declared BMC is reached and trusted.
func bmcOf(fleet *schema.Fleet, t reconcile.Target) (string, redfish.TLS, error) {
	declared := t.Host.BMC.TLS
	tls := redfish.TLS{Mode: declared.Mode, SHA256: declared.SHA256}
	if declared.CA != "" {
		pem, err := fs.ReadFile(fleet.Files, declared.CA)
		if err != nil {
			return "", tls, fmt.Errorf("reading bmc.tls.ca: %w", err)
		}
		tls.CAs = x509.NewCertPool()
		if !tls.CAs.AppendCertsFromPEM(pem) {
			return "", tls, fmt.Errorf("bmc.tls.ca: %s holds no PEM certificate", declared.CA)
		}
	}
	return t.Address, tls, nil
}

// overrides hands the fleet's rules for a BMC on.
func overrides(rules []schema.BMCRule) []redfish.Override {
	var list []redfish.Override
	for _, r := range rules {
		list = append(list, redfish.Override{Name: r.Name, Value: r.Value, From: r.Pos.String()})
	}
	return list
}

// wire connects a reconciler to its fleet and surroundings.
func (c *cli) wire(tree *source.Tree, fleet *schema.Fleet, s *surroundings) *reconcile.Reconciler {
	logger := c.logger()
	r := &reconcile.Reconciler{
		Fleet: fleet, Commit: tree.Commit, Dirty: len(tree.Dirty) > 0,
		Inventory: c.inventory(fleet, s),
		Secret:    s.secret,
		Timing:    s.timing,
		Run:       runID(),
		Link:      runLink(),
		Drain:     c.drain,
	}
	var mu sync.Mutex
	known := map[string]*redfish.Locations{} // one discovery a run
	r.Dial = func(ctx context.Context, t reconcile.Target) (reconcile.Machine, error) {
		address, tls, err := s.bmc(t)
		if err != nil {
			return nil, err
		}
		login, err := s.login(ctx, t.Host.BMC.Credentials)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		if known[t.Host.Name] == nil {
			known[t.Host.Name] = new(redfish.Locations)
		}
		return &redfish.Client{
			Address: address, Login: login, TLS: tls, System: t.Host.BMC.System, Profile: t.Host.BMC.Profile,
			Session: t.Host.BMC.Session, Overrides: overrides(t.Host.BMC.Rules), Marker: redfish.MarkerPlace(t.Host.BMC.Marker), Kept: t.AssetTag,
			OnRequest: func(q redfish.Request) { c.kept.Request(t.Host.Name, q) },
			Locations: known[t.Host.Name], Timing: s.bmcTiming, Logger: logger,
		}, nil
	}
	verifier := s.verifier
	verifier.DialContext = s.dialHost
	r.Verify = func(ctx context.Context, ch reconcile.Checked) error {
		return verifier.Run(ctx, ch.Address, ch.Env, ch.Checks)
	}
	return r
}

// withImages wires a reconciler that can open base images.
func (c *cli) withImages(tree *source.Tree, fleet *schema.Fleet) (*reconcile.Reconciler, error) {
	s, err := c.world(fleet)
	if err != nil {
		return nil, err
	}
	r := c.wire(tree, fleet, s)
	images, err := c.images(tree)
	if err != nil {
		return nil, err
	}
	images.store.OnProgress = func(p isohttp.ImageProgress) {
		r.Emit(reconcile.Event{Kind: reconcile.Fetching, Text: p.Step + " " + p.Image, Done: p.Done, Total: p.Total})
	}
	r.Images = images
	return r, nil
}

// serveMedia starts the media server for a run, and gives the reconciler what
// Apply needs of it. URLs of media derive from key. The returned function stops it.
func (c *cli) serveMedia(ctx context.Context, r *reconcile.Reconciler, listen isohttp.Listen, key []byte) (stop func(), err error) {
	server, err := c.mediaServer()
	if err != nil {
		return nil, err
	}
	running, err := server.Start(ctx, listen)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := running.Wait(); err != nil {
			c.logger().Error("the media server has stopped; installs under way cannot go on", "error", err)
		}
	}()
	r.Media, r.Key, r.AnyClient = server, key, c.options.mediaAnyClient
	r.OwnMedia = func(url string) bool { return ownMedia(running, url) }
	r.MediaURL = func(ctx context.Context, p *isohttp.Publication, bmc string, schemes []string) (string, error) {
		local, err := c.mediaAddress(ctx, bmc)
		if err != nil {
			return "", err
		}
		if len(schemes) == 0 {
			schemes = []string{"http", "https"}
		}
		for _, scheme := range schemes { // the surest first
			if url, err := running.URL(p, scheme, local); err == nil {
				return url, nil
			}
		}
		return "", fmt.Errorf("its BMC fetches media over %s only, and the media server does not listen for that on %s; see --listen and --listen-https", strings.Join(schemes, " or "), local)
	}
	return func() { running.Shutdown(ended(ctx)) }, nil
}

// ended is a context at its end, for a shutdown that waits for nobody who still
// reads.
func ended(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel()
	return ctx
}

// mediaAddress is the address at which a BMC reaches this machine.
func (c *cli) mediaAddress(ctx context.Context, bmc string) (netip.Addr, error) {
	if addr, err := c.options.mediaIP(); err != nil || addr.IsValid() {
		return addr, err
	}
	return isohttp.LocalAddress(ctx, bmc)
}

// images returns the cache of base images. Paths in the fleet are relative to
// its folder in a work tree.
func (c *cli) images(tree *source.Tree) (*fleetImages, error) {
	dir := c.options.imageCache
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("%w; name a directory with --image-cache", err)
		}
		dir = filepath.Join(cache, "metalcue", "images")
	}
	root := ""
	if c.options.ref == "" && !strings.Contains(c.options.fleet, "://") {
		root = filepath.Join(c.options.fleet, filepath.FromSlash(tree.Dir))
	}
	return &fleetImages{store: &isohttp.Store{Dir: dir, Logger: c.logger()}, root: root}, nil
}

// fleetImages is a store in which paths are relative to the fleet.
type fleetImages struct {
	store *isohttp.Store
	root  string // "" when the fleet is not in a directory
}

func (i *fleetImages) Get(ctx context.Context, url, sha256 string) (isohttp.Base, error) {
	if strings.Contains(url, "://") || filepath.IsAbs(url) {
		return i.store.Get(ctx, url, sha256)
	}
	if i.root == "" {
		return isohttp.Base{}, fmt.Errorf("%s is a path in the fleet's work tree, and this fleet was read from a repository; use a URL", url)
	}
	return i.store.Get(ctx, filepath.Join(i.root, filepath.FromSlash(url)), sha256)
}

// runID returns a fresh id of a run: seven characters of [0-9a-z].
func runID() string {
	b := make([]byte, 5)
	rand.Read(b)
	return strings.ToLower(base32.HexEncoding.EncodeToString(b))[:7]
}

// runLink is where this run can be looked at, when CI tells.
func runLink() string {
	server, repository, id := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), os.Getenv("GITHUB_RUN_ID")
	if server == "" || repository == "" || id == "" {
		return ""
	}
	return fmt.Sprintf("%s/%s/actions/runs/%s", server, repository, id)
}
