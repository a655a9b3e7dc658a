package answer

import (
	"fmt"
	"slices"
	"strings"
)

// A family is one kind of installer.
type family struct {
	name     string
	arches   []string
	speaks   func(version string) bool // of families that share a name: is it this one? nil: it is
	format   string                    // of its answer file, for people
	reserved []string                  // kernel arguments that images may not set

	// identify tells whether the disc is of that version and architecture.
	identify func(d *disc, version, arch string) error
	// recipe finds on the disc what an unattended install needs. Every path
	// that it relies on has been seen.
	recipe func(d *disc, arch, version string) (*recipe, error)
	// inspect checks a rendered answer file; d may be nil. It reports whether
	// the installer powers the machine off when it is done.
	inspect func(text string, d *disc) (powersOff bool, err error)
}

// families returns all that can be installed.
func families() []*family {
	return []*family{rhel, debian, ubuntu, suse, agama, coreos, flatcar, proxmox, esxi, fai}
}

// A recipe is what one disc's installer needs.
type recipe struct {
	answer   string                       // where the installer looks for the answer file
	wrap     func([]byte) ([]byte, error) // what it looks for there, if that is not the text itself
	initrd   bool                         // it is a further initial file system
	replaces bool                         // the image has an empty file in its place
	noMark   bool                         // no loader looks for the mark
	extra    []Change                     // what is added beside it
	menus    []menu

	pick      func(entry) bool                              // is it the stock entry to start from?
	drops     func(arg string) bool                         // stock arguments that would stall or hide an install
	arguments func(stock, image []string) ([]string, error) // the new command line

	loaders []string // where on a disk's EFI partition the installed system has its loader

	loader, payload []string // paths for the account of what was read
	evidence        []Phase
}

// usable asserts everything that the menus' changes will rely on.
func (rec *recipe) usable(d *disc) error {
	for _, m := range rec.menus {
		if err := m.usable(d, rec); err != nil {
			return err
		}
	}
	return nil
}

// lay gathers everything that differs from the stock disc, whatever the host.
func (rec *recipe) lay(d *disc, r Request) (*layout, error) {
	for _, c := range append([]Change{{Path: rec.answer}}, rec.extra...) {
		if d.has(Tree, c.Path) && !(rec.replaces && c.Path == rec.answer) {
			return nil, fmt.Errorf("%s is on the image already, so it is no stock image", c.Path)
		}
	}
	l := &layout{rec: rec}
	kernels, initrds := []string{}, []string{}
	for _, m := range rec.menus {
		change, twin, e, err := m.changes(d, rec, r)
		if err != nil {
			return nil, err
		}
		l.install, l.local = append(l.install, change), append(l.local, twin)
		if e.kernel == "" {
			continue // it leads to another menu
		}
		if l.kernelArgs == nil {
			l.kernelArgs = e.args
		}
		kernels = append(kernels, e.kernel)
		initrds = append(initrds, slices.DeleteFunc(e.initrd, func(p string) bool { return p == rec.answer })...)
	}
	if !rec.noMark {
		l.added = append(l.added, Change{In: Tree, Path: "/" + r.Mark, Op: Write, Data: []byte("metalcue\n")})
	}
	l.added = append(l.added, rec.extra...)
	l.files = rec.files(slices.Concat(l.install, l.added), kernels, initrds)
	return l, nil
}

// files lists what is read, by phase, each list sorted.
func (rec *recipe) files(changes []Change, kernels, initrds []string) map[Phase][]string {
	loader := slices.Clone(rec.loader)
	answers := []string{rec.answer}
	for _, c := range rec.extra {
		answers = append(answers, c.Path)
	}
	for _, c := range changes {
		if c.In == Tree && !slices.Contains(answers, c.Path) {
			loader = append(loader, c.Path)
		}
	}
	files := map[Phase][]string{
		PhaseLoader: loader, PhaseKernel: kernels, PhaseInitrd: initrds, PhaseAnswer: answers, PhasePayload: slices.Clone(rec.payload),
	}
	for phase, paths := range files {
		slices.Sort(paths)
		if files[phase] = slices.Compact(paths); len(paths) == 0 {
			delete(files, phase)
		}
	}
	return files
}

// argument returns the value of the first argument with that key.
func argument(args []string, key string) (string, bool) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

// shims returns where the named vendors put their loader, which is called as
// given, "@" standing for UEFI's word for the architecture.
func shims(arch, name string, vendors ...string) []string {
	name = strings.ReplaceAll(name, "@", map[string]string{"x86_64": "x64", "aarch64": "aa64"}[arch])
	var all []string
	for _, v := range vendors {
		all = append(all, "/EFI/"+v+"/"+name)
	}
	return all
}
