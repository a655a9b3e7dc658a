package bmctest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

// loadEFI runs the loader in the EFI system partition of the medium.
func (m *Machine) loadEFI(cd *medium, img bootImage) (*entry, error) {
	esp, err := openFAT(cd, img.off)
	if err != nil {
		return nil, fmt.Errorf("reading the EFI image: %w", err)
	}
	found := false
	for _, name := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTAA64.EFI"} {
		if _, err := espText(esp, name); err == nil {
			found = true
		}
	}
	if !found {
		return nil, errors.New("efi: no /EFI/BOOT/BOOTX64.EFI or BOOTAA64.EFI in the EFI image")
	}
	names := []string{"/EFI/BOOT/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"}
	if m.MenuFromTree {
		esp = nil
	}
	return m.grub(cd, esp, names)
}

// espText reads a file of the EFI system partition; names ignore case, as FAT does.
func espText(esp filesystem.FileSystem, name string) ([]byte, error) {
	dir := "."
	parts := strings.Split(strings.Trim(name, "/"), "/")
	for i, part := range parts {
		list, err := esp.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		hit := ""
		for _, e := range list {
			if strings.EqualFold(e.Name(), part) {
				hit = e.Name()
				break
			}
		}
		if hit == "" {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		dir = strings.TrimPrefix(dir+"/"+hit, "./")
		if i == len(parts)-1 {
			return esp.ReadFile(dir)
		}
	}
	return nil, fs.ErrInvalid
}

// openFAT opens a FAT file system inside the medium. Its own BIOS parameter
// block says how long it is, which boot catalogs often cannot.
func openFAT(cd *medium, off int64) (filesystem.FileSystem, error) {
	boot := make([]byte, 512)
	if _, err := cd.ReadAt(boot, off); err != nil {
		return nil, err
	}
	sectors := int64(binary.LittleEndian.Uint16(boot[19:]))
	if sectors == 0 {
		sectors = int64(binary.LittleEndian.Uint32(boot[32:]))
	}
	size := sectors * int64(binary.LittleEndian.Uint16(boot[11:]))
	if boot[510] != 0x55 || boot[511] != 0xAA || size <= 0 || off+size > cd.size {
		return nil, errors.New("no FAT file system")
	}
	part := &partition{SectionReader: io.NewSectionReader(cd, off, size)}
	if err := checkChains(part, boot); err != nil {
		return nil, err
	}
	if fsys, err := fat32.Read(part, size, 0, 512); err == nil {
		return fsys, nil
	}
	if fsys, err := fat16.Read(part, size, 0, 512); err == nil {
		return fsys, nil
	}
	return fat12.Read(part, size, 0, 512)
}

// partition makes a part of the medium look like the storage that go-diskfs reads.
type partition struct{ *io.SectionReader }

// Stat implements fs.File.
func (p *partition) Stat() (fs.FileInfo, error) { return partitionInfo{p.Size()}, nil }

// Close implements fs.File.
func (p *partition) Close() error { return nil }

// Sys implements backend.Storage.
func (p *partition) Sys() (*os.File, error) { return nil, backend.ErrNotSuitable }

// Writable implements backend.Storage.
func (p *partition) Writable() (backend.WritableFile, error) {
	return nil, backend.ErrIncorrectOpenMode
}

// Path implements backend.Storage.
func (p *partition) Path() string { return "" }

type partitionInfo struct{ size int64 }

func (i partitionInfo) Name() string       { return "esp" }
func (i partitionInfo) Size() int64        { return i.size }
func (i partitionInfo) Mode() fs.FileMode  { return 0o444 }
func (i partitionInfo) ModTime() time.Time { return time.Time{} }
func (i partitionInfo) IsDir() bool        { return false }
func (i partitionInfo) Sys() any           { return nil }
