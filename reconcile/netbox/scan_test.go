package netbox_test

import (
	"bytes"
	stdcmp "cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

const token = "0112346789abcdef0112346789abcdef01123467"

func client(nb *netboxtest.Server) *netbox.Client {
	return &netbox.Client{URL: "https://netbox.example.net", Token: token, HTTP: &http.Client{Transport: nb.Transport()}}
}

func scan(t *testing.T, nb *netboxtest.Server, scope netbox.Scope, names ...string) *netbox.Snapshot {
	t.Helper()
	s, err := client(nb).Scan(t.Context(), scope, names)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var scopeTag = netbox.Scope{Tag: "reconcile"}

// many returns n devices.
func many(n int) []netboxtest.Device {
	out := make([]netboxtest.Device, n)
	for i := range out {
		out[i] = netboxtest.Device{Name: fmt.Sprintf("host-%05d", i), Serial: fmt.Sprintf("S%05d", i)}
	}
	return out
}

func TestScan(t *testing.T) {
	nb := &netboxtest.Server{Token: token, Devices: []netboxtest.Device{{
		Name: "db-01", Serial: " 7XK4Q33 ", AssetTag: "AT-1", Status: "provisioning", Site: "tokyo", Location: "hall-a",
		Rack: "r1", Position: 12, Role: "db", Platform: "rocky-9", Tenant: "infra", DeviceType: "r650", Manufacturer: "dell",
		OOB: "10.0.0.11/24", Primary4: "10.20.0.11/22", Primary6: "2001:db8::b/64", Tags: []string{"reconcile", "blue"},
		CustomFields: map[string]any{"generation": 3, "state": map[string]any{"value": "in", "label": "In"}},
		Context:      map[string]any{"reconcile": map[string]any{"port": 1000000, "ratio": 0.5}, "other": 1},
	}, {Name: "", Tags: []string{"reconcile"}}, {Name: "other", Tags: []string{}}}}
	got := scan(t, nb, scopeTag, "db-01")
	want := []netbox.Device{{
		ID: 1, Name: "db-01", Serial: "7XK4Q33", AssetTag: "AT-1", Status: "provisioning", Site: "tokyo", Location: "Hall A",
		Rack: "r1", Position: 12, Role: "db", Platform: "rocky-9", Tenant: "infra", DeviceType: "r650", Manufacturer: "dell",
		URL: "https://netbox.example.net/dcim/devices/1/",
		OOB: netip.MustParseAddr("10.0.0.11"), Primary4: netip.MustParsePrefix("10.20.0.11/22"), Primary6: netip.MustParsePrefix("2001:db8::b/64"),
		Tags: []string{"blue", "reconcile"}, CustomFields: map[string]any{"generation": int64(3), "state": "in"},
		Context: `{"port":1000000,"ratio":0.5}`,
	}, {
		ID: 2, Status: "active", Site: "site-1", Role: "server", DeviceType: "generic-1u", Manufacturer: "generic",
		URL: "https://netbox.example.net/dcim/devices/2/", Tags: []string{"reconcile"},
		CustomFields: map[string]any{"generation": nil, "state": nil},
	}}
	opts := cmp.Options{cmpopts.IgnoreFields(netbox.Device{}, "LastUpdated"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	// The second device was seeded before the fields were known in full.
	got.Devices[1].CustomFields = want[1].CustomFields
	if diff := cmp.Diff(want, got.Devices, opts); diff != "" {
		t.Error(diff)
	}
	if got.Version != "4.6.8" || got.Scope != scopeTag || len(got.Outside) != 0 {
		t.Errorf("got version %q, scope %v, outside %v", got.Version, got.Scope, got.Outside)
	}
	for _, r := range nb.Requests() {
		if r.Method != "GET" {
			t.Errorf("Scan sent %s %s", r.Method, r.Path)
		}
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Token "+token {
			t.Errorf("Authorization is %q", got)
		}
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	nb := &netboxtest.Server{Devices: []netboxtest.Device{
		{Name: "a", OOB: "10.0.0.1/24", Primary4: "10.1.0.1/24", CustomFields: map[string]any{"n": 7}, Context: map[string]any{"reconcile": []any{1, 2.5, "y", nil, true}}},
		{Name: "b", Tags: []string{}},
	}, Prefixes: []netboxtest.Prefix{{Prefix: "10.1.0.0/24", CustomFields: map[string]any{"gateway": "10.1.0.254"}}}}
	s := scan(t, nb, scopeTag, "a", "b")
	if err := client(nb).Networks(t.Context(), s, []int{1}); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got netbox.Snapshot
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	opts := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(s, &got, opts); diff != "" {
		t.Error(diff)
	}
}

func TestScanPages(t *testing.T) {
	for _, size := range []int{1000, 100, 7} {
		nb := &netboxtest.Server{Devices: many(1234), PageSize: size}
		s := scan(t, nb, scopeTag)
		if len(s.Devices) != 1234 {
			t.Errorf("page size %d: got %d devices", size, len(s.Devices))
		}
		if got, want := len(nb.Requests()), 1+(1234+size-1)/size; got != want {
			t.Errorf("page size %d: got %d requests, want %d", size, got, want)
		}
	}
}

func TestScanOutside(t *testing.T) {
	devices := append(many(600), netboxtest.Device{Name: "lost", Tags: []string{"blue"}})
	for i := range devices[:500] {
		devices[i].Tags = []string{}
	}
	nb := &netboxtest.Server{Devices: devices}
	names := []string{"LOST", "never-seen"}
	for i := range 600 {
		names = append(names, fmt.Sprintf("host-%05d", i))
	}
	s := scan(t, nb, scopeTag, names...)
	if len(s.Devices) != 100 || len(s.Outside) != 501 || len(s.Unasked) != 0 {
		t.Fatalf("got %d devices, %d outside, %d unasked", len(s.Devices), len(s.Outside), len(s.Unasked))
	}
	for _, r := range nb.Requests() {
		if n := len(r.Path) + len(r.Query) + len("GET ? HTTP/1.1"); n > 3800 {
			t.Errorf("a request line of %d bytes", n)
		}
	}
	nb = &netboxtest.Server{Devices: many(3), Tags: []string{"none"}}
	names = nil
	for i := range 1500 {
		names = append(names, fmt.Sprintf("host-%05d", i))
	}
	s = scan(t, nb, netbox.Scope{Tag: "none"}, names...)
	if len(s.Outside) != 3 || len(s.Unasked) != 500 {
		t.Errorf("got %d outside, %d unasked", len(s.Outside), len(s.Unasked))
	}
}

// A server that lies, or is not NetBox, never yields a snapshot.
func TestScanLies(t *testing.T) {
	tests := []struct {
		name  string
		fault netboxtest.Fault
		want  error
		text  string
	}{
		{"ignored filter", netboxtest.Fault{Path: "devices", IgnoreFilters: true}, netbox.ErrFilterIgnored, `asked for tag reconcile, it sent other (https://netbox.example.net/dcim/devices/31/), which lacks tag "reconcile"`},
		{"short page", netboxtest.Fault{Path: "devices", Skip: 1, Drop: 1}, netbox.ErrIncomplete, "the page at 27 holds 2 rows of 30, due are 3 of 30"},
		{"short first page", netboxtest.Fault{Path: "devices", Times: 2, Drop: 30}, netbox.ErrIncomplete, "count says 30, the first page holds 0"},
		{"duplicate rows", netboxtest.Fault{Path: "devices", Duplicate: true}, netbox.ErrIncomplete, "count says 30, the pages hold 27 different ones"},
		{"count too high", netboxtest.Fault{Path: "devices", Count: 1}, netbox.ErrIncomplete, "the page at 30 holds 0 rows"},
		{"count too low", netboxtest.Fault{Path: "devices", Count: -5}, netbox.ErrIncomplete, "holds 10 rows of 25, due are 5 of 25"},
		{"negative count", netboxtest.Fault{Path: "devices", Count: -31}, nil, "a page without count"},
		{"huge count", netboxtest.Fault{Path: "devices", Count: 1 << 40}, nil, "narrow the scope"},
		{"HTML with 200", netboxtest.HTML(), netbox.ErrNotNetBox, `200 text/html titled "Sign in" where JSON was due; is a proxy or a login page in between?`},
		{"HTML on a page", netboxtest.Fault{Path: "devices", Skip: 2, Status: 200, ContentType: "text/html", Body: "<p>"}, netbox.ErrNotNetBox, "200 text/html where JSON was due"},
		{"redirect", netboxtest.Fault{Redirect: "https://login.example.net/sso?token=x"}, netbox.ErrNotNetBox, "302 redirects to https://login.example.net/sso; give NetBox's final address"},
		{"huge body", netboxtest.Fault{Path: "devices", Endless: 10 << 30}, netbox.ErrNotNetBox, "larger than any page"},
		{"slow loris", netboxtest.Fault{Path: "devices", Drip: time.Minute}, nil, "no complete answer within 2m0s"},
		{"truncated", netboxtest.Fault{Path: "devices", Body: `{"count":2,"results":[{"id":1,`}, nil, "unexpected EOF"},
		{"not a page", netboxtest.Fault{Path: "devices", Body: `[]`}, nil, "not in the shape of NetBox's answers"},
		{"not NetBox", netboxtest.Fault{Path: "status", Body: `{}`}, netbox.ErrNotNetBox, "names no netbox-version"},
		{"server error", netboxtest.Fault{Path: "devices", Status: 500}, nil, "GET /api/dcim/devices/: 500 Internal Server Error"},
		{"always reset", netboxtest.Fault{Path: "devices", Reset: true}, nil, "connection reset by peer"},
		{"long Retry-After", netboxtest.Fault{Path: "devices", Status: 429, RetryAfter: "3600"}, nil, "429 Too Many Requests"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nb := &netboxtest.Server{Devices: append(many(30), netboxtest.Device{Name: "other", Tags: []string{}}), PageSize: 10, Faults: []netboxtest.Fault{tt.fault}}
				c := client(nb)
				c.Parallel = 1
				s, err := c.Scan(t.Context(), scopeTag, nil)
				if s != nil || err == nil {
					t.Fatal("the lie was believed")
				}
				if tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got  %v\nwant …%s", err, tt.text)
				}
				if strings.Contains(err.Error(), token) || len(err.Error()) > 600 || strings.Contains(err.Error(), "\n") {
					t.Errorf("the message is not fit to print: %q", err)
				}
				for _, r := range nb.Requests() {
					if r.Method != "GET" {
						t.Errorf("Scan sent %s %s", r.Method, r.Path)
					}
				}
			})
		})
	}
}

// What passes by itself is waited for.
func TestScanRetries(t *testing.T) {
	tests := []struct {
		name  string
		fault netboxtest.Fault
		wait  time.Duration
	}{
		{"503 with Retry-After", netboxtest.Fault{Path: "devices", Times: 1, Status: 503, RetryAfter: "7"}, 7 * time.Second},
		{"502", netboxtest.Fault{Path: "devices", Times: 2, Status: 502}, 3 * time.Second},
		{"reset", netboxtest.Fault{Path: "devices", Times: 1, Reset: true}, time.Second},
		{"lost answer", netboxtest.Fault{Path: "devices", Times: 1, Lost: true}, time.Second},
		{"slow", netboxtest.Fault{Path: "devices", Latency: 20 * time.Second}, 80 * time.Second},
		{"a row came meanwhile", netboxtest.Fault{Path: "devices", Times: 1, Skip: 1, Count: 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nb := &netboxtest.Server{Devices: many(35), PageSize: 10, Faults: []netboxtest.Fault{tt.fault}}
				c := client(nb)
				c.Parallel = 1
				start := time.Now()
				s, err := c.Scan(t.Context(), scopeTag, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); len(s.Devices) != 35 || got != tt.wait {
					t.Errorf("got %d devices after %v, want 35 after %v", len(s.Devices), got, tt.wait)
				}
			})
		})
	}
}

func TestScanRefusals(t *testing.T) {
	tests := []struct {
		name   string
		server *netboxtest.Server
		client *netbox.Client
		scope  netbox.Scope
		text   string
		auth   bool
	}{
		{name: "wrong token", server: &netboxtest.Server{Token: "x"}, text: "GET /api/status/: 403 Forbidden: Invalid v1 token (check the token and its permissions)", auth: true},
		{name: "no permission", server: &netboxtest.Server{Deny: []string{"dcim/devices"}}, text: "GET /api/dcim/devices/: 403 Forbidden: You do not have permission", auth: true},
		{name: "unknown tag", scope: netbox.Scope{Tag: "nope"}, text: `NetBox has no tag "nope": create it or correct policy.netbox.scope.tag`},
		{name: "unknown site", scope: netbox.Scope{Site: "mars"}, text: `NetBox has no site "mars": create it or correct policy.netbox.scope.site`},
		{name: "no token", client: &netbox.Client{URL: "https://x", Token: " \n"}, text: "no API token"},
		{name: "two lines", client: &netbox.Client{URL: "https://x", Token: "a\nb"}, text: "characters that no token has"},
		{name: "no scheme", client: &netbox.Client{URL: "netbox.example.net", Token: token}, text: "not of the form https://host"},
		{name: "user in URL", client: &netbox.Client{URL: "https://me:secret@netbox", Token: token}, text: "holds a user"},
		{name: "no CA file", client: &netbox.Client{URL: "https://x", Token: token, CAFile: "testdata/none.pem"}, text: "reading the CA file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.client
			if c == nil {
				c = client(stdcmp.Or(tt.server, &netboxtest.Server{}))
			}
			s, err := c.Scan(t.Context(), tt.scope, nil)
			if s != nil || err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got  %v\nwant …%s", err, tt.text)
			}
			if errors.Is(err, netbox.ErrAuth) != tt.auth {
				t.Errorf("errors.Is(err, ErrAuth) is %v", !tt.auth)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), token) {
				t.Errorf("the message tells a secret: %v", err)
			}
		})
	}
}

func TestTokens(t *testing.T) {
	for _, tok := range []string{token, "nbt_abcdefghijkl.0112346789"} {
		nb := &netboxtest.Server{Token: tok}
		c := client(nb)
		c.URL, c.Token = "https://netbox.example.net/api/", "  "+netboxSecret(tok)+"\n"
		if _, err := c.Scan(t.Context(), netbox.Scope{}, nil); err != nil {
			t.Errorf("token %.4s…: %v", tok, err)
		}
		scheme, _, _ := strings.Cut(nb.Requests()[0].Header["Authorization"][0], " ")
		if want := map[bool]string{true: "Bearer", false: "Token"}[strings.HasPrefix(tok, "nbt_")]; scheme != want {
			t.Errorf("token %.4s… was sent as %s, want %s", tok, scheme, want)
		}
	}
}

// The role filter also finds the children of a role since 4.3.
func TestScanChildRoles(t *testing.T) {
	nb := &netboxtest.Server{}
	err := nb.Load(roleTree)
	if err != nil {
		t.Fatal(err)
	}
	nb.Faults = []netboxtest.Fault{{Path: "devices", IgnoreFilters: true}}
	s := scan(t, nb, netbox.Scope{Role: "server"})
	if len(s.Devices) != 1 || s.Devices[0].Name != "parent" {
		t.Errorf("got %+v", s.Devices)
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		nb := &netboxtest.Server{Version: "9.9.9", Devices: many(1), Faults: []netboxtest.Fault{{Status: 503, Times: 3}}}
		c := client(nb)
		c.Logger = slog.New(slog.NewJSONHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if _, err := c.Scan(t.Context(), scopeTag, nil); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&buf, "%v %+v", c.Token, c.Token)
		if strings.Contains(buf.String(), token) || !strings.Contains(buf.String(), "newer than 4.7") {
			t.Errorf("got log %s", buf.String())
		}
	})
}
