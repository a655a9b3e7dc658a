package schema

import (
	"errors"
	"maps"
	"net/netip"
	"slices"

	"cuelang.org/go/cue"
)

// host decodes a host field by field: there are many of them, and
// [cue.Value.Decode] takes three times as long.
func (d *decoder) host(name string, v cue.Value, policy rawBMC) *Host {
	h := &Host{Name: name, Generation: 1, Vars: map[string]any{}, Labels: map[string]string{}, Pos: d.index.position("hosts", name)}
	var bmc rawBMC
	ok := d.each(v, []string{"hosts", name}, func(field string, v cue.Value) (err error) {
		switch field {
		case "os":
			h.OS, err = v.String()
		case "role":
			h.Role, err = v.String()
		case "generation":
			h.Generation, err = integer(v)
		case "protect":
			h.Protect, err = v.Bool()
		case "vars":
			if err = v.Decode(&h.Vars); err == nil {
				h.Vars = d.vars(h.Vars, "hosts", name, "vars")
			}
		case "labels":
			err = d.labels(v, h.Labels)
		case "serial":
			h.Serial, err = v.String()
		case "addresses":
			h.Addresses = d.addresses(v, name)
		case "bmc":
			bmc = d.bmc(v, name)
		default:
			return errUnknown
		}
		return err
	})
	if !ok {
		return nil
	}
	h.BMC = d.mergeBMC(bmc, policy, name)
	h.Fields = d.hostFields(name)
	return h
}

// addresses decodes where a host takes addresses from.
func (d *decoder) addresses(v cue.Value, name string) *Addresses {
	var raw struct {
		From           []string
		VRF, Interface string
	}
	at := []string{"hosts", name, "addresses", "from"}
	if err := v.Decode(&raw); err != nil {
		d.fail(at[:3], "decoding: %v", err)
		return nil
	}
	a := &Addresses{VRF: raw.VRF, Interface: raw.Interface}
	families := map[bool]bool{}
	for _, s := range raw.From {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil || p != p.Masked():
			d.fail(at, "%q is not a network such as 10.20.0.0/24", s)
			return nil
		case families[p.Addr().Is4()]:
			d.fail(at, "%s is the second of its family", p)
			return nil
		}
		families[p.Addr().Is4()] = true
		a.From = append(a.From, p)
	}
	return a
}

// bmc decodes what a host says of its BMC.
func (d *decoder) bmc(v cue.Value, name string) rawBMC {
	var bmc rawBMC
	d.each(v, []string{"hosts", name, "bmc"}, func(field string, v cue.Value) (err error) {
		switch field {
		case "address":
			bmc.Address, err = v.String()
		case "credentials":
			bmc.Credentials, err = v.String()
		case "tls":
			err = v.Decode(&bmc.TLS)
		case "system":
			bmc.System, err = v.String()
		case "profile":
			bmc.Profile, err = v.String()
		case "session":
			var on bool
			on, err = v.Bool()
			bmc.session = &on
		case "marker":
			bmc.Marker, err = v.String()
		case "rules":
			var raw map[string]any
			if err = v.Decode(&raw); err == nil {
				bmc.rules = d.rules(raw, "hosts", name, "bmc", "rules")
			}
		default:
			return errUnknown
		}
		return err
	})
	return bmc
}

func (d *decoder) labels(v cue.Value, labels map[string]string) error {
	fields, err := v.Fields()
	for err == nil && fields.Next() {
		labels[fields.Selector().Unquoted()], err = fields.Value().String()
	}
	return err
}

// errUnknown says that a struct has no such field.
var errUnknown = errors.New("unknown field")

func integer(v cue.Value) (int, error) {
	n, err := v.Int64()
	return int(n), err
}

// each hands the fields of a struct to decode, and reports whether all went
// well.
func (d *decoder) each(v cue.Value, path []string, decode func(string, cue.Value) error) bool {
	fields, err := v.Fields()
	if err != nil {
		d.fail(path, "decoding: %v", err)
		return false
	}
	ok := true
	for fields.Next() {
		name := fields.Selector().Unquoted()
		at := append(path[:len(path):len(path)], name)
		switch err := decode(name, fields.Value()); {
		case err == errUnknown:
			d.unknown(fields.Value(), at)
			ok = false
		case err != nil:
			d.fail(at, "decoding: %v", err)
			ok = false
		}
	}
	return ok
}

// hostFields returns the positions of the host's fields that are set.
func (d *decoder) hostFields(name string) map[string]Position {
	fields := map[string]Position{}
	for _, f := range [...][]string{
		{"os"}, {"role"}, {"generation"}, {"protect"}, {"vars"}, {"labels"}, {"serial"}, {"addresses"}, {"bmc"},
		{"bmc", "address"}, {"bmc", "credentials"}, {"bmc", "tls"}, {"bmc", "system"}, {"bmc", "profile"}, {"bmc", "rules"}, {"bmc", "marker"}, {"bmc", "session"},
	} {
		if pos, found := d.index.find(append([]string{"hosts", name}, f...)...); found {
			key := f[0]
			if len(f) > 1 {
				key += "." + f[1]
			}
			fields[key] = positionOf(pos)
		}
	}
	return fields
}

// rules gives each rule that is set its position. The definitions have seen to
// it that its value is a bool, a string or a list of strings.
func (d *decoder) rules(raw map[string]any, path ...string) map[string]BMCRule {
	rules := map[string]BMCRule{}
	for name, value := range raw {
		if list, ok := value.([]any); ok {
			words := make([]string, len(list))
			for i := range list {
				words[i], _ = list[i].(string)
			}
			value = words
		}
		rules[name] = BMCRule{Name: name, Value: value, Pos: d.index.position(append(path[:len(path):len(path)], name)...)}
	}
	return rules
}

// mergeBMC lays what a host says over what the policy says.
func (d *decoder) mergeBMC(host, policy rawBMC, name string) BMC {
	b := BMC{
		Address: host.Address, Credentials: or(host.Credentials, policy.Credentials, "default"),
		System: host.System, Profile: or(host.Profile, policy.Profile),
		Marker: or(host.Marker, policy.Marker, "asset-tag"),
	}
	rules := maps.Clone(policy.rules)
	if rules == nil {
		rules = host.rules
	} else {
		maps.Copy(rules, host.rules)
	}
	for _, rule := range slices.Sorted(maps.Keys(rules)) {
		b.Rules = append(b.Rules, rules[rule])
	}
	for _, said := range []*bool{policy.session, host.session} { // the host's last
		if said != nil {
			b.Session = *said
		}
	}
	tls := host.TLS
	if tls == nil {
		tls = policy.TLS
	}
	switch tls := tls.(type) {
	case string:
		b.TLS.Mode = tls
	case map[string]any:
		b.TLS.SHA256, _ = tls["sha256"].(string)
		b.TLS.CA, _ = tls["ca"].(string)
		b.TLS.Mode = "verify"
		if b.TLS.CA != "" {
			at := []string{"hosts", name, "bmc", "tls", "ca"}
			if host.TLS == nil {
				at = []string{"policy", "bmc", "tls", "ca"}
			}
			d.file(b.TLS.CA, at...)
		}
		if b.TLS.SHA256 != "" {
			b.TLS.Mode = "pin"
		}
	default:
		b.TLS.Mode = "verify"
	}
	return b
}
