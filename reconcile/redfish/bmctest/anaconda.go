package bmctest

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// mediaCheck stands for dracut's: on a patched medium it fails, and the
// machine halts at its message.
func (in *installer) mediaCheck(args []string) error {
	for _, a := range args {
		if a == "rd.live.check" || a == "rd.live.check=1" {
			return errors.New("media check: the image's checksum does not match; this system will halt")
		}
	}
	return nil
}

// stage2 finds the installer's file system.
func (in *installer) stage2(args []string) (file, error) {
	if where := value(args, "inst.stage2"); where != "" {
		dir, err := in.onMedium(where)
		if err != nil {
			return file{}, fmt.Errorf("inst.stage2: %w", err)
		}
		if strings.HasSuffix(dir, ".img") {
			return in.cd.root.lookup(dir)
		}
	}
	for _, name := range []string{"/images/install.img", "/LiveOS/squashfs.img"} {
		if f, err := in.cd.root.lookup(name); err == nil {
			return f, nil
		}
	}
	return file{}, errors.New("no stage 2 on the medium: a shell waits")
}

// answerPath finds the kickstart's path by the kernel's arguments.
func (in *installer) answerPath(args []string) (string, error) {
	where := value(args, "inst.ks")
	if where == "" {
		where = value(args, "ks")
	}
	switch {
	case where == "" && in.cd.volumeID == "OEMDRV":
		return "/ks.cfg", nil
	case where == "":
		return "", errors.New("no answer file is named: the interactive installer waits")
	}
	p, err := in.onMedium(where)
	if err != nil {
		return "", fmt.Errorf("inst.ks: %w", err)
	}
	if p == "" || p == "/" {
		p = "/ks.cfg"
	}
	return p, nil
}

// value returns the last value of a kernel argument.
func value(args []string, key string) string {
	v := ""
	for _, a := range args {
		if s, ok := strings.CutPrefix(a, key+"="); ok {
			v = s
		}
	}
	return v
}

// onMedium turns Anaconda's name for a place on the boot medium into a path:
// cdrom, cdrom:/path, cdrom:/dev/sr0:/path, hd:LABEL=…:/path.
func (in *installer) onMedium(where string) (string, error) {
	kind, rest, _ := strings.Cut(where, ":")
	switch kind {
	case "cdrom":
		if strings.HasPrefix(rest, "/dev/") {
			_, rest, _ = strings.Cut(rest, ":")
		}
		return path.Clean("/" + rest), nil
	case "hd":
		device, p, _ := strings.Cut(rest, ":")
		if label, ok := strings.CutPrefix(device, "LABEL="); ok {
			if unescapeUdev(label) != in.cd.volumeID {
				return "", fmt.Errorf("no medium is labelled %q, ours is %q", label, in.cd.volumeID)
			}
		} else if device != "sr0" && device != "/dev/sr0" {
			return "", fmt.Errorf("no device %q", device)
		}
		return path.Clean("/" + p), nil
	}
	return "", fmt.Errorf("%q is not on the medium", where)
}

// unescapeUdev undoes the \x20 that udev writes for a blank in a label.
func unescapeUdev(s string) string {
	return regexp.MustCompile(`\\x([0-9a-fA-F]{2})`).ReplaceAllStringFunc(s, func(x string) string {
		var b byte
		if _, err := fmt.Sscanf(x, `\x%02x`, &b); err != nil {
			return x
		}
		return string(rune(b))
	})
}

// kickstart is what the machine understands of an answer file.
type kickstart struct {
	final      string // "poweroff", "reboot" or "halt"
	fromMedium bool   // packages come from the medium
	pre        string // text of all %pre sections
}

// parseKickstart reads a kickstart file as strictly as Anaconda does where it
// matters here: sections must be closed, and an installation that says nothing
// about disks asks a question.
func parseKickstart(text string) (*kickstart, error) {
	ks := &kickstart{final: "halt", fromMedium: true}
	section, disks, packages := "", false, false
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case section != "" && words[0] == "%end":
			section = ""
			continue
		case section == "%pre":
			ks.pre += line
			continue
		case section != "" && isSection(words[0]):
			return nil, fmt.Errorf("line %d: %s is not closed with %%end", n, section)
		case section != "" || strings.HasPrefix(words[0], "#"):
			continue
		case isSection(words[0]):
			section = words[0]
			packages = packages || section == "%packages"
			continue
		case strings.HasPrefix(words[0], "%include") || strings.HasPrefix(words[0], "%ksappend"):
			continue
		case strings.HasPrefix(words[0], "%"):
			return nil, fmt.Errorf("line %d: unknown section %s", n, words[0])
		case strings.Contains(line, "{{") || strings.Contains(line, "<no value>"):
			return nil, fmt.Errorf("line %d: %s: not a kickstart command", n, words[0])
		}
		switch words[0] {
		case "poweroff", "shutdown":
			ks.final = "poweroff"
		case "reboot", "halt":
			ks.final = words[0]
		case "url", "nfs", "ostreesetup", "ostreecontainer", "liveimg":
			ks.fromMedium = false
		case "cdrom":
			ks.fromMedium = true
		case "autopart", "part", "partition", "logvol", "reqpart":
			disks = true
		}
	}
	switch {
	case section != "":
		return nil, fmt.Errorf("%s is not closed with %%end", section)
	case !disks && !strings.Contains(ks.pre, "part"):
		return nil, errors.New("nothing is said about disks: the installer asks")
	case !packages && ks.fromMedium:
		return nil, errors.New("no %packages: the installer asks")
	}
	return ks, nil
}

func isSection(word string) bool {
	switch word {
	case "%pre", "%pre-install", "%post", "%packages", "%onerror", "%addon", "%traceback", "%anaconda":
		return true
	}
	return false
}

// names reports whether a %pre script that asks for the machine's serial
// number contains one of these. A script that does not ask lets every machine in.
func (ks *kickstart) names(serials []string) bool {
	asks := strings.Contains(ks.pre, "product_serial") || strings.Contains(ks.pre, "system-serial-number") ||
		strings.Contains(ks.pre, "chassis_serial")
	if !asks {
		return true
	}
	for _, s := range serials {
		if s != "" && regexp.MustCompile(`(^|[^0-9A-Za-z-])`+regexp.QuoteMeta(s)+`($|[^0-9A-Za-z-])`).MatchString(ks.pre) {
			return true
		}
	}
	return false
}
