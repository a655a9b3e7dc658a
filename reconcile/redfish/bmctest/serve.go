package bmctest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds a request's body.
const maxBody = 1 << 20

// object is a JSON object.
type object = map[string]any

// ref is a reference to a resource.
func ref(uri string) object { return object{"@odata.id": uri} }

// reply is an answer before it is written.
type reply struct {
	status int
	body   any // nil: no body
	header http.Header
}

// ServeHTTP implements http.Handler.
func (b *BMC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	b.mu.Lock()
	b.start()
	n := len(b.log)
	b.log = append(b.log, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, At: began,
		IfMatch: r.Header.Get("If-Match"), Session: r.Header.Get("X-Auth-Token") != "",
	})
	b.inFlight++
	b.widest = max(b.widest, b.inFlight)
	faults := b.matching(r)
	b.mu.Unlock()
	status := 0
	defer func() {
		b.mu.Lock()
		b.inFlight--
		b.log[n].Status, b.log[n].Took = status, time.Since(began)
		b.mu.Unlock()
	}()
	if !sleep(r.Context(), b.Latency) {
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out := b.answer(r, body, faults)
	status = out.status
	write(w, r, out, faults)
}

// matching counts the request against every fault and returns those that apply.
func (b *BMC) matching(r *http.Request) []Fault {
	var hit []Fault
	for _, f := range b.faults {
		if f.take(r.Method, r.URL.Path) {
			hit = append(hit, f.Fault)
		}
	}
	return hit
}

// answer handles a request, with what the faults do before and after it.
func (b *BMC) answer(r *http.Request, body []byte, faults []Fault) reply {
	for _, f := range faults {
		if !sleep(r.Context(), f.Delay) || f.Reset {
			panic(http.ErrAbortHandler)
		}
		if f.Status != 0 {
			return f.refusal()
		}
		if f.Before != nil {
			f.Before(b)
		}
	}
	var out reply
	switch {
	case noEffect(faults):
		out = reply{status: http.StatusNoContent}
	default:
		out = b.handle(r, body)
	}
	for _, f := range faults {
		if f.Then != nil {
			f.Then(b)
		}
		if f.ResetAfter {
			panic(http.ErrAbortHandler)
		}
	}
	return out
}

func noEffect(faults []Fault) bool {
	for _, f := range faults {
		if f.NoEffect {
			return true
		}
	}
	return false
}

// refusal is the answer that a fault gives instead of the BMC.
func (f Fault) refusal() reply {
	id := f.MessageID
	if id == "" {
		id = "Base.1.12.GeneralError"
	}
	out := problem(f.Status, id, "a simulated fault")
	if f.Location != "" {
		out.header.Set("Location", f.Location)
	}
	if f.RetryAfter > 0 {
		out.header.Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	return out
}

// handle authenticates and routes a request.
func (b *BMC) handle(r *http.Request, body []byte) reply {
	path := r.URL.Path
	if path == rootURI && b.redirectsRoot() {
		return reply{status: http.StatusPermanentRedirect, header: http.Header{"Location": {rootURI + "/"}}}
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	rt, known := b.routes[path]
	if out, ok := b.authenticate(r, path); !ok {
		return out
	}
	if out, ok := b.sessionRequest(r, path, body); ok {
		return out
	}
	if !known || rt.hidden != nil && rt.hidden() {
		return problem(http.StatusNotFound, "Base.1.12.ResourceMissingAtURI", "the resource at "+path+" does not exist", path)
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if rt.monitor != nil {
			return rt.monitor()
		}
		if rt.get == nil {
			return methodNotAllowed()
		}
		return b.get(r, rt)
	case http.MethodPatch:
		if rt.patch == nil {
			return methodNotAllowed()
		}
		return b.write(r, rt, body, rt.patch)
	case http.MethodPost:
		if rt.post == nil {
			return methodNotAllowed()
		}
		return b.write(r, rt, body, rt.post)
	}
	return methodNotAllowed()
}

// redirectsRoot reports the quirk RootRedirect.
func (b *BMC) redirectsRoot() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.q.RootRedirect
}

func methodNotAllowed() reply {
	return problem(http.StatusMethodNotAllowed, "Base.1.12.OperationNotAllowed", "the HTTP method is not allowed on this resource")
}

// get answers with the resource and its ETag.
func (b *BMC) get(r *http.Request, rt *route) reply {
	body := rt.get()
	tag := b.etag(body)
	h := http.Header{"Etag": {tag}}
	if r.Header.Get("If-None-Match") == tag {
		return reply{status: http.StatusNotModified, header: h}
	}
	if b.shape.etags {
		body["@odata.etag"] = tag
	}
	return reply{status: http.StatusOK, body: body, header: h}
}

// etag is a digest of a resource's present content.
func (b *BMC) etag(body object) string {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("bmctest: encoding a resource: %v", err)) // only maps, slices, strings and numbers are in it
	}
	sum := sha256.Sum256(raw)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	if b.q.WeakETags {
		tag = "W/" + tag
	}
	return tag
}

// write checks what all writes have in common, and then does it.
func (b *BMC) write(r *http.Request, rt *route, raw []byte, do func(object) reply) reply {
	if b.q.Locked {
		return problem(http.StatusForbidden, b.shape.message("LockdownMode"), "the operation is refused while lockdown mode is on")
	}
	if out, bad := b.precondition(r, rt); bad {
		return out
	}
	raw = bytes.TrimSpace(raw)
	body := object{}
	switch {
	case len(raw) == 0 && r.Method == http.MethodPatch:
		return problem(http.StatusBadRequest, "Base.1.12.MalformedJSON", "the request body is empty")
	case len(raw) == 0:
		body = nil
	default:
		if err := json.Unmarshal(raw, &body); err != nil {
			return problem(http.StatusBadRequest, "Base.1.12.MalformedJSON", "the request body is not a JSON object")
		}
	}
	return do(body)
}

// precondition applies the rules for If-Match.
func (b *BMC) precondition(r *http.Request, rt *route) (reply, bool) {
	match := r.Header.Get("If-Match")
	failed := problem(http.StatusPreconditionFailed, "Base.1.12.PreconditionFailed", "the ETag supplied did not match the ETag of the resource")
	if r.Method == http.MethodPost {
		return failed, match != "" && b.q.ActionIfMatch412
	}
	switch {
	case match == "" && b.q.NeedIfMatch:
		return problem(http.StatusPreconditionRequired, "Base.1.12.PreconditionRequired", "a precondition header is required"), true
	case match == "" || match == "*":
		return reply{}, false
	case b.q.WildcardOnlyMatch:
		return failed, true
	case b.q.CheckIfMatch && rt.get != nil:
		return failed, match != b.etag(rt.get())
	}
	return reply{}, false
}

// write sends an answer, with what the faults do to it.
func write(w http.ResponseWriter, r *http.Request, out reply, faults []Fault) {
	var raw []byte
	if out.body != nil {
		var err error
		if raw, err = json.Marshal(out.body); err != nil {
			panic(fmt.Sprintf("bmctest: encoding an answer: %v", err)) // only maps, slices, strings and numbers are in it
		}
	}
	length := len(raw)
	for _, f := range faults {
		if f.Body != "" {
			raw, length = []byte(f.Body), len(f.Body)
		}
		if f.Truncate {
			raw = raw[:len(raw)/2]
		}
	}
	h := w.Header()
	for k, v := range out.header {
		h[k] = v
	}
	h.Set("OData-Version", "4.0")
	h.Set("Cache-Control", "no-cache")
	if length > 0 {
		h.Set("Content-Type", "application/json;charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead && len(raw) > 0 {
		_, _ = w.Write(raw) // the client may be gone; fewer bytes than announced cut the connection
	}
}

// problem is an error answer as DSP0266 §8.6 has it.
func problem(status int, id, message string, args ...string) reply {
	if args == nil {
		args = []string{}
	}
	info := object{
		"@odata.type": "#Message.v1_1_1.Message", "MessageId": id, "Message": message,
		"MessageArgs": args, "Severity": "Critical", "Resolution": "None.",
	}
	return reply{
		status: status,
		header: http.Header{},
		body: object{"error": object{
			"code": "Base.1.12.GeneralError", "message": "A general error has occurred. See ExtendedInfo for more information.",
			"@Message.ExtendedInfo": []any{info},
		}},
	}
}
