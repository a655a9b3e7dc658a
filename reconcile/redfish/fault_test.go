package redfish_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

var exhaustive = flag.Bool("exhaustive", false, "inject every fault at every request of every vendor (minutes instead of seconds)")

// fault is one way to misbehave, once. passing ones must be survived by the
// step that they hit; the others may fail it, but may not make it lie.
type fault struct {
	name    string
	passing bool
	writes  bool // only writes are hit
	f       bmctest.Fault
}

var faults = []fault{
	{"connection cut", true, false, bmctest.Fault{Reset: true}},
	{"connection cut after", true, false, bmctest.Fault{ResetAfter: true}},
	{"503", true, false, bmctest.Fault{Status: 503, RetryAfter: 7 * time.Second}},
	{"429", true, false, bmctest.Fault{Status: 429}},
	{"401", true, false, bmctest.Fault{Status: 401}},
	{"412", true, true, bmctest.Fault{Status: 412}},
	{"500", false, false, bmctest.Fault{Status: 500}},
	{"400", false, false, bmctest.Fault{Status: 400}},
	{"truncated", true, false, bmctest.Fault{Truncate: true}},
	{"no effect", false, true, bmctest.Fault{NoEffect: true}},
	{"hostile", false, false, bmctest.Fault{Body: `{"PowerState":["On"],"AssetTag":{"a":1},"Boot":"x","Inserted":"maybe","Image":7,"Members":{"@odata.id":"https://evil.example"},"Actions":null}`}},
	{"not an object", false, false, bmctest.Fault{Body: `[[[[]]]]`}},
	{"a page", true, false, bmctest.Fault{Body: `<html>one moment please</html>`}},
	{"silence", true, false, bmctest.Fault{Delay: 5 * time.Minute}},
	{"medium dropped", false, true, bmctest.Fault{Then: (*bmctest.BMC).DropMedia}},
	{"plug pulled", false, true, bmctest.Fault{Then: (*bmctest.BMC).PullPlug}},
	{"tag lost", false, true, bmctest.Fault{Then: (*bmctest.BMC).LoseTag}},
}

// TestFaults hits every step of an installation, on every vendor, with every
// fault. A step that reports success must be true; one that fails must succeed
// when it is done again, as the next run would.
func TestFaults(t *testing.T) {
	for _, v := range bmctest.Supported() {
		t.Run(vendorName(v), func(t *testing.T) {
			t.Parallel()
			lengths := measure(t, v)
			for _, f := range faults {
				for k, n := range lengths {
					for _, nth := range chosen(n, vendorName(v), f.name, k) {
						synctest.Test(t, func(t *testing.T) { inject(t, v, f, k, nth) })
					}
				}
			}
		})
	}
}

// measure counts the requests of each step.
func measure(t *testing.T, v bmctest.Vendor) (lengths []int) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(v)
		steps, _ := begin(t, r)
		for _, s := range steps {
			before := len(r.bmc.Requests())
			if err := s.act(t.Context(), r.client); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
			lengths = append(lengths, len(r.bmc.Requests())-before)
		}
	})
	return lengths
}

func begin(t *testing.T, r *rig) ([]step, string) {
	t.Helper()
	sys, err := r.client.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return install(medium(sys)), medium(sys)
}

// chosen picks which requests of a step are hit: all of them, or the same one
// each time in an ordinary run, so that all runs together stay short.
func chosen(n int, v, fault string, k int) (list []int) {
	h := fnv.New32a()
	fmt.Fprint(h, v, fault, k) // never fails
	for nth := 1; nth <= n; nth++ {
		if *exhaustive || h.Sum32()%12 == 0 && nth == 1+int(h.Sum32()/12)%n {
			list = append(list, nth)
		}
	}
	return list
}

// observed picks a few requests of a look, or all that the longest one takes.
func observed(v, fault string, warm bool) (list []int) {
	longest := 22
	if warm {
		longest = 3
	}
	h := fnv.New32a()
	fmt.Fprint(h, v, fault, warm) // never fails
	for nth := 1; nth <= longest; nth++ {
		if *exhaustive || (uint32(nth)+h.Sum32())%9 == 0 {
			list = append(list, nth)
		}
	}
	return list
}

func inject(t *testing.T, v bmctest.Vendor, f fault, k, nth int) {
	r := newRig(v)
	ctx := t.Context()
	steps, url := begin(t, r)
	for _, s := range steps[:k] {
		if err := s.act(ctx, r.client); err != nil {
			t.Fatalf("%s, before any fault: %v", s.name, err)
		}
	}
	s := steps[k]
	name := fmt.Sprintf("%s in %q, request %d", f.name, s.name, nth)
	one := f.f
	one.Nth = nth
	var methods []string
	if methods = []string{""}; f.writes {
		methods = []string{http.MethodPost, http.MethodPatch}
	}
	for _, m := range methods {
		one.Method = m
		r.bmc.Arm(one)
	}
	before := len(r.bmc.Requests())
	err := s.act(ctx, r.client)
	hit := r.bmc.Requests()[before:]
	r.bmc.Disarm()
	if err != nil && f.passing {
		t.Errorf("%s: not survived: %v", name, err)
	}
	if err == nil {
		if lie := truth(t, r, s, url); lie != nil {
			t.Errorf("%s: believed done, but %v\n%v", name, lie, hit)
			return
		}
		return
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", name, err)
	}
	if err := s.act(ctx, r.client); err != nil {
		t.Errorf("%s: failed with %v, and failed again without a fault: %v", name, err, err)
		return
	}
	if lie := truth(t, r, s, url); lie != nil {
		t.Errorf("%s: done again, but %v", name, lie)
	}
}

// truth asks the simulated machine itself whether a step is done.
func truth(t *testing.T, r *rig, s step, url string) error {
	ctx := t.Context()
	switch s.name {
	case "claim":
		return want("marker", r.shown(t, ctx), claim)
	case "mark":
		return want("marker", r.shown(t, ctx), done)
	case "boot once":
		if err := r.client.SetPower(ctx, redfish.On); err != nil {
			return err
		}
		time.Sleep(2 * postTime)
		return want("boot device", r.box.lastBoot().Device, "Cd")
	}
	if s.true != nil {
		return s.true(r)
	}
	return nil
}

// TestFaultsWhileObserving hits every request of a look, cold and warm: what
// comes back is the truth, or an error, or plainly no statement. Above all, a
// machine that bears a marker never looks like one that bears none.
func TestFaultsWhileObserving(t *testing.T) {
	for _, v := range bmctest.Supported() {
		t.Run(vendorName(v), func(t *testing.T) {
			t.Parallel()
			for _, f := range append(faults, fault{"empty object", false, false, bmctest.Fault{Body: "{}"}}) {
				if f.writes {
					continue
				}
				for _, warm := range []bool{false, true} {
					if f.f.Status == http.StatusUnauthorized && !warm {
						continue // a first refusal is taken at its word, so as not to lock the account
					}
					for _, nth := range observed(vendorName(v), f.name, warm) {
						synctest.Test(t, func(t *testing.T) { lookThrough(t, v, f, warm, nth) })
					}
				}
			}
		})
	}
}

func lookThrough(t *testing.T, v bmctest.Vendor, f fault, warm bool, nth int) {
	r := newRig(v)
	r.bmc.AssetTag = done
	if warm {
		if _, err := r.client.Observe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	one := f.f
	one.Nth = nth
	r.bmc.Arm(one)
	s, err := r.client.Observe(t.Context())
	name := fmt.Sprintf("%s, warm %v, request %d", f.name, warm, nth)
	switch {
	case err != nil && f.passing:
		t.Errorf("%s: not survived: %v", name, err)
	case err != nil: // and nothing half-known is left for the next look
		again, err := r.client.Observe(t.Context())
		if err != nil || again.Marker.Value != done || len(again.Slots) == 0 && v != bmctest.DGX {
			t.Errorf("%s: the look after it: %+v, error %v", name, again, err)
		}
	case s.Marker.Present && s.Marker.Value == "":
		t.Errorf("%s: the marker is read as absent: %+v", name, s.Marker)
	case s.Power == redfish.Off:
		t.Errorf("%s: a running machine is read as off", name)
	case f.passing && s.Marker.Value != done:
		t.Errorf("%s: marker %+v", name, s.Marker)
	}
}
