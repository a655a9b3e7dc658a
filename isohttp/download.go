package isohttp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// download is one image on its way into the cache.
type download struct {
	store *Store
	url   *url.URL
	name  string // of the image in errors
	want  string // digest

	file    *os.File // <sha256>.part
	hash    hash.Hash
	n       int64  // bytes in file and hash
	most    int64  // the largest n there was
	total   int64  // of the image; 0 if not known
	tag     string // validator for If-Range; "" if the server gave none
	resumed bool   // the bytes are not all of one answer
	last    time.Time
}

// partInfo goes with a partial download. The URL is hashed, as it may hold
// credentials.
type partInfo struct {
	URL string `json:"url"`
	Tag string `json:"tag"`
}

// maxTries bounds the attempts in a row that bring no byte.
const maxTries = 6

// download brings the image at u to path. The caller holds its lock.
func (s *Store) download(ctx context.Context, u *url.URL, path, want string) error {
	d := &download{store: s, url: u, name: redact(u.String()), want: want, hash: sha256.New()}
	err := d.run(ctx, path)
	if wrong := (*DigestError)(nil); errors.As(err, &wrong) && d.resumed {
		// What an earlier run left behind may have been damaged, or the image
		// changed between two answers; the server deserves a second chance.
		s.log().Warn("download that was made in several goes has the wrong digest, beginning anew", "image", d.name)
		d = &download{store: s, url: u, name: d.name, want: want, hash: sha256.New()}
		err = d.run(ctx, path)
	}
	if wrong := (*DigestError)(nil); err == nil || errors.As(err, &wrong) {
		return err
	}
	return fmt.Errorf("image %s: %w", d.name, err)
}

func (d *download) run(ctx context.Context, path string) (err error) {
	part := strings.TrimSuffix(path, ".iso") + ".part"
	d.file, err = os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer d.file.Close()
	if err := d.takeUp(ctx, part); err != nil {
		return err
	}
	if err := d.fetchAll(ctx, part); err != nil {
		if d.n == 0 {
			discard(part)
		}
		return err
	}
	d.total = d.n // also when the server had not said it
	d.store.report(d.progress(), &d.last, true)
	if got := hex.EncodeToString(d.hash.Sum(nil)); got != d.want {
		discard(part)
		return &DigestError{d.name, got, d.want}
	}
	if err := d.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	os.Remove(part + ".json")
	return syncDir(filepath.Dir(path))
}

func discard(part string) {
	os.Remove(part)
	os.Remove(part + ".json")
}

// takeUp hashes what an earlier download from the same URL has left.
func (d *download) takeUp(ctx context.Context, part string) error {
	b, err := os.ReadFile(part + ".json")
	var info partInfo
	if err != nil || json.Unmarshal(b, &info) != nil || info.URL != keyOf(d.url.String()) {
		return d.reset()
	}
	d.tag = info.Tag
	p := ImageProgress{Image: d.name, SHA256: d.want, Step: "verify"}
	if st, err := d.file.Stat(); err == nil {
		p.Total = st.Size()
	}
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := d.file.Read(buf)
		d.hash.Write(buf[:n])
		d.n += int64(n)
		d.resumed = d.resumed || n > 0
		p.Done = d.n
		d.store.report(p, &d.last, err == io.EOF && d.n == p.Total && d.n > 0)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reset begins anew.
func (d *download) reset() error {
	d.n, d.total, d.tag, d.resumed = 0, 0, "", false
	d.hash.Reset()
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	_, err := d.file.Seek(0, io.SeekStart)
	return err
}

// fetchAll asks until everything is there, going on where a connection broke.
func (d *download) fetchAll(ctx context.Context, part string) error {
	d.most = d.n
	wait := time.Second
	for tries := 1; ; tries++ {
		err := d.fetch(ctx, part)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.n > d.most { // also beyond what was had before a beginning anew
			d.most, tries, wait = d.n, 1, time.Second
		}
		if perm := (*permanentError)(nil); errors.As(err, &perm) || tries == maxTries {
			return err
		}
		d.store.log().Warn("taking up download again", "image", d.name, "have", d.n, "in", wait, "err", err)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, 30*time.Second)
	}
}

// permanentError is one that asking again does not mend.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

func permanent(format string, args ...any) error {
	return &permanentError{fmt.Errorf(format, args...)}
}

// fetch makes one request for what is missing and reads the answer.
func (d *download) fetch(ctx context.Context, part string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return permanent("not a URL")
	}
	r.Header.Set("Accept-Encoding", "identity")
	if d.n > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.n))
		if d.tag != "" {
			r.Header.Set("If-Range", d.tag)
		}
	}
	res, err := d.store.client().Do(r)
	if err != nil {
		// Of url.Error only the cause: the URL may hold credentials.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		if strings.HasPrefix(err.Error(), "failed to parse Location header") { // which may hold some, too
			return permanent("GET: redirect to what is no URL")
		}
		if d.n == 0 && hopeless(err) {
			return permanent("GET: %w", err)
		}
		return fmt.Errorf("GET: %w", err)
	}
	defer res.Body.Close()
	if err := d.accept(res, part); err != nil {
		return err
	}
	return d.copy(ctx, cancel, res.Body)
}

// hopeless says whether the next request would fail like this one.
func hopeless(err error) bool {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &name) && name.IsNotFound || errors.As(err, &certificate)
}

// accept checks the header of an answer and prepares for its body.
func (d *download) accept(res *http.Response, part string) error {
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return permanent("GET: answer has Content-Encoding %q", e)
	}
	switch s := res.StatusCode; {
	case s == http.StatusOK:
		if err := d.reset(); err != nil {
			return err
		}
		d.total = max(0, res.ContentLength)
	case s == http.StatusPartialContent && d.n > 0:
		first, total, ok := contentRange(res.Header.Get("Content-Range"))
		if !ok || first != d.n {
			err := fmt.Errorf("GET from %d: answer has Content-Range %q", d.n, res.Header.Get("Content-Range"))
			return errors.Join(err, d.reset())
		}
		if tag := validator(res.Header); tag != d.tag && tag != "" && d.tag != "" {
			// Not every server heeds If-Range.
			return errors.Join(fmt.Errorf("GET from %d: the image changed from %s to %s", d.n, d.tag, tag), d.reset())
		}
		d.total, d.resumed = total, true
	case s == http.StatusRequestedRangeNotSatisfiable && d.n > 0:
		return errors.Join(fmt.Errorf("GET from %d: %s", d.n, res.Status), d.reset())
	case s == http.StatusRequestTimeout || s == http.StatusTooManyRequests || s >= 500:
		return fmt.Errorf("GET: %s", res.Status)
	default:
		return permanent("GET: %s", res.Status)
	}
	if d.total > d.store.maxSize() {
		return permanent("%d bytes are more than the %d an image may have", d.total, d.store.maxSize())
	}
	if d.n == 0 {
		d.tag = validator(res.Header)
	}
	b, err := json.Marshal(partInfo{keyOf(d.url.String()), d.tag})
	if err != nil {
		return err
	}
	return writeFile(part+".json", b)
}

// validator returns what If-Range takes: a strong tag or a date.
func validator(h http.Header) string {
	if t := h.Get("Etag"); strings.HasPrefix(t, `"`) {
		return t
	}
	return h.Get("Last-Modified")
}

// contentRange reads "bytes first-last/total"; a total of "*" is 0.
func contentRange(s string) (first, total int64, ok bool) {
	s, found := strings.CutPrefix(s, "bytes ")
	pos, size, slash := strings.Cut(s, "/")
	a, _, dash := strings.Cut(pos, "-")
	first, ok = parsePos(a)
	if size == "*" {
		return first, 0, found && slash && dash && ok
	}
	total, sized := parsePos(size)
	return first, total, found && slash && dash && ok && sized
}

// errStalled is the cause when a server sends nothing for too long.
var errStalled = errors.New("nothing came for too long")

// copy reads the body to its end.
func (d *download) copy(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader) error {
	stall := d.store.Stall
	if stall <= 0 {
		stall = time.Minute
	}
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer timer.Stop()
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		timer.Reset(stall)
		if d.n+int64(n) > d.store.maxSize() {
			return permanent("more than the %d bytes an image may have", d.store.maxSize())
		}
		if _, err := d.file.Write(buf[:n]); err != nil {
			return &permanentError{err}
		}
		d.hash.Write(buf[:n])
		d.n += int64(n)
		d.store.report(d.progress(), &d.last, false)
		switch {
		case err == io.EOF && d.n < d.total:
			return fmt.Errorf("answer ended after %d of %d bytes", d.n, d.total)
		case err == io.EOF:
			return nil
		case err != nil && context.Cause(ctx) == errStalled:
			return fmt.Errorf("reading answer: %w", errStalled)
		case err != nil:
			return fmt.Errorf("reading answer: %w", err)
		}
	}
}

func (d *download) progress() ImageProgress {
	return ImageProgress{Image: d.name, SHA256: d.want, Step: "download", Done: d.n, Total: d.total}
}

// client is the store's, with our rules for redirects.
func (s *Store) client() *http.Client {
	c := http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		DisableCompression:    true,
		DisableKeepAlives:     true, // one request, long apart from the next
	}}
	if s.HTTP != nil {
		c = *s.HTTP
	}
	more := c.CheckRedirect
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		r.Header.Del("Referer") // it has the query of the address, which may be a secret
		switch {
		case len(via) >= maxRedirects:
			return &permanentError{errors.New("too many redirects")}
		case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https":
			return &permanentError{fmt.Errorf("redirect from https to %s refused", r.URL.Scheme)}
		case more != nil:
			return more(r, via)
		}
		return nil
	}
	return &c
}

const maxRedirects = 10

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
