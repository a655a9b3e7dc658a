package answer

import "strings"

// efiLabel returns a piece of shell script that gives the disk that was just
// installed a boot entry whose label ends with the marker, and takes away those
// that bear an earlier one. It is for the end of a %post section, a late
// command or the like, run inside of the installed system, which needs
// efibootmgr. On a machine that did not boot by UEFI it fails.
func efiLabel(mark string) string {
	if mark == "" {
		mark = "__marker__" // the marker depends on this text, not this on the marker
	}
	return strings.ReplaceAll(labelScript, "MARKER", mark)
}

const labelScript = `(
set -eu
efibootmgr | sed -n 's/^Boot\([0-9A-Fa-f]\{4\}\).* rc1\..*/\1/p' | while read -r entry; do
	efibootmgr -q -b "$entry" -B
done
part=$(findmnt -nro SOURCE /boot/efi)
disk=$(lsblk -nro PKNAME "$part")
number=$(cat "/sys/class/block/${part##*/}/partition")
loader=$(cd /boot/efi && find EFI -iname 'shim*64.efi' ! -ipath 'EFI/BOOT/*' | sort | head -n 1 | tr / '\\')
[ -n "$loader" ] || loader=$(cd /boot/efi && find EFI -iname 'grub*64.efi' ! -ipath 'EFI/BOOT/*' | sort | head -n 1 | tr / '\\')
efibootmgr -q -c -d "/dev/$disk" -p "$number" -l "\\$loader" -L "Linux MARKER"
)`
