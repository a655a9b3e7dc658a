package answer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An esxiSection is a script of a kickstart of ESXi, or its commands.
type esxiSection struct {
	line   int
	name   string   // "%pre", "%post", "%firstboot"; "" for the commands
	words  []string // after the name
	script string
}

// esxiCommands are those that ESXi's installer knows.
var esxiCommands = []string{"accepteula", "vmaccepteula", "clearpart", "dryrun", "install", "installorupgrade", "upgrade", "keyboard", "network",
	"paranoid", "part", "partition", "reboot", "rootpw", "serialnum", "vmserialnum", "include", "%include"}

// parseESXi splits a kickstart of ESXi. A section ends where the next begins.
func parseESXi(text string) (commands []ksCommand, sections []esxiSection, err error) {
	n := 0
	for raw := range strings.Lines(text) {
		n++
		line := strings.TrimSpace(raw)
		word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		switch {
		case slices.Contains([]string{"%pre", "%post", "%firstboot"}, word):
			sections = append(sections, esxiSection{line: n, name: word, words: strings.Fields(rest)})
		case word == "%end":
			sections = append(sections, esxiSection{line: n})
		case len(sections) > 0 && sections[len(sections)-1].name != "":
			sections[len(sections)-1].script += raw
		case line == "" || strings.HasPrefix(line, "#"):
		case !slices.Contains(esxiCommands, word):
			return nil, nil, fmt.Errorf("line %d: %s is no command of ESXi's installer", n, word)
		default:
			if _, err := splitWords(line); err != nil {
				return nil, nil, fmt.Errorf("line %d: %s: %w", n, word, err)
			}
			commands = append(commands, ksCommand{line: n, name: word, text: line})
		}
	}
	return commands, sections, nil
}

// inspectESXi makes sure that the installer asks nothing, knows the disk, and
// that its last script powers off.
func inspectESXi(text string, _ *disc) (bool, error) {
	commands, sections, err := parseESXi(text)
	if err != nil {
		return false, err
	}
	has := func(names ...string) *ksCommand {
		i := slices.IndexFunc(commands, func(c ksCommand) bool { return slices.Contains(names, c.name) })
		if i < 0 {
			return nil
		}
		return &commands[i]
	}
	pre := ""
	for _, s := range sections {
		if s.name == "%pre" {
			pre += s.script
		}
	}
	generated := false
	for _, c := range commands {
		if c.name != "include" && c.name != "%include" {
			continue
		}
		if words := c.words(); len(words) != 1 || !strings.Contains(pre, words[0]) {
			return false, fmt.Errorf("line %d: %s %s: no %%pre script writes it", c.line, c.name, strings.Join(words, " "))
		}
		generated = true
	}
	switch c := has("reboot", "dryrun", "upgrade", "installorupgrade"); {
	case c != nil && c.name == "reboot":
		return false, fmt.Errorf("line %d: reboot: the end of an install is seen by the machine being off, so a %%post script must power off", c.line)
	case c != nil:
		return false, fmt.Errorf("line %d: %s does not install anew", c.line, c.name)
	case has("accepteula", "vmaccepteula") == nil:
		return false, errors.New("vmaccepteula is missing, and the installer would ask")
	case has("rootpw") == nil && !generated:
		return false, errors.New("rootpw is missing, and the installer would ask")
	case has("network") == nil && !generated:
		return false, errors.New("network is missing, and the installer would take its address from DHCP")
	}
	if err := esxiDisk(has("install"), generated); err != nil {
		return false, err
	}
	return true, esxiPowersOff(sections)
}

func esxiDisk(install *ksCommand, generated bool) error {
	if install == nil {
		if generated {
			return nil
		}
		return errors.New("install is missing")
	}
	for _, w := range install.words() {
		key, _, _ := strings.Cut(w, "=")
		if slices.Contains([]string{"--disk", "--drive", "--firstdisk"}, key) {
			return nil
		}
	}
	return fmt.Errorf("line %d: install has none of --disk, --drive and --firstdisk: no disk is named", install.line)
}

// esxiPowersOff wants the last command of the last %post script to be poweroff
// -f: the gentle ways need services that the installer does not run.
func esxiPowersOff(sections []esxiSection) error {
	i := -1
	for j, s := range sections {
		if s.name == "%post" {
			i = j
		}
	}
	if i < 0 {
		return errors.New("there is no %post script that powers off: the end of an install is seen by the machine being off")
	}
	s := sections[i]
	if slices.ContainsFunc(s.words, func(w string) bool { return strings.HasPrefix(w, "--interpreter") && !strings.HasSuffix(w, "busybox") }) {
		return fmt.Errorf("line %d: the last %%post script is not for busybox, so whether it powers off is not known", s.line)
	}
	last := ""
	for line := range strings.Lines(s.script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			last = line
		}
	}
	if last != "poweroff -f" {
		return fmt.Errorf("line %d: the last command of the last %%post script is %q, not poweroff -f: the end of an install is seen by the machine being off", s.line, last)
	}
	return nil
}
