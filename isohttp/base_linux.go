package isohttp

import "golang.org/x/sys/unix"

// readCached fills p with what is in memory of the image, and says whether that
// was everything. It never waits for a disk or a server: where a file system
// cannot tell (network file systems), nothing is in memory.
func (f *baseFile) readCached(p []byte, off int64) bool {
	if f.noPeek.Load() {
		return false
	}
	n, err := unix.Preadv2(int(f.f.Fd()), [][]byte{p}, off, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINVAL {
		f.noPeek.Store(true)
	}
	return err == nil && n == len(p) // what else is wrong shows when it is read
}
