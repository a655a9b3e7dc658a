// Package marker reads and writes the short string in a machine's BMC that
// says what is installed on it.
//
// A marker is at most 32 printable ASCII characters, because that is what the
// smallest AssetTag holds. Its grammar is strict; whatever does not follow it
// to the letter was written by somebody else and is left alone:
//
//	rc1.k<attempt>.<spec>.<config>[.<label>]   installed, by that attempt
//	rc1.i<attempt>.<spec>.<run>.<lease>        being installed by run, until lease
//	rc1.v<attempt>.<spec>.<run>.<lease>        installed, being verified by run, until lease
//	rc1.f<attempts>.<spec>.<reason>            failed, after that many attempts
//
// spec has 8 and config 5 characters of Crockford's base32 in lower case (see
// [SpecDigest] and [ConfigDigest]), the lease is 7 such characters of Unix
// time. Only the label is for people; nothing is decided by it.
package marker

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxLen is the longest that a marker gets, in characters.
const MaxLen = 32

const (
	version   = "rc1"
	maxLabel  = 10
	maxRun    = 8
	maxReason = 16
)

// A State says what a marker reports of its machine.
type State byte

// The states of a machine that bears a marker.
const (
	Installed  State = 'k'
	Installing State = 'i'
	// Verifying: the installer has ended well, and the run that watched it has
	// yet to see the host serve. Whoever finds this of a dead run can go on from
	// there and need not install again.
	Verifying State = 'v'
	Failed    State = 'f'
)

// String returns a word for people, such as "installed".
func (s State) String() string {
	switch s {
	case Installed:
		return "installed"
	case Installing:
		return "installing"
	case Verifying:
		return "verifying"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("state(%d)", byte(s))
}

var (
	// ErrAbsent means that there is no tag, or a vendor's default for one.
	ErrAbsent = errors.New("no marker")

	// ErrForeign means that there is a tag and that it is not a marker.
	ErrForeign = errors.New("foreign tag")

	// ErrVersion means that there is a marker of another version of this
	// program. It is an ErrForeign too: such a machine is not to be touched.
	ErrVersion = fmt.Errorf("%w: a marker of another version of reconcile", ErrForeign)
)

// A Marker is what a machine bears. Which fields count depends on its State.
type Marker struct {
	State   State
	Attempt int    // the attempt that installed or is installing, or the number of those that failed; 1 to 9
	Spec    string // digest of what identifies the installation, see [SpecDigest]

	Config string // Installed: digest of the answer file's other inputs, see [ConfigDigest]
	Label  string // Installed: for people, such as "rocky-9.6"; may be empty

	Run   string    // Installing, Verifying: which run does it; 1 to 8 of [0-9a-z]
	Lease time.Time // Installing, Verifying: until when others keep away; whole seconds, UTC

	Reason string // Failed: 1 to 16 of [a-z-]
}

// IsClaim reports whether a run says with m that the machine is its own.
func (m Marker) IsClaim() bool { return m.State == Installing || m.State == Verifying }

// HeldAt reports whether m is a claim whose lease has not ended at t.
func (m Marker) HeldAt(t time.Time) bool { return m.IsClaim() && m.Lease.After(t) }

// Parse reads a tag as a BMC gives it; blanks around it do not count. Its
// error is [ErrAbsent], [ErrVersion] or [ErrForeign], the latter two with the
// tag and what is wrong with it.
func Parse(tag string) (Marker, error) {
	s := trim(tag)
	if IsPlaceholder(s) {
		return Marker{}, ErrAbsent
	}
	if len(s) > MaxLen {
		return Marker{}, foreign(s, fmt.Sprintf("%d characters, the most is %d", len(s), MaxLen))
	}
	head, rest, _ := strings.Cut(s, ".")
	if head != version {
		if isVersion(head) {
			return Marker{}, fmt.Errorf("%q: %w, this one reads %s", s, ErrVersion, version)
		}
		return Marker{}, foreign(s, "it does not begin with "+version+".")
	}
	m, err := parseFields(strings.SplitN(rest, ".", 4))
	if err != nil {
		return Marker{}, foreign(s, err.Error())
	}
	return m, nil
}

// parseFields reads what follows the version.
func parseFields(f []string) (Marker, error) {
	if len(f) < 3 {
		return Marker{}, errors.New("fields are missing")
	}
	if len(f[0]) != 2 {
		return Marker{}, fmt.Errorf("%q is no state and attempt", f[0])
	}
	m := Marker{State: State(f[0][0]), Attempt: int(f[0][1]) - '0', Spec: f[1]}
	var last string
	if len(f) == 4 {
		last = f[3]
	}
	switch m.State {
	case Installed:
		m.Config, m.Label = f[2], last
		if len(f) == 4 && (last == "" || fitLabel(last) != last) {
			return Marker{}, fmt.Errorf("%q is no label", last)
		}
	case Installing, Verifying:
		n, ok := decode(last, leaseLen)
		if !ok {
			return Marker{}, fmt.Errorf("%q is no lease", last)
		}
		m.Run, m.Lease = f[2], time.Unix(int64(n), 0).UTC()
	case Failed:
		if len(f) == 4 {
			return Marker{}, errors.New("too many fields")
		}
		m.Reason = f[2]
	}
	return m, m.Check()
}

// Check reports what keeps m from being written as a marker that [Parse]
// reads back. The label never does: String makes it fit.
func (m Marker) Check() error {
	if m.Attempt < 1 || m.Attempt > 9 {
		return fmt.Errorf("attempt %d is not one of 1 to 9", m.Attempt)
	}
	if _, ok := decode(m.Spec, specLen); !ok {
		return fmt.Errorf("%q is no spec digest", m.Spec)
	}
	switch m.State {
	case Installed:
		if _, ok := decode(m.Config, configLen); !ok {
			return fmt.Errorf("%q is no config digest", m.Config)
		}
	case Installing, Verifying:
		if !only(m.Run, maxRun, isLowerOrDigit) {
			return fmt.Errorf("%q is no run", m.Run)
		}
		if n := m.Lease.Unix(); n < 0 || n >= 1<<(5*leaseLen) {
			return fmt.Errorf("%v is no time for a lease to end", m.Lease)
		}
	case Failed:
		if !only(m.Reason, maxReason, func(c byte) bool { return 'a' <= c && c <= 'z' || c == '-' }) {
			return fmt.Errorf("%q is no reason", m.Reason)
		}
	default:
		return fmt.Errorf("%q is no state", byte(m.State))
	}
	return nil
}

// String returns m as it stands in a BMC. The label is cut to ten characters,
// and those that it may not have become '-'. For every m that passes
// [Marker.Check], Parse(m.String()) is m again, but for that.
func (m Marker) String() string {
	head := fmt.Sprintf("%s.%c%d.%s.", version, m.State, m.Attempt, m.Spec)
	switch m.State {
	case Installing, Verifying:
		return head + m.Run + "." + encode(uint64(max(m.Lease.Unix(), 0)), leaseLen)
	case Failed:
		return head + m.Reason
	}
	if label := fitLabel(m.Label); label != "" {
		return head + m.Config + "." + label
	}
	return head + m.Config
}

// fitLabel returns what a marker shows of a label.
func fitLabel(label string) string {
	b := []byte(label[:min(len(label), maxLabel)])
	for i, c := range b {
		if !isLowerOrDigit(c) && !('A' <= c && c <= 'Z') && c != '.' && c != '-' && c != '_' {
			b[i] = '-'
		}
	}
	return string(b)
}

func foreign(tag, why string) error {
	const most = 64 // a BMC may answer with anything; an error is one line
	if len(tag) > most {
		tag = tag[:most] + "…"
	}
	return fmt.Errorf("%w %q: %s", ErrForeign, tag, why)
}

// isVersion reports whether s is "rc" and a number, as all versions begin.
func isVersion(s string) bool {
	n, ok := strings.CutPrefix(s, "rc")
	return ok && only(n, 4, func(c byte) bool { return '0' <= c && c <= '9' })
}

// only reports whether s has 1 to n bytes and all of them are ok.
func only(s string, n int, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= n
}

func isLowerOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
