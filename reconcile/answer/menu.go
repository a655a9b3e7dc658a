package answer

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A menuKind is the language of a boot menu.
type menuKind int

const (
	isolinux menuKind = iota
	grub
	stub      // GRUB's menu in the EFI image, which leads to the one in the tree
	bootCfg   // of ESXi's loader
	mbootMenu // isolinux' that starts ESXi's loader
)

// A menu is one boot menu of a stock image.
type menu struct {
	kind   menuKind
	path   string // what is replaced
	source string // where the stock entry is, if it is not in path
	title  string // of the stock entry; "": the recipe picks it

	area *kargArea // the menu stays as it is but for this
}

// checkArgs refuses kernel arguments that would not arrive as one word, and
// those that the recipe sets itself.
func checkArgs(args, reserved []string) error {
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("kernel argument %q is not one word of printable ASCII", a)
		}
		key, _, _ := strings.Cut(a, "=")
		if slices.Contains(reserved, key) {
			return fmt.Errorf("kernel argument %q is not for images to set: the install depends on it", a)
		}
	}
	return nil
}

// changes returns a menu's change, its twin that boots the local disk, and the
// kernel, initial file systems and arguments that it boots.
func (m menu) changes(d *disc, rec *recipe, r Request) (install, local Change, e entry, err error) {
	if m.kind == stub {
		install, err = m.stub(d, rec, r.Mark)
		return install, install, entry{}, err
	}
	in := Tree
	if m.area != nil {
		in = m.area.inImage
	}
	name, _, err := d.find(in, m.path)
	if err != nil {
		return install, local, e, err
	}
	e, err = m.stock(d, rec)
	if err != nil {
		return install, local, e, err
	}
	if e.args, err = m.arguments(e, rec, r); err != nil {
		return install, local, e, fmt.Errorf("%s: %w", name, err)
	}
	if rec.initrd {
		e.initrd = append(slices.Clone(e.initrd), rec.answer)
	}
	var text, twin string
	switch m.kind {
	case isolinux:
		text, err = isolinuxMenu(e)
		twin = isolinuxLocal
	case bootCfg:
		if text, err = d.read(Tree, m.path); err == nil {
			text, err = bootCfgMenu(text, e)
		}
		twin = bootCfgLocal
	case mbootMenu:
		text, twin = esxiMenu, isolinuxLocal
	default:
		text, err = grubMenu(e, r.Mark)
		twin = grubLocal(r.Arch, r.Mark, rec.loaders)
	}
	if m.area != nil {
		text, err = m.area.with(e.args)
	}
	if err != nil {
		return install, local, e, fmt.Errorf("%s: %w", name, err)
	}
	n := max(len(text), len(twin))
	install = Change{In: in, Path: name, Op: Write, Data: padded(text, n)}
	local = Change{In: in, Path: name, Op: Write, Data: padded(twin, n)}
	return install, local, e, nil
}

// padded fills s up to n bytes with newlines, which both menus' languages skip.
func padded(s string, n int) []byte { return []byte(s + strings.Repeat("\n", n-len(s))) }

// stock returns the entry of the stock menu that the new one is derived from.
func (m menu) stock(d *disc, rec *recipe) (entry, error) {
	source := m.path
	if m.source != "" {
		source = m.source
	}
	var text string
	var err error
	if m.area != nil {
		text = m.area.text
	} else if text, err = d.read(Tree, source); err != nil {
		return entry{}, err
	}
	var all []entry
	switch m.kind {
	case isolinux:
		all = parseIsolinux(text, path.Dir(m.path))
	case bootCfg:
		all = make([]entry, 1)
		all[0], err = bootCfgEntry(text, d)
	case mbootMenu:
		if err = checkESXiMenu(text, d); err == nil {
			return entry{}, nil
		}
	default:
		all, err = parseGrub(text)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%s: %w", source, err)
	}
	pick := rec.pick
	if m.title != "" {
		pick = func(e entry) bool { return e.title == m.title }
	}
	i := slices.IndexFunc(all, pick)
	if i < 0 && m.title != "" {
		return entry{}, fmt.Errorf("%s has no entry %q; it has %s", source, m.title, titles(all))
	}
	if i < 0 {
		return entry{}, fmt.Errorf("%s has no entry that starts a plain install; it has %s", source, titles(all))
	}
	e := all[i]
	if err := d.assert(append([]string{e.kernel}, e.initrd...)...); err != nil {
		return entry{}, fmt.Errorf("%s boots %w", source, err)
	}
	return e, nil
}

func titles(all []entry) string {
	if len(all) == 0 {
		return "no entries with a kernel"
	}
	var t []string
	for _, e := range all {
		t = append(t, fmt.Sprintf("%q", e.title))
	}
	return strings.Join(t, ", ")
}

// arguments returns the new command line: the stock one's arguments as the
// recipe keeps them, its own, then the image's.
func (m menu) arguments(e entry, rec *recipe, r Request) ([]string, error) {
	var stock []string
	for _, a := range e.args {
		if rec.drops(a) {
			continue
		}
		if m.kind == grub {
			var err error
			if a, err = ungrub(a); err != nil {
				return nil, err
			}
		}
		stock = append(stock, a)
	}
	return rec.arguments(stock, r.KernelArgs)
}

// stub returns the change of a menu in the EFI image. It keeps the file's
// length, so that nothing else of the image has to change.
func (m menu) stub(d *disc, rec *recipe, mark string) (Change, error) {
	name, size, err := d.find(EFI, m.path)
	if err != nil {
		return Change{}, err
	}
	target, _, err := d.find(Tree, m.source)
	if err != nil {
		return Change{}, err
	}
	text := fmt.Sprintf("search --no-floppy --set=root --file /%s\nconfigfile ($root)%s\n", mark, quoteGrub(target))
	if int64(len(text)) > size {
		return Change{}, fmt.Errorf("EFI image: %s has %d bytes, too few for the %d that lead to the menu of the ISO", name, size, len(text))
	}
	return Change{In: EFI, Path: name, Op: Write, Data: padded(text, int(size))}, nil
}

// usable asserts what a menu's change will rely on.
func (m menu) usable(d *disc, rec *recipe) error {
	if m.kind == stub {
		_, err := m.stub(d, rec, strings.Repeat("m", 64))
		return err
	}
	if _, _, err := d.find(Tree, m.path); err != nil && m.area == nil {
		return err
	}
	e, err := m.stock(d, rec)
	if err != nil {
		return err
	}
	_, err = m.arguments(e, rec, Request{})
	return err
}
