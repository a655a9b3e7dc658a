package bmctest

import (
	"strings"
	"time"
)

// hpeShape follows dumps of four ProLiants (iLO 5 2.72 and 3.11, iLO 6 1.66, iLO 7 1.13.01).
func hpeShape(v Vendor) shape {
	mgr := rootURI + "/Managers/1/VirtualMedia"
	s := shape{
		vendor: "HPE", product: "ProLiant DL360 Gen10 Plus", version: "1.20.0", oem: "Hpe",
		rootType: "v1_5_1", systemType: "v1_17_0", chassisType: "v1_23_0", managerType: "v1_5_1", mediaType: "v1_3_0",
		manufacturer: "HPE", model: "ProLiant DL360 Gen10 Plus", sku: "P28948-B21", bios: "U46 v2.34 (03/11/2025)", firmware: "iLO 5 v3.11", managerModel: "iLO 5",
		system: "1", manager: "1", storage: "DE00A000",
		chassis:   []chassisShape{{id: "1", tag: true, ofSystem: true}},
		systemTag: true, mode: "UEFI",
		targets: []string{"None", "Cd", "Hdd", "Usb", "SDCard", "Utilities", "Diags", "BiosSetup", "Pxe", "UefiShell", "UefiHttp", "UefiTarget"},
		enabled: []string{"Disabled", "Once", "Continuous"},
		resets:  []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi", "PushPowerButton", "GracefulRestart"}, resetInline: true,
		slots: []slotShape{
			{uris: []string{mgr + "/1"}, types: []string{"Floppy", "USBStick"}, canInsert: true, canEject: true},
			{uris: []string{mgr + "/2"}, types: []string{"CD", "DVD"}, canInsert: true, canEject: true},
		},
		managerMedia: mgr,
		noImage:      "", etags: true,
		messages: map[string]string{
			"UnableToModifyDuringSystemPOST": "iLO.2.24.UnableToModifyDuringSystemPOST", "InvalidOperationForSystemState": "iLO.2.24.InvalidOperationForSystemState",
			"PropertyNotWritable": "iLO.2.24.PropertyNotWritableOrUnknown", "LicenseRequired": "iLO.2.24.LicenseKeyRequired", "MediaAlreadyInserted": "iLO.2.24.MaxVirtualMediaConnectionEstablished",
			"NoMedia": "iLO.2.24.NoVirtualMediaConnectionAvailable", "SessionLimitExceeded": "iLO.2.24.SessionLimitExceeded",
		},
		drop: map[string][]string{
			"system": {"BootProgress"},
			"media":  {"TransferMethod", "UserName"}, "chassis": {"UUID"}, "manager": {"PowerState"},
		},
		add: addHPE,
	}
	switch v {
	case ILO4:
		s.version, s.firmware, s.managerModel, s.product, s.model = "1.0.0", "iLO 4 v2.82", "iLO 4", "ProLiant DL360 Gen9", "ProLiant DL360 Gen9"
		s.rootType, s.systemType, s.managerType, s.mediaType, s.oem = "v1_0_0", "v1_2_0", "v1_0_0", "v1_0_0", "Hp"
		s.vendor, s.manufacturer = "", "HP"
		s.drop["root"] = []string{"Vendor", "Product"}
		for i := range s.slots {
			s.slots[i].canInsert, s.slots[i].canEject = false, false
		}
	case ILO6:
		s.firmware, s.managerModel, s.product, s.model = "iLO 6 v1.66", "iLO 6", "ProLiant DL380a Gen11", "ProLiant DL380a Gen11"
		s.rootType, s.systemType, s.chassisType, s.managerType = "v1_13_0", "v1_18_0", "v1_25_1", "v1_19_1"
		s.bios, s.sku = "U58 v2.44 (01/17/2025)", "P54903-B21"
		delete(s.drop, "system")
	case ILO7:
		s.firmware, s.managerModel = "1.13.01 May 13 2025", "iLO 7"
		s.product, s.model = "HPE ProLiant Compute DL380a Gen12", "HPE ProLiant Compute DL380a Gen12"
		s.rootType, s.systemType, s.chassisType, s.managerType = "v1_13_0", "v1_18_0", "v1_23_0", "v1_19_1"
		s.bios, s.sku = "U72 v1.34 (04/18/2025)", "P76706-B21"
		delete(s.drop, "system")
	}
	return s
}

// addHPE adds what only HPE has.
func addHPE(b *BMC, kind string, o object) {
	switch kind {
	case "system":
		state := "FinishedPost"
		switch b.machine.Stage() {
		case StageOff:
			state = "PowerOff"
		case StagePOST:
			state = "InPost"
		}
		o["Oem"] = object{b.shape.oem: object{"@odata.type": "#HpeComputerSystemExt.v2_12_0.HpeComputerSystemExt", "PostState": state}}
	case "media":
		if o["Inserted"] == false {
			delete(o, "ImageName")
			delete(o, "TransferProtocolType")
		}
	case "root":
		o["Oem"] = object{b.shape.oem: object{"Manager": []any{object{"ManagerType": b.shape.managerModel, "ManagerFirmwareVersion": strings.TrimPrefix(b.shape.firmware, b.shape.managerModel+" v")}}}}
	}
}

func hpeQuirks(v Vendor) Quirks {
	q := Quirks{
		SessionLimit: 12, SessionTimeout: 30 * time.Second, WeakETags: true, CheckIfMatch: true,
		PowerLag: 3 * time.Second, SameStateError: true, RefuseInPOST: true, BootModeReadOnly: true,
		EjectNeedsBody: true, EjectOnlyInserted: true, TagMax: 32, TagPads: true, BMCResetDropsMedia: true,
	}
	if v == ILO4 {
		q.RefuseInserted = true
	}
	return q
}
