package answer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// debian is debian-installer on Debian's own netinst, CD and DVD images, 12
// and 13. The preseed goes into a second initial file system: only there is it
// read before the first question.
//
// Sources: debian-cd's boot scripts for the layout of media, the installation
// guide's appendix B for preseeding.
var debian = &family{
	name:   "debian",
	arches: []string{"x86_64", "aarch64"},
	format: "preseed",
	reserved: []string{"auto", "auto-install/enable", "priority", "debconf/priority", "file", "preseed/file", "url", "preseed/url", "initrd",
		"rescue/enable", "preseed/interactive", "---", "--"},
	identify: func(d *disc, version, arch string) error {
		p, err := diskInfo(d, "Debian GNU/Linux")
		if err != nil {
			return err
		}
		if strings.Contains(strings.ToLower(p.name), "live") {
			return fmt.Errorf("/.disk/info says that it is a live image: %q", p.name)
		}
		return p.is(version, arch)
	},
	recipe:  debianRecipe,
	inspect: inspectPreseed,
}

// debianArch is what Debian and Ubuntu call an architecture.
var debianArch = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}

// diskInfo reads /.disk/info, such as
//
//	Debian GNU/Linux 12.11.0 "Bookworm" - Official amd64 NETINST with firmware 20250517-09:51
//	Ubuntu-Server 24.04.2 LTS "Noble Numbat" - Release amd64 (20250217.1)
func diskInfo(d *disc, name string) (product, error) {
	text, err := d.read(Tree, "/.disk/info")
	if err != nil {
		return product{}, err
	}
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, name+" ")
	if !ok {
		return product{}, fmt.Errorf("/.disk/info says that it is %q, not %s", text, name)
	}
	p := product{source: "/.disk/info", name: text}
	p.version, _, _ = strings.Cut(rest, " ")
	for arch, word := range debianArch {
		if slices.Contains(strings.Fields(rest), word) {
			p.arch = arch
		}
	}
	return p, nil
}

// is compares a product with what an image is declared to be.
func (p product) is(version, arch string) error {
	if p.arch != arch {
		return fmt.Errorf("%s says that it is for %q: %q", p.source, p.arch, p.name)
	}
	if !sameVersion(version, p.version) {
		return fmt.Errorf("%s says that it is version %s: %q", p.source, p.version, p.name)
	}
	return nil
}

var debianRelease = regexp.MustCompile(`["_]([A-Za-z]+)["_]`)

func debianRecipe(d *disc, arch, _ string) (*recipe, error) {
	rec := &recipe{
		answer: "/preseed.cpio",
		wrap:   func(text []byte) ([]byte, error) { return cpio("preseed.cfg", text), nil },
		initrd: true,
		drops: func(a string) bool {
			return a == "quiet" || a == "splash" || strings.HasPrefix(a, "vga=") || strings.HasPrefix(a, "theme=")
		},
		arguments: debianArguments("auto=true", "priority=critical"),
		loaders:   append(shims(arch, "shim@.efi", "debian"), shims(arch, "grub@.efi", "debian")...),
		evidence:  []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer, PhasePayload},
	}
	dir := map[string]string{"x86_64": "/install.amd", "aarch64": "/install.a64"}[arch]
	rec.pick = func(e entry) bool {
		return e.kernel == dir+"/vmlinuz" && len(e.initrd) == 1 && e.initrd[0] == dir+"/initrd.gz" && !slices.ContainsFunc(e.args, debianOddity)
	}
	if arch == "x86_64" {
		rec.menus = append(rec.menus, menu{kind: isolinux, path: "/isolinux/isolinux.cfg", source: "/isolinux/txt.cfg"})
	}
	rec.menus = append(rec.menus, menu{kind: grub, path: "/boot/grub/grub.cfg"})
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	p, err := diskInfo(d, "Debian GNU/Linux")
	if err != nil {
		return nil, err
	}
	m := debianRelease.FindStringSubmatch(p.name)
	if m == nil {
		return nil, fmt.Errorf("/.disk/info names no release: %q", p.name)
	}
	packages := "/dists/" + strings.ToLower(m[1]) + "/main/binary-" + debianArch[arch] + "/Packages.gz"
	if err := d.assert(packages); err != nil {
		return nil, fmt.Errorf("the packages of the medium: %w", err)
	}
	rec.payload = d.present(packages)
	rec.loader = d.present("/isolinux/isolinux.bin", "/isolinux/ldlinux.c32", "/boot/grub/efi.img", "/EFI/boot/bootx64.efi", "/EFI/boot/grubx64.efi",
		"/EFI/boot/bootaa64.efi", "/EFI/boot/grubaa64.efi", "/boot/grub/x86_64-efi/grub.cfg", "/boot/grub/arm64-efi/grub.cfg")
	return rec, nil
}

// debianOddity tells the arguments of entries that do not install in the usual
// way.
func debianOddity(a string) bool {
	key, value, _ := strings.Cut(a, "=")
	return slices.Contains([]string{"rescue/enable", "auto", "auto-install/enable", "priority", "speakup.synth", "desktop"}, key) ||
		key == "DEBIAN_FRONTEND" && value != "newt"
}

// debianArguments puts add before "---" and the image's own arguments after it,
// where the installer takes them over to the system that it installs.
func debianArguments(add ...string) func(stock, image []string) ([]string, error) {
	return func(stock, image []string) ([]string, error) {
		before, after := stock, []string(nil)
		if i := slices.Index(stock, "---"); i >= 0 {
			before, after = stock[:i], stock[i+1:]
		}
		return slices.Concat(before, add, []string{"---"}, after, image), nil
	}
}

// A preseedLine is "owner question type value".
type preseedLine struct {
	line                   int
	question, kind, answer string
}

var preseedKinds = []string{"string", "boolean", "select", "multiselect", "note", "password", "text", "error", "title", "seen"}

func parsePreseed(text string) ([]preseedLine, error) {
	var all []preseedLine
	n, began, joined := 0, 0, ""
	for raw := range strings.Lines(text) {
		n++
		line := strings.TrimRight(raw, "\r\n")
		if joined == "" {
			if began = n; strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
		}
		if part, more := strings.CutSuffix(line, "\\"); more {
			joined += part
			continue
		}
		f := strings.Fields(joined + line)
		joined = ""
		if len(f) < 3 {
			return nil, fmt.Errorf("line %d: %q is not owner, question, type and value", began, strings.Join(f, " "))
		}
		if !slices.Contains(preseedKinds, f[2]) {
			return nil, fmt.Errorf("line %d: %s: %q is no type of debconf", began, f[1], f[2])
		}
		all = append(all, preseedLine{began, f[1], f[2], strings.Join(f[3:], " ")})
	}
	if joined != "" {
		return nil, fmt.Errorf("line %d: goes on after the last line", began)
	}
	return all, nil
}

// inspectPreseed makes sure that the questions that debian-installer asks even
// at critical priority are answered, and that it powers off.
func inspectPreseed(text string, _ *disc) (bool, error) {
	lines, err := parsePreseed(text)
	if err != nil {
		return false, err
	}
	answers := map[string]string{}
	for _, l := range lines {
		switch l.question {
		case "preseed/include", "preseed/include_command", "preseed/run":
			return false, fmt.Errorf("line %d: %s fetches a part of the preseed that is not in git; put it into the template", l.line, l.question)
		case "debian-installer/exit/halt":
			if l.answer == "true" {
				return false, fmt.Errorf("line %d: %s: the end of an install is seen by the machine being off", l.line, l.question)
			}
		}
		answers[l.question] = l.answer
	}
	if answers["debian-installer/exit/poweroff"] != "true" {
		return false, errors.New("debian-installer/exit/poweroff is not true: the end of an install is seen by the machine being off")
	}
	if _, ok := answers["finish-install/reboot_in_progress"]; !ok {
		return false, errors.New("finish-install/reboot_in_progress is missing, and the installer would wait at its end")
	}
	if answers["partman-auto/method"] == "" && answers["partman/early_command"] == "" {
		return false, errors.New("partman-auto/method is missing, and the installer would ask for a disk")
	}
	for _, q := range []string{"partman/confirm", "partman/choose_partition"} {
		if answers[q] == "" {
			return false, fmt.Errorf("%s is missing, and the installer would ask before it writes to the disk", q)
		}
	}
	for _, q := range []string{"passwd/root-password-crypted", "passwd/root-password", "passwd/user-password-crypted", "passwd/user-password"} {
		if answers[q] != "" {
			return true, nil
		}
	}
	return false, errors.New("neither passwd/root-password-crypted nor passwd/user-password-crypted is given, and the installer would ask")
}
