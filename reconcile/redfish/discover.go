package redfish

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// What a hostile or odd BMC may make us read.
const (
	maxMembers = 64 // of one collection
	maxPages   = 8  // of one collection
	maxSystems = 32 // that are looked at to find the one
)

const serviceRoot = "/redfish/v1/" // DSP0266 6.5.2

// view is what one look at the machine read. Parts that were not read are nil.
type view struct {
	system   *systemResource
	settings *systemResource
	chassis  *chassisResource
	slots    []slotResource
	labels   labels
}

// find makes sure that Locations is filled in and returns what was read on the
// way, or nil if nothing had to be.
func (c *Client) find(ctx context.Context) (*view, error) {
	if c.Locations.System != "" && profileByName(c.Locations.Profile) != nil &&
		(c.Profile == "" || c.Profile == c.Locations.Profile) {
		return nil, nil
	}
	return c.discover(ctx)
}

// forget drops what was found out, but not an open session.
func (c *Client) forget() { *c.Locations = Locations{Session: c.Locations.Session} }

// profile is the one in force; valid after find.
func (c *Client) profile() *profile {
	if p := profileByName(c.Locations.Profile); p != nil {
		return p
	}
	return profileByName(generic)
}

// discover finds everything out anew, or leaves Locations empty: half of it
// would be taken for all of it by the next call.
func (c *Client) discover(ctx context.Context) (*view, error) {
	used := c.Locations.Used
	c.forget()
	v, err := c.walk(ctx)
	if err != nil {
		c.forget()
		return nil, err
	}
	if slices.Contains(c.Locations.Slots, used) {
		c.Locations.Used = used
	}
	return v, nil
}

// walk goes from the service root to everything that is needed later: about 7
// requests on most BMCs, 20 on Lenovo with its many slots.
func (c *Client) walk(ctx context.Context) (*view, error) {
	var root rootResource
	if _, err := c.get(ctx, serviceRoot, &root); err != nil {
		if status(err) == http.StatusNotFound {
			return nil, fmt.Errorf("finding the Redfish service: %w: %w", err, ErrUnsupported)
		}
		return nil, fmt.Errorf("finding the Redfish service: %w", err)
	}
	if root.Systems == "" {
		return nil, fmt.Errorf("finding the Redfish service: the service root has no Systems: %w", ErrUnsupported)
	}
	sys, err := c.findSystem(ctx, string(root.Systems))
	if err != nil {
		return nil, fmt.Errorf("finding the system: %w", err)
	}
	managers, err := c.findManagers(ctx, &root, sys)
	if err != nil {
		return nil, fmt.Errorf("finding the manager: %w", err)
	}
	c.recognise(&root, sys, managers)
	v := &view{system: sys}
	if err := c.findSettings(ctx, v); err != nil {
		return nil, fmt.Errorf("finding the settings: %w", err)
	}
	if err := c.findChassis(ctx, string(root.Chassis), v); err != nil {
		return nil, fmt.Errorf("finding the chassis: %w", err)
	}
	if c.profile().tier != TierRefused {
		if v.slots, err = c.findSlots(ctx); err != nil {
			return nil, fmt.Errorf("finding virtual media: %w", err)
		}
	}
	return v, nil
}

// recognise notes what kind of BMC it is and where its media are.
func (c *Client) recognise(root *rootResource, sys *systemResource, managers []managerResource) {
	l := c.Locations
	l.Vendor, l.Product = root.Vendor.trim(), root.Product.trim()
	l.System, l.UUID = sys.URI, identity(sys.UUID)
	l.Manufacturer, l.Model = sys.Manufacturer.trim(), sys.Model.trim()
	s := signs{root: root, system: sys}
	if len(managers) > 0 {
		s.manager = &managers[0]
		l.Firmware, l.ManagerModel = s.manager.FirmwareVersion.trim(), s.manager.Model.trim()
	}
	p := profileFor(s)
	if c.Profile != "" {
		p = profileByName(c.Profile)
	}
	l.Profile = p.name
	if p.vendor != "" {
		l.Vendor = p.vendor
	}
	for i := range managers {
		if l.EnableMedia == "" {
			l.EnableMedia = managers[i].Actions.Oem.enableMedia
		}
	}
	l.Media = mediaCollections(sys, managers)
}

// members lists a collection's members in a fixed order.
func (c *Client) members(ctx context.Context, uri string) ([]string, error) {
	var list []string
	for page := 0; uri != "" && page < maxPages && len(list) < maxMembers; page++ {
		var col collection
		if _, err := c.get(ctx, uri, &col); err != nil {
			return nil, err
		}
		for _, m := range col.Members {
			if !slices.Contains(list, string(m)) {
				list = append(list, string(m))
			}
		}
		uri = string(col.Next)
	}
	slices.SortFunc(list, naturally)
	return list[:min(len(list), maxMembers)], nil
}

// findSystem picks the system to drive: the one that is named, or the only one
// that can be reset and is no accelerator baseboard or DPU (GB200, DGX: HGX_*).
func (c *Client) findSystem(ctx context.Context, uri string) (*systemResource, error) {
	list, err := c.members(ctx, uri)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		// Not ErrUnsupported: AMI and OpenBMC list none until their inventory is done.
		return nil, fmt.Errorf("%s has no members; the BMC may still be starting", uri)
	}
	var found []*systemResource
	var seen []string
	for _, m := range list[:min(len(list), maxSystems)] {
		if c.System != "" && c.System != m && !strings.EqualFold(path.Base(m), c.System) && len(list) > 1 {
			seen = append(seen, path.Base(m))
			continue
		}
		sys, err := c.getSystem(ctx, m)
		if err != nil {
			return nil, err
		}
		seen = append(seen, sys.ID.trim())
		named := c.System != "" && (c.System == m || strings.EqualFold(path.Base(m), c.System) || c.System == sys.ID.trim())
		if named || (c.System == "" && (len(list) == 1 || host(sys))) {
			found = append(found, sys)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case c.System != "":
		return nil, fmt.Errorf("no system %q; there are %s: %w", c.System, strings.Join(seen, ", "), ErrAmbiguous)
	default:
		return nil, fmt.Errorf("%d systems could be meant; set bmc.system to one of %s: %w",
			len(found), strings.Join(seen, ", "), ErrAmbiguous)
	}
}

// host reports whether a system is a machine that boots an operating system.
func host(s *systemResource) bool {
	id := strings.ToUpper(s.ID.trim())
	return s.Actions.Reset.Target != "" && !strings.HasPrefix(id, "HGX_") &&
		!strings.Contains(id, "DPU") && !strings.Contains(id, "BLUEFIELD") && s.SystemType.trim() != "DPU"
}

// findManagers follows the System's own links; where there are none (Huawei),
// it asks the managers which system is theirs.
func (c *Client) findManagers(ctx context.Context, root *rootResource, sys *systemResource) ([]managerResource, error) {
	list := stringsOf(sys.Links.ManagedBy)
	linked := len(list) > 0
	if !linked {
		if root.Managers == "" {
			return nil, nil
		}
		var err error
		if list, err = c.members(ctx, string(root.Managers)); err != nil {
			return nil, err
		}
	}
	var found []managerResource
	for _, uri := range list[:min(len(list), 8)] {
		m := managerResource{URI: uri}
		if _, err := c.get(ctx, uri, &m); err != nil {
			if status(err) == http.StatusNotFound {
				continue // a link into nothing is not our business
			}
			return nil, err
		}
		if linked || len(list) == 1 || slices.Contains(stringsOf(m.Links.Servers), sys.URI) {
			found = append(found, m)
		}
	}
	return found, nil
}

// findSettings reads the System's settings resource, if it has one.
func (c *Client) findSettings(ctx context.Context, v *view) error {
	uri := string(v.system.Settings.Object)
	if uri == "" {
		return nil
	}
	s := &systemResource{URI: uri}
	if _, err := c.get(ctx, uri, s); err != nil {
		if status(err) == http.StatusNotFound {
			return nil
		}
		return err
	}
	v.settings = s
	c.Locations.Settings = uri
	c.Locations.SettingsBoot = s.Boot != nil && overridable(s.Boot)
	c.Locations.SettingsTag = s.AssetTag.Present
	c.Locations.ApplyTimes = v.system.Settings.ApplyTimes
	return nil
}

// overridable reports whether a Boot object has to do with the override, and
// not only with the boot order (Lenovo's Pending).
func overridable(b *bootResource) bool {
	return b.Enabled.Present || b.Target.Present || b.Mode.Present || len(b.Targets) > 0
}

// findChassis applies the rule that gives exactly one chassis on every dump: it
// has an AssetTag, and either the System links to it or it names the System.
// Links.Chassis alone is wrong on GB200 (BMC_0 has no tag, Chassis_0 has).
// Where the System has its own AssetTag, its first chassis only lends its serial.
func (c *Client) findChassis(ctx context.Context, all string, v *view) error {
	list := stringsOf(v.system.Links.Chassis)
	slices.SortFunc(list, naturally)
	var first, tagged *chassisResource
	look := func(uri string, linked bool) error {
		ch := &chassisResource{URI: uri}
		if _, err := c.get(ctx, uri, ch); err != nil {
			if status(err) == http.StatusNotFound {
				return nil
			}
			return err
		}
		if !linked && !slices.Contains(stringsOf(ch.Links.ComputerSystems), v.system.URI) {
			return nil
		}
		if first == nil {
			first = ch
		}
		if tagged == nil && ch.AssetTag.Present {
			tagged = ch
		}
		return nil
	}
	for _, uri := range list[:min(len(list), 8)] {
		if err := look(uri, true); err != nil {
			return err
		}
	}
	own := v.system.AssetTag.Present || c.rules().SystemTag
	if tagged == nil && !own && all != "" {
		rest, err := c.members(ctx, all)
		if err != nil {
			return err
		}
		for _, uri := range rest {
			if tagged != nil || slices.Contains(list, uri) {
				continue
			}
			if err := look(uri, false); err != nil {
				return err
			}
		}
	}
	l := c.Locations
	l.SystemTag = v.system.AssetTag.Present
	l.ChassisTag = !own && tagged != nil
	if v.chassis = first; l.ChassisTag {
		v.chassis = tagged
	}
	if v.chassis != nil {
		l.Chassis = v.chassis.URI
		serial := identity(v.chassis.SerialNumber)
		l.ChassisName = serial != "" && serial != identity(v.system.SerialNumber) && serial != identity(v.system.SKU)
	}
	return nil
}

func stringsOf(l links) []string {
	list := make([]string, 0, len(l))
	for _, e := range l {
		list = append(list, string(e))
	}
	return list
}

// refused is the error of every action on a BMC that is recognised and refused.
func (c *Client) refused() error {
	if p := c.profile(); p.tier == TierRefused {
		return fmt.Errorf("%s: %w", p.refusal, ErrUnsupported)
	}
	return nil
}

// ready finds the system and refuses what cannot be driven. Every action
// starts with it.
func (c *Client) ready(ctx context.Context) (end func(), err error) {
	end, err = c.begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = c.find(ctx); err == nil {
		err = c.refused()
	}
	if err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// readSystem reads the System anew. A System that is gone or has become another
// one is discovered again, once.
func (c *Client) readSystem(ctx context.Context) (*systemResource, error) {
	sys, err := c.getSystem(ctx, c.Locations.System)
	if status(err) == http.StatusNotFound || (err == nil && !c.Locations.fits(sys)) {
		v, err := c.discover(ctx)
		if err != nil {
			return nil, err
		}
		return v.system, nil
	}
	return sys, err
}

// getSystem reads one System.
func (c *Client) getSystem(ctx context.Context, uri string) (*systemResource, error) {
	sys := &systemResource{URI: uri}
	if _, err := c.get(ctx, uri, sys); err != nil {
		return nil, err
	}
	return sys, sys.check()
}
