// Package lab builds a pretend data centre on loopback out of a fleet: a
// NetBox that knows its hosts, a BMC with a machine behind it for each of
// them, of every make, and small installer images. Programs talk to it over
// HTTP and HTTPS as they would to the real ones; it needs no hardware, no
// network beyond loopback and no privileges.
package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/metalcue/metalcue/isohttp/iso9660/isotest"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// The login of every BMC, and the token of NetBox.
const (
	Username = "operator"
	Password = "lab-password"
	Token    = "lab-token"
)

// A Lab is a pretend data centre. Close it when done.
type Lab struct {
	// NetBoxURL is where its NetBox answers.
	NetBoxURL string
	NetBox    *netboxtest.Server
	Rack      *bmctest.Rack

	bmcs   map[string]*bmctest.BMC // by host
	urls   map[string]string       // of BMCs, by the address that NetBox has
	pins   map[string]string       // of their certificates
	ssh    *sshServer
	closes []func()
}

// Start builds the data centre of a fleet. Its images are replaced: dir, an
// existing directory, gets small ones of the same families, and the fleet's
// entries are changed to name them.
func Start(fleet *schema.Fleet, dir string) (*Lab, error) {
	l := &Lab{
		bmcs: map[string]*bmctest.BMC{}, urls: map[string]string{}, pins: map[string]string{},
		NetBox: &netboxtest.Server{Token: Token, CustomFields: []netboxtest.CustomField{
			{Name: "reconcile_commit"}, {Name: "last_installed", Type: "datetime"},
		}},
		Rack: &bmctest.Rack{BMCs: map[string]*bmctest.BMC{}, Machines: map[string]*bmctest.Machine{}},
	}
	if err := replaceImages(fleet, dir); err != nil {
		return nil, err
	}
	var err error
	if l.ssh, err = startSSH(); err != nil {
		return nil, err
	}
	l.closes = append(l.closes, l.ssh.close)
	all := plots(fleet)
	for i, p := range all {
		l.addHost(i, p)
	}
	l.NetBox.Prefixes = prefixes(all)
	for name := range fleet.Images {
		l.NetBox.Platforms = append(l.NetBox.Platforms, slug(name))
	}
	server := httptest.NewServer(l.NetBox)
	l.closes = append(l.closes, server.Close)
	l.NetBoxURL, l.NetBox.URL = server.URL, server.URL
	return l, nil
}

// replaceImages writes an installer image for each of the fleet's.
func replaceImages(fleet *schema.Fleet, dir string) error {
	for name, image := range fleet.Images {
		iso, err := isotest.RHEL(isotest.Options{
			VolumeID: "LAB-" + image.Version, Version: image.Version, Payload: 24 << 20,
		})
		if err != nil {
			return fmt.Errorf("building the lab's image %s: %w", name, err)
		}
		path := filepath.Join(dir, name+".iso")
		if err := os.WriteFile(path, iso, 0o600); err != nil {
			return fmt.Errorf("building the lab's image %s: %w", name, err)
		}
		sum := sha256.Sum256(iso)
		image.URL, image.SHA256 = path, hex.EncodeToString(sum[:])
	}
	return nil
}

// addHost puts one host into NetBox and into the rack.
func (l *Lab) addHost(i int, p plot) {
	l.NetBox.Devices = append(l.NetBox.Devices, p.device())
	machine := &bmctest.Machine{
		Serial: p.serial, Firmware: []bmctest.Firmware{bmctest.UEFI, bmctest.BIOS}[i%2],
		PostTime: 300 * time.Millisecond, BootTime: 300 * time.Millisecond, ShutdownTime: 100 * time.Millisecond,
		InstallTime: 2000 * time.Millisecond, Ports: p.ports,
		Disk: &bmctest.Disk{}, Running: true,
	}
	bmc := &bmctest.BMC{
		Vendor: p.vendor, Username: Username, Password: Password, Serial: p.serial, SKU: p.serial, ChassisSerial: p.serial,
		Machine: machine, Latency: 3 * time.Millisecond, Quirks: quick(p.vendor),
	}
	l.bmcs[p.host.Name] = bmc
	l.Rack.BMCs[p.oob] = bmc
	l.Rack.Machines[p.address] = machine
	server := httptest.NewTLSServer(bmc)
	sum := sha256.Sum256(server.Certificate().Raw)
	l.urls[p.oob], l.pins[p.oob] = server.URL, hex.EncodeToString(sum[:])
	l.closes = append(l.closes, server.Close)
}

// BMC returns where the BMC with an address in NetBox answers on loopback, and
// the SHA-256 of its certificate.
func (l *Lab) BMC(address string) (url, pin string, err error) {
	url, ok := l.urls[address]
	if !ok {
		return "", "", fmt.Errorf("the lab has no BMC at %s", address)
	}
	return url, l.pins[address], nil
}

// Simulated returns the BMC of a host, so that a story can be told with it.
func (l *Lab) Simulated(host string) *bmctest.BMC { return l.bmcs[host] }

// SetMarker puts a marker into a host's BMC, as an earlier run would have.
func (l *Lab) SetMarker(host string, m marker.Marker) { l.bmcs[host].SetTag(m.String()) }

// SetStatus changes a device's status in NetBox.
func (l *Lab) SetStatus(host, status string) error {
	return l.NetBox.Set(host, map[string]any{"status": status})
}

// Close stops all servers and machines.
func (l *Lab) Close() {
	l.Rack.Close()
	for _, stop := range l.closes {
		stop()
	}
	http.DefaultClient.CloseIdleConnections()
}

// Hasten shortens what a fleet's roles wait for, so that the lab's story takes
// seconds where a real one takes an hour.
func Hasten(fleet *schema.Fleet) {
	for _, role := range fleet.Roles {
		if role.Rollout.Soak > 0 {
			role.Rollout.Soak = 500 * time.Millisecond
		}
	}
}
