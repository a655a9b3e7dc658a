package bmctest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// operator installs a machine through its BMC. It knows each vendor's rules
// from the simulation itself: what it shows is that there is a way.
type operator struct {
	*bench
	s shape
	q Quirks
}

// name is what the vendor's subtests are called.
func (v Vendor) name() string {
	if v == Generic {
		return "generic"
	}
	return string(v)
}

func newOperator(t *testing.T, b *BMC, image []byte) *operator {
	k := newBench(t, b, image)
	k.get(rootURI)
	return &operator{k, b.shape, b.q}
}

// slot is the drive to use, and the URI to use it by.
func (o *operator) slot() string {
	for _, s := range o.bmc.slots {
		if s.canInsert && s.refuses == 0 && s.isDisc() {
			return s.uris[0]
		}
	}
	o.t.Fatal("no drive takes a URL")
	return ""
}

func (o *operator) insert(url string) {
	o.t.Helper()
	if o.q.EnableRMedia {
		o.must(http.MethodPost, o.s.managerURI()+"/Actions/Oem/AMIVirtualMedia.EnableRMedia", object{"RMediaState": "Enable"})
		time.Sleep(o.q.EnableRMediaLag + time.Second)
	}
	body := object{"Image": url}
	if o.q.NeedProtocolType {
		body["TransferProtocolType"] = "HTTPS"
	}
	if o.q.NeedLogin {
		body["UserName"], body["Password"] = "none", "none"
	}
	if o.q.MediaByPATCH {
		body["Inserted"] = true
		o.must(http.MethodPatch, o.slot(), body)
	} else {
		o.must(http.MethodPost, o.slot()+"/Actions/VirtualMedia.InsertMedia", body)
	}
	until(o.t, time.Minute, "the insertion", func() bool {
		v := o.get(o.slot())
		return v["Inserted"] == true && v["Image"] == url && v["ConnectedVia"] == "URI"
	})
}

func (o *operator) eject() {
	o.t.Helper()
	if o.q.MediaByPATCH {
		o.must(http.MethodPatch, o.slot(), object{"Image": nil, "Inserted": false})
	} else {
		o.must(http.MethodPost, o.slot()+"/Actions/VirtualMedia.EjectMedia", object{})
	}
	if v := o.get(o.slot()); v["Inserted"] != false || v["ConnectedVia"] != "NotConnected" {
		o.t.Errorf("after an eject: %v", v)
	}
}

func (o *operator) bootOnce() {
	o.t.Helper()
	boot := object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}
	if o.q.CDTarget != "" {
		boot["BootSourceOverrideTarget"] = o.q.CDTarget
	}
	if o.s.mode != "" && !o.q.BootModeReadOnly {
		boot["BootSourceOverrideMode"] = "UEFI"
	}
	uri := o.s.systemURI()
	if o.q.BootOnlyInSettings {
		uri = o.s.settingsURI()
	}
	o.must(http.MethodPatch, uri, object{"Boot": boot})
	if got := at(o.get(uri), "Boot", "BootSourceOverrideEnabled"); got != "Once" {
		o.t.Errorf("the override reads %v after the PATCH", got)
	}
}

func (o *operator) reset(kind string, want Power) {
	o.t.Helper()
	until(o.t, 2*time.Minute, "acceptance of "+kind, func() bool {
		status, _, _ := o.do(http.MethodPost, o.s.systemURI()+"/Actions/ComputerSystem.Reset", object{"ResetType": kind})
		return status/100 == 2
	})
	until(o.t, 2*time.Minute, "power "+string(want), func() bool { return o.get(o.s.systemURI())["PowerState"] == string(want) })
}

func (o *operator) setTag(tag string) {
	o.t.Helper()
	uri := o.tagURI()
	if o.q.TagInSettings {
		uri = o.s.settingsURI()
	}
	o.must(http.MethodPatch, uri, object{"AssetTag": tag})
}

// tagURI is where the asset tag is read.
func (o *operator) tagURI() string {
	if o.s.systemTag {
		return o.s.systemURI()
	}
	for _, c := range o.s.chassis {
		if c.tag {
			return rootURI + "/Chassis/" + c.id
		}
	}
	o.t.Fatal("no asset tag anywhere")
	return ""
}

func TestEveryVendorInstalls(t *testing.T) {
	image := patchedISO(t, isoOptions{})
	for _, v := range append(Supported(), Profiled()...) {
		t.Run(v.name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{PostTime: 3 * time.Minute, InstallTime: 15 * time.Minute, BootTime: time.Minute, Disk: &Disk{}, Running: true}
				url := testISO
				if v == SupermicroX11 {
					url = strings.Replace(testISO, "https:", "http:", 1)
				}
				b := &BMC{Vendor: v, Username: "admin", Password: "secret", Machine: m}
				b.Username, b.Password = "", ""
				o := newOperator(t, b, image)
				if got := o.get(o.s.systemURI())["PowerState"]; got != "On" {
					t.Errorf("a running machine reads %v", got)
				}
				o.reset("ForceOff", Off)
				o.insert(url)
				o.bootOnce()
				o.reset("On", On)
				until(t, time.Hour, "power-off", func() bool { return o.get(o.s.systemURI())["PowerState"] == "Off" })
				d, ok := m.Installed()
				if !ok || string(d.Answer) != testKickstart {
					t.Fatalf("nothing was installed: %s", o.screen())
				}
				o.eject()
				if enabled, target := b.Override(); enabled != "Disabled" || target != "None" {
					t.Errorf("override %s %s after it was used once", enabled, target)
				}
				o.setTag("rc1.k1.7f3c2a9b.k3j2x.rocky-9.6")
				o.reset("On", On)
				until(t, time.Hour, "the OS", func() bool { return m.Stage() == StageOS })
				if got := o.get(o.tagURI())["AssetTag"]; got != "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6" || b.Tag() != got {
					t.Errorf("asset tag %v, %q", got, b.Tag())
				}
				if n := len(m.Boots()); n != 2 || m.Installs() != 1 {
					t.Errorf("boots %q, %d installations", m.Boots(), m.Installs())
				}
			})
		})
	}
}

// TestRestorationScreen holds that a Lenovo stops at a screen of its firmware
// after an override was cleared that was not set, and only then.
func TestRestorationScreen(t *testing.T) {
	for name, set := range map[string]bool{"needless": false, "needed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &Machine{Disk: &Disk{}}
				o := newOperator(t, &BMC{Vendor: LenovoXCC, Machine: m}, nil)
				if set {
					o.bootOnce()
				}
				o.must("PATCH", o.s.systemURI(), object{"Boot": object{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}})
				o.reset("On", On)
				time.Sleep(time.Hour)
				if got := m.Stage() == StageOS; got != set {
					t.Errorf("the OS runs: %v; %s", got, o.screen())
				}
			})
		})
	}
}

// TestVendorsRefuse holds the quirks by which a vendor refuses what others take.
func TestVendorsRefuse(t *testing.T) {
	once := func(keys ...string) object {
		boot := object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"}
		if len(keys) > 0 {
			boot["BootSourceOverrideMode"] = keys[0]
		}
		return object{"Boot": boot}
	}
	const dell, hpe, board = "/Systems/System.Embedded.1", "/Managers/1/VirtualMedia/2/Actions/VirtualMedia.", "/Managers/BMC_0/VirtualMedia/"
	tests := []struct {
		name         string
		vendor       Vendor
		method, path string
		body         any
		header       []string
		want         int
		id           string // part of the answer
	}{
		{"iDRAC10 override on the system", IDRAC10, "PATCH", dell, once(), nil, 400, "OperationSupportedInFutureStateURI"},
		{"iDRAC10 action with If-Match", IDRAC10, "POST", dell + "/Actions/ComputerSystem.Reset", object{"ResetType": "On"}, []string{"If-Match", "*"}, 412, "PreconditionFailed"},
		{"iDRAC9 stale ETag", IDRAC9, "PATCH", dell, once(), []string{"If-Match", `"stale"`}, 412, "PreconditionFailed"},
		{"iDRAC9 unreachable image", IDRAC9, "POST", dell + "/VirtualMedia/1/Actions/VirtualMedia.InsertMedia", object{"Image": "https://media.example/i/x/gone.iso"}, nil, 400, "RAC0904"},
		{"iLO mode", ILO5, "PATCH", "/Systems/1", once("UEFI"), nil, 400, "PropertyNotWritable"},
		{"iLO eject without a body", ILO6, "POST", hpe + "EjectMedia", nil, nil, 400, "MalformedJSON"},
		{"iLO eject of an empty drive", ILO6, "POST", hpe + "EjectMedia", object{}, nil, 400, "NoVirtualMediaConnectionAvailable"},
		{"Supermicro Inserted", SupermicroX13, "POST", "/Managers/1/VirtualMedia/VirtualMedia1/Actions/VirtualMedia.InsertMedia", object{"Image": testISO, "Inserted": true}, nil, 400, "ActionParameterNotSupported"},
		{"Supermicro query in the URL", SupermicroX13, "POST", "/Managers/1/VirtualMedia/VirtualMedia1/Actions/VirtualMedia.InsertMedia", object{"Image": testISO + "?x=1"}, nil, 400, "ActionParameterValueFormatError"},
		{"Supermicro X11 https", SupermicroX11, "POST", "/Managers/1/VirtualMedia/VirtualMedia1/Actions/VirtualMedia.InsertMedia", object{"Image": testISO}, nil, 400, "ActionParameterValueFormatError"},
		{"Supermicro tag on the system", SupermicroX13, "PATCH", "/Systems/1", object{"AssetTag": "x"}, nil, 400, "PropertyUnknown"},
		{"Lenovo without If-Match", LenovoXCC, "PATCH", "/Systems/1", once(), nil, 428, "PreconditionRequired"},
		{"Lenovo Continuous", LenovoXCC, "PATCH", "/Systems/1", object{"Boot": object{"BootSourceOverrideEnabled": "Continuous"}}, []string{"If-Match", "*"}, 400, "PropertyValueNotInList"},
		{"Lenovo upload drive", LenovoXCC, "PATCH", "/Systems/1/VirtualMedia/RDOC1", object{"Image": testISO, "Inserted": true}, []string{"If-Match", "*"}, 400, "PropertyMissing"},
		{"Lenovo override in the settings", LenovoXCC, "PATCH", "/Systems/1/Pending", once(), []string{"If-Match", "*"}, 400, "PropertyUnknown"},
		{"OpenBMC http", OpenBMC, "POST", "/Managers/bmc/VirtualMedia/Slot_2/Actions/VirtualMedia.InsertMedia", object{"Image": "http://media.example/a.iso"}, nil, 400, "ActionParameterValueFormatError"},
		{"OpenBMC action with If-Match", OpenBMC, "POST", "/Systems/system/Actions/ComputerSystem.Reset", object{"ResetType": "On"}, []string{"If-Match", "*"}, 412, "PreconditionFailed"},
		{"GB300 proxy slot", GB300, "POST", board + "Slot_0/Actions/VirtualMedia.InsertMedia", object{"Image": testISO}, nil, 404, "ResourceMissingAtURI"},
		{"GB200 tag on the system", GB200, "PATCH", "/Systems/System_0", object{"AssetTag": "x"}, nil, 400, "PropertyUnknown"},
		{"GB200 second system has no reset", GB200, "POST", "/Systems/HGX_Baseboard_0/Actions/ComputerSystem.Reset", object{"ResetType": "On"}, nil, 404, "ResourceMissingAtURI"},
		{"DGX override on the system", DGX, "PATCH", "/Systems/DGX", once("UEFI"), []string{"If-Match", "*"}, 400, "Ami.1.0.OperationSupportedInFutureStateURI"},
		{"DGX drive before EnableRMedia", DGX, "GET", "/Managers/BMC/VirtualMedia/CD1", nil, nil, 404, "ResourceMissingAtURI"},
		{"Cisco drive of the KVM", CiscoCIMC, "POST", "/Managers/CIMC/VirtualMedia/0/Actions/VirtualMedia.InsertMedia", object{"Image": testISO}, nil, 405, "KVM"},
		{"Huawei without If-Match", HuaweiIBMC, "PATCH", "/Systems/1", once(), nil, 428, "PreconditionRequired"},
		{"Fujitsu override", FujitsuIRMC, "PATCH", "/Systems/0", once(), []string{"If-Match", "*"}, 400, "PropertyValueNotInList"},
		{"X10 has no drives", SupermicroX10, "GET", "/Managers/1/VirtualMedia", nil, nil, 404, "ResourceMissingAtURI"},
		{"iDRAC8 has no insert", IDRAC8, "POST", "/Managers/iDRAC.Embedded.1/VirtualMedia/CD/Actions/VirtualMedia.InsertMedia", object{"Image": testISO}, nil, 404, "ResourceMissingAtURI"},
		{"iLO4 has no insert", ILO4, "POST", hpe + "InsertMedia", object{"Image": testISO}, nil, 404, "ResourceMissingAtURI"},
		{"tag that is too long", ILO5, "PATCH", "/Systems/1", object{"AssetTag": strings.Repeat("x", 33)}, nil, 400, "StringValueTooLong"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBench(t, &BMC{Vendor: tt.vendor}, nil)
				k.media.set(nil, http.StatusNotFound)
				status, _, out := k.do(tt.method, rootURI+tt.path, tt.body, tt.header...)
				if status != tt.want || !strings.Contains(text(out), tt.id) {
					t.Errorf("%d %v, want %d %s", status, out, tt.want, tt.id)
				}
			})
		})
	}
}
