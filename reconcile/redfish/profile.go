package redfish

// Tier says how far a kind of BMC is supported.
type Tier string

const (
	TierFull    Tier = "full"    // the standard path, proven by the conformance tests
	TierProfile Tier = "profile" // works by the rules of its profile; fewer people have tried
	TierRefused Tier = "refused" // recognised, and refused with the reason
)

// A profile is how one family of BMCs differs from the standard. All of it is
// data; the code asks for a field, never for a vendor.
type profile struct {
	name, vendor string
	tier         Tier
	// when: any of these, in order of the table, makes it this profile.
	when []match
	// refusal is what a person is told; only with TierRefused.
	refusal string
	// Rules are how it is driven.
	Rules
	notes []Note
	flaws []flaw
}

// Note is one thing known about a family, and where it is known from.
type Note struct {
	What   string `json:"what"`
	Seen   string `json:"seen"`   // models and firmware
	Source string `json:"source"` // where it is documented or was found
}

// flaw is a firmware that does not work, or not well.
type flaw struct {
	model       string // part of the manager's model; "" for any
	below, only string // firmware older than, or exactly
	text        string
	source      string
}

// match is one sign of a family; all fields that are set must hold. Signs that
// a BMC advertises come first in a profile, names of vendors last.
type match struct {
	oem          string // key of Oem in the service root, the manager or the system
	managerModel string // prefix of Manager.Model
	media        string // last part of the URI of the manager's media collection
	id           string // ServiceRoot.Id
	vendor       string // ServiceRoot.Vendor
	manufacturer string // ComputerSystem.Manufacturer, prefix
}

var (
	webSchemes = []string{"http", "https"}
	httpsFirst = []string{"https", "http"}
	httpsOnly  = []string{"https"}
	cdOnly     = []string{"Cd"}
	usbCdFirst = []string{"UsbCd", "Cd"}
)

const (
	dumps        = "dump of a real machine"
	sushyHistory = "openstack sushy and ironic"
)

// profiles is the table, most particular first. Sources are those listed in
// the project's Redfish notes; "dump" means a machine's own answers.
var profiles = []profile{
	{
		name: "dell-idrac8", vendor: "Dell", tier: TierRefused,
		when: []match{
			{oem: "Dell", managerModel: "13G"}, {oem: "Dell", managerModel: "12G"},
		},
		refusal: "iDRAC7 and iDRAC8 have no Redfish action to insert media by URL; they need iDRAC9 (14th generation) or newer",
		notes: []Note{{"no InsertMedia; boot override only through SCP jobs", "iDRAC8 before and after 2.75",
			"metal3 documentation, sushy-oem-idrac"}},
	},
	{
		name: "dell-idrac10", vendor: "Dell", tier: TierFull,
		when:  []match{{oem: "Dell", managerModel: "17G"}, {oem: "Dell", managerModel: "18G"}},
		Rules: Rules{SystemTag: true, Schemes: webSchemes, BootTargets: cdOnly, OnlySlot: "1"},
		notes: []Note{
			{"only virtual media slot 1 of the System boots", "iDRAC10", "Launchpad bug 2125571"},
			{"override values and writes only on Systems/…/Settings", "iDRAC10", "gofish pull requests 511, 519"},
			{"actions refuse If-Match with 412; none is sent", "iDRAC10", "gofish pull request 510"},
			{"On is refused with 409 for up to 60 s after Off; repeated", "iDRAC10", "ironic"},
		},
	},
	{
		name: "dell-idrac9", vendor: "Dell", tier: TierFull,
		when:  []match{{oem: "Dell"}, {vendor: "Dell"}, {manufacturer: "Dell"}},
		Rules: Rules{SystemTag: true, Schemes: webSchemes, BootTargets: cdOnly},
		notes: []Note{
			{"media under System and Manager are the same drives; the System's are used", "R750, iDRAC9 6.00.30, 7.10.30", dumps},
			{"AssetTag may be staged in Systems/…/Settings until a reset", "R750, iDRAC9 7.10.30", dumps},
			{"a full session table answers 503 RAC0218; Basic needs none", "iDRAC9", "metal3, OpenShift assisted installer"},
		},
		flaws: []flaw{
			{below: "3.30", text: "has no InsertMedia", source: "metal3 documentation"},
			{only: "4.40.00.00", text: "virtual media breaks with the eHTML5 plug-in", source: "metal3 documentation"},
			{only: "5.10.10.00", text: "InsertMedia is broken", source: "metal3 documentation"},
			{below: "6.10.30", text: "is older than the recommended 6.10.30", source: "metal3 documentation"},
		},
	},
	{
		name: "hpe-ilo4", vendor: "HPE", tier: TierRefused,
		when:    []match{{oem: "Hp"}, {managerModel: "iLO 4"}},
		refusal: "iLO 4 predates the standard virtual media actions; it needs iLO 5 (Gen10) or newer",
		notes:   []Note{{"OEM media actions only, refuses Inserted", "iLO 4", "sushy"}},
	},
	{
		name: "hpe-ilo", vendor: "HPE", tier: TierFull,
		when:  []match{{oem: "Hpe"}, {managerModel: "iLO"}, {vendor: "HPE"}, {manufacturer: "HPE"}},
		Rules: Rules{SystemTag: true, Schemes: webSchemes, BootTargets: cdOnly},
		notes: []Note{
			{"media only under the Manager; slot 2 is the CD drive", "DL385 Gen10 Plus v2 iLO 5 2.72 to DL380a Gen12 iLO 7 1.13", dumps},
			{"writes of Boot during POST are refused (UnableToModifyDuringSystemPOST); repeated", "iLO 5", "ansible issue 3509, metal3-docs 581"},
			{"BootSourceOverrideMode may be refused; left out then", "iLO 5", "ansible issue 3690"},
			{"an empty AssetTag may read as 32 spaces", "iLO 5", "Redfish notes 3.1"},
			{"weak ETags; sent as strong ones after a 412", "iLO 5, 6, 7", dumps},
		},
		flaws: []flaw{{model: "iLO 6", below: "1.57", text: "is older than the first firmware whose virtual media works", source: "metal3 documentation"}},
	},
	{
		name: "lenovo-xcc", vendor: "Lenovo", tier: TierFull,
		when:  []match{{oem: "Lenovo"}, {managerModel: "Lenovo XClarity"}},
		Rules: Rules{SystemTag: true, Schemes: webSchemes, BootTargets: cdOnly, SkipSlots: []string{"RDOC"}, KeepBoot: true, PlainBootOptions: true},
		notes: []Note{
			{"no media actions: EXT and Remote slots are PATCHed", "SR670 V2, XCC 2.83", dumps + ", pubs.lenovo.com, bmclib"},
			{"RDOC slots hold uploads of at most 50 MB; skipped", "XCC", "pubs.lenovo.com"},
			{"PATCH of the System needs the current If-Match", "XCC", "operations-center issue 1040"},
			{"Settings (Systems/1/Pending) has no override", "SR670 V2, XCC 2.83", dumps},
			{"the boot configuration is not touched after an install (\"Boot Option Restoration\")", "XCC", "Launchpad bug 2053064"},
			{"BootOptions name kinds of devices, not the labels of entries: no efi-label marker", "SR670 V2, XCC 2.83", dumps},
		},
	},
	{
		name: "supermicro-x10", vendor: "Supermicro", tier: TierRefused,
		when:    []match{{media: "VM1"}},
		refusal: "Supermicro X10 and early X11 boards mount ISO images only from SMB shares through an OEM resource (VM1/CfgCD); they need X11 firmware with virtual media, or newer",
		notes:   []Note{{"VM1/CfgCD instead of VirtualMedia", "X10, Redfish 1.0.1", dumps + ", badfish"}},
	},
	{
		name: "fujitsu-irmc", vendor: "Fujitsu", tier: TierRefused,
		when:    []match{{oem: "ts_fujitsu"}, {oem: "fsas"}, {managerModel: "iRMC"}, {vendor: "Fujitsu"}, {manufacturer: "Fujitsu"}, {manufacturer: "FUJITSU"}},
		refusal: "Fujitsu iRMC boots once only through an OEM resource (Oem/…/BootConfig) that is not implemented here",
		notes:   []Note{{"boot override by OEM BootConfig; media over CIFS, NFS or HTTPS", "iRMC S5, S6", "Fujitsu terraform provider"}},
	},
	{
		name: "nvidia-dgx", vendor: "NVIDIA", tier: TierProfile,
		when:  []match{{oem: "Ami", manufacturer: "NVIDIA"}},
		Rules: Rules{SystemTag: true, Schemes: httpsOnly, BootTargets: cdOnly, Insert: InsertProtocol, ForceMode: true, SettingsFirst: true},
		notes: []Note{
			{"two Systems; DGX has the Reset action", "DGX H100, BMC 23.11.20", dumps},
			{"no slots until EnableRMedia, about 10 s", "DGX H100, BMC 23.11.20", dumps + ", libredfish"},
			{"UserName and Password \"none\" may be required to insert", "DGX", "libredfish"},
			{"Boot only through the future state Systems/DGX/SD", "DGX H100", dumps + ", libredfish"},
			{"media over https; MegaRAC often lacks http", "DGX, AMI boards", "sushy"},
		},
	},
	{
		name: "ami", vendor: "AMI", tier: TierProfile,
		when:  []match{{oem: "Ami"}, {vendor: "AMI"}},
		Rules: Rules{Schemes: httpsFirst, BootTargets: cdOnly, Insert: InsertProtocol, ForceMode: true, SettingsFirst: true},
		notes: []Note{
			{"no slots until EnableRMedia; older firmware restarts a service for 180 s", "Gigabyte, ASRock Rack, Quanta; Lenovo TSM", "sushy"},
			{"TransferProtocolType is required to insert; many boards fetch https only", "MegaRAC", "sushy"},
			{"Boot only through the future state …/SD, with If-Match (OperationSupportedInFutureStateURI)", "MegaRAC", "Tacklebox issue 144"},
		},
	},
	{
		name: "nvidia-openbmc", vendor: "NVIDIA", tier: TierProfile,
		when: []match{{oem: "Nvidia", managerModel: "OpenBmc"}, {vendor: "NVIDIA", managerModel: "OpenBmc"}},
		// bmcweb, see below.
		Rules: Rules{Schemes: httpsOnly, BootTargets: cdOnly, SettingsFirst: true},
		notes: []Note{
			{"two Systems; System_0 has the Reset action", "GB200 NVL 24.12, GB300 NVL 70.01", dumps},
			{"Boot is written to System_0/Settings", "GB200, GB300", dumps + ", libredfish"},
			{"proxy slots have no InsertMedia; skipped", "GB300 Slot_0", dumps},
			{"AssetTag on Chassis_0, not on the chassis that the System links to", "GB200 NVL 24.12", dumps},
			{"media only from https", "bmcweb", "bmcweb 7debb89"},
		},
	},
	{
		name: "openbmc", vendor: "OpenBMC", tier: TierFull,
		when:  []match{{oem: "OpenBmc"}, {managerModel: "OpenBmc"}, {vendor: "OpenBMC"}},
		Rules: Rules{Schemes: httpsOnly, BootTargets: cdOnly},
		notes: []Note{
			{"media only from https or smb, TransferMethod Stream", "bmcweb", "bmcweb 7debb89"},
			{"If-Match on an action is refused with 412; none is sent", "bmcweb", "bmcweb 7debb89"},
		},
	},
	{
		name: "supermicro", vendor: "Supermicro", tier: TierFull,
		when:  []match{{oem: "Supermicro"}, {vendor: "Supermicro"}, {manufacturer: "Supermicro"}},
		Rules: Rules{Schemes: webSchemes, BootTargets: usbCdFirst, ForceMode: true, ImageStays: true},
		notes: []Note{
			{"AssetTag only on the Chassis", "SYS-821GE X13, 11.01.01", dumps},
			{"EjectMedia exists only while something is inserted", "X11 late to X13", dumps},
			{"Image is not cleared by an eject; ConnectedVia tells", "X11, X12", "ansible issues 6969, 12537"},
			{"Inserted and WriteProtected are refused by InsertMedia; not sent", "X11, X12", sushyHistory},
			{"UsbCd is the virtual CD where listed; Enabled and Mode are always sent", "X11 to X13", sushyHistory},
			{"media need the licence SFT-OOB-LIC or SFT-DCMS-SINGLE", "X11 to X13", "Supermicro, check_redfish issue 74"},
		},
	},
	{
		name: "cisco-cimc", vendor: "Cisco", tier: TierProfile,
		when:  []match{{oem: "Cisco"}, {vendor: "Cisco"}, {manufacturer: "Cisco"}},
		Rules: Rules{Schemes: webSchemes, BootTargets: cdOnly},
		notes: []Note{{"vKVM slots answer 400 or 405 to InsertMedia; the next slot is tried", "CIMC 4.x", "ironic"}},
		flaws: []flaw{{below: "4.3", text: "is older than the first firmware known to work", source: "OpenShift documentation"}},
	},
	{
		name: "huawei-ibmc", vendor: "Huawei", tier: TierProfile,
		when:  []match{{oem: "Huawei"}, {oem: "xFusion"}, {vendor: "Huawei"}, {manufacturer: "Huawei"}, {manufacturer: "xFusion"}},
		Rules: Rules{Schemes: webSchemes, BootTargets: cdOnly},
		notes: []Note{
			{"the System may not link to its Manager; found from the Manager's side", "iBMC", "sushy"},
			{"PATCH without ETag is refused with 412 or 428", "iBMC", "gofish issue 174"},
		},
	},
	{
		name: "sushy-tools", vendor: "sushy-tools", tier: TierProfile,
		when:  []match{{id: "RedvirtService"}, {vendor: "OpenStack Foundation"}},
		Rules: Rules{Schemes: webSchemes, BootTargets: cdOnly, Continuous: true, TagReadOnly: true},
		notes: []Note{
			{"the override always reads Continuous", "sushy-tools 2.2.0, fake and libvirt drivers", "measured"},
			{"None is no target (500); the override is set to Hdd after an install", "sushy-tools 2.2.0, libvirt driver", "measured"},
			{"AssetTag only on the Chassis, and PATCH refuses it: no marker can be kept", "sushy-tools 2.2.0, fake and libvirt drivers", "measured"},
		},
	},
	{
		name: "lenovo", vendor: "Lenovo", tier: TierProfile,
		when:  []match{{vendor: "Lenovo"}, {manufacturer: "Lenovo"}},
		Rules: Rules{Schemes: webSchemes, BootTargets: cdOnly, SkipSlots: []string{"RDOC"}, KeepBoot: true, PlainBootOptions: true},
		notes: []Note{{"a Lenovo by name alone: slots and boot as on XCC", "XCC without OEM data", "DSP0266, pubs.lenovo.com"}},
	},
	{
		name: generic, vendor: "", tier: TierProfile,
		when:  []match{{}},
		Rules: Rules{Schemes: webSchemes, BootTargets: cdOnly},
		notes: []Note{{"the standard, as far as it is advertised", "any", "DSP0266, DSP0268"}},
	},
}

// generic is the profile of a BMC that no other fits.
const generic = "generic"
