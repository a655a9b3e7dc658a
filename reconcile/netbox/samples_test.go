package netbox_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// samples returns the folder of recorded answers beside the repository.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	dir = filepath.Join(dir, "..", "shared", "netbox-samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded answers are not beside the repository: ", err)
	}
	return dir
}

// recording serves the recorded answers of one release.
func recording(t *testing.T, dir, version string) *netboxtest.Server {
	t.Helper()
	nb := &netboxtest.Server{}
	folders := []string{version}
	if strings.HasSuffix(version, "-derived") { // it has only what differs from 4.6.8
		nb.Version = strings.TrimSuffix(version, "-derived")
		folders = []string{"4.6.8", version}
	}
	for _, f := range folders {
		if err := nb.Load(os.DirFS(filepath.Join(dir, f))); err != nil {
			t.Fatal(err)
		}
	}
	return nb
}

// read scans a server and reads all networks, and drops what differs between
// releases by nature.
func read(t *testing.T, nb *netboxtest.Server, names ...string) *netbox.Snapshot {
	t.Helper()
	c := client(nb)
	c.ContextKey = "kickstart"
	s, err := c.Scan(t.Context(), scopeTag, names)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, d := range s.Devices {
		ids = append(ids, d.ID)
	}
	if err := c.Networks(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	s.Version, s.At = "", time.Time{}
	for i := range s.Devices {
		s.Devices[i].LastUpdated = time.Time{}
	}
	return s
}

// The answers of all recorded releases are the same facts.
func TestSamples(t *testing.T) {
	dir := samples(t)
	want := read(t, recording(t, dir, "4.6.8"))
	if len(want.Devices) != 6 || len(want.Networks) != 6 {
		t.Fatalf("got %d devices, %d networks", len(want.Devices), len(want.Networks))
	}
	for _, version := range []string{"4.2.9", "4.3.7", "4.4.10", "4.5.10", "4.7.0-beta1-derived"} {
		got := read(t, recording(t, dir, version))
		if diff := cmp.Diff(want, got, netips); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
	}
	d := want.ByName()["fra1-cp-01"]
	if d == nil || d.OOB != addr("10.20.0.11") || d.Primary4 != prefixes("10.20.16.11/22")[0] || d.Primary6 != prefixes("2001:db8:20:10::b/64")[0] ||
		d.Serial != "7XK4Q33" || d.Rack != "A01" || d.Location != "Hall A" || d.Manufacturer != "dell" || d.CustomFields["install_state"] != "installed" ||
		d.CustomFields["reconcile_generation"] != int64(3) || d.Position != 40 || len(d.Problems) != 0 {
		t.Errorf("got %+v", d)
	}
	n := want.Networks[d.ID]
	if len(n.Interfaces) != 5 || n.Interfaces[0].Name != "bond0" || !n.Interfaces[0].Primary || n.Interfaces[1].LAG != "bond0" ||
		n.Interfaces[1].MAC != "b4:45:06:01:00:01" || n.Prefix4 != prefixes("10.20.16.0/22")[0] || len(n.Problems) != 0 {
		t.Errorf("got %+v", n)
	}
}

// What no release has yet is taken as it comes: statuses, types, fields, and
// bare values where objects were.
func TestUnknownValues(t *testing.T) {
	dir := samples(t)
	raw, err := os.ReadFile(filepath.Join(dir, "4.6.8", "dcim.devices.json"))
	if err != nil {
		t.Fatal(err)
	}
	var page map[string]any
	if err := json.Unmarshal(raw, &page); err != nil {
		t.Fatal(err)
	}
	rows, _ := page["results"].([]any)
	for _, row := range rows {
		d, _ := row.(map[string]any)
		d["status"] = "hibernating"
		d["quantum_state"] = map[string]any{"value": []any{1}}
		d["airflow"] = 7
	}
	edited, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	nb := recording(t, dir, "4.6.8")
	nb.Faults = []netboxtest.Fault{{Path: "dcim/devices", Body: string(edited)}}
	got, want := read(t, nb), read(t, recording(t, dir, "4.6.8"))
	for i := range want.Devices {
		want.Devices[i].Status = "hibernating"
	}
	if diff := cmp.Diff(want, got, netips); diff != "" {
		t.Error(diff)
	}
}
