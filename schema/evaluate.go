package schema

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
)

// instance loads the CUE package in one folder, with its parents' files.
func (w *workspace) instance(dir string) (*build.Instance, error) {
	config := &load.Config{
		FS:         w.fsys,
		Dir:        "/" + dir,
		ModuleRoot: "/" + w.root,
		Registry:   noRegistry{},
		FromFSPath: func(name string) string { return strings.TrimPrefix(name, "/") },
	}
	instances := load.Instances([]string{"."}, config)
	if len(instances) != 1 {
		return nil, fmt.Errorf("loading %s: %d packages where one is wanted", dir, len(instances))
	}
	return instances[0], instances[0].Err
}

// evaluate evaluates one folder of the fleet in root by itself. Everything that CUE
// holds for it is gone when it returns.
func (w *workspace) evaluate(fsys fs.FS, root, dir string) (*part, []Violation) {
	inst, err := w.instance(dir)
	if err != nil {
		return nil, violationsOf(err, Position{File: dir})
	}
	ctx := cuecontext.New()
	v := ctx.BuildInstance(inst)
	index := newIndex(inst.Files)
	imported := imported(inst, importPath)
	if imported == nil {
		return nil, []Violation{{Pos: Position{File: positionOf(inst.Files[0].Pos()).File}, Msg: notEmbedded}}
	}
	definitions := ctx.BuildInstance(imported)
	e := &evaluation{
		part:    part{dir: dir, declared: map[string][]string{}, last: map[string]Position{}},
		decoder: decoder{fsys: fsys, dir: root, index: index, shape: fleetShape(definitions), said: map[Position]bool{}},
		first:   Position{File: positionOf(inst.Files[0].Pos()).File},
	}
	e.violations = unknown(inst.Files, e.shape)
	for _, v := range e.violations {
		e.said[v.Pos] = true
	}
	var bad []Violation
	e.context, bad = w.newContextCheck(dir, inst, imported)
	e.violations = append(e.violations, bad...)
	e.words = newExplainer(&e.decoder, strings.TrimPrefix(imported.Dir, "/"), definitions)
	e.decodeAll(v)
	return &e.part, e.violations
}

const notEmbedded = `the fleet does not hold to the definitions: it has to say import "` + importPath + `" and schema.#Fleet`

// imported returns the instance that inst, or one that it imports, has as the
// import path, or nil.
func imported(inst *build.Instance, path string) *build.Instance {
	for _, i := range inst.Imports {
		if plain, _, _ := strings.Cut(i.ImportPath, "@"); plain == path {
			return i
		}
		if found := imported(i, path); found != nil {
			return found
		}
	}
	return nil
}

// An evaluation turns the value of one folder into a part.
type evaluation struct {
	part
	decoder
	words *explainer
	first Position // of the first file
}

// decodeAll decodes what is sound, and explains what is not. Every image, role
// and host stands by itself, so that one that is wrong hides no other.
func (e *evaluation) decodeAll(v cue.Value) {
	if err := v.Err(); err != nil && !v.LookupPath(cue.ParsePath("policy")).Exists() {
		e.violations = append(e.violations, e.words.explain(err)...)
		return
	}
	policy := v.LookupPath(cue.ParsePath("policy"))
	if !policy.Exists() {
		e.violations = append(e.violations, Violation{Pos: e.first, Msg: notEmbedded})
		return
	}
	for _, field := range children(v, nil) {
		path := pathOf(field)
		if _, known := e.shape.field(path[0]); !known {
			e.unknown(field, path)
		}
	}
	var raw rawPolicy
	if e.sound(policy) && e.strictly(policy, "policy") && e.decoder.decode(policy, &raw, "policy") {
		e.policy = e.policyOf(raw)
	}
	bmc := rawBMC{BMC: BMC{Credentials: raw.BMC.Credentials, Profile: raw.BMC.Profile, Marker: raw.BMC.Marker}, TLS: raw.BMC.TLS,
		session: raw.BMC.Session, rules: e.rules(raw.BMC.Rules, "policy", "bmc", "rules")}
	e.last["policy"] = e.index.last("policy")
	e.images = decodeEach(e, v, "images", e.image)
	e.roles = decodeEach(e, v, "roles", e.role)
	e.hosts = decodeEach(e, v, "hosts", func(name string, v cue.Value) *Host { return e.host(name, v, bmc) })
}

// decodeEach decodes the fields of one field of the fleet that are sound.
func decodeEach[T any](e *evaluation, v cue.Value, kind string, decode func(string, cue.Value) *T) map[string]*T {
	all := map[string]*T{}
	v = v.LookupPath(cue.MakePath(cue.Str(kind)))
	fields, err := v.Fields()
	if err != nil {
		e.violations = append(e.violations, e.words.explain(err)...)
		return all
	}
	for fields.Next() {
		name := fields.Selector().Unquoted()
		e.declared[kind] = append(e.declared[kind], name)
		e.last[kind+"."+name] = e.index.last(kind, name)
		if !e.sound(fields.Value()) {
			continue
		}
		if decoded := decode(name, fields.Value()); decoded != nil {
			all[name] = decoded
		}
	}
	return all
}

// sound reports whether a value is complete and right, and explains where it
// is not.
func (e *evaluation) sound(v cue.Value) bool {
	err := v.Validate(cue.Concrete(true))
	if err == nil {
		return true
	}
	e.strictly(v, pathOf(v)...)
	for _, v := range e.violations {
		e.said[v.Pos] = true
	}
	found := e.faults(v)
	if len(found)+len(e.violations) == 0 { // what is wrong must not go unsaid
		found = violationsOf(err, positionOf(v.Pos())) // in CUE's own words
	}
	e.violations = append(e.violations, found...)
	return false
}

// faults explains everything that is wrong with a value, field by field: CUE
// alone leaves out what is missing, or wrong elsewhere, where something is
// wrong.
func (e *evaluation) faults(v cue.Value) []Violation {
	var found []Violation
	for _, child := range children(v, e.shapeOf(v)) {
		if child.Validate(cue.Concrete(true)) != nil {
			found = append(found, e.faults(child)...)
		}
	}
	return append(found, e.words.explain(v.Validate(cue.Concrete(true), cue.All()))...)
}

// children returns the fields or elements of a value, also of one with errors.
func children(v cue.Value, s *shape) []cue.Value {
	var all []cue.Value
	if elems, err := v.List(); err == nil {
		for elems.Next() {
			all = append(all, elems.Value())
		}
		return all
	}
	seen := map[string]bool{}
	if fields, err := v.Fields(); err == nil {
		for fields.Next() {
			seen[labelName(fields.Selector())] = true
			all = append(all, fields.Value())
		}
	}
	if s == nil {
		return all
	}
	for _, name := range s.names() {
		if f := v.LookupPath(cue.MakePath(cue.Str(name))); !seen[name] && f.Exists() {
			all = append(all, f)
		}
	}
	return all
}

// labelName returns a label without quotes, or an index as a number.
func labelName(s cue.Selector) string {
	if s.LabelType() == cue.StringLabel {
		return s.Unquoted()
	}
	return s.String()
}

// shapeOf returns the shape that a value is to have, or nil.
func (e *evaluation) shapeOf(v cue.Value) *shape { return e.shape.at(pathOf(v)) }

func pathOf(v cue.Value) []string {
	var path []string
	for _, selector := range v.Path().Selectors() {
		path = append(path, labelName(selector))
	}
	return path
}

// sites returns the folder of the fleet and those below it that hold files of
// the same package, parents first.
func sites(fsys fs.FS, dir string) ([]string, error) {
	var (
		found []string
		pkg   string
	)
	err := fs.WalkDir(fsys, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		if base := path.Base(name); name != dir && (base == "cue.mod" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
			return fs.SkipDir
		}
		if _, err := fs.Stat(fsys, path.Join(name, moduleFile)); err == nil && name != dir {
			return fs.SkipDir // a module of its own
		}
		names, err := packages(fsys, name)
		if err != nil {
			return err
		}
		switch {
		case name == dir && len(names) == 1:
			pkg = names[0]
			found = append(found, name)
		case name == dir:
			return rootError(dir, names)
		default:
			for _, n := range names {
				if n == pkg {
					found = append(found, name)
				}
			}
		}
		return nil
	})
	return found, err
}

func rootError(dir string, names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("%s holds no CUE package; a fleet starts with a file such as %s/fleet.cue that says: package fleet", dir, dir)
	}
	return fmt.Errorf("%s holds several CUE packages (%s); a fleet is one", dir, strings.Join(names, ", "))
}

// packages returns the names of the packages that the CUE files in dir belong
// to, in the order of the files' names.
func packages(fsys fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	seen := map[string]bool{}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".cue") || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") ||
			strings.HasSuffix(name, "_tool.cue") || strings.HasSuffix(name, "_test.cue") {
			continue
		}
		file := path.Join(dir, name)
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(file, data, parser.PackageClauseOnly)
		if err != nil {
			return nil, &Error{Violations: violationsOf(err, Position{File: file})}
		}
		if pkg := f.PackageName(); pkg != "" && !seen[pkg] {
			seen[pkg] = true
			names = append(names, pkg)
		}
	}
	return names, nil
}
