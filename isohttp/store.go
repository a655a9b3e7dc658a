package isohttp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Store finds stock images and makes sure that they are what they are pinned to.
// Its zero value is ready. Any number of processes may share a directory.
type Store struct {
	// Dir holds downloaded images, as <sha256>.iso, and what is known about
	// images verified in place. "" means metalcue/images in the user's cache
	// directory ([os.UserCacheDir]). It is made when needed. Nothing is ever
	// removed from it but what turned out to be wrong; an image that no process
	// is about to use may be deleted at any time, also while it is served.
	Dir string

	// HTTP downloads; nil means a client with timeouts for everything but the
	// body. Redirects are bounded, and from https to http refused, in any case.
	HTTP *http.Client

	// Logger takes what an operator should know; nil discards.
	Logger *slog.Logger

	// OnProgress, if not nil, is called while an image is downloaded or
	// verified: at most once a second and at the end.
	OnProgress func(ImageProgress)

	// MaxSize bounds an image, in bytes; 0 means 64 GiB.
	MaxSize int64

	// Stall is how long a download may bring nothing before it is taken up
	// again; 0 means a minute.
	Stall time.Duration
}

// ImageProgress is how far an image has got.
type ImageProgress struct {
	Image  string `json:"image"` // path or URL, without credentials and query
	SHA256 string `json:"sha256"`
	Step   string `json:"step"`  // "download" or "verify"
	Done   int64  `json:"done"`  // bytes
	Total  int64  `json:"total"` // bytes; 0 if not known
}

// DigestError says that an image is not the one it is pinned to.
type DigestError struct{ Image, Got, Want string }

func (e *DigestError) Error() string {
	return fmt.Sprintf("image %s: sha256 is %s, want %s", e.Image, e.Got, e.Want)
}

// Get returns a verified image. A path or file URL is verified where it is and
// never copied; an http or https URL is downloaded into Dir, going on where an
// earlier download of this or another process has left off. An image is read
// through once, and again only when its size, modification time or inode have
// changed. When the digest is wrong, the error is a [*DigestError], and nothing
// that was downloaded is kept.
func (s *Store) Get(ctx context.Context, location, sha256 string) (Base, error) {
	want := strings.ToLower(sha256)
	if !isDigest(want) {
		return Base{}, fmt.Errorf("image %s: sha256 %q is not 64 hexadecimal digits", redact(location), sha256)
	}
	if !strings.Contains(location, "://") {
		return s.local(ctx, location, want)
	}
	u, err := url.Parse(location)
	if err != nil {
		return Base{}, fmt.Errorf("image %s: not a URL", redact(location))
	}
	switch {
	case u.Scheme == "file" && (u.Host == "" || u.Host == "localhost"):
		return s.local(ctx, filepath.FromSlash(u.Path), want)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return s.remote(ctx, u, want)
	}
	return Base{}, fmt.Errorf("image %s: want a path, or a file, http or https URL", redact(location))
}

func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// redact takes user, password and query out of a location: any of them may be a
// secret.
func redact(location string) string {
	if !strings.Contains(location, "://") {
		return location
	}
	u, err := url.Parse(location)
	if err != nil {
		scheme, _, _ := strings.Cut(location, "://")
		return scheme + "://…"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// local verifies a file in place.
func (s *Store) local(ctx context.Context, path, want string) (Base, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Base{}, fmt.Errorf("image %s: %w", path, err)
	}
	record := ""
	if dir, err := s.dir("verified"); err == nil {
		record = filepath.Join(dir, keyOf(path)+".json")
	} else {
		s.log().Warn("images verified in place will be verified again next time", "err", err)
	}
	r, err := s.verified(ctx, path, record, ImageProgress{Image: path, SHA256: want, Step: "verify"})
	if err != nil {
		return Base{}, fmt.Errorf("image %s: %w", path, err)
	}
	if r.SHA256 != want {
		return Base{}, &DigestError{path, r.SHA256, want}
	}
	return r.base(path), nil
}

// remote gives the cached image, downloading it first if need be.
func (s *Store) remote(ctx context.Context, u *url.URL, want string) (Base, error) {
	name := redact(u.String())
	dir, err := s.dir("")
	if err != nil {
		return Base{}, fmt.Errorf("image %s: %w", name, err)
	}
	path, record := filepath.Join(dir, want+".iso"), filepath.Join(dir, want+".json")
	// Without the lock: whoever holds it has not replaced the file yet, or has
	// just done so.
	if r, ok := known(path, record); ok && r.SHA256 == want {
		return r.base(path), nil
	}
	verify := ImageProgress{Image: name, SHA256: want, Step: "verify"}
	unlock, err := lock(ctx, filepath.Join(dir, want+".lock"))
	if err != nil && ctx.Err() == nil {
		// A cache of someone else's can be used for what is in it.
		if r, unread := s.verified(ctx, path, "", verify); unread == nil && r.SHA256 == want {
			s.log().Warn("image cache cannot be locked, its image will be verified again next time", "image", name, "err", err)
			return r.base(path), nil
		}
	}
	if err != nil {
		return Base{}, fmt.Errorf("image %s: %w", name, err)
	}
	defer unlock()
	r, err := s.verified(ctx, path, record, verify)
	switch {
	case err == nil && r.SHA256 == want:
		return r.base(path), nil
	case err == nil:
		s.log().Warn("cached image was changed, downloading it again", "image", name, "file", path)
		if err := os.Remove(path); err != nil {
			return Base{}, fmt.Errorf("image %s: %w", name, err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return Base{}, fmt.Errorf("image %s: %w", name, err)
	}
	if err := s.download(ctx, u, path, want); err != nil {
		return Base{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Base{}, fmt.Errorf("image %s: %w", name, err)
	}
	r = recordOf(info, want)
	s.remember(record, r)
	return r.base(path), nil
}

func (s *Store) dir(sub string) (string, error) {
	dir := s.Dir
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a cache directory: %w", err)
		}
		dir = filepath.Join(cache, "metalcue", "images")
	}
	dir, err := filepath.Abs(filepath.Join(dir, sub))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("making image cache: %w", err)
	}
	return dir, nil
}

func (s *Store) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Store) maxSize() int64 {
	if s.MaxSize <= 0 {
		return 64 << 30
	}
	return s.MaxSize
}

// report calls OnProgress, but not more than once a second: last keeps when.
func (s *Store) report(p ImageProgress, last *time.Time, force bool) {
	if s.OnProgress == nil {
		return
	}
	if now := time.Now(); force || now.Sub(*last) >= time.Second {
		*last = now
		s.OnProgress(p)
	}
}
