package answer

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Generic is a recipe that a fleet spells out itself, for an installer that
// no family knows. Paths are absolute ones on the ISO.
type Generic struct {
	Volume string            // regular expression that the whole volume id matches; "": any
	Says   map[string]string // text that files on the ISO hold, by path

	Answer    string            // where the installer looks for the answer file
	Format    string            // of the answer file: "text", "json", "yaml" or "xml"
	Initrd    string            // the answer file's path in an archive that is loaded as a further initial file system; "": it is a plain file
	PowersOff string            // text in the answer file or Args by which the installer powers the machine off
	Files     map[string]string // further files that are added, by path

	Menus      []GenericMenu
	Drop, Args []string // arguments of the stock entries that go, and those that are added
	Payload    []string // what is read while the system is installed
	Evidence   []Phase  // nil: kernel, initrd and answer, and payload if there is any
}

// A GenericMenu is one boot menu.
type GenericMenu struct {
	Path   string
	Kind   string // "grub" or "isolinux"; "stub" for GRUB's in the EFI image, which is made to lead to LeadsTo
	Entry  string // the title, or isolinux' label, of the stock entry to start from
	Source string // the file with that entry, if it is not in Path

	LeadsTo string // of a stub: the menu on the ISO
}

// Check tells whether the ISO is the one that the recipe is for, and laid out
// as it says.
func (g *Generic) Check(iso ISO, arch string) error {
	d := &disc{ISO: iso}
	if err := g.identify(d, "", arch); err != nil {
		return fmt.Errorf("image is declared with a recipe of its own: %w", err)
	}
	_, err := g.recipe(d, arch, "")
	return err
}

// family returns the recipe as a family.
func (g *Generic) family() *family {
	return &family{
		name: "generic", arches: []string{"x86_64", "aarch64"}, format: "answer file",
		reserved: append(argumentKeys(g.Args), "initrd"),
		identify: g.identify, recipe: g.recipe, inspect: g.inspect,
	}
}

func argumentKeys(args []string) []string {
	var keys []string
	for _, a := range args {
		key, _, _ := strings.Cut(a, "=")
		keys = append(keys, key)
	}
	return keys
}

func (g *Generic) identify(d *disc, _, _ string) error {
	if g.Volume == "" && len(g.Says) == 0 {
		return errors.New("neither volume nor says tells this image from others")
	}
	if g.Volume != "" {
		re, err := regexp.Compile("^(?:" + g.Volume + ")$")
		if err != nil {
			return fmt.Errorf("volume: %w", err)
		}
		if !re.MatchString(d.VolumeID) {
			return fmt.Errorf("the volume id is %q, which %s does not match", d.VolumeID, g.Volume)
		}
	}
	for _, name := range sortedMapKeys(g.Says) {
		text, err := d.read(Tree, name)
		if err != nil {
			return err
		}
		if !strings.Contains(text, g.Says[name]) {
			return fmt.Errorf("%s does not say %q", name, g.Says[name])
		}
	}
	return nil
}

func (g *Generic) recipe(d *disc, arch, _ string) (*recipe, error) {
	vendors := []string{"debian", "ubuntu", "redhat", "centos", "fedora", "opensuse", "sles"}
	rec := &recipe{
		answer:   g.Answer,
		initrd:   g.Initrd != "",
		drops:    func(a string) bool { return slices.Contains(g.Drop, a) },
		loaders:  append(shims(arch, "shim@.efi", vendors...), shims(arch, "grub@.efi", vendors...)...),
		evidence: g.Evidence,
		payload:  slices.Clone(g.Payload),
		arguments: func(stock, image []string) ([]string, error) {
			return slices.Concat(stock, g.Args, image), nil
		},
	}
	if g.Initrd != "" {
		rec.wrap = func(text []byte) ([]byte, error) { return cpio(g.Initrd, text), nil }
	}
	for _, name := range sortedMapKeys(g.Files) {
		rec.extra = append(rec.extra, Change{In: Tree, Path: name, Op: Write, Data: []byte(g.Files[name])})
	}
	if rec.evidence == nil {
		rec.evidence = []Phase{PhaseKernel, PhaseInitrd, PhaseAnswer}
		if len(g.Payload) > 0 {
			rec.evidence = append(rec.evidence, PhasePayload)
		}
	}
	kinds := map[string]menuKind{"grub": grub, "isolinux": isolinux, "stub": stub}
	boots := false
	for _, m := range g.Menus {
		kind, ok := kinds[m.Kind]
		if !ok {
			return nil, fmt.Errorf("%s: %q is no kind of menu", m.Path, m.Kind)
		}
		boots = boots || kind != stub
		if kind == stub && m.LeadsTo == "" {
			return nil, fmt.Errorf("%s: it is not said which menu this stub is to lead to", m.Path)
		}
		if kind != stub && m.Entry == "" {
			return nil, fmt.Errorf("%s: it is not said which entry to start from", m.Path)
		}
		entry := menu{kind: kind, path: m.Path, source: m.Source, title: m.Entry}
		if kind == stub {
			entry.source = m.LeadsTo
		}
		rec.menus = append(rec.menus, entry)
	}
	if !boots {
		return nil, errors.New("no menu of the ISO is named, so nothing would boot the installer")
	}
	if err := rec.usable(d); err != nil {
		return nil, err
	}
	if err := d.assert(g.Payload...); err != nil {
		return nil, fmt.Errorf("the payload: %w", err)
	}
	return rec, nil
}

// inspect parses the answer file, and makes sure that the machine is powered
// off in the end.
func (g *Generic) inspect(text string, _ *disc) (bool, error) {
	var err error
	switch g.Format {
	case "", "text":
	case "json":
		err = checkKeys(text, nil)
	case "yaml":
		dec := yaml.NewDecoder(strings.NewReader(text))
		for v := any(nil); err == nil; err = dec.Decode(&v) {
		}
	case "xml":
		dec := xml.NewDecoder(strings.NewReader(text))
		for ; err == nil; _, err = dec.Token() {
		}
	default:
		return false, fmt.Errorf("%q is no format that is known", g.Format)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if g.PowersOff == "" || !strings.Contains(text, g.PowersOff) && !slices.Contains(g.Args, g.PowersOff) {
		return false, fmt.Errorf("neither it nor the kernel arguments hold %q: the end of an install is seen by the machine being off", g.PowersOff)
	}
	return true, nil
}
