package isohttp

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unnamed makes a file without a name in the directory of path, of which nothing
// is left when the process is killed. Not every file system can.
func unnamed(path string) (*os.File, error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		err = unix.Access(selfFD(uintptr(fd)), unix.F_OK) // name needs it
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// name gives an unnamed file a name that no other has.
func name(f *os.File, path string) error {
	return unix.Linkat(unix.AT_FDCWD, selfFD(f.Fd()), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}
