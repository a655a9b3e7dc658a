package answer

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// proxmox is the automatic installer of Proxmox VE 8.4 and 9, and of its
// siblings of the same age. Older ones cannot power off in the end. The answer
// and the file that says where it is lie in the root of the medium.
//
// The HFS+ tree that these media also have is not patched: only Macs boot by it,
// and its stock menu waits for a person.
//
// Sources: proxmox/pve-installer (proxmox-fetch-answer, proxmox-auto-installer,
// proxmox-auto-install-assistant), "Automated Installation" in the wiki.
var proxmox = &family{
	name:     "proxmox",
	arches:   []string{"x86_64"},
	format:   "answer file",
	reserved: []string{"proxmox-start-auto-installer", "proxmox-start-assistant", "proxtui", "proxdebug", "initrd"},
	identify: func(d *disc, version, _ string) error {
		p, _, err := proxmoxProduct(d)
		if err != nil {
			return err
		}
		if !sameVersion(version, p.version) {
			return fmt.Errorf("%s says that it is %s %s", p.source, p.name, p.version)
		}
		return nil
	},
	recipe:  proxmoxRecipe,
	inspect: inspectProxmox,
}

// proxmoxFirst are the first releases that can power off after an install.
var proxmoxFirst = map[string]string{"pve": "8.4", "pbs": "3.4", "pmg": "8.2"}

var cdInfoLine = regexp.MustCompile(`(?m)^([A-Z]+)=['"]?([^'"\r\n]*)['"]?\r?$`)

// proxmoxProduct returns what the medium is, and its product's short name.
func proxmoxProduct(d *disc) (product, string, error) {
	source := "/.cd-info"
	if !d.has(Tree, source) {
		source = "/.disk/info"
	}
	text, err := d.read(Tree, source)
	if err != nil {
		return product{}, "", err
	}
	info := map[string]string{}
	for _, m := range cdInfoLine.FindAllStringSubmatch(text, -1) {
		info[m[1]] = m[2]
	}
	p := product{source: source, name: info["PRODUCTLONG"], version: info["RELEASE"]}
	first, ok := proxmoxFirst[info["PRODUCT"]]
	if !ok {
		return p, "", fmt.Errorf("%s says that the product is %q, which is none of Proxmox VE, Backup Server and Mail Gateway", source, info["PRODUCT"])
	}
	if !atLeast(p.version, first) {
		return p, "", fmt.Errorf("%s says that it is %s %s, whose automatic installer cannot power off; %s is the first that can", source, p.name, p.version, first)
	}
	return p, info["PRODUCT"], nil
}

// atLeast reports whether version a.b is that of least or a later one.
func atLeast(version, least string) bool {
	var a, b, c, d int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n != 2 {
		return false
	}
	_, _ = fmt.Sscanf(least, "%d.%d", &c, &d)
	return a > c || a == c && b >= d
}

func proxmoxRecipe(d *disc, _, _ string) (*recipe, error) {
	const auto = "proxmox-start-auto-installer"
	rec := &recipe{
		answer: "/answer.toml",
		extra:  []Change{{In: Tree, Path: "/auto-installer-mode.toml", Op: Write, Data: []byte("mode = \"iso\"\n")}},
		menus:  []menu{{kind: grub, path: "/boot/grub/grub.cfg"}},
		pick:   func(e entry) bool { return slices.Contains(e.args, auto) },
		drops:  func(a string) bool { return a == "quiet" },
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat(stock, image), nil
		},
		loaders:  []string{"/EFI/proxmox/shimx64.efi", "/EFI/proxmox/grubx64.efi", "/EFI/systemd/systemd-bootx64.efi"},
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	_, name, err := proxmoxProduct(d)
	if err != nil {
		return nil, err
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	// By this file the initial file system knows its medium again.
	if err := d.assert("/." + name + "-cd-id.txt"); err != nil {
		return nil, fmt.Errorf("what the medium is found by: %w", err)
	}
	squashfs := []string{"/" + name + "-base.squashfs", "/" + name + "-installer.squashfs"}
	if err := d.assert(squashfs...); err != nil {
		return nil, fmt.Errorf("the system to install: %w", err)
	}
	rec.payload = d.present(squashfs...)
	rec.loader = d.present("/efi.img", "/boot/grub/i386-pc/eltorito.img", "/boot/grub/i386-pc/normal.mod", "/."+name+"-cd-id.txt")
	return rec, nil
}

// A proxmoxAnswer is an answer file, as the installer of 8.4 reads it: keys
// that it does not know are errors there too. Only the spelling with hyphens is
// taken; the one with underscores goes away.
type proxmoxAnswer struct {
	Global struct {
		Keyboard           string   `toml:"keyboard"`
		Country            string   `toml:"country"`
		FQDN               any      `toml:"fqdn"`
		Mailto             string   `toml:"mailto"`
		Timezone           string   `toml:"timezone"`
		RootPassword       string   `toml:"root-password"`
		RootPasswordHashed string   `toml:"root-password-hashed"`
		RootSSHKeys        []string `toml:"root-ssh-keys"`
		RebootOnError      bool     `toml:"reboot-on-error"`
		RebootMode         string   `toml:"reboot-mode"`
		Subscription       any      `toml:"subscription-key"`
	} `toml:"global"`
	Network struct {
		Source  string            `toml:"source"`
		CIDR    string            `toml:"cidr"`
		DNS     string            `toml:"dns"`
		Gateway string            `toml:"gateway"`
		Filter  map[string]string `toml:"filter"`
		Pinning any               `toml:"interface-name-pinning"`
	} `toml:"network"`
	Disks struct {
		Filesystem  string            `toml:"filesystem"`
		List        []string          `toml:"disk-list"`
		Filter      map[string]string `toml:"filter"`
		FilterMatch string            `toml:"filter-match"`
		ZFS         map[string]any    `toml:"zfs"`
		LVM         map[string]any    `toml:"lvm"`
		Btrfs       map[string]any    `toml:"btrfs"`
	} `toml:"disk-setup"`
	Webhook   map[string]any `toml:"post-installation-webhook"`
	FirstBoot *struct {
		Source string `toml:"source"`
	} `toml:"first-boot"`
}

// inspectProxmox makes sure that the answer file has what the installer wants,
// names disks, and powers off; and that a failed install stays on.
func inspectProxmox(text string, _ *disc) (bool, error) {
	var a proxmoxAnswer
	dec := toml.NewDecoder(bytes.NewReader([]byte(text))).DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		return false, tomlError(err)
	}
	g := &a.Global
	for key, v := range map[string]string{"keyboard": g.Keyboard, "country": g.Country, "mailto": g.Mailto, "timezone": g.Timezone} {
		if v == "" {
			return false, fmt.Errorf("global.%s is missing", key)
		}
	}
	switch {
	case g.FQDN == nil:
		return false, errors.New("global.fqdn is missing")
	case (g.RootPassword == "") == (g.RootPasswordHashed == ""):
		return false, errors.New("exactly one of global.root-password and global.root-password-hashed is wanted")
	case g.RebootMode != "power-off":
		return false, fmt.Errorf("global.reboot-mode is %q, not power-off: the end of an install is seen by the machine being off", g.RebootMode)
	case g.RebootOnError:
		return false, errors.New("global.reboot-on-error is true: an install that fails must stay on to be seen")
	case a.FirstBoot != nil:
		return false, fmt.Errorf("first-boot from %q: the script is not in git, or not on the image", a.FirstBoot.Source)
	}
	if err := a.network(); err != nil {
		return false, err
	}
	return true, a.disks()
}

func (a *proxmoxAnswer) network() error {
	n := &a.Network
	switch {
	case n.Source == "from-answer" && (n.CIDR == "" || n.DNS == "" || n.Gateway == "" || len(n.Filter) == 0):
		return errors.New("network from-answer wants cidr, dns, gateway and filter")
	case n.Source == "from-dhcp" && (n.CIDR != "" || n.DNS != "" || n.Gateway != "" || len(n.Filter) > 0):
		return errors.New("network from-dhcp takes no cidr, dns, gateway or filter")
	case n.Source != "from-answer" && n.Source != "from-dhcp":
		return fmt.Errorf("network.source is %q, neither from-answer nor from-dhcp", n.Source)
	}
	return nil
}

func (a *proxmoxAnswer) disks() error {
	d := &a.Disks
	options := map[string]map[string]any{"zfs": d.ZFS, "btrfs": d.Btrfs, "lvm": d.LVM}
	kind := map[string]string{"ext4": "lvm", "xfs": "lvm", "zfs": "zfs", "btrfs": "btrfs"}[d.Filesystem]
	switch {
	case kind == "":
		return fmt.Errorf("disk-setup.filesystem is %q, which is none of ext4, xfs, zfs and btrfs", d.Filesystem)
	case len(d.List) == 0 && len(d.Filter) == 0:
		return errors.New("disk-setup has neither disk-list nor filter: no disk is named")
	case len(d.List) > 0 && len(d.Filter) > 0:
		return errors.New("disk-setup has both disk-list and filter")
	case kind == "lvm" && len(d.List) > 1:
		return fmt.Errorf("disk-setup.disk-list has %d disks, %s takes one", len(d.List), d.Filesystem)
	case kind != "lvm" && options[kind]["raid"] == nil:
		return fmt.Errorf("disk-setup.%s.raid is missing", kind)
	}
	for name, o := range options {
		if name != kind && len(o) > 0 {
			return fmt.Errorf("disk-setup.%s is not for %s", name, d.Filesystem)
		}
	}
	return nil
}

// tomlError words an error of the parser in one line.
func tomlError(err error) error {
	if unknown := (*toml.StrictMissingError)(nil); errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		row, _ := unknown.Errors[0].Position()
		return fmt.Errorf("line %d: the installer knows no %s", row, strings.Join(unknown.Errors[0].Key(), "."))
	}
	if syntax := (*toml.DecodeError)(nil); errors.As(err, &syntax) {
		row, _ := syntax.Position()
		return fmt.Errorf("line %d: %w", row, err)
	}
	return err
}
