package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/lab"
	"github.com/metalcue/metalcue/reconcile/marker"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
	"github.com/metalcue/metalcue/schema"
)

// oneBMCLab is a data centre of one host, which no fleet is shown of.
func oneBMCLab(t *testing.T) (bmc *bmctest.BMC, l *lab.Lab, url, pin string) {
	t.Helper()
	dir := serveLab(t)
	fleet, err := schema.Load(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	if l, err = lab.Start(fleet, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if url, pin, err = l.BMC("10.10.0.10"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RECONCILE_CREDENTIAL_LAB_USERNAME", lab.Username)
	t.Setenv("RECONCILE_CREDENTIAL_LAB_PASSWORD", lab.Password)
	t.Chdir(t.TempDir())
	return l.Simulated("web-01"), l, url, pin
}

// execute runs a command line and returns what it prints and its exit code.
func execute(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func TestProbeAddress(t *testing.T) {
	bmc, _, url, pin := oneBMCLab(t)
	out, errs, code := execute("probe", "--address", url, "--credentials", "lab", "--tls", pin)
	if code != exitOK || !strings.Contains(out, "Nothing stands against an install") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	for _, r := range bmc.Requests() {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s was sent", r.Method, r.Path)
		}
	}
	_, errs, code = execute("probe", "--address", url, "--credentials", "lab", "--tls", strings.Repeat("0", 64))
	if code != exitError || !strings.Contains(errs, "certificate is not the pinned one") {
		t.Errorf("with another pin: exit code %d, %s", code, errs)
	}
	_, errs, code = execute("probe", "--address", url, "--credentials", "lab")
	if code != exitError || !strings.Contains(errs, "certificate not trusted") || !strings.Contains(errs, "reconcile trust shows the certificate") {
		t.Errorf("with no pin: exit code %d, %s", code, errs)
	}
}

// TestLocate: where the fleet has no address of a BMC, NetBox has.
func TestLocate(t *testing.T) {
	c := &cli{stderr: io.Discard}
	c.options.fleet, c.options.netboxURL = serveLab(t), os.Getenv("NETBOX_URL")
	_, target, err := c.locate(t.Context(), "web-01")
	if err != nil || target.Address != "10.10.0.10" || target.Host.Name != "web-01" {
		t.Errorf("got %+v, %v", target, err)
	}
	c.options.netboxURL = ""
	if _, _, err := c.locate(t.Context(), "web-01"); err == nil || !strings.Contains(err.Error(), "no NetBox is named") {
		t.Errorf("without NetBox: %v", err)
	}
}

// TestProbeMedia: the medium is inserted and ejected, and nothing else written.
func TestProbeMedia(t *testing.T) {
	bmc, _, url, pin := oneBMCLab(t)
	power := bmc.Power()
	out, errs, code := execute("probe", "--address", url, "--credentials", "lab", "--tls", pin, "--media", "--listen", "127.0.0.1:0", "--listen-https", "")
	if code != exitOK || !strings.Contains(out, "✓ fetch     over http: 127.0.0.1 ") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	inserts := 0
	for _, r := range bmc.Requests() {
		switch {
		case r.Method == http.MethodGet, strings.HasSuffix(r.Path, "/Actions/VirtualMedia.EjectMedia"):
		case strings.HasSuffix(r.Path, "/Actions/VirtualMedia.InsertMedia"):
			inserts++
		default:
			t.Errorf("%s %s was sent", r.Method, r.Path)
		}
	}
	if enabled, target := bmc.Override(); inserts == 0 || bmc.Inserted() != "" || bmc.Power() != power || enabled == "Once" {
		t.Errorf("after %d inserts: %q inserted, power %s, boot %s %s", inserts, bmc.Inserted(), bmc.Power(), enabled, target)
	}
}

// TestProbeMediaLeavesAlone: a drive that is in use and a machine that is being
// installed are not touched.
func TestProbeMediaLeavesAlone(t *testing.T) {
	bmc, l, url, pin := oneBMCLab(t)
	probe := func(why string) {
		t.Helper()
		before := len(bmc.Requests())
		out, errs, code := execute("probe", "--address", url, "--credentials", "lab", "--tls", pin, "--media", "--listen", "127.0.0.1:0", "--listen-https", "")
		if code != exitHosts || !strings.Contains(out, "✗ fetch     not tried: "+why) {
			t.Errorf("exit code %d, %s%s", code, out, errs)
		}
		for _, r := range bmc.Requests()[before:] {
			if r.Method != http.MethodGet {
				t.Errorf("%s %s was sent", r.Method, r.Path)
			}
		}
	}
	image, err := tinyImage()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "other.iso", time.Time{}, bytes.NewReader(image.b))
	}))
	defer server.Close()
	other := &redfish.Client{Address: url, Login: credential.Login{Username: lab.Username, Password: lab.Password},
		TLS: redfish.TLS{Mode: redfish.ModePin, SHA256: pin}}
	defer other.Close(t.Context())
	if err := other.Insert(t.Context(), server.URL+"/other.iso"); err != nil {
		t.Fatal(err)
	}
	probe("a medium is inserted in slot 1; eject it first")
	if got := bmc.Inserted(); got != server.URL+"/other.iso" {
		t.Errorf("inserted is %q", got)
	}
	if err := ejectOwn(t.Context(), other, "http://127.0.0.1/ours.iso"); err == nil || bmc.Inserted() == "" {
		t.Errorf("a stranger's medium was ejected, %v", err)
	}
	if err := other.Eject(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.SetMarker("web-01", marker.Marker{State: marker.Installing, Attempt: 1, Spec: "00000000", Run: "abc"})
	probe("its marker says that run abc is installing it")
}

func TestTrustAddress(t *testing.T) {
	bmc, _, url, pin := oneBMCLab(t)
	out, errs, code := execute("trust", url)
	if code != exitOK || !strings.Contains(out, "\nbmc: tls: sha256: \""+pin+"\"\n") {
		t.Errorf("exit code %d, %s%s", code, out, errs)
	}
	if n := len(bmc.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	_, errs, code = execute("trust", "10-0-0-7")
	if code != exitError || errs == "" {
		t.Errorf("without fleet and address: exit code %d, %s", code, errs)
	}
}
