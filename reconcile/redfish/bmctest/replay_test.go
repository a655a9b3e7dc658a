package bmctest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// recording is a small recorded BMC.
func recording() fstest.MapFS {
	return fstest.MapFS{
		"redfish/v1/index.json": {Data: []byte(`{"@odata.id":"/redfish/v1"}`)},
		"redfish/v1/Systems/1/index.json": {Data: []byte(`{"AssetTag":"","PowerState":"On","Boot":{"BootSourceOverrideTarget":"None"},
			"Actions":{"#ComputerSystem.Reset":{"target":"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}}}`)},
		"redfish/v1/Systems/1/VirtualMedia/1/index.json": {Data: []byte(`{"Image":null,"Inserted":false,"ConnectedVia":"NotConnected",
			"Actions":{"#VirtualMedia.InsertMedia":{"target":"/redfish/v1/Systems/1/VirtualMedia/1/Actions/VirtualMedia.InsertMedia"}}}`)},
		"redfish/v1/Systems/2/index.json": {Data: []byte(`{`)},
	}
}

// send sends a request to a Replay.
func send(t *testing.T, p *Replay, method, path string, body object) (int, object) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "https://bmc.example"+rootURI+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := object{}
	if resp.StatusCode != http.StatusNoContent {
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, out
}

func TestReplay(t *testing.T) {
	const sys, drive = "/Systems/1", "/Systems/1/VirtualMedia/1"
	steps := []struct {
		method, path string
		body         object
		want         int
		read, key    string // a property to read then, of which resource
		value        any
	}{
		{"GET", "/Chassis", nil, 404, "", "", nil},
		{"GET", "/../../etc", nil, 404, "", "", nil},
		{"GET", "/Systems/2", nil, 500, "", "", nil},
		{"PATCH", sys, object{"AssetTag": "a", "Nonsense": 1}, 400, sys, "AssetTag", ""},
		{"PATCH", sys, object{"AssetTag": "a"}, 204, sys, "AssetTag", "a"},
		{"PATCH", sys, object{"Boot": object{"BootSourceOverrideTarget": "Cd"}}, 204, sys, "PowerState", "On"},
		{"POST", sys + "/Actions/ComputerSystem.Reset", object{"ResetType": "ForceOff"}, 204, sys, "PowerState", "Off"},
		{"POST", sys + "/Actions/ComputerSystem.Reset", object{"ResetType": "Sideways"}, 400, sys, "PowerState", "Off"},
		{"POST", drive + "/Actions/VirtualMedia.InsertMedia", object{"Image": testISO}, 204, drive, "Image", testISO},
		{"POST", drive + "/Actions/VirtualMedia.EjectMedia", object{}, 404, drive, "Inserted", true},
		{"PATCH", drive, object{"Image": nil, "Inserted": false}, 204, drive, "ConnectedVia", "NotConnected"},
		{"DELETE", sys, nil, 405, "", "", nil},
	}
	p := &Replay{FS: recording()}
	for i, s := range steps {
		if got, out := send(t, p, s.method, s.path, s.body); got != s.want {
			t.Errorf("step %d, %s %s: %d %v, want %d", i, s.method, s.path, got, out, s.want)
		}
		if s.read == "" {
			continue
		}
		if _, out := send(t, p, "GET", s.read, nil); out[s.key] != s.value {
			t.Errorf("step %d: %s is %v, want %v", i, s.key, out[s.key], s.value)
		}
	}
	if got := len(p.Requests()); got <= len(steps) {
		t.Errorf("%d requests in the log", got)
	}
}

// TestReplayDumps reads the system of every dump of a real machine.
func TestReplayDumps(t *testing.T) {
	if _, err := os.Stat(dumps); err != nil {
		t.Skip("no dumps of real BMCs beside this repository")
	}
	for name := range dumpOf {
		p := &Replay{FS: os.DirFS(filepath.Join(dumps, name))}
		status, out := send(t, p, "GET", "/Systems", nil)
		members, _ := out["Members"].([]any)
		if status != 200 || len(members) == 0 {
			t.Errorf("%s: %d, %d systems", name, status, len(members))
		}
	}
}
