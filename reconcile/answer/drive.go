package answer

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var wideName = regexp.MustCompile(`^([0-9a-f]{16}|[0-9a-f]{32})$`)

// Path returns the drive's stable name under /dev, without "/dev/", as
// kickstart wants it: by World Wide Name, EUI-64 or NGUID. A drive whose BMC
// tells none has no such name.
func (d Drive) Path() (string, error) {
	id := strings.ToLower(d.WWN)
	for _, p := range []string{"0x", "eui.", "naa.", "wwn-0x"} {
		id = strings.TrimPrefix(id, p)
	}
	id = strings.NewReplacer(":", "", "-", "", " ", "").Replace(id)
	if !wideName.MatchString(id) {
		return "", fmt.Errorf("drive %q (%s): the BMC tells no world wide name, but %q", d.Name, d.Model, d.WWN)
	}
	if strings.EqualFold(d.Protocol, "nvme") {
		return "disk/by-id/nvme-eui." + id, nil
	}
	return "disk/by-id/wwn-0x" + id, nil
}

// drives returns the machine's drives that match every condition, the smallest
// first, and by serial number among equals. Conditions are "ssd", "hdd",
// "nvme", "sata", "sas", and "model=", "serial=", "wwn=", "min=" and "max=" with
// a value; sizes are decimal, such as 480GB or 1.6TB, models match in part.
func (v *view) drives(conditions ...string) ([]Drive, error) {
	hw, err := v.Hardware()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(hw.Drives)
	for _, c := range conditions {
		keep, err := condition(c)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(d Drive) bool { return !keep(d) })
	}
	slices.SortFunc(all, func(a, b Drive) int {
		return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.Serial, b.Serial), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

func (v *view) drive(conditions ...string) (Drive, error) {
	all, err := v.drives(conditions...)
	if err != nil {
		return Drive{}, err
	}
	if len(all) == 0 {
		return Drive{}, noDrive(conditions)
	}
	return all[0], nil
}

// raid1 returns the two drives that a system may be mirrored on: of those that
// match, two of the same size, kind, protocol and model, SSDs and small ones
// first. Where no two are alike, it returns the one drive that comes first.
func (v *view) raid1(conditions ...string) ([]Drive, error) {
	all, err := v.drives(conditions...)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, noDrive(conditions)
	}
	type kind struct {
		media, protocol, model string
		bytes                  int64
	}
	of := func(d Drive) kind { return kind{folded(d.MediaType), folded(d.Protocol), folded(d.Model), d.Bytes} }
	slices.SortStableFunc(all, func(a, b Drive) int { return cmp.Compare(mediaRank(a), mediaRank(b)) })
	first := map[kind]Drive{}
	for _, d := range all {
		if twin, ok := first[of(d)]; ok {
			return []Drive{twin, d}, nil
		}
		first[of(d)] = d
	}
	return all[:1], nil
}

// mediaRank brings SSDs before hard disks, and these before what is neither.
func mediaRank(d Drive) int {
	switch folded(d.MediaType) {
	case "ssd":
		return 0
	case "hdd":
		return 1
	}
	return 2
}

func noDrive(conditions []string) error {
	if len(conditions) == 0 {
		return errors.New("the machine has no drive")
	}
	return fmt.Errorf("the machine has no drive that is %s", strings.Join(conditions, " and "))
}

func folded(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

func condition(c string) (func(Drive) bool, error) {
	key, value, _ := strings.Cut(c, "=")
	switch key {
	case "ssd", "hdd":
		return func(d Drive) bool { return folded(d.MediaType) == key }, nil
	case "nvme", "sata", "sas":
		return func(d Drive) bool { return folded(d.Protocol) == key }, nil
	case "model":
		return func(d Drive) bool { return strings.Contains(folded(d.Model), folded(value)) }, nil
	case "serial":
		return func(d Drive) bool { return folded(d.Serial) == folded(value) }, nil
	case "wwn":
		bare := func(s string) string { return strings.TrimPrefix(folded(s), "0x") }
		return func(d Drive) bool { return bare(d.WWN) == bare(value) }, nil
	case "min", "max":
		n, err := bytesOf(value)
		if err != nil {
			return nil, err
		}
		return func(d Drive) bool { return key == "min" && d.Bytes >= n || key == "max" && d.Bytes <= n }, nil
	}
	return nil, fmt.Errorf("%q is no condition for drives", c)
}

// bytesOf reads a size such as "480GB".
func bytesOf(s string) (int64, error) {
	units := map[string]float64{"": 1, "B": 1, "MB": 1e6, "GB": 1e9, "TB": 1e12, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
	digits := strings.TrimRight(strings.ToUpper(s), "BKMGTI ")
	unit := strings.TrimSpace(strings.ToUpper(s)[len(digits):])
	n, err := strconv.ParseFloat(digits, 64)
	f, ok := units[unit]
	if err != nil || !ok || n < 0 || n*f > 1<<60 {
		return 0, fmt.Errorf("%q is no size, such as 480GB", s)
	}
	return int64(n * f), nil
}
