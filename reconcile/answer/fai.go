package answer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// fai is an image that fai-cd of FAI 6 made of a site's own config space, which
// it holds. The answer is a shell script that dracut sources once the live
// system is mounted, writable, below $NEWROOT, and before it is started: it can
// check the machine and write classes, variables and disk layouts into
// $NEWROOT/var/lib/fai/config. It is a further initial file system.
//
// Only UEFI machines can be installed: for the BIOS (and for aarch64) fai-cd
// puts the menu into GRUB's own image, compressed, where it cannot be changed. A
// BIOS boots the local disk from such a medium after its stock menu's countdown.
//
// FAI installs and goes on after most errors. Here it stops, and the machine
// stays on, after any that is worse than a warning.
//
// Sources: faiproject/fai (fai-cd, conf/grub.cfg, lib/subroutines).
var fai = &family{
	name:     "fai",
	arches:   []string{"x86_64"},
	format:   "hook",
	reserved: []string{"FAI_ACTION", "FAI_FLAGS", "FAI_CONFIG_SRC", "STOP_ON_ERROR", "root", "initrd", "rd.break", "rd.neednet"},
	identify: func(d *disc, version, _ string) error {
		text, err := d.read(Tree, "/FAI-CD")
		if err != nil {
			return err
		}
		m := faiBuild.FindStringSubmatch(text)
		if m == nil {
			return fmt.Errorf("/FAI-CD says that it is %q, not which FAI made it", strings.TrimSpace(text))
		}
		if major, _, _ := strings.Cut(m[1], "."); major != "6" {
			return fmt.Errorf("/FAI-CD says that it is of FAI %s; 6 is known", m[1])
		}
		if !sameVersion(version, m[1]) {
			return fmt.Errorf("/FAI-CD says that it is of FAI %s", m[1])
		}
		return nil
	},
	recipe:  faiRecipe,
	inspect: inspectFAI,
}

var faiBuild = regexp.MustCompile(`^FAI ([0-9][0-9.]*)\S* +build `)

const (
	faiHook = "lib/dracut/hooks/pre-pivot/10-metalcue.sh"

	// faiStop is the code of the least of FAI's errors that ends an install:
	// below it are warnings, such as of unknown packages in a list.
	faiStop = "300"
)

func faiRecipe(d *disc, _, _ string) (*recipe, error) {
	const uefi = "/EFI/debian/grub.cfg" // where Debian's signed GRUB looks on the medium
	rec := &recipe{
		answer: "/metalcue.img",
		wrap:   func(text []byte) ([]byte, error) { return cpio(faiHook, text), nil },
		initrd: true,
		menus: []menu{
			{kind: grub, path: uefi},
			{kind: grub, path: "/boot/grub/grub.cfg"},
			{kind: stub, path: "/efi/boot/grub.cfg", source: uefi},
		},
		pick: func(e entry) bool {
			_, named := argument(e.args, "hostname")
			_, addressed := argument(e.args, "ip")
			return slices.Contains(e.args, "FAI_ACTION=install") && !named && !addressed
		},
		drops: func(a string) bool {
			key, _, _ := strings.Cut(a, "=")
			return slices.Contains([]string{"quiet", "FAI_FLAGS", "FAI_ACTION", "STOP_ON_ERROR", "rd.neednet"}, key)
		},
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat([]string{"FAI_ACTION=install", "FAI_FLAGS=verbose,createvt,halt", "STOP_ON_ERROR=" + faiStop}, stock, image), nil
		},
		loaders:  shims("x86_64", "shim@.efi", "debian", "ubuntu"),
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	e, err := rec.menus[0].stock(d, rec)
	if err != nil {
		return nil, err
	}
	if root, _ := argument(e.args, "root"); root != "live:CDLABEL="+d.VolumeID {
		return nil, fmt.Errorf("%s boots root=%s, but this medium is labelled %q", uefi, root, d.VolumeID)
	}
	const squashfs = "/LiveOS/squashfs.img"
	if err := d.assert(squashfs); err != nil {
		return nil, fmt.Errorf("the system that installs: %w", err)
	}
	rec.payload = d.present(squashfs)
	rec.loader = d.present("/EFI/BOOT/BOOTx64.EFI", "/boot/grub/bios.img")
	return rec, nil
}

// inspectFAI makes sure that the hook is a shell script that says which disk is
// for what. That the machine powers off is the kernel command line's doing.
func inspectFAI(text string, _ *disc) (bool, error) {
	switch {
	case !strings.HasPrefix(text, "#!/bin/sh\n"):
		return false, errors.New("its first line is not #!/bin/sh")
	case !strings.Contains(text, "$NEWROOT"):
		return false, errors.New("it writes nothing below $NEWROOT, where the config space is")
	case !strings.Contains(text, "disklist=") && !strings.Contains(text, "disk_config"):
		return false, errors.New("it sets neither disklist nor a disk_config: no disk is named")
	}
	if m := faiFlags.FindString(text); m != "" {
		return false, fmt.Errorf("it sets %s, on which it depends that the machine powers off at its end", m)
	}
	return true, nil
}

var faiFlags = regexp.MustCompile(`\b(?:FAI_FLAGS|FAI_ACTION|STOP_ON_ERROR|flag_reboot|flag_halt)=`)
