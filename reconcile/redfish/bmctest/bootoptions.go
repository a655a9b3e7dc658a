package bmctest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// efiLabel finds the labels of the boot entries that an answer file has its
// installer make.
var efiLabel = regexp.MustCompile(`efibootmgr\s[^\n]*(?:-L|--label)[ =]["']?([^"'\n]+)["']?`)

// bootOption is an entry of the firmware's boot menu.
type bootOption struct{ id, label, device string }

// scanBootOptions lists what the firmware found when it last started. A BMC
// learns of a new entry only then.
func (b *BMC) scanBootOptions() {
	before := b.options
	b.options = []bootOption{{"Boot0000", "UEFI: PXE IPv4 Network Adapter", "PciRoot(0x0)/Pci(0x1,0x0)/MAC(020000000001,0x1)/IPv4(0.0.0.0)"}}
	m, ok := b.machine.(*Machine)
	if !ok {
		return
	}
	disk, installed := m.Installed()
	if !installed {
		if b.shape.vendor == "Dell" && len(before) > 1 { // an entry whose disk is gone stays for a while
			gone := before[1]
			gone.label = "Unavailable: " + strings.TrimPrefix(gone.label, "Unavailable: ")
			b.options = append(b.options, gone)
		}
		return
	}
	entries := []string{"Red Hat Enterprise Linux"}
	if hits := efiLabel.FindAllSubmatch(disk.Answer, mostEntries); hits != nil {
		entries = nil
		for _, hit := range hits {
			entries = append(entries, string(hit[1]))
		}
	}
	for i, label := range entries {
		if b.shape.plainBootOptions {
			label = "HardDisk"
		}
		b.options = append(b.options, bootOption{bootID(i + 1), label, `HD(1,GPT,00000000-0000-4000-8000-000000000001,0x800,0x100000)/\EFI\redhat\shimx64.efi`})
	}
}

// mostEntries bounds the boot entries that an installer makes.
const mostEntries = 3

func bootID(n int) string { return fmt.Sprintf("Boot%04X", n) }

// bootOptionURIs are the members of the collection at present.
func (b *BMC) bootOptionURIs() []any {
	refs := []any{}
	for _, o := range b.options {
		refs = append(refs, ref(b.shape.systemURI()+"/BootOptions/"+o.id))
	}
	return refs
}

// bootOrder lists the options, the disk first.
func (b *BMC) bootOrder() []string {
	order := []string{}
	for _, o := range slices.Backward(b.options) {
		order = append(order, o.id)
	}
	return order
}

// routeBootOptions adds the firmware's boot menu.
func (b *BMC) routeBootOptions() {
	if b.shape.noBootOptions {
		return
	}
	uri := b.shape.systemURI() + "/BootOptions"
	b.routes[uri] = &route{get: func() object {
		return collection(uri, "#BootOptionCollection.BootOptionCollection", b.bootOptionURIs())
	}}
	for i := range mostEntries + 1 {
		id := bootID(i)
		b.routes[uri+"/"+id] = &route{
			get: func() object {
				o := b.options[i]
				return object{
					"@odata.id": uri + "/" + id, "@odata.type": "#BootOption.v1_0_4.BootOption", "Id": id, "Name": "Boot Option",
					"BootOptionReference": id, "DisplayName": o.label, "UefiDevicePath": o.device,
				}
			},
			hidden: func() bool { return i >= len(b.options) },
		}
	}
}
