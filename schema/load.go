package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Load evaluates the fleet in dir, a folder of the repository fsys, against
// the definitions, and decodes it. Nothing is read outside of fsys, and nothing
// over the network.
//
// Sub-folders with files of the same CUE package are sites: each is evaluated
// by itself, together with its parents' files, and their hosts are united. A
// host is declared in one folder. Images, roles and the policy may be declared
// anywhere but say the same everywhere; policy.bmc may differ between sites.
//
// When the fleet is wrong, the error is an [*Error] with all violations.
func Load(fsys fs.FS, dir string) (*Fleet, error) {
	dir = path.Clean(dir)
	if !fs.ValidPath(dir) {
		return nil, fmt.Errorf("reading fleet: %q is not a path inside the repository", dir)
	}
	files, err := fs.Sub(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("reading fleet: %w", err)
	}
	w, err := newWorkspace(fsys, dir)
	if err != nil {
		return nil, err
	}
	dirs, err := sites(fsys, dir)
	if err != nil {
		var faults *Error
		if errors.As(err, &faults) {
			return nil, faults
		}
		return nil, fmt.Errorf("reading fleet: %w", err)
	}
	parts, violations := w.evaluateAll(fsys, dirs)
	u := &union{dir: dir, fleet: &Fleet{
		Images: map[string]*Image{}, Roles: map[string]*Role{}, Hosts: map[string]*Host{}, Files: files, contexts: map[string]*contextCheck{},
	}, violations: violations}
	u.addAll(parts)
	u.check()
	if err := newError(u.violations); err != nil {
		return nil, err
	}
	return u.fleet, nil
}

// evaluateAll evaluates each folder, a few at a time: what CUE needs for one
// goes when it has been decoded, which bounds the memory by the largest sites.
func (w *workspace) evaluateAll(fsys fs.FS, dirs []string) ([]*part, []Violation) {
	parts := make([]*part, len(dirs))
	found := make([][]Violation, len(dirs))
	var g errgroup.Group
	g.SetLimit(min(runtime.GOMAXPROCS(0), 4))
	for i, dir := range dirs {
		leaf := !slices.ContainsFunc(dirs, func(d string) bool { return within(d, dir) })
		g.Go(func() error {
			parts[i], found[i] = w.evaluate(fsys, dirs[0], dir)
			// A folder that only holds what its sites share need not be complete.
			if !leaf && (parts[i] != nil && len(parts[i].declared["hosts"]) == 0) {
				parts[i], found[i] = nil, nil
			}
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return slices.DeleteFunc(parts, func(p *part) bool { return p == nil }), slices.Concat(found...)
}

// within reports whether the folder d is below dir.
func within(d, dir string) bool {
	return d != dir && (dir == "." || strings.HasPrefix(d, dir+"/"))
}

// A union makes one fleet of its folders.
type union struct {
	dir        string // the fleet's folder
	fleet      *Fleet
	declared   map[string]map[string]bool // by kind and name, whether sound or not
	shared     map[string]Position        // where each image and role was taken from
	policyFrom string                     // the folder that the policy was taken from
	violations []Violation
}

func (u *union) addAll(parts []*part) {
	u.declared, u.shared = map[string]map[string]bool{}, map[string]Position{}
	for _, k := range kinds {
		u.declared[k.field] = map[string]bool{}
	}
	folders := map[string]string{} // by host, the folder that it was taken from
	for _, p := range parts {
		for kind, names := range p.declared {
			for _, name := range names {
				u.declared[kind][name] = true
			}
		}
		addShared(u, p, "images", p.images, u.fleet.Images, func(i Image) Image { i.Pos = Position{}; return i })
		addShared(u, p, "roles", p.roles, u.fleet.Roles, func(r Role) Role { r.Pos = Position{}; return r })
		u.addPolicy(p)
		for name, h := range p.hosts {
			u.addHost(p, name, h, folders)
		}
	}
}

// addShared adds what several folders may declare but must declare alike.
func addShared[T any](u *union, p *part, kind string, from, to map[string]*T, bare func(T) T) {
	for name, v := range from {
		key := kind + "." + name
		old := to[name]
		if old == nil {
			to[name] = v
			u.shared[key] = p.last[key]
		} else if !reflect.DeepEqual(bare(*old), bare(*v)) {
			u.violations = append(u.violations, violation(p.last[key], []string{kind, name},
				"is not the same in all sites: it is something else at %s", u.shared[key]))
		}
	}
}

func (u *union) addPolicy(p *part) {
	if p.policy == nil {
		return
	}
	if u.policyFrom == "" {
		u.fleet.Policy, u.policyFrom = *p.policy, p.dir
		return
	}
	mine, other := *p.policy, u.fleet.Policy
	mine.Pos, other.Pos = Position{}, Position{}
	if !reflect.DeepEqual(mine, other) {
		u.violations = append(u.violations, violation(p.last["policy"], []string{"policy"},
			"is not the same as in %s; only policy.bmc may differ between sites", u.policyFrom))
	}
}

// addHost adds a host. Sites see the hosts of their parents; those must be
// what the parent made them.
func (u *union) addHost(p *part, name string, h *Host, folders map[string]string) {
	old := u.fleet.Hosts[name]
	switch {
	case old == nil:
		if h.Site = strings.TrimPrefix(strings.TrimPrefix(p.dir, u.dir), "/"); u.dir == "." && p.dir != "." {
			h.Site = p.dir
		}
		u.fleet.Hosts[name], folders[name] = h, p.dir
		u.fleet.contexts[h.Site] = p.context
	case !within(p.dir, folders[name]):
		u.violations = append(u.violations, violation(h.Pos, []string{"hosts", name},
			"is declared in two sites: also at %s", old.Pos))
	default:
		mine, parents := *h, *old
		mine.Site, mine.BMC, mine.Fields, mine.Pos = parents.Site, parents.BMC, parents.Fields, parents.Pos
		if !reflect.DeepEqual(mine, parents) {
			u.violations = append(u.violations, violation(h.Pos, []string{"hosts", name},
				"is declared in %s and changed in %s; a host is declared in one folder", folders[name], p.dir))
		}
	}
}
