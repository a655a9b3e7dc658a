package answer_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/metalcue/metalcue/reconcile/answer"
)

// hypervisor is a network with everything in it: a bridge on a VLAN of a bond,
// a bridge on a port without addresses, and a VLAN on a plain port whose name
// Linux does not take.
func hypervisor(d *answer.Data) {
	p := netip.MustParsePrefix
	d.Device.PrimaryIP4, d.Device.PrimaryIP6 = p("10.1.20.11/24"), p("2001:db8:20::11/64")
	d.Interfaces = []answer.Interface{
		{Name: "ilo", Type: "1000base-t", MAC: "AA:BB:CC:00:00:FF", Enabled: true, MgmtOnly: true, Addresses: []netip.Prefix{p("10.9.0.11/24")}},
		{Name: "vmbr0", Type: "bridge", Enabled: true, Primary: true, Addresses: []netip.Prefix{p("10.1.20.111/24"), p("2001:db8:20::11/64"), p("10.1.20.11/24")}},
		{Name: "bond0.20", Type: "virtual", Enabled: true, Parent: "bond0", VLAN: 20, Bridge: "vmbr0"},
		{Name: "bond0", Type: "lag", Enabled: true, MTU: 9000},
		{Name: "eno2", Type: "25gbase-x-sfp28", MAC: "AA:BB:CC:00:00:02", Enabled: true, LAG: "bond0"},
		{Name: "eno1", Type: "25gbase-x-sfp28", MAC: "AA:BB:CC:00:00:01", Enabled: true, LAG: "bond0"},
		{Name: "vmbr1", Type: "bridge", Enabled: true},
		{Name: "eno3", Type: "10gbase-t", MAC: "AA:BB:CC:00:00:03", Enabled: true, Bridge: "vmbr1"},
		{Name: "NIC 4", Type: "10gbase-t", MAC: "AA:BB:CC:00:00:04", Enabled: true, MTU: 9000},
		{Name: "storage", Type: "virtual", Enabled: true, Parent: "NIC 4", VLAN: 30, Addresses: []netip.Prefix{p("10.1.30.11/24")}},
		{Name: "eno5", Type: "10gbase-t", MAC: "AA:BB:CC:00:00:05", Enabled: true},
	}
}

// One vocabulary of links, written in each way that installed systems read.
func TestNetworks(t *testing.T) {
	for name, template := range map[string]string{
		"links": `{{ range links }}{{ .Kind }} {{ .Name }} {{ .ID }}: ports {{ join "," .Ports }}; master {{ .Master }}; parent {{ .Parent }}; ` +
			`{{ range .Addresses }}{{ . }} {{ end }}{{ with .DNS }}DNS {{ join "," . }}{{ end }}{{ if .Primary }} gateway {{ .Gateway4 }} {{ .Gateway6 }}{{ end }}` + "\n{{ end }}",
		"netplan":       "{{ netplan }}\n",
		"ifupdown":      "{{ ifupdown }}\n",
		"agamaNetwork":  "{{ agamaNetwork }}\n",
		"nmKeyfiles":    "{{ range nmKeyfiles }}### {{ .Name }}\n{{ .Text }}{{ end }}",
		"networkdUnits": "{{ range networkdUnits }}### {{ .Name }}\n{{ .Text }}{{ end }}",
	} {
		for host, change := range map[string]func(*answer.Data){"server": nil, "hypervisor": hypervisor} {
			got, err := preview(t, "%post\n"+template+"%end\n", func(d *answer.Data) {
				if change != nil {
					change(d)
				}
				for i := range d.Interfaces { // which has no place in /etc/network/interfaces
					if name == "ifupdown" && strings.HasPrefix(d.Interfaces[i].Name, "NIC") {
						d.Interfaces[i].Name = "eno4"
					}
					if name == "ifupdown" && strings.HasPrefix(d.Interfaces[i].Parent, "NIC") {
						d.Interfaces[i].Parent = "eno4"
					}
				}
			})
			if err != nil {
				t.Errorf("%s of the %s: %v", name, host, err)
				continue
			}
			golden(t, "network/"+host+"-"+name+".txt", strings.TrimSuffix(strings.TrimPrefix(got, "%post\n"), "%end\n"))
		}
	}
}

func TestBondOptions(t *testing.T) {
	const options = `"mode=active-backup" "miimon=200,min_links=1"`
	for function, want := range map[string]string{
		"kickstartNetwork": "--bondopts=mode=active-backup,miimon=200,min_links=1",
		"netplan":          "mii-monitor-interval: 200",
		"ifupdown":         "bond-min-links 1",
	} {
		got, err := preview(t, "# {{ "+function+" "+options+" | splitList \"\\n\" | join \" \" }}", func(d *answer.Data) {
			d.Interfaces[6].Name = "eno3"
		})
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v", function, got, err)
		}
	}
	for _, bad := range []string{"colour=red", "mode", "mode=a b", "miimon=1\nx"} {
		for _, f := range []string{"netplan", "ifupdown", "agamaNetwork", "nmKeyfiles", "networkdUnits"} {
			if _, err := preview(t, "# {{ len ("+f+" "+`"`+strings.ReplaceAll(bad, "\n", `\n`)+`"`+") }}", nil); err == nil || !strings.Contains(err.Error(), "is no option of bonds") {
				t.Errorf("%s takes %q: %v", f, bad, err)
			}
		}
	}
	if _, err := preview(t, `# {{ len (networkdUnits "primary=eno1") }}`, nil); err == nil || !strings.Contains(err.Error(), "at its port") {
		t.Errorf("networkd's bonds have no primary: %v", err)
	}
}

// A network that cannot be is an error that names the interface.
func TestNetworkErrors(t *testing.T) {
	tests := []struct {
		template string
		spoil    func(d *answer.Data)
		want     string
	}{
		{"netplan", func(d *answer.Data) { d.Interfaces = nil }, "no enabled interface has an address"},
		{"netplan", func(d *answer.Data) { d.Interfaces[3].Enabled = false }, "interface bond0 carries a VLAN, but is missing or disabled"},
		{"netplan", func(d *answer.Data) { d.Interfaces[4].Enabled, d.Interfaces[5].Enabled = false, false }, "bond bond0 has no enabled ports"},
		{"netplan", func(d *answer.Data) { d.Interfaces[3].Parent = "bond0.20" }, "is made of itself"},
		{"netplan", func(d *answer.Data) { d.Interfaces[2].VLAN = 0 }, "interface bond0.20 has the parent bond0, but no untagged VLAN"},
		{"netplan", func(d *answer.Data) { d.Interfaces[5].Addresses = d.Interfaces[1].Addresses[:1] }, "interface eno1 is part of bond0 and has addresses of its own"},
		{"netplan", func(d *answer.Data) { d.Interfaces[9].Parent = "" }, "virtual interface storage has no parent"},
		{"netplan", func(d *answer.Data) { d.Interfaces[8].MAC = "" }, `interface "NIC 4" is no name that Linux takes`},
		{"netplan", func(d *answer.Data) { d.Interfaces[8].MAC = "x" }, "interface NIC 4: address x: invalid MAC address"},
		{"netplan", func(d *answer.Data) { d.Interfaces[1].Name, d.Interfaces[2].Bridge = "a b", "a b" }, `interface "a b" is no name that Linux takes`},
		{"ifupdown", func(*answer.Data) {}, `interface "NIC 4" is no name that Linux takes, and ifupdown`},
		{"kickstartNetwork", func(*answer.Data) {}, "the vlan bond0.20 is a port of the bridge vmbr0, which a kickstart cannot make"},
		{"kickstartNetwork", func(d *answer.Data) { d.Interfaces[2].Bridge, d.Interfaces[3].LAG = "", "" }, "bridge vmbr0 has no enabled ports"},
		{"kickstartNetwork", func(d *answer.Data) {
			d.Interfaces[2].Bridge, d.Interfaces[2].Addresses = "", d.Interfaces[1].Addresses
			d.Interfaces[1].Enabled = false
			d.Interfaces[9].Parent = "vmbr1"
		}, "interface storage is a VLAN on the bridge vmbr1, which a kickstart cannot make"},
	}
	for _, tt := range tests {
		_, err := preview(t, "# {{ "+tt.template+" }}", func(d *answer.Data) {
			hypervisor(d)
			tt.spoil(d)
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.template, err, tt.want)
		}
	}
}

// A bridge on plain ports is what a kickstart can make.
func TestKickstartBridge(t *testing.T) {
	got, err := preview(t, "{{ kickstartNetwork }}", func(d *answer.Data) {
		hypervisor(d)
		d.Interfaces[1].Enabled, d.Interfaces[2].Bridge = false, ""
		d.Interfaces[6].Addresses = []netip.Prefix{netip.MustParsePrefix("10.1.20.11/24")}
	})
	const want = "network --device=vmbr1 --bootproto=static --onboot=yes --activate --bridgeslaves=eno3 --ip=10.1.20.11 --netmask=255.255.255.0 --gateway=10.1.20.1 --noipv6 --nameserver=10.1.0.53,2001:db8::53\n"
	if err != nil || !strings.Contains(got, want) {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRaid1(t *testing.T) {
	drive := func(serial, model, protocol, media string, bytes float64) answer.Drive {
		return answer.Drive{Name: serial, Model: model, Serial: serial, Protocol: protocol, MediaType: media, Bytes: int64(bytes)}
	}
	s1, s2, s3 := drive("s1", "A", "SATA", "SSD", 480e9), drive("s2", "A", "SATA", "SSD", 480e9), drive("s3", "A", "SATA", "SSD", 480e9)
	other, n1, n2 := drive("o1", "B", "SATA", "SSD", 480e9), drive("n1", "P", "NVMe", "SSD", 1e12), drive("n2", "P", "NVMe", "SSD", 1e12)
	h1, h2, tiny := drive("h1", "H", "SAS", "HDD", 300e9), drive("h2", "H", "SAS", "HDD", 300e9), drive("t1", "SD", "USB", "", 8e9)
	tests := []struct {
		drives     []answer.Drive
		conditions string
		want       string
	}{
		{[]answer.Drive{n2, s2, n1, s1}, "", "s1 s2"},
		{[]answer.Drive{s3, s2, s1}, "", "s1 s2"},
		{[]answer.Drive{s1, other, n1, n2}, "", "n1 n2"},
		{[]answer.Drive{h1, h2, s1}, "", "h1 h2"},
		{[]answer.Drive{h1, h2, s1, s2}, "", "s1 s2"},
		{[]answer.Drive{h1, h2, s1}, ` "ssd"`, "s1"},
		{[]answer.Drive{h1, s1, tiny}, "", "s1"},
		{[]answer.Drive{h1, tiny}, ` "min=16GB"`, "h1"},
		{[]answer.Drive{h2, h1, tiny, tiny}, ` "min=16GB"`, "h1 h2"},
		{[]answer.Drive{tiny}, ` "min=16GB"`, "the machine has no drive that is min=16GB"},
		{nil, "", "the machine has no drive"},
	}
	for _, tt := range tests {
		got, err := preview(t, "#{{ range raid1"+tt.conditions+" }} {{ .Serial }}{{ end }}", func(d *answer.Data) {
			d.Hardware = func() (answer.Hardware, error) { return answer.Hardware{Drives: tt.drives}, nil }
		})
		if err != nil {
			got = "# " + err.Error()[strings.LastIndex(err.Error(), ": ")+2:]
		}
		if got != "# "+tt.want {
			t.Errorf("raid1%s of %v: %s, want %s", tt.conditions, tt.drives, got, tt.want)
		}
	}
}

func TestRepositories(t *testing.T) {
	const template = `#{{ range repositories }} {{ .Name }}={{ .URL }}({{ .Key }},{{ .Suite }},{{ join "+" .Components }}){{ end }} {{ proxy }} {{ noProxy | join "," }}`
	for _, tt := range []struct {
		vars map[string]any
		want string
	}{
		{nil, "#  "},
		{map[string]any{
			"repositories": []any{map[string]any{"name": "site", "url": "https://repo.example.com/el9/"}, map[string]any{"name": "apt", "url": "http://apt.example.com",
				"key": "https://apt.example.com/key.asc", "suite": "bookworm", "components": []any{"main", "extra"}}},
			"proxy": "http://proxy.example.com:3128", "noProxy": []any{"localhost", ".example.com"},
		}, "# site=https://repo.example.com/el9/(,,) apt=http://apt.example.com(https://apt.example.com/key.asc,bookworm,main+extra) http://proxy.example.com:3128 localhost,.example.com"},
		{map[string]any{"repositories": "x"}, ".Vars.repositories: it is no list"},
		{map[string]any{"repositories": []any{"x"}}, ".Vars.repositories[0]: it is no struct"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": "https://a.example.com", "gpgkey": "x"}}}, ".Vars.repositories[0].gpgkey: a repository has no such field"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a\nb", "url": "https://a.example.com"}}}, `.Vars.repositories[0].name: "a\nb" is not one word`},
		{map[string]any{"repositories": []any{map[string]any{"url": "https://a.example.com"}}}, `.Vars.repositories[0].name: "" is no name`},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": "ftp://a.example.com"}}}, ".Vars.repositories[0].url: it is no http or https URL"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": "https://u:pw@a.example.com"}}}, ".Vars.repositories[0].url: it holds a login"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": 5}}}, ".Vars.repositories[0].url: it is no text"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": "https://x.example.com", "components": []any{"a b"}}}}, ".Vars.repositories[0].components: a b is not one word"},
		{map[string]any{"repositories": []any{map[string]any{"name": "a", "url": "https://x.example.com"}, map[string]any{"name": "a", "url": "https://x.example.com"}}}, ".Vars.repositories[1].name: \"a\" is the name of two"},
		{map[string]any{"proxy": "proxy.example.com"}, ".Vars.proxy: it is no http or https URL"},
		{map[string]any{"proxy": "http://me:s3cr3t@proxy.example.com"}, ".Vars.proxy: it holds a login"},
		{map[string]any{"proxy": 5}, ".Vars.proxy: it is no text"},
		{map[string]any{"noProxy": "x"}, ".Vars.noProxy: it is no list"},
	} {
		got, err := preview(t, template, func(d *answer.Data) { d.Vars = tt.vars })
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || strings.HasPrefix(tt.want, "#") && got != tt.want || strings.Contains(got, "s3cr3t") {
			t.Errorf("%v\n got %s\nwant %s", tt.vars, got, tt.want)
		}
	}
}
