package answer

import (
	"fmt"
	"io/fs"
	"strings"
)

// refused are installers that are recognised and cannot be made to work from
// one patched ISO, each with the reason and the way out.
var refused = map[string]string{
	"talos": "its kernel command line is inside a signed UKI and cannot be changed; order an ISO from the Image Factory with the " +
		"kernel argument talos.config=metal-iso, and put the machine's configuration on a second medium with that label",
	"windows": "Setup boots from UDF, which is not patched, and takes its answer file from any other medium; " +
		"attach a second medium with autounattend.xml in its root, and use efisys_noprompt.bin to be spared a key press",
}

// refuse returns an error if the disc is one of those, whatever it is declared
// to be.
//
// Sources: siderolabs/talos' pkg/imager/iso for its menus and the name of its
// UKI; the README.TXT on the ISO 9660 side of Windows' media.
func refuse(d *disc) error {
	name := ""
	switch {
	case isTalos(d):
		name = "talos"
	case isWindows(d):
		name = "windows"
	default:
		return nil
	}
	return fmt.Errorf("the image is of family %s, which cannot be installed: %s", name, refused[name])
}

func isTalos(d *disc) bool {
	if strings.HasPrefix(strings.ToLower(d.VolumeID), "talos") {
		return true
	}
	if d.ISO.EFI != nil {
		if ukis, err := fs.Glob(d.ISO.EFI, "[Ee][Ff][Ii]/[Ll][Ii][Nn][Uu][Xx]/[Tt][Aa][Ll][Oo][Ss]*"); err == nil && len(ukis) > 0 {
			return true
		}
	}
	menu, err := d.read(Tree, "/boot/grub/grub.cfg")
	return err == nil && strings.Contains(menu, "talos.platform=")
}

func isWindows(d *disc) bool {
	if d.has(Tree, "/sources/boot.wim") || d.has(Tree, "/bootmgr") {
		return true
	}
	readme, err := d.read(Tree, "/README.TXT")
	return err == nil && strings.Contains(readme, "UDF") && strings.Contains(readme, "ISO-13346")
}
