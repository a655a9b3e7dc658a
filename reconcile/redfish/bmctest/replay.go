package bmctest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Replay answers with the resources of one real BMC, recorded as one
// index.json per URL path, and keeps what is written to them: properties that
// a resource has, power, and virtual media. It has no quirks and no machine
// behind it; it shows whether a client understands that BMC's resources. It is
// an http.Handler and safe for concurrent use.
type Replay struct {
	// FS holds the recording: redfish/v1/index.json, redfish/v1/Systems/index.json, ….
	FS fs.FS

	mu   sync.Mutex
	docs map[string]object // that were read or changed
	log  []Request
}

// Transport returns a RoundTripper that calls the Replay in this process.
func (p *Replay) Transport() http.RoundTripper { return handlerTransport{p} }

// Requests returns the requests received so far.
func (p *Replay) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// ServeHTTP implements http.Handler.
func (p *Replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	out := p.handle(r, raw)
	p.log = append(p.log, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: out.status, At: began, Took: time.Since(began),
		IfMatch: r.Header.Get("If-Match"), Session: r.Header.Get("X-Auth-Token") != "",
	})
	p.mu.Unlock()
	write(w, r, out, nil)
}

func (p *Replay) handle(r *http.Request, raw []byte) reply {
	uri := path.Clean(r.URL.Path)
	body := object{}
	if len(raw) > 0 && json.Unmarshal(raw, &body) != nil {
		return problem(http.StatusBadRequest, "Base.1.12.MalformedJSON", "the request body is not a JSON object")
	}
	if parent, action, ok := strings.Cut(uri, "/Actions/"); ok && r.Method == http.MethodPost {
		return p.act(parent, uri, action, body)
	}
	doc, err := p.load(uri)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return problem(http.StatusNotFound, "Base.1.12.ResourceMissingAtURI", "the resource at "+uri+" was not recorded", uri)
	}
	if err != nil {
		return problem(http.StatusInternalServerError, "Base.1.12.InternalError", "the recording is damaged: "+err.Error())
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		text, err := json.Marshal(doc) // now: it may change before it is written
		if err != nil {
			return problem(http.StatusInternalServerError, "Base.1.12.InternalError", err.Error())
		}
		return reply{status: http.StatusOK, body: json.RawMessage(text), header: http.Header{"Etag": {docTag(doc)}}}
	case http.MethodPatch:
		if match := r.Header.Get("If-Match"); match != "" && match != "*" && match != docTag(doc) {
			return problem(http.StatusPreconditionFailed, "Base.1.12.PreconditionFailed", "the ETag supplied did not match the ETag of the resource")
		}
		if name := merge(doc, body, true); name != "" {
			return unknownProperty(name)
		}
		merge(doc, body, false)
		if in, ok := body["Inserted"].(bool); ok {
			connect(doc, in)
		}
		return reply{status: http.StatusNoContent}
	}
	return methodNotAllowed()
}

// load returns a resource with everything that was written to it.
func (p *Replay) load(uri string) (object, error) {
	if doc, ok := p.docs[uri]; ok {
		return doc, nil
	}
	raw, err := fs.ReadFile(p.FS, strings.TrimPrefix(uri, "/")+"/index.json")
	if err != nil {
		return nil, err
	}
	doc := object{}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	delete(doc, "@odata.etag") // it is not true any more after the first write
	if p.docs == nil {
		p.docs = map[string]object{}
	}
	p.docs[uri] = doc
	return doc, nil
}

// docTag is a resource's ETag.
func docTag(doc object) string {
	raw, err := json.Marshal(doc)
	if err != nil {
		return `""`
	}
	sum := sha256.Sum256(raw)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// merge writes the properties of patch into doc. With check it changes
// nothing, and returns the first property that doc has not.
func merge(doc, patch object, check bool) string {
	for _, k := range slices.Sorted(maps.Keys(patch)) {
		old, ok := doc[k]
		if !ok {
			return k
		}
		inner, isObject := patch[k].(object)
		if was, ok := old.(object); ok && isObject {
			if name := merge(was, inner, check); name != "" {
				return k + "/" + name
			}
			continue
		}
		if !check {
			doc[k] = patch[k]
		}
	}
	return ""
}

// connect makes a virtual drive's properties agree.
func connect(doc object, inserted bool) {
	doc["Inserted"], doc["ConnectedVia"] = inserted, "NotConnected"
	if inserted {
		doc["ConnectedVia"] = "URI"
	}
}

// act performs an action that the resource offers.
func (p *Replay) act(parent, uri, action string, body object) reply {
	doc, err := p.load(parent)
	if err != nil || !offers(doc["Actions"], uri) {
		return problem(http.StatusNotFound, "Base.1.12.ResourceMissingAtURI", "no action at "+uri+" was recorded", uri)
	}
	switch action {
	case "VirtualMedia.InsertMedia":
		image, ok := body["Image"].(string)
		if !ok || image == "" {
			return problem(http.StatusBadRequest, "Base.1.12.ActionParameterMissing", "the action requires the parameter Image", "InsertMedia", "Image")
		}
		doc["Image"] = image
		connect(doc, true)
	case "VirtualMedia.EjectMedia":
		doc["Image"] = nil
		connect(doc, false)
	case "ComputerSystem.Reset":
		switch body["ResetType"] {
		case "On", "ForceOn", "ForceRestart", "GracefulRestart", "PowerCycle":
			doc["PowerState"] = string(On)
		case "ForceOff", "GracefulShutdown":
			doc["PowerState"] = string(Off)
		default:
			return problem(http.StatusBadRequest, "Base.1.12.ActionParameterNotSupported", "the value of ResetType is not supported", "ResetType")
		}
	default:
		return problem(http.StatusNotImplemented, "Base.1.12.ActionNotSupported", "the action "+action+" cannot be replayed", action)
	}
	return reply{status: http.StatusNoContent}
}

// offers reports whether an action with this target is among a resource's actions.
func offers(actions any, target string) bool {
	m, ok := actions.(object)
	if !ok {
		return false
	}
	for _, v := range m {
		if inner, ok := v.(object); ok && (inner["target"] == target || offers(inner, target)) {
			return true
		}
	}
	return false
}
