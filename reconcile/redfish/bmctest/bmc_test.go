package bmctest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
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

func TestFaults(t *testing.T) {
	get := func(k *bench) (int, object) { s, _, o := k.do("GET", genericSystem, nil); return s, o }
	write := func(k *bench) (int, object) {
		s, _, o := k.do("PATCH", genericSystem, object{"AssetTag": "new"})
		return s, o
	}
	tests := []struct {
		name   string
		fault  Fault
		do     func(*bench) (int, object)
		status int
		answer string // part of it
		tag    string // afterwards
	}{
		{"unavailable", Fault{Status: 503, RetryAfter: 7 * time.Second}, get, 503, "GeneralError", "old"},
		{"precondition", Fault{Method: "PATCH", Status: 412, MessageID: "Base.1.12.PreconditionFailed"}, write, 412, "PreconditionFailed", "old"},
		{"connection reset", Fault{Reset: true}, write, 0, "connection reset", "old"},
		{"connection reset after the effect", Fault{ResetAfter: true}, write, 0, "connection reset", "new"},
		{"no effect", Fault{Method: "PATCH", NoEffect: true}, write, 204, "", "old"},
		{"lost afterwards", Fault{Method: "PATCH", Then: (*BMC).LoseTag}, write, 204, "", ""},
		{"truncated", Fault{Truncate: true}, get, 200, "unexpected EOF", "old"},
		{"hostile", Fault{Body: `{"PowerState": 7, "AssetTag": ["x"]}`}, get, 200, `["x"]`, "old"},
		{"of another path", Fault{Path: "*/Chassis/*", Status: 500}, get, 200, `"old"`, "old"},
		{"of another method", Fault{Method: "POST", Status: 500}, get, 200, `"old"`, "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newBench(t, &BMC{AssetTag: "old", Faults: []Fault{tt.fault}}, nil)
			status, out := tt.do(k)
			if status != tt.status || !strings.Contains(text(out), tt.answer) {
				t.Errorf("%d %s, want %d %s", status, text(out), tt.status, tt.answer)
			}
			if got := k.bmc.Tag(); got != tt.tag {
				t.Errorf("asset tag %q, want %q", got, tt.tag)
			}
			log := k.bmc.Requests()
			if len(log) != 1 || log[0].Status != tt.status {
				t.Errorf("log %+v", log)
			}
		})
	}
}

// TestFaultCounts arms faults for later requests.
func TestFaultCounts(t *testing.T) {
	tests := []struct {
		name  string
		fault Fault
		want  []int
	}{
		{"first", Fault{Status: 500}, []int{500, 200, 200, 200}},
		{"third", Fault{Status: 500, Nth: 3}, []int{200, 200, 500, 200}},
		{"second and third", Fault{Status: 500, Nth: 2, Times: 2}, []int{200, 500, 500, 200}},
		{"from the second on", Fault{Status: 500, Nth: 2, Times: -1}, []int{200, 500, 500, 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := newBench(t, &BMC{}, nil)
			k.bmc.Arm(tt.fault)
			var got []int
			for range tt.want {
				status, _, _ := k.do("GET", rootURI, nil)
				got = append(got, status)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			k.bmc.Disarm()
			if status, _, _ := k.do("GET", rootURI, nil); status != 200 {
				t.Errorf("disarmed: %d", status)
			}
		})
	}
}

func TestGlobMatch(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          bool
	}{
		{"", "/redfish/v1", true},
		{"/Systems/1", "/redfish/v1/Systems/1", true},
		{"/Systems/1", "/redfish/v1/Systems/11", false},
		{"*/Systems/*/Actions/*", "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", true},
		{"*InsertMedia", "/redfish/v1/x/VirtualMedia.InsertMedia", true},
		{"/redfish/v1", "/redfish/v1", true},
		{"/redfish/v1*", "/redfish/v1/Systems", true},
		{"/Systems*", "/redfish/v1/Systems", false},
		{"*a*a*", "/a", false},
	}
	for _, tt := range tests {
		if got := globMatch(tt.pattern, tt.path); got != tt.want {
			t.Errorf("%q, %q: %v", tt.pattern, tt.path, got)
		}
	}
}

// TestMediaFaults takes the medium away, or the power, while a machine installs.
func TestMediaFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*BMC)
		want Power
	}{
		{"dropped", (*BMC).DropMedia, On},
		{"plug pulled", (*BMC).PullPlug, Off},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBench(t, &BMC{Machine: &Machine{InstallTime: 10 * time.Minute, Chunk: 8 << 10}}, patchedISO(t, isoOptions{}))
				k.bootCD()
				time.Sleep(5 * time.Minute)
				k.bmc.Arm(Fault{Method: "GET", Then: tt.do})
				k.get(genericSystem)
				time.Sleep(time.Hour)
				if _, ok := k.bmc.Machine.Installed(); ok || k.bmc.Power() != tt.want {
					t.Errorf("installed %v, power %s, want %s; %s", ok, k.bmc.Power(), tt.want, k.screen())
				}
			})
		})
	}
}

func TestInsertRules(t *testing.T) {
	image := patchedISO(t, isoOptions{})
	tests := []struct {
		name   string
		quirks Quirks
		body   object
		want   int
	}{
		{"plain", Quirks{}, object{"Image": testISO}, 204},
		{"no image", Quirks{}, object{}, 400},
		{"unknown parameter", Quirks{}, object{"Image": testISO, "Speed": 1}, 400},
		{"no licence", Quirks{NoMediaLicence: true}, object{"Image": testISO}, 403},
		{"protocol missing", Quirks{NeedProtocolType: true}, object{"Image": testISO}, 400},
		{"protocol given", Quirks{NeedProtocolType: true}, object{"Image": testISO, "TransferProtocolType": "HTTPS"}, 204},
		{"login missing", Quirks{NeedLogin: true}, object{"Image": testISO}, 400},
		{"not streamed", Quirks{StreamOnly: true}, object{"Image": testISO, "TransferMethod": "Upload"}, 400},
		{"too long", Quirks{MaxURL: 30}, object{"Image": testISO}, 400},
		{"no suffix", Quirks{NeedISOSuffix: true}, object{"Image": "https://media.example/a.img"}, 400},
		{"no host", Quirks{}, object{"Image": "/a.iso"}, 400},
		{"task", Quirks{InsertByTask: true, InsertLag: time.Second}, object{"Image": testISO}, 202},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newBench(t, &BMC{Quirks: &tt.quirks}, image)
				status, _, out := k.do("POST", genericDrive+"/Actions/VirtualMedia.InsertMedia", tt.body)
				if status != tt.want {
					t.Errorf("%d %v, want %d", status, out, tt.want)
				}
				if tt.quirks.InsertLag > 0 && k.bmc.Inserted() != "" {
					t.Error("inserted at once")
				}
				time.Sleep(tt.quirks.InsertLag)
				if got := k.bmc.Inserted() != ""; got != (tt.want/100 == 2) {
					t.Errorf("inserted: %v after %d", got, status)
				}
			})
		})
	}
}

// TestBootOptions reads the label that an installation gave to its boot entry.
func TestBootOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ks := strings.Replace(testKickstart, "poweroff\n", "%post\nefibootmgr -c -d /dev/sda -L \"rc1:abc\"\n%end\npoweroff\n", 1)
		k := newBench(t, &BMC{Machine: &Machine{PostTime: time.Minute}}, patchedISO(t, isoOptions{files: map[string]string{"/ks.cfg": ks}}))
		labels := func() (all []string) {
			members, _ := k.get(genericSystem + "/BootOptions")["Members"].([]any)
			for _, m := range members {
				all = append(all, k.get(m.(object)["@odata.id"].(string))["DisplayName"].(string))
			}
			return all
		}
		k.bootCD()
		until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
		if got := labels(); len(got) != 1 {
			t.Errorf("before the next start: %q", got)
		}
		k.must("POST", genericReset, object{"ResetType": "On"})
		until(t, time.Hour, "the OS", func() bool { return k.bmc.Machine.Stage() == StageOS })
		if got := labels(); len(got) != 2 || got[1] != "rc1:abc" {
			t.Errorf("after it: %q", got)
		}
	})
}

// TestTask follows the task of an insertion to its end.
func TestTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Quirks: &Quirks{InsertByTask: true, InsertLag: 5 * time.Second, TaskHost: "https://elsewhere.example"}}, patchedISO(t, isoOptions{}))
		status, h, _ := k.do("POST", genericDrive+"/Actions/VirtualMedia.InsertMedia", object{"Image": testISO})
		monitor, ours := strings.CutPrefix(h.Get("Location"), "https://elsewhere.example")
		if status != 202 || !ours {
			t.Fatalf("%d, Location %q", status, h.Get("Location"))
		}
		for i, want := range []int{202, 204, 404} {
			if i > 0 {
				time.Sleep(5 * time.Second)
			}
			if status, _, _ := k.do("GET", monitor, nil); status != want {
				t.Errorf("monitor, read %d: %d, want %d", i, status, want)
			}
		}
		if got := k.get(tasksURI + "/Tasks/1")["TaskState"]; got != "Completed" {
			t.Errorf("task is %v", got)
		}
	})
}

// TestInsertTwice holds that a drive must be emptied first, and given time.
func TestInsertTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Quirks: &Quirks{EjectLag: time.Second}}, patchedISO(t, isoOptions{}))
		insert, eject := genericDrive+"/Actions/VirtualMedia.InsertMedia", genericDrive+"/Actions/VirtualMedia.EjectMedia"
		for i, step := range []struct {
			path string
			wait time.Duration
			want int
		}{
			{insert, 0, 204}, {insert, 0, 400}, {eject, 0, 204}, {insert, 2 * time.Second, 500}, {insert, 0, 204}, {eject, 0, 204}, {eject, 0, 204},
		} {
			if status, _, out := k.do("POST", step.path, object{"Image": testISO}); status != step.want && step.path == insert {
				t.Errorf("step %d: %d %v, want %d", i, status, out, step.want)
			}
			time.Sleep(step.wait)
		}
	})
}

// TestOverNetwork serves a BMC over TLS: faults look the same as in process.
func TestOverNetwork(t *testing.T) {
	b := &BMC{Faults: []Fault{{Path: "/Systems", Reset: true}, {Path: "/Chassis", Truncate: true}}}
	srv := httptest.NewTLSServer(b)
	t.Cleanup(srv.Close)
	t.Cleanup(b.Close)
	client := srv.Client()
	if resp, err := client.Get(srv.URL + rootURI + "/Systems"); err == nil {
		resp.Body.Close()
		t.Errorf("reset: %d", resp.StatusCode)
	} else if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", err)
	}
	resp, err := client.Get(srv.URL + rootURI + "/Chassis")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("truncated: %v", err)
	}
	resp, err = client.Get(srv.URL + rootURI)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

func TestTransportHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &BMC{Latency: time.Minute}
		t.Cleanup(b.Close)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://bmc"+rootURI, nil)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := b.Transport().RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestRack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Machine{Disk: &Disk{}, Running: true}
		r := &Rack{BMCs: map[string]*BMC{"10.0.0.1": {Model: "one"}, "10.0.0.2:8443": {Model: "two"}, "fd00::3": {Model: "three"}}, Machines: map[string]*Machine{"192.0.2.1": m}}
		t.Cleanup(r.Close)
		k := &http.Client{Transport: r.Transport()}
		for address, want := range map[string]string{"10.0.0.1": "one", "10.0.0.1:443": "one", "10.0.0.2:8443": "two", "[fd00::3]": "three", "10.0.0.2": "", "10.0.0.9": ""} {
			resp, err := k.Get("https://" + address + genericSystem)
			if want == "" {
				if !errors.Is(err, syscall.EHOSTUNREACH) {
					t.Errorf("%s: %v", address, err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", address, err)
				continue
			}
			raw, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !strings.Contains(string(raw), `"Model":"`+want+`"`) {
				t.Errorf("%s: %v %s", address, err, raw)
			}
		}
		if c, err := r.DialContext(t.Context(), "tcp", "192.0.2.1:22"); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
		if _, err := r.DialContext(t.Context(), "tcp", "192.0.2.2:22"); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Error(err)
		}
	})
}

// TestConcurrency uses one BMC from many goroutines; the race detector judges.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newBench(t, &BMC{Latency: time.Second}, patchedISO(t, isoOptions{}))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				k.do("GET", genericSystem, nil)
				k.do("POST", genericReset, object{"ResetType": "On"})
				k.do("POST", genericDrive+"/Actions/VirtualMedia.InsertMedia", object{"Image": testISO})
				k.do("POST", genericReset, object{"ResetType": "ForceRestart"})
				k.bmc.Power()
				k.bmc.Tag()
				k.bmc.Inserted()
				k.bmc.Requests()
				k.bmc.Override()
			})
		}
		wg.Wait()
		if got := k.bmc.Concurrency(); got != 8 {
			t.Errorf("%d requests at a time", got)
		}
	})
}

func TestRequestsOmitNothing(t *testing.T) {
	k := newBench(t, &BMC{}, nil)
	k.do("GET", rootURI+"/Systems?$expand=.", nil)
	k.do("PATCH", genericSystem, object{"AssetTag": "a"}, "If-Match", "*")
	log := k.bmc.Requests()
	if len(log) != 2 || log[0].Query != "$expand=." || log[1].Method != "PATCH" || log[1].IfMatch != "*" || log[1].Status != 204 {
		t.Errorf("%+v", log)
	}
	if u, err := url.Parse(log[0].Path); err != nil || u.Path != rootURI+"/Systems" {
		t.Errorf("path %q", log[0].Path)
	}
}
