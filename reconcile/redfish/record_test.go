package redfish_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// record returns what a client records.
func record(t *testing.T, c *redfish.Client) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := c.Record(t.Context(), func(name string, body []byte) error {
		files[name] = &fstest.MapFile{Data: slices.Clone(body)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRecord: a recording holds nothing private, and a replay of it looks like
// the machine and can be driven like it.
func TestRecord(t *testing.T) {
	for _, v := range bmctest.Supported() {
		t.Run(vendorName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				secrets := []string{"SN-77-SECRET", "CHASSIS-SECRET", "5bd7b2a1-0f7e-4b5b-9c53-6f1f8f2f3a11", "db-17.corp.example", "INVENTORY-4711", "6a:5b:4c:3d:2e:1f", "DRIVESERIAL9", "0025389a210108da"}
				r := newRig(v)
				r.bmc.Serial, r.bmc.ChassisSerial, r.bmc.UUID, r.bmc.HostName, r.bmc.AssetTag = secrets[0], secrets[1], secrets[2], secrets[3], secrets[4]
				r.bmc.NICs = []bmctest.NIC{{ID: "1", MAC: secrets[5]}}
				r.bmc.Drives = []bmctest.Drive{{Name: "d", Serial: secrets[6], WWN: secrets[7], Bytes: 1 << 40}}
				files := record(t, r.client)
				for _, q := range r.bmc.Requests() {
					if q.Method != "GET" {
						t.Errorf("sent %s %s", q.Method, q.Path)
					}
				}
				for name, f := range files {
					for _, s := range secrets {
						if strings.Contains(strings.ToLower(name+string(f.Data)), strings.ToLower(s)) {
							t.Errorf("%s holds %q", name, s)
						}
					}
				}
				real, err := r.client.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				replay := &bmctest.Replay{FS: files}
				c := &redfish.Client{Address: "bmc.example", Transport: replay.Transport()}
				got, err := c.Observe(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				private := cmp.FilterPath(func(p cmp.Path) bool {
					return slices.Contains([]string{"Serial", "SKU", "UUID", "ChassisSerial", "HostName", "Marker.Value", "Requests", "Progress"}, p.String())
				}, cmp.Ignore())
				if diff := cmp.Diff(real, got, private); diff != "" {
					t.Errorf("the replay looks different:\n%s", diff)
				}
				for what, pair := range map[string][2]string{"serial": {real.Serial, got.Serial}, "UUID": {real.UUID, got.UUID}, "marker": {real.Marker.Value, got.Marker.Value}} {
					if (pair[0] == "") != (pair[1] == "") || pair[0] != "" && pair[0] == pair[1] {
						t.Errorf("%s %q is recorded as %q", what, pair[0], pair[1])
					}
				}
				if err := c.SetMarker(t.Context(), done); err != nil {
					t.Errorf("the replay takes no marker: %v", err)
				}
			})
		})
	}
}

// TestRecordOfDumps: nothing that identifies one of the real machines is left.
func TestRecordOfDumps(t *testing.T) {
	eachDump(t, func(t *testing.T, d dump, w wantDump) {
		c := &redfish.Client{Address: "bmc.example", Transport: d}
		sys, err := c.Observe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var secrets []string
		for _, s := range []string{sys.Serial, sys.UUID, sys.ChassisSerial, sys.HostName} {
			if s != "" {
				secrets = append(secrets, s)
			}
		}
		if h, err := c.Hardware(t.Context()); err == nil {
			secrets = append(secrets, h.MACs...)
			for _, m := range h.MACs {
				secrets = append(secrets, strings.ReplaceAll(m, ":", ""))
			}
			for _, drive := range h.Drives {
				secrets = append(secrets, drive.Serial)
			}
		}
		for name, f := range record(t, c) {
			for _, s := range secrets {
				if s != "" && strings.Contains(strings.ToLower(name+string(f.Data)), strings.ToLower(s)) {
					t.Errorf("%s holds %q", name, s)
				}
			}
		}
	})
}

// TestRecordStops: an error of the writer ends it and comes back.
func TestRecordStops(t *testing.T) {
	c := &redfish.Client{Address: "bmc.example", Transport: inProcess{plain}}
	n := 0
	err := c.Record(t.Context(), func(string, []byte) error { n++; return os.ErrPermission })
	if !errors.Is(err, os.ErrPermission) || n != 1 {
		t.Errorf("error %v after %d files", err, n)
	}
}
