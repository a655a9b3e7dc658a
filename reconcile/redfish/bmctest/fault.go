package bmctest

import (
	"strings"
	"time"
)

// A Fault makes a BMC misbehave at certain requests. It applies to requests
// that match Method and Path, from the Nth such request on, Times times.
// Several of its effects may be set; they happen in the order of the fields.
type Fault struct {
	// Method is the HTTP method; empty matches every one.
	Method string
	// Path is matched against the URL's path; * stands for any number of any
	// characters, slashes too. Without * it must end the path. Empty matches all.
	Path string
	// Nth is the first matching request, counted from when the fault was
	// armed, that the fault applies to; 0 and 1 mean the first.
	Nth int
	// Times is how many matching requests in a row it applies to; 0 means
	// once, a negative number for ever.
	Times int

	// Delay passes before anything else happens.
	Delay time.Duration
	// Reset cuts the connection; nothing is done, nothing is answered.
	Reset bool
	// Status, if not 0, is answered instead of doing anything.
	Status int
	// RetryAfter, if not 0, goes with Status, in whole seconds.
	RetryAfter time.Duration
	// MessageID goes with Status into @Message.ExtendedInfo; empty means Base.1.12.GeneralError.
	MessageID string
	// Location, if not empty, goes with Status.
	Location string
	// NoEffect answers as if all had gone well, and does nothing.
	NoEffect bool
	// Before runs before the request is handled, without the BMC's lock.
	Before func(*BMC)
	// Then runs after the request was handled and before its answer is sent,
	// without the BMC's lock: [BMC.LoseTag], [BMC.DropMedia], [BMC.PullPlug] ….
	Then func(*BMC)
	// ResetAfter handles the request and cuts the connection instead of answering.
	ResetAfter bool
	// Body, if not empty, replaces the answer's body.
	Body string
	// Truncate cuts the answer's body in half; its Content-Length stays.
	Truncate bool
}

// armed is a fault and how often it was met.
type armed struct {
	Fault
	seen int
}

// take reports whether the fault applies to this request, and counts it.
func (a *armed) take(method, path string) bool {
	if a.Method != "" && a.Method != method || !globMatch(a.Path, path) {
		return false
	}
	a.seen++
	first, times := max(a.Nth, 1), a.Times
	if times == 0 {
		times = 1
	}
	return a.seen >= first && (times < 0 || a.seen < first+times)
}

// globMatch matches path against a pattern in which * is any text. A pattern
// without * matches as a suffix.
func globMatch(pattern, path string) bool {
	if pattern == "" {
		return true
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return strings.HasSuffix(path, pattern)
	}
	if !strings.HasPrefix(path, parts[0]) {
		return false
	}
	path = path[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(path, part)
		if i < 0 {
			return false
		}
		path = path[i+len(part):]
	}
	return strings.HasSuffix(path, last)
}
