package bmctest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/filesystem"
)

// grubEntry is a menuentry or a submenu.
type grubEntry struct {
	title, id string
	sub       bool
	body      []statement
}

// grubState is a running GRUB. Its devices are (cd0), the medium's file tree,
// and (esp), the EFI image.
type grubState struct {
	m       *Machine
	cd      *medium
	esp     filesystem.FileSystem
	vars    map[string]string
	funcs   map[string][]statement
	entries []grubEntry
	depth   int
	boot    entry
	local   bool // the entry leaves the menu for the next boot device
}

// errConfigured ends a script that handed over to another configuration.
var errConfigured = errors.New("another configuration took over")

// grub runs the first of the given configuration files: in the EFI image, if
// there is one, or else in the tree.
func (m *Machine) grub(cd *medium, esp filesystem.FileSystem, names []string) (*entry, error) {
	g := &grubState{m: m, cd: cd, esp: esp, funcs: map[string][]statement{}}
	for _, device := range []string{"esp", "cd0"} {
		for _, name := range names {
			g.vars = map[string]string{"root": device, "prefix": "(" + device + ")" + path.Dir(name), "grub_platform": "efi"}
			if m.Firmware == BIOS {
				g.vars["grub_platform"] = "pc"
			}
			text, err := g.read(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			m.printf("grub: reading (%s)%s", device, name)
			if err := g.config(string(text)); err != nil && !errors.Is(err, errConfigured) {
				return nil, err
			}
			return g.menu()
		}
	}
	return nil, fmt.Errorf("grub: no configuration: %w", errWaits)
}

// read reads a file by GRUB's name for it: "(device)/path" or "/path" on $root.
func (g *grubState) read(name string) ([]byte, error) {
	device := strings.Trim(g.vars["root"], "()")
	if strings.HasPrefix(name, "(") {
		var ok bool
		if device, name, ok = strings.Cut(name[1:], ")"); !ok {
			return nil, fs.ErrInvalid
		}
	}
	switch {
	case device == "cd0":
		return g.cd.root.text(name)
	case device == "esp" && g.esp != nil:
		return espText(g.esp, name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// config runs a configuration file.
func (g *grubState) config(text string) error {
	if g.depth++; g.depth > 16 {
		return errors.New("grub: configuration files refer to each other without an end")
	}
	defer func() { g.depth-- }()
	list, err := parseGrub(text)
	if err != nil {
		return err
	}
	return g.run(list)
}

// run executes statements.
func (g *grubState) run(list []statement) error {
	for _, st := range list {
		if st.arms != nil {
			if err := g.choose(st.arms); err != nil {
				return err
			}
			continue
		}
		if st.loop != "" {
			if err := g.repeat(st); err != nil {
				return err
			}
			continue
		}
		if _, err := g.command(st); err != nil {
			return err
		}
	}
	return nil
}

// repeat runs a for.
func (g *grubState) repeat(st statement) error {
	for _, v := range g.expand(st.words) {
		g.vars[st.loop] = v
		if err := g.run(st.body); err != nil {
			return err
		}
		if g.local {
			return nil
		}
	}
	return nil
}

// choose runs the first arm of an if whose condition holds.
func (g *grubState) choose(arms []arm) error {
	for _, a := range arms {
		ok := true
		if a.cond != nil {
			var err error
			if ok, err = g.command(statement{words: a.cond}); err != nil {
				return err
			}
		}
		if ok {
			return g.run(a.body)
		}
	}
	return nil
}

// menu waits for the timeout and boots the default entry.
func (g *grubState) menu() (*entry, error) {
	if g.local {
		return nil, fmt.Errorf("grub: exit: %w", errLocalBoot)
	}
	if len(g.entries) == 0 && g.boot.kernel != "" {
		return &g.boot, nil // a script that boots without a menu
	}
	timeout, err := strconv.Atoi(g.vars["timeout"])
	if err != nil || timeout < 0 {
		return nil, fmt.Errorf("grub: the menu has no timeout: %w", errWaits)
	}
	if !sleep(g.cd.ctx, time.Duration(timeout)*time.Second) {
		return nil, g.cd.ctx.Err()
	}
	choice := g.vars["default"]
	if choice == "" {
		choice = "0"
	}
	switch err := g.choice(choice); {
	case errors.Is(err, errConfigured):
		if g.depth++; g.depth > 16 {
			return nil, errors.New("grub: menus lead to each other without an end")
		}
		return g.menu()
	case err != nil:
		return nil, err
	case g.local:
		return nil, fmt.Errorf("grub: exit: %w", errLocalBoot)
	case g.boot.kernel == "":
		return nil, fmt.Errorf("grub: you need to load the kernel first: %w", errWaits)
	}
	return &g.boot, nil
}

// choice runs the chosen entry: "2", "identifier", "title", or "submenu>entry".
func (g *grubState) choice(choice string) error {
	for {
		first, rest, nested := strings.Cut(choice, ">")
		e, ok := pick(g.entries, first)
		if !ok {
			return fmt.Errorf("grub: no entry %q: %w", choice, errWaits)
		}
		g.m.printf("grub: booting %q", e.title)
		if !e.sub {
			return g.run(e.body)
		}
		if !nested {
			return fmt.Errorf("grub: in the submenu %q: %w", e.title, errWaits)
		}
		g.entries = nil
		if err := g.run(e.body); err != nil {
			return err
		}
		choice = rest
	}
}

// pick returns an entry by number, identifier or title.
func pick(list []grubEntry, choice string) (grubEntry, bool) {
	if n, err := strconv.Atoi(choice); err == nil && n >= 0 && n < len(list) {
		return list[n], true
	}
	for _, e := range list {
		if e.id != "" && e.id == choice || e.title == choice {
			return e, true
		}
	}
	return grubEntry{}, false
}
