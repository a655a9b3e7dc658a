package bmctest

import (
	"maps"
	"path"
	"strings"
	"time"
)

// openbmcShape follows dumps of a GB200 NVL (24.12) and of a Supermicro GB300
// (70.01.00.09), and for the plain OpenBMC the source of bmcweb.
func openbmcShape(v Vendor) shape {
	s := shape{
		vendor: "OpenBMC", version: "1.17.0",
		rootType: "v1_15_0", systemType: "v1_22_0", chassisType: "v1_22_0", managerType: "v1_14_0", mediaType: "v1_3_0",
		manufacturer: "OpenBMC", model: "Reference board", bios: "2.0", firmware: "2.18.0", managerModel: "OpenBmc",
		system: "system", manager: "bmc", storage: "1",
		chassis:   []chassisShape{{id: "chassis", ofSystem: true}},
		systemTag: true,
		targets:   []string{"None", "Pxe", "Hdd", "Cd", "Diags", "BiosSetup", "Usb"},
		enabled:   []string{"Once", "Continuous", "Disabled"}, enabledListed: true,
		resets: []string{"ForceOff", "PowerCycle", "Nmi", "GracefulShutdown", "On", "ForceOn", "GracefulRestart", "ForceRestart"}, resetInfo: true,
		noContent: true,
		drop: map[string][]string{
			"root": {"Product"}, "system": {"HostName", "SKU", "EthernetInterfaces"},
			"media": {"ImageName", "TransferProtocolType", "UserName"}, "chassis": {"SKU", "UUID"},
		},
		add: addOpenBMC,
	}
	slots := []string{"Slot_0", "Slot_2"}
	switch v {
	case GB200:
		nvidiaBoard(&s)
		s.vendor, s.product, s.firmware = "NVIDIA", "GB200 NVL", "GB200Nvl-24.12-8"
		s.systemTag = false
		s.drop["system"] = []string{"HostName", "SKU", "EthernetInterfaces", "Manufacturer", "Model", "SerialNumber", "BiosVersion"}
		slots = []string{"USB1", "USB2"}
	case GB300:
		nvidiaBoard(&s)
		s.vendor, s.product, s.firmware, s.managerType = "Supermicro", "GB NVL", "70.01.00.09", "v1_15_0"
		s.manufacturer, s.model = "Supermicro", "GB NVL"
		s.resetInfoMissing = true
		s.others[rootURI+"/Systems/HGX_Baseboard_0"]["UUID"] = "00000000-0000-4000-8000-0000000000b5"
		slots = []string{"Slot_0", "USB1", "USB2"}
	}
	s.managerMedia = s.managerURI() + "/VirtualMedia"
	for _, id := range slots {
		s.slots = append(s.slots, slotShape{
			uris:  []string{s.managerMedia + "/" + id},
			types: []string{"CD", "USBStick"}, canInsert: id != "Slot_0", canEject: true,
		})
	}
	return s
}

// nvidiaBoard gives a shape the two systems of an NVIDIA board.
func nvidiaBoard(s *shape) {
	s.system, s.manager, s.manufacturer = "System_0", "BMC_0", "NVIDIA"
	s.settings, s.settingsID, s.settingsName, s.settingsBoot = "Settings", "Settings", "System_0 Pending Settings", true
	s.chassis = []chassisShape{{id: "BMC_0", ofSystem: true}, {id: "Chassis_0", tag: true, ofSystem: true}}
	s.drop["root"] = nil
	s.others = baseboard(rootURI+"/Chassis/HGX_Chassis_0", object{"Model": "GB200 NVL", "SerialNumber": "HGX-0000001"})
}

// baseboard is the second system of NVIDIA boards, which has neither power nor
// boot; facts are what it tells of itself beyond that.
func baseboard(chassis string, facts object) map[string]object {
	system, manager := rootURI+"/Systems/HGX_Baseboard_0", rootURI+"/Managers/HGX_BMC_0"
	board := object{
		"@odata.id": system, "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem", "Id": "HGX_Baseboard_0", "Name": "HGX_Baseboard_0",
		"Manufacturer": "NVIDIA", "SystemType": "Physical", "PowerState": "On",
		"Links": object{"ManagedBy": []any{ref(manager)}, "Chassis": []any{ref(chassis)}},
	}
	maps.Copy(board, facts)
	return map[string]object{
		system: board,
		manager: {
			"@odata.id": manager, "@odata.type": "#Manager.v1_14_0.Manager", "Id": "HGX_BMC_0", "Name": "OpenBmc Manager", "ManagerType": "BMC", "Model": "OpenBmc",
			"FirmwareVersion": "GB200Nvl-24.12-8", "UUID": "00000000-0000-4000-8000-0000000000b6", "PowerState": "On",
			"Links": object{"ManagerForServers": []any{ref(system)}},
		},
		chassis: {
			"@odata.id": chassis, "@odata.type": "#Chassis.v1_22_0.Chassis", "Id": path.Base(chassis), "Name": path.Base(chassis), "ChassisType": "Zone",
			"Manufacturer": "NVIDIA", "Model": "GB200 NVL", "SerialNumber": "HGX-0000001", "SKU": "N/A", "UUID": "00000000-0000-4000-8000-0000000000b5", "PowerState": "On",
			"Links": object{"ComputerSystems": []any{ref(system)}, "ManagedBy": []any{ref(manager)}},
		},
	}
}

// addOpenBMC adds what only bmcweb has, and leaves out what it shows only
// while a medium is inserted.
func addOpenBMC(b *BMC, kind string, o object) {
	switch kind {
	case "media":
		if o["Inserted"] == false {
			delete(o, "Image")
		}
		o["TransferMethod"] = "Stream"
		uri := o["@odata.id"].(string)
		o["Oem"] = object{"OpenBMC": object{"@odata.id": uri + "#/Oem/OpenBMC", "@odata.type": "#OpenBMCVirtualMedia.v1_0_0.VirtualMedia"}}
	case "settings":
		boot := o["Boot"].(object)
		delete(boot, "BootSourceOverrideEnabled@Redfish.AllowableValues")
	case "manager":
		if b.Vendor == GB300 {
			o["Oem"] = object{"Nvidia": object{"@odata.type": "#NvidiaManager.v1_6_0.NvidiaManager", "UptimeSeconds": 86400}}
		}
		reset := o["Actions"].(object)["#Manager.Reset"].(object)
		delete(reset, "ResetType@Redfish.AllowableValues")
		reset["@Redfish.ActionInfo"] = b.shape.managerURI() + "/ResetActionInfo"
	case "chassis":
		if strings.HasSuffix(o["@odata.id"].(string), "/Chassis_0") {
			o["ChassisType"] = "Shelf"
		}
	}
}

func openbmcQuirks(v Vendor) Quirks {
	q := Quirks{
		CheckIfMatch: true, ActionIfMatch412: true, PowerLag: 5 * time.Second,
		MediaSchemes: []string{"https"}, StreamOnly: true, InsertLag: time.Second, BMCResetDropsMedia: true,
	}
	if v != OpenBMC {
		q.BootOnlyInSettings, q.TagMax = true, 32
	}
	return q
}
