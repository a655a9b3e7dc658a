package redfish_test

import (
	"encoding/json"
	"flag"
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

var update = flag.Bool("update", false, "rewrite the golden files")

// TestHardwareOfDumps counts what real machines have.
func TestHardwareOfDumps(t *testing.T) {
	want := map[string]struct {
		drives, macs int
		bytes        int64
	}{
		"dell-r750-idrac9-6.00.30":         {3, 5, 3 * 1920383410176},
		"dell-r750-idrac9-7.10.30":         {2, 4, 2 * 1920383410176},
		"hpe-dl385gen10plusv2-ilo5-2.72":   {6, 6, 6 * 6401252745216},
		"hpe-dl360gen10plus-ilo5-3.11":     {2, 6, 2 * 480103981056},
		"hpe-dl380agen11-ilo6-1.66":        {7, 2, 5*6401252745216 + 2*1600321314816},
		"hpe-dl380agen12-ilo7-1.13.01":     {6, 6, 4*3200631791616 + 2*480103981056},
		"lenovo-sr670v2-xcc-2.83":          {4, 5, 2*7680000000000 + 2*960000000000},
		"supermicro-sys821ge-x13-11.01.01": {4, 6, 4 * 7681501126656},
		"supermicro-gb300-openbmc-70.01":   {},
		"nvidia-gb200-openbmc-24.12":       {4, 0, 4 * 3840755982336},
		"nvidia-dgxh100-ami-23.11":         {0, 5, 0},
	}
	eachDump(t, func(t *testing.T, d dump, w wantDump) {
		h, err := (&redfish.Client{Address: "bmc.example", Transport: d}).Hardware(t.Context())
		if w.refused { // its dump lacks the Storage that its System names
			if err == nil || !strings.Contains(err.Error(), "reading drives") {
				t.Errorf("error %v, want one about drives", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		n := want[filepath.Base(d.dir)]
		var bytes int64
		for _, drive := range h.Drives {
			bytes += drive.Bytes
		}
		if len(h.Drives) != n.drives || len(h.MACs) != n.macs || bytes != n.bytes || !h.UEFI {
			t.Errorf("%d drives of %d bytes, %d MACs, UEFI %v; want %+v", len(h.Drives), bytes, len(h.MACs), h.UEFI, n)
		}
	})
}

// TestHardware reads what a simulated BMC was given.
func TestHardware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(bmctest.ILO6)
		r.bmc.Drives = []bmctest.Drive{
			{Name: "big", Model: "M1", Serial: "D1", WWN: "0025389a210108da", Protocol: "NVMe", MediaType: "SSD", Bytes: 6401252745216},
			{Name: "small", Model: "M2", Serial: "D2", Protocol: "SATA", MediaType: "HDD", Bytes: 480103981056},
		}
		r.bmc.NICs = []bmctest.NIC{{ID: "2", MAC: "02:00:00:00:00:02"}, {ID: "1", MAC: "02:00:00:00:00:01"}}
		h, err := r.client.Hardware(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := &redfish.Hardware{UEFI: true, MACs: []string{"02:00:00:00:00:01", "02:00:00:00:00:02"}, Drives: []redfish.Drive{
			{Name: "big", Model: "M1", Serial: "D1", WWN: "0025389a210108da", Protocol: "NVMe", MediaType: "SSD", Bytes: 6401252745216},
			{Name: "small", Model: "M2", Serial: "D2", Protocol: "SATA", MediaType: "HDD", Bytes: 480103981056},
		}}
		if diff := cmp.Diff(want, h); diff != "" {
			t.Error(diff)
		}
		r.bmc.Arm(bmctest.Fault{Path: "*Drives/*", Nth: 2, Status: 500})
		if h, err := r.client.Hardware(t.Context()); err == nil {
			t.Errorf("a drive that cannot be read gave %+v", h)
		}
	})
}

// TestProbe keeps what is told about each simulated vendor.
func TestProbe(t *testing.T) {
	for v := range profileOf {
		if !slices.Contains(bmctest.Vendors(), v) {
			continue
		}
		t.Run(vendorName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(v)
				report, err := r.client.Probe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range r.bmc.Requests() {
					if q.Method != http.MethodGet {
						t.Errorf("sent %s %s", q.Method, q.Path)
					}
				}
				if report.Usable() != slices.Contains(bmctest.Supported(), v) {
					t.Errorf("usable %v: %+v", report.Usable(), report.Abilities)
				}
				report.System = nil // TestConformance looks at it
				golden(t, filepath.Join("testdata", "probe", vendorName(v)+".json"), report)
			})
		})
	}
}

func golden(t *testing.T, file string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
