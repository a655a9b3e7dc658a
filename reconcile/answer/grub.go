package answer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A word is a word of GRUB's language: as it is spelt, and as it is meant.
type word struct {
	raw, text string
	variable  bool // it refers to a variable
	op        bool // it is ";", or a brace that groups commands
}

// lexGrub splits a menu into commands, each a list of words. The braces of
// menu entries and functions are commands of their own.
func lexGrub(text string) ([][]word, error) {
	l := &grubLexer{s: text}
	for l.i < len(l.s) {
		if err := l.next(); err != nil {
			return nil, err
		}
	}
	l.endCommand()
	return l.commands, nil
}

type grubLexer struct {
	s        string
	i        int
	command  []word
	commands [][]word
}

func (l *grubLexer) endCommand() {
	if len(l.command) > 0 {
		l.commands = append(l.commands, l.command)
		l.command = nil
	}
}

func (l *grubLexer) next() error {
	switch c := l.s[l.i]; {
	case c == '\n' || c == ';':
		l.i++
		l.endCommand()
	case c == ' ' || c == '\t' || c == '\r':
		l.i++
	case strings.HasPrefix(l.s[l.i:], "\\\n"):
		l.i += 2
	case c == '#':
		for l.i < len(l.s) && l.s[l.i] != '\n' {
			l.i++
		}
	default:
		w, err := l.word()
		if err != nil {
			return err
		}
		if w.raw != "{" && w.raw != "}" {
			l.command = append(l.command, w)
			return nil
		}
		l.endCommand()
		w.op = true
		l.command = append(l.command, w)
		l.endCommand()
	}
	return nil
}

// word reads a word: plain, quoted and escaped parts side by side.
func (l *grubLexer) word() (word, error) {
	var w word
	start := l.i
	var b strings.Builder
	for l.i < len(l.s) {
		switch c := l.s[l.i]; c {
		case ' ', '\t', '\r', '\n', ';':
			w.raw, w.text = l.s[start:l.i], b.String()
			return w, nil
		case '\'':
			end := strings.IndexByte(l.s[l.i+1:], '\'')
			if end < 0 {
				return w, errors.New("a quote is not closed")
			}
			b.WriteString(l.s[l.i+1 : l.i+1+end])
			l.i += end + 2
		case '"':
			if err := l.quoted(&b, &w); err != nil {
				return w, err
			}
		case '\\':
			if hexEscape.MatchString(l.s[l.i:]) {
				b.WriteByte(c) // Red Hat's GRUB passes \x20 on as it is
				l.i++
				continue
			}
			if l.i+1 < len(l.s) {
				b.WriteByte(l.s[l.i+1])
			}
			l.i += 2
		case '$':
			w.variable = true
			fallthrough
		default:
			b.WriteByte(c)
			l.i++
		}
	}
	l.i = min(l.i, len(l.s))
	w.raw, w.text = l.s[start:l.i], b.String()
	return w, nil
}

// quoted reads a part in double quotes, in which \ escapes ", \ and $.
func (l *grubLexer) quoted(b *strings.Builder, w *word) error {
	for l.i++; l.i < len(l.s); l.i++ {
		switch c := l.s[l.i]; {
		case c == '"':
			l.i++
			return nil
		case c == '\\' && l.i+1 < len(l.s) && strings.IndexByte("\"\\$", l.s[l.i+1]) >= 0:
			l.i++
			b.WriteByte(l.s[l.i])
		default:
			w.variable = w.variable || c == '$'
			b.WriteByte(c)
		}
	}
	return errors.New("a quote is not closed")
}

// parseGrub returns the entries of a GRUB menu that boot a kernel, those of
// submenus too.
func parseGrub(text string) ([]entry, error) {
	commands, err := lexGrub(text)
	if err != nil {
		return nil, err
	}
	var all []entry
	var e *entry
	for i, c := range commands {
		switch name := c[0].text; {
		case c[0].op && name == "}":
			if e != nil && e.kernel != "" && len(e.initrd) > 0 {
				all = append(all, *e)
			}
			e = nil
		case name == "menuentry" && len(c) > 1 && i+1 < len(commands) && commands[i+1][0].op:
			e = &entry{title: title(c[1:])}
		case e == nil || len(c) < 2:
		case name == "linux" || name == "linuxefi":
			e.linux, e.kernel = name, strings.TrimPrefix(c[1].text, "($root)")
			for _, w := range c[2:] {
				e.args = append(e.args, w.raw)
			}
		case name == "initrd" || name == "initrdefi":
			e.initrd = nil
			for _, w := range c[1:] {
				e.initrd = append(e.initrd, strings.TrimPrefix(w.text, "($root)"))
			}
		}
	}
	return all, nil
}

// title returns the first word of a menu entry that is no option.
func title(words []word) string {
	for _, w := range words {
		if !strings.HasPrefix(w.raw, "--") {
			return w.text
		}
	}
	return ""
}

// ungrub returns a word as GRUB means it. A variable has no meaning here.
func ungrub(raw string) (string, error) {
	commands, err := lexGrub(raw)
	if err != nil || len(commands) != 1 || len(commands[0]) != 1 || commands[0][0].variable {
		return "", fmt.Errorf("%q cannot be taken over from the stock menu", raw)
	}
	return commands[0][0].text, nil
}

// hexEscape is how udev, and so the kernel's command line, spells bytes such as
// spaces in labels.
var hexEscape = regexp.MustCompile(`^\\x[0-9A-Fa-f]{2}`)

// quoteGrub spells a word for GRUB.
func quoteGrub(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if !hexEscape.MatchString(s[i:]) && strings.IndexByte(" \t;|&<>{}()#'\"\\$*?[]~`!", s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// grubMenu returns a menu that boots e at once from the medium that has the
// mark.
func grubMenu(e entry, mark string) (string, error) {
	line := ""
	for _, a := range e.args {
		line += " " + quoteGrub(a)
	}
	if len(line) > maxCommandLine {
		return "", fmt.Errorf("the kernel command line has %d characters, the most is %d", len(line), maxCommandLine)
	}
	initrd := strings.Replace(e.linux, "linux", "initrd", 1)
	for _, p := range e.initrd {
		initrd += " " + quoteGrub(p)
	}
	return "set default=0\nset timeout=0\nsearch --no-floppy --set=root --file /" + mark + "\nmenuentry 'metalcue' {\n" +
		"\t" + e.linux + " " + quoteGrub(e.kernel) + line + "\n" +
		"\t" + initrd + "\n}\n", nil
}

// grubLocal returns a menu that boots the local disk. UEFI starts the loader of
// the installed system where one of loaders is found, or else what a disk is
// booted by of which the firmware knows nothing, or else whatever the firmware
// has next: the status makes it go on instead of showing its menu, if GRUB is
// recent enough to pass it on. The BIOS starts the first disk's boot sector. The medium itself, which may be presented
// as a disk, has the mark.
func grubLocal(arch, mark string, loaders []string) string {
	removable := map[string]string{"x86_64": "/EFI/BOOT/BOOTX64.EFI", "aarch64": "/EFI/BOOT/BOOTAA64.EFI"}[arch]
	return strings.NewReplacer("@MARK@", mark, "@LOADERS@", strings.Join(loaders, " "), "@REMOVABLE@", removable).Replace(`set default=0
set timeout=0
menuentry 'metalcue' {
	if [ "$grub_platform" = "efi" ]; then
		for f in @LOADERS@; do
			if search --no-floppy --set=root --file $f; then
				chainloader ($root)$f
				boot
			fi
		done
		for p in (hd*,*); do
			regexp -s d '^[(]([^,]*),' $p
			if [ -f $p@REMOVABLE@ ]; then
				if [ ! -f ($d)/@MARK@ ]; then
					chainloader $p@REMOVABLE@
					boot
				fi
			fi
		done
		exit 1
	fi
	set root=hd0
	if [ -f (hd0)/@MARK@ ]; then
		set root=hd1
	fi
	chainloader +1
}
`)
}
