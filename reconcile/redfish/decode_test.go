package redfish

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOddProperties: a property of a wrong type costs itself and nothing else.
func TestOddProperties(t *testing.T) {
	odd := []string{`null`, `true`, `17`, `1e400`, `"x"`, `[]`, `{}`, `[1,{"a":[]}]`, `{"@odata.id":7}`, `[{"@odata.id":null}]`}
	properties := []string{"@odata.etag", "SystemType", "Manufacturer", "Model", "SKU", "HostName", "Boot", "@Redfish.Settings",
		"VirtualMedia", "Storage", "EthernetInterfaces", "BootProgress", "Links", "Oem", "TotalSystemMemoryGiB", "Status"}
	for _, p := range properties {
		for _, v := range odd {
			var s systemResource
			body := `{"` + p + `":` + v + `,"PowerState":"On","SerialNumber":"S1","AssetTag":null,"Actions":{"#ComputerSystem.Reset":{"target":"/r"}}}`
			if err := decode([]byte(body), &s); err != nil {
				t.Errorf("%s: %v", body, err)
				continue
			}
			if s.PowerState != "On" || s.SerialNumber != "S1" || !s.AssetTag.Present || s.Actions.Reset.Target != "/r" {
				t.Errorf("%s: decoded %+v", body, s)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, body := range []string{``, ` `, `null`, `[]`, `"x"`, `{`, `{"a":1`, `<html>`, "\xff", strings.Repeat("[", 20000)} {
		var s systemResource
		if err := decode([]byte(body), &s); err == nil {
			t.Errorf("%.20q: no error", body)
		}
	}
}

func TestMessages(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       Error
	}{
		{"standard", `{"error":{"code":"Base.1.8.GeneralError","message":"see","@Message.ExtendedInfo":[{"MessageId":"Base.1.8.PropertyNotWritable","Message":"read only","MessageArgs":["AssetTag"]}]}}`,
			Error{IDs: []string{"PropertyNotWritable"}, Message: "read only", args: []string{"AssetTag"}}},
		{"beside the property", `{"AssetTag@Message.ExtendedInfo":[{"MessageId":"iLO.2.14.PropertyNotWritableOrUnknown"}]}`,
			Error{IDs: []string{"PropertyNotWritableOrUnknown"}, args: []string{"AssetTag"}}},
		{"code alone", `{"error":{"code":"Base.1.0.GeneralError","message":"bad"}}`, Error{IDs: []string{"GeneralError"}, Message: "bad"}},
		{"odd entries", `{"error":{"@Message.ExtendedInfo":[7,null,{"MessageId":9,"Message":{}},{"Message":"kept"}]}}`,
			Error{IDs: []string{"9"}, Message: "kept"}},
		{"text", `no such thing`, Error{Message: "no such thing"}},
		{"html", `<html><body>login</body></html>`, Error{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := newError("GET", "/x", &response{status: 400, body: []byte(test.body)}, nil)
			test.want.Method, test.want.Path, test.want.Status = "GET", "/x", 400
			if diff := cmp.Diff(&test.want, got, cmp.AllowUnexported(Error{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNaturally(t *testing.T) {
	in := []string{"/V/10", "/V/9", "/V/EXT2", "/V/2", "/V/EXT10", "/V/Remote1", "/V/02"}
	for _, test := range [][2]string{{"/V/2", "/V/10"}, {"/V/9", "/V/10"}, {"/V/EXT2", "/V/EXT10"}, {"/V/EXT10", "/V/Remote1"}, {"", "/V"}} {
		if naturally(test[0], test[1]) >= 0 || naturally(test[1], test[0]) <= 0 {
			t.Errorf("%q does not sort before %q", test[0], test[1])
		}
	}
	for _, a := range in {
		if naturally(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
	}
}

func TestFirmware(t *testing.T) {
	for _, test := range []struct {
		model, firmware string
		flaw            flaw
		want            bool
	}{
		{"15G Monolithic", "6.00.30.00", flaw{below: "6.10.30"}, true},
		{"15G Monolithic", "7.10.30.00", flaw{below: "6.10.30"}, false},
		{"15G Monolithic", "5.10.10.00", flaw{only: "5.10.10.00"}, true},
		{"iLO 6", "iLO 6 v1.56", flaw{model: "iLO 6", below: "1.57"}, true},
		{"iLO 6", "iLO 6 v1.66", flaw{model: "iLO 6", below: "1.57"}, false},
		{"iLO 5", "iLO 5 v1.40", flaw{model: "iLO 6", below: "1.57"}, false},
		{"", "4.1(2.230270)", flaw{below: "4.3"}, true},
		{"", "4.3(2.230270)", flaw{below: "4.3"}, false},
		{"", "TGBT42S", flaw{below: "9"}, false},
		{"", "99999999999999999999.1", flaw{below: "2.0"}, false},
	} {
		if got := test.flaw.applies(test.model, test.firmware); got != test.want {
			t.Errorf("%s %s, %+v: %v, want %v", test.model, test.firmware, test.flaw, got, test.want)
		}
	}
}

// TestProfiles: the table is sound: names are unique, every profile says where
// its knowledge comes from, and every refusal says what to do.
func TestProfiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range profiles {
		if seen[p.name] || p.name == "" || len(p.when) == 0 {
			t.Errorf("profile %q: no name, no sign, or twice", p.name)
		}
		seen[p.name] = true
		if (p.tier == TierRefused) != (p.refusal != "") {
			t.Errorf("profile %q: tier %q and refusal %q", p.name, p.tier, p.refusal)
		}
		if p.tier != TierRefused && (len(p.Schemes) == 0 || len(p.BootTargets) == 0) {
			t.Errorf("profile %q: no schemes or no boot targets", p.name)
		}
		if len(p.notes) == 0 {
			t.Errorf("profile %q: no note", p.name)
		}
		for _, n := range p.notes {
			if n.What == "" || n.Seen == "" || n.Source == "" {
				t.Errorf("profile %q: note %+v lacks where it was seen or its source", p.name, n)
			}
		}
		for _, f := range p.flaws {
			if f.text == "" || f.source == "" || (f.below == "") == (f.only == "") {
				t.Errorf("profile %q: flaw %+v", p.name, f)
			}
		}
	}
	if last := profiles[len(profiles)-1]; last.name != generic {
		t.Errorf("last profile is %q, want %q", last.name, generic)
	}
}

// FuzzDecode: no answer panics, hangs, or makes more of lists than their bound.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"@odata.id":"/redfish/v1/Systems/1","Id":"1","AssetTag":"x","PowerState":"On","Boot":{"BootSourceOverrideTarget@Redfish.AllowableValues":["Cd"]},"Links":{"Chassis":[{"@odata.id":"/c"}]}}`,
		`{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.1.0.X","Message":"m","MessageArgs":["a"]}]}}`,
		`{"Members":[{"@odata.id":"/a"},null,7],"Members@odata.nextLink":{}}`,
		`{"Oem":{"Hpe":{"PostState":1}},"Actions":{"Oem":{"#AMIVirtualMedia.EnableRMedia":{"target":"/x"}}}}`,
		`{"Inserted":"true","MediaTypes":["CD",1],"Image":null,"ConnectedVia":[]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{new(rootResource), new(systemResource), new(chassisResource), new(managerResource), new(slotResource), new(collection)} {
			err := decode(body, into)
			if err != nil {
				continue
			}
			switch r := into.(type) {
			case *collection:
				if len(r.Members) > maxList {
					t.Fatalf("%d members", len(r.Members))
				}
			case *systemResource:
				_ = r.Boot != nil && overridable(r.Boot)
				_ = identity(r.SerialNumber)
			}
		}
		e := newError("GET", "/x", &response{status: 500, body: body}, []string{"secret-word"})
		if len(e.Message) > 500 || len(e.IDs) > maxMessages || strings.Contains(e.Error(), "secret-word") || strings.ContainsAny(e.Error(), "\x00\x1b\n\r") {
			t.Fatalf("error %q", e.Error())
		}
		c := &Client{Address: "bmc.example"}
		if err := c.init(); err != nil {
			t.Fatal(err)
		}
		if u, err := c.resolve(string(body)); err == nil && (u.Host != "bmc.example" || u.Scheme != "https" || u.User != nil || !strings.HasPrefix(u.Path, "/")) {
			t.Fatalf("%q resolves to %v", body, u)
		}
	})
}
