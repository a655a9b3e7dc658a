package isohttp

import "golang.org/x/sys/unix"

// readCached fills p with what is in memory of the image, and says whether that
// was everything. Where a file system cannot tell, it reads.
func (f *baseFile) readCached(p []byte, off int64) bool {
	if !f.noPeek.Load() {
		n, err := unix.Preadv2(int(f.f.Fd()), [][]byte{p}, off, unix.RWF_NOWAIT)
		switch err {
		case nil:
			return n == len(p)
		case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL:
			f.noPeek.Store(true)
		default: // EAGAIN; what else is wrong shows when it is read
			return false
		}
	}
	n, err := f.f.ReadAt(p, off)
	return err == nil && n == len(p)
}
