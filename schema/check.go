package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
)

// check adds the violations that only the whole fleet shows: names that name
// nothing.
func (u *union) check() {
	for _, name := range u.fleet.HostNames() {
		h := u.fleet.Hosts[name]
		u.checkName("images", h.OS, h.Position("os"), "hosts", name, "os")
		u.checkName("roles", h.Role, h.Position("role"), "hosts", name, "role")
	}
}

// checkName checks that an image or a role of that name is declared.
func (u *union) checkName(kind, name string, pos Position, at ...string) {
	if u.declared[kind][name] {
		return
	}
	names := slices.Sorted(maps.Keys(u.declared[kind]))
	msg := fmt.Sprintf("there is no %s %q", strings.TrimSuffix(kind, "s"), name)
	switch best := nearest(name, names); {
	case best != "":
		msg += fmt.Sprintf("; did you mean %q?", best)
	case len(names) > 0 && len(names) <= 8:
		msg += "; there are " + strings.Join(names, ", ")
	}
	u.violations = append(u.violations, violation(pos, at, "%s", msg))
}

// url checks what the definitions cannot say about an image's address.
func (d *decoder) url(s string, at ...string) {
	parsed, err := url.Parse(s)
	var reason *url.Error
	switch {
	case errors.As(err, &reason):
		d.fail(at, "%q is no address: %v", s, reason.Err)
	case parsed.User != nil:
		d.fail(at, "a password does not belong in git: take the user and password out of the address")
	}
}

// file checks that the fleet's folder holds a regular file of that name.
func (d *decoder) file(name string, at ...string) {
	info, err := fs.Stat(d.fsys, path.Join(d.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fail(at, "there is no file %s", path.Join(d.dir, name))
	case err != nil:
		d.fail(at, "%v", err)
	case !info.Mode().IsRegular():
		d.fail(at, "%s is not a file", path.Join(d.dir, name))
	}
}
