package reconcile

import (
	"maps"

	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
)

// facts gathers what an answer template sees of one host: CUE's words,
// NetBox's facts, and, only if it asks, the BMC's.
func facts(f *schema.Fleet, o *Observation, hw func() (*redfish.Hardware, error)) answer.Data {
	h, image := o.Host, f.Images[o.Host.OS]
	vars := maps.Clone(f.Roles[h.Role].Vars)
	if vars == nil {
		vars = map[string]any{}
	}
	maps.Copy(vars, h.Vars)
	dev := o.Device
	value, _ := dev.Context.Value() // what is not JSON, or no object, is a finding that blocks the host
	context, _ := value.(map[string]any)
	if context == nil {
		context = map[string]any{}
	}
	return answer.Data{
		Host:  answer.Host{Name: h.Name, Site: h.Site, Generation: h.Generation, Labels: h.Labels},
		Role:  answer.Role{Name: h.Role},
		Image: answer.Image{Name: image.Name, Family: image.Family, Arch: image.Arch, Version: image.Version},
		Vars:  vars,
		Device: answer.Device{
			ID: dev.ID, Name: dev.Name, Serial: dev.Serial, AssetTag: dev.AssetTag, Site: dev.Site, Rack: dev.Rack,
			Role: dev.Role, Platform: dev.Platform, Status: dev.Status, URL: dev.URL,
			PrimaryIP4: dev.Primary4, PrimaryIP6: dev.Primary6,
			Gateway4: o.Network.Gateway4, Gateway6: o.Network.Gateway6, DNS: o.Network.DNS, NTP: o.Network.NTP,
			Tags: dev.Tags, CustomFields: dev.CustomFields,
		},
		Interfaces: interfaces(o),
		Context:    context,
		Mark:       o.Mark,
		Hardware:   func() (answer.Hardware, error) { return hardwareFacts(hw) },
	}
}

func interfaces(o *Observation) []answer.Interface {
	var all []answer.Interface
	for _, i := range o.Network.Interfaces {
		all = append(all, answer.Interface{
			Name: i.Name, Type: i.Type, MAC: i.MAC, Enabled: i.Enabled, MgmtOnly: i.MgmtOnly, MTU: i.MTU,
			LAG: i.LAG, Parent: i.Parent, Bridge: i.Bridge, VLAN: i.VLAN, TaggedVLANs: i.TaggedVLANs, Addresses: i.Addresses, Primary: i.Primary,
		})
	}
	return all
}

func hardwareFacts(hw func() (*redfish.Hardware, error)) (answer.Hardware, error) {
	h, err := hw()
	if err != nil {
		return answer.Hardware{}, err
	}
	facts := answer.Hardware{UEFI: h.UEFI, MACs: h.MACs}
	for _, d := range h.Drives {
		facts.Drives = append(facts.Drives, answer.Drive{
			Name: d.Name, Model: d.Model, Serial: d.Serial, WWN: d.WWN, Protocol: d.Protocol, MediaType: d.MediaType, Bytes: d.Bytes,
		})
	}
	return facts, nil
}

// recipe is an image's own, if it has one.
func recipe(g *schema.Generic) *answer.Generic {
	if g == nil {
		return nil
	}
	r := &answer.Generic{
		Volume: g.Volume, Says: g.Says, Answer: g.Answer.Path, Format: g.Answer.Format, Initrd: g.Answer.Initrd, PowersOff: g.PowersOff, Files: g.Files,
		Drop: g.Drop, Args: g.Args, Payload: g.Payload,
	}
	for _, m := range g.Menus {
		r.Menus = append(r.Menus, answer.GenericMenu(m))
	}
	for _, e := range g.Evidence {
		r.Evidence = append(r.Evidence, answer.Phase(e))
	}
	return r
}
