package redfish

// Locations is what was found out about one BMC, so that it need not be found
// out again: URIs and the profile, no state and no secret. It belongs to one
// [Client] at a time, may be stored as JSON, and is discovered anew as soon as
// something does not fit (404, another UUID, manufacturer or model).
type Locations struct {
	Profile      string   `json:"profile,omitempty"`
	Vendor       string   `json:"vendor,omitempty"`
	Product      string   `json:"product,omitempty"`
	Firmware     string   `json:"firmware,omitempty"`      // of the manager, as of discovery
	ManagerModel string   `json:"manager_model,omitempty"` // "iLO 5", "15G Monolithic"
	System       string   `json:"system,omitempty"`
	Settings     string   `json:"settings,omitempty"`      // the System's settings resource
	SettingsBoot bool     `json:"settings_boot,omitempty"` // it has a Boot object of its own
	SettingsTag  bool     `json:"settings_tag,omitempty"`  // it stages AssetTag
	ApplyTimes   []string `json:"apply_times,omitempty"`   // when the settings take effect, if it can be chosen
	SystemTag    bool     `json:"system_tag,omitempty"`    // the System has an AssetTag: it bears the marker
	Chassis      string   `json:"chassis,omitempty"`       // the chassis of this system
	ChassisTag   bool     `json:"chassis_tag,omitempty"`   // it bears the marker: the System has no AssetTag
	ChassisName  bool     `json:"chassis_name,omitempty"`  // its serial number says more than the System does
	Slots        []string `json:"slots,omitempty"`         // CD and DVD slots that can be inserted into, best first
	Used         string   `json:"used,omitempty"`          // the slot used last
	ProxySlots   []string `json:"proxy_slots,omitempty"`   // CD slots that can only be ejected
	Media        []string `json:"media,omitempty"`         // collections of slots
	EnableMedia  string   `json:"enable_media,omitempty"`  // action that makes slots appear (AMI)
	ResetTypes   []string `json:"reset_types,omitempty"`
	Label        string   `json:"label,omitempty"`   // the boot option that bore a marker last
	Session      string   `json:"session,omitempty"` // URI of an open session, deleted by the next run if this one dies

	UUID         string `json:"uuid,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
}

// fits reports whether sys is the system that was discovered.
func (l *Locations) fits(sys *systemResource) bool {
	return l.UUID == identity(sys.UUID) && l.Manufacturer == sys.Manufacturer.trim() && l.Model == sys.Model.trim()
}

// slotInUse is the one slot that a warm read looks at.
func (l *Locations) slotInUse() string {
	if l.Used != "" {
		return l.Used
	}
	if len(l.Slots) > 0 {
		return l.Slots[0]
	}
	return ""
}
