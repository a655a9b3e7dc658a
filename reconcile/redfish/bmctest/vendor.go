package bmctest

// Vendor is a make and generation of BMC.
type Vendor string

// The vendors. Those at the end are ones that no installation can be done
// with; a client must recognise and refuse them.
const (
	Generic       Vendor = ""
	IDRAC9        Vendor = "idrac9"         // Dell iDRAC9 6.x
	IDRAC9v7      Vendor = "idrac9-7"       // Dell iDRAC9 7.x, with a settings resource
	IDRAC10       Vendor = "idrac10"        // Dell iDRAC10: changes only through the settings resource
	ILO5          Vendor = "ilo5"           // HPE iLO 5
	ILO6          Vendor = "ilo6"           // HPE iLO 6
	ILO7          Vendor = "ilo7"           // HPE iLO 7
	SupermicroX11 Vendor = "supermicro-x11" // late X11 and X12
	SupermicroX13 Vendor = "supermicro-x13"
	LenovoXCC     Vendor = "lenovo-xcc"
	OpenBMC       Vendor = "openbmc"          // bmcweb, media over https only
	GB300         Vendor = "supermicro-gb300" // OpenBMC with a proxy slot that takes no URL
	GB200         Vendor = "nvidia-gb200"     // two systems, asset tag in the chassis
	DGX           Vendor = "nvidia-dgx"       // AMI MegaRAC: EnableRMedia, FutureState, two systems

	CiscoCIMC  Vendor = "cisco-cimc"  // a first drive that takes no URL
	HuaweiIBMC Vendor = "huawei-ibmc" // a system that does not name its manager

	FujitsuIRMC   Vendor = "fujitsu-irmc"
	SupermicroX10 Vendor = "supermicro-x10"
	IDRAC8        Vendor = "idrac8"
	ILO4          Vendor = "ilo4"
)

// Profiled lists vendors that are simulated from hearsay only: no dump of
// their machines was at hand. They are in neither of the other lists.
func Profiled() []Vendor { return []Vendor{CiscoCIMC, HuaweiIBMC} }

// Vendors lists the vendors whose machines are known from dumps or from their
// own documents, the refused ones last.
func Vendors() []Vendor {
	return append(Supported(), SupermicroX10, IDRAC8, ILO4)
}

// Supported lists the vendors that a machine can be installed with.
func Supported() []Vendor {
	return []Vendor{
		Generic, IDRAC9, IDRAC9v7, IDRAC10, ILO5, ILO6, ILO7, SupermicroX11, SupermicroX13,
		LenovoXCC, OpenBMC, GB300, GB200, DGX,
	}
}

// shape returns what the vendor's resources look like.
func (v Vendor) shape() shape {
	switch v {
	case IDRAC8, IDRAC9, IDRAC9v7, IDRAC10:
		return dellShape(v)
	case ILO4, ILO5, ILO6, ILO7:
		return hpeShape(v)
	case SupermicroX10, SupermicroX11, SupermicroX13:
		return supermicroShape(v)
	case LenovoXCC:
		return lenovoShape()
	case OpenBMC, GB300, GB200:
		return openbmcShape(v)
	case DGX:
		return dgxShape()
	case CiscoCIMC:
		return ciscoShape()
	case HuaweiIBMC:
		return huaweiShape()
	case FujitsuIRMC:
		return fujitsuShape()
	}
	return genericShape()
}

// Quirks returns the ways in which the vendor's BMCs depart from the standard.
func (v Vendor) Quirks() Quirks {
	switch v {
	case IDRAC8, IDRAC9, IDRAC9v7, IDRAC10:
		return dellQuirks(v)
	case ILO4, ILO5, ILO6, ILO7:
		return hpeQuirks(v)
	case SupermicroX10, SupermicroX11, SupermicroX13:
		return supermicroQuirks(v)
	case LenovoXCC:
		return lenovoQuirks()
	case OpenBMC, GB300, GB200:
		return openbmcQuirks(v)
	case DGX:
		return dgxQuirks()
	case CiscoCIMC:
		return ciscoQuirks()
	case HuaweiIBMC:
		return huaweiQuirks()
	case FujitsuIRMC:
		return fujitsuQuirks()
	}
	return Quirks{}
}

// genericShape is the standard and nothing else.
func genericShape() shape {
	uri := rootURI + "/Systems/1/VirtualMedia"
	return shape{
		vendor: "Simulated", product: "Simulated BMC", version: "1.15.0",
		rootType: "v1_13_0", systemType: "v1_20_0", chassisType: "v1_21_0", managerType: "v1_18_0", mediaType: "v1_5_1",
		manufacturer: "Simulated", model: "Pretender 1", sku: "SIM-1", bios: "1.0", firmware: "1.0.0", managerModel: "Simulated BMC",
		system: "1", manager: "1", storage: "1",
		chassis:   []chassisShape{{id: "1", tag: true, ofSystem: true}},
		systemTag: true, mode: "UEFI",
		targets: []string{"None", "Pxe", "Cd", "Usb", "Hdd", "BiosSetup"}, enabled: []string{"Disabled", "Once", "Continuous"}, enabledListed: true,
		resets: []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart"}, resetInline: true,
		slots: []slotShape{
			{uris: []string{uri + "/Cd"}, types: []string{"CD", "DVD"}, canInsert: true, canEject: true},
			{uris: []string{uri + "/Floppy"}, types: []string{"Floppy", "USBStick"}, canInsert: true, canEject: true},
		},
		systemMedia: uri,
		noContent:   true,
	}
}
