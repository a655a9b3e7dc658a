package redfish_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/metalcue/metalcue/reconcile/redfish"
)

// sent is a request as it would have gone over the wire.
type sent struct {
	method, scheme, host, path, user, auth, token, body string
}

// recorder notes every request below the client's checks.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	log  []sent
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	s := sent{method: req.Method, scheme: req.URL.Scheme, host: req.URL.Host, path: req.URL.Path,
		auth: req.Header.Get("Authorization"), token: req.Header.Get("X-Auth-Token")}
	if req.URL.User != nil {
		s.user = req.URL.User.String()
	}
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body) // of our own request: bytes in memory
		s.body = string(b)
		req.Body = io.NopCloser(bytes.NewReader(b))
	}
	r.mu.Lock()
	r.log = append(r.log, s)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

func (r *recorder) all() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sent(nil), r.log...)
}

// inProcess calls a handler without a network.
type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.h.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// actions is every method that writes.
func actions(ctx context.Context, c *redfish.Client) map[string]func() error {
	return map[string]func() error{
		"SetPower":  func() error { return c.SetPower(ctx, redfish.Off) },
		"Insert":    func() error { return c.Insert(ctx, "https://media.example/i/t/h.iso") },
		"Eject":     func() error { return c.Eject(ctx) },
		"BootOnce":  func() error { return c.BootOnce(ctx) },
		"ClearBoot": func() error { return c.ClearBoot(ctx) },
		"SetMarker": func() error { return c.SetMarker(ctx, "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6") },
	}
}

// resources is a BMC made of fixed answers; what it holds can be replaced.
type resources map[string]string

func (m resources) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := m[r.URL.Path]
	if !ok || r.Method != http.MethodGet {
		http.Error(w, `{}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body) // to memory
}

// with returns a copy in which some resources are replaced.
func (m resources) with(replaced resources) resources {
	c := maps.Clone(m)
	maps.Copy(c, replaced)
	return c
}

// plain is a small standard BMC.
var plain = resources{
	"/redfish/v1/":        `{"@odata.id":"/redfish/v1/","Id":"RootService","Vendor":"Acme","Systems":{"@odata.id":"/redfish/v1/Systems"},"Chassis":{"@odata.id":"/redfish/v1/Chassis"},"Managers":{"@odata.id":"/redfish/v1/Managers"}}`,
	"/redfish/v1/Systems": `{"Members":[{"@odata.id":"/redfish/v1/Systems/1"}]}`,
	"/redfish/v1/Systems/1": `{"@odata.id":"/redfish/v1/Systems/1","Id":"1","SerialNumber":"S1","UUID":"u-1","AssetTag":"","PowerState":"Off",
		"Boot":{"BootSourceOverrideEnabled":"Disabled","BootSourceOverrideTarget":"None"},
		"Links":{"Chassis":[{"@odata.id":"/redfish/v1/Chassis/1"}],"ManagedBy":[{"@odata.id":"/redfish/v1/Managers/1"}]},
		"Actions":{"#ComputerSystem.Reset":{"target":"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"}},
		"VirtualMedia":{"@odata.id":"/redfish/v1/Systems/1/VirtualMedia"}}`,
	"/redfish/v1/Chassis":                   `{"Members":[{"@odata.id":"/redfish/v1/Chassis/1"}]}`,
	"/redfish/v1/Chassis/1":                 `{"@odata.id":"/redfish/v1/Chassis/1","Id":"1","SerialNumber":"S1","AssetTag":null}`,
	"/redfish/v1/Managers":                  `{"Members":[{"@odata.id":"/redfish/v1/Managers/1"}]}`,
	"/redfish/v1/Managers/1":                `{"@odata.id":"/redfish/v1/Managers/1","Id":"1","FirmwareVersion":"1.0"}`,
	"/redfish/v1/Systems/1/VirtualMedia":    `{"Members":[{"@odata.id":"/redfish/v1/Systems/1/VirtualMedia/Cd"}]}`,
	"/redfish/v1/Systems/1/VirtualMedia/Cd": `{"@odata.id":"/redfish/v1/Systems/1/VirtualMedia/Cd","Id":"Cd","MediaTypes":["CD"],"Inserted":false,"Actions":{"#VirtualMedia.InsertMedia":{"target":"/redfish/v1/Systems/1/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia"}}}`,
}
