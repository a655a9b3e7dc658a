//go:build live

package netbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/netbox/netboxtest"
)

// TestLive runs the whole layer against the NetBox that NETBOX_URL names, and
// demands that it sees there what it sees of netboxtest. NETBOX_TOKEN must be
// a superuser's: the test makes a user of its own with no more than the
// permissions that [netbox.Permissions] lists, and everything is done as that
// user. It makes a site of its own, in the ranges 198.18.0.0/15 and
// 2001:db8::/32, and takes everything away again.
//
//	NETBOX_URL=http://127.0.0.1:8000 NETBOX_TOKEN=… go test -tags live -run TestLive ./reconcile/netbox
func TestLive(t *testing.T) {
	base, token := os.Getenv("NETBOX_URL"), os.Getenv("NETBOX_TOKEN")
	if base == "" || token == "" {
		t.Fatal("set NETBOX_URL and NETBOX_TOKEN")
	}
	l := &live{t: t, base: strings.TrimSuffix(strings.TrimSuffix(base, "/"), "/api"), token: token, ids: map[string]int{}}
	version, _ := l.call("GET", "status", nil)["netbox-version"].(string)
	w := &whole{name: fmt.Sprintf("mc%06x", rand.IntN(1<<24)), net: rand.IntN(256)}
	t.Logf("NetBox %s, names begin with %s, addresses are in 198.18.%d.0/24 and 198.19.%d.0/24", version, w.name, w.net, w.net)
	for _, net := range []string{fmt.Sprintf("198.18.%d.0/24", w.net), fmt.Sprintf("198.19.%d.0/24", w.net), fmt.Sprintf("2001:db8:%x::/64", w.net)} {
		if n := l.count("ipam/ip-addresses", "parent="+net) + l.count("ipam/prefixes", "within_include="+net); n > 0 {
			t.Fatalf("NetBox has %d addresses and prefixes in %s; run the test again", n, net)
		}
	}
	t.Cleanup(func() { l.clean(w) })
	for _, name := range []string{"reconcile_generation", "reconcile_commit", "reconcile_marker", "last_installed", "gateway", "dns", "ntp"} {
		if l.count("extras/custom-fields", "name="+name) == 0 {
			l.fields = append(l.fields, name)
		}
	}
	l.seed(w)
	user := l.user(w, version)
	w.client = func() *netbox.Client {
		return &netbox.Client{URL: base, Token: credential.Secret(user), ContextKey: w.key(), HTTP: &http.Client{Transport: http.DefaultTransport}}
	}
	w.set = func(t *testing.T, device string, values map[string]any) {
		t.Helper()
		l.call("PATCH", fmt.Sprintf("dcim/devices/%d", l.ids["device "+device]), values)
	}
	w.journal = func(t *testing.T, device string) []netboxtest.JournalEntry {
		t.Helper()
		var out []netboxtest.JournalEntry
		for _, row := range l.list("extras/journal-entries", fmt.Sprintf("assigned_object_type=dcim.device&assigned_object_id=%d", l.ids["device "+device])) {
			kind, _ := row["kind"].(map[string]any)
			comments, _ := row["comments"].(string)
			value, _ := kind["value"].(string)
			out = append(out, netboxtest.JournalEntry{Kind: value, Comments: comments})
		}
		return out
	}
	for token, want := range map[string]error{token: nil, "nbt_wrong.0123456789": netbox.ErrAuth, fmt.Sprintf("%040x", 1): netbox.ErrAuth} {
		c := w.client()
		c.Token = credential.Secret(token)
		if _, err := c.Scan(t.Context(), netbox.Scope{Tag: w.tag()}, nil); !errors.Is(err, want) {
			t.Errorf("with the token %.4s…: %v", token, err)
		}
	}
	got := w.run(t)
	want := pretended(version, w.name, w.net).run(t)
	if diff := cmp.Diff(want, got, netips); diff != "" {
		t.Errorf("netboxtest and NetBox %s differ: %s", version, diff)
	}
}

// live seeds a real NetBox through its REST API, with plain requests: nothing
// of the layer under test.
type live struct {
	t           *testing.T
	base, token string
	ids         map[string]int // of what was made: "device mc123-a"
	made        []string       // paths, in order
	fields      []string       // custom fields that NetBox did not have before
}

// call sends a request and returns the object that is answered.
func (l *live) call(method, path string, in any) map[string]any {
	l.t.Helper()
	status, body := l.send(method, path, in)
	var out map[string]any
	if err := json.Unmarshal(body, &out); err != nil || status >= 300 {
		l.t.Fatalf("%s %s: %d %.600s", method, path, status, body)
	}
	return out
}

func (l *live) send(method, path string, in any) (int, []byte) {
	l.t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			l.t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	path, query, _ := strings.Cut(path, "?")
	req, err := http.NewRequest(method, l.base+"/api/"+path+"/?"+query, body)
	if err != nil {
		l.t.Fatal(err)
	}
	scheme := "Token"
	if strings.HasPrefix(l.token, "nbt_") {
		scheme = "Bearer"
	}
	req.Header.Set("Authorization", scheme+" "+l.token)
	req.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, data
}

// post makes an object, to be deleted at the end, and returns its id.
func (l *live) post(path string, in map[string]any) int {
	l.t.Helper()
	id, _ := l.call("POST", path, in)["id"].(float64)
	l.made = append(l.made, fmt.Sprintf("%s/%d", path, int(id)))
	return int(id)
}

// once makes an object the first time that it is asked for.
func (l *live) once(path, name string, in map[string]any) any {
	l.t.Helper()
	if name == "" {
		return nil
	}
	key := path + " " + name
	if l.ids[key] == 0 {
		l.ids[key] = l.post(path, in)
	}
	return l.ids[key]
}

func (l *live) list(path, query string) []map[string]any {
	l.t.Helper()
	rows, _ := l.call("GET", path+"?limit=500&"+query, nil)["results"].([]any)
	var out []map[string]any
	for _, row := range rows {
		m, _ := row.(map[string]any)
		out = append(out, m)
	}
	return out
}

func (l *live) count(path, query string) int {
	l.t.Helper()
	n, _ := l.call("GET", path+"?limit=1&"+query, nil)["count"].(float64)
	return int(n)
}

// slugged makes something that has a name and a slug.
func (l *live) slugged(path, slug string, more map[string]any) any {
	l.t.Helper()
	words := strings.Split(slug, "-")
	for i, word := range words {
		if word != "" {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	in := map[string]any{"name": strings.Join(words, " "), "slug": slug}
	for k, v := range more {
		in[k] = v
	}
	return l.once(path, slug, in)
}

// tags makes tags, those of other people excepted.
func (l *live) tags(slugs []string) []map[string]any {
	l.t.Helper()
	out := []map[string]any{}
	for _, slug := range slugs {
		if l.ids["extras/tags "+slug] == 0 && l.count("extras/tags", "slug="+slug) == 0 {
			l.once("extras/tags", slug, map[string]any{"name": slug, "slug": slug})
		}
		out = append(out, map[string]any{"slug": slug})
	}
	return out
}

// seed makes in NetBox what the whole wants.
func (l *live) seed(w *whole) {
	l.t.Helper()
	devices, prefixes, addresses := w.seeds()
	l.slugged("dcim/platforms", w.name+"-rocky-9-6", nil)
	l.slugged("dcim/sites", w.name+"-empty", nil)
	for _, p := range prefixes {
		in := map[string]any{"prefix": p.Prefix}
		if p.Status != "" {
			in["status"] = p.Status
		}
		l.post("ipam/prefixes", in)
	}
	for _, a := range addresses {
		l.post("ipam/ip-addresses", map[string]any{"address": a.Address, "tags": l.tags(a.Tags)})
	}
	for _, d := range devices {
		l.device(d)
	}
}

func (l *live) device(d netboxtest.Device) {
	l.t.Helper()
	site := l.slugged("dcim/sites", d.Site, nil)
	in := map[string]any{
		"site": site, "role": l.slugged("dcim/device-roles", d.Role, map[string]any{"color": "9e9e9e"}), "serial": d.Serial,
		"device_type": l.once("dcim/device-types", d.DeviceType, map[string]any{"model": d.DeviceType, "slug": d.DeviceType, "u_height": 1,
			"manufacturer": l.slugged("dcim/manufacturers", d.Manufacturer, nil)}),
		"tags": l.tags(d.Tags),
	}
	set := func(key string, v any) {
		if v != nil && v != "" {
			in[key] = v
		}
	}
	set("name", d.Name)
	set("asset_tag", d.AssetTag)
	set("status", d.Status)
	if d.Location != "" {
		in["location"] = l.slugged("dcim/locations", d.Location, map[string]any{"site": site})
	}
	if d.Rack != "" {
		in["rack"] = l.once("dcim/racks", d.Rack, map[string]any{"name": d.Rack, "site": site, "location": in["location"]})
		in["position"], in["face"] = d.Position, "front"
	}
	if d.Platform != "" {
		in["platform"] = l.slugged("dcim/platforms", d.Platform, nil)
	}
	if d.Tenant != "" {
		in["tenant"] = l.slugged("tenancy/tenants", d.Tenant, nil)
	}
	if d.Context != nil {
		in["local_context_data"] = d.Context
	}
	id := l.post("dcim/devices", in)
	l.ids["device "+d.Name] = id
	given := map[string]int{}
	ports := map[string]int{}
	for _, p := range d.Interfaces {
		ports[p.Name] = l.port(id, p, ports, given)
	}
	primary := map[string]any{}
	for key, address := range map[string]string{"primary_ip4": d.Primary4, "primary_ip6": d.Primary6, "oob_ip": d.OOB} {
		if address != "" {
			primary[key] = given[address]
		}
	}
	if len(primary) > 0 {
		l.call("PATCH", fmt.Sprintf("dcim/devices/%d", id), primary)
	}
}

func (l *live) port(device int, p netboxtest.Interface, ports, given map[string]int) int {
	l.t.Helper()
	in := map[string]any{"device": device, "name": p.Name, "type": p.Type, "enabled": !p.Disabled, "mgmt_only": p.MgmtOnly}
	if p.Type == "" {
		in["type"] = "10gbase-x-sfpp"
	}
	if p.MTU != 0 {
		in["mtu"] = p.MTU
	}
	if p.LAG != "" {
		in["lag"] = ports[p.LAG]
	}
	if p.Parent != "" {
		in["parent"] = ports[p.Parent]
	}
	vlan := func(vid int) any {
		return l.once("ipam/vlans", fmt.Sprint(vid), map[string]any{"vid": vid, "name": fmt.Sprintf("vlan%d", vid)})
	}
	if p.VLAN != 0 {
		in["mode"], in["untagged_vlan"] = "access", vlan(p.VLAN)
	}
	tagged := []any{}
	for _, vid := range p.TaggedVLANs {
		tagged = append(tagged, vlan(vid))
	}
	if len(tagged) > 0 {
		in["mode"], in["tagged_vlans"] = "tagged", tagged
	}
	id := l.post("dcim/interfaces", in)
	for i, mac := range slices.Concat([]string{p.MAC}, p.OtherMACs) {
		if mac == "" {
			continue
		}
		m := l.post("dcim/mac-addresses", map[string]any{"mac_address": mac, "assigned_object_type": "dcim.interface", "assigned_object_id": id})
		if i == 0 {
			l.call("PATCH", fmt.Sprintf("dcim/interfaces/%d", id), map[string]any{"primary_mac_address": m})
		}
	}
	for _, address := range p.Addresses {
		given[address] = l.post("ipam/ip-addresses", map[string]any{"address": address, "assigned_object_type": "dcim.interface", "assigned_object_id": id})
	}
	return id
}

// user makes a user who may do what the documentation says is needed, and
// returns a token. Setup makes tags and custom fields: that right is added.
func (l *live) user(w *whole, version string) string {
	l.t.Helper()
	user := l.post("users/users", map[string]any{"username": w.name, "password": "Live-" + w.name + "-0xE"})
	for _, p := range netbox.Permissions(w.tag()) {
		in := map[string]any{"name": w.name + " " + p.Name, "object_types": p.Objects, "actions": p.Actions, "users": []int{user}, "enabled": true}
		if p.Constraints != "" {
			in["constraints"] = json.RawMessage(p.Constraints)
		}
		l.post("users/permissions", in)
	}
	in := map[string]any{"user": user, "write_enabled": true}
	chosen := fmt.Sprintf("%040x", rand.Uint64())
	switch { // what was chosen is not shown again
	case version < "4.5":
		in["key"] = chosen
	case version < "4.6":
		in["token"] = chosen
	}
	token := l.call("POST", "users/tokens", in)
	id, _ := token["id"].(float64)
	l.made = append(l.made, fmt.Sprintf("users/tokens/%d", int(id)))
	key, _ := token["key"].(string)
	secret, _ := token["token"].(string)
	switch {
	case version < "4.5":
		return chosen
	case version < "4.6":
		return "nbt_" + key + "." + chosen
	case strings.HasPrefix(secret, "nbt_"):
		return secret
	}
	return "nbt_" + key + "." + secret
}

// clean deletes everything that was made, by the test and by the layer.
func (l *live) clean(w *whole) {
	remove := func(path string) bool {
		status, body := l.send("DELETE", path, nil)
		if status >= 300 && status != http.StatusNotFound {
			l.t.Logf("DELETE %s: %d %.300s", path, status, body)
		}
		return status < 300 || status == http.StatusNotFound
	}
	for _, row := range l.list("ipam/ip-addresses", fmt.Sprintf("parent=198.19.%d.0/24", w.net)) {
		id, _ := row["id"].(float64)
		remove(fmt.Sprintf("ipam/ip-addresses/%d", int(id)))
	}
	left := 0
	for _, path := range slices.Backward(l.made) {
		if !remove(path) {
			left++
		}
	}
	for _, name := range l.fields {
		for _, row := range l.list("extras/custom-fields", "name="+name) {
			id, _ := row["id"].(float64)
			remove(fmt.Sprintf("extras/custom-fields/%d", int(id)))
		}
	}
	if n := l.count("dcim/devices", "name__ic="+w.name) + l.count("extras/tags", "slug="+w.tag()); n > 0 || left > 0 {
		l.t.Errorf("%d objects could not be deleted, %d devices and tags are left", left, n)
	}
}
