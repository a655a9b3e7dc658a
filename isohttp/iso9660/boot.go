package iso9660

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/metalcue/metalcue/isohttp/fat"
)

// Platforms of El Torito entries (El Torito 2.1, UEFI 13.3.2.1).
const (
	PlatformBIOS = 0x00
	PlatformEFI  = 0xEF
)

// A BootEntry is an entry of the El Torito boot catalog.
type BootEntry struct {
	Platform byte   // PlatformBIOS, PlatformEFI, …
	Bootable bool   // or only listed
	Media    byte   // 0: no emulation; else the kind of disk that is emulated
	Sectors  int    // 512-byte sectors to load; with EFI, 0 and 1 mean: up to the end of the medium
	Off      int64  // of the boot image in the image, in bytes
	ID       string // of its section, mostly empty
}

// BootEntries returns the entries of the boot catalog in order; none when there is no catalog.
func (m *Image) BootEntries() []BootEntry { return m.boot }

// readBoot reads the boot catalog, which the boot record locates. The catalog is read as far as its sections go.
func (m *Image) readBoot() error {
	for _, d := range m.descriptors {
		if d.set != 0 || d.kind() != 0 || !strings.HasPrefix(string(d.b[7:39]), "EL TORITO SPECIFICATION") {
			continue
		}
		lba := binary.LittleEndian.Uint32(d.b[71:])
		m.catalog = Extent{int64(lba) * blockSize, blockSize}
		if err := m.readCatalog(); err != nil {
			return fmt.Errorf("boot catalog at block %d: %w", lba, err)
		}
		return nil
	}
	return nil
}

func (m *Image) readCatalog() error {
	cat := make([]byte, blockSize)
	if err := m.read(cat, m.catalog.Off); err != nil {
		return err
	}
	var sum uint16
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(cat[i:])
	}
	if cat[0] != 1 || cat[30] != 0x55 || cat[31] != 0xAA || sum != 0 {
		return fmt.Errorf("%w: no validation entry", ErrFormat)
	}
	if err := m.addBoot(cat[32:64], cat[1], ""); err != nil {
		return err
	}
	for at := 64; at+32 <= len(cat); {
		header := cat[at : at+32]
		if header[0] != 0x90 && header[0] != 0x91 {
			break
		}
		id := strings.TrimRight(string(header[4:]), " \x00")
		at += 32
		for n := binary.LittleEndian.Uint16(header[2:]); n > 0; n-- {
			if at+32 > len(cat) {
				return fmt.Errorf("%w: more entries than fit into its block", ErrFormat)
			}
			more := cat[at+1]&0x20 != 0
			if err := m.addBoot(cat[at:at+32], header[1], id); err != nil {
				return err
			}
			for at += 32; more && at+32 <= len(cat) && cat[at] == 0x44; at += 32 {
				more = cat[at+1]&0x20 != 0
			}
		}
		if header[0] == 0x91 {
			break
		}
	}
	return nil
}

func (m *Image) addBoot(e []byte, platform byte, id string) error {
	b := BootEntry{
		Platform: platform, Bootable: e[0] == 0x88, Media: e[1] & 0x0F, ID: id,
		Sectors: int(binary.LittleEndian.Uint16(e[6:])), Off: int64(binary.LittleEndian.Uint32(e[8:])) * blockSize,
	}
	if b.Bootable && b.Off >= m.size {
		return fmt.Errorf("%w: the boot image at block %d lies outside the image", ErrFormat, b.Off/blockSize)
	}
	m.boot = append(m.boot, b)
	return nil
}

// EFI returns the FAT file system that UEFI boots from, and where in the image it is. It is found through the boot
// catalog and is as long as its boot sector says, whatever the catalog's sector count. The error wraps ErrNoEFI when
// there is no such entry.
func (m *Image) EFI() (*fat.FS, Extent, error) {
	m.efiOnce.Do(func() {
		m.efiErr = ErrNoEFI
		for _, b := range m.boot {
			if b.Platform != PlatformEFI || !b.Bootable || b.Media != 0 {
				continue
			}
			m.efi, m.efiErr = fat.Open(io.NewSectionReader(m.r, b.Off, m.size-b.Off), m.size-b.Off)
			if m.efiErr != nil {
				m.efiErr = fmt.Errorf("boot image for UEFI at block %d: %w", b.Off/blockSize, m.efiErr)
				return
			}
			m.efiExtent = Extent{b.Off, m.efi.Size()}
			return
		}
	})
	return m.efi, m.efiExtent, m.efiErr
}
