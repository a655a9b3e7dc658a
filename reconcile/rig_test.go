package reconcile_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
	"github.com/metalcue/metalcue/reconcile"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/reconcile/verify"
	"github.com/metalcue/metalcue/schema"
)

// What must never be seen in any output.
const (
	bmcPassword  = "bmc-password-8c1f"
	netboxToken  = "netbox-token-41d7"
	rootPassword = "root-password-77aa"
)

var secrets = []string{bmcPassword, netboxToken, rootPassword}

// kickstart is a template with one fact of each source and a secret.
const kickstart = `text
network --hostname={{ .Host.Name }} --ip={{ address .Device.PrimaryIP4 }} --device={{ (index .Interfaces 0).MAC }}
rootpw --iscrypted {{ secret "root-password" }}
timezone {{ .Vars.timezone }}
zerombr
clearpart --all --initlabel
autopart
poweroff
%packages
@core
%end
`

// baseISO is a small installer image, built once.
var baseISO = sync.OnceValues(func() ([]byte, error) { return isotest.RHEL(isotest.Options{Version: "9.6"}) })

// A rig is a pretend data centre in this process, without sockets, so that a
// test may run it in a synctest bubble.
type rig struct {
	t      *testing.T
	fleet  *schema.Fleet
	netbox *netboxtest.Server
	rack   *bmctest.Rack
	login  credential.Login
	media  *isohttp.Server
	served struct { // media servers of runs that come and go, by host and port
		sync.Mutex
		at map[string]*isohttp.Server
	}
	bmcs      map[string]*bmctest.BMC // by host
	events    []reconcile.Event
	onRequest func(host string, q redfish.Request) // nil for none
	cache     string                               // of images
	r         *reconcile.Reconciler
}

// newRig builds a data centre of the vendors' machines, one host each, that
// bear no marker and that NetBox calls staged.
func newRig(t *testing.T, vendors ...bmctest.Vendor) *rig {
	t.Helper()
	g := &rig{
		t: t, cache: t.TempDir(), fleet: smallFleet(len(vendors)), media: &isohttp.Server{}, login: credential.Login{Username: "operator", Password: bmcPassword}, bmcs: map[string]*bmctest.BMC{},
		netbox: &netboxtest.Server{Token: netboxToken},
		rack:   &bmctest.Rack{BMCs: map[string]*bmctest.BMC{}, Machines: map[string]*bmctest.Machine{}},
	}
	t.Cleanup(g.rack.Close)
	g.declare()
	for i, v := range vendors {
		g.addHost(i, v)
	}
	g.r = g.reconciler("run1")
	return g
}

// declare completes the fleet with an image on disk and a template.
func (g *rig) declare() {
	g.t.Helper()
	iso, err := baseISO()
	if err != nil {
		g.t.Fatal(err)
	}
	path := filepath.Join(g.t.TempDir(), "rocky-9.6.iso")
	if err := os.WriteFile(path, iso, 0o600); err != nil {
		g.t.Fatal(err)
	}
	sum := sha256.Sum256(iso)
	for _, image := range g.fleet.Images {
		image.Family, image.Arch, image.Version, image.Deadline = "rhel", "x86_64", "9.6", time.Hour
	}
	g.fleet.Images["rocky-9.6"].URL, g.fleet.Images["rocky-9.6"].SHA256 = path, hex.EncodeToString(sum[:])
	g.fleet.Files = fstest.MapFS{"base.ks.tmpl": {Data: []byte(kickstart)}}
	for _, role := range g.fleet.Roles {
		role.Answer.Template = "base.ks.tmpl"
		role.Vars = map[string]any{"timezone": "UTC"}
		role.Verify = []schema.Check{{TCP: 22, Timeout: 10 * time.Minute}}
		role.Rollout.MaxUnavailable = 100
	}
	for _, h := range g.fleet.Hosts {
		h.BMC = schema.BMC{Credentials: "bmc", TLS: schema.TLS{Mode: "verify"}}
	}
	g.fleet.Policy.NetBox.Scope.Tag = "reconcile"
	g.fleet.Policy.NetBox.ContextKey = "reconcile"
}

// hostName is the name of the fleet's so many-th host, from 0.
func hostName(i int) string { return fmt.Sprintf("web-%02d", i+1) }

// addHost puts a machine into the rack and a device into NetBox.
func (g *rig) addHost(i int, v bmctest.Vendor) {
	name := hostName(i)
	oob, ip := fmt.Sprintf("10.0.%d.%d", i/200, i%200+1), fmt.Sprintf("10.1.%d.%d", i/200, i%200+1)
	machine := &bmctest.Machine{
		Fetch: g.fetch(netip.MustParseAddr(oob)), PostTime: 2 * time.Minute, BootTime: time.Minute, InstallTime: 10 * time.Minute,
		Patience: 10 * time.Second,
	}
	if i%2 == 1 {
		machine.Firmware = bmctest.BIOS
	}
	bmc := &bmctest.BMC{
		Vendor: v, Username: "operator", Password: bmcPassword, Serial: "S-" + name, SKU: "S-" + name, ChassisSerial: "S-" + name, Machine: machine,
	}
	g.bmcs[name], g.rack.BMCs[oob], g.rack.Machines[ip] = bmc, bmc, machine
	g.netbox.Devices = append(g.netbox.Devices, netboxtest.Device{
		Name: name, Serial: "S-" + name, Status: "staged", Site: "tyo", Rack: fmt.Sprintf("r%d", i/10), Role: "web",
		OOB: oob + "/16", Primary4: ip + "/16",
	})
}

// fetch is the network between a BMC and the media servers.
func (g *rig) fetch(bmc netip.Addr) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		g.served.Lock()
		server, of := g.served.at[r.URL.Host]
		g.served.Unlock()
		if !of {
			server = g.media
		}
		if server == nil {
			return nil, errors.New("connection refused")
		}
		return server.TransportFrom(bmc).RoundTrip(r)
	})
}

// serve makes server the one that BMCs reach at an address; nil is none.
func (g *rig) serve(address string, server *isohttp.Server) {
	g.served.Lock()
	defer g.served.Unlock()
	if g.served.at == nil {
		g.served.at = map[string]*isohttp.Server{}
	}
	g.served.at[address] = server
}

// reconciler returns one that knows the data centre, for a run of its own.
func (g *rig) reconciler(run string) *reconcile.Reconciler {
	verifier := verify.Verifier{DialContext: g.rack.DialContext}
	return &reconcile.Reconciler{
		Fleet: g.fleet, Commit: "c0ffee", Run: run, Key: []byte("0123456789abcdef"),
		Inventory: &netbox.Client{URL: "http://netbox.test", Token: netboxToken, HTTP: &http.Client{Transport: g.netbox.Transport()}},
		Dial: func(_ context.Context, t reconcile.Target) (reconcile.Machine, error) {
			return &redfish.Client{
				Address: t.Address, Login: g.login, Transport: g.rack.Transport(),
				OnRequest: func(q redfish.Request) {
					if g.onRequest != nil {
						g.onRequest(t.Host.Name, q)
					}
				},
				Marker: redfish.MarkerPlace(t.Host.BMC.Marker), Kept: t.AssetTag,
			}, nil
		},
		Images: &isohttp.Store{Dir: g.cache},
		Media:  g.media,
		MediaURL: func(_ context.Context, p *isohttp.Publication, _ string, schemes []string) (string, error) {
			if slices.Contains(schemes, "http") {
				return "http://10.9.9.9:8080" + p.Path(), nil
			}
			return "https://10.9.9.9:8443" + p.Path(), nil
		},
		Secret: func(_ context.Context, name string) (credential.Secret, error) { return rootPassword, nil },
		Verify: func(ctx context.Context, c reconcile.Checked) error {
			return verifier.Run(ctx, c.Address, c.Env, c.Checks)
		},
		OnEvent: func(e reconcile.Event) { g.events = append(g.events, e) },
	}
}

// plan observes all hosts and decides.
func (g *rig) plan() (*reconcile.Plan, *reconcile.World) {
	g.t.Helper()
	w, err := g.r.Observe(g.t.Context(), reconcile.Selector{})
	if err != nil {
		g.t.Fatal(err)
	}
	return reconcile.Diff(g.fleet, w, reconcile.Options{}), w
}

// run is one whole run.
func (g *rig) run() *reconcile.Report {
	g.t.Helper()
	p, w := g.plan()
	report, err := g.r.Apply(g.t.Context(), p, w)
	if err != nil {
		g.t.Fatal(err)
	}
	return report
}

// only returns the outcome of the only host of a report.
func only(t *testing.T, r *reconcile.Report) reconcile.Outcome {
	t.Helper()
	if len(r.Outcomes) != 1 {
		t.Fatalf("%d outcomes, want one: %+v", len(r.Outcomes), r.Outcomes)
	}
	return r.Outcomes[0]
}

// writes counts the requests to BMCs that are no GET.
func (g *rig) writes() (writes []string) {
	for name, b := range g.bmcs {
		for _, r := range b.Requests() {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				writes = append(writes, name+": "+r.Method+" "+r.Path)
			}
		}
	}
	slices.Sort(writes)
	return writes
}

// console is what a machine's console showed, for a failing test.
func (g *rig) console(host string) string { return strings.Join(g.bmcs[host].Machine.Console(), "\n") }
