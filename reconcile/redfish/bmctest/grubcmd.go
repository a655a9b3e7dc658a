package bmctest

import (
	"errors"
	"strings"
)

// expand makes the words of a command out of what was written.
func (g *grubState) expand(words []word) []string {
	var out []string
	for _, w := range words {
		var b strings.Builder
		for _, p := range w.parts {
			if p.expand {
				b.WriteString(g.substitute(p.text))
			} else {
				b.WriteString(p.text)
			}
		}
		if b.Len() > 0 || w.quoted {
			out = append(out, b.String())
		}
	}
	return out
}

// substitute replaces $name and ${name}.
func (g *grubState) substitute(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "$")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if inner, ok := strings.CutPrefix(rest, "{"); ok {
			name, after, _ := strings.Cut(inner, "}")
			b.WriteString(g.vars[name])
			s = after
			continue
		}
		n := 0
		for n < len(rest) && (rest[n] == '_' || rest[n] >= '0' && rest[n] <= '9' || rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z') {
			n++
		}
		b.WriteString(g.vars[rest[:n]])
		s = rest[n:]
	}
}

// command runs one command and reports whether it succeeded.
func (g *grubState) command(st statement) (bool, error) {
	args := g.expand(st.words)
	if len(args) == 0 {
		return true, nil
	}
	switch name := args[0]; name {
	case "menuentry", "submenu":
		g.entries = append(g.entries, newEntry(args, st.body))
	case "function":
		if len(args) == 2 {
			g.funcs[args[1]] = st.body
		}
	case "set":
		if len(args) == 2 {
			k, v, _ := strings.Cut(args[1], "=")
			g.vars[k] = v
		}
	case "unset":
		for _, k := range args[1:] {
			delete(g.vars, k)
		}
	case "search", "search.file", "search.fs_label":
		return g.search(args), nil
	case "configfile", "source", ".", "normal":
		return g.source(args)
	case "linux", "linuxefi", "linux16":
		if len(args) > 1 {
			g.boot.kernel, g.boot.args = g.treePath(args[1]), strings.Join(args[2:], " ")
		}
	case "initrd", "initrdefi", "initrd16":
		for _, a := range args[1:] {
			g.boot.initrds = append(g.boot.initrds, g.treePath(a))
		}
	case "exit", "chainloader", "fwsetup":
		g.local = true
	case "[", "test":
		return g.test(args[1:]), nil
	case "true":
	case "false":
		return false, nil
	default:
		if body, ok := g.funcs[name]; ok {
			if g.depth++; g.depth > 16 {
				return false, errors.New("grub: functions call each other without an end")
			}
			defer func() { g.depth-- }()
			return true, g.run(body)
		}
	}
	return true, nil
}

func newEntry(args []string, body []statement) grubEntry {
	e := grubEntry{sub: args[0] == "submenu", body: body}
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "--id" && i+1 < len(args):
			e.id = args[i+1]
			i++
		case strings.HasPrefix(args[i], "--id="):
			e.id = args[i][len("--id="):]
		case strings.HasPrefix(args[i], "--"):
			if !strings.Contains(args[i], "=") && args[i] != "--unrestricted" {
				i++ // --class x, --users x, --hotkey x
			}
		case e.title == "":
			e.title = args[i]
		}
	}
	return e
}

// treePath turns GRUB's name for a file into a path in the medium's tree.
func (g *grubState) treePath(name string) string {
	if strings.HasPrefix(name, "(") {
		_, rest, _ := strings.Cut(name, ")")
		return rest
	}
	return name
}

// source runs another configuration file. After configfile nothing of the
// present one counts any more.
func (g *grubState) source(args []string) (bool, error) {
	name := ""
	if len(args) > 1 {
		name = args[1]
	} else if args[0] == "normal" {
		name = g.vars["prefix"] + "/grub.cfg"
	}
	text, err := g.read(name)
	if err != nil {
		g.m.printf("grub: %s: %v", name, err)
		return false, nil
	}
	if args[0] == "source" || args[0] == "." {
		return true, g.config(string(text))
	}
	g.m.printf("grub: reading %s", name)
	g.entries = nil
	if err := g.config(string(text)); err != nil {
		return false, err
	}
	return true, errConfigured
}

// search finds a device by a file or a label and sets a variable to it. Like
// GRUB's it looks at whole devices before their partitions.
func (g *grubState) search(args []string) bool {
	variable, kind, what := "root", "file", ""
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--set" || a == "-s":
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				variable = args[i]
			}
		case strings.HasPrefix(a, "--set="):
			variable = a[len("--set="):]
		case a == "--label" || a == "-l":
			kind = "label"
		case a == "--file" || a == "-f":
			kind = "file"
		case a == "--fs-uuid" || a == "-u":
			kind = "uuid"
		case a == "--no-floppy" || a == "-n" || strings.HasPrefix(a, "--hint"):
		default:
			what = a
		}
	}
	if args[0] == "search.fs_label" {
		kind = "label"
	}
	device := g.find(kind, what)
	if device == "" {
		g.m.printf("grub: error: no such device: %s", what)
		return false
	}
	g.vars[variable] = device
	return true
}

// find returns the device that a search ends at.
func (g *grubState) find(kind, what string) string {
	switch {
	case what == "":
	case kind == "label" && what == g.cd.volumeID:
		return "cd0"
	case kind == "file":
		if _, err := g.cd.root.lookup(what); err == nil {
			return "cd0"
		}
		if g.esp != nil {
			if _, err := espText(g.esp, what); err == nil {
				return "esp"
			}
		}
	}
	return ""
}

// test evaluates the conditions that installers' menus use.
func (g *grubState) test(args []string) bool {
	if n := len(args); n > 0 && args[n-1] == "]" {
		args = args[:n-1]
	}
	if len(args) > 0 && args[0] == "!" {
		return !g.test(args[1:])
	}
	switch {
	case len(args) == 1:
		return args[0] != ""
	case len(args) == 2 && args[0] == "-n":
		return args[1] != ""
	case len(args) == 2 && args[0] == "-z", len(args) == 1 && args[0] == "-z":
		return len(args) == 1 || args[1] == ""
	case len(args) == 2 && (args[0] == "-f" || args[0] == "-e" || args[0] == "-s"):
		_, err := g.read(args[1])
		return err == nil
	case len(args) == 2 && args[0] == "-d":
		f, err := g.cd.root.lookup(g.treePath(args[1]))
		return err == nil && f.dir
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		return args[0] == args[2]
	case len(args) == 3 && args[1] == "!=":
		return args[0] != args[2]
	}
	return false
}
