package answer

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// agama is Agama on SLES 16 and Leap 16, which takes a profile in JSON from the
// root of the medium, and powers off because a kernel argument says so.
//
// Sources: agama-project/agama's live/ for the layout of media, its
// auto_loader.rs, action.rs and profile.schema.json.
var agama = &family{
	name:     "suse",
	arches:   []string{"x86_64", "aarch64"},
	speaks:   func(version string) bool { return suseMajor(version) >= 16 },
	format:   "Agama profile",
	reserved: []string{"inst.auto", "inst.finish", "inst.install", "inst.script", "inst.auto_insecure", "mediacheck", "initrd", "root", "systemd.unit", "systemd.mask"},
	identify: identifyAgama,
	recipe:   agamaRecipe,
	inspect:  inspectAgama,
}

func suseMajor(version string) int {
	major, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(major)
	return n
}

var agamaVolume = regexp.MustCompile(`(?:^|[-_])(Leap|SLES?)[-_](\d+(?:\.\d+)?)(?:[-_.].*)?[-_](x86_64|aarch64)(?:[-_.]|$)`)

// identifyAgama goes by the volume id, such as "Install-Leap-16.0-x86_64" or
// "Install-SUSE-SLE-16-aarch64": the live system finds its medium by it.
func identifyAgama(d *disc, version, arch string) error {
	if err := d.assert(agamaSystem); err != nil {
		return err
	}
	m := agamaVolume.FindStringSubmatch(d.VolumeID)
	if m == nil {
		return fmt.Errorf("the volume id %q names neither Leap nor SLE with version and architecture", d.VolumeID)
	}
	found := m[2]
	if !strings.Contains(found, ".") {
		version, _, _ = strings.Cut(version, ".") // the medium does not tell more
	}
	return product{source: "the volume id", name: d.VolumeID, version: found, arch: m[3]}.is(version, arch)
}

const agamaSystem = "/LiveOS/squashfs.img"

func agamaRecipe(d *disc, arch, _ string) (*recipe, error) {
	const answer = "/autoinst.json"
	kernel := "/boot/" + arch + "/loader/linux"
	rec := &recipe{
		answer: answer,
		menus:  []menu{{kind: grub, path: "/boot/grub2/grub.cfg"}},
		pick: func(e entry) bool {
			return strings.HasPrefix(e.title, "Install ") && e.kernel == kernel && !slices.ContainsFunc(e.args, suseOddity)
		},
		drops: func(a string) bool { return a == "splash=silent" || slices.Contains(agamaVariables, a) },
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat(stock, []string{"inst.auto=file:///run/initramfs/live" + answer, "inst.finish=poweroff"}, image), nil
		},
		loaders:  append(shims(arch, "shim.efi", "sles", "opensuse"), shims(arch, "grub@.efi", "sles", "opensuse")...),
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	if err := d.assert(agamaSystem); err != nil {
		return nil, fmt.Errorf("the installer's second stage: %w", err)
	}
	// The menu in the EFI image must lead to the one of the tree.
	if stub, err := d.read(EFI, "/EFI/BOOT/grub.cfg"); err != nil {
		return nil, err
	} else if !strings.Contains(stub, "/boot/grub2") {
		return nil, errors.New("EFI image: /EFI/BOOT/grub.cfg does not lead to /boot/grub2 on the medium")
	}
	rec.payload = d.present(agamaSystem)
	rec.loader = d.present("/boot/grub2/i386-pc/eltorito.img", "/boot/"+arch+"/loader/eltorito.img", "/boot/"+arch+"/loader/efiboot.img", "/boot/"+arch+"/efi",
		"/EFI/BOOT/grub.cfg", "/EFI/BOOT/bootx64.efi", "/EFI/BOOT/grub.efi", "/EFI/BOOT/bootaa64.efi")
	return rec, nil
}

// agamaVariables are those of the stock menu: from a loopback file, or from
// keys that a person pressed. They are empty otherwise.
var agamaVariables = []string{"${isoboot}", "${plymouth}", "${live_options}"}

// agamaKeys are the keys of a profile, by where they are. What is not listed
// here is free.
var agamaKeys = map[string][]string{
	"": {"$schema", "files", "scripts", "bootloader", "dasd", "zfcp", "hostname", "proxy", "ntp", "security", "software", "questions", "product", "network",
		"user", "root", "l10n", "localization", "storage", "legacyAutoyastStorage", "iscsi", "access"},
	"product":   {"id", "mode", "registrationCode", "registrationEmail", "registrationUrl", "addons"},
	"root":      {"password", "hashedPassword", "sshPublicKey", "sshPublicKeys"},
	"user":      {"fullName", "userName", "password", "hashedPassword", "sshPublicKey", "sshPublicKeys"},
	"scripts":   {"pre", "postPartitioning", "post", "init"},
	"questions": {"policy", "answers"},
	"network":   {"state", "connections"},
	"network.connections[]": {"id", "interface", "customMacAddress", "macAddress", "mtu", "method4", "method6", "gateway4", "gateway6", "addresses", "nameservers",
		"dnsSearchList", "dnsSearchlist", "ignoreAutoDns", "status", "autoconnect", "persistent", "wireless", "bond", "bridge", "match", "ieee-8021x", "vlan"},
	"storage":          {"boot", "drives", "volumeGroups", "mdRaids"},
	"storage.drives[]": {"search", "alias", "encryption", "filesystem", "ptableType", "partitions"},
	"localization":     {"language", "keyboard", "timezone"},
	"l10n":             {"locale", "keymap", "timezone"},
	"access":           {"ssh", "webConsole"},
	"files[]":          {"destination", "content", "url", "permissions", "user", "group"},
	"scripts.pre[]":    {"name", "body", "content", "url"},
	"scripts.post[]":   {"name", "body", "content", "url", "chroot"},
	"scripts.init[]":   {"name", "body", "content", "url"},
}

// inspectAgama makes sure that the profile is JSON with keys that Agama knows,
// names product and disks, lets somebody in, and has every question answered.
// That Agama powers off in the end is a kernel argument's doing.
func inspectAgama(text string, _ *disc) (bool, error) {
	if err := checkKeys(text, agamaKeys); err != nil {
		return false, err
	}
	type login struct {
		Password      string
		SSHPublicKey  any
		SSHPublicKeys any
	}
	type fetched struct {
		Name, Destination string
		URL               any
	}
	var p struct {
		Product   struct{ ID string }
		Questions struct{ Policy string }
		Storage   struct {
			Drives []struct{ Search any }
		}
		Root, User login
		Files      []fetched
		Scripts    map[string][]fetched
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return false, err
	}
	for _, where := range sortedMapKeys(p.Scripts) {
		for _, s := range p.Scripts[where] {
			if s.URL != nil {
				return false, fmt.Errorf("scripts.%s: %q is fetched from elsewhere and not in git; put it into the template", where, s.Name)
			}
		}
	}
	for _, f := range p.Files {
		if f.URL != nil {
			return false, fmt.Errorf("files: %q is fetched from elsewhere and not in git; put it into the template", f.Destination)
		}
	}
	none := login{}
	switch {
	case p.Product.ID == "":
		return false, errors.New("product.id is missing, and the installer would ask which product to install")
	case len(p.Storage.Drives) == 0:
		return false, errors.New("storage.drives is missing: no disk is named")
	case p.Questions.Policy != "auto":
		return false, fmt.Errorf("questions.policy is %q, not auto, and the installer would ask", p.Questions.Policy)
	case p.Root == none && p.User == none:
		return false, errors.New("neither root nor user has a password or a key: nobody could log in")
	}
	for i, d := range p.Storage.Drives {
		if d.Search == nil {
			return false, fmt.Errorf("storage.drives[%d] has no search: no disk is named", i)
		}
	}
	return true, nil
}
