package answer

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// suse is YaST with AutoYaST on SLES 15 and Leap 15; for 16, see agama. linuxrc takes a profile
// from the root of the medium by itself.
//
// Sources: openSUSE's installation-images and linuxrc, SUSE's AutoYaST guide.
var suse = &family{
	name:     "suse",
	arches:   []string{"x86_64", "aarch64"},
	speaks:   func(version string) bool { return suseMajor(version) < 16 },
	format:   "AutoYaST profile",
	reserved: []string{"autoyast", "autoyast2", "autoupgrade", "rescue", "upgrade", "mediacheck", "initrd", "install", "instsys", "info"},
	identify: identifySUSE,
	recipe:   suseRecipe,
	inspect:  inspectAutoYaST,
}

var suseMedium = regexp.MustCompile(`^(SLE|openSUSE-Leap)-(\d+)(?:-SP(\d+)|\.(\d+))?(?:-[A-Za-z]+)*-(x86_64|aarch64)-`)

// identifySUSE reads /media.1/media, whose second line is such as
// "SLE-15-SP6-Full-x86_64-Build50.1" or "openSUSE-Leap-15.6-DVD-x86_64-Build710.3".
func identifySUSE(d *disc, version, arch string) error {
	if d.has(Tree, "/LiveOS/squashfs.img") {
		return errors.New("/LiveOS/squashfs.img is there, so it is an Agama medium of SLES 16 or Leap 16; declare that version")
	}
	text, err := d.read(Tree, "/media.1/media")
	if err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 2 {
		return errors.New("/media.1/media has but one line")
	}
	m := suseMedium.FindStringSubmatch(lines[1] + "-")
	if m == nil {
		return fmt.Errorf("/media.1/media says that it is %q, neither SLE nor openSUSE Leap", lines[1])
	}
	p := product{source: "/media.1/media", name: lines[1], version: m[2], arch: m[5]}
	if minor := m[3] + m[4]; minor != "" {
		p.version += "." + minor
	}
	if m[2] != "15" {
		return fmt.Errorf("/media.1/media says that it is %q; AutoYaST is known for 15", lines[1])
	}
	return p.is(version, arch)
}

func suseRecipe(d *disc, arch, _ string) (*recipe, error) {
	const uefi = "/EFI/BOOT/grub.cfg"
	loader := "/boot/" + arch + "/loader"
	rec := &recipe{
		answer: "/autoinst.xml",
		pick:   func(e entry) bool { return !slices.ContainsFunc(e.args, suseOddity) },
		drops: func(a string) bool {
			return slices.Contains([]string{"splash=silent", "quiet", "showopts", "mediacheck=1"}, a)
		},
		arguments: func(stock, image []string) ([]string, error) { return slices.Concat(stock, image), nil },
		loaders:   append(shims(arch, "shim.efi", "sles", "opensuse"), shims(arch, "grub@.efi", "sles", "opensuse")...),
		evidence:  []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	if arch == "x86_64" {
		rec.menus = append(rec.menus, menu{kind: isolinux, path: loader + "/isolinux.cfg"})
	}
	rec.menus = append(rec.menus, menu{kind: grub, path: uefi}, menu{kind: stub, path: uefi, source: uefi})
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	root := "/boot/" + arch + "/root"
	if err := d.assert(root); err != nil {
		return nil, fmt.Errorf("the installer's second stage: %w", err)
	}
	rec.payload = d.present(root)
	rec.loader = d.present(loader+"/isolinux.bin", loader+"/ldlinux.c32", "/boot/"+arch+"/efi", "/EFI/BOOT/bootx64.efi", "/EFI/BOOT/grub.efi",
		"/EFI/BOOT/bootaa64.efi")
	return rec, nil
}

func suseOddity(a string) bool {
	key, _, _ := strings.Cut(a, "=")
	return slices.Contains([]string{"rescue", "upgrade", "mediacheck", "ui_mode", "nomodeset", "install"}, strings.ToLower(key))
}

// inspectAutoYaST makes sure that the profile is XML of the right kind, is not
// confirmed by hand, names what to partition, and ends in power-off.
func inspectAutoYaST(text string, _ *disc) (bool, error) {
	var p struct {
		XMLName xml.Name
		Mode    struct {
			Confirm     string `xml:"confirm"`
			Halt        string `xml:"halt"`
			FinalHalt   string `xml:"final_halt"`
			FinalReboot string `xml:"final_reboot"`
		} `xml:"general>mode"`
		Drives []struct{} `xml:"partitioning>drive"`
		Users  []struct{} `xml:"users>user"`
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&p); err != nil {
		return false, err
	}
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if _, ok := t.(xml.StartElement); ok || err != nil {
			return false, errors.New("there is something after its root element")
		}
	}
	yes := func(s string) bool { return strings.TrimSpace(s) == "true" }
	const ns = "http://www.suse.com/1.0/yast2ns"
	switch {
	case p.XMLName.Local != "profile" || p.XMLName.Space != ns:
		return false, fmt.Errorf("its root element is %s of %q, not profile of %q", p.XMLName.Local, p.XMLName.Space, ns)
	case strings.TrimSpace(p.Mode.Confirm) != "false":
		return false, errors.New("general/mode/confirm is not false, and the installer would ask before it installs")
	case yes(p.Mode.FinalReboot):
		return false, errors.New("general/mode/final_reboot: the end of an install is seen by the machine being off")
	case !yes(p.Mode.Halt) && !yes(p.Mode.FinalHalt):
		return false, errors.New("neither general/mode/halt nor final_halt is true: the end of an install is seen by the machine being off")
	case len(p.Drives) == 0:
		return false, errors.New("partitioning has no drive: no disk is named")
	case len(p.Users) == 0:
		return false, errors.New("users has no user: nobody could log in")
	}
	return true, checkAutoYaST(text)
}
