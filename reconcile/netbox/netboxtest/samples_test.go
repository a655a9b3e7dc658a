package netboxtest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// samples returns the folder of recorded answers beside the repository.
func samples(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; filepath.Dir(dir) != dir; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
	}
	dir = filepath.Join(dir, "..", "shared", "netbox-samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded answers are not beside the repository: ", err)
	}
	return dir
}

// recorded is the fleet that the answers were recorded of, as seeds.
func recorded(version string) *netboxtest.Server {
	nb := &netboxtest.Server{Version: version,
		Prefixes: []netboxtest.Prefix{
			{Prefix: "10.20.0.0/24", Site: "fra1", VLAN: 110, Description: "BMC"}, {Prefix: "10.20.16.0/22", Site: "fra1", VLAN: 120},
			{Prefix: "10.20.32.0/22", Site: "fra1", VLAN: 130}, {Prefix: "2001:db8:20:10::/64", Site: "fra1", VLAN: 120},
		},
		CustomFields: []netboxtest.CustomField{
			{Name: "install_state", Type: "select"}, {Name: "last_installed", Type: "datetime"}, {Name: "os_release"}, {Name: "reconcile_commit"},
			{Name: "reconcile_generation", Type: "integer"}, {Name: "reinstall_allowed", Type: "boolean"}, {Name: "root_disk", Type: "json"},
		},
		Platforms: []string{"almalinux-9", "almalinux-10", "debian-13"},
	}
	for i, name := range []string{"fra1-cp-01", "fra1-cp-02", "fra1-wk-01", "fra1-wk-02"} {
		n := i + 11
		nb.Devices = append(nb.Devices, netboxtest.Device{
			Name: name, Serial: fmt.Sprintf("7XK4Q%02d", n), AssetTag: fmt.Sprintf("AT-100%02d", n), Site: "fra1", Location: "hall-a", Rack: "A01", Position: float64(40 - i),
			Role: "k8s-control", Platform: "almalinux-9", Tenant: "platform-eng", DeviceType: "dell-poweredge-r650", Manufacturer: "dell",
			OOB: fmt.Sprintf("10.20.0.%d/24", n), Primary4: fmt.Sprintf("10.20.16.%d/22", n), Primary6: fmt.Sprintf("2001:db8:20:10::%x/64", n),
			CustomFields: map[string]any{"install_state": "installed", "last_installed": "2026-10-02T09:14:33Z", "os_release": "9.6", "reconcile_commit": "4f2c9d1",
				"reconcile_generation": 3, "reinstall_allowed": true, "root_disk": map[string]any{"by": "wwn", "value": "0x5"}},
			Context: map[string]any{"ntp": []string{"10.20.1.123"}},
			Interfaces: []netboxtest.Interface{
				{Name: "bond0", Type: "lag", MTU: 9000, VLAN: 120, TaggedVLANs: []int{130}, DNSName: name + ".fra1.example.net",
					Addresses: []string{fmt.Sprintf("10.20.16.%d/22", n), fmt.Sprintf("2001:db8:20:10::%x/64", n)}},
				{Name: "eno1", Type: "25gbase-x-sfp28", MTU: 9000, LAG: "bond0", MAC: fmt.Sprintf("B4:45:06:%02X:00:01", i)},
				{Name: "eno2", Type: "25gbase-x-sfp28", MTU: 9000, LAG: "bond0", MAC: fmt.Sprintf("B4:45:06:%02X:00:02", i)},
				{Name: "bond0.130", Type: "virtual", Parent: "bond0", VLAN: 130, Addresses: []string{fmt.Sprintf("10.20.32.%d/22", n)}},
				{Name: "bmc", Type: "1000base-t", MgmtOnly: true, MAC: fmt.Sprintf("B4:45:06:%02X:00:03", i), DNSName: "bmc"},
			},
		})
	}
	return nb
}

// A shape is where values are, and the JSON types that they have there.
type shape map[string]map[string]bool

// data are keys whose content is the user's.
var data = []string{"custom_fields", "config_context", "local_context_data", "installed_apps", "installed-apps", "plugins"}

func (s shape) add(path string, v any) {
	kind := fmt.Sprintf("%T", v)
	if s[path] == nil {
		s[path] = map[string]bool{}
	}
	s[path][kind] = true
	if slices.Contains(data, path[strings.LastIndex(path, ".")+1:]) {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			s.add(path+"."+k, item)
		}
	case []any:
		for _, item := range v {
			s.add(path+"[]", item)
		}
	}
}

// without lists the paths of s that other lacks although it has what is above
// them, and those whose values have other types there.
func (s shape) without(other shape) []string {
	var out []string
	for path, kinds := range s {
		i := strings.LastIndexAny(path, ".[")
		if i >= 0 && !other[path[:i]]["map[string]interface {}"] && !other[path[:i]]["[]interface {}"] {
			continue // nothing there to compare with
		}
		switch {
		case other[path] == nil && strings.HasSuffix(path, "[]"): // an empty list
		case other[path] == nil:
			out = append(out, path+" is missing")
		default:
			for kind := range kinds {
				if kind != "<nil>" && !other[path][kind] && !onlyNull(other[path]) {
					out = append(out, fmt.Sprintf("%s is %s", path, kind))
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func onlyNull(kinds map[string]bool) bool { return len(kinds) == 1 && kinds["<nil>"] }

func shapeOf(v any) shape {
	s := shape{}
	s.add("", v)
	return s
}

func readJSON(t *testing.T, path string) any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(path, err)
	}
	return v
}

// versions are the recorded releases.
func versions(t *testing.T) []string {
	t.Helper()
	var out []string
	entries, err := os.ReadDir(samples(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out
}

// Every list has the keys and the types of values that the real release has.
func TestShapesOfLists(t *testing.T) {
	for _, version := range versions(t) {
		nb := recorded(strings.TrimSuffix(version, "-derived"))
		for i := range nb.Devices {
			if err := nb.AddJournal(nb.Devices[i].Name, netboxtest.JournalEntry{Kind: "success", Comments: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		files, err := filepath.Glob(filepath.Join(samples(t), version, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		compared := 0
		for _, file := range files {
			path, ok := requestOf(filepath.Base(file))
			if !ok {
				continue
			}
			compared++
			want := readJSON(t, file)
			status, got, _ := ask(t, nb.Transport(), "GET", path, "")
			if status != 200 {
				t.Errorf("%s %s: got %d", version, path, status)
				continue
			}
			if lacks := shapeOf(want).without(shapeOf(got)); len(lacks) > 0 {
				t.Errorf("%s %s: of the real answer\n\t%s", version, path, strings.Join(lacks, "\n\t"))
			}
			if more := shapeOf(got).without(shapeOf(want)); len(more) > 0 {
				t.Errorf("%s %s: against the real answer\n\t%s", version, path, strings.Join(more, "\n\t"))
			}
		}
		if compared < 5 {
			t.Errorf("%s: only %d lists compared", version, compared)
		}
	}
}

// requestOf says which request a recorded file answers.
func requestOf(file string) (string, bool) {
	name := strings.TrimSuffix(file, ".json")
	switch name {
	case "dcim.devices.fields":
		return "/api/dcim/devices/?limit=1000&fields=id,name,serial,asset_tag,status,site,rack,role,platform,tenant,device_type,primary_ip4,primary_ip6,oob_ip,tags,custom_fields,config_context,last_updated", true
	case "dcim.devices.brief":
		return "/api/dcim/devices/?limit=1000&brief=1", true
	case "dcim.devices.exclude-config_context":
		return "/api/dcim/devices/?limit=1000&exclude=config_context", true
	case "ipam.prefixes.2.available-ips":
		return "/api/ipam/prefixes/2/available-ips/?limit=3", true
	case "status":
		return "/api/status/", true
	case "extras.config-contexts", "errors": // not served; compared below
		return "", false
	}
	if strings.Count(name, ".") != 1 || strings.HasPrefix(name, "graphql") {
		return "", false
	}
	return "/api/" + strings.Replace(name, ".", "/", 1) + "/?limit=1000", true
}

// An exchange is a recorded request with its answer.
type exchange struct {
	Request struct {
		Method, Path string
		Body         any
	}
	Status   int
	Headers  map[string]string
	Response any
}

func readExchange[T any](t *testing.T, path string) T {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(path, err)
	}
	return v
}

// Errors are word for word those of the real release.
func TestErrors(t *testing.T) {
	for _, version := range versions(t) {
		if strings.HasSuffix(version, "-derived") {
			continue // not recorded but thought up
		}
		for name, e := range readExchange[map[string]exchange](t, filepath.Join(samples(t), version, "errors.json")) {
			nb := recorded(version)
			nb.Token = "good"
			header := []string{"Authorization", "Token good"}
			switch name {
			case "bad_token":
				header = []string{"Authorization", "Token bad"}
			case "no_token":
				header = nil
			case "stale_if_match":
				header = append(header, "If-Match", `W/"stale"`)
			case "duplicate_name":
				continue // netboxtest makes no devices
			}
			body, _ := json.Marshal(e.Request.Body)
			status, got, h := ask(t, nb.Transport(), e.Request.Method, e.Request.Path, string(body), header...)
			if status != e.Status || h.Get("API-Version") != e.Headers["API-Version"] || (h.Get("ETag") != "") != (e.Headers["ETag"] != "") {
				t.Errorf("%s %s: got %d %v, want %d %v", version, name, status, h, e.Status, e.Headers)
			}
			if e.Status == 200 { // lists and devices, of another fleet
				if lacks := shapeOf(e.Response).without(shapeOf(got)); len(lacks) > 0 {
					t.Errorf("%s %s: %v", version, name, lacks)
				}
				continue
			}
			if diff := cmp.Diff(e.Response, got); diff != "" {
				t.Errorf("%s %s: %s", version, name, diff)
			}
		}
	}
}

// Writes are answered as the real release answers them.
func TestWrites(t *testing.T) {
	for _, version := range versions(t) {
		files, err := filepath.Glob(filepath.Join(samples(t), version, "write.*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			e := readExchange[exchange](t, file)
			body, _ := json.Marshal(e.Request.Body)
			status, got, h := ask(t, recorded(version).Transport(), e.Request.Method, e.Request.Path, string(body))
			if status != e.Status || (h.Get("ETag") != "") != (e.Headers["ETag"] != "") {
				t.Errorf("%s %s: got %d %v, want %d %v", version, filepath.Base(file), status, h, e.Status, e.Headers)
			}
			if diff := append(shapeOf(e.Response).without(shapeOf(got)), shapeOf(got).without(shapeOf(e.Response))...); len(diff) > 0 {
				t.Errorf("%s %s: %s", version, filepath.Base(file), strings.Join(diff, "\n\t"))
			}
		}
	}
}
