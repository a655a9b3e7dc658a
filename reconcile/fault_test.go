package reconcile_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// TestHostErrors spoils one of three hosts in every way that can be known
// before an install. Each gives one clear error that names the remedy, the
// other two hosts are installed, and the spoilt machine is not touched.
func TestHostErrors(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*rig)
		want  string // in the reason or outcome of web-02
		// touched is whether writes to web-02's BMC are allowed: an attempt to
		// write its marker that the BMC did not take.
		touched bool
	}{
		{"wrong serial", func(g *rig) {
			g.bmcs["web-02"].Serial, g.bmcs["web-02"].SKU, g.bmcs["web-02"].ChassisSerial = "X", "X", "X"
		}, "correct the device's serial or its oob_ip in NetBox", false},
		{"missing device", func(g *rig) { g.netbox.Devices[1].Name = "other" }, "NetBox", false},
		{"missing oob_ip", func(g *rig) { g.netbox.Devices[1].OOB = "" }, "oob_ip", false},
		{"wrong credentials", func(g *rig) { g.bmcs["web-02"].Password = "another" }, `refuses the login "bmc"`, false},
		{"unreachable BMC", func(g *rig) { delete(g.rack.BMCs, "10.0.0.2") }, "10.0.0.2", false},
		{"read-only AssetTag", func(g *rig) { g.quirk("web-02", func(q *bmctest.Quirks) { q.TagReadOnly = true }) }, "read-only", true},
		{"full AssetTag", func(g *rig) { g.quirk("web-02", func(q *bmctest.Quirks) { q.TagMax, q.TagCuts = 24, true }) }, "does not fit", true},
		{"image with a wrong SHA-256", func(g *rig) {
			bad := *g.fleet.Images["rocky-9.6"]
			bad.Name, bad.SHA256 = "rocky-bad", digest("9")
			g.fleet.Images["rocky-bad"] = &bad
			g.fleet.Hosts["web-02"].OS = "rocky-bad"
		}, "sha256 is", false},
		{"image that is another OS", func(g *rig) {
			bad := *g.fleet.Images["rocky-9.6"]
			bad.Name, bad.Version = "rocky-8", "8.10"
			g.fleet.Images["rocky-8"] = &bad
			g.fleet.Hosts["web-02"].OS = "rocky-8"
		}, "8.10", false},
		{"unknown OS", func(g *rig) {
			bad := *g.fleet.Images["rocky-9.6"]
			bad.Name, bad.Family = "plan9", "plan9"
			g.fleet.Images["plan9"] = &bad
			g.fleet.Hosts["web-02"].OS = "plan9"
		}, `family "plan9" is not known; there are `, false},
		{"template with a missing key", func(g *rig) {
			g.template("web-02", strings.Replace(kickstart, ".Vars.timezone", ".Vars.timezzone", 1))
		}, "bad.ks.tmpl:4", false},
		{"template without power-off", func(g *rig) { g.template("web-02", strings.Replace(kickstart, "poweroff\n", "reboot\n", 1)) }, "poweroff", false},
		{"no template", func(g *rig) { g.template("web-02", ""); delete(g.fleet.Files.(fstest.MapFS), "bad.ks.tmpl") }, "bad.ks.tmpl", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bmctest.Generic, bmctest.Generic, bmctest.Generic)
				before := installedTag(digest("5"), "web", 1, "00000", "r") // short enough for the full one
				g.bmcs["web-02"].AssetTag = before
				tt.spoil(g)
				p, w := g.plan()
				report, err := g.r.Apply(t.Context(), p, w)
				if err != nil {
					t.Fatal(err)
				}
				if after := g.bmcs["web-02"].Tag(); after != before {
					t.Errorf("web-02 bore %q and bears %q", before, after)
				}
				words := p.Change("web-02").Reasons[0].Text
				for _, o := range report.Outcomes {
					if o.Host == "web-02" {
						words = o.Reason
						if o.Result != reconcile.ResultBlocked {
							t.Errorf("web-02: %s, want blocked", o.Result)
						}
					} else if o.Result != reconcile.ResultInstalled {
						t.Errorf("%s: %s: %s", o.Host, o.Result, o.Reason)
					}
				}
				if n := report.Count(reconcile.ResultInstalled); n != 2 {
					t.Errorf("%d hosts were installed, want the other two", n)
				}
				if !strings.Contains(words, tt.want) || strings.Contains(words, "\n") {
					t.Errorf("web-02: %q; want one line with %q", words, tt.want)
				}
				for _, write := range g.writes() {
					if strings.HasPrefix(write, "web-02") && !(tt.touched && strings.Contains(write, "PATCH")) {
						t.Errorf("the spoilt machine was touched: %s", write)
					}
				}
				if _, ok := g.bmcs["web-02"].Machine.Installed(); ok {
					t.Error("the spoilt machine was installed")
				}
			})
		})
	}
}

// quirk changes how a host's BMC behaves.
func (g *rig) quirk(host string, change func(*bmctest.Quirks)) {
	q := g.bmcs[host].Vendor.Quirks()
	change(&q)
	g.bmcs[host].Quirks = &q
}

// template gives a host a role and a template of its own.
func (g *rig) template(host, text string) {
	role := *g.fleet.Roles["web"]
	role.Name, role.Answer.Template = "bad", "bad.ks.tmpl"
	g.fleet.Roles["bad"] = &role
	g.fleet.Hosts[host].Role, g.netbox.Devices[1].Role = "bad", "bad"
	g.fleet.Files.(fstest.MapFS)["bad.ks.tmpl"] = &fstest.MapFile{Data: []byte(text)}
}

// TestVerdicts lets a machine disappoint in the middle of an install. Each way
// ends in the right words, a marker that says so, and one unit of the budget.
func TestVerdicts(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*rig)
		reason string // in the marker
		want   string // in the outcome
		step   reconcile.Step
	}{
		{"the installer asks a question", habit(func(h *bmctest.Habits) { h.HangsInInstaller = true }), "deadline", "still on after 1h0m0s", reconcile.StepInstall},
		{"power is lost before the installer has begun", func(g *rig) {
			time.AfterFunc(time.Minute, g.bmcs["web-01"].PullPlug)
		}, "off-too-early", "it is off, but never read its kernel", reconcile.StepInstall},
		{"power is lost among the packages, and verification finds it", habit(func(h *bmctest.Habits) { h.PowersOffEarly = true }), "verify", `check "tcp 22"`, reconcile.StepVerify},
		{"it boots its disk instead", habit(func(h *bmctest.Habits) { h.NeverBootsCD = true }), "media-not-read", "did not boot from CD", reconcile.StepInstall},
		{"the installed OS does not come up", habit(func(h *bmctest.Habits) { h.NeverComesUp = true }), "verify", `check "tcp 22"`, reconcile.StepVerify},
		{"the BMC drops the media in the middle", func(g *rig) {
			time.AfterFunc(7*time.Minute, g.bmcs["web-01"].DropMedia)
		}, "media-lost", "its BMC has dropped its media", reconcile.StepInstall},
		{"the plug is pulled in the middle", func(g *rig) {
			time.AfterFunc(7*time.Minute, g.bmcs["web-01"].PullPlug)
		}, "verify", `check "tcp 22"`, reconcile.StepVerify},
		{"the BMC never ejects", func(g *rig) {
			g.bmcs["web-01"].Arm(bmctest.Fault{Method: http.MethodPost, Path: "*EjectMedia", Times: -1, NoEffect: true})
		}, "eject", "ejecting the installer", reconcile.StepEject},
		{"the BMC has no licence for media", func(g *rig) { g.quirk("web-01", func(q *bmctest.Quirks) { q.NoMediaLicence = true }) }, "pre-insert", "its disks are untouched", reconcile.StepInsert},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, bmctest.Generic, bmctest.Generic)
				g.fleet.Policy.Parallel = 1 // so that web-02 must wait for web-01
				tt.spoil(g)
				report := g.run()
				o := report.Outcomes[0]
				if o.Result != reconcile.ResultFailed || o.Step != tt.step || !strings.Contains(o.Reason, tt.want) {
					t.Errorf("web-01: %s at %s: %s; want failed at %s, with %q", o.Result, o.Step, o.Reason, tt.step, tt.want)
				}
				m, err := marker.Parse(g.bmcs["web-01"].Tag())
				if err != nil || m.State != marker.Failed || m.Attempt != 1 || m.Reason != tt.reason {
					t.Errorf("marker %q (%v), want failed after 1 for %s", g.bmcs["web-01"].Tag(), err, tt.reason)
				}
				if o := report.Outcomes[1]; o.Result != reconcile.ResultNotStarted || !strings.Contains(o.Reason, "failure budget") {
					t.Errorf("web-02: %s: %s; want not started, for the budget", o.Result, o.Reason)
				}
				if journal := g.netbox.Journal("web-01"); len(journal) != 1 || !strings.Contains(journal[0].Comments, "failed") {
					t.Errorf("journal %+v; want one entry of a failure", journal)
				}
				p, _ := g.plan()
				if c := p.Change("web-01"); c.Action != reconcile.Reinstall || c.Attempt != 2 {
					t.Errorf("the next run plans %s, attempt %d; want a second attempt", c.Action, c.Attempt)
				}
			})
		})
	}
}

func habit(change func(*bmctest.Habits)) func(*rig) {
	return func(g *rig) { change(&g.bmcs["web-01"].Machine.Habits) }
}

// TestPowerFlicker: Off counts only when it is seen three times.
func TestPowerFlicker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		g.bmcs["web-01"].Machine.Habits.FlickersOff = 8 * time.Second
		if o := only(t, g.run()); o.Result != reconcile.ResultInstalled {
			t.Errorf("a machine that is reported off for 8 seconds: %s: %s", o.Result, o.Reason)
		}
	})
}

// TestBackToService: a machine whose media cannot be inserted runs again what
// it ran before.
func TestBackToService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Generic)
		m := g.bmcs["web-01"].Machine
		m.Disk, m.Running = &bmctest.Disk{}, true
		g.quirk("web-01", func(q *bmctest.Quirks) { q.NoMediaLicence = true })
		o := only(t, g.run())
		if o.Result != reconcile.ResultFailed || !strings.Contains(o.Reason, "it was powered on again") {
			t.Errorf("%s: %s", o.Result, o.Reason)
		}
		time.Sleep(5 * time.Minute)
		if got := m.Stage(); got != bmctest.StageOS {
			t.Errorf("the machine is in stage %s, want its old OS running", got)
		}
		if installs := m.Installs(); installs != 0 {
			t.Errorf("%d installs of a machine without media", installs)
		}
	})
}

// TestDryRunReadsOnly proves from the servers' side that looking changes
// nothing, and that no file appears.
func TestDryRunReadsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, bmctest.Supported()...)
		p, _ := g.plan()
		if len(p.Installs()) != len(bmctest.Supported()) {
			t.Errorf("%d installs are planned, want one for each of %d machines", len(p.Installs()), len(bmctest.Supported()))
		}
		if writes := g.writes(); len(writes) > 0 {
			t.Errorf("a dry run wrote to BMCs: %v", writes)
		}
		if writes := g.netbox.Writes(); len(writes) > 0 {
			t.Errorf("a dry run wrote to NetBox: %v", writes)
		}
		if files, err := os.ReadDir(g.cache); err != nil || len(files) > 0 {
			t.Errorf("a dry run left %v in the image cache (%v)", files, err)
		}
	})
}
