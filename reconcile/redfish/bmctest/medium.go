package bmctest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kdomanski/iso9660"
)

const (
	blockSize = 16 << 10 // of one cached read
	maxBlocks = 64       // in the cache
	isoSector = 2048
)

// A medium is an image behind a URL, read with ranged requests as the drive
// emulation of a BMC does it.
type medium struct {
	ctx      context.Context // of the power cycle; the io.ReaderAt interface has no room for it
	fetch    http.RoundTripper
	url      string
	size     int64
	present  func() bool // the image is still in the drive
	patience time.Duration
	chunk    int

	mu     sync.Mutex
	blocks map[int64][]byte
	order  []int64
	err    error // the first read that failed for good

	volumeID string
	root     file // as Linux and GRUB see it
	plain    file // as ISOLINUX sees it, without Rock Ridge
}

// largeMedium is where the ISO 9660 library's offsets overflow.
const largeMedium = 4 << 30

// openMedium asks for the image's size with HEAD and opens its file system.
func (m *Machine) openMedium(ctx context.Context, url string) (*medium, error) {
	cd := &medium{ctx: ctx, fetch: m.transport(), url: url, present: func() bool { return m.holds(url) }, patience: m.Patience, chunk: m.Chunk, blocks: map[int64][]byte{}}
	if cd.chunk <= 0 {
		cd.chunk = 256 << 10
	}
	if err := cd.retry(func() (err error) { cd.size, err = probe(ctx, cd.fetch, url); return err }); err != nil {
		return nil, err
	}
	img, err := iso9660.OpenImage(cd)
	if err != nil {
		return nil, fmt.Errorf("reading volume descriptors: %w", err)
	}
	label, err := img.Label()
	if err != nil {
		return nil, fmt.Errorf("reading the volume identifier: %w", err)
	}
	cd.volumeID = strings.TrimRight(label, " \x00")
	if cd.plain, err = openBare(cd, cd.size, false); err != nil {
		return nil, err
	}
	if cd.size >= largeMedium {
		cd.root, err = openBare(cd, cd.size, true)
		return cd, err
	}
	root, err := img.RootDir()
	if err != nil {
		return nil, fmt.Errorf("reading the root directory: %w", err)
	}
	cd.root = cd.library(root)
	return cd, nil
}

// transport is what fetches media.
func (m *Machine) transport() http.RoundTripper {
	if m.Fetch != nil {
		return m.Fetch
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.network == nil {
		m.network = &http.Transport{
			TLSClientConfig:       &tls.Config{InsecureSkipVerify: true}, // BMCs do not verify either
			ResponseHeaderTimeout: 30 * time.Second,
			IdleConnTimeout:       30 * time.Second,
			DisableCompression:    true,
		}
	}
	return m.network
}

// probe asks for an image's size with HEAD, and insists on what BMCs insist on.
func probe(ctx context.Context, rt http.RoundTripper, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, fmt.Errorf("HEAD: %w", err)
	}
	resp.Body.Close()
	switch {
	case resp.StatusCode != http.StatusOK:
		return 0, statusError{http.MethodHead, resp.StatusCode}
	case resp.ContentLength <= 0:
		return 0, errors.New("HEAD: no Content-Length")
	case resp.Header.Get("Accept-Ranges") != "bytes":
		return 0, errors.New("HEAD: no Accept-Ranges: bytes")
	}
	return resp.ContentLength, nil
}

// isDisc reads the primary volume descriptor (ECMA-119 8.4), which is in sector 16.
func isDisc(ctx context.Context, rt http.RoundTripper, url string, size int64) error {
	const at, length = 16 * 2048, 2048
	if size < at+length {
		return errors.New("the image is too short for a disc")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+length-1))
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("GET: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		return statusError{http.MethodGet, resp.StatusCode}
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, length+1))
	if err != nil {
		return fmt.Errorf("GET: %w", err)
	}
	if len(b) != length || string(b[1:6]) != "CD001" {
		return errors.New("the image is no disc")
	}
	return nil
}

var errNoMedium = errors.New("no medium present")

// statusError is an answer of the media server that is not what was asked for.
type statusError struct {
	method string
	status int
}

// Error implements error.
func (e statusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.method, e.status, http.StatusText(e.status))
}

// retry calls f again for as long as the machine is patient. A 4xx is final.
func (c *medium) retry(f func() error) error {
	deadline := time.Now().Add(c.patience)
	for {
		if !c.present() {
			return errNoMedium
		}
		err := f()
		var status statusError
		if err == nil || c.ctx.Err() != nil || errors.As(err, &status) && status.status < 500 {
			return err
		}
		if !time.Now().Before(deadline) || !sleep(c.ctx, time.Second) {
			return err
		}
	}
}

// ReadAt implements io.ReaderAt. Short reads go through a cache of blocks,
// long ones are requests of their own.
func (c *medium) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= c.size {
		return 0, io.EOF
	}
	want := int(min(int64(len(p)), c.size-off))
	n := 0
	for n < want {
		var err error
		var k int
		if want-n >= 2*blockSize {
			k = min(want-n, c.chunk)
			err = c.get(p[n:n+k], off+int64(n))
		} else {
			k, err = c.cached(p[n:want], off+int64(n))
		}
		if err != nil {
			c.mu.Lock()
			c.err = errors.Join(c.err, err)
			c.mu.Unlock()
			return n, err
		}
		n += k
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// cached copies from the block that holds off.
func (c *medium) cached(p []byte, off int64) (int, error) {
	start := off - off%blockSize
	c.mu.Lock()
	block, ok := c.blocks[start]
	c.mu.Unlock()
	if !ok {
		block = make([]byte, min(blockSize, c.size-start))
		if err := c.get(block, start); err != nil {
			return 0, err
		}
		c.mu.Lock()
		if len(c.order) == maxBlocks {
			delete(c.blocks, c.order[0])
			c.order = c.order[1:]
		}
		c.blocks[start] = block
		c.order = append(c.order, start)
		c.mu.Unlock()
	}
	return copy(p, block[off-start:]), nil
}

// get fetches exactly len(p) bytes from off on with one ranged GET.
func (c *medium) get(p []byte, off int64) error {
	return c.retry(func() error {
		req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.url, nil)
		if err != nil {
			return err
		}
		last := off + int64(len(p)) - 1
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, last))
		resp, err := c.fetch.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("GET: %w", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusPartialContent {
			return statusError{http.MethodGet, resp.StatusCode}
		}
		if got, want := resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", off, last, c.size); got != want {
			return fmt.Errorf("GET: Content-Range %q, want %q", got, want)
		}
		if _, err := io.ReadFull(resp.Body, p); err != nil {
			return fmt.Errorf("GET: bytes %d-%d: %w", off, last, err)
		}
		return nil
	})
}

// failed returns the first read error. The ISO reader swallows some of them.
func (c *medium) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
