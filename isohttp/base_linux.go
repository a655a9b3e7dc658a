package isohttp

import "golang.org/x/sys/unix"

// cached says whether the byte at off can be read without waiting for a disk, or
// that this cannot be told.
func (f *baseFile) cached(off int64) bool {
	var p [1]byte
	return f.readCached(p[:], off)
}

// readCached fills p with what is in memory of the image, and says whether that
// was everything. Where a file system cannot tell, it reads.
func (f *baseFile) readCached(p []byte, off int64) bool {
	if !f.noPeek.Load() {
		var iov [1][]byte
		iov[0] = p
		n, err := unix.Preadv2(int(f.f.Fd()), iov[:], off, unix.RWF_NOWAIT)
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
