package answer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_5/types"
	"go.yaml.in/yaml/v3"
)

// coreos is the live image of Fedora CoreOS and of RHEL CoreOS, in which
// coreos-installer runs as a service. The answer file is the live system's
// Ignition config, and after a line "---" that of the system to install; it
// goes where "coreos-installer iso ignition embed" puts it. Kernel arguments go
// where "iso kargs modify" does.
//
// Sources: coreos-installer's embed.rs, customize.rs and units, osbuild's
// org.osbuild.coreos.live-artifacts.mono for the layout of media.
var coreos = &family{
	name:   "coreos",
	arches: []string{"x86_64", "aarch64"},
	format: "Ignition config",
	reserved: []string{"coreos.liveiso", "ignition.firstboot", "ignition.platform.id", "ignition.config.url", "initrd", "coreos.inst.install_dev",
		"coreos.inst.ignition_url", "coreos.inst.skip_reboot", "coreos.inst.image_url", "coreos.inst.insecure"},
	identify: identifyCoreOS,
	recipe:   coreosRecipe,
	inspect:  inspectCoreOS,
}

var coreosVolume = regexp.MustCompile(`^(fedora-coreos|rhcos|scos)-([0-9].*)$`)

// identifyCoreOS goes by the volume id, such as "fedora-coreos-42.20250929.3.0"
// or "rhcos-418.94.202502100215-0": that is how the live system finds its
// medium.
func identifyCoreOS(d *disc, version, arch string) error {
	m := coreosVolume.FindStringSubmatch(d.VolumeID)
	if m == nil {
		return fmt.Errorf("the volume id %q is none of fedora-coreos-…, rhcos-… and scos-…", d.VolumeID)
	}
	if err := d.assert("/coreos/igninfo.json", "/coreos/kargs.json"); err != nil {
		return err
	}
	p := product{source: "the volume id", name: d.VolumeID, version: m[2]}
	for a, loader := range map[string]string{"x86_64": "/EFI/BOOT/BOOTX64.EFI", "aarch64": "/EFI/BOOT/BOOTAA64.EFI"} {
		if d.has(EFI, loader) {
			p.arch = a
		}
	}
	// RHCOS 4.18 calls itself 418.
	if rest, ok := strings.CutPrefix(version, "4."); ok && m[1] != "fedora-coreos" && strings.HasPrefix(p.version, "4") {
		version = "4" + rest
	}
	if p.arch == "" {
		return errors.New("EFI image: there is neither /EFI/BOOT/BOOTX64.EFI nor /EFI/BOOT/BOOTAA64.EFI")
	}
	return p.is(version, arch)
}

func coreosRecipe(d *disc, arch, _ string) (*recipe, error) {
	area, size, err := ignitionArea(d)
	if err != nil {
		return nil, err
	}
	rec := &recipe{
		answer:   area,
		replaces: true,
		wrap:     func(text []byte) ([]byte, error) { return wrapCoreOS(text, int(size)) },
		pick:     func(e entry) bool { return slices.Contains(e.initrd, area) },
		drops:    func(string) bool { return false },
		arguments: func(stock, image []string) ([]string, error) {
			if id, _ := argument(stock, "coreos.liveiso"); id != d.VolumeID {
				return nil, fmt.Errorf("coreos.liveiso looks for a medium labelled %q, but this one is %q", id, d.VolumeID)
			}
			return slices.Concat(stock, image), nil
		},
		loaders:  shims(arch, "shim@.efi", "fedora", "redhat", "centos"),
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	if rec.menus, err = kargMenus(d); err != nil {
		return nil, err
	}
	want := []menuKind{grub}
	if arch == "x86_64" {
		want = append(want, isolinux)
	}
	for _, k := range want {
		if !slices.ContainsFunc(rec.menus, func(m menu) bool { return m.kind == k }) {
			return nil, fmt.Errorf("%s does not list the menu for the %s", kargsPath, map[menuKind]string{grub: "UEFI", isolinux: "BIOS"}[k])
		}
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	const rootfs = "/images/pxeboot/rootfs.img"
	if err := d.assert(rootfs); err != nil {
		return nil, fmt.Errorf("the system to install: %w", err)
	}
	rec.payload = d.present(rootfs)
	rec.loader = d.present("/isolinux/isolinux.bin", "/isolinux/ldlinux.c32", "/isolinux/libcom32.c32", "/isolinux/libutil.c32", "/isolinux/vesamenu.c32",
		"/images/efiboot.img")
	return rec, nil
}

// ignitionArea returns the file that is kept free for the live system's
// config, and its length. It is empty on stock images.
func ignitionArea(d *disc) (string, int64, error) {
	const info = "/coreos/igninfo.json"
	text, err := d.read(Tree, info)
	if err != nil {
		return "", 0, err
	}
	var area struct {
		File           string
		Offset, Length int64
	}
	if err := json.Unmarshal([]byte(text), &area); err != nil {
		return "", 0, fmt.Errorf("%s: %w", info, err)
	}
	if area.Offset != 0 || area.File == "" {
		return "", 0, fmt.Errorf("%s names a part of the file %q, as on s390x; only whole files are known", info, area.File)
	}
	name, size, err := d.find(Tree, path.Join("/", area.File))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", info, err)
	}
	text, err = d.read(Tree, name)
	if err != nil {
		return "", 0, err
	}
	if strings.Trim(text, "\x00") != "" {
		return "", 0, fmt.Errorf("%s holds a config already, so it is no stock image", name)
	}
	return name, size, nil
}

const kargsPath = "/coreos/kargs.json"

// A kargArea is where a menu's kernel arguments stand, and room for more.
type kargArea struct {
	Path    string
	Offset  int
	Pad     string
	End     string
	size    int
	preset  string // what stands there
	text    string // the whole file
	inImage Where
}

// kargMenus returns the menus that the image lists as having room for kernel
// arguments.
func kargMenus(d *disc) ([]menu, error) {
	text, err := d.read(Tree, kargsPath)
	if err != nil {
		return nil, err
	}
	var kargs struct {
		Default string
		Size    int
		Files   []kargArea
	}
	if err := json.Unmarshal([]byte(text), &kargs); err != nil {
		return nil, fmt.Errorf("%s: %w", kargsPath, err)
	}
	var all []menu
	for _, a := range kargs.Files {
		a.size, a.preset = kargs.Size, kargs.Default
		m, err := a.menu(d)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kargsPath, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// menu finds the area in its file, which is a menu, or an EFI image that holds
// one.
func (a kargArea) menu(d *disc) (menu, error) {
	m := menu{kind: grub, path: path.Join("/", a.Path), area: &a}
	switch {
	case strings.HasSuffix(m.path, "/isolinux.cfg"):
		m.kind = isolinux
	case strings.HasSuffix(m.path, "/efiboot.img"):
		name, offset, err := a.search(d)
		if err != nil {
			return m, err
		}
		m.path, a.Offset, a.inImage = name, offset, EFI
	case !strings.HasSuffix(m.path, "/grub.cfg"):
		return m, fmt.Errorf("%s is no menu that is known", m.path)
	}
	if a.inImage == "" {
		a.inImage = Tree
	}
	var err error
	if a.text, err = d.read(a.inImage, m.path); err != nil {
		return m, err
	}
	if a.Pad == "" {
		a.Pad = "#"
	}
	if a.End == "" {
		a.End = "\n"
	}
	if a.Offset < 0 || a.size < 0 || a.Offset+a.size > len(a.text) || len(a.Pad) != 1 || len(a.End) != 1 {
		return m, fmt.Errorf("%s%s has %d bytes, and no room of %d from %d on", partOf(a.inImage), m.path, len(a.text), a.size, a.Offset)
	}
	if got := a.text[a.Offset : a.Offset+a.size]; got != a.fill(a.preset) {
		return m, fmt.Errorf("%s%s has other kernel arguments than the image's own, so it is no stock image", partOf(a.inImage), m.path)
	}
	return m, nil
}

// search finds the area within the EFI image, where an offset is one in the
// whole image.
func (a kargArea) search(d *disc) (string, int, error) {
	if d.ISO.EFI == nil {
		return "", 0, errors.New("the image has no efi file system")
	}
	menus, err := fs.Glob(d.ISO.EFI, "[Ee][Ff][Ii]/*/[Gg][Rr][Uu][Bb].[Cc][Ff][Gg]")
	if err != nil {
		return "", 0, err
	}
	for _, name := range menus {
		text, err := d.read(EFI, "/"+name)
		if err != nil {
			return "", 0, err
		}
		if i := strings.Index(text, a.preset+"\n#"); i >= 0 {
			return "/" + name, i, nil
		}
	}
	return "", 0, fmt.Errorf("EFI image: no menu has the kernel arguments %q", a.preset)
}

// fill returns the area with these arguments in it.
func (a *kargArea) fill(args string) string {
	return args + a.End + strings.Repeat(a.Pad, max(0, a.size-len(args)-len(a.End)))
}

// with returns the file with these arguments in the area, all of which every
// menu takes as they are.
func (a *kargArea) with(args []string) (string, error) {
	for _, arg := range args {
		if quoteGrub(arg) != arg {
			return "", fmt.Errorf("kernel argument %q would have to be quoted, and one text serves all menus", arg)
		}
	}
	line := strings.Join(args, " ")
	if len(line)+len(a.End) > a.size {
		return "", fmt.Errorf("the kernel command line has %d characters, and the image has room for %d", len(line), a.size-len(a.End))
	}
	return a.text[:a.Offset] + a.fill(line) + a.text[a.Offset+a.size:], nil
}

// wrapCoreOS returns the initial file system with the live system's config, as
// long as the room for it.
func wrapCoreOS(text []byte, size int) ([]byte, error) {
	live, err := liveConfig(text, "fcos", coreosTarget, NamedFile{coreosConfigs + "/0000-metalcue.yaml", "ignition-file: " + coreosTarget + "\n"})
	if err != nil {
		return nil, err
	}
	data := cpio("config.ign", live)
	if len(data) > size {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(data); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		data = b.Bytes()
	}
	if len(data) > size {
		return nil, fmt.Errorf("the config has %d bytes when compressed, and the image has room for %d", len(data), size)
	}
	return append(data, make([]byte, size-len(data))...), nil
}

const (
	coreosConfigs = "/etc/coreos/installer.d" // of coreos-installer
	coreosTarget  = "/etc/coreos/dest.ign"    // the installed system's config
)

// inspectCoreOS makes sure that the live system installs, to a disk that is
// named or that a unit before the installer's finds, with a config that lets
// somebody in, and that it then powers off: the unit that reboots is made to.
func inspectCoreOS(text string, _ *disc) (bool, error) {
	all, err := parseIgnition(text, "fcos")
	if err != nil {
		return false, err
	}
	live := all[0]
	var disk, config string
	for _, p := range live.paths(coreosConfigs) {
		text, _ := live.file(p)
		var c struct {
			Disk   string `yaml:"dest-device"`
			Config string `yaml:"ignition-file"`
			URL    string `yaml:"ignition-url"`
		}
		if err := yaml.Unmarshal([]byte(text), &c); err != nil {
			return false, fmt.Errorf("%s: %w", p, err)
		}
		if c.URL != "" {
			return false, fmt.Errorf("%s: ignition-url fetches a config that is not in git; put it after a line \"---\"", p)
		}
		if c.Disk != "" {
			disk = c.Disk
		}
		if c.Config != "" {
			config = c.Config
		}
	}
	target := all[len(all)-1]
	switch _, embedded := live.file(config); {
	case len(live.paths(coreosConfigs)) == 0 && len(all) == 1:
		return false, fmt.Errorf("no file in %s tells coreos-installer to run", coreosConfigs)
	case len(all) == 2 && config != "":
		return false, fmt.Errorf("ignition-file names %s, but the config of the installed system is the one after the line \"---\"", config)
	case len(all) == 1 && config == "":
		return false, errors.New("the installed system has no config and nobody could log in: put one after a line \"---\", or name a file with ignition-file")
	case len(all) == 1 && !embedded:
		return false, fmt.Errorf("ignition-file names %s, which the live system's config does not write", config)
	case len(all) == 1:
		raw, _ := live.file(config)
		if target, err = parseConfig([]byte(raw), "fcos", 0); err != nil {
			return false, fmt.Errorf("%s: %w", config, err)
		}
	}
	if disk == "" && !slices.ContainsFunc(live.config.Systemd.Units, func(u types.Unit) bool {
		return u.Contents != nil && strings.Contains(*u.Contents, "Before=coreos-installer.service")
	}) {
		return false, fmt.Errorf("no disk is named: no file in %s has dest-device, and no unit runs before coreos-installer.service to write one", coreosConfigs)
	}
	if !target.letsIn() {
		return false, errors.New("the installed system's config has no user with a key or a password: nobody could log in")
	}
	if reboot, _ := live.unit("coreos-installer-reboot.service"); !strings.Contains(reboot, "poweroff") {
		return false, errors.New("no drop-in of coreos-installer-reboot.service has it power off instead: the end of an install is seen by the machine being off")
	}
	return true, nil
}
