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
	format   string   // of its answer file, for people
	reserved []string // kernel arguments that images may not set

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
func families() []*family { return []*family{rhel} }

// refused are installers that are recognised and cannot be made to work from
// one patched ISO, each with the reason and the way out.
var refused = map[string]string{}

// A recipe is what one disc's installer needs.
type recipe struct {
	answer  string   // where the installer looks for the answer file
	menus   []menu   //
	initrds []string // further initial file systems, among those that extra adds

	pick      func(entry) bool                              // is it the stock entry to start from?
	drops     func(arg string) bool                         // stock arguments that would stall or hide an install
	arguments func(stock, image []string) ([]string, error) // the new command line
	extra     func(answer []byte) (add []Change, err error) // what is added beside the answer file

	loader, payload []string // paths for the account of what was read
	evidence        []Phase
}

// render gathers everything that differs from the stock disc.
func (rec *recipe) render(d *disc, r Request, text string, powersOff bool) (*Rendered, error) {
	if d.has(Tree, rec.answer) {
		return nil, fmt.Errorf("%s is on the image already, so it is no stock image", rec.answer)
	}
	out := &Rendered{
		Answer:    File{Path: rec.answer, Data: []byte(text)},
		Evidence:  slices.Clone(rec.evidence),
		PowersOff: powersOff,
	}
	kernels, initrds := []string{}, []string{}
	var local []Change
	for _, m := range rec.menus {
		change, twin, e, err := m.changes(d, rec, r)
		if err != nil {
			return nil, err
		}
		out.Changes, local = append(out.Changes, change), append(local, twin)
		if m.kind == stub {
			continue
		}
		if out.KernelArgs == nil {
			out.KernelArgs = e.args
		}
		kernels, initrds = append(kernels, e.kernel), append(initrds, e.initrd...)
	}
	added := []Change{
		{In: Tree, Path: rec.answer, Op: Write, Data: out.Answer.Data},
		{In: Tree, Path: "/" + r.Mark, Op: Write, Data: []byte("metalcue\n")},
	}
	if rec.extra != nil {
		more, err := rec.extra(out.Answer.Data)
		if err != nil {
			return nil, err
		}
		added = append(added, more...)
	}
	out.Changes = append(out.Changes, added...)
	out.Local = append(local, added...)
	out.Files = rec.files(out, kernels, initrds)
	return out, nil
}

// files lists what is read, by phase, each list sorted.
func (rec *recipe) files(out *Rendered, kernels, initrds []string) map[Phase][]string {
	loader := slices.Clone(rec.loader)
	for _, c := range out.Changes {
		if c.In == Tree && c.Path != rec.answer && !slices.Contains(initrds, c.Path) {
			loader = append(loader, c.Path)
		}
	}
	files := map[Phase][]string{
		PhaseLoader: loader, PhaseKernel: kernels, PhaseInitrd: initrds, PhaseAnswer: {rec.answer}, PhasePayload: slices.Clone(rec.payload),
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
