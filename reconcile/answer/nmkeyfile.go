package answer

import (
	"fmt"
	"strings"
)

// A NamedFile is one of several files that configure something.
type NamedFile struct{ Name, Text string }

// nmKeyfiles returns the host's network as NetworkManager's keyfiles, for
// /etc/NetworkManager/system-connections, where they must be readable by root
// alone. Plain interfaces are found by their MAC address.
//
// Source: nm-settings-keyfile(5).
func nmKeyfiles(d *Data, bond ...string) ([]NamedFile, error) {
	all, err := links(d)
	if err != nil {
		return nil, err
	}
	options, err := bondOptions(bond)
	if err != nil {
		return nil, err
	}
	kinds := map[string]string{}
	for _, l := range all {
		kinds[l.Name] = l.Kind
	}
	var files []NamedFile
	byName := map[string]Link{}
	for _, l := range all {
		byName[l.Name] = l
		files = append(files, NamedFile{l.ID() + ".nmconnection", nmKeyfile(l, byName, kinds, options)})
	}
	return files, nil
}

// nmKeyfile returns the keyfile of one link. under are those before it, kinds
// those of all.
func nmKeyfile(l Link, under map[string]Link, kinds map[string]string, bond []bondOption) string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, "\n[%s]\n", name) }
	set := func(key string, value any) { fmt.Fprintf(&b, "%s=%v\n", key, value) }
	b.WriteString("[connection]\n")
	set("id", l.ID())
	set("type", l.Kind)
	if l.Kind != Ethernet || l.MAC == "" {
		set("interface-name", l.Name)
	}
	if l.Master != "" {
		set("master", l.Master)
		set("slave-type", kinds[l.Master])
	} else if l.Kind == Bond || l.Kind == Bridge {
		set("autoconnect-slaves", 1)
	}
	mac := "" // of the port, or of the port that carries the VLAN
	switch parent := under[l.Parent]; {
	case l.Kind == Ethernet:
		mac = l.MAC
	case l.Kind == VLAN && parent.Kind == Ethernet:
		mac = parent.MAC
	}
	if mac != "" || l.MTU > 0 {
		section("ethernet")
		if mac != "" {
			set("mac-address", strings.ToUpper(mac))
		}
		if l.MTU > 0 {
			set("mtu", l.MTU)
		}
	}
	switch l.Kind {
	case VLAN:
		section("vlan")
		set("id", l.VLAN)
		if mac == "" {
			set("parent", l.Parent)
		}
	case Bond:
		section("bond")
		for _, o := range bond {
			set(o.name, o.value)
		}
	case Bridge:
		section("bridge")
		set("stp", false)
	}
	if l.Master != "" {
		return b.String()
	}
	for _, version := range []int{4, 6} {
		section(fmt.Sprintf("ipv%d", version))
		nmAddresses(set, l, version)
	}
	return b.String()
}

func nmAddresses(set func(string, any), l Link, version int) {
	n := 0
	for _, p := range l.Addresses {
		if p.Addr().Is4() == (version == 4) {
			n++
			set(fmt.Sprintf("address%d", n), p)
		}
	}
	if n == 0 {
		set("method", "disabled")
		return
	}
	gateway := l.Gateway4
	if version == 6 {
		gateway = l.Gateway6
	}
	if gateway.IsValid() {
		set("gateway", gateway)
	} else {
		set("never-default", true)
	}
	if servers, _ := ofFamily(l.DNS, version); len(servers) > 0 {
		dns := ""
		for _, s := range servers {
			dns += fmt.Sprint(s) + ";"
		}
		set("dns", dns)
	}
	set("method", "manual")
}
