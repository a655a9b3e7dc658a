package bmctest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dumps are of real machines. They are not part of the repository.
const dumps = "../../../../shared/redfish-mockups"

// dumpOf says which simulated vendor each dump is compared with.
var dumpOf = map[string]Vendor{
	"dell-r750-idrac9-6.00.30":         IDRAC9,
	"dell-r750-idrac9-7.10.30":         IDRAC9v7,
	"hpe-dl360gen10plus-ilo5-3.11":     ILO5,
	"hpe-dl385gen10plusv2-ilo5-2.72":   ILO5,
	"hpe-dl380agen11-ilo6-1.66":        ILO6,
	"hpe-dl380agen12-ilo7-1.13.01":     ILO7,
	"lenovo-sr670v2-xcc-2.83":          LenovoXCC,
	"supermicro-sys821ge-x13-11.01.01": SupermicroX13,
	"supermicro-x10-redfish1.0.1":      SupermicroX10,
	"supermicro-gb300-openbmc-70.01":   GB300,
	"nvidia-gb200-openbmc-24.12":       GB200,
	"nvidia-dgxh100-ami-23.11":         DGX,
}

// TestAgainstDumps compares each vendor with the dumps of its machines: the
// URIs, the properties, and the values that a client acts on.
func TestAgainstDumps(t *testing.T) {
	if _, err := os.Stat(dumps); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no dumps of real BMCs beside this repository")
	}
	for name, vendor := range dumpOf {
		t.Run(name, func(t *testing.T) {
			b := &BMC{Vendor: vendor}
			k := newBench(t, b, nil)
			b.Requests() // starts nothing; the routes come with the first request
			k.get(rootURI)
			for _, uri := range coreURIs(b) {
				compare(t, k, filepath.Join(dumps, name), uri)
			}
			for _, uri := range mediaURIs(t, filepath.Join(dumps, name)) {
				if b.routes[uri] == nil {
					t.Errorf("the dump has %s, the simulation has not", uri)
				}
			}
		})
	}
}

// coreURIs are the resources that a client decides by.
func coreURIs(b *BMC) []string {
	s := b.shape
	list := []string{rootURI, s.systemURI(), s.managerURI(), rootURI + "/Systems", rootURI + "/Chassis", rootURI + "/Managers", rootURI + "/SessionService"}
	if s.settings != "" {
		list = append(list, s.settingsURI())
	}
	for _, c := range s.chassis {
		list = append(list, rootURI+"/Chassis/"+c.id)
	}
	for uri := range s.others {
		list = append(list, uri)
	}
	for _, sl := range s.slots {
		list = append(list, sl.uris...)
	}
	return list
}

// mediaURIs lists the dump's virtual drives.
func mediaURIs(t *testing.T, dump string) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"Systems", "Managers"} {
		hits, err := filepath.Glob(filepath.Join(dump, "redfish/v1", pattern, "*/VirtualMedia/*/index.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			list = append(list, filepath.ToSlash(strings.TrimPrefix(filepath.Dir(h), dump)))
		}
	}
	return list
}

// ours are properties that a simulation may have although its dump has not.
var ours = []string{"@odata.etag", "Members@odata.count", "Status"}

// acted are properties that must be there if and only if the dump has them.
var acted = []string{
	"AssetTag", "SerialNumber", "SKU", "UUID", "Manufacturer", "Model", "PowerState", "@Redfish.Settings", "VirtualMedia", "HostName",
	"BootProgress", "Image", "Inserted", "MediaTypes", "TransferMethod", "TransferProtocolType", "FirmwareVersion", "Vendor", "Product", "RedfishVersion",
	"Boot/BootSourceOverrideEnabled", "Boot/BootSourceOverrideTarget", "Boot/BootSourceOverrideMode",
	"Boot/BootSourceOverrideTarget@Redfish.AllowableValues", "Boot/BootSourceOverrideEnabled@Redfish.AllowableValues",
	"Actions/#ComputerSystem.Reset", "Actions/#ComputerSystem.Reset/@Redfish.ActionInfo", "Actions/#ComputerSystem.Reset/ResetType@Redfish.AllowableValues",
	"Actions/#VirtualMedia.InsertMedia", "Actions/#VirtualMedia.EjectMedia", "Links/ComputerSystems", "Links/ManagerForServers", "Boot/BootOptions", "Boot/BootOrder",
}

// equalValues are those of them that must also have the same value.
var equalValues = []string{
	"Boot/BootOptions",
	"@Redfish.Settings/SettingsObject", "VirtualMedia", "MediaTypes", "Image", "Vendor",
	"Boot/BootSourceOverrideTarget@Redfish.AllowableValues", "Boot/BootSourceOverrideEnabled@Redfish.AllowableValues",
	"Actions/#ComputerSystem.Reset/target", "Actions/#ComputerSystem.Reset/@Redfish.ActionInfo", "Actions/#ComputerSystem.Reset/ResetType@Redfish.AllowableValues",
	"Actions/#VirtualMedia.InsertMedia", "Actions/#VirtualMedia.EjectMedia", "Links/ComputerSystems", "Links/Chassis", "Links/ManagedBy", "Links/ManagerForServers",
}

func compare(t *testing.T, k *bench, dump, uri string) {
	t.Helper()
	want, ok := dumped(t, dump, uri)
	if !ok {
		return
	}
	status, _, got := k.do(http.MethodGet, uri, nil)
	if status != http.StatusOK && !strings.Contains(uri, "/VirtualMedia/") {
		t.Errorf("%s: %d", uri, status)
	}
	if status != http.StatusOK {
		return
	}
	for _, p := range invented(got, want, "") {
		t.Errorf("%s: the real one has no %s", uri, p)
	}
	for _, p := range acted {
		if p == "Boot/BootOptions" && strings.HasSuffix(uri, "/Settings") {
			continue // a second collection, of the same options
		}
		g, w := lookup(got, p), lookup(want, p)
		if p == "TransferProtocolType" && want["Inserted"] == true {
			continue // a dump of a machine with a medium inserted
		}
		if (g == missing) != (w == missing) {
			t.Errorf("%s: %s is %v, in the dump %v", uri, p, g, w)
		}
	}
	for _, p := range equalValues {
		if p == "Boot/BootOptions" && strings.HasSuffix(uri, "/Settings") {
			continue
		}
		if p == "Image" && want["Inserted"] == true {
			continue // likewise
		}
		if g, w := lookup(got, p), lookup(want, p); !reflect.DeepEqual(sorted(g), sorted(w)) && w != missing {
			t.Errorf("%s: %s differs (-dump +simulation):\n%s", uri, p, cmp.Diff(w, g))
		}
	}
}

func dumped(t *testing.T, dump, uri string) (object, bool) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dump, filepath.FromSlash(uri), "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	out := object{}
	if err := errors.Join(err, json.Unmarshal(raw, &out)); err != nil {
		t.Fatal(err)
	}
	return out, true
}

// invented lists what the simulation has and the real machine has not, or has
// as another type.
func invented(got, want object, prefix string) []string {
	var list []string
	for key, g := range got {
		p := path.Join(prefix, key)
		w, ok := want[key]
		switch {
		case slices.Contains(ours, key):
		case !ok:
			list = append(list, p)
		case g == nil || w == nil:
		case reflect.TypeOf(g) != reflect.TypeOf(w):
			list = append(list, fmt.Sprintf("%s of type %T but of type %T", p, g, w))
		default:
			if inner, ok := g.(object); ok && key != "Oem" {
				list = append(list, invented(inner, w.(object), p)...)
			}
		}
	}
	slices.Sort(list)
	return list
}

// missing is what lookup returns for a property that is not there.
const missing = "(missing)"

// lookup finds a property by the keys on the way; keys hold slashes nowhere but in URIs.
func lookup(o object, p string) any {
	var v any = o
	for _, key := range strings.Split(p, "/") {
		m, ok := v.(object)
		if !ok {
			return missing
		}
		if v, ok = m[key]; !ok {
			return missing
		}
	}
	return v
}

// sorted makes lists of strings comparable whose order means nothing.
func sorted(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	text := []string{}
	for _, e := range list {
		text = append(text, fmt.Sprint(e))
	}
	slices.Sort(text)
	return text
}
