package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// digest stands for an image's SHA-256.
func digest(c string) string { return strings.Repeat(c, 64) }

// smallFleet declares web-01 to web-NN with image rocky-9.6 and role web.
func smallFleet(hosts int) *schema.Fleet {
	f := &schema.Fleet{
		Images: map[string]*schema.Image{
			"rocky-9.6": {Name: "rocky-9.6", SHA256: digest("6")},
			"rocky-9.5": {Name: "rocky-9.5", SHA256: digest("5")},
		},
		Roles: map[string]*schema.Role{
			"web": {Name: "web", Rollout: schema.Rollout{Domain: "rack", MaxUnavailable: 1}},
			"db":  {Name: "db", Rollout: schema.Rollout{Domain: "rack", MaxUnavailable: 1}},
		},
		Hosts: map[string]*schema.Host{},
		Policy: schema.Policy{
			ReinstallOn: schema.ReinstallOn{OS: true, Role: true, Generation: true},
			Guard:       schema.Guard{MaxInstalls: 20, MaxPercent: 100},
			Attempts:    3, Parallel: 10, FailureBudget: 1,
			NetBox: schema.NetBoxPolicy{Install: []string{"staged", "active"}, InstallUnmarked: []string{"planned", "staged"}},
		},
	}
	for i := range hosts {
		name := hostName(i)
		f.Hosts[name] = &schema.Host{Name: name, OS: "rocky-9.6", Role: "web", Generation: 1}
	}
	return f
}

// installedTag is the marker of web-01 as an earlier run would have left it.
func installedTag(sha256, role string, generation int, config, label string) string {
	return marker.Marker{
		State: marker.Installed, Attempt: 1, Spec: reconcile.SpecDigest(sha256, role, generation), Config: config, Label: label,
	}.String()
}

// look makes the observation of a host whose machine is on and bears tag.
func look(f *schema.Fleet, host, tag string) *reconcile.Observation {
	return &reconcile.Observation{
		Host:   f.Hosts[host],
		Device: &netbox.Device{ID: 1, Name: host, Serial: "S-" + host, Status: "active", Site: "tyo", Rack: "r1"},
		BMC:    "10.0.0.1",
		System: &redfish.System{Serial: "S-" + host, Power: redfish.On, Marker: redfish.Tag{Value: tag, Present: true}},
		Config: "00000",
	}
}

func world(observations ...*reconcile.Observation) *reconcile.World {
	w := &reconcile.World{At: now, Commit: "c0ffee", Hosts: map[string]*reconcile.Observation{}}
	for _, o := range observations {
		w.Hosts[o.Host.Name] = o
	}
	return w
}

func codes(c reconcile.Change) (codes []reconcile.ReasonCode) {
	for _, r := range c.Reasons {
		codes = append(codes, r.Code)
	}
	return codes
}

// TestDiff walks through all that can be found on one host.
func TestDiff(t *testing.T) {
	inSync := installedTag(digest("6"), "web", 1, "00000", "rocky-9.6")
	outdated := installedTag(digest("5"), "web", 1, "00000", "rocky-9.5")
	claim := func(attempt int, lease time.Time) string {
		return marker.Marker{State: marker.Installing, Attempt: attempt, Spec: reconcile.SpecDigest(digest("6"), "web", 1), Run: "abc", Lease: lease}.String()
	}
	failed := func(attempts int, sha string) string {
		return marker.Marker{State: marker.Failed, Attempt: attempts, Spec: reconcile.SpecDigest(digest(sha), "web", 1), Reason: "deadline"}.String()
	}
	tests := []struct {
		name    string
		tag     string
		change  func(*schema.Fleet, *reconcile.Observation)
		options reconcile.Options
		action  reconcile.Action
		codes   []reconcile.ReasonCode
		text    string // in the first reason
		attempt int
		error   bool
	}{
		{name: "as declared", tag: inSync, action: reconcile.None, codes: []reconcile.ReasonCode{reconcile.InSync}},
		{name: "another image", tag: outdated, action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.OSDiffers}, text: "os: rocky-9.5 → rocky-9.6", attempt: 1},
		{
			name: "another role", tag: installedTag(digest("6"), "db", 1, "00000", "rocky-9.6"),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.RoleDiffers}, text: "role: db → web", attempt: 1,
		},
		{
			name: "a raised generation", tag: inSync, change: func(f *schema.Fleet, o *reconcile.Observation) { o.Host.Generation = 2 },
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.GenerationDiffers}, text: "generation: 1 → 2", attempt: 1,
		},
		{
			name: "an image that nobody declares any more", tag: installedTag(digest("4"), "web", 1, "00000", "rocky-9.4"),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.OSDiffers}, text: "os: rocky-9.4 → rocky-9.6", attempt: 1,
		},
		{
			name: "a rebuilt image of the same name", tag: installedTag(digest("4"), "web", 1, "00000", "rocky-9.6"),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.OSDiffers}, text: "rocky-9.6 (another image) → rocky-9.6", attempt: 1,
		},
		{
			name: "only the answer file differs", tag: installedTag(digest("6"), "web", 1, "zzzzz", "rocky-9.6"),
			action: reconcile.None, codes: []reconcile.ReasonCode{reconcile.ConfigDiffers, reconcile.NotReinstalled}, text: "config: zzzzz → 00000",
		},
		{
			name: "only the answer file differs, and policy asks for more", tag: installedTag(digest("6"), "web", 1, "zzzzz", "rocky-9.6"),
			change: func(f *schema.Fleet, _ *reconcile.Observation) { f.Policy.ReinstallOn.Config = true },
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.ConfigDiffers}, attempt: 1,
		},
		{
			name: "policy asks for no reinstall over an image", tag: outdated,
			change: func(f *schema.Fleet, _ *reconcile.Observation) { f.Policy.ReinstallOn.OS = false },
			action: reconcile.None, codes: []reconcile.ReasonCode{reconcile.OSDiffers, reconcile.NotReinstalled},
		},
		{
			name: "no marker on a machine in service", tag: "Default string",
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.MarkerAbsent}, text: "reconcile adopt web-01",
		},
		{
			name: "no marker on a machine in service, and a person's word", tag: "", options: reconcile.Options{InstallUnmarked: []string{"web-01"}},
			action: reconcile.Install, codes: []reconcile.ReasonCode{reconcile.MarkerAbsent, reconcile.ByRequest}, attempt: 1,
		},
		{
			name: "no marker on a new machine", tag: "", change: func(_ *schema.Fleet, o *reconcile.Observation) { o.Device.Status = "staged" },
			action: reconcile.Install, codes: []reconcile.ReasonCode{reconcile.MarkerAbsent}, attempt: 1,
		},
		{
			name: "somebody else's tag", tag: "ACCT-4711",
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.MarkerForeign}, text: `"ACCT-4711"`, error: true,
		},
		{
			name: "a marker of another version", tag: "rc2.k1.7f3c2a9b.k3j2x", options: reconcile.Options{InstallUnmarked: []string{"web-01"}},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.MarkerForeign}, error: true,
		},
		{
			name: "nowhere to keep a marker", change: func(_ *schema.Fleet, o *reconcile.Observation) { o.System.Marker.Present = false },
			options: reconcile.Options{InstallUnmarked: []string{"web-01"}},
			action:  reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.MarkerUnreadable}, error: true,
		},
		{name: "another run installs it", tag: claim(1, now.Add(time.Minute)), action: reconcile.Held, codes: []reconcile.ReasonCode{reconcile.Claimed}},
		{
			name: "a run died over it", tag: claim(1, now.Add(-time.Minute)),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.LeaseEnded}, attempt: 2,
		},
		{
			name: "it failed once", tag: failed(1, "6"),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.AttemptFailed}, text: "deadline", attempt: 2,
		},
		{
			name: "it failed too often", tag: failed(3, "6"),
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.AttemptFailed, reconcile.Quarantined}, error: true,
		},
		{
			name: "a person gives it one more attempt", tag: failed(3, "6"), options: reconcile.Options{Retry: []string{"web-01"}},
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.AttemptFailed, reconcile.ByRequest}, attempt: 4,
		},
		{
			name: "it failed too often, for another declaration", tag: failed(3, "5"),
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.AttemptFailed}, attempt: 1,
		},
		{
			name: "it is protected", tag: outdated, change: func(_ *schema.Fleet, o *reconcile.Observation) { o.Host.Protect = true },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.OSDiffers, reconcile.Protected},
		},
		{
			name: "NetBox forbids it", tag: outdated, change: func(_ *schema.Fleet, o *reconcile.Observation) { o.Device.Status = "failed" },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.OSDiffers, reconcile.StatusForbids},
		},
		{
			name: "a freeze", tag: outdated,
			change: func(f *schema.Fleet, _ *reconcile.Observation) {
				f.Policy.Freeze = []schema.Freeze{{From: now, Until: now.Add(time.Hour), Reason: "quarter's end"}}
			},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.OSDiffers, reconcile.Frozen},
		},
		{
			name: "a freeze that is over", tag: outdated,
			change: func(f *schema.Fleet, _ *reconcile.Observation) {
				f.Policy.Freeze = []schema.Freeze{{From: now.Add(-time.Hour), Until: now}}
			},
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.OSDiffers}, attempt: 1,
		},
		{
			name: "another serial", tag: outdated, change: func(_ *schema.Fleet, o *reconcile.Observation) { o.System.Serial = "OTHER" },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.IdentityMismatch}, text: `NetBox has serial "S-web-01", the machine says serial "OTHER"`, error: true,
		},
		{
			name: "the serial is Dell's SKU", tag: outdated,
			change: func(_ *schema.Fleet, o *reconcile.Observation) {
				o.System.Serial, o.System.SKU = "CN7792", " s-WEB-01 "
			},
			action: reconcile.Reinstall, codes: []reconcile.ReasonCode{reconcile.OSDiffers}, attempt: 1,
		},
		{
			name: "blank serials match nothing", tag: outdated,
			change: func(_ *schema.Fleet, o *reconcile.Observation) { o.System.Serial, o.Device.Serial = "", "" },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.IdentityMismatch}, error: true,
		},
		{
			name: "its BMC does not answer",
			change: func(_ *schema.Fleet, o *reconcile.Observation) {
				o.System, o.Err = nil, fmt.Errorf("GET /redfish/v1: %w", redfish.ErrUnreachable)
			},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.Unreachable}, error: true,
		},
		{
			name:   "its BMC refuses the login",
			change: func(_ *schema.Fleet, o *reconcile.Observation) { o.System, o.Err = nil, redfish.ErrAuth },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.CredentialsRefuse}, error: true,
		},
		{
			name:   "its BMC cannot be driven",
			tag:    outdated,
			change: func(_ *schema.Fleet, o *reconcile.Observation) { o.System.Refusal = "iLO 4 is not supported" },
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.BMCUnsupported}, error: true,
		},
		{
			name: "NetBox disagrees", tag: outdated,
			change: func(_ *schema.Fleet, o *reconcile.Observation) {
				o.Findings = []netbox.Finding{{Severity: netbox.Error, Msg: "serial is also on web-07"}}
			},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.InventoryDisagrees}, error: true,
		},
		{
			name: "NetBox has no such device",
			change: func(_ *schema.Fleet, o *reconcile.Observation) {
				o.Device, o.System, o.Findings = nil, nil, []netbox.Finding{{Severity: netbox.Error, Msg: "no such device"}}
			},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.InventoryDisagrees}, error: true,
		},
		{
			name: "its answer file cannot be rendered", tag: outdated,
			change: func(_ *schema.Fleet, o *reconcile.Observation) {
				o.AnswerErr = errors.New("templates/base.ks.tmpl:3: no key")
			},
			action: reconcile.Blocked, codes: []reconcile.ReasonCode{reconcile.AnswerInvalid}, error: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := smallFleet(1)
			o := look(f, "web-01", tt.tag)
			if tt.change != nil {
				tt.change(f, o)
			}
			p := reconcile.Diff(f, world(o), tt.options)
			got := p.Changes[0]
			if got.Action != tt.action || got.Error != tt.error || got.Attempt != tt.attempt {
				t.Errorf("action %s, error %v, attempt %d; want %s, %v, %d (%v)", got.Action, got.Error, got.Attempt, tt.action, tt.error, tt.attempt, got.Reasons)
			}
			if diff := cmp.Diff(tt.codes, codes(got)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if tt.text != "" && !strings.Contains(got.Reasons[0].Text, tt.text) {
				t.Errorf("first reason %q does not contain %q", got.Reasons[0].Text, tt.text)
			}
			if installs := got.Action == reconcile.Install || got.Action == reconcile.Reinstall; installs != (got.Loses != "") {
				t.Errorf("action %s, and the plan says that it loses %q", got.Action, got.Loses)
			}
		})
	}
}

func TestGuardRefusesThePlan(t *testing.T) {
	f := smallFleet(4)
	var all []*reconcile.Observation
	for name := range f.Hosts {
		all = append(all, look(f, name, installedTag(digest("5"), "web", 1, "00000", "rocky-9.5")))
	}
	f.Policy.Guard = schema.Guard{MaxInstalls: 3, MaxPercent: 100}
	if p := reconcile.Diff(f, world(all...), reconcile.Options{}); !strings.Contains(p.Refused, "4 installs are more than policy.guard.maxInstalls allows in one run (3)") {
		t.Errorf("four installs over a guard of three: refused = %q", p.Refused)
	}
	if p := reconcile.Diff(f, world(all...), reconcile.Options{MaxInstalls: 4}); p.Refused != "" {
		t.Errorf("with --max-installs 4: refused = %q", p.Refused)
	}
	f.Policy.Guard = schema.Guard{MaxInstalls: 10, MaxPercent: 75}
	if p := reconcile.Diff(f, world(all...), reconcile.Options{}); !strings.Contains(p.Refused, "100 % of the fleet's 4 hosts") {
		t.Errorf("all hosts over a guard of 75 %%: refused = %q", p.Refused)
	}
	if p := reconcile.Diff(f, world(all[:3]...), reconcile.Options{}); p.Refused != "" {
		t.Errorf("three of four hosts are 75 %%, which is allowed: refused = %q", p.Refused)
	}
}

// TestDiffIsPure holds equal arguments to equal plans, in whatever order a map
// gives its keys.
func TestDiffIsPure(t *testing.T) {
	plan := func() *reconcile.Plan {
		f := smallFleet(20)
		var all []*reconcile.Observation
		for i, name := range f.HostNames() {
			tags := []string{"", installedTag(digest("5"), "web", 1, "00000", "rocky-9.5"), "FOREIGN"}
			all = append(all, look(f, name, tags[i%len(tags)]))
		}
		return reconcile.Diff(f, world(all...), reconcile.Options{})
	}
	first := plan()
	for range 20 {
		if diff := cmp.Diff(first, plan()); diff != "" {
			t.Fatalf("two plans of equal arguments differ:\n%s", diff)
		}
	}
}

// TestDownHostsCountInTheirDomain: a host that an earlier attempt left
// unfinished is down, whether it is tried again or waits for a person, and its
// healthy neighbour must not be taken down beside it.
func TestDownHostsCountInTheirDomain(t *testing.T) {
	unfinished := func(attempts int) string {
		return marker.Marker{State: marker.Failed, Attempt: attempts, Spec: reconcile.SpecDigest(digest("6"), "web", 1), Reason: "deadline"}.String()
	}
	tests := []struct {
		name     string
		neighbor string // its marker
		want     [][]string
	}{
		{"well", installedTag(digest("6"), "web", 1, "00000", "rocky-9.6"), [][]string{{"web-01"}}},
		{"tried again", unfinished(1), [][]string{{"web-02"}, {"web-01"}}},
		{"quarantined", unfinished(3), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := smallFleet(2)
			p := reconcile.Diff(f, world(
				look(f, "web-01", installedTag(digest("5"), "web", 1, "00000", "rocky-9.5")), look(f, "web-02", tt.neighbor),
			), reconcile.Options{})
			if diff := cmp.Diff(tt.want, p.Waves); diff != "" {
				t.Errorf("waves (-want +got):\n%s", diff)
			}
		})
	}
}
