package answer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// flatcar is the live image of Flatcar Container Linux, which only the BIOS
// boots and only on x86_64. The answer file is the live system's Ignition
// config, and after a line "---" that of the system to install; it goes into
// a further initial file system, where the OEM's config is. A unit of the
// template's runs flatcar-install, which fetches the system from the network,
// and then powers off.
//
// The image does not tell its version. Those of September 2025 to March 2026
// forget further initial file systems (Flatcar#2023), and stay on.
//
// Sources: _write_iso_disk of flatcar/scripts for the layout of media,
// bootengine's ignition-setup.sh and ignition-generator, flatcar-install, and
// Flatcar's documentation, "Adding a custom OEM".
var flatcar = &family{
	name:     "flatcar",
	arches:   []string{"x86_64"},
	format:   "Ignition config",
	reserved: []string{"flatcar.first_boot", "flatcar.oem.id", "ignition.config.url", "flatcar.config.url", "initrd", "mount.usr", "usr", "root"},
	identify: func(d *disc, _, _ string) error {
		return d.assert("/flatcar/vmlinuz", "/flatcar/cpio.gz", "/syslinux/syslinux.cfg")
	},
	recipe:  flatcarRecipe,
	inspect: inspectFlatcar,
}

func flatcarRecipe(d *disc, _, _ string) (*recipe, error) {
	rec := &recipe{
		answer: "/oem.cpio",
		wrap: func(text []byte) ([]byte, error) {
			live, err := liveConfig(text, "flatcar", flatcarTarget)
			return cpio("usr/share/oem/config.ign", live), err
		},
		initrd: true,
		menus:  []menu{{kind: isolinux, path: "/isolinux/isolinux.cfg", source: "/syslinux/syslinux.cfg"}},
		pick: func(e entry) bool {
			return e.kernel == "/flatcar/vmlinuz" && slices.Equal(e.initrd, []string{"/flatcar/cpio.gz"})
		},
		drops: func(a string) bool { return a == "flatcar.autologin" || strings.HasPrefix(a, "flatcar.autologin=") },
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat(stock, []string{"flatcar.first_boot=1"}, image), nil
		},
		// The system itself is not on the medium: there is no payload.
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer},
		loader:   d.present("/isolinux/isolinux.bin", "/isolinux/ldlinux.c32"),
	}
	return rec, rec.usable(d)
}

// flatcarTarget is where the live system finds the installed system's config.
const flatcarTarget = "/etc/metalcue/dest.ign"

// inspectFlatcar makes sure that the live system runs flatcar-install on a
// disk, with a config that lets somebody in, and then powers off.
func inspectFlatcar(text string, _ *disc) (bool, error) {
	all, err := parseIgnition(text, "flatcar")
	if err != nil {
		return false, err
	}
	if len(all) == 1 {
		return false, errors.New("the installed system has no config and nobody could log in: put one after a line \"---\"")
	}
	said := "" // by all units and scripts that have to do with the install
	add := func(s string) {
		if strings.Contains(s, "flatcar-install") || strings.Contains(s, "poweroff") {
			said += s + "\n"
		}
	}
	for _, u := range all[0].config.Systemd.Units {
		text, _ := all[0].unit(u.Name)
		add(text)
	}
	for _, f := range all[0].config.Storage.Files {
		text, _ := all[0].file(f.Path)
		add(text)
	}
	switch {
	case !strings.Contains(said, "flatcar-install"):
		return false, errors.New("no unit or script runs flatcar-install")
	case !strings.Contains(said, " -d ") && !strings.Contains(said, " -s"):
		return false, errors.New("no disk is named: flatcar-install is given neither -d nor -s")
	case !strings.Contains(said, flatcarTarget):
		return false, fmt.Errorf("flatcar-install is not given -i %s, where the config of the installed system is", flatcarTarget)
	case !strings.Contains(said, "poweroff"):
		return false, errors.New("no unit or script powers off: the end of an install is seen by the machine being off")
	case !all[1].letsIn():
		return false, errors.New("the installed system's config has no user with a key or a password: nobody could log in")
	}
	return true, nil
}
