package answer

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Sections of a kickstart, as pykickstart knows them.
var kickstartSections = []string{"%packages", "%pre", "%pre-install", "%post", "%onerror", "%traceback", "%addon", "%anaconda", "%certificate"}

func isSection(word string) bool {
	return strings.HasPrefix(word, "%") && slices.Contains(kickstartSections, word)
}

// A kickstart is a kickstart file in parts.
type kickstart struct {
	commands []ksCommand
	scripts  []string // what the %pre scripts say
	includes []ksLine // of the command section and of %packages
}

type ksLine struct {
	line     int
	text     string
	packages bool // in %packages
}

type ksCommand struct {
	line int    // of the template's output
	from string // the file on the medium that it is from, instead
	name string
	text string // the whole of it
}

// words returns the command's arguments.
func (c ksCommand) words() []string {
	words, _ := splitWords(c.text) // line has done so before
	return words[1:]
}

// place says where a command is, for messages.
func (c ksCommand) place() string {
	if c.from != "" {
		return c.from
	}
	return fmt.Sprintf("line %d", c.line)
}

// parseKickstart splits a kickstart as pykickstart does: sections run from
// their name to %end, and a section's name within a section is an error.
func parseKickstart(text string) (*kickstart, error) {
	k := &kickstart{commands: make([]ksCommand, 0, 32)}
	section, began, body := "", 0, 0 // in which line it began, and where in text its own lines do
	n, next := 0, 0
	for raw := range strings.Lines(text) {
		n++
		at := next
		next += len(raw)
		line := strings.TrimSpace(raw)
		if section != "" && section != "%packages" && !strings.HasPrefix(line, "%") {
			continue // of a script
		}
		word, rest := cutWord(line)
		switch {
		case word == "%end" && section == "":
			return nil, fmt.Errorf("line %d: %%end without a section", n)
		case word == "%end":
			if section == "%pre" {
				k.scripts = append(k.scripts, text[body:at])
			}
			section = ""
		case isSection(word) && section != "":
			return nil, fmt.Errorf("line %d: %s begins before the %s of line %d has its %%end", n, word, section, began)
		case isSection(word):
			section, began, body = word, n, next
		case section == "" || section == "%packages":
			if err := k.line(ksLine{n, line, section == "%packages"}, section, word, rest); err != nil {
				return nil, err
			}
		}
	}
	if section != "" {
		return nil, fmt.Errorf("line %d: %s has no %%end", began, section)
	}
	return k, nil
}

// cutWord splits a line after its first word.
func cutWord(line string) (word, rest string) {
	i := strings.IndexFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimSpace(line[i:])
}

// line takes a line of the command section or of %packages.
func (k *kickstart) line(l ksLine, section, word, rest string) error {
	switch {
	case l.text == "" || strings.HasPrefix(l.text, "#"):
	case word == "%include":
		if rest == "" {
			return fmt.Errorf("line %d: %%include of nothing", l.line)
		}
		k.includes = append(k.includes, ksLine{l.line, strings.Fields(rest)[0], l.packages})
	case word == "%ksappend":
		return fmt.Errorf("line %d: %%ksappend fetches a part of the kickstart that is not in git; put it into the template", l.line)
	case section == "" && strings.HasPrefix(word, "%"):
		return fmt.Errorf("line %d: %s is no section of a kickstart", l.line, word)
	case section == "":
		c := ksCommand{line: l.line, name: word, text: l.text}
		if !isPlain(l.text) {
			words, err := splitWords(l.text)
			if err != nil {
				return fmt.Errorf("line %d: %s: %w", l.line, word, err)
			}
			c.name = words[0]
		}
		k.commands = append(k.commands, c)
	}
	return nil
}

// isPlain reports whether spaces and tabs alone tell a command's words apart.
func isPlain(s string) bool { return !strings.ContainsAny(s, `\'"#`) }

// splitWords splits a command as Python's shlex does, comments off.
func splitWords(s string) ([]string, error) {
	if isPlain(s) {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' }), nil
	}
	var words []string
	var b strings.Builder
	in, quote, esc := false, byte(0), false
	for i := range len(s) {
		switch c := s[i]; {
		case esc:
			b.WriteByte(c)
			esc = false
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\':
			b.WriteByte(c)
		case c == '\\':
			in, esc = true, true
		case quote != 0:
			quote = 0
		case c == '\'' || c == '"':
			in, quote = true, c
		case c == '#' && !in:
			return words, nil
		case c == ' ' || c == '\t':
			if in {
				words = append(words, b.String())
				b.Reset()
			}
			in = false
		default:
			in = true
			b.WriteByte(c)
		}
	}
	if quote != 0 || esc {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		words = append(words, b.String())
	}
	return words, nil
}

// inspectKickstart checks what can be known of a kickstart before it runs: its
// sections end, its includes exist, the installer will not ask for a disk or a
// password, and it powers off at the end.
func inspectKickstart(text string, d *disc) (bool, error) {
	k, err := parseKickstart(text)
	if err != nil {
		return false, err
	}
	if err := k.include(d, 0); err != nil {
		return false, err
	}
	if err := k.powersOff(); err != nil {
		return false, err
	}
	if !k.hasDisk() {
		return false, errors.New("no disk is named: there is neither autopart, nor a partition on a named disk, nor an %include that %pre writes")
	}
	if !k.has("rootpw", "user") && len(k.generated()) == 0 {
		return false, errors.New("there is neither rootpw nor user, and the installer would ask")
	}
	return true, nil
}

const maxIncludes = 5 // deep

// include reads the parts of the kickstart that lie on the medium, and makes
// sure that %pre writes the others.
func (k *kickstart) include(d *disc, depth int) error {
	for _, inc := range slices.Clone(k.includes) {
		onDisc, isDisc := mediumPath(inc.text)
		switch {
		case strings.Contains(inc.text, "://"):
			return fmt.Errorf("line %d: %%include %s fetches a part of the kickstart that is not in git; put it into the template", inc.line, inc.text)
		case isDisc && d == nil:
		case isDisc:
			if depth == maxIncludes {
				return fmt.Errorf("line %d: %%include %s: more than %d files deep", inc.line, inc.text, maxIncludes)
			}
			if err := k.includeFrom(d, onDisc, depth); err != nil {
				return fmt.Errorf("line %d: %%include %s: %w", inc.line, inc.text, err)
			}
		case !slices.ContainsFunc(k.scripts, func(s string) bool { return strings.Contains(s, inc.text) }):
			return fmt.Errorf("line %d: %%include %s: no %%pre script writes it", inc.line, inc.text)
		}
	}
	return nil
}

func (k *kickstart) includeFrom(d *disc, name string, depth int) error {
	text, err := d.read(Tree, name)
	if err != nil {
		return err
	}
	part, err := parseKickstart(text)
	if err != nil {
		return err
	}
	if err := part.include(d, depth+1); err != nil {
		return err
	}
	for _, c := range part.commands {
		c.line, c.from = 0, cmp.Or(c.from, name)
		k.commands = append(k.commands, c)
	}
	return nil
}

// mediumPath returns the path on the ISO of a file that Anaconda sees below
// the place where it mounts the medium.
func mediumPath(name string) (string, bool) {
	for _, dir := range []string{"/run/install/repo/", "/run/install/isodir/", "/mnt/install/repo/"} {
		if rest, ok := strings.CutPrefix(path.Clean(name), dir); ok {
			return "/" + rest, true
		}
	}
	return "", false
}

// powersOff makes sure that the installer's last act is to power off: that
// there is the command, no other one that ends an install, and that nothing
// which is only written during the install comes after it.
func (k *kickstart) powersOff() error {
	last := -1
	for _, c := range k.commands {
		switch c.name {
		case "poweroff", "shutdown":
			last = max(last, c.line)
		case "reboot", "halt":
			return fmt.Errorf("%s: %s: the end of an install is seen by the machine being off, so it must end in poweroff", c.place(), c.name)
		}
	}
	if last < 0 {
		return errors.New("there is no poweroff command: the end of an install is seen by the machine being off")
	}
	for _, inc := range k.generated() {
		if inc.line > last {
			return fmt.Errorf("line %d: %%include %s comes after poweroff and could undo it; move poweroff below it", inc.line, inc.text)
		}
	}
	return nil
}

// generated returns those includes of commands that a %pre script writes.
func (k *kickstart) generated() []ksLine {
	return slices.DeleteFunc(slices.Clone(k.includes), func(l ksLine) bool {
		_, ok := mediumPath(l.text)
		return ok || l.packages
	})
}

// hasDisk reports whether something says where to install to.
func (k *kickstart) hasDisk() bool {
	for _, c := range k.commands {
		switch c.name {
		case "autopart", "ignoredisk", "liveimg", "mount":
			return true
		case "part", "partition", "reqpart", "raid", "clearpart", "volgroup":
			for _, w := range c.words() {
				for _, o := range []string{"--ondisk", "--ondrive", "--onpart", "--usepart", "--drives", "--useexisting"} {
					if w == o || strings.HasPrefix(w, o+"=") {
						return true
					}
				}
			}
		}
	}
	return len(k.generated()) > 0
}

func (k *kickstart) has(names ...string) bool {
	return slices.ContainsFunc(k.commands, func(c ksCommand) bool { return slices.Contains(names, c.name) })
}
