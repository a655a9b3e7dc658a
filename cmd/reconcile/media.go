package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/reconcile"
)

// minMediaKey is the least number of characters of a media key.
const minMediaKey = 32

// mediaKey returns the key from which URLs of media derive. Runs that share it
// give the same media the same URL, so that one can take up what another that
// was killed had begun. It comes from RECONCILE_MEDIA_KEY, else from a file of
// this user, which the first run makes.
func (c *cli) mediaKey() ([]byte, error) {
	if key := os.Getenv("RECONCILE_MEDIA_KEY"); key != "" {
		if len(key) < minMediaKey {
			return nil, fmt.Errorf("RECONCILE_MEDIA_KEY is %d characters long and must have at least %d, made at random: whoever guesses it can read every host's answer file", len(key), minMediaKey)
		}
		return []byte(key), nil
	}
	path := c.options.mediaKeyFile
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("%w; set RECONCILE_MEDIA_KEY or --media-key-file", err)
		}
		path = filepath.Join(cache, "metalcue", "media.key")
	}
	key, err := keyFile(path)
	if err != nil {
		return nil, fmt.Errorf("the key for media URLs: %w", err)
	}
	return key, nil
}

// keyFile reads a key, or makes one that nobody else can read. Of several
// processes that make it at once, one does.
func keyFile(path string) ([]byte, error) {
	for range 2 {
		key, err := os.ReadFile(path)
		if err == nil {
			key = []byte(strings.TrimSpace(string(key)))
			if len(key) < minMediaKey {
				return nil, fmt.Errorf("%s holds %d characters and must hold at least %d; delete it, and the next run makes one", path, len(key), minMediaKey)
			}
			return key, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := makeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s comes and goes", path)
}

// randomKey is a key for media that no later run shall find.
func randomKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

func makeKey(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "media.key.*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(randomKey()) + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path) // whole, or not at all
}

// A runMedia is the media server of a run, or why there is none.
type runMedia struct {
	stop func()
	busy error // somebody else listens there: most likely a run that is under way
}

// listenForRun starts the media server before the fleet is looked at: media in
// a machine's drive that are to come from where this process listens are those
// of a dead run. A run that turns out to have nothing to install does not mind
// that another one listens there.
func (c *cli) listenForRun(ctx context.Context, r *reconcile.Reconciler) (runMedia, error) {
	if c.options.dryRun {
		return runMedia{stop: func() {}}, nil
	}
	key, err := c.mediaKey()
	if err != nil {
		return runMedia{}, err
	}
	listen, err := c.listenOn()
	if err != nil {
		return runMedia{}, err
	}
	stop, err := c.serveMedia(ctx, r, listen, key)
	if errors.Is(err, syscall.EADDRINUSE) {
		return runMedia{stop: func() {}, busy: fmt.Errorf("%w; if that is another run, wait for its end, or listen elsewhere with --listen and --listen-https", err)}, nil
	}
	return runMedia{stop: stop}, err
}

// ownMedia reports whether a URL names a medium at an address of this machine
// and the port where running listens. An address that is not this machine's, as
// --media-address may be one, does not count: others may stand behind it too.
func ownMedia(running *isohttp.Running, image string) bool {
	u, err := url.Parse(image)
	if err != nil || !strings.HasPrefix(u.Path, "/i/") {
		return false
	}
	at, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		addr, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
		if err != nil {
			return false
		}
		at = netip.AddrPortFrom(addr, map[string]uint16{"http": 80, "https": 443}[u.Scheme])
	}
	listens := map[string]netip.AddrPort{"http": running.HTTP, "https": running.HTTPS}[u.Scheme]
	if !listens.IsValid() || listens.Port() != at.Port() {
		return false
	}
	listener := listens.Addr().Unmap()
	return listener == at.Addr().Unmap() || listener.IsUnspecified() && isLocal(at.Addr())
}

// isLocal reports whether an address is one of this machine's.
func isLocal(addr netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap() == addr.Unmap().WithZone("")
	})
}
