package netbox_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// A run from a file finds what a run that asks NetBox finds.
func TestSnapshotFile(t *testing.T) {
	devices := append(many(20), healthy("db-01", 1), healthy("db-02", 2), netboxtest.Device{Name: "db-03", Tags: []string{}})
	devices[20].Context = map[string]any{"reconcile": map[string]any{"a": []any{"<&>", 1, 2.5}}}
	devices[20].CustomFields = map[string]any{"big": 9007199254740993}
	devices[21].Serial = ""
	nb := &netboxtest.Server{Token: token, Devices: devices}
	f := declared(host("db-01"), host("db-02"), host("db-03"), host("db-04"))
	s := scan(t, nb, scopeTag, f.HostNames()...)
	ids := []int{s.ByName()["db-01"].ID, s.ByName()["db-02"].ID}
	if err := client(nb).Networks(t.Context(), s, ids); err != nil {
		t.Fatal(err)
	}
	var file, again bytes.Buffer
	if err := errors.Join(s.Write(&file), s.Write(&again)); err != nil || !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Fatal("written twice, it differs: ", err)
	}
	if strings.Contains(file.String(), token) || strings.Count(file.String(), "\n") != 24 {
		t.Errorf("the file is\n%s", file.String())
	}
	read, err := netbox.ReadSnapshot(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	again.Reset()
	if err := read.Write(&again); err != nil || !bytes.Equal(file.Bytes(), again.Bytes()) {
		t.Fatal("read and written again, it differs: ", err)
	}
	offline := &netbox.Offline{Snapshot: read}
	got, err := offline.Scan(t.Context(), scopeTag, f.HostNames())
	if err != nil {
		t.Fatal(err)
	}
	if err := offline.Networks(t.Context(), got, ids); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(netbox.Check(f, s), netbox.Check(f, got)); diff != "" {
		t.Error(diff)
	}

	// What the file does not know it does not make up.
	f.Hosts["db-05"] = host("db-05")
	got, err = offline.Scan(t.Context(), scopeTag, f.HostNames())
	if err != nil || len(got.Unasked) != 1 || got.Unasked[0] != "db-05" {
		t.Errorf("got unasked %v, %v", got.Unasked, err)
	}
	if err := offline.Networks(t.Context(), got, []int{1}); err == nil {
		t.Error("a network that is not in the file was found")
	}
	if _, err := offline.Scan(t.Context(), netbox.Scope{Site: "x"}, nil); err == nil || !strings.Contains(err.Error(), "the snapshot is of another scope (tag reconcile) than the fleet's (site x)") {
		t.Errorf("got %v", err)
	}
	if err := offline.WriteBack(t.Context(), record()); !errors.Is(err, netbox.ErrOffline) {
		t.Errorf("got %v", err)
	}
	for _, cut := range []int{10, 300, file.Len() - 2, file.Len() / 2} {
		if _, err := netbox.ReadSnapshot(bytes.NewReader(file.Bytes()[:cut])); err == nil {
			t.Errorf("a file cut at %d of %d was read", cut, file.Len())
		}
	}
	if _, err := netbox.ReadSnapshot(strings.NewReader(file.String() + `{"Device":{}}`)); err == nil {
		t.Error("a file with one device too many was read")
	}
}
