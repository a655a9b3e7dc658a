package isohttp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// exportStep is how much of the base image is copied between two looks at
	// the context.
	exportStep = 64 << 20

	// blockAlign is a multiple of every file system's block: only whole blocks
	// can be shared between files, so that what is copied in one go begins and
	// ends with one.
	blockAlign = 64 << 10
)

// Export writes a view as a file, which appears at path when it is complete;
// before, there is nothing where the file system knows files without a name. What
// comes from the base image is copied by the kernel, which shares its blocks
// instead where the file system can, and holes stay holes. base is the image the
// view's base pieces are read from.
func Export(ctx context.Context, path string, v View, base Base) error {
	if err := export(ctx, path, v, base); err != nil {
		return fmt.Errorf("writing image %s: %w", path, err)
	}
	return nil
}

func export(ctx context.Context, path string, v View, base Base) (err error) {
	var files baseFiles
	var file *baseFile
	if err := checkPieces(v.Pieces(), v.Size(), base.Size); err != nil {
		return err
	}
	if base != (Base{}) {
		if file, err = files.acquire(base); err != nil {
			return fmt.Errorf("opening base image: %w", err)
		}
		defer files.release(file)
	}
	dst, temp, err := create(path)
	if err != nil {
		return err
	}
	defer dst.Close() // whose data fill has synced
	if err = fill(ctx, dst, v, file); err == nil && temp == "" {
		temp = tempName(path)
		err = name(dst, temp)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil && temp != "" {
		os.Remove(temp)
	}
	return err
}

// create makes the file that is to appear at path, of mode 0600: without a name
// if it can, else with that of temp.
func create(path string) (f *os.File, temp string, err error) {
	if f, err = unnamed(path); err == nil {
		return f, "", nil
	}
	temp = tempName(path)
	f, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, temp, err
}

// tempName makes a name beside path that nobody else has.
func tempName(path string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, "."+base+"."+rand.Text())
}

// fill writes the pieces of a view. The file keeps its mode of 0600: an answer
// file in it may hold secrets.
func fill(ctx context.Context, dst *os.File, v View, base *baseFile) (err error) {
	if err := dst.Truncate(v.Size()); err != nil {
		return err
	}
	for _, p := range v.Pieces() {
		switch {
		case p.Base:
			err = copyBase(ctx, dst, p.Off, base.f, p.BaseOff, p.Len)
		case p.Data != nil: // zeros stay a hole
			_, err = dst.WriteAt(p.Data, p.Off)
		}
		if err != nil {
			return err
		}
	}
	if base != nil {
		// Behind an end that has moved there would only be holes.
		if err := base.unchanged(); err != nil {
			return err
		}
	}
	return dst.Sync()
}

// copyBase copies n bytes from one file to another, leaving holes out.
func copyBase(ctx context.Context, dst *os.File, to int64, src *os.File, from, n int64) error {
	for shift, end := to-from, from+n; from < end; {
		data, next := dataAt(src, from, end)
		for from = data; from < next; {
			if err := ctx.Err(); err != nil {
				return err
			}
			m := step(from, next)
			if _, err := dst.Seek(from+shift, io.SeekStart); err != nil {
				return err
			}
			if _, err := src.Seek(from, io.SeekStart); err != nil {
				return err
			}
			// On Linux this is copy_file_range.
			if _, err := io.CopyN(dst, src, m); err != nil {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("copying base image from byte %d: %w", from, err)
			}
			from += m
		}
		from = next
	}
	return nil
}

// step is how much of [from, end) is copied next: what stands before the first
// whole block, then whole blocks, then the rest.
func step(from, end int64) int64 {
	n := min(end-from, exportStep)
	if ahead := -from & (blockAlign - 1); ahead > 0 {
		return min(n, ahead)
	}
	if whole := n &^ (blockAlign - 1); whole > 0 {
		return whole
	}
	return n
}

// dataAt returns the first stretch of data at or after from, up to end; it is
// empty when only a hole is left. Where holes cannot be found, all is data.
func dataAt(f *os.File, from, end int64) (data, next int64) {
	data, err := unix.Seek(int(f.Fd()), from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return end, end
	case err != nil:
		return from, end
	}
	next, err = unix.Seek(int(f.Fd()), data, unix.SEEK_HOLE)
	if err != nil {
		next = end
	}
	return min(data, end), min(next, end)
}
