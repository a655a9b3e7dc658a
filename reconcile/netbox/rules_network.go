package netbox

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// checkNetwork applies the rules that concern what a host is rendered from.
func (s *subject) checkNetwork(n *Network) {
	for _, p := range n.Problems {
		s.finding(RuleNetwork, "interfaces", "", "", p, "%s: correct it in NetBox", p)
	}
	s.checkFamily(n, "primary_ip4", s.device.Primary4, n.Prefix4, n.Gateway4)
	s.checkFamily(n, "primary_ip6", s.device.Primary6, n.Prefix6, n.Gateway6)
	s.checkMACs(n)
	s.checkLAGs(n)
}

// checkFamily looks at one primary address and the way out from it.
func (s *subject) checkFamily(n *Network, field string, p, around netip.Prefix, gateway netip.Addr) {
	if !p.IsValid() {
		return
	}
	if status, ok := n.PrimaryStatus[p.String()]; ok {
		s.finding(RulePrimaryInactive, field, "", "active", status, "%s %s has status %q in NetBox, not \"active\"", field, p, status)
	}
	if name := n.PrimaryDNS[p.String()]; name != "" {
		if label, _, _ := strings.Cut(name, "."); !strings.EqualFold(label, s.host.Name) {
			s.finding(RuleDNSName, field, "", s.host.Name, name, "%s %s has the dns_name %q, which is another host's", field, p, name)
		}
	}
	for _, i := range n.Interfaces {
		if !i.bears(p) {
			continue
		}
		if !i.Enabled {
			s.finding(RulePrimaryInterface, field, "", "an enabled interface", i.Name, "%s %s is on interface %s, which NetBox has disabled", field, p, i.Name)
		}
		if i.MgmtOnly {
			s.finding(RulePrimaryInterface, field, "", "an interface for traffic", i.Name, "%s %s is on interface %s, which is for management only", field, p, i.Name)
		}
	}
	if around.IsValid() && around.Bits() != p.Bits() {
		s.finding(RulePrimaryLength, field, "", fmt.Sprintf("/%d", around.Bits()), fmt.Sprintf("/%d", p.Bits()), "%s %s has another length than its prefix %s", field, p, around)
	}
	switch {
	case !gateway.IsValid():
		s.finding(RuleGatewayMissing, field, "", "", "", "no gateway is known for %s %s: put it into the config context, the prefix's custom field \"gateway\", or tag its address \"gateway\"", field, p)
	case !p.Masked().Contains(gateway) && !gateway.IsLinkLocalUnicast():
		s.finding(RuleGatewayOutside, field, "", p.Masked().String(), gateway.String(), "gateway %s is not in %s, where %s is", gateway, p.Masked(), field)
	case gateway == p.Addr():
		s.finding(RuleGatewayOutside, field, "", "", gateway.String(), "gateway %s is the host's own %s", gateway, field)
	}
}

func (i *Interface) bears(p netip.Prefix) bool {
	for _, a := range i.Addresses {
		if a == p {
			return true
		}
	}
	return false
}

// checkMACs wants one interface to install through, and MACs that make sense.
func (s *subject) checkMACs(n *Network) {
	usable := false
	for _, i := range n.Interfaces {
		usable = usable || i.Physical() && !i.MgmtOnly && i.Enabled && i.MAC != ""
		for _, mac := range i.MACs {
			if m, err := net.ParseMAC(mac); err != nil || m[0]&1 != 0 || strings.Trim(mac, "0:") == "" {
				s.finding(RuleMACInvalid, "mac_address", "", "", mac, "interface %s has MAC %s, which is no single machine's", i.Name, mac)
				continue
			}
			if all := s.macs[mac]; i.Physical() && len(all) > 1 {
				s.finding(RuleMACDuplicate, "mac_address", "", "", mac, "MAC %s of interface %s also on %s", mac, i.Name, otherPorts(all, s.device, i.Name))
			}
		}
	}
	if !usable {
		s.finding(RuleMACMissing, "mac_address", "", "", "", "no enabled interface has a primary MAC, so the installer cannot tell its interfaces apart: enter one in NetBox")
	}
}

func otherPorts(all []owner, d *Device, port string) string {
	var parts []string
	for _, o := range all {
		if o.device != d || o.port != port {
			parts = append(parts, fmt.Sprintf("%s %s (NetBox id %d)", nameOf(o.device), o.port, o.device.ID))
		}
	}
	return strings.Join(parts, ", ")
}

// checkLAGs wants every LAG to have members, and all of them enabled.
func (s *subject) checkLAGs(n *Network) {
	for _, lag := range n.Interfaces {
		if lag.Type != "lag" {
			continue
		}
		members := 0
		for _, i := range n.Interfaces {
			if i.LAG != lag.Name {
				continue
			}
			members++
			if (i.VLAN != 0 || len(i.TaggedVLANs) > 0) && (i.VLAN != lag.VLAN || !slices.Equal(i.TaggedVLANs, lag.TaggedVLANs)) {
				s.finding(RuleLAG, "lag", "", "", i.Name, "LAG %s has member %s, which is in other VLANs", lag.Name, i.Name)
			}
			if !i.Enabled {
				s.finding(RuleLAG, "lag", "", "", i.Name, "LAG %s has member %s, which NetBox has disabled", lag.Name, i.Name)
			}
		}
		if members == 0 {
			s.finding(RuleLAG, "lag", "", "at least one member", "none", "LAG %s has no members", lag.Name)
		}
	}
}
