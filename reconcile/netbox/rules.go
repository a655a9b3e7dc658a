package netbox

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/metalcue/metalcue/schema"
)

// brakes are tags by which a person in NetBox keeps hands off a device. A
// custom field of such a name, with "_" in place of "-", does the same when it
// is true.
var brakes = []string{"no-reinstall", "no-reconcile", "maintenance"}

// brakes returns those that a device bears: `tag "maintenance"`.
func (d *Device) brakes() []string {
	var found []string
	for _, tag := range brakes {
		if contains(d.Tags, tag) {
			found = append(found, fmt.Sprintf("tag %q", tag))
		}
		if name := strings.ReplaceAll(tag, "-", "_"); d.CustomFields[name] == true {
			found = append(found, fmt.Sprintf("custom field %q", name))
		}
	}
	return found
}

func (c *checker) checkScope() {
	for name := range c.fleet.Policy.NetBox.Severity {
		_, known := severities[Rule(name)]
		switch {
		case !known:
			c.report(Finding{Rule: RulePolicy, Field: "severity", Pos: c.fleet.Policy.Pos, Got: name,
				Msg: fmt.Sprintf("policy.netbox.severity names %q, which is no rule", name)})
		case fixed[Rule(name)]:
			c.report(Finding{Rule: RulePolicy, Field: "severity", Pos: c.fleet.Policy.Pos, Got: name,
				Msg: fmt.Sprintf("policy.netbox.severity names %q, which keeps installs from the wrong machine and cannot be changed", name)})
		}
	}
	if w := versionWarning(c.snapshot.Version); w != "" {
		c.report(Finding{Rule: RuleVersion, Field: "netbox-version", Msg: w, Got: c.snapshot.Version})
	}
	lost := 0
	for name := range c.fleet.Hosts {
		if key := strings.ToLower(name); len(c.names[key])+len(c.outside[key]) == 0 {
			lost++
		}
	}
	if n := len(c.fleet.Hosts); n >= 10 && lost*2 > n && len(c.snapshot.Devices) > 0 {
		c.report(Finding{Rule: RuleScopeHalved, Field: "count", Pos: c.fleet.Policy.Pos,
			Want: fmt.Sprintf("%d devices", n), Got: fmt.Sprintf("%d devices", n-lost),
			Msg: fmt.Sprintf("NetBox shows %d of the fleet's %d hosts: does the token's permission hide devices? If it is as it should be, set policy.netbox.severity of %q", n-lost, n, RuleScopeHalved)})
	}
	if len(c.snapshot.Devices) == 0 && len(c.fleet.Hosts) > 0 {
		c.report(Finding{Rule: RuleScopeEmpty, Field: "count", Pos: c.fleet.Policy.Pos,
			Want: fmt.Sprintf("%d devices", len(c.fleet.Hosts)), Got: "0 devices",
			Msg: fmt.Sprintf("the fleet declares %d hosts and NetBox shows no device in the scope (%s): correct policy.netbox.scope, give the devices what it asks for, or give the token the right to view them",
				len(c.fleet.Hosts), c.snapshot.Scope)})
	}
}

// A subject is a host and its device, and where findings about them go.
type subject struct {
	*checker
	host   *schema.Host
	device *Device
}

// finding reports something about the host; field is NetBox's, declared the
// field in CUE that it concerns.
func (s *subject) finding(rule Rule, field, declared, want, got, format string, args ...any) {
	f := Finding{Rule: rule, Host: s.host.Name, Field: field, Pos: s.host.Position(declared),
		Want: want, Got: got, Msg: fmt.Sprintf(format, args...)}
	if s.device != nil {
		f.URL = s.device.URL
	}
	s.report(f)
}

// checkHost applies all rules that concern one host.
func (c *checker) checkHost(h *schema.Host) {
	s := &subject{checker: c, host: h}
	found := c.names[strings.ToLower(h.Name)]
	if len(found) == 0 {
		s.absent()
		return
	}
	s.device = found[0]
	if len(found) > 1 {
		s.finding(RuleNameDuplicate, "name", "", h.Name, h.Name,
			"NetBox has %d devices of this name in the scope (%s): rename all but one or narrow policy.netbox.scope", len(found), places(found))
		return
	}
	d := s.device
	if d.Name != h.Name {
		s.finding(RuleNameCase, "name", "", h.Name, d.Name, "NetBox writes its name %q: write it the same way on both sides", d.Name)
	}
	for _, p := range d.Problems {
		s.finding(RuleUnreadable, strings.SplitN(p, ":", 2)[0], "", "", p, "NetBox's %s: correct it in NetBox", p)
	}
	s.checkStanding()
	s.checkPlace()
	s.checkSerial()
	s.checkOOB()
	s.checkPrimary()
	s.checkContext()
	if n, ok := c.snapshot.Networks[d.ID]; ok {
		s.checkNetwork(&n)
	}
}

// absent explains why a host has no device in the scope.
func (s *subject) absent() {
	key := strings.ToLower(s.host.Name)
	for _, d := range s.outside[key] {
		s.device = d
		lacks := s.snapshot.Scope.lacks(d)
		s.finding(RuleOutside, "scope", "", s.snapshot.Scope.String(), lacks,
			"NetBox has the device, but it %s: correct the device or policy.netbox.scope", lacks)
	}
	switch {
	case s.device != nil:
	case s.unasked[key]:
		s.finding(RuleMissing, "name", "", s.host.Name, "", "NetBox has no such device in the scope (%s); it was not looked for elsewhere", s.snapshot.Scope)
	default:
		s.finding(RuleMissing, "name", "", s.host.Name, "", "NetBox has no device of this name: create it there, or remove the host from the fleet")
	}
}

// checkStanding asks whether NetBox lets the device be touched.
func (s *subject) checkStanding() {
	p := s.fleet.Policy.NetBox
	allowed := slices.Compact(slices.Sorted(slices.Values(slices.Concat(p.Install, p.InstallUnmarked))))
	if d := s.device; !slices.Contains(allowed, d.Status) {
		want := strings.Join(allowed, ", ")
		s.finding(RuleStatus, "status", "", want, d.Status, "status %q forbids installs: policy.netbox allows %s", d.Status, want)
	}
	for _, brake := range s.device.brakes() {
		s.finding(RuleBrake, "tags", "", "", brake, "%s forbids installs: remove it in NetBox when the device may be touched again", brake)
	}
	if n, ok := s.device.CustomFields["reconcile_generation"].(int64); ok && n > int64(s.host.Generation) {
		s.finding(RuleGeneration, "reconcile_generation", "generation", fmt.Sprint(s.host.Generation), fmt.Sprint(n),
			"NetBox says that generation %d was installed, and the fleet declares %d: generations are only ever raised", n, s.host.Generation)
	}
	if d := s.device; len(p.DeviceTypes) > 0 && !slices.Contains(p.DeviceTypes, d.DeviceType) {
		s.finding(RuleDeviceType, "device_type", "", strings.Join(p.DeviceTypes, ", "), d.DeviceType, "device type %q is none of policy.netbox.deviceTypes (%s)", d.DeviceType, strings.Join(p.DeviceTypes, ", "))
	}
}

// checkPlace compares where the device is and what it is for.
func (s *subject) checkPlace() {
	d, h := s.device, s.host
	if want := path.Base(h.Site); h.Site != "" && want != d.Site {
		s.finding(RuleSite, "site", "", want, d.Site, "declared in the folder of site %q, NetBox has it in site %q: move one of them", want, d.Site)
	}
	// NetBox's roles may be other words than the fleet's. They contradict
	// each other only where NetBox uses a word of the fleet for another role.
	if d.Role != h.Role && s.fleet.Roles[d.Role] != nil {
		s.finding(RuleRole, "role", "role", h.Role, d.Role, "declared with role %q, NetBox gives it role %q, which is another role of the fleet", h.Role, d.Role)
	}
	for name := range s.fleet.Images {
		if d.Platform != "" && name != h.OS && slugOf(name) == slugOf(d.Platform) && slugOf(name) != slugOf(h.OS) {
			s.finding(RulePlatform, "platform", "os", h.OS, d.Platform, "declared with os %q, NetBox still has platform %q", h.OS, d.Platform)
			break
		}
	}
	if role := s.fleet.Roles[h.Role]; d.Rack == "" && role != nil && role.Rollout.Domain == "rack" {
		s.finding(RuleRack, "rack", "", "a rack", "", "role %s spreads changes by rack, and NetBox has the device in none: it shares a failure domain with all such devices of its site", h.Role)
	}
}

// slugOf compares names of systems: "Rocky 9.6" and "rocky-9-6".
func slugOf(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-")
}

func (s *subject) checkSerial() {
	d := s.device
	switch {
	case d.Serial == "":
		s.finding(RuleSerialMissing, "serial", "serial", s.host.Serial, "", "NetBox has no serial, so the machine cannot be told from another: enter it in NetBox")
	case isPlaceholder(d.Serial):
		s.finding(RuleSerialMissing, "serial", "serial", s.host.Serial, d.Serial, "NetBox's serial %q is a placeholder, so the machine cannot be told from another: enter the real one", d.Serial)
	case len(s.serials[serialKey(d.Serial)]) > 1:
		s.finding(RuleSerialDuplicate, "serial", "serial", "", d.Serial, "serial %q also on %s: correct the wrong one in NetBox", d.Serial, others(s.serials[serialKey(d.Serial)], d))
	}
	if want := s.host.Serial; want != "" && !strings.EqualFold(strings.TrimSpace(want), d.Serial) {
		s.finding(RuleSerialMismatch, "serial", "serial", want, d.Serial, "declared with serial %q, NetBox says %q: correct the wrong side", want, d.Serial)
	}
}

func (s *subject) checkOOB() {
	d := s.device
	declared := s.host.BMC.Address
	if !d.OOB.IsValid() {
		if declared == "" {
			s.finding(RuleOOBMissing, "oob_ip", "bmc.address", "", "", "NetBox has no oob_ip, so its BMC cannot be reached: set the out-of-band IP of the device (or bmc.address in the fleet)")
		}
		return
	}
	if all := s.oobs[d.OOB.String()]; len(all) > 1 {
		s.finding(RuleOOBDuplicate, "oob_ip", "bmc.address", "", d.OOB.String(), "oob_ip %s also on %s: correct the wrong one in NetBox", d.OOB, others(all, d))
	}
	if all := s.primary[d.OOB.String()]; len(all) > 0 {
		s.finding(RuleOOBPrimary, "oob_ip", "bmc.address", "", d.OOB.String(), "oob_ip %s is a primary address of %s, so it is no BMC's: correct it in NetBox", d.OOB, places(all))
	}
	if ranges := s.fleet.Policy.NetBox.Management; len(ranges) > 0 && !slices.ContainsFunc(ranges, func(r string) bool {
		p, err := netip.ParsePrefix(r)
		return err == nil && p.Contains(d.OOB)
	}) {
		want := strings.Join(ranges, ", ")
		s.finding(RuleOOBRange, "oob_ip", "bmc.address", want, d.OOB.String(), "oob_ip %s is in none of policy.netbox.management (%s): correct it in NetBox", d.OOB, want)
	}
	if a, err := netip.ParseAddr(hostOf(declared)); declared != "" && err == nil && a != d.OOB {
		s.finding(RuleOOBMismatch, "oob_ip", "bmc.address", a.String(), d.OOB.String(), "declared with bmc.address %s, NetBox has oob_ip %s; the declared one is used", a, d.OOB)
	}
}

// hostOf takes the host out of "host", "host:port" or a URL.
func hostOf(address string) string {
	if !strings.Contains(address, "://") {
		address = "//" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return strings.TrimPrefix(address, "//") // an IPv6 address without brackets
	}
	return u.Hostname()
}

func (s *subject) checkPrimary() {
	d := s.device
	if !d.Primary4.IsValid() && !d.Primary6.IsValid() && s.host.Addresses == nil {
		s.finding(RulePrimaryMissing, "primary_ip4", "", "", "", "NetBox has no primary address, so its network cannot be rendered and the host cannot be verified")
	}
	for field, p := range map[string]netip.Prefix{"primary_ip4": d.Primary4, "primary_ip6": d.Primary6} {
		if all := s.primary[p.Addr().String()]; p.IsValid() && len(all) > 1 {
			s.finding(RulePrimaryDuplicate, field, "", "", p.String(), "%s %s also on %s: correct the wrong one in NetBox", field, p.Addr(), others(all, d))
		}
	}
}

func (s *subject) checkContext() {
	key := s.fleet.Policy.NetBox.ContextKey
	switch v, err := s.device.Context.Value(); v.(type) {
	case nil:
		if err != nil {
			s.finding(RuleContext, "config_context", "", "JSON", err.Error(), "config context %s: %v", key, err)
		}
	case map[string]any:
		for _, v := range s.fleet.CheckContext(s.host, []byte(s.device.Context)) {
			where := ""
			if v.Pos.IsValid() {
				where = fmt.Sprintf(" (%s)", v.Pos)
			}
			s.finding(RuleContext, "config_context", "", "#Context", v.Path, "config context %s: %s%s: correct it in NetBox, or #Context in the fleet",
				strings.TrimSuffix(key+"."+v.Path, "."), v.Msg, where)
		}
	default:
		s.finding(RuleContext, "config_context", "", "an object", fmt.Sprintf("%T", v), "config context %s is not an object: templates see it as .Context", key)
	}
}

// checkOthers reports devices of the scope that are no hosts.
func (c *checker) checkOthers() {
	declared := make(map[string]bool, len(c.fleet.Hosts))
	for name := range c.fleet.Hosts {
		declared[strings.ToLower(name)] = true
	}
	for i := range c.snapshot.Devices {
		d := &c.snapshot.Devices[i]
		switch {
		case d.Name == "":
			c.report(Finding{Rule: RuleUnnamed, Field: "name", URL: d.URL,
				Msg: fmt.Sprintf("device %d in the scope (%s) has no name: give it one or take it out of the scope", d.ID, c.snapshot.Scope)})
		case !declared[strings.ToLower(d.Name)]:
			c.report(Finding{Rule: RuleUndeclared, Field: "name", URL: d.URL, Got: d.Name,
				Msg: fmt.Sprintf("device %s is in the scope (%s), but the fleet declares no such host", d.Name, c.snapshot.Scope)})
		}
	}
}

// others names the devices of a list but one: "web-02 (NetBox id 7)".
func others(all []*Device, but *Device) string {
	return places(slices.DeleteFunc(slices.Clone(all), func(d *Device) bool { return d == but }))
}

// places names devices with their ids, at most five.
func places(all []*Device) string {
	var parts []string
	for i, d := range all {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (NetBox id %d)", nameOf(d), d.ID))
	}
	return strings.Join(parts, ", ")
}
