package bmctest

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// isoLabel is a LABEL of an ISOLINUX menu.
type isoLabel struct {
	name, kernel, append, initrd string
	local                        bool
}

// isoMenu is a parsed isolinux.cfg.
type isoMenu struct {
	labels     []*isoLabel
	fallback   string // DEFAULT
	ui         string
	onTimeout  string
	chosen     string // the label with MENU DEFAULT
	prompt     bool
	timeout    int // tenths of a second; 0 waits for ever
	globalArgs string
}

// isolinux runs a menu of ISOLINUX.
func (m *Machine) isolinux(cd *medium, dir, text string) (*entry, error) {
	menu := &isoMenu{}
	if err := menu.parse(cd, dir, text, 0); err != nil {
		return nil, err
	}
	name, waits := menu.choice()
	if waits {
		if menu.timeout <= 0 {
			return nil, fmt.Errorf("isolinux: the menu has no timeout: %w", errWaits)
		}
		if !sleep(cd.ctx, time.Duration(menu.timeout)*100*time.Millisecond) {
			return nil, cd.ctx.Err()
		}
		if menu.onTimeout != "" {
			name = menu.onTimeout
		}
	}
	for _, l := range menu.labels {
		if strings.EqualFold(l.name, name) {
			m.printf("isolinux: booting %s", l.name)
			return l.entry(dir, menu.globalArgs)
		}
	}
	return nil, fmt.Errorf("isolinux: no label %q: %w", name, errWaits)
}

// choice is the label that boots by itself, and whether a menu or a prompt
// waits before it does.
func (menu *isoMenu) choice() (name string, waits bool) {
	shown := menu.ui != "" || strings.HasSuffix(menu.fallback, "menu.c32")
	if name = menu.fallback; shown {
		name = menu.chosen
	}
	if name == "" && len(menu.labels) > 0 {
		name = menu.labels[0].name
	}
	return name, shown || menu.prompt
}

// entry makes a label's lines into what is booted.
func (l *isoLabel) entry(dir, globalArgs string) (*entry, error) {
	if l.local || strings.HasSuffix(l.kernel, "chain.c32") {
		return nil, fmt.Errorf("isolinux: label %s: %w", l.name, errLocalBoot)
	}
	if l.kernel == "" || strings.HasSuffix(l.kernel, ".c32") {
		return nil, fmt.Errorf("isolinux: label %s has no kernel: %w", l.name, errWaits)
	}
	e := &entry{plain: true, kernel: absolute(dir, l.kernel), args: l.append}
	if e.args == "" {
		e.args = globalArgs
	}
	initrd := l.initrd
	for _, word := range strings.Fields(e.args) {
		if v, ok := strings.CutPrefix(word, "initrd="); ok {
			initrd = v
		}
	}
	for _, p := range strings.Split(initrd, ",") {
		if p != "" {
			e.initrds = append(e.initrds, absolute(dir, p))
		}
	}
	return e, nil
}

func absolute(dir, p string) string {
	if strings.HasPrefix(p, "/") {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

// parse reads the lines of a configuration file and of those that it includes.
func (menu *isoMenu) parse(cd *medium, dir, text string, depth int) error {
	help := false
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		word, rest = strings.ToLower(word), strings.TrimSpace(rest)
		switch {
		case help:
			help = word != "endtext"
		case word == "text":
			help = strings.EqualFold(rest, "help")
		case word == "include":
			if depth == 8 {
				return fmt.Errorf("isolinux: %s: includes are nested too deep", rest)
			}
			more, err := cd.plain.text(absolute(dir, rest))
			if err != nil {
				return err
			}
			if err := menu.parse(cd, dir, string(more), depth+1); err != nil {
				return err
			}
		default:
			if err := menu.line(word, rest); err != nil {
				return err
			}
		}
	}
	return nil
}

// line reads one directive.
func (menu *isoMenu) line(word, rest string) (err error) {
	var label *isoLabel
	if n := len(menu.labels); n > 0 {
		label = menu.labels[n-1]
	}
	switch word {
	case "default":
		menu.fallback = rest
	case "ui":
		menu.ui = rest
	case "ontimeout":
		menu.onTimeout = rest
	case "prompt":
		menu.prompt = rest != "0"
	case "timeout":
		if menu.timeout, err = strconv.Atoi(rest); err != nil {
			return fmt.Errorf("isolinux: timeout %q", rest)
		}
	case "label":
		menu.labels = append(menu.labels, &isoLabel{name: rest})
	case "menu":
		if label != nil && strings.EqualFold(rest, "default") {
			menu.chosen = label.name
		}
	default:
		menu.labelLine(label, word, rest)
	}
	return nil
}

// labelLine reads a line that belongs to a label, or to all of them.
func (menu *isoMenu) labelLine(l *isoLabel, key, rest string) {
	if l == nil {
		if key == "append" {
			menu.globalArgs = rest
		}
		return
	}
	switch key {
	case "kernel", "linux", "com32":
		l.kernel = rest
	case "append":
		l.append = rest
	case "initrd":
		l.initrd = rest
	case "localboot":
		l.local = true
	}
}
