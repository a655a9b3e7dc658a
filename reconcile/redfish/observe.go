package redfish

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
)

// Power is ComputerSystem.PowerState (DSP0268): "On", "Off", "PoweringOn",
// "PoweringOff" or "Paused"; "" if the BMC does not say.
type Power string

// The power states that can be asked for, and the two on the way.
const (
	On          Power = "On"
	Off         Power = "Off"
	PoweringOn  Power = "PoweringOn"
	PoweringOff Power = "PoweringOff"
)

// System is what a look at a machine found. All text is as the BMC sent it,
// trimmed; names that vendors ship instead of a serial number read as "".
type System struct {
	Vendor       string `json:"vendor,omitempty"` // of the BMC: "Dell", "HPE", "OpenBMC", …
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Firmware     string `json:"firmware,omitempty"` // of the BMC, as of its discovery
	Profile      string `json:"profile"`
	Tier         Tier   `json:"tier"`
	// Refusal says why this machine cannot be driven at all; "" if it can.
	Refusal       string `json:"refusal,omitempty"`
	Serial        string `json:"serial,omitempty"`
	SKU           string `json:"sku,omitempty"` // on Dell the service tag
	UUID          string `json:"uuid,omitempty"`
	ChassisSerial string `json:"chassis_serial,omitempty"`
	HostName      string `json:"host_name,omitempty"`
	Power         Power  `json:"power,omitempty"`
	// Progress is the vendor's hint of where the machine stands in its boot:
	// BootProgress.LastState, or HPE's PostState. Never to be relied on.
	Progress string `json:"progress,omitempty"`
	Boot     Boot   `json:"boot"`
	// Slots are the CD and DVD drives that were looked at: all on the first
	// look, the one in use on later ones.
	Slots  []Slot `json:"slots,omitempty"`
	Marker Tag    `json:"marker"`
	// AssetTag is the inventory's, where the marker is elsewhere.
	AssetTag string `json:"asset_tag,omitempty"`
	// MediaSchemes are the URL schemes that this BMC can fetch media from, the
	// surer one first.
	MediaSchemes []string `json:"media_schemes,omitempty"`
	Requests     int      `json:"requests"` // HTTP requests that this look took
}

// Boot is the override of the boot source (ComputerSystem.Boot).
type Boot struct {
	Enabled string   `json:"enabled,omitempty"` // "Disabled", "Once", "Continuous"
	Target  string   `json:"target,omitempty"`
	Mode    string   `json:"mode,omitempty"` // "UEFI", "Legacy"
	Targets []string `json:"targets,omitempty"`
}

// Slot is a virtual drive.
type Slot struct {
	ID       string   `json:"id"`
	URI      string   `json:"uri"`
	Types    []string `json:"types,omitempty"`
	Inserted bool     `json:"inserted"`
	Image    string   `json:"image,omitempty"` // URL of what is inserted
	Usable   bool     `json:"usable"`          // an image can be inserted
}

// Tag is what bears the marker.
type Tag struct {
	Value   string `json:"value"`
	Where   string `json:"where,omitempty"` // "system", "chassis"; "settings" if staged; "efi-label"
	Present bool   `json:"present"`         // this machine has such a property at all
	// Pending: Value is held in the settings resource and reaches the property
	// at the next reset (Dell).
	Pending bool `json:"pending,omitempty"`
}

// The places of a marker.
const (
	WhereSystem   = "system"
	WhereChassis  = "chassis"
	WhereSettings = "settings"
	WhereLabel    = "efi-label" // of a boot entry
)

// Observe looks at the machine with GETs alone. The first look of a client
// without Locations discovers; later ones take at most three requests (with
// [EFILabel] four on some, and the whole list of boot options where none bears
// a marker).
func (c *Client) Observe(ctx context.Context) (*System, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	before := c.sent.Load()
	v, err := c.look(ctx)
	if err == nil {
		err = c.addLabels(ctx, v)
	}
	if err != nil {
		return nil, fmt.Errorf("observing: %w", err)
	}
	s := c.describe(v)
	s.Requests = int(c.sent.Load() - before)
	return s, nil
}

// look reads what Observe shows: everything when it must discover anyway, else
// the System, at most one of chassis and settings, and the slot in use.
func (c *Client) look(ctx context.Context) (*view, error) {
	v, err := c.find(ctx)
	if err != nil || v != nil {
		return v, err
	}
	v, err = c.lookAgain(ctx)
	if status(err) == http.StatusNotFound || (err == nil && v == nil) {
		return c.discover(ctx)
	}
	return v, err
}

// lookAgain is the warm read. It returns nil for a machine that has changed.
func (c *Client) lookAgain(ctx context.Context) (*view, error) {
	l := c.Locations
	sys, err := c.getSystem(ctx, l.System)
	if err != nil {
		return nil, err
	}
	v := &view{system: sys}
	if !l.fits(v.system) || !l.SystemTag && (v.system.AssetTag.Present || !l.ChassisTag) {
		return nil, nil // another machine, or a place for the marker that was not there before
	}
	switch {
	case l.ChassisTag || l.ChassisName:
		v.chassis = &chassisResource{URI: l.Chassis}
		if _, err := c.get(ctx, l.Chassis, v.chassis); err != nil {
			return nil, err
		}
	case l.SettingsTag:
		v.settings = &systemResource{URI: l.Settings}
		if _, err := c.get(ctx, l.Settings, v.settings); err != nil {
			return nil, err
		}
	}
	if uri := l.slotInUse(); uri != "" {
		s, err := c.readSlot(ctx, uri)
		if err != nil {
			return nil, err
		}
		v.slots = []slotResource{*s}
	}
	return v, nil
}

// describe turns what was read into what callers see.
func (c *Client) describe(v *view) *System {
	l, p := c.Locations, c.profile()
	sys := v.system
	s := &System{
		Vendor: l.Vendor, Manufacturer: sys.Manufacturer.trim(), Model: sys.Model.trim(), Firmware: l.Firmware,
		Profile: p.name, Tier: p.tier, Refusal: p.refusal,
		Serial: identity(sys.SerialNumber), SKU: identity(sys.SKU), UUID: identity(sys.UUID),
		HostName: sys.HostName.trim(), Power: Power(sys.PowerState.trim()),
		Progress: sys.BootProgress.LastState.trim(), Marker: c.markerOf(v), MediaSchemes: c.rules().Schemes,
	}
	if s.Model == "" {
		s.Model = l.Product
	}
	if s.Progress == "" {
		s.Progress = sys.Oem.postState
	}
	if s.Marker.Where == WhereLabel {
		s.AssetTag = c.tagOf(v).Value
	}
	if v.chassis != nil {
		s.ChassisSerial = identity(v.chassis.SerialNumber)
	}
	if sys.Boot != nil {
		s.Boot = sys.Boot.shown()
	}
	if len(s.Boot.Targets) == 0 && v.settings != nil && v.settings.Boot != nil {
		s.Boot.Targets = v.settings.Boot.Targets
	}
	for i := range v.slots {
		s.Slots = append(s.Slots, c.slotOf(&v.slots[i]))
	}
	return s
}

func (c *Client) slotOf(r *slotResource) Slot {
	inserted, image := c.inserted(r)
	return Slot{ID: slotID(r), URI: r.URI, Types: r.MediaTypes, Inserted: inserted, Image: image,
		Usable: slices.Contains(c.Locations.Slots, r.URI)}
}

func slotID(r *slotResource) string {
	if id := r.ID.trim(); id != "" {
		return id
	}
	return path.Base(r.URI)
}

// tagOf finds the marker in what was read (redfish.md 3.1): the System's
// AssetTag if it has the property, else the chassis'. A value that waits in the
// settings resource goes before the one it will replace. A System that had the
// property and lacks it now, or should have it, gives no tag at all: nothing may
// be concluded from that.
func (c *Client) tagOf(v *view) Tag {
	switch {
	case v.system.AssetTag.Present:
		t := Tag{Value: v.system.AssetTag.Value.trim(), Where: WhereSystem, Present: true}
		if v.settings != nil && v.settings.AssetTag.Present && !v.settings.AssetTag.Null {
			if staged := v.settings.AssetTag.Value.trim(); staged != t.Value {
				return Tag{Value: staged, Where: WhereSettings, Present: true, Pending: true}
			}
		}
		return t
	case c.Locations.ChassisTag && v.chassis != nil && v.chassis.AssetTag.Present:
		return Tag{Value: v.chassis.AssetTag.Value.trim(), Where: WhereChassis, Present: true}
	}
	return Tag{}
}
