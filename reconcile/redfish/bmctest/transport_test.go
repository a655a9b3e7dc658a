package bmctest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

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

// TestManyMachines installs thirty machines at a time.
func TestManyMachines(t *testing.T) {
	image := patchedISO(t, isoOptions{})
	synctest.Test(t, func(t *testing.T) {
		var all []*bench
		for range 30 {
			k := newBench(t, &BMC{Machine: &Machine{PostTime: 3 * time.Minute, InstallTime: 20 * time.Minute}}, image)
			k.bootCD()
			all = append(all, k)
		}
		began := time.Now()
		for _, k := range all {
			until(t, time.Hour, "power-off", func() bool { return k.bmc.Power() == Off })
			if _, ok := k.bmc.Machine.Installed(); !ok {
				t.Errorf("not installed: %s", k.screen())
			}
		}
		if took := time.Since(began); took > 30*time.Minute {
			t.Errorf("thirty machines side by side took %v", took)
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

func TestRootRedirect(t *testing.T) {
	k := newBench(t, &BMC{Quirks: &Quirks{RootRedirect: true}}, nil)
	status, h, _ := k.do("GET", rootURI, nil)
	if status != 308 || h.Get("Location") != rootURI+"/" {
		t.Errorf("%d to %q", status, h.Get("Location"))
	}
	k.get(rootURI + "/")
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
