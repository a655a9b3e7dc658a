package answer

import (
	"fmt"
	"strings"
)

// parseINI reads the sections of a .treeinfo or media.repo. Later values win.
func parseINI(text string) map[string]map[string]string {
	sections := map[string]map[string]string{}
	var section map[string]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok && strings.HasSuffix(name, "]") {
			name = strings.TrimSuffix(name, "]")
			if section = sections[name]; section == nil {
				section = map[string]string{}
				sections[name] = section
			}
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || section == nil || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		section[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return sections
}

// A product is what a medium says it is. Empty fields are not known.
type product struct{ source, name, version, arch string }

// products returns what the medium of an Anaconda installer says of itself, in
// each place where it does.
func products(d *disc) ([]product, error) {
	var all []product
	if d.has(Tree, "/.treeinfo") {
		text, err := d.read(Tree, "/.treeinfo")
		if err != nil {
			return nil, err
		}
		ini := parseINI(text)
		first := func(places ...string) string {
			for _, p := range places {
				section, key, _ := strings.Cut(p, "/")
				if v := ini[section][key]; v != "" {
					return v
				}
			}
			return ""
		}
		all = append(all, product{"/.treeinfo", first("release/name", "general/family"), first("release/version", "general/version"),
			first("tree/arch", "general/arch")})
	}
	if d.has(Tree, "/.discinfo") {
		text, err := d.read(Tree, "/.discinfo")
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if len(lines) < 3 {
			return nil, fmt.Errorf("/.discinfo has %d lines, not the three with time, release and architecture", len(lines))
		}
		name, version := "", strings.TrimSpace(lines[1])
		if i := strings.LastIndexByte(version, ' '); i >= 0 {
			name, version = version[:i], version[i+1:]
		}
		all = append(all, product{"/.discinfo", name, version, strings.TrimSpace(lines[2])})
	}
	return all, nil
}

// sameVersion reports whether found is the declared version or, if only its
// first parts are declared, one of its line.
func sameVersion(declared, found string) bool {
	return found == declared || strings.HasPrefix(found, declared+".")
}

// labelSays reports whether a volume id such as "RHEL-9-6-0-BaseOS-x86_64" or
// "Fedora-S-dvd-x86_64-42" names the version and the architecture.
func labelSays(label, version, arch string) bool {
	rest, ok := strings.CutPrefix(label, arch)
	before, after := "", rest
	if !ok {
		if before, after, ok = strings.Cut(label, "-"+arch); !ok {
			return false
		}
	}
	text := "-" + strings.ReplaceAll(before+"-"+strings.Trim(after, "-"), ".", "-") + "-"
	return strings.Contains(text, "-"+strings.ReplaceAll(version, ".", "-")+"-")
}
