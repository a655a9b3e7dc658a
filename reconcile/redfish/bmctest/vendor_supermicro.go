package bmctest

import (
	"strconv"
	"time"
)

// supermicroShape follows dumps of a SYS-821GE-TNHR (X13, BMC 11.01.01) and of
// an X10 (BMC 4.0); the X11 is an X13 with older names.
func supermicroShape(v Vendor) shape {
	mgr := rootURI + "/Managers/1/VirtualMedia"
	s := shape{
		version: "1.11.0", oem: "Supermicro",
		rootType: "v1_9_0", systemType: "v1_14_0", chassisType: "v1_14_0", managerType: "v1_11_0", mediaType: "v1_4_1",
		manufacturer: "Supermicro", model: "SYS-821GE-TNHR", sku: "0x1D1415D9", bios: "1.4", firmware: "11.01.01", managerModel: "ASPEED",
		system: "1", manager: "1", storage: "NVMeSSD",
		chassis:        []chassisShape{{id: "1", tag: true, ofSystem: true}},
		chassisTagNull: true, mode: "UEFI",
		targets:     []string{"None", "Pxe", "Floppy", "Cd", "Usb", "Hdd", "BiosSetup", "UsbCd", "UefiBootNext", "UefiHttp"},
		enabled:     []string{"Disabled", "Once", "Continuous"},
		resets:      []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn", "PowerCycle"},
		resetInfo:   true,
		systemMedia: mgr, managerMedia: mgr, etags: true,
		messages: map[string]string{"LicenseRequired": "SMC.1.0.OemLicenseNotPassed", "LockdownMode": "SMC.1.0.SystemLockdown"},
		drop: map[string][]string{
			"root": {"Vendor", "Product"}, "system": {"HostName"}, "chassis": {"SKU", "UUID"}, "manager": {"PowerState"},
		},
		add: addSupermicro,
	}
	for i := range 3 {
		s.slots = append(s.slots, slotShape{
			uris:  []string{mgr + "/VirtualMedia" + strconv.Itoa(i+1)},
			types: []string{"CD", "DVD", "Floppy", "USBStick"}, canInsert: true, canEject: true,
		})
	}
	switch v {
	case SupermicroX11:
		s.version, s.rootType, s.systemType, s.chassisType = "1.8.0", "v1_5_2", "v1_8_0", "v1_9_1"
		s.model, s.firmware, s.sku = "SYS-1029P-WTR", "01.74.11", "To be filled by O.E.M."
		s.targets = []string{"None", "Pxe", "Floppy", "Cd", "Usb", "Hdd", "BiosSetup", "UsbCd", "UefiBootNext"}
		s.resetInfo, s.resetInline = false, true
		s.drop["system"] = append(s.drop["system"], "BootProgress")
	case SupermicroX10:
		s.version, s.rootType, s.systemType, s.chassisType, s.managerType = "1.0.1", "v1_1_0", "v1_3_0", "v1_4_0", "v1_3_2"
		s.model, s.firmware, s.bios, s.sku = "Super Server", "4.0", "1.2", "To be filled by O.E.M."
		s.oem, s.chassisTagNull, s.mode, s.etags = "", false, "", false
		s.targets = []string{
			"None", "Pxe", "Hdd", "Diags", "CD/DVD", "BiosSetup", "FloppyRemovableMedia", "UsbKey", "UsbHdd", "UsbFloppy", "UsbCd",
			"UefiUsbKey", "UefiCd", "UefiHdd", "UefiUsbHdd", "UefiUsbCd",
		}
		s.resets = []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn"}
		s.resetInfo, s.resetInline = false, true
		s.noBootOptions = true
		s.slots, s.systemMedia, s.managerMedia = nil, "", rootURI+"/Managers/1/VM1"
		s.drop = map[string][]string{
			"root": {"Vendor", "Product"}, "system": {"HostName", "BootProgress"}, "chassis": {"PowerState", "UUID"}, "manager": {"PowerState"},
		}
	}
	return s
}

// addSupermicro adds what only Supermicro has.
func addSupermicro(b *BMC, kind string, o object) {
	switch kind {
	case "media":
		uri := o["@odata.id"].(string)
		if in, ok := o["Actions"].(object)["#VirtualMedia.InsertMedia"].(object); ok {
			in["@Redfish.ActionInfo"] = uri + "/InsertMediaActionInfo"
		}
		o["VerifyCertificate"] = nil
		o["Oem"] = object{"Supermicro": object{"@odata.type": "#SmcVirtualMediaExtensions.v1_0_0.VirtualMedia", "AcceptSelfSigned": nil}}
	case "manager":
		if b.Vendor == SupermicroX10 {
			delete(o["Actions"].(object)["#Manager.Reset"].(object), "ResetType@Redfish.AllowableValues")
		}
	case "system":
		o["Oem"] = object{"Supermicro": object{"@odata.type": "#SmcSystemExtensions.v1_0_0.System"}}
	}
}

func supermicroQuirks(v Vendor) Quirks {
	q := Quirks{
		SessionLimit: 16, SessionTimeout: 300 * time.Second, CheckIfMatch: true, PowerLag: 4 * time.Second,
		BootNeedsTriple: true, CDTarget: "UsbCd", RefuseInserted: true, EjectOnlyInserted: true, EjectHidden: true, KeepsImage: true,
		NoQueryInURL: true, InsertLag: 2 * time.Second, TagMax: 63, BMCResetDropsMedia: true,
	}
	switch v {
	case SupermicroX11:
		q.MediaSchemes = []string{"http"}
	case SupermicroX10:
		q.BootNeedsTriple, q.CDTarget = false, ""
	}
	return q
}
