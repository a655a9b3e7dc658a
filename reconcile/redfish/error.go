package redfish

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// What callers test for with [errors.Is]. The text of an error says the rest.
var (
	// ErrAuth: the BMC does not accept the login, or wants its password changed.
	ErrAuth = errors.New("login refused")
	// ErrPrivilege: the login is good but may not do this.
	ErrPrivilege = errors.New("not allowed")
	// ErrLocked: the BMC or the machine is in a lockdown mode.
	ErrLocked = errors.New("locked down")
	// ErrLicence: the BMC has the function and wants a licence for it.
	ErrLicence = errors.New("licence missing")
	// ErrUnreachable: no answer came, or a connection broke and stayed broken.
	ErrUnreachable = errors.New("unreachable")
	// ErrTLS: the BMC's certificate is not the one that is trusted. Permanent.
	ErrTLS = errors.New("certificate not trusted")
	// ErrUnsupported: this BMC, or this firmware, cannot do it.
	ErrUnsupported = errors.New("not supported")
	// ErrNoEffect: the BMC accepted a write that then changed nothing.
	ErrNoEffect = errors.New("accepted without effect")
	// ErrAmbiguous: several systems could be meant; name one.
	ErrAmbiguous = errors.New("ambiguous system")
	// ErrForeign: a link or a redirect leads away from the BMC.
	ErrForeign = errors.New("leads to another host")
	// ErrMarker: the marker could not be written; see [MarkerError].
	ErrMarker = errors.New("marker not written")
)

// Error is an answer of the BMC that is not success. It holds the BMC's own
// words, cut to a readable length, without control characters and without the
// login's password should the BMC repeat it.
type Error struct {
	Method, Path string
	Status       int
	// IDs are the MessageId values of @Message.ExtendedInfo (DSP0266 8.6),
	// without their registry prefix: "PropertyNotWritable".
	IDs     []string
	Message string
	// RetryAfter is the Retry-After header, zero if absent.
	RetryAfter time.Duration
	// args are MessageArgs and RelatedProperties: the names a message is about.
	args []string
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d", e.Method, e.Path, e.Status)
	if t := http.StatusText(e.Status); t != "" {
		b.WriteString(" " + t)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if len(e.IDs) > 0 {
		b.WriteString(" (" + strings.Join(e.IDs, ", ") + ")")
	}
	return b.String()
}

// Temporary reports whether the same request may succeed later by itself.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Is makes an Error match the sentinels that its status and messages mean.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrAuth:
		return e.Status == http.StatusUnauthorized || e.says("PasswordChangeRequired")
	case ErrLocked:
		return e.lockdown()
	case ErrLicence:
		return e.licence()
	case ErrPrivilege:
		return e.Status == http.StatusForbidden && !e.says("PasswordChangeRequired") && !e.lockdown() && !e.licence()
	}
	return false
}

// lockdown: iDRAC "System Lockdown Mode", Supermicro "SysLockdown" answer 403
// or 400 with that word in the text (redfish.md 7).
func (e *Error) lockdown() bool {
	return (e.Status == http.StatusForbidden || e.Status == http.StatusBadRequest) &&
		strings.Contains(strings.ToLower(e.Message), "lockdown")
}

// licence: "LicenseKeyRequired" (HPE), "OemLicenseNotPassed" (Supermicro), or the
// word in the text (Dell).
func (e *Error) licence() bool {
	words := strings.ToLower(e.Message + strings.Join(e.IDs, " "))
	return e.Status/100 == 4 && (strings.Contains(words, "license") || strings.Contains(words, "licence"))
}

// says reports whether one of the message IDs is among names.
func (e *Error) says(names ...string) bool {
	return slices.ContainsFunc(e.IDs, func(id string) bool { return slices.Contains(names, id) })
}

// mentions reports whether the messages, their arguments or properties name word.
func (e *Error) mentions(word string) bool {
	if strings.Contains(e.Message, word) {
		return true
	}
	return slices.ContainsFunc(e.args, func(a string) bool { return strings.Contains(a, word) })
}

// asError finds the BMC's answer in err.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// status is the HTTP status in err, 0 if no answer came.
func status(err error) int {
	if e := asError(err); e != nil {
		return e.Status
	}
	return 0
}

// permanent reports whether trying again, or reading on, cannot help.
func permanent(err error) bool {
	return errors.Is(err, ErrAuth) || errors.Is(err, ErrTLS) || errors.Is(err, ErrForeign) ||
		errors.Is(err, ErrUnsupported) || errors.Is(err, ErrLocked) || errors.Is(err, ErrLicence) || errors.Is(err, ErrPrivilege)
}

// message is one entry of @Message.ExtendedInfo.
type message struct {
	ID      text  `json:"MessageId"`
	Text    text  `json:"Message"`
	Args    texts `json:"MessageArgs"`
	Related texts `json:"RelatedProperties"`
}

// maxMessages bounds what is kept of one answer.
const maxMessages = 16

// messages finds every extended-information entry of an answer: below "error"
// (DSP0266 8.6), at the top level (success answers, 8.6.1), and beside a
// property ("AssetTag@Message.ExtendedInfo"). Order follows the text's keys.
func messages(body []byte) []message {
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return nil
	}
	var found []message
	collect := func(m map[string]json.RawMessage) {
		names := make([]string, 0, len(m))
		for name := range m {
			if strings.HasSuffix(name, "@Message.ExtendedInfo") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			var list []message
			if decodeList(m[name], &list); len(list) > maxMessages {
				list = list[:maxMessages]
			}
			if property, _, _ := strings.Cut(name, "@"); property != "" {
				for i := range list {
					list[i].Related = append(list[i].Related, property)
				}
			}
			found = append(found, list...)
		}
	}
	collect(top)
	var inner map[string]json.RawMessage
	if json.Unmarshal(top["error"], &inner) == nil {
		collect(inner)
		if len(found) == 0 {
			var m message
			if json.Unmarshal(inner["message"], &m.Text) == nil && m.Text != "" {
				_ = json.Unmarshal(inner["code"], &m.ID)
				found = append(found, m)
			}
		}
	}
	return found[:min(len(found), maxMessages)]
}

// newError makes an Error of an answer.
func newError(method, path string, r *response, secrets []string) *Error {
	e := &Error{Method: method, Path: path, Status: r.status, RetryAfter: retryAfter(r.header)}
	e.add(messages(r.body), secrets)
	if e.Message == "" && len(e.IDs) == 0 && !strings.HasPrefix(strings.TrimSpace(string(r.body)), "<") {
		e.Message = clean(string(r.body), secrets)
	}
	return e
}

func (e *Error) add(list []message, secrets []string) {
	var words []string
	for _, m := range list {
		id := string(m.ID)
		if i := strings.LastIndexByte(id, '.'); i >= 0 {
			id = id[i+1:]
		}
		if id = clean(id, secrets); id != "" && !slices.Contains(e.IDs, id) {
			e.IDs = append(e.IDs, id)
		}
		if w := clean(string(m.Text), secrets); w != "" && !slices.Contains(words, w) {
			words = append(words, w)
		}
		for _, a := range slices.Concat(m.Args, m.Related) {
			e.args = append(e.args, clean(a, secrets))
		}
	}
	e.Message = cut(strings.Join(words, " "), 400)
}

// clean makes a BMC's words fit for one line of a log: no control characters,
// no runs of space, no secret, bounded.
func clean(s string, secrets []string) string {
	s = cut(s, 1000)
	for _, secret := range secrets {
		if len(secret) >= 4 { // shorter ones would shred ordinary words
			s = strings.ReplaceAll(s, secret, "[secret]")
		}
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return cut(strings.Join(strings.Fields(s), " "), 300)
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// retryAfter reads the header's seconds form; BMCs send no dates, and their
// clocks could not be believed.
func retryAfter(h http.Header) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get("Retry-After")))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 3600)) * time.Second
}

// several is more than one error on one line: what was tried, in order.
type several []error

func (f several) Error() string {
	words := make([]string, len(f))
	for i, err := range f {
		words[i] = err.Error()
	}
	return strings.Join(words, "; ")
}

// Unwrap lets errors.Is and errors.As look into each.
func (f several) Unwrap() []error { return f }

// join makes one error of those that are not nil.
func join(errs ...error) error {
	f := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(f) {
	case 0:
		return nil
	case 1:
		return f[0]
	}
	return several(f)
}
