package redfish

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The parts that we judge of the resources that we read. Names follow the
// schemas of DSP8010.

type rootResource struct {
	ID       text  `json:"Id"`
	Vendor   text  `json:"Vendor"`
	Product  text  `json:"Product"`
	Systems  link  `json:"Systems"`
	Managers link  `json:"Managers"`
	Chassis  link  `json:"Chassis"`
	Oem      names `json:"Oem"`
}

type collection struct {
	Members links `json:"Members"`
	Next    link  `json:"Members@odata.nextLink"`
}

// action is an entry of Actions: where to POST, and what values are allowed.
type action struct {
	Target     text  `json:"target"`
	Info       link  `json:"@Redfish.ActionInfo"`
	ResetTypes texts `json:"ResetType@Redfish.AllowableValues"`
}

// bootResource is ComputerSystem.Boot, also in a Settings resource.
type bootResource struct {
	Enabled property `json:"BootSourceOverrideEnabled"`
	Target  property `json:"BootSourceOverrideTarget"`
	Mode    property `json:"BootSourceOverrideMode"`
	Targets texts    `json:"BootSourceOverrideTarget@Redfish.AllowableValues"`
	Modes   texts    `json:"BootSourceOverrideMode@Redfish.AllowableValues"`
	Options link     `json:"BootOptions"`
}

// shown is what a Boot object says of the override.
func (b *bootResource) shown() Boot {
	return Boot{Enabled: b.Enabled.Value.trim(), Target: b.Target.Value.trim(),
		Mode: b.Mode.Value.trim(), Targets: b.Targets}
}

type systemResource struct {
	URI          string   `json:"-"`
	Self         text     `json:"@odata.id"`
	ID           text     `json:"Id"`
	SystemType   text     `json:"SystemType"`
	Manufacturer text     `json:"Manufacturer"`
	Model        text     `json:"Model"`
	SerialNumber text     `json:"SerialNumber"`
	SKU          text     `json:"SKU"`
	UUID         text     `json:"UUID"`
	HostName     text     `json:"HostName"`
	AssetTag     property `json:"AssetTag"`
	PowerState   text     `json:"PowerState"`
	// Boot is nil when the resource has none: a Settings resource may be about
	// something else altogether (Lenovo SE450, Nokia; sushy's samples).
	Boot     *bootResource `json:"Boot"`
	Settings struct {
		Object     link  `json:"SettingsObject"`
		ApplyTimes texts `json:"SupportedApplyTimes"`
	} `json:"@Redfish.Settings"`
	VirtualMedia       link `json:"VirtualMedia"`
	Storage            link `json:"Storage"`
	EthernetInterfaces link `json:"EthernetInterfaces"`
	BootProgress       struct {
		LastState text `json:"LastState"`
	} `json:"BootProgress"`
	Links struct {
		Chassis   links `json:"Chassis"`
		ManagedBy links `json:"ManagedBy"`
	} `json:"Links"`
	Actions struct {
		Reset action `json:"#ComputerSystem.Reset"`
	} `json:"Actions"`
	Oem systemOEM `json:"Oem"`
}

// check refuses an answer that is no System: the property that every resource
// has (DSP0266 9.5) is missing, as in what a BMC sends while it starts. Reading
// on would find that the machine bears no marker.
func (s *systemResource) check() error {
	if s.Self == "" {
		return fmt.Errorf("GET %s: the answer has no @odata.id, it is not a resource", s.URI)
	}
	return nil
}

// systemOEM is who extends the System, and HPE's PostState, the best hint of
// where iLO 5 stands in POST (it has no BootProgress).
type systemOEM struct {
	keys      names
	postState string
}

func (o *systemOEM) UnmarshalJSON(b []byte) error {
	*o = systemOEM{}
	_ = o.keys.UnmarshalJSON(b)
	var hpe struct {
		Hpe struct {
			PostState text `json:"PostState"`
		} `json:"Hpe"`
	}
	if decode(b, &hpe) == nil {
		o.postState = string(hpe.Hpe.PostState)
	}
	return nil
}

type chassisResource struct {
	URI          string   `json:"-"`
	AssetTag     property `json:"AssetTag"`
	SerialNumber text     `json:"SerialNumber"`
	Links        struct {
		ComputerSystems links `json:"ComputerSystems"`
	} `json:"Links"`
}

type managerResource struct {
	URI             string `json:"-"`
	Model           text   `json:"Model"`
	FirmwareVersion text   `json:"FirmwareVersion"`
	VirtualMedia    link   `json:"VirtualMedia"`
	Oem             names  `json:"Oem"`
	Links           struct {
		Servers links `json:"ManagerForServers"`
	} `json:"Links"`
	Actions struct {
		Oem managerOEM `json:"Oem"`
	} `json:"Actions"`
}

// managerOEM finds the action that switches remote media on. AMI names it
// #AMIVirtualMedia.EnableRMedia, older firmware #VirtualMedia.EnableRMedia.
type managerOEM struct{ enableMedia string }

func (m *managerOEM) UnmarshalJSON(b []byte) error {
	m.enableMedia = ""
	var all map[string]json.RawMessage
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	for _, name := range []string{"#AMIVirtualMedia.EnableRMedia", "#VirtualMedia.EnableRMedia"} {
		var a action
		if raw, ok := all[name]; ok && decode(raw, &a) == nil && a.Target != "" {
			m.enableMedia = string(a.Target)
			return nil
		}
	}
	return nil
}

type slotResource struct {
	URI          string `json:"-"`
	ID           text   `json:"Id"`
	MediaTypes   texts  `json:"MediaTypes"`
	Inserted     flag   `json:"Inserted"`
	Image        text   `json:"Image"`
	ConnectedVia text   `json:"ConnectedVia"`
	Actions      struct {
		Insert action `json:"#VirtualMedia.InsertMedia"`
		Eject  action `json:"#VirtualMedia.EjectMedia"`
	} `json:"Actions"`
}

// optical reports whether the slot can be a CD or DVD drive. A slot that does
// not say is taken for one if it can be inserted into at all.
func (s *slotResource) optical() bool {
	for _, t := range s.MediaTypes {
		if strings.EqualFold(t, "CD") || strings.EqualFold(t, "DVD") {
			return true
		}
	}
	return len(s.MediaTypes) == 0 && s.Actions.Insert.Target != ""
}

// patched reports whether the slot is driven by PATCH: it offers no action at
// all (Lenovo XCC). A slot with only EjectMedia is an OpenBMC proxy slot
// (GB300 Slot_0) and cannot be inserted into.
func (s *slotResource) patched() bool {
	return s.Actions.Insert.Target == "" && s.Actions.Eject.Target == ""
}

// usable reports whether an image can be inserted.
func (s *slotResource) usable() bool {
	return s.optical() && (s.Actions.Insert.Target != "" || s.patched())
}

// placeholders are what vendors ship where a serial number should be. They
// would make two machines look like one.
var placeholders = map[string]bool{
	"": true, "n/a": true, "na": true, "none": true, "null": true, "unknown": true, "default string": true,
	"to be filled by o.e.m.": true, "not specified": true, "not available": true, "system serial number": true,
	"chassis serial number": true, "0123456789": true, "123456789": true, "empty": true, "invalid": true,
	"00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
}

// identity is a serial number, SKU or UUID that identifies something, or "".
func identity(t text) string {
	s := t.trim()
	if placeholders[strings.ToLower(s)] || strings.Trim(s, "0-. xX") == "" {
		return ""
	}
	return s
}
