package redfish

import (
	"path"
	"strconv"
	"strings"
)

// signs is what a BMC shows of its kind.
type signs struct {
	root    *rootResource
	system  *systemResource
	manager *managerResource // the first one, may be nil
}

// profileFor returns the profile of the first sign that fits.
func profileFor(s signs) *profile {
	for i := range profiles {
		for _, m := range profiles[i].when {
			if m.fits(s) {
				return &profiles[i]
			}
		}
	}
	return profileByName(generic)
}

func (m match) fits(s signs) bool {
	mgr := s.manager
	if mgr == nil {
		mgr = new(managerResource)
	}
	prefix := func(got text, want string) bool {
		return want == "" || strings.HasPrefix(strings.ToLower(got.trim()), strings.ToLower(want))
	}
	return (m.oem == "" || s.root.Oem.has(m.oem) || mgr.Oem.has(m.oem) || s.system.Oem.keys.has(m.oem)) &&
		prefix(mgr.Model, m.managerModel) &&
		(m.media == "" || path.Base(string(mgr.VirtualMedia)) == m.media) &&
		(m.id == "" || s.root.ID.trim() == m.id) &&
		(m.vendor == "" || strings.EqualFold(s.root.Vendor.trim(), m.vendor)) &&
		prefix(s.system.Manufacturer, m.manufacturer)
}

func profileByName(name string) *profile {
	for i := range profiles {
		if profiles[i].name == name {
			return &profiles[i]
		}
	}
	return nil
}

// Profiles lists the names that [Client].Profile takes.
func Profiles() []string {
	var list []string
	for i := range profiles {
		list = append(list, profiles[i].name)
	}
	return list
}

// applies reports whether a firmware has the flaw.
func (f flaw) applies(model, firmware string) bool {
	version := firstVersion(firmware)
	if version == "" || !strings.Contains(model, f.model) {
		return false
	}
	if f.only != "" {
		return compareVersions(version, f.only) == 0
	}
	return compareVersions(version, f.below) < 0
}

// firstVersion finds the dotted number in "iLO 5 v2.72", "TGBT42S 2.83
// 2023-07-05" or Cisco's "4.3(2.230270)".
func firstVersion(s string) string {
	for _, word := range strings.Fields(s) {
		word, _, _ = strings.Cut(strings.TrimPrefix(strings.ToLower(word), "v"), "(")
		if strings.Contains(word, ".") && strings.Trim(word, "0123456789.") == "" {
			return word
		}
	}
	return ""
}

// compareVersions compares dotted numbers part by part; a missing part is 0.
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if d := part(as, i) - part(bs, i); d != 0 {
			return d
		}
	}
	return 0
}

func part(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i]) // parts are digits; what overflows compares as 0
	return n
}
