package bmctest

import (
	"strings"
	"time"
)

// dellShape follows dumps of two PowerEdge R750 (iDRAC9 6.00.30 and 7.10.30).
// No dump of an iDRAC10 exists; its shape follows gofish's issues 511 and 519.
func dellShape(v Vendor) shape {
	const system, manager = "System.Embedded.1", "iDRAC.Embedded.1"
	sys := rootURI + "/Systems/" + system + "/VirtualMedia"
	mgr := rootURI + "/Managers/" + manager + "/VirtualMedia"
	any3 := []string{"CD", "DVD", "USBStick"}
	s := shape{
		vendor: "Dell", product: "Integrated Dell Remote Access Controller", version: "1.13.1", oem: "Dell",
		rootType: "v1_10_0", systemType: "v1_16_0", chassisType: "v1_16_0", managerType: "v1_12_0", mediaType: "v1_4_0",
		manufacturer: "Dell Inc.", model: "PowerEdge R750", sku: "SVCTAG1", bios: "1.8.2", firmware: "6.00.30.00", managerModel: "15G Monolithic",
		system: system, manager: manager, storage: "CPU.1",
		chassis:   []chassisShape{{id: system, tag: true, ofSystem: true}},
		systemTag: true, chassisTagNull: true, mode: "UEFI",
		targets: []string{"None", "Pxe", "Floppy", "Cd", "Hdd", "BiosSetup", "Utilities", "UefiTarget", "SDCard", "UefiHttp"},
		enabled: []string{"Disabled", "Once", "Continuous"},
		resets:  []string{"On", "ForceOff", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PushPowerButton", "Nmi", "PowerCycle"}, resetInline: true,
		slots: []slotShape{
			{
				uris: []string{sys + "/1", mgr + "/CD"}, types: any3, typesAt: map[string][]string{mgr + "/CD": {"CD", "DVD"}},
				canInsert: true, canEject: true,
			},
			{
				uris: []string{sys + "/2", mgr + "/RemovableDisk"}, types: any3, typesAt: map[string][]string{mgr + "/RemovableDisk": {"USBStick"}},
				canInsert: true, canEject: true,
			},
		},
		systemMedia: sys, managerMedia: mgr,
		messages: map[string]string{
			"SessionLimitExceeded": "IDRAC.2.8.RAC0218", "ImageUnreachable": "IDRAC.2.8.RAC0904", "EjectInProgress": "IDRAC.2.8.VRM0021",
			"MediaAlreadyInserted": "IDRAC.2.8.VRM0012", "InvalidOperationForSystemState": "IDRAC.2.8.SYS518", "HostPowerTransition": "IDRAC.2.8.SYS518",
			"LockdownMode": "IDRAC.2.8.LC076", "LicenseRequired": "IDRAC.2.8.SYS004",
		},
		drop: map[string][]string{"root": {"UUID"}, "system": {"BootProgress"}},
	}
	switch v {
	case IDRAC8:
		s.version, s.firmware, s.managerModel, s.model = "1.4.0", "2.70.70.70", "13G Monolithic", "PowerEdge R630"
		s.systemMedia = ""
		s.slots = []slotShape{
			{uris: []string{mgr + "/CD"}, types: []string{"CD", "DVD"}},
			{uris: []string{mgr + "/RemovableDisk"}, types: []string{"USBStick"}},
		}
	case IDRAC9v7:
		s.version, s.firmware, s.bios = "1.18.0", "7.10.30.00", "1.13.2"
		s.rootType, s.systemType, s.chassisType, s.managerType, s.mediaType = "v1_16_0", "v1_20_1", "v1_23_0", "v1_18_0", "v1_6_1"
		s.drop = map[string][]string{"root": {"UUID"}}
		s.settings, s.settingsID, s.settingsName, s.settingsTag = "Settings", system, "System", true
	case IDRAC10:
		s.version, s.firmware, s.bios, s.model, s.managerModel = "1.20.1", "1.20.70.50", "1.3.2", "PowerEdge R770", "17G Monolithic"
		s.rootType, s.systemType, s.chassisType, s.managerType, s.mediaType = "v1_17_0", "v1_22_1", "v1_25_1", "v1_19_1", "v1_6_3"
		s.drop = map[string][]string{"root": {"UUID"}}
		s.settings, s.settingsID, s.settingsName, s.settingsTag = "Settings", system, "System", true
		s.settingsBoot, s.listsInSettings = true, true
		s.slots = []slotShape{{uris: []string{sys + "/1"}, types: any3, canInsert: true, canEject: true}}
		s.managerMedia = ""
	}
	s.add = addDell
	return s
}

// addDell adds what only Dell has.
func addDell(b *BMC, kind string, o object) {
	if kind == "root" {
		o["Oem"] = object{"Dell": object{"@odata.type": "#DellServiceRoot.v1_0_0.DellServiceRoot", "ServiceTag": b.SKU}}
	}
	if kind == "settings" {
		if boot := o["Boot"].(object); boot["BootSourceOverrideMode"] == nil {
			boot["BootSourceOverrideMode"] = nil
		}
		o["@Redfish.SettingsApplyTime"] = object{"@odata.type": "#Settings.v1_3_5.PreferredApplyTime", "ApplyTime": "OnReset"}
	}
	if kind == "media" && strings.Contains(o["@odata.id"].(string), "/Managers/") {
		o["WriteProtected"] = nil
	}
}

func dellQuirks(v Vendor) Quirks {
	q := Quirks{
		SessionLimit: 8, CheckIfMatch: true, PowerLag: 2 * time.Second, SameStateError: true,
		ProbesImage: true, EjectLag: time.Second, BMCResetDropsMedia: true,
	}
	if v == IDRAC10 {
		q.ActionIfMatch412, q.OnRefused = true, 60*time.Second
		q.BootOnlyInSettings, q.BootShownAfterReset = true, true
		q.TagInSettings, q.TagStaged = true, true
	}
	return q
}
