package bmctest

import "time"

// dgxShape follows a dump of a DGX H100 (AMI MegaRAC, BMC 23.11.20).
func dgxShape() shape {
	s := shape{
		vendor: "AMI", product: "AMI Redfish Server", version: "1.11.0", oem: "Ami",
		rootType: "v1_13_0", systemType: "v1_17_0", chassisType: "v1_15_0", managerType: "v1_14_0", mediaType: "v1_4_0",
		manufacturer: "NVIDIA", model: "DGXH100", sku: "920-24387-2540-000", bios: "1.1.3", firmware: "23.11.20", managerModel: "77171220",
		system: "DGX", manager: "BMC", storage: "StorageUnit_0",
		chassis:   []chassisShape{{id: "DGX", tag: true, ofSystem: true}},
		systemTag: true, mode: "UEFI",
		targets: []string{
			"None", "Pxe", "Floppy", "Cd", "Usb", "Hdd", "BiosSetup", "Utilities", "Diags", "UefiShell", "UefiTarget", "SDCard",
			"UefiHttp", "RemoteDrive", "UefiBootNext",
		},
		enabled: []string{"Disabled", "Once", "Continuous"}, enabledListed: true, listsInSettings: true,
		resets: []string{"ForceOff", "ForceRestart", "GracefulShutdown", "On"}, resetInfo: true,
		settings: "SD", settingsID: "DGX", settingsName: "System", settingsBoot: true, settingsTag: true, settingsTagShown: true,
		etags: true, noContent: true,
		messages: map[string]string{"OperationSupportedInFutureStateURI": "Ami.1.0.OperationSupportedInFutureStateURI"},
		drop:     map[string][]string{"system": {"BootProgress"}, "chassis": {"UUID"}},
		add:      addDGX,
		others:   baseboard(rootURI+"/Chassis/HGX_BMC_0", object{"UUID": "00000000-0000-4000-8000-0000000000b5"}),
	}
	s.managerMedia = s.managerURI() + "/VirtualMedia"
	for _, id := range []string{"CD1", "CD2"} {
		s.slots = append(s.slots, slotShape{uris: []string{s.managerMedia + "/" + id}, types: []string{"CD", "DVD"}, canInsert: true, canEject: true})
	}
	return s
}

// addDGX adds what only AMI has.
func addDGX(b *BMC, kind string, o object) {
	switch kind {
	case "manager":
		o["Links"] = object{"ManagerInChassis": ref(rootURI + "/Chassis/DGX")}
		delete(o["Actions"].(object)["#Manager.Reset"].(object), "ResetType@Redfish.AllowableValues")
		o["Actions"].(object)["Oem"] = object{"#AMIVirtualMedia.EnableRMedia": object{
			"target": b.shape.managerURI() + "/Actions/Oem/AMIVirtualMedia.EnableRMedia",
		}}
	case "system":
		o["HostName"] = nil
	case "chassis":
		o["ChassisType"] = "Other"
	}
}

func dgxQuirks() Quirks {
	return Quirks{
		SessionTimeout: 30 * time.Second, NeedIfMatch: true, CheckIfMatch: true, PowerLag: 5 * time.Second,
		BootOnlyInSettings: true, BootShownAfterReset: true, MediaSchemes: []string{"https"}, NeedProtocolType: true, NeedLogin: true,
		NeedISOSuffix: true, InsertByTask: true, InsertLag: 3 * time.Second, EnableRMedia: true, EnableRMediaLag: 10 * time.Second,
		TagInSettings: true, TagStaged: true, TagMax: 63, BMCResetDropsMedia: true,
	}
}
