package iso9660

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/metalcue/metalcue/isohttp/fat"
)

const blockSize = 2048

var (
	// ErrFormat says that the bytes are not an ISO 9660 image, or a damaged one.
	ErrFormat = errors.New("not a valid ISO 9660 image")

	// ErrUnsupported says that an image or a file of it cannot be patched, and for what reason.
	ErrUnsupported = errors.New("unsupported")

	// ErrNoEFI says that the boot catalog has no entry for UEFI.
	ErrNoEFI = errors.New("no El Torito boot image for UEFI")
)

// An Extent is a range of bytes.
type Extent struct{ Off, Len int64 }

// An Image is an opened image. It is immutable and safe for concurrent use.
type Image struct {
	r     io.ReaderAt
	size  int64
	trees []*Tree
	best  *Tree

	descriptors []descriptor
	catalog     Extent
	boot        []BootEntry
	disk        disk

	cache dirCache
	made  atomic.Pointer[[]*made]

	efiOnce   sync.Once
	efi       *fat.FS
	efiExtent Extent
	efiErr    error

	structureOnce sync.Once
	structure     []Extent
}

// Open reads the descriptors of the image of size bytes. It reads a few blocks, however large the image is.
//
// Errors wrap ErrFormat, ErrUnsupported (a UDF bridge), or what r returned.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	m := &Image{r: r, size: size}
	if err := m.readDescriptors(); err != nil {
		return nil, err
	}
	if err := m.refuseUDF(); err != nil {
		return nil, err
	}
	if err := m.readTrees(); err != nil {
		return nil, err
	}
	if err := m.readBoot(); err != nil {
		return nil, err
	}
	if err := m.readDisk(); err != nil {
		return nil, err
	}
	return m, nil
}

// Size is the image's length in bytes.
func (m *Image) Size() int64 { return m.size }

// VolumeID is the primary descriptor's volume identifier, without padding: what file systems show as label.
func (m *Image) VolumeID() string { return m.trees[0].volumeID }

// Trees returns the directory trees, those of the first descriptor set first. Rock Ridge and plain names are of one tree.
func (m *Image) Trees() []*Tree { return m.trees }

// FS returns the best tree of the first set: Rock Ridge, else Joliet, else ISO 9660:1999, else plain.
//
// It implements fs.StatFS, fs.ReadDirFS, fs.ReadFileFS and fs.ReadLinkFS; files implement io.ReaderAt and io.Seeker.
// Rock Ridge names are matched exactly, others without regard to case. Symbolic links are followed inside the tree.
func (m *Image) FS() fs.FS { return m.best }

// Extents returns the ranges of the image that hold the content of a file of the best tree, in order. A leading slash is
// allowed.
func (m *Image) Extents(name string) ([]Extent, error) { return m.best.Extents(name) }

// read fills p from off, all of which must lie in the image.
func (m *Image) read(p []byte, off int64) error {
	if off < 0 || off > m.size-int64(len(p)) {
		return fmt.Errorf("%w: %d bytes at %d lie outside the image of %d bytes", ErrFormat, len(p), off, m.size)
	}
	n, err := m.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at %d: %w", len(p), off, err)
}
