package netboxtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// ask sends one request and returns status, decoded body and header.
func ask(t *testing.T, rt http.RoundTripper, method, path, body string, header ...string) (int, any, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://netbox.example.net"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") && len(data) > 0 {
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, data)
		}
	}
	return resp.StatusCode, v, resp.Header
}

// at walks into decoded JSON by keys and indices.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			s, _ := v.([]any)
			if p >= len(s) {
				return nil
			}
			v = s[p]
		}
	}
	return v
}

func fleet() *netboxtest.Server {
	return &netboxtest.Server{
		Devices: []netboxtest.Device{
			{Name: "db-01", Serial: "A1", Site: "tokyo", Rack: "r1", OOB: "10.0.0.11/24", Primary4: "10.20.0.11/24"},
			{Name: "db-02", Serial: "A2", Site: "tokyo", Rack: "r1", Tags: []string{}},
			{Name: "web-01", Serial: "A3", Site: "osaka", Role: "web"},
		},
		CustomFields: []netboxtest.CustomField{{Name: "generation", Type: "integer"}},
		Platforms:    []string{"rocky-9"},
	}
}

func TestLists(t *testing.T) {
	tests := []struct {
		name, query string
		status      int
		count       float64
		rows        int
	}{
		{"tag", "tag=reconcile", 200, 2, 2},
		{"name in another case", "name=DB-01", 200, 1, 1},
		{"two names", "name=db-01&name=db-02", 200, 2, 2},
		{"unknown filter is ignored", "name__in=db-01", 200, 3, 3},
		{"cursor is ignored", "start=0&limit=1", 200, 3, 1},
		{"unknown slug", "site=kyoto", 400, 0, 0},
		{"site and role", "site=osaka&role=web", 200, 1, 1},
		{"page", "limit=2&offset=2", 200, 3, 1},
		{"behind the end", "limit=2&offset=9", 200, 3, 0},
	}
	nb := fleet()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, v, _ := ask(t, nb.Transport(), "GET", "/api/dcim/devices/?"+tt.query, "")
			if status != tt.status {
				t.Fatalf("got status %d, want %d: %v", status, tt.status, v)
			}
			if tt.status != 200 {
				return
			}
			rows, _ := at(v, "results").([]any)
			if at(v, "count") != tt.count || len(rows) != tt.rows {
				t.Errorf("got count %v and %d rows, want %v and %d", at(v, "count"), len(rows), tt.count, tt.rows)
			}
		})
	}
}

func TestProjection(t *testing.T) {
	nb := fleet()
	tests := []struct {
		query string
		has   []string
		lacks []string
	}{
		{"brief=false", []string{"id", "name"}, []string{"serial", "config_context"}},
		{"fields=id,serial", []string{"id", "serial"}, []string{"name"}},
		{"exclude=config_context", []string{"serial"}, []string{"config_context"}},
		{"brief=1&fields=serial", []string{"serial"}, []string{"name"}},
		{"", []string{"config_context", "owner", "custom_fields"}, []string{"cooling_method"}},
	}
	for _, tt := range tests {
		_, v, _ := ask(t, nb.Transport(), "GET", "/api/dcim/devices/?"+tt.query, "")
		row, _ := at(v, "results", 0).(map[string]any)
		for _, key := range tt.has {
			if _, ok := row[key]; !ok {
				t.Errorf("%q: key %q is missing", tt.query, key)
			}
		}
		for _, key := range tt.lacks {
			if _, ok := row[key]; ok {
				t.Errorf("%q: key %q is there", tt.query, key)
			}
		}
	}
}

func TestPatch(t *testing.T) {
	nb := fleet()
	rt := nb.Transport()
	status, v, _ := ask(t, rt, "PATCH", "/api/dcim/devices/1/", `{"status":"staged","nonsense":1,"platform":{"slug":"rocky-9"},"custom_fields":{"generation":4}}`)
	if status != 200 || at(v, "status", "value") != "staged" || at(v, "platform", "slug") != "rocky-9" || at(v, "custom_fields", "generation") != 4.0 {
		t.Errorf("got %d %v", status, v)
	}
	if _, v, _ := ask(t, rt, "PATCH", "/api/dcim/devices/1/?fields=id,name", `{"status":"active"}`); at(nb.Object("db-01"), "status", "value") != "staged" {
		t.Errorf("an input outside fields= was taken: %v", v)
	}
	for _, tt := range []struct{ body, want string }{
		{`{"platform":{"slug":"nope"}}`, `{"platform":["Related object not found using the provided attributes: {'slug': 'nope'}"]}`},
		{`{"custom_fields":{"nope":1}}`, `{"custom_fields":{"nope":"Custom field 'nope' does not exist for this object type."}}`},
		{`{"custom_fields":{"generation":"x"}}`, `{"__all__":["Invalid value for custom field 'generation': Value must be an integer."]}`},
		{`{"status":"broken"}`, `{"status":["\"broken\" is not a valid choice."]}`},
	} {
		status, v, _ := ask(t, rt, "PATCH", "/api/dcim/devices/1/", tt.body)
		if got, _ := json.Marshal(v); status != 400 || string(got) != tt.want {
			t.Errorf("%s: got %d %s, want 400 %s", tt.body, status, got, tt.want)
		}
	}
	_, v, _ = ask(t, rt, "PATCH", "/api/dcim/devices/", `[{"id":1,"serial":"B1"},{"id":99,"serial":"B9"}]`)
	if rows, _ := v.([]any); len(rows) != 1 {
		t.Errorf("bulk with one unknown id: got %d rows, want 1", len(rows))
	}
}

func TestIfMatch(t *testing.T) {
	nb := fleet()
	_, _, h := ask(t, nb.Transport(), "GET", "/api/dcim/devices/1/", "")
	if status, _, _ := ask(t, nb.Transport(), "PATCH", "/api/dcim/devices/1/", `{"serial":"X"}`, "If-Match", h.Get("ETag")); status != 200 {
		t.Errorf("current ETag: got %d", status)
	}
	if status, _, _ := ask(t, nb.Transport(), "PATCH", "/api/dcim/devices/1/", `{"serial":"Y"}`, "If-Match", h.Get("ETag")); status != 412 {
		t.Errorf("stale ETag: got %d, want 412", status)
	}
	old := fleet()
	old.Version = "4.4.10"
	if status, _, _ := ask(t, old.Transport(), "PATCH", "/api/dcim/devices/1/", `{"serial":"Y"}`, "If-Match", "stale"); status != 200 {
		t.Errorf("4.4 must ignore If-Match, got %d", status)
	}
}

func TestAuthorization(t *testing.T) {
	tests := []struct {
		version, token, header string
		status                 int
		detail                 string
	}{
		{"4.6.8", "abc", "Token abc", 200, ""},
		{"4.6.8", "nbt_k.s", "Bearer nbt_k.s", 200, ""},
		{"4.6.8", "abc", "Token other", 403, "Invalid v1 token"},
		{"4.6.8", "abc", "", 403, "Authentication credentials were not provided."},
		{"4.3.7", "abc", "Token other", 403, "Invalid token"},
		{"4.3.7", "abc", "Bearer abc", 403, "Authentication credentials were not provided."},
	}
	for _, tt := range tests {
		nb := &netboxtest.Server{Version: tt.version, Token: tt.token}
		status, v, _ := ask(t, nb.Transport(), "GET", "/api/status/", "", "Authorization", tt.header)
		if detail, _ := at(v, "detail").(string); status != tt.status || detail != tt.detail {
			t.Errorf("%s, %q: got %d %q, want %d %q", tt.version, tt.header, status, detail, tt.status, tt.detail)
		}
	}
}

func TestMissingSlash(t *testing.T) {
	for version, want := range map[string]int{"4.2.9": 301, "4.4.10": 301, "4.5.10": 404, "4.6.8": 404} {
		nb := fleet()
		nb.Version = version
		if status, _, _ := ask(t, nb.Transport(), "PATCH", "/api/dcim/devices/1", `{}`); status != want {
			t.Errorf("%s: got %d, want %d", version, status, want)
		}
	}
}

func TestJournal(t *testing.T) {
	nb := fleet()
	status, _, _ := ask(t, nb.Transport(), "POST", "/api/extras/journal-entries/",
		`{"assigned_object_type":"dcim.device","assigned_object_id":1,"kind":"success","comments":"run 7"}`)
	if got := nb.Journal("db-01"); status != 201 || len(got) != 1 || got[0].Comments != "run 7" {
		t.Fatalf("got %d, journal %v", status, got)
	}
	_, v, _ := ask(t, nb.Transport(), "GET", "/api/extras/journal-entries/?assigned_object_type=dcim.device&assigned_object_id=1&q=RUN+7", "")
	if at(v, "count") != 1.0 {
		t.Errorf("search found %v entries, want 1", at(v, "count"))
	}
	if status, _, _ := ask(t, nb.Transport(), "POST", "/api/extras/journal-entries/", `{"assigned_object_type":"dcim.device","assigned_object_id":1,"comments":""}`); status != 400 {
		t.Errorf("blank comments: got %d, want 400", status)
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nb := fleet()
		nb.Faults = []netboxtest.Fault{
			{Path: "devices", Times: 1, Status: 503, RetryAfter: "3"},
			{Path: "devices", Times: 1, Reset: true},
			{Method: "PATCH", Lost: true, Times: 1},
			{Path: "devices", Latency: time.Hour},
		}
		rt := nb.Transport()
		if status, _, h := ask(t, rt, "GET", "/api/dcim/devices/", ""); status != 503 || h.Get("Retry-After") != "3" {
			t.Errorf("got %d, Retry-After %q", status, h.Get("Retry-After"))
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://x/api/dcim/devices/", nil)
		if _, err := rt.RoundTrip(req); err == nil {
			t.Error("a reset connection gave an answer")
		}
		req, _ = http.NewRequestWithContext(t.Context(), "PATCH", "http://x/api/dcim/devices/1/", strings.NewReader(`{"serial":"Z"}`))
		if _, err := rt.RoundTrip(req); err == nil || at(nb.Object("db-01"), "serial") != "Z" {
			t.Errorf("a lost answer: error %v, serial %v; want an error and the write done", err, at(nb.Object("db-01"), "serial"))
		}
		start := time.Now()
		ask(t, rt, "GET", "/api/dcim/devices/", "")
		if got := time.Since(start); got != time.Hour {
			t.Errorf("latency: got %v", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, _ = http.NewRequestWithContext(ctx, "GET", "http://x/api/dcim/devices/", nil)
		if _, err := rt.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
	})
}

func TestRequestsAndSocket(t *testing.T) {
	nb := fleet()
	srv := httptest.NewServer(nb)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/api/dcim/interfaces/?device_id=1")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := nb.Requests()
	if len(got) != 1 || got[0].Path != "/api/dcim/interfaces/" || got[0].Query != "device_id=1" || got[0].Status != 200 || len(nb.Writes()) != 0 {
		t.Errorf("got %+v", got)
	}
}
