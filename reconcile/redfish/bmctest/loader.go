package bmctest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

var (
	errLocalBoot = errors.New("boots the local disk")
	errWaits     = errors.New("waits for a person")
)

// entry is what a boot menu boots by itself.
type entry struct {
	plain   bool     // the loader knows no Rock Ridge
	kernel  string   // path in the medium's tree
	initrds []string // likewise
	args    string
}

// bootImage is an entry of the El Torito boot catalog.
type bootImage struct {
	platform byte // 0 PC, 0xEF EFI
	off, len int64
}

// load finds the boot loader as firmware does, and the menu as the loader does,
// waits as long as the menu says, and returns what it boots.
func (m *Machine) load(cd *medium, mode string) (*entry, error) {
	images, err := elTorito(cd)
	if err != nil {
		return nil, err
	}
	bios := m.Firmware == BIOS || mode == "Legacy"
	for _, img := range images {
		switch {
		case bios && img.platform == 0:
			return m.loadBIOS(cd, img)
		case !bios && img.platform == 0xEF:
			return m.loadEFI(cd, img)
		}
	}
	return nil, errors.New("el torito: no boot image for this firmware")
}

// elTorito reads the boot catalog (El Torito 1.0 §2).
func elTorito(r io.ReaderAt) ([]bootImage, error) {
	sector := make([]byte, isoSector)
	for n := int64(16); ; n++ {
		if n > 64 {
			return nil, errors.New("el torito: no boot record")
		}
		if _, err := r.ReadAt(sector, n*isoSector); err != nil {
			return nil, err
		}
		if string(sector[1:6]) != "CD001" || sector[0] == 255 {
			return nil, errors.New("el torito: no boot record")
		}
		if sector[0] == 0 && strings.HasPrefix(string(sector[7:39]), "EL TORITO SPECIFICATION") {
			break
		}
	}
	if _, err := r.ReadAt(sector, int64(binary.LittleEndian.Uint32(sector[71:]))*isoSector); err != nil {
		return nil, err
	}
	sum := uint16(0)
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(sector[i:])
	}
	if sector[0] != 1 || sector[30] != 0x55 || sector[31] != 0xAA || sum != 0 {
		return nil, errors.New("el torito: the validation entry is damaged")
	}
	images := appendImage(nil, sector[1], sector[32:])
	platform, left := byte(0), 0
	for off := 64; off+32 <= isoSector; off += 32 {
		e := sector[off : off+32]
		switch {
		case left > 0:
			images = appendImage(images, platform, e)
			left--
		case e[0] == 0x90 || e[0] == 0x91:
			platform, left = e[1], int(binary.LittleEndian.Uint16(e[2:]))
		default:
			return images, nil
		}
	}
	return images, nil
}

// appendImage adds a catalog entry if it is bootable without emulation.
func appendImage(list []bootImage, platform byte, e []byte) []bootImage {
	if e[0] != 0x88 || e[1]&0x0F != 0 {
		return list
	}
	return append(list, bootImage{
		platform: platform,
		off:      int64(binary.LittleEndian.Uint32(e[8:])) * isoSector,
		len:      int64(binary.LittleEndian.Uint16(e[6:])) * 512,
	})
}

// maxLoader bounds what is read of a boot loader.
const maxLoader = 4 << 20

// loadBIOS runs ISOLINUX or GRUB as started by a PC BIOS.
func (m *Machine) loadBIOS(cd *medium, img bootImage) (*entry, error) {
	code := make([]byte, min(max(img.len, 512), maxLoader))
	if _, err := cd.ReadAt(code, img.off); err != nil {
		return nil, fmt.Errorf("reading the boot image: %w", err)
	}
	if len(code) >= 64 && binary.LittleEndian.Uint32(code[8:]) == 16 && int64(binary.LittleEndian.Uint32(code[12:]))*isoSector == img.off {
		// The boot information table tells the loader its whole length.
		code = make([]byte, min(max(int64(binary.LittleEndian.Uint32(code[16:])), 512), maxLoader))
		if _, err := cd.ReadAt(code, img.off); err != nil {
			return nil, fmt.Errorf("reading the boot loader: %w", err)
		}
	}
	if !bytes.Contains(code, []byte("GRUB")) {
		for _, name := range []string{"/boot/isolinux/isolinux.cfg", "/isolinux/isolinux.cfg", "/isolinux.cfg"} {
			text, err := cd.plain.text(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			return m.isolinux(cd, path.Dir(name), string(text))
		}
	}
	return m.grub(cd, nil, []string{"/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"})
}
