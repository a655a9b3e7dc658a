package bmctest

import "time"

// No dumps of these exist here. Their shapes follow what ironic, sushy and
// Fujitsu's terraform provider write of them.

// ciscoShape is a C-series server, whose first drive belongs to the KVM and
// takes no URL.
func ciscoShape() shape {
	s := genericShape()
	s.vendor, s.product, s.version, s.oem = "Cisco Systems Inc.", "UCSC-C220-M6S", "1.9.0", "Cisco"
	s.manufacturer, s.model, s.sku, s.bios = "Cisco Systems Inc", "UCSC-C220-M6S", "UCSC-C220-M6S", "C220M6.4.3.2a.0"
	s.system, s.manager, s.managerModel, s.firmware = "WZP00000001", "CIMC", "UCSC-C220-M6S", "4.3(2.230270)"
	s.systemMedia, s.managerMedia = "", rootURI+"/Managers/CIMC/VirtualMedia"
	s.noContent, s.enabledListed = false, false
	s.slots = []slotShape{
		{uris: []string{s.managerMedia + "/0"}, types: []string{"DVD"}, canInsert: true, canEject: true, refuses: 405},
		{uris: []string{s.managerMedia + "/1"}, types: []string{"DVD"}, canInsert: true, canEject: true},
	}
	return s
}

// huaweiShape is a server with an iBMC, whose system does not name its manager.
func huaweiShape() shape {
	s := genericShape()
	s.vendor, s.product, s.version, s.oem = "Huawei", "2288H V6", "1.6.0", "Huawei"
	s.manufacturer, s.model, s.sku, s.firmware, s.managerModel = "Huawei", "2288H V6", "", "3.03.00.21", "iBMC"
	s.systemMedia, s.managerMedia = "", rootURI+"/Managers/1/VirtualMedia"
	s.noContent = false
	s.slots = []slotShape{{uris: []string{s.managerMedia + "/CD"}, types: []string{"CD", "DVD"}, canInsert: true, canEject: true}}
	s.add = func(_ *BMC, kind string, o object) {
		if kind == "system" {
			delete(o["Links"].(object), "ManagedBy")
		}
	}
	return s
}

// fujitsuShape is a PRIMERGY with an iRMC, whose override is Fujitsu's own.
func fujitsuShape() shape {
	s := genericShape()
	s.vendor, s.product, s.version, s.oem = "Fujitsu", "PRIMERGY RX2540 M7", "1.15.0", "ts_fujitsu"
	s.manufacturer, s.model, s.firmware, s.managerModel = "FUJITSU", "PRIMERGY RX2540 M7", "2.40P", "iRMC S6"
	s.system, s.manager = "0", "iRMC"
	s.chassis = []chassisShape{{id: "0", tag: true, ofSystem: true}}
	s.targets = []string{"None"}
	s.systemMedia, s.managerMedia = "", rootURI+"/Managers/iRMC/VirtualMedia"
	s.slots = []slotShape{
		{uris: []string{s.managerMedia + "/0"}, types: []string{"CD", "DVD"}, canInsert: true, canEject: true},
		{uris: []string{s.managerMedia + "/1"}, types: []string{"USBStick"}, canInsert: true, canEject: true},
	}
	return s
}

func ciscoQuirks() Quirks {
	return Quirks{SessionLimit: 4, CheckIfMatch: true, PowerLag: 3 * time.Second, BMCResetDropsMedia: true}
}

func huaweiQuirks() Quirks {
	return Quirks{NeedIfMatch: true, CheckIfMatch: true, PowerLag: 3 * time.Second, TagMax: 48, NeedProtocolType: true, BMCResetDropsMedia: true}
}

func fujitsuQuirks() Quirks {
	return Quirks{
		NeedIfMatch: true, CheckIfMatch: true, PowerLag: 3 * time.Second, MediaSchemes: []string{"https"}, NeedISOSuffix: true,
		EjectLag: 2 * time.Second, BMCResetDropsMedia: true,
	}
}
