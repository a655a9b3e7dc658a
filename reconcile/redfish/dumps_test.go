package redfish_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// dumpDir holds answers of twelve real machines. They are third-party data with
// real serial numbers, so they are not part of this repository.
const dumpDir = "../../../shared/redfish-mockups"

// dump serves one machine's answers, read-only.
type dump struct{ dir string }

func (d dump) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int, body []byte) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(string(body))), Request: r}, nil
	}
	if r.Method != http.MethodGet {
		return answer(http.StatusMethodNotAllowed, []byte("{}"))
	}
	body, err := os.ReadFile(filepath.Join(d.dir, filepath.FromSlash(strings.Trim(r.URL.Path, "/")), "index.json"))
	if err != nil {
		return answer(http.StatusNotFound, []byte("{}"))
	}
	return answer(http.StatusOK, body)
}

// wantDump is what the reference says of a machine.
type wantDump struct {
	profile, vendor, serial, sku, chassis, firmware string
	marker                                          redfish.Tag
	slots                                           string // usable ones
	cd                                              string // target for the CD that must be listed
	schemes                                         string
	refused                                         bool
}

var dumps = map[string]wantDump{
	"dell-r750-idrac9-6.00.30": {profile: "dell-idrac9", vendor: "Dell", serial: "CNIVC0014M0388", sku: "F54P1G3", chassis: "CNIVC0014M0388",
		firmware: "6.00.30.00", marker: inSystem(""), slots: "1 2", cd: "Cd", schemes: "http https"},
	"dell-r750-idrac9-7.10.30": {profile: "dell-idrac9", vendor: "Dell", serial: "MXFC40025U031S", sku: "CLLV0R3", chassis: "MXFC40025U031S",
		firmware: "7.10.30.00", marker: inSystem(""), slots: "1 2", cd: "Cd", schemes: "http https"},
	"hpe-dl385gen10plusv2-ilo5-2.72": {profile: "hpe-ilo", vendor: "HPE", serial: "MXQ302099S", sku: "P38411-B21", chassis: "MXQ302099S",
		firmware: "iLO 5 v2.72", marker: inSystem(""), slots: "2", cd: "Cd", schemes: "http https"},
	"hpe-dl360gen10plus-ilo5-3.11": {profile: "hpe-ilo", vendor: "HPE", serial: "MXQ2390RHW", sku: "P28948-B21", chassis: "MXQ2390RHW",
		firmware: "iLO 5 v3.11", marker: inSystem(""), slots: "2", cd: "Cd", schemes: "http https"},
	"hpe-dl380agen11-ilo6-1.66": {profile: "hpe-ilo", vendor: "HPE", serial: "2M2D2J00L4", sku: "P54903-B21", chassis: "2M2D2J00L4",
		firmware: "iLO 6 v1.66", marker: inSystem(""), slots: "2", cd: "Cd", schemes: "http https"},
	"hpe-dl380agen12-ilo7-1.13.01": {profile: "hpe-ilo", vendor: "HPE", serial: "2M2D2Q02TH", sku: "P76706-B21", chassis: "2M2D2Q02TH",
		firmware: "1.13.01 May 13 2025", marker: inSystem(""), slots: "2", cd: "Cd", schemes: "http https"},
	"lenovo-sr670v2-xcc-2.83": {profile: "lenovo-xcc", vendor: "Lenovo", serial: "J105958B", sku: "7Z23CTO1WW", chassis: "J105958B",
		firmware: "TGBT42S 2.83 2023-07-05", marker: inSystem(""), slots: "EXT1 EXT2 EXT3 EXT4 Remote1 Remote2 Remote3 Remote4", cd: "Cd", schemes: "http https"},
	"supermicro-sys821ge-x13-11.01.01": {profile: "supermicro", vendor: "Supermicro", serial: "S889914X3710910", sku: "0x1D1415D9", chassis: "C8010MM21A30331",
		firmware: "11.01.01", marker: inChassis(""), slots: "VirtualMedia1 VirtualMedia2 VirtualMedia3", cd: "UsbCd", schemes: "http https"},
	"supermicro-x10-redfish1.0.1": {profile: "supermicro-x10", vendor: "Supermicro",
		firmware: "4.0", marker: inChassis(""), refused: true},
	"supermicro-gb300-openbmc-70.01": {profile: "nvidia-openbmc", vendor: "NVIDIA", serial: "S964512X5913271", chassis: "HA256S015664",
		firmware: "70.01.00.09", marker: inSystem(""), slots: "USB1 USB2", cd: "Cd", schemes: "https"},
	"nvidia-gb200-openbmc-24.12": {profile: "nvidia-openbmc", vendor: "NVIDIA", chassis: "1333024020524",
		firmware: "GB200Nvl-24.12-8", marker: inChassis(""), slots: "USB1 USB2", cd: "Cd", schemes: "https"},
	"nvidia-dgxh100-ami-23.11": {profile: "nvidia-dgx", vendor: "NVIDIA", serial: "1662923610124", sku: "920-24387-2540-000", chassis: "1663123000052",
		firmware: "23.11.20", marker: inSystem("Free form asset tag"), slots: "", cd: "Cd", schemes: "https"},
}

func inSystem(v string) redfish.Tag {
	return redfish.Tag{Value: v, Where: redfish.WhereSystem, Present: true}
}

func inChassis(v string) redfish.Tag {
	return redfish.Tag{Value: v, Where: redfish.WhereChassis, Present: true}
}

// eachDump runs test for every machine whose answers are there.
func eachDump(t *testing.T, test func(t *testing.T, d dump, want wantDump)) {
	t.Helper()
	if _, err := os.Stat(dumpDir); err != nil {
		t.Skip("the dumps of real machines are not beside this repository")
	}
	for name, want := range dumps {
		t.Run(name, func(t *testing.T) { test(t, dump{filepath.Join(dumpDir, name)}, want) })
	}
}

// TestDumps observes every machine cold and warm and compares both with the reference.
func TestDumps(t *testing.T) {
	eachDump(t, func(t *testing.T, d dump, want wantDump) {
		c := &redfish.Client{Address: "bmc.example", Transport: d}
		cold, err := c.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkDump(t, cold, want)
		if want.cd != "" && !slices.Contains(cold.Boot.Targets, want.cd) {
			t.Errorf("boot targets %v, want %q among them", cold.Boot.Targets, want.cd)
		}
		var usable []string
		for _, s := range cold.Slots {
			if s.Inserted {
				t.Errorf("slot %s reads as inserted", s.ID)
			}
			if s.Usable {
				usable = append(usable, s.ID)
			}
		}
		if got := strings.Join(usable, " "); got != want.slots {
			t.Errorf("slots %q, want %q", got, want.slots)
		}
		warm, err := c.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if warm.Requests > 3 {
			t.Errorf("a warm look took %d requests, want at most 3", warm.Requests)
		}
		t.Logf("requests: cold %d, warm %d", cold.Requests, warm.Requests)
		if want.chassis == want.serial {
			want.chassis = warm.ChassisSerial // says nothing new, so it need not be read again
		}
		checkDump(t, warm, want)
	})
}

func checkDump(t *testing.T, got *redfish.System, want wantDump) {
	t.Helper()
	if (got.Refusal != "") != want.refused || (got.Tier == redfish.TierRefused) != want.refused {
		t.Errorf("refusal %q, tier %q; want refused %v", got.Refusal, got.Tier, want.refused)
	}
	have := wantDump{profile: got.Profile, vendor: got.Vendor, serial: got.Serial, sku: got.SKU, chassis: got.ChassisSerial,
		firmware: got.Firmware, marker: got.Marker, schemes: strings.Join(got.MediaSchemes, " "),
		slots: want.slots, cd: want.cd, refused: want.refused}
	if diff := cmp.Diff(want, have, cmp.AllowUnexported(wantDump{})); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
	if got.Power != redfish.On {
		t.Errorf("power %q, want On", got.Power)
	}
	if got.Serial == "" && got.UUID == "" {
		t.Error("neither serial nor UUID")
	}
}

// TestDumpsDoNotWrite: the looks send nothing but GETs; the dumps refuse others,
// and the refused X10 is refused before anything is sent.
func TestDumpsDoNotWrite(t *testing.T) {
	eachDump(t, func(t *testing.T, d dump, want wantDump) {
		rec := &recorder{next: d}
		c := &redfish.Client{Address: "bmc.example", Transport: rec}
		for _, look := range []func() error{
			func() error { _, err := c.Observe(t.Context()); return err },
			func() error { _, err := c.Power(t.Context()); return err },
		} {
			if err := look(); err != nil {
				t.Fatal(err)
			}
		}
		if want.refused {
			for what, act := range actions(t.Context(), c) {
				if err := act(); err == nil || !strings.Contains(err.Error(), "X10") {
					t.Errorf("%s: error %v, want the refusal", what, err)
				}
			}
		}
		for _, r := range rec.all() {
			if r.method != http.MethodGet {
				t.Errorf("sent %s %s", r.method, r.path)
			}
		}
	})
}

// TestReplayedDumps installs through replays of the real machines: what they
// show is enough to know what to send where.
func TestReplayedDumps(t *testing.T) {
	eachDump(t, func(t *testing.T, d dump, w wantDump) {
		if w.refused {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			replay := &bmctest.Replay{FS: os.DirFS(d.dir)}
			c := &redfish.Client{Address: "bmc.example", Transport: replay.Transport()}
			sys, err := c.Observe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range install(medium(sys)) {
				if w.slots == "" && (strings.HasPrefix(s.name, "eject") || s.name == "insert") {
					continue // remote media is off in this dump
				}
				if err := s.act(t.Context(), c); err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				now, err := c.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				switch s.name {
				case "claim", "mark":
					if now.Marker.Value != map[string]string{"claim": claim, "mark": done}[s.name] || now.Marker.Where == "" {
						t.Errorf("after %s the marker is %+v", s.name, now.Marker)
					}
				case "insert":
					if !now.Slots[0].Inserted || now.Slots[0].Image != medium(sys) {
						t.Errorf("inserted %+v", now.Slots)
					}
				case "off", "on":
					if strings.ToLower(string(now.Power)) != s.name {
						t.Errorf("power %s", now.Power)
					}
				}
				if now.Requests > 3 {
					t.Errorf("after %s a look took %d requests", s.name, now.Requests)
				}
			}
		})
	})
}
