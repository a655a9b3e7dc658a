package redfish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/metalcue/metalcue/reconcile/marker"
)

// Report is what [Client.Probe] found: what this BMC is, which rules apply to
// it, and what will not work and why.
type Report struct {
	System  *System `json:"system,omitempty"`
	Vendor  string  `json:"vendor"`
	Profile string  `json:"profile"`
	Forced  bool    `json:"forced"` // the profile was chosen by Client.Profile
	Tier    Tier    `json:"tier"`
	// Rules are all that are in force, in a fixed order: their names are those
	// that a fleet's bmc.rules takes.
	Rules []RuleInForce `json:"rules"`
	// Notes are what is known of BMCs of this profile, and from where.
	Notes     []Note    `json:"notes,omitempty"`
	Abilities []Ability `json:"abilities"`
}

// Ability is one thing that an installation needs.
type Ability struct {
	Name string `json:"name"` // "identity", "support", "power", "media", "boot", "marker", "firmware"
	OK   bool   `json:"ok"`
	// How it will be done, or why it will not work and what to do about it.
	Text string `json:"text"`
}

// Usable reports whether nothing stands against an installation.
func (r *Report) Usable() bool {
	return !slices.ContainsFunc(r.Abilities, func(a Ability) bool { return !a.OK && a.Name != "firmware" })
}

// Probe looks closely at the BMC with GETs alone. It always discovers anew.
// What only a write can show (a licence, a lockdown mode, a read-only marker)
// it cannot tell; it says so where a vendor is known for it.
func (c *Client) Probe(ctx context.Context) (*Report, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	before := c.sent.Load()
	v, err := c.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("probing: %w", err)
	}
	c.keepResetTypes(v.system)
	p := c.profile()
	r := &Report{Vendor: c.Locations.Vendor, Profile: p.name, Forced: c.Profile != "", Tier: p.tier, Rules: c.inForce(), Notes: p.notes}
	r.identity(v)
	if p.tier == TierRefused {
		r.add("support", false, "%s", p.refusal)
	} else {
		c.probePower(ctx, r, v.system)
		c.probeMedia(r)
		c.probeBoot(r, v)
		if err := c.probeMarker(ctx, r, v); err != nil {
			return nil, fmt.Errorf("probing: %w", err)
		}
	}
	r.firmware(p, c.Locations)
	r.System = c.describe(v)
	r.System.Requests = int(c.sent.Load() - before)
	return r, nil
}

func (r *Report) add(name string, ok bool, format string, args ...any) {
	r.Abilities = append(r.Abilities, Ability{name, ok, fmt.Sprintf(format, args...)})
}

func (r *Report) identity(v *view) {
	var ids []string
	for _, id := range []struct {
		name string
		of   text
	}{{"serial number", v.system.SerialNumber}, {"SKU", v.system.SKU}, {"UUID", v.system.UUID}} {
		if identity(id.of) != "" {
			ids = append(ids, id.name)
		}
	}
	if v.chassis != nil && identity(v.chassis.SerialNumber) != "" {
		ids = append(ids, "chassis serial number")
	}
	if len(ids) == 0 {
		r.add("identity", false, "the BMC knows no serial number, SKU or UUID; NetBox cannot be checked against it")
		return
	}
	r.add("identity", true, "by %s", strings.Join(ids, ", "))
}

func (c *Client) probePower(ctx context.Context, r *Report, sys *systemResource) {
	if sys.Actions.Reset.Target == "" {
		r.add("power", false, "%s has no Reset action", sys.URI)
		return
	}
	var kinds []string
	for _, want := range []Power{On, Off} {
		kind, err := c.resetType(ctx, want)
		if err != nil {
			r.add("power", false, "%v", err)
			return
		}
		kinds = append(kinds, kind)
	}
	r.add("power", true, "reset types %s", strings.Join(kinds, " and "))
}

func (c *Client) probeMedia(r *Report) {
	l := c.Locations
	switch {
	case len(l.Slots) > 0:
		r.add("media", true, "%d slots, %s first; URLs by %s", len(l.Slots), l.Slots[0], strings.Join(c.rules().Schemes, " or "))
	case l.EnableMedia != "":
		r.add("media", true, "no slots yet; they appear once remote media is enabled, which an installation does by %s", l.EnableMedia)
	case len(l.ProxySlots) > 0:
		r.add("media", false, "slots %s can only be used from a browser: they have no InsertMedia", strings.Join(l.ProxySlots, ", "))
	case len(l.Media) == 0:
		r.add("media", false, "neither the system nor its manager has virtual media; a licence or a newer firmware may bring it")
	default:
		r.add("media", false, "no CD or DVD slot in %s; a licence, or attaching virtual media in the BMC's settings, may bring one",
			strings.Join(l.Media, ", "))
	}
}

func (c *Client) probeBoot(r *Report, v *view) {
	var places []bootPlace
	for _, s := range []*systemResource{v.system, v.settings} {
		if s != nil && s.Boot != nil && overridable(s.Boot) {
			places = append(places, bootPlace{s.URI, s.Boot})
		}
	}
	if len(places) == 0 {
		r.add("boot", false, "%s has no boot override", v.system.URI)
		return
	}
	target, err := c.bootTarget(places)
	if err != nil {
		r.add("boot", false, "%v", err)
		return
	}
	r.add("boot", true, "once from %s", target)
}

func (c *Client) probeMarker(ctx context.Context, r *Report, v *view) error {
	tag := c.tagOf(v)
	if c.Marker == EFILabel {
		if err := c.addLabels(ctx, v); err != nil {
			return err
		}
	}
	switch foreign := !ours(tag.Value) && !marker.IsPlaceholder(tag.Value); {
	case !tag.Present:
		r.add("marker", false, "neither the system nor its chassis has an AssetTag; machines without one cannot be kept")
	case c.rules().TagReadOnly:
		r.add("marker", false, "AssetTag cannot be written on this kind of BMC; machines without a marker cannot be kept")
	case c.Marker == EFILabel && !ours(tag.Value) && !v.labels.shown:
		r.add("marker", false, "%s; it cannot be an EFI label here", v.labels.why)
	case c.Marker == EFILabel && foreign && tag.Value != c.kept():
		r.add("marker", false, "the asset tag %q is in no inventory and would be lost; put it into asset_tag of the device in NetBox", clean(tag.Value, nil))
	case c.Marker == EFILabel:
		r.add("marker", true, "label of a boot entry, reads %q; the asset tag, %q now, is borrowed for as long as an install takes",
			clean(c.markerOf(v).Value, nil), clean(tag.Value, nil))
	case tag.Where == WhereChassis:
		r.add("marker", true, "AssetTag of %s, reads %q", c.Locations.Chassis, clean(tag.Value, nil))
	case c.Locations.SettingsTag:
		r.add("marker", true, "AssetTag of %s, may be staged in %s, reads %q", v.system.URI, c.Locations.Settings, clean(tag.Value, nil))
	default:
		r.add("marker", true, "AssetTag of %s, reads %q", v.system.URI, clean(tag.Value, nil))
	}
	return nil
}

func (r *Report) firmware(p *profile, l *Locations) {
	ok := true
	for _, f := range p.flaws {
		if f.applies(l.ManagerModel, l.Firmware) {
			r.add("firmware", false, "%s %s (%s)", l.Firmware, f.text, f.source)
			ok = false
		}
	}
	if ok {
		r.add("firmware", true, "%s", strings.TrimSpace(l.ManagerModel+" "+strings.TrimPrefix(l.Firmware, l.ManagerModel+" ")))
	}
}
