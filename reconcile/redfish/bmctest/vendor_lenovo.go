package bmctest

import "time"

// lenovoShape follows a dump of a ThinkSystem SR670 V2 (XCC TGBT42S 2.83).
func lenovoShape() shape {
	sys, mgr := rootURI+"/Systems/1/VirtualMedia", rootURI+"/Managers/1/VirtualMedia"
	s := shape{
		vendor: "Lenovo", version: "1.15.0",
		rootType: "v1_13_0", systemType: "v1_17_0", chassisType: "v1_19_0", managerType: "v1_14_0", mediaType: "v1_5_1",
		manufacturer: "Lenovo", model: "ThinkSystem SR670 V2", sku: "7Z23CTO1WW", bios: "U8E122J", firmware: "TGBT42S 2.83 2023-07-28", managerModel: "Lenovo XClarity Controller",
		system: "1", manager: "1", storage: "Direct_Attached_NVMe",
		chassis:   []chassisShape{{id: "1", tag: true, ofSystem: true}},
		systemTag: true, mode: "UEFI",
		targets: []string{"None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup", "Diags", "UefiTarget"},
		enabled: []string{"Once", "Disabled"}, enabledListed: true,
		resets: []string{"On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOn", "ForceOff", "ForceRestart"}, resetInline: true, resetInfo: true,
		settings: "Pending", settingsID: "Pending", settingsName: "Pending",
		plainBootOptions: true, systemMedia: sys, managerMedia: mgr, etags: true,
		drop: map[string][]string{"root": {"Product"}, "system": {"BootProgress"}},
		add:  addLenovo,
	}
	for _, id := range []string{"EXT1", "EXT2", "EXT3", "EXT4", "RDOC1", "RDOC2", "Remote1", "Remote2", "Remote3", "Remote4"} {
		s.slots = append(s.slots, slotShape{
			uris:  []string{sys + "/" + id, mgr + "/" + id},
			types: []string{"CD", "DVD", "Floppy", "USBStick"}, canInsert: id[:4] != "RDOC", canEject: true,
		})
	}
	return s
}

// addLenovo adds what only Lenovo has.
func addLenovo(b *BMC, kind string, o object) {
	switch kind {
	case "system":
		o["Oem"] = object{"Lenovo": object{"@odata.type": "#LenovoComputerSystem.v1_0_0.LenovoSystemProperties"}}
	case "manager":
		o["Oem"] = object{"Lenovo": object{"@odata.type": "#LenovoManager.v1_0_0.LenovoManagerProperties"}}
	case "media":
		o["Password"] = nil
	}
}

func lenovoQuirks() Quirks {
	return Quirks{
		SessionLimit: 16, SessionTimeout: 300 * time.Second, NeedIfMatch: true, CheckIfMatch: true, PowerLag: 3 * time.Second,
		MediaByPATCH: true, RestorationScreen: true, TagMax: 32, BMCResetDropsMedia: true,
	}
}
