package answer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// esxi is the scripted installer of ESXi 7 and 8. Its loader reads BOOT.CFG, of
// which the BIOS and UEFI have one each; its media know upper-case 8.3 names
// only, and so does the path of the script.
//
// A kickstart of ESXi has no command that powers off: a %post script does,
// which runs once everything has been written and is not reached if the
// install failed.
//
// Sources: vmware/esx-boot (mboot/config.c, bootlib/parse.c) for BOOT.CFG,
// "Installing and upgrading hosts by using a script" for the kickstart.
var esxi = &family{
	name:     "esxi",
	arches:   []string{"x86_64"},
	format:   "kickstart of ESXi",
	reserved: []string{"ks", "runweasel", "cdromBoot", "nousb"},
	identify: identifyESXi,
	recipe:   esxiRecipe,
	inspect:  inspectESXi,
}

const (
	esxiBIOS = "/BOOT.CFG"
	esxiUEFI = "/EFI/BOOT/BOOT.CFG"
)

// identifyESXi reads the build of BOOT.CFG, such as 8.0.3-0.0.24022510.
func identifyESXi(d *disc, version, _ string) error {
	text, err := d.read(Tree, esxiBIOS)
	if err != nil {
		return err
	}
	c := parseBootCfg(text)
	if !strings.Contains(c["title"], "ESXi") {
		return fmt.Errorf("%s has the title %q, which is not that of ESXi's installer", esxiBIOS, c["title"])
	}
	found, _, ok := strings.Cut(c["build"], "-")
	if major, _, _ := strings.Cut(found, "."); !ok || major != "7" && major != "8" {
		return fmt.Errorf("%s says that it is build %q, neither of ESXi 7 nor of 8", esxiBIOS, c["build"])
	}
	if !sameVersion(version, found) {
		return fmt.Errorf("%s says that it is version %s", esxiBIOS, found)
	}
	return d.assert("/EFI/BOOT/BOOTX64.EFI")
}

func esxiRecipe(d *disc, _, _ string) (*recipe, error) {
	rec := &recipe{
		answer: "/KS.CFG",
		noMark: true, // its name does not fit, and no GRUB looks for it
		menus: []menu{
			{kind: mbootMenu, path: "/ISOLINUX.CFG"},
			{kind: bootCfg, path: esxiBIOS},
			{kind: bootCfg, path: esxiUEFI},
		},
		pick:  func(e entry) bool { return slices.Contains(e.args, "runweasel") },
		drops: func(a string) bool { return a == "cdromBoot" }, // which keeps the installer from looking for ks=
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat(stock, []string{"ks=cdrom:/KS.CFG"}, image), nil
		},
		evidence: []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer},
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	rec.loader = d.present("/ISOLINUX.BIN", "/MBOOT.C32", "/MENU.C32", "/SAFEBOOT.C32", "/EFIBOOT.IMG", "/EFI/BOOT/BOOTX64.EFI", "/EFI/BOOT/CRYPTO64.EFI")
	return rec, nil
}

// parseBootCfg reads key=value, as esx-boot does.
func parseBootCfg(text string) map[string]string {
	c := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			c[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
		}
	}
	return c
}

// bootCfgEntry returns what a BOOT.CFG boots. Modules stand in for initial file
// systems.
func bootCfgEntry(text string, d *disc) (entry, error) {
	c := parseBootCfg(text)
	e := entry{title: c["title"], args: strings.Fields(c["kernelopt"])}
	all := []string{c["kernel"]}
	for m := range strings.SplitSeq(c["modules"], "---") {
		if f := strings.Fields(m); len(f) > 0 {
			all = append(all, f[0])
		}
	}
	if c["kernel"] == "" || len(all) < 2 {
		return e, errors.New("there is no kernel, or there are no modules")
	}
	for i, name := range all {
		if !strings.HasPrefix(name, "/") {
			name = strings.TrimSuffix(c["prefix"], "/") + "/" + name
		}
		path, _, err := d.find(Tree, name)
		if err != nil {
			return e, err
		}
		if all[i] = path; i > 0 {
			e.initrd = append(e.initrd, path)
		}
	}
	e.kernel = all[0]
	return e, nil
}

var kernelOpt = regexp.MustCompile(`(?mi)^[ \t]*kernelopt[ \t]*=.*$`)

// bootCfgMenu returns the stock BOOT.CFG with other kernel options. Of a
// countdown, which any noise on a serial port would stop, nothing is left.
func bootCfgMenu(stock string, e entry) (string, error) {
	line := strings.Join(e.args, " ")
	if len(line) > maxCommandLine {
		return "", fmt.Errorf("the kernel options have %d characters, the most is %d", len(line), maxCommandLine)
	}
	text := kernelOpt.ReplaceAllLiteralString(strings.ReplaceAll(stock, "\r\n", "\n"), "kernelopt="+line)
	return bootTimeout.ReplaceAllLiteralString(text, "timeout=0"), nil
}

var bootTimeout = regexp.MustCompile(`(?mi)^[ \t]*timeout[ \t]*=.*$`)

// bootCfgLocal makes the loader give up at once, so that UEFI goes on
// with the next in its order. A loader that does not know "skip" yet finds no
// kernel and waits: it does not install either.
const bootCfgLocal = "skip=1\nerrtimeout=0\ntitle=Booting the local disk\n"

// esxiMenu is the menu of isolinux: what its stock entry does, at once.
const esxiMenu = "DEFAULT metalcue\nNOHALT 1\nPROMPT 0\nTIMEOUT 1\nLABEL metalcue\n  KERNEL MBOOT.C32\n  APPEND -c BOOT.CFG\n"

// checkESXiMenu makes sure that the stock menu does that.
func checkESXiMenu(text string, d *disc) error {
	if !regexp.MustCompile(`(?i)kernel\s+/?mboot\.c32\s+append\s+-c\s+/?boot\.cfg`).MatchString(text) {
		return errors.New("it has no entry that starts mboot.c32 with boot.cfg")
	}
	return d.assert("/MBOOT.C32")
}
