package redfish_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

const (
	earlier   = "rc1.k1.00000000.00000.alma-10"
	failedTag = "rc1.f1.7f3c2a9b.stalled"
	inventory = "INV-004711"
)

// labelled is an answer file whose installer writes a marker into the label of
// the boot entry.
func labelled(tag string) []byte {
	return []byte("%post\nefibootmgr -c -d /dev/sda -p 1 -L \"Linux " + tag + "\" -l '\\EFI\\rocky\\shimx64.efi'\n%end\n")
}

// newLabelRig is a machine that runs what another attempt installed. Its asset
// tag is the inventory's.
func newLabelRig(v bmctest.Vendor, disk *bmctest.Disk) (*bmctest.BMC, *redfish.Client) {
	b := &bmctest.BMC{
		Vendor: v, Username: login.Username, Password: password, AssetTag: inventory,
		Machine: &bmctest.Machine{Disk: disk, Running: disk != nil, PostTime: postTime},
	}
	return b, labelClient(b)
}

func labelClient(b *bmctest.BMC) *redfish.Client {
	return &redfish.Client{Address: "bmc.example", Login: login, Transport: b.Transport(), Marker: redfish.EFILabel, Kept: inventory}
}

func look(t *testing.T, c *redfish.Client) *redfish.System {
	t.Helper()
	s, err := c.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func step1(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// TestLabel: through every vendor that shows labels, a claim borrows the asset
// tag and is the marker meanwhile; the word of the installer is read from the
// label after the next POST, not before, and the asset tag is given back.
func TestLabel(t *testing.T) {
	for _, v := range bmctest.Supported() {
		if v == bmctest.LenovoXCC {
			continue
		}
		t.Run(vendorName(v), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, c := newLabelRig(v, &bmctest.Disk{Answer: labelled(earlier)})
				defer b.Close()
				ctx := t.Context()
				s := look(t, c)
				if s.Marker != (redfish.Tag{Value: earlier, Where: redfish.WhereLabel, Present: true}) || s.AssetTag != inventory {
					t.Fatalf("at first the marker is %+v, asset tag %q", s.Marker, s.AssetTag)
				}
				if s = look(t, c); s.Requests > 4 {
					t.Errorf("a warm look took %d requests", s.Requests)
				}
				step1(t, "claim", mark(ctx, c, claim))
				if s = look(t, c); s.Marker.Value != claim {
					t.Errorf("claimed, the marker is %+v", s.Marker)
				}
				step1(t, "off", c.SetPower(ctx, redfish.Off))
				b.Machine.Install(bmctest.Disk{Answer: labelled(done)})
				step1(t, "on", c.SetPower(ctx, redfish.On))
				if s = look(t, c); s.Marker.Value == done {
					t.Error("the label shows before the POST is over")
				}
				began := time.Now()
				step1(t, "mark", mark(ctx, c, done)) // waits for the POST
				if took := time.Since(began); took < postTime/2 {
					t.Errorf("the marker was read back %v after power on, POST takes %v", took, postTime)
				}
				if s = look(t, c); s.Marker.Value != done || s.Marker.Where != redfish.WhereLabel || s.AssetTag != inventory {
					t.Errorf("installed, the marker is %+v, asset tag %q", s.Marker, s.AssetTag)
				}
			})
		})
	}
}

// TestLabelAfterCrash: the asset tag is the inventory's again when another
// process ends what one began; the claim, and then the failure, are seen by
// whoever looks, and go before the label of what ran there.
func TestLabelAfterCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newLabelRig(bmctest.ILO6, &bmctest.Disk{Answer: labelled(earlier)})
		defer b.Close()
		ctx := t.Context()
		step1(t, "claim", c.SetMarker(ctx, claim))
		other := labelClient(b) // after kill -9
		if s := look(t, other); s.Marker.Value != claim {
			t.Fatalf("the other sees %+v", s.Marker)
		}
		step1(t, "fail", other.SetMarker(ctx, failedTag))
		if s := look(t, labelClient(b)); s.Marker.Value != failedTag {
			t.Fatalf("the other sees %+v", s.Marker)
		}
		third := labelClient(b)
		step1(t, "claim again", third.SetMarker(ctx, claim))
		step1(t, "off", third.SetPower(ctx, redfish.Off))
		b.Machine.Install(bmctest.Disk{Answer: labelled(done)})
		step1(t, "on", third.SetPower(ctx, redfish.On))
		step1(t, "mark", third.SetMarker(ctx, done))
		if got := b.Tag(); got != inventory {
			t.Errorf("the asset tag is %q, want %q", got, inventory)
		}
	})
}

// TestLabelOfAnotherConfig: what the installer wrote before its template was
// changed counts for the attempt that it was; a label of another attempt does not.
func TestLabelOfAnotherConfig(t *testing.T) {
	for label, good := range map[string]bool{
		"rc1.k1.7f3c2a9b.00000.rocky-9.6": true, "rc1.k2.7f3c2a9b.k3j2x.rocky-9.6": false, "rc1.k1.00000000.k3j2x.rocky-9.6": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			b, c := newLabelRig(bmctest.Generic, nil)
			defer b.Close()
			ctx := t.Context()
			step1(t, "claim", c.SetMarker(ctx, claim))
			b.Machine.Install(bmctest.Disk{Answer: labelled(label)})
			step1(t, "on", c.SetPower(ctx, redfish.On))
			if err := c.SetMarker(ctx, done); (err == nil) != good {
				t.Errorf("label %s for %s: %v", label, done, err)
			}
			if s := look(t, c); good && s.Marker.Value != label {
				t.Errorf("the marker is %q, want what the label says, %q", s.Marker.Value, label)
			}
		})
	}
}

// TestLabelMissing: what the answer file did not write is not believed, and the
// claim stays for the failure that follows.
func TestLabelMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newLabelRig(bmctest.IDRAC9, nil)
		defer b.Close()
		ctx := t.Context()
		if s := look(t, c); s.Marker.Value != "" || !s.Marker.Present {
			t.Fatalf("an empty machine bears %+v", s.Marker)
		}
		step1(t, "claim", c.SetMarker(ctx, claim))
		b.Machine.Install(bmctest.Disk{Answer: []byte("%post\n%end\n")})
		step1(t, "on", c.SetPower(ctx, redfish.On))
		err := c.SetMarker(ctx, done)
		if !matches(err, marker(redfish.MarkerUnlabelled)) || !strings.Contains(err.Error(), "efiLabel") {
			t.Errorf("mark: %v, want that there is no label", err)
		}
		if s := look(t, c); s.Marker.Value != claim {
			t.Errorf("the marker is %+v, want the claim", s.Marker)
		}
		// A person's word alone cannot write a label, and is told so at once.
		began := time.Now()
		step1(t, "give back", c.SetMarker(ctx, ""))
		if err := c.SetMarker(ctx, done); !matches(err, marker(redfish.MarkerUnlabelled)) || time.Since(began) > time.Minute {
			t.Errorf("adopting: %v after %v", err, time.Since(began))
		}
		if got := b.Tag(); got != inventory {
			t.Errorf("the asset tag is %q, want %q", got, inventory)
		}
	})
}

// TestLabelRefused: nothing is claimed where the label could not be read
// afterwards, or where the asset tag would be lost; nothing is written.
func TestLabelRefused(t *testing.T) {
	tests := []struct {
		name   string
		vendor bmctest.Vendor
		change func(*bmctest.BMC, *redfish.Client)
		reason redfish.MarkerReason
	}{
		{"kinds of devices only", bmctest.LenovoXCC, func(*bmctest.BMC, *redfish.Client) {}, redfish.MarkerMissing},
		{"a tag that NetBox does not have", bmctest.ILO5, func(_ *bmctest.BMC, c *redfish.Client) { c.Kept = "INV-1" }, redfish.MarkerForeign},
		{"NetBox has none", bmctest.ILO5, func(_ *bmctest.BMC, c *redfish.Client) { c.Kept = "" }, redfish.MarkerForeign},
		{"another version", bmctest.ILO5, func(b *bmctest.BMC, c *redfish.Client) { b.AssetTag = "INV rc2.k1"; c.Kept = "" }, redfish.MarkerForeign},
		{"by the fleet's word", bmctest.ILO5, func(_ *bmctest.BMC, c *redfish.Client) {
			c.Overrides = []redfish.Override{{Name: "plainBootOptions", Value: true}}
		}, redfish.MarkerMissing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, c := newLabelRig(test.vendor, &bmctest.Disk{Answer: labelled(earlier)})
				defer b.Close()
				test.change(b, c)
				if err := c.SetMarker(t.Context(), claim); !matches(err, marker(test.reason)) {
					t.Errorf("claim: %v, want %s", err, test.reason)
				}
				for _, q := range b.Requests() {
					if q.Method != "GET" {
						t.Errorf("sent %s %s", q.Method, q.Path)
					}
				}
				if report, err := c.Probe(t.Context()); err != nil || report.Usable() {
					t.Errorf("probe: usable, error %v", err)
				}
			})
		})
	}
}

// TestLabelReadOnlyTag: a claim that cannot be written is refused before
// anything is destroyed, as with any other place.
func TestLabelReadOnlyTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newLabelRig(bmctest.Generic, nil)
		defer b.Close()
		b.Quirks = &bmctest.Quirks{TagReadOnly: true}
		if err := c.SetMarker(t.Context(), claim); !matches(err, marker(redfish.MarkerReadOnly)) {
			t.Errorf("claim: %v, want read-only", err)
		}
	})
}

// TestLabelsDisagree: two entries with two markers are nobody's word.
func TestLabelsDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newLabelRig(bmctest.Generic, &bmctest.Disk{Answer: labelled(earlier)})
		defer b.Close()
		b.Machine.Install(bmctest.Disk{Answer: labelled(earlier + "\"\nefibootmgr -c -L \"Linux " + done)})
		step1(t, "off", c.SetPower(t.Context(), redfish.Off))
		step1(t, "on", c.SetPower(t.Context(), redfish.On))
		time.Sleep(2 * postTime)
		if got := look(t, c).Marker.Value; got != earlier+" and "+done {
			t.Errorf("the marker is %q", got)
		}
	})
}

// TestLabelFaults: whatever fails while a label is read, no step believes what
// is not so.
func TestLabelFaults(t *testing.T) {
	for _, fault := range []bmctest.Fault{
		{Method: "GET", Path: "*/BootOptions", Status: 503}, {Method: "GET", Path: "*/BootOptions/*", Reset: true},
		{Method: "GET", Path: "*/BootOptions/*", Body: `{"@odata.id":`, Times: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, c := newLabelRig(bmctest.ILO7, &bmctest.Disk{Answer: labelled(earlier)})
			defer b.Close()
			b.Arm(fault)
			s, err := c.Observe(t.Context())
			if err == nil && s.Marker.Value != earlier || errors.Is(err, context.Canceled) {
				t.Errorf("%+v: the marker is %+v, error %v", fault, s.Marker, err)
			}
		})
	}
}
