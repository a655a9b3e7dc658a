package bmctest

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
