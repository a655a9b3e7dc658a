package answer

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Prepared is what the hosts of one image and one answer template have in
// common: the image is looked at, its menus are rewritten and the template is
// parsed once, by the host that first needs it. What fails is tried again for
// the next host. A Prepared is safe for concurrent use.
type Prepared struct {
	request  Request // without Data and Secret
	family   func() (*family, error)
	template func() *program
	recipe   once[*recipe]
	layout   once[*layout]
	checked  once[struct{}]
}

// Prepare returns what renders the answers of all hosts for which r differs in
// Data and Secret only; it does not look at these two. What r refers to must not
// change any more.
func Prepare(r Request) *Prepared {
	r.Data, r.Secret = Data{}, nil
	return &Prepared{
		request: r,
		family: sync.OnceValues(func() (*family, error) {
			f, err := familyOf(r.Family, r.Arch, r.Version, r.Generic)
			if err != nil {
				return nil, err
			}
			return f, checkArgs(r.KernelArgs, f.reserved)
		}),
		template: sync.OnceValue(func() *program { return parseTemplate(r.TemplateName, r.Template) }),
	}
}

// once keeps a value once it could be made.
type once[T any] struct {
	mu    sync.Mutex
	value T
	made  bool
}

func (o *once[T]) get(make func() (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.made {
		v, err := make()
		if err != nil {
			return o.value, err
		}
		o.value, o.made = v, true
	}
	return o.value, nil
}

// Render is [Render] for one host. What is the same for all hosts is shared by
// what it returns, and must not be changed.
func (p *Prepared) Render(d Data, secret func(name string) (string, error)) (*Rendered, error) {
	f, err := p.family()
	if err != nil {
		return nil, err
	}
	l, err := p.layout.get(p.lay)
	if err != nil {
		return nil, err
	}
	text, powersOff, err := p.answer(f, &disc{ISO: p.request.ISO}, d, secret)
	if err != nil {
		return nil, err
	}
	return l.render(text, powersOff)
}

// Preview is [Preview] for one host.
func (p *Prepared) Preview(d Data) ([]byte, error) {
	f, err := p.family()
	if err != nil {
		return nil, err
	}
	d.Image.Label = "__label__"
	text, _, err := p.answer(f, nil, d, nil)
	return []byte(text), err
}

// Inputs is [Inputs] for one host.
func (p *Prepared) Inputs(d Data) ([]string, error) {
	text, err := p.Preview(d)
	if err != nil {
		return nil, err
	}
	args := p.request.KernelArgs
	all := append([]string{string(text), fmt.Sprint(len(args))}, args...)
	if p.request.Generic != nil {
		recipe, err := json.Marshal(p.request.Generic)
		if err != nil {
			return nil, err
		}
		all = append(all, string(recipe))
	}
	return all, nil
}

// Check is [Check], or [Generic.Check], of the request's image.
func (p *Prepared) Check() error {
	_, err := p.checked.get(func() (struct{}, error) { return struct{}{}, p.check() })
	return err
}

func (p *Prepared) check() error {
	r := &p.request
	if r.Generic != nil {
		return r.Generic.Check(r.ISO, r.Arch)
	}
	f, err := p.family()
	if err != nil {
		return err
	}
	d := &disc{ISO: r.ISO}
	if err := refuse(d); err != nil {
		return fmt.Errorf("image is declared as %s %s for %s: %w", r.Family, r.Version, r.Arch, err)
	}
	if err := d.sure(f.identify(d, r.Version, r.Arch)); err != nil {
		return fmt.Errorf("image is declared as %s %s for %s: %w", r.Family, r.Version, r.Arch, err)
	}
	_, err = p.recipe.get(p.find)
	return err
}

// find finds on the disc what the recipe needs.
func (p *Prepared) find() (*recipe, error) {
	f, err := p.family()
	if err != nil {
		return nil, err
	}
	d := &disc{ISO: p.request.ISO}
	rec, err := f.recipe(d, p.request.Arch, p.request.Version)
	if err := d.sure(err); err != nil {
		return nil, fmt.Errorf("laying out the %s installer: %w", f.name, err)
	}
	return rec, nil
}

// lay makes all changes but the answer file's.
func (p *Prepared) lay() (*layout, error) {
	if err := checkMark(p.request.Mark); err != nil {
		return nil, err
	}
	rec, err := p.recipe.get(p.find)
	if err != nil {
		return nil, err
	}
	d := &disc{ISO: p.request.ISO}
	l, err := rec.lay(d, p.request)
	return l, d.sure(err)
}

// answer renders the template for one host and checks what comes out as far as
// is possible before an install. d is nil if there is no ISO to look at.
func (p *Prepared) answer(f *family, d *disc, host Data, secret func(string) (string, error)) (text string, powersOff bool, err error) {
	text, secrets, err := p.template().execute(host, secret)
	if err != nil {
		return "", false, err
	}
	powersOff, err = f.inspect(text, d)
	if err != nil {
		return "", false, &Error{File: p.request.TemplateName, Host: host.Host.Name, Msg: "the rendered " + f.format + ": " + secrets.mask(err.Error())}
	}
	return text, powersOff, nil
}

// A layout is all that differs from the stock disc, the same for every host but
// for the answer file.
type layout struct {
	rec            *recipe
	install, local []Change // of the menus
	added          []Change // beside the answer file
	kernelArgs     []string
	files          map[Phase][]string
}

// render adds a host's answer file.
func (l *layout) render(text string, powersOff bool) (*Rendered, error) {
	out := &Rendered{
		Answer:     File{Path: l.rec.answer, Data: []byte(text)},
		Files:      l.files,
		Evidence:   slices.Clone(l.rec.evidence),
		KernelArgs: l.kernelArgs,
		PowersOff:  powersOff,
	}
	data := out.Answer.Data
	if l.rec.wrap != nil {
		var err error
		if data, err = l.rec.wrap(data); err != nil {
			return nil, err
		}
	}
	answer := Change{In: Tree, Path: l.rec.answer, Op: Write, Data: data}
	changes := func(menus []Change) []Change {
		all := make([]Change, 0, len(menus)+1+len(l.added))
		return append(append(append(all, menus...), answer), l.added...)
	}
	out.Changes, out.Local = changes(l.install), changes(l.local)
	return out, nil
}
