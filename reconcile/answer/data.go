package answer

import (
	"fmt"
	"net/netip"
	"strings"
)

// Data is what templates see. Its fields are the public contract of templates:
// they may grow, they do not change.
type Data struct {
	Host       Host
	Role       Role
	Image      Image
	Vars       map[string]any // from CUE: the role's, and the host's over them
	Device     Device         // from NetBox
	Interfaces []Interface    // from NetBox
	Context    map[string]any // from NetBox: the config context

	// Mark is the marker of the host once it is installed, for efiLabel. It is
	// "" where nothing is being installed, and in what the marker is made of.
	Mark string

	// Hardware asks the BMC what is built in. It is called at most once, and
	// only if the template uses .Hardware, drives or drive.
	Hardware func() (Hardware, error)
}

// A Host is what CUE says of a host.
type Host struct {
	Name, Site string
	Generation int
	Labels     map[string]string
}

// A Role is what the host is for.
type Role struct{ Name string }

// An Image is the stock image that the host is installed from.
type Image struct {
	Name, Family, Arch, Version string
	Label                       string // the volume id of the ISO
}

// A Device is what NetBox says of a host.
type Device struct {
	ID                     int
	Name, Serial, AssetTag string
	Site, Rack             string
	Role, Platform, Status string // slugs
	URL                    string // of its page
	PrimaryIP4, PrimaryIP6 netip.Prefix
	Gateway4, Gateway6     netip.Addr
	DNS, NTP               []string
	Tags                   []string
	CustomFields           map[string]any
}

// An Interface is one of a device's network interfaces.
type Interface struct {
	Name, Type, MAC   string // Type is NetBox's, such as "lag", "virtual", "bridge", "25gbase-x-sfp28"
	Enabled, MgmtOnly bool
	MTU               int
	LAG, Parent       string // names of other interfaces
	Bridge            string // the name of the bridge that it is a port of
	VLAN              int    // the untagged VLAN's id; of an interface with a parent, its tag
	TaggedVLANs       []int
	Addresses         []netip.Prefix
	Primary           bool // holds a primary address of the device
}

// Hardware is what the BMC says is built in.
type Hardware struct {
	Drives []Drive
	UEFI   bool
	MACs   []string
}

// A Drive is a disk.
type Drive struct {
	Name, Model, Serial string
	WWN                 string // hex, with or without 0x, or an NVMe's EUI-64 or NGUID
	Protocol            string // "SATA", "SAS", "NVMe"
	MediaType           string // "SSD", "HDD"
	Bytes               int64
}

// check refuses text from outside that could break out of its line in an
// answer file: names in NetBox and drives are short words, never text with line
// breaks.
func (d *Data) check() error {
	dev := &d.Device
	for _, f := range [...]struct{ name, value string }{
		{"Device.Name", dev.Name}, {"Device.Serial", dev.Serial}, {"Device.AssetTag", dev.AssetTag}, {"Device.Site", dev.Site},
		{"Device.Rack", dev.Rack}, {"Device.Role", dev.Role}, {"Device.Platform", dev.Platform}, {"Device.Status", dev.Status},
		{"Device.URL", dev.URL}, {"Host.Name", d.Host.Name},
	} {
		if strings.ContainsFunc(f.value, isControl) {
			return controlError(f.name, f.value)
		}
	}
	for _, list := range [...]struct {
		name   string
		values []string
	}{{"DNS", dev.DNS}, {"NTP", dev.NTP}, {"Tags", dev.Tags}} {
		for i, s := range list.values {
			if strings.ContainsFunc(s, isControl) {
				return controlError(fmt.Sprintf("Device.%s[%d]", list.name, i), s)
			}
		}
	}
	for i, n := range d.Interfaces {
		for _, f := range [...]struct{ name, value string }{
			{"Name", n.Name}, {"Type", n.Type}, {"MAC", n.MAC}, {"LAG", n.LAG}, {"Parent", n.Parent}, {"Bridge", n.Bridge},
		} {
			if strings.ContainsFunc(f.value, isControl) {
				return controlError(fmt.Sprintf("Interfaces[%d].%s", i, f.name), f.value)
			}
		}
	}
	return nil
}

func controlError(name, value string) error {
	return fmt.Errorf(".%s holds a control character: %q", name, value)
}

func isControl(r rune) bool {
	return r < ' ' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029'
}
