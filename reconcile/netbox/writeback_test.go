package netbox_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

func installed() *netboxtest.Server {
	return &netboxtest.Server{
		Devices:      []netboxtest.Device{{Name: "db-01", Status: "staged", CustomFields: map[string]any{"owner": "db team", "reconcile_generation": 1}}, {Name: "db-02"}},
		Platforms:    []string{"rocky-9", "rocky-9-6", "debian-13"},
		CustomFields: []netboxtest.CustomField{{Name: "reconcile_generation", Type: "integer"}, {Name: "last_installed", Type: "datetime"}},
	}
}

func record() netbox.Record {
	return netbox.Record{
		DeviceID: 1, Run: "r7x2", Commit: "4f2c9d1", Marker: "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6", Image: "rocky-9.6", Role: "db",
		Outcome: "installed", Generation: 2, Link: "https://ci.example.net/runs/7",
		Started: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC), Finished: time.Date(2026, 11, 21, 3, 12, 3, 0, time.UTC),
		Platform: "rocky-9.6", Status: "active", CustomFields: map[string]any{"not_there": 1},
	}
}

func TestWriteBack(t *testing.T) {
	for _, version := range []string{"4.2.9", "4.3.7", "4.6.8", "4.7.1"} {
		nb := installed()
		nb.Version = version
		c := client(nb)
		if err := c.WriteBack(t.Context(), record()); err != nil {
			t.Fatal(err)
		}
		writes := nb.Writes()
		if len(writes) != 2 || writes[0].Method != "PATCH" || writes[1].Method != "POST" {
			t.Fatalf("%s: got %d writes: %+v", version, len(writes), writes)
		}
		for _, w := range writes {
			if w.Query != "" {
				t.Errorf("a write has a query: %s", w.Query)
			}
		}
		var sent map[string]any
		if err := json.Unmarshal(writes[0].Body, &sent); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"status": "active", "platform": 2.0, "changelog_message": "reconcile run r7x2",
			"custom_fields": map[string]any{"reconcile_generation": 2.0, "last_installed": "2026-11-21T03:12:03Z"}}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
		if _, has := writes[0].Header["If-Match"]; has != (version >= "4.6") {
			t.Errorf("%s: If-Match sent: %v", version, has)
		}
		got := nb.Journal("db-01")
		const text = "reconcile run r7x2: installed\n\n- image: `rocky-9.6`\n- role: `db`\n- generation: 2\n- commit: `4f2c9d1`\n" +
			"- marker: `rc1.k1.7f3c2a9b.k3j2x.rocky-9.6`\n- time: 2026-11-21T03:00:00Z, took 12m3s\n- run: <https://ci.example.net/runs/7>\n"
		if len(got) != 1 || got[0].Kind != "success" || got[0].Comments != text {
			t.Errorf("%s: journal %+v", version, got)
		}
		// A repeat writes nothing, not even over what a person has changed since.
		if err := nb.Set("db-01", map[string]any{"status": "failed"}); err != nil {
			t.Fatal(err)
		}
		nb.Forget()
		if err := c.WriteBack(t.Context(), record()); err != nil || len(nb.Writes()) != 0 {
			t.Errorf("%s: the repeat wrote %v, %v", version, nb.Writes(), err)
		}
		if nb.Journal("db-02") != nil {
			t.Error("another device's journal was written to")
		}
	}
}

// A run whose id begins with another one's is another run.
func TestWriteBackRunIDs(t *testing.T) {
	nb := installed()
	for _, run := range []string{"r7x2a", "r7x2"} {
		r := record()
		r.Run = run
		if err := client(nb).WriteBack(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if got := nb.Journal("db-01"); len(got) != 2 {
		t.Errorf("got %d entries, want 2", len(got))
	}
}

func TestWriteBackFaults(t *testing.T) {
	tests := []struct {
		name    string
		fault   netboxtest.Fault
		entries int
		err     string
	}{
		{"lost answer of the update", netboxtest.Fault{Method: "PATCH", Lost: true, Times: 1}, 1, ""},
		{"lost answer of the entry", netboxtest.Fault{Method: "POST", Lost: true, Times: 1}, 1, ""},
		{"every answer to a POST is lost", netboxtest.Fault{Method: "POST", Lost: true}, 1, ""},
		{"reset before the entry", netboxtest.Fault{Method: "POST", Reset: true, Times: 2}, 1, ""},
		{"busy", netboxtest.Fault{Method: "PATCH", Status: 503, RetryAfter: "2", Times: 1}, 1, ""},
		{"HTML with 200 instead of the entry", netboxtest.Fault{Method: "POST", Status: 200, ContentType: "text/html", Body: "<p>"}, 0, ""},
		{"redirected write", netboxtest.Fault{Method: "PATCH", Redirect: "https://netbox.example.net/api/dcim/devices/1/"}, 0, "302 redirects to"},
		{"no journal to read", netboxtest.Fault{Method: "GET", Path: "journal", Status: 500}, 0, "reading journal entries from NetBox: GET /api/extras/journal-entries/: 500"},
		{"unknown enum in the answer", netboxtest.Fault{Method: "POST", Skip: 0, Body: `{"id":1,"kind":{"value":"new"}}`}, 1, ""},
		{"update refused", netboxtest.Fault{Method: "PATCH", Status: 400, Body: `{"status":["\"active\" is not a valid choice."]}`}, 1, `PATCH /api/dcim/devices/1/: 400 Bad Request: status: "active" is not a valid choice.`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nb := installed()
				nb.Faults = []netboxtest.Fault{tt.fault}
				err := client(nb).WriteBack(t.Context(), record())
				if tt.err == "" && err != nil && tt.entries > 0 || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				if got := nb.Journal("db-01"); len(got) != tt.entries {
					t.Errorf("got %d entries, want %d", len(got), tt.entries)
				}
			})
		})
	}
}

// What another has changed since it was read is looked at again.
func TestWriteBackConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nb := installed()
		nb.Faults = []netboxtest.Fault{{Method: "PATCH", Status: 412, Times: 1}}
		if err := client(nb).WriteBack(t.Context(), record()); err != nil {
			t.Fatal(err)
		}
		reads := 0
		for _, r := range nb.Requests() {
			if r.Method == "GET" && r.Path == "/api/dcim/devices/1/" {
				reads++
			}
		}
		if reads != 2 || len(nb.Journal("db-01")) != 1 {
			t.Errorf("the device was read %d times, want 2", reads)
		}
	})
}

func TestWriteBackPlatforms(t *testing.T) {
	tests := map[string]string{"rocky-9.6": "rocky-9-6", "Rocky 9.7": "rocky-9", "rocky-9": "rocky-9", "debian-13": "debian-13", "suse-15": ""}
	for name, want := range tests {
		nb := installed()
		if err := client(nb).WriteBack(t.Context(), netbox.Record{DeviceID: 1, Run: "r", Outcome: "installed", Platform: name}); err != nil {
			t.Fatal(err)
		}
		platform, _ := nb.Object("db-01")["platform"].(map[string]any)
		if got, _ := platform["slug"].(string); got != want {
			t.Errorf("platform %q: got %q, want %q", name, got, want)
		}
	}
}

// Text from machines is data in the journal, not Markdown.
func TestWriteBackHostileText(t *testing.T) {
	nb := installed()
	r := record()
	r.Outcome, r.Message, r.Link = "failed", "x`\n# owned\x1b[31m <script>", "javascript:alert(1)"
	if err := client(nb).WriteBack(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got := nb.Journal("db-01")[0]
	if !strings.Contains(got.Comments, "- message: `x' # owned[31m <script>`\n") || strings.Contains(got.Comments, "javascript") || got.Kind != "danger" {
		t.Errorf("got %s %q", got.Kind, got.Comments)
	}
}

func TestWriteBackReadOnly(t *testing.T) {
	nb := installed()
	nb.ReadOnly = true
	err := client(nb).WriteBack(t.Context(), record())
	if err == nil || !strings.Contains(err.Error(), "403") || len(nb.Journal("db-01")) != 0 {
		t.Errorf("got %v", err)
	}
}
