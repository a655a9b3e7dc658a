package bmctest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	genericSystem = rootURI + "/Systems/1"
	genericDrive  = genericSystem + "/VirtualMedia/Cd"
	genericReset  = genericSystem + "/Actions/ComputerSystem.Reset"
)

// TestZeroValue uses a BMC that nothing was said about.
func TestZeroValue(t *testing.T) {
	k := &bench{t: t, bmc: &BMC{}}
	t.Cleanup(k.bmc.Close)
	sys := k.get(genericSystem)
	if sys["PowerState"] != "Off" || sys["AssetTag"] != "" || sys["SerialNumber"] == "" {
		t.Errorf("%v", sys)
	}
	k.must(http.MethodPatch, genericSystem, object{"AssetTag": "x1"})
	if got := k.get(genericSystem)["AssetTag"]; got != "x1" || k.bmc.Tag() != "x1" {
		t.Errorf("asset tag %v, %q", got, k.bmc.Tag())
	}
	for _, uri := range []string{"/Storage/1/Drives/0", "/EthernetInterfaces/1"} {
		k.get(genericSystem + uri)
	}
}

// TestLinksResolve follows every link of every vendor that leads to a resource
// which a client of this project reads.
func TestLinksResolve(t *testing.T) {
	for _, v := range append(Vendors(), CiscoCIMC, HuaweiIBMC, FujitsuIRMC) {
		t.Run(v.name(), func(t *testing.T) {
			k := newBench(t, &BMC{Vendor: v}, nil)
			seen := map[string]bool{}
			var visit func(uri string)
			visit = func(uri string) {
				if seen[uri] || strings.Contains(uri, "#") {
					return
				}
				seen[uri] = true
				k.follow(k.get(uri), visit)
			}
			visit(rootURI)
			if len(seen) < 10 {
				t.Errorf("only %d resources", len(seen))
			}
		})
	}
}

// follow calls visit for every link in a body.
func (k *bench) follow(v any, visit func(string)) {
	switch v := v.(type) {
	case object:
		if uri, ok := v["@odata.id"].(string); ok {
			visit(uri)
		}
		// A GB300 names a ResetActionInfo that it does not have.
		if uri, ok := v["@Redfish.ActionInfo"].(string); ok && strings.HasSuffix(uri, "/ResetActionInfo") && k.bmc.Vendor != GB300 {
			visit(uri)
		}
		for _, inner := range v {
			k.follow(inner, visit)
		}
	case []any:
		for _, inner := range v {
			k.follow(inner, visit)
		}
	}
}

func TestAuthentication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Username: "admin", Password: "hunter2", Quirks: &Quirks{SessionLimit: 2, SessionTimeout: time.Minute}}, nil)
		basic := func(user, password string) []string {
			r := &http.Request{Header: http.Header{}}
			r.SetBasicAuth(user, password)
			return []string{"Authorization", r.Header.Get("Authorization")}
		}
		want := func(what string, status, want int) {
			t.Helper()
			if status != want {
				t.Errorf("%s: %d, want %d", what, status, want)
			}
		}
		status, _, _ := k.do("GET", rootURI, nil)
		want("the service root without a login", status, 200)
		status, h, _ := k.do("GET", genericSystem, nil)
		want("the system without a login", status, 401)
		if h.Get("WWW-Authenticate") == "" {
			t.Error("401 without WWW-Authenticate")
		}
		status, _, _ = k.do("GET", genericSystem, nil, basic("admin", "wrong")...)
		want("a wrong password", status, 401)
		status, _, _ = k.do("GET", genericSystem, nil, basic("admin", "hunter2")...)
		want("the right one", status, 200)
		status, _, _ = k.do("POST", sessionsURI, object{"UserName": "admin", "Password": "wrong"})
		want("a session with a wrong password", status, 401)
		login := object{"UserName": "admin", "Password": "hunter2"}
		status, h, _ = k.do("POST", sessionsURI, login)
		want("a session", status, 201)
		token := []string{"X-Auth-Token", h.Get("X-Auth-Token")}
		location := h.Get("Location")
		status, _, _ = k.do("GET", genericSystem, nil, token...)
		want("the system in a session", status, 200)
		k.do("POST", sessionsURI, login)
		status, _, out := k.do("POST", sessionsURI, login)
		want("one session too many", status, 503)
		if !strings.Contains(text(out), "SessionLimitExceeded") {
			t.Errorf("%v", out)
		}
		status, _, _ = k.do("DELETE", location, nil, token...)
		want("the end of a session", status, 204)
		status, _, _ = k.do("GET", genericSystem, nil, token...)
		want("the system after its end", status, 401)
		if n := k.bmc.Sessions(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		time.Sleep(2 * time.Minute)
		if n := k.bmc.Sessions(); n != 0 {
			t.Errorf("%d sessions after their time", n)
		}
		for _, r := range k.bmc.Requests() {
			if strings.Contains(r.Path+r.Query+r.IfMatch, "hunter2") {
				t.Errorf("a password in the log: %+v", r)
			}
		}
	})
}

func TestETags(t *testing.T) {
	tests := []struct {
		name   string
		quirks Quirks
		match  func(current string) string
		want   int
	}{
		{"none needed", Quirks{CheckIfMatch: true}, func(string) string { return "" }, 204},
		{"current", Quirks{CheckIfMatch: true}, func(s string) string { return s }, 204},
		{"stale", Quirks{CheckIfMatch: true}, func(string) string { return `"old"` }, 412},
		{"any", Quirks{CheckIfMatch: true}, func(string) string { return "*" }, 204},
		{"missing", Quirks{NeedIfMatch: true}, func(string) string { return "" }, 428},
		{"weak as it is", Quirks{CheckIfMatch: true, WeakETags: true}, func(s string) string { return s }, 204},
		{"weak made strong", Quirks{CheckIfMatch: true, WeakETags: true}, func(s string) string { return strings.TrimPrefix(s, "W/") }, 412},
		{"wildcard only", Quirks{WildcardOnlyMatch: true}, func(s string) string { return s }, 412},
		{"wildcard", Quirks{WildcardOnlyMatch: true}, func(string) string { return "*" }, 204},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newBench(t, &BMC{Quirks: &tt.quirks}, nil)
			_, h, _ := k.do("GET", genericSystem, nil)
			var header []string
			if m := tt.match(h.Get("ETag")); m != "" {
				header = []string{"If-Match", m}
			}
			if status, _, _ := k.do("PATCH", genericSystem, object{"AssetTag": "x"}, header...); status != tt.want {
				t.Errorf("%d, want %d", status, tt.want)
			}
			if status, _, _ := k.do("GET", genericSystem, nil, "If-None-Match", h.Get("ETag")); (status == 304) != (tt.want != 204) {
				t.Errorf("If-None-Match: %d after %d", status, tt.want)
			}
		})
	}
}

func TestTagQuirks(t *testing.T) {
	long := strings.Repeat("x", 40)
	tests := []struct {
		name   string
		quirks Quirks
		write  string
		status int
		want   string // what is read then
		after  string // what is read after the machine started
	}{
		{"plain", Quirks{}, "a", 204, "a", "a"},
		{"read-only", Quirks{TagReadOnly: true}, "a", 400, "old", "old"},
		{"ignored", Quirks{TagIgnored: true}, "a", 204, "old", "old"},
		{"too long", Quirks{TagMax: 32}, long, 400, "old", "old"},
		{"cut", Quirks{TagMax: 32, TagCuts: true}, long, 204, long[:32], long[:32]},
		{"padded", Quirks{TagPads: true}, "", 204, strings.Repeat(" ", 32), strings.Repeat(" ", 32)},
		{"staged", Quirks{TagStaged: true}, "a", 204, "old", "a"},
		{"lost at power-on", Quirks{TagLost: true}, "a", 204, "a", ""},
		{"locked", Quirks{Locked: true}, "a", 403, "old", "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBench(t, &BMC{Quirks: &tt.quirks, AssetTag: "old"}, nil)
				status, _, _ := k.do("PATCH", genericSystem, object{"AssetTag": tt.write})
				if got := k.get(genericSystem)["AssetTag"]; status != tt.status || got != tt.want {
					t.Errorf("%d %q, want %d %q", status, got, tt.status, tt.want)
				}
				k.do("POST", genericReset, object{"ResetType": "On"})
				time.Sleep(time.Minute)
				if got := k.get(genericSystem)["AssetTag"]; got != tt.after {
					t.Errorf("after power-on %q, want %q", got, tt.after)
				}
			})
		})
	}
}

func TestPowerQuirks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Machine{Disk: &Disk{}, Running: true}
		q := &Quirks{PowerLag: 30 * time.Second, ReportPowering: true, OnRefused: time.Minute, SameStateError: true}
		k := newBench(t, &BMC{Machine: m, Quirks: q}, nil)
		power := func() any { return k.get(genericSystem)["PowerState"] }
		reset := func(kind string) int {
			status, _, _ := k.do("POST", genericReset, object{"ResetType": kind})
			return status
		}
		steps := []struct {
			reset string
			want  int
			wait  time.Duration
			power string
		}{
			{"On", 400, 0, "On"},
			{"Sideways", 400, 0, "On"},
			{"ForceOff", 204, time.Second, "PoweringOff"},
			{"", 0, 30 * time.Second, "Off"},
			{"On", 409, 0, "Off"},
			{"ForceOff", 400, 0, "Off"},
			{"", 0, time.Minute, "Off"},
			{"On", 204, time.Second, "PoweringOn"},
			{"", 0, 30 * time.Second, "On"},
			{"GracefulShutdown", 204, time.Second, "Off"},
		}
		for i, s := range steps {
			if s.reset != "" {
				if got := reset(s.reset); got != s.want {
					t.Errorf("step %d, %s: %d, want %d", i, s.reset, got, s.want)
				}
			}
			time.Sleep(s.wait)
			if got := power(); got != s.power {
				t.Errorf("step %d, %s: power %v, want %s", i, s.reset, got, s.power)
			}
		}
	})
}
