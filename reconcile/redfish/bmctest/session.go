package bmctest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	rootURI     = "/redfish/v1"
	sessionsURI = rootURI + "/SessionService/Sessions"
)

// session is a logged-in client.
type session struct {
	token string
	used  time.Time
}

// secure reports whether the BMC has a login at all.
func (b *BMC) secure() bool { return b.Username != "" || b.Password != "" }

// authenticate checks the request's credentials. The service root and the
// creation of a session need none (DSP0266 §13.3.2).
func (b *BMC) authenticate(r *http.Request, path string) (reply, bool) {
	open := path == "/redfish" || path == rootURI && r.Method == http.MethodGet || path == sessionsURI && r.Method == http.MethodPost
	if open || !b.secure() {
		return reply{}, true
	}
	b.expire()
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		for _, s := range b.sessions {
			if equal(s.token, token) {
				s.used = time.Now()
				return reply{}, true
			}
		}
		return unauthorized(), false
	}
	user, password, ok := r.BasicAuth()
	if ok && !b.q.NoBasicAuth && equal(user, b.Username) && equal(password, b.Password) {
		return reply{}, true
	}
	return unauthorized(), false
}

// equal compares two secrets without telling by the time it takes where they differ.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func unauthorized() reply {
	out := problem(http.StatusUnauthorized, "Base.1.12.NoValidSession", "there is no valid session established with the implementation")
	out.header.Set("WWW-Authenticate", `Basic realm="Redfish"`)
	return out
}

// expire ends the sessions that were idle for too long.
func (b *BMC) expire() {
	limit := b.q.SessionTimeout
	if limit == 0 {
		limit = 30 * time.Minute
	}
	for id, s := range b.sessions {
		if time.Since(s.used) > limit {
			delete(b.sessions, id)
		}
	}
}

// sessionRequest handles the requests under the session collection.
func (b *BMC) sessionRequest(r *http.Request, path string, body []byte) (reply, bool) {
	switch {
	case path == sessionsURI && r.Method == http.MethodPost:
		return b.login(body), true
	case path == sessionsURI && r.Method == http.MethodGet:
		members := []any{}
		for id := range b.sessions {
			members = append(members, ref(sessionsURI+"/"+id))
		}
		return reply{status: http.StatusOK, body: collection(sessionsURI, "#SessionCollection.SessionCollection", members)}, true
	}
	id, ok := strings.CutPrefix(path, sessionsURI+"/")
	if !ok || b.sessions[id] == nil {
		return reply{}, false
	}
	switch r.Method {
	case http.MethodDelete:
		delete(b.sessions, id)
		return reply{status: http.StatusNoContent}, true
	case http.MethodGet:
		return reply{status: http.StatusOK, body: b.sessionBody(id)}, true
	}
	return methodNotAllowed(), true
}

func (b *BMC) sessionBody(id string) object {
	return object{
		"@odata.id": sessionsURI + "/" + id, "@odata.type": "#Session.v1_3_0.Session",
		"Id": id, "Name": "User Session", "UserName": b.Username,
	}
}

// login opens a session.
func (b *BMC) login(body []byte) reply {
	var in struct{ UserName, Password string }
	if err := json.Unmarshal(body, &in); err != nil {
		return problem(http.StatusBadRequest, "Base.1.12.MalformedJSON", "the request body is not a JSON object")
	}
	if b.secure() && (!equal(in.UserName, b.Username) || !equal(in.Password, b.Password)) {
		return problem(http.StatusUnauthorized, "Base.1.12.ResourceAtUriUnauthorized", "the credentials are not accepted")
	}
	b.expire()
	limit := b.q.SessionLimit
	if limit == 0 {
		limit = 64
	}
	if len(b.sessions) >= limit {
		return problem(http.StatusServiceUnavailable, b.shape.message("SessionLimitExceeded"), "the maximum number of sessions is reached")
	}
	b.serial++
	id := strconv.Itoa(b.serial)
	token := rand.Text()
	b.sessions[id] = &session{token: token, used: time.Now()}
	return reply{
		status: http.StatusCreated,
		body:   b.sessionBody(id),
		header: http.Header{"X-Auth-Token": {token}, "Location": {sessionsURI + "/" + id}},
	}
}
