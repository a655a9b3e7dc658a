package isohttp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Base is a stock image on this machine whose digest was verified; see
// [Store.Get].
type Base struct {
	Path   string
	SHA256 string // 64 hexadecimal digits
	Size   int64

	seen identity // when it was verified; the zero value if nobody has looked
}

// identity tells a file from one that was written or put in its place since.
type identity struct {
	mtime int64 // Unix nanoseconds
	inode uint64
}

func identityOf(info os.FileInfo) identity {
	i := identity{mtime: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		i.inode = uint64(st.Ino)
	}
	return i
}

// baseFile is a base image held open as long as a medium that uses it is
// published, so that what was verified is served even when the file is replaced
// or removed. A nil baseFile belongs to media without a base.
type baseFile struct {
	f     *os.File
	info  os.FileInfo
	key   Base
	users int // media; guarded by baseFiles.mu

	noSendfile atomic.Bool  // its file system cannot
	noPeek     atomic.Bool  // nor tell what is in memory
	looked     atomic.Int64 // when check has last looked, Unix nanoseconds
}

// lookEvery is how long check trusts its last look.
const lookEvery = time.Second

// check is [baseFile.unchanged], but looks at the file once a second at most. A
// nil baseFile is unchanged.
func (f *baseFile) check(now time.Time) error {
	if f == nil {
		return nil
	}
	t, last := now.UnixNano(), f.looked.Load()
	if since := t - last; since >= 0 && since < int64(lookEvery) || !f.looked.CompareAndSwap(last, t) {
		return nil
	}
	err := f.unchanged()
	if err != nil {
		f.looked.Store(0) // the next one shall see it too
	}
	return err
}

// baseFiles are the base images in use, each opened once.
type baseFiles struct {
	mu   sync.Mutex
	open map[Base]*baseFile
}

func (b *baseFiles) acquire(base Base) (*baseFile, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.open[base]; f != nil {
		f.users++
		return f, nil
	}
	f, err := os.Open(base.Path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is not a regular file", base.Path)
	case info.Size() != base.Size:
		err = fmt.Errorf("%s has %d bytes, want %d", base.Path, info.Size(), base.Size)
	case base.seen != identity{} && base.seen != identityOf(info):
		err = fmt.Errorf("%s was changed since it was verified", base.Path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if b.open == nil {
		b.open = map[Base]*baseFile{}
	}
	file := &baseFile{f: f, info: info, key: base, users: 1}
	b.open[base] = file
	return file, nil
}

func (b *baseFiles) release(f *baseFile) {
	if f == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f.users--; f.users == 0 {
		delete(b.open, f.key)
		f.f.Close()
	}
}

// readAt fills p from the image. The image has been seen to be long enough, so
// an early end means that someone has cut it since.
func (f *baseFile) readAt(p []byte, off int64) error {
	_, err := f.f.ReadAt(p, off)
	return f.explain(err, off)
}

func (f *baseFile) explain(err error, off int64) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return &baseError{fmt.Errorf("%s ends before byte %d: it was changed while it was served", f.key.Path, off)}
	}
	if err != nil {
		return &baseError{err}
	}
	return nil
}

// unchanged says whether the file is still as long and as old as it was.
func (f *baseFile) unchanged() error {
	info, err := f.f.Stat()
	if err != nil {
		return &baseError{err}
	}
	if info.Size() != f.info.Size() || !info.ModTime().Equal(f.info.ModTime()) {
		return &baseError{fmt.Errorf("%s was changed while it was read", f.key.Path)}
	}
	return nil
}

// reopen gives a handle of its own, with its own position, for one answer.
func (f *baseFile) reopen() (*os.File, error) {
	g, err := os.Open(f.key.Path)
	if err == nil {
		var info os.FileInfo
		if info, err = g.Stat(); err == nil && os.SameFile(info, f.info) {
			return g, nil
		}
		g.Close()
	}
	// The name means another file by now: go by the descriptor, where there is
	// a file system for that.
	g, err = os.Open(selfFD(f.f.Fd()))
	if err != nil {
		return nil, &baseError{fmt.Errorf("%s was replaced while it was served", f.key.Path)}
	}
	return g, nil
}

// selfFD is a name for what a descriptor of this process means, on Linux.
func selfFD(fd uintptr) string { return "/proc/self/fd/" + strconv.FormatUint(uint64(fd), 10) }

// baseError is a fault of the base image, not of the client.
type baseError struct{ err error }

func (e *baseError) Error() string { return "reading base image: " + e.err.Error() }
func (e *baseError) Unwrap() error { return e.err }
