package netboxtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server is a NetBox. Its exported fields are read when it is first used;
// after that its methods look at it and change it. It is safe for concurrent
// use, Faults excepted: set them through [Server.SetFaults] once it is in use.
type Server struct {
	// Version is the release to behave like; "" means "4.6.8".
	Version string
	// URL is the address that its answers name; "" means
	// "https://netbox.example.net".
	URL string
	// Token is the token that it accepts, v1 or v2 (with its "nbt_"); ""
	// accepts every one, and none.
	Token string
	// ReadOnly refuses every write with 403.
	ReadOnly bool
	// Deny are endpoints, such as "dcim/interfaces", that the token may not
	// see: 403.
	Deny []string
	// PageSize is MAX_PAGE_SIZE; 0 means 1,000.
	PageSize int
	// Statuses are further device statuses that the administrator has added.
	Statuses []string

	Devices      []Device
	Prefixes     []Prefix
	Addresses    []Address
	CustomFields []CustomField
	// Platforms, Tags, Sites, Roles and Tenants are slugs that exist although
	// no device uses them.
	Platforms, Tags, Sites, Roles, Tenants []string
	// VLANs are ids of VLANs that exist although nothing uses them.
	VLANs []int

	Faults []Fault

	mu       sync.Mutex
	st       *state
	requests []Request
}

// SetFaults replaces the faults.
func (s *Server) SetFaults(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Faults = faults
}

// Requests returns what the server was sent so far, in the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Writes returns the requests that could have changed something.
func (s *Server) Writes() []Request {
	return slices.DeleteFunc(s.Requests(), func(r Request) bool { return !r.IsWrite() })
}

// Forget empties the list of requests.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP answers one request of NetBox's REST API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	f := s.fault(r)
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path,
		Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body})
	n := len(s.requests) - 1
	s.mu.Unlock()

	if f != nil && f.Latency > 0 && !sleep(r.Context(), f.Latency) {
		return
	}
	if f != nil && f.Reset {
		panic(http.ErrAbortHandler)
	}
	var a *answer
	if f == nil || f.Status == 0 && f.Redirect == "" {
		a = s.handle(r, body, f)
	}
	if f != nil && f.Lost {
		panic(http.ErrAbortHandler)
	}
	if a == nil {
		a = newAnswer(http.StatusOK)
	}
	s.note(n, f, a)
	spoil(w, r, f, a)
}

// note adds the status to the list of requests, unless that was emptied.
func (s *Server) note(n int, f *Fault, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.requests) {
		return
	}
	s.requests[n].Status = a.status
	if f != nil && f.Status != 0 {
		s.requests[n].Status = f.Status
	}
}

// handle finds the answer.
func (s *Server) handle(r *http.Request, body []byte, f *Fault) *answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.state()
	a := st.route(s, r, body, f)
	a.header.Set("API-Version", fmt.Sprintf("%d.%d", st.release/100, st.release%100))
	a.header.Set("Vary", "HX-Request, Accept-Language, Cookie, origin")
	return a
}

func (st *state) route(s *Server, r *http.Request, body []byte, f *Fault) *answer {
	path, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok {
		return html(http.StatusNotFound, "Page Not Found")
	}
	if !strings.HasSuffix(path, "/") {
		// Django redirects to the address with the slash; 4.5 stopped that.
		if st.release >= 405 {
			return html(http.StatusNotFound, "Page Not Found")
		}
		a := html(http.StatusMovedPermanently, "")
		a.header.Set("Location", strings.TrimSuffix(r.URL.RequestURI(), "?"+r.URL.RawQuery)+"/"+query(r))
		return a
	}
	if a := s.authorize(st, r); a != nil {
		return a
	}
	words := strings.Split(strings.TrimSuffix(path, "/"), "/")
	switch {
	case path == "status/":
		return readOnly(r, st.status())
	case path == "authentication-check/" && st.release >= 405:
		return readOnly(r, newJSON(http.StatusOK, map[string]any{"id": 1, "username": "reconcile"}))
	case len(words) < 2 || st.tables[words[0]+"/"+words[1]] == nil:
		return html(http.StatusNotFound, "Page Not Found")
	}
	endpoint := words[0] + "/" + words[1]
	if slices.Contains(s.Deny, endpoint) || s.ReadOnly && (Request{Method: r.Method}).IsWrite() {
		return detail(http.StatusForbidden, "You do not have permission to perform this action.")
	}
	if len(words) == 2 {
		return st.collection(s, r, endpoint, body, f)
	}
	id, err := strconv.Atoi(words[2])
	if err != nil || st.tables[endpoint].byID[id] == nil {
		return detail(http.StatusNotFound, "No "+st.kind(endpoint)+" matches the given query.")
	}
	if len(words) == 4 && endpoint == "ipam/prefixes" && words[3] == "available-ips" {
		return st.availableIPs(r, st.tables[endpoint].byID[id], body)
	}
	if len(words) > 3 {
		return html(http.StatusNotFound, "Page Not Found")
	}
	return st.single(r, endpoint, st.tables[endpoint].byID[id], body)
}

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}

// authorize returns the refusal, or nil.
func (s *Server) authorize(st *state, r *http.Request) *answer {
	if s.Token == "" {
		return nil
	}
	got := r.Header.Get("Authorization")
	if got == "" {
		return detail(http.StatusForbidden, "Authentication credentials were not provided.")
	}
	scheme, token, _ := strings.Cut(got, " ")
	if token == s.Token && (scheme == "Token" || scheme == "Bearer" && st.release >= 405) {
		return nil
	}
	switch {
	case st.release < 405 && scheme != "Token":
		return detail(http.StatusForbidden, "Authentication credentials were not provided.")
	case st.release < 405:
		return detail(http.StatusForbidden, "Invalid token")
	case strings.HasPrefix(token, "nbt_"):
		return detail(http.StatusForbidden, "Invalid v2 token")
	}
	return detail(http.StatusForbidden, "Invalid v1 token")
}

// status answers /api/status/.
func (st *state) status() *answer {
	v := map[string]any{
		"django-version": "5.2.19", "netbox-version": st.version, "plugins": map[string]any{},
		"python-version": "3.12.1", "rq-workers-running": 1,
	}
	apps := "installed_apps"
	if st.release < 404 {
		apps = "installed-apps"
	} else {
		v["hostname"] = "netboxtest"
	}
	v[apps] = map[string]any{"rest_framework": "3.16.1"}
	if st.release >= 403 {
		v["netbox-full-version"] = st.version
	}
	return newJSON(http.StatusOK, v)
}

// collection answers for a whole table.
func (st *state) collection(s *Server, r *http.Request, endpoint string, body []byte, f *Fault) *answer {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return st.list(s, r, endpoint, f)
	case http.MethodPost:
		return st.create(r, endpoint, body)
	case http.MethodPatch:
		if endpoint == "dcim/devices" {
			return st.patchMany(r, body)
		}
	case http.MethodOptions:
		return newJSON(http.StatusOK, map[string]any{"name": st.kind(endpoint) + " List"})
	}
	return notAllowed(r)
}

// single answers for one object.
func (st *state) single(r *http.Request, endpoint string, o *object, body []byte) *answer {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		a := newAnswer(http.StatusOK)
		a.body = o.appendTo(nil, projection(r.URL.Query(), st.release, endpoint))
		st.etag(a, o)
		return a
	case http.MethodPatch:
		if endpoint == "dcim/devices" {
			return st.patchOne(r, o, body)
		}
	case http.MethodDelete:
		st.tables[endpoint].remove(o.id)
		st.changed()
		return newAnswer(http.StatusNoContent)
	case http.MethodOptions:
		return newJSON(http.StatusOK, map[string]any{"name": st.kind(endpoint)})
	}
	return notAllowed(r)
}

// etag adds the weak ETag that single objects have since 4.6.
func (st *state) etag(a *answer, o *object) {
	if st.release >= 406 {
		stamp := strings.Replace(o.text("last_updated", ""), "Z", "+00:00", 1)
		a.header.Set("ETag", `W/"`+stamp+`"`)
	}
}

// An answer is what is sent for a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newAnswer(status int) *answer {
	return &answer{status: status, header: http.Header{"Content-Type": {"application/json"}}}
}

func newJSON(status int, v any) *answer {
	a := newAnswer(status)
	a.body = encode(v)
	return a
}

func detail(status int, text string) *answer {
	return newJSON(status, map[string]any{"detail": text})
}

func html(status int, title string) *answer {
	a := newAnswer(status)
	a.header.Set("Content-Type", "text/html; charset=utf-8")
	a.body = []byte("<!DOCTYPE html>\n<html lang=\"en\"><head><title>" + title + "</title></head></html>\n")
	return a
}

func notAllowed(r *http.Request) *answer {
	return detail(http.StatusMethodNotAllowed, fmt.Sprintf("Method %q not allowed.", r.Method))
}

func readOnly(r *http.Request, a *answer) *answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
		return notAllowed(r)
	}
	return a
}

func (a *answer) send(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	// A client that has gone away is no concern of the server's.
	_, _ = io.Copy(w, bytes.NewReader(a.body))
}

// timestamp is NetBox's form of a time.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
