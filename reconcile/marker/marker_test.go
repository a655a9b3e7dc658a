package marker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalcue/metalcue/reconcile/marker"
)

var lease = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func TestMarkers(t *testing.T) {
	tests := []struct {
		text string
		want marker.Marker
	}{
		{"rc1.k1.7f3c2a9b.k3j2x.rocky-9.6",
			marker.Marker{State: marker.Installed, Attempt: 1, Spec: "7f3c2a9b", Config: "k3j2x", Label: "rocky-9.6"}},
		{"rc1.k9.zzzzzzzz.00000.Rocky_9.6x",
			marker.Marker{State: marker.Installed, Attempt: 9, Spec: "zzzzzzzz", Config: "00000", Label: "Rocky_9.6x"}},
		{"rc1.k1.7f3c2a9b.k3j2x",
			marker.Marker{State: marker.Installed, Attempt: 1, Spec: "7f3c2a9b", Config: "k3j2x"}},
		{"rc1.i2.7f3c2a9b.run00001.1ng229g",
			marker.Marker{State: marker.Installing, Attempt: 2, Spec: "7f3c2a9b", Run: "run00001", Lease: lease}},
		{"rc1.i2.7f3c2a9b.r.0000000",
			marker.Marker{State: marker.Installing, Attempt: 2, Spec: "7f3c2a9b", Run: "r", Lease: time.Unix(0, 0).UTC()}},
		{"rc1.v2.7f3c2a9b.run00001.1ng229g",
			marker.Marker{State: marker.Verifying, Attempt: 2, Spec: "7f3c2a9b", Run: "run00001", Lease: lease}},
		{"rc1.f3.7f3c2a9b.stalled",
			marker.Marker{State: marker.Failed, Attempt: 3, Spec: "7f3c2a9b", Reason: "stalled"}},
		{"rc1.f3.7f3c2a9b.power-off-missed",
			marker.Marker{State: marker.Failed, Attempt: 3, Spec: "7f3c2a9b", Reason: "power-off-missed"}},
	}
	for _, tt := range tests {
		got, err := marker.Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
		}
		if got != tt.want {
			t.Errorf("Parse(%q) is not == to the marker it was made from", tt.text)
		}
		if got := tt.want.String(); got != tt.text {
			t.Errorf("String() = %q, want %q", got, tt.text)
		}
		if len(tt.text) > marker.MaxLen {
			t.Errorf("%q has %d characters", tt.text, len(tt.text))
		}
		if got, err := marker.Parse("  " + tt.text + "\x00 "); err != nil || got != tt.want {
			t.Errorf("Parse of the padded %q = %v, %v", tt.text, got, err)
		}
	}
}

func TestLabelIsMadeToFit(t *testing.T) {
	m := marker.Marker{State: marker.Installed, Attempt: 1, Spec: "7f3c2a9b", Config: "k3j2x"}
	for label, want := range map[string]string{
		"almalinux-10.0-minimal": "almalinux-",
		"a b\né":                 "a-b---",
		"x\x00y":                 "x-y",
		"":                       "",
	} {
		m.Label = label
		got, err := marker.Parse(m.String())
		if err != nil || got.Label != want {
			t.Errorf("label %q reads back as %q (%v), want %q", label, got.Label, err, want)
		}
	}
}

func TestNotMarkers(t *testing.T) {
	tests := []struct {
		tag  string
		want error
	}{
		{"", marker.ErrAbsent},
		{strings.Repeat(" ", 32), marker.ErrAbsent},
		{"\x00\x00\x00\x00", marker.ErrAbsent},
		{"Default string", marker.ErrAbsent},
		{"To be filled by O.E.M.", marker.ErrAbsent},
		{"Free form asset tag", marker.ErrAbsent},
		{"$PRODUCT_ASSET_TAG", marker.ErrAbsent},
		{"....................", marker.ErrAbsent},
		{"00000000", marker.ErrAbsent},
		{"INV-004711", marker.ErrForeign},
		{"0042", marker.ErrForeign},
		{"rc1", marker.ErrForeign},
		{"rc1.", marker.ErrForeign},
		{"rc", marker.ErrForeign},
		{"rcX.k1.7f3c2a9b.k3j2x", marker.ErrForeign},
		{"RC1.K1.7F3C2A9B.K3J2X.ROCKY", marker.ErrForeign},
		{"rc1.k1.7f3c2a9b", marker.ErrForeign},                    // no config
		{"rc1.k1.7f3c2a9b.k3j2x.", marker.ErrForeign},             // empty label
		{"rc1.k1.7f3c2a9b.k3j2x.a b", marker.ErrForeign},          // blank in the label
		{"rc1.k1.7f3c2a9b.k3j2x.é", marker.ErrForeign},            // not ASCII
		{"rc1.k0.7f3c2a9b.k3j2x.rocky", marker.ErrForeign},        // no attempt
		{"rc1.k10.7f3c2a9b.k3j2x.r", marker.ErrForeign},           // two digits
		{"rc1.k/.7f3c2a9b.k3j2x.r", marker.ErrForeign},            // below '0'
		{"rc1.k1.7f3c2a9l.k3j2x.rocky", marker.ErrForeign},        // l is not in the alphabet
		{"rc1.k1.7f3c2a9.k3j2x.rocky", marker.ErrForeign},         // short digest
		{"rc1.k1.7f3c2a9b.k3j2.rocky", marker.ErrForeign},         // short config
		{"rc1.k1.7f3c2a9b.k3j2x.rocky-9.6.1x", marker.ErrForeign}, // too long
		{"rc1.x1.7f3c2a9b.k3j2x.rocky", marker.ErrForeign},        // no such state
		{"rc1.i2.7f3c2a9b.run1", marker.ErrForeign},               // no lease
		{"rc1.i2.7f3c2a9b..1ng229g", marker.ErrForeign},           // no run
		{"rc1.i2.7f3c2a9b.RUN1.1ng229g", marker.ErrForeign},       // upper case
		{"rc1.i2.7f3c2a9b.run1.1ng229g.", marker.ErrForeign},      // more
		{"rc1.f3.7f3c2a9b.", marker.ErrForeign},                   // no reason
		{"rc1.f3.7f3c2a9b.stalled.more", marker.ErrForeign},       // more
		{"rc1.f3.7f3c2a9b.stalled2", marker.ErrForeign},           // digit in the reason
		{"rc2.k1.7f3c2a9b.k3j2x.rocky", marker.ErrVersion},        // of a later program
		{"rc12.anything", marker.ErrVersion},                      //
		{strings.Repeat("rc1.k1.", 1<<16), marker.ErrForeign},     // a BMC gone mad
	}
	for _, tt := range tests {
		m, err := marker.Parse(tt.tag)
		if !errors.Is(err, tt.want) {
			t.Errorf("Parse(%.40q) = %v, %v; want %v", tt.tag, m, err, tt.want)
			continue
		}
		if errors.Is(err, marker.ErrVersion) != (tt.want == marker.ErrVersion) {
			t.Errorf("Parse(%.40q): %v is taken for another version", tt.tag, err)
		}
		if tt.want != marker.ErrAbsent && !errors.Is(err, marker.ErrForeign) {
			t.Errorf("Parse(%.40q): %v is not foreign", tt.tag, err)
		}
		if got, want := marker.IsPlaceholder(tt.tag), tt.want == marker.ErrAbsent; got != want {
			t.Errorf("IsPlaceholder(%.40q) = %v, want %v", tt.tag, got, want)
		}
		if len(err.Error()) > 250 {
			t.Errorf("Parse(%.40q): the error has %d bytes", tt.tag, len(err.Error()))
		}
		if (m != marker.Marker{}) {
			t.Errorf("Parse(%.40q) returns %v beside its error", tt.tag, m)
		}
	}
}

func TestCheck(t *testing.T) {
	good := marker.Marker{State: marker.Installing, Attempt: 1, Spec: "7f3c2a9b", Run: "r1", Lease: lease}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*marker.Marker){
		"no state":          func(m *marker.Marker) { m.State = 0 },
		"attempt 0":         func(m *marker.Marker) { m.Attempt = 0 },
		"attempt 10":        func(m *marker.Marker) { m.Attempt = 10 },
		"spec":              func(m *marker.Marker) { m.Spec = "7F3C2A9B" },
		"run":               func(m *marker.Marker) { m.Run = "123456789" },
		"no lease":          func(m *marker.Marker) { m.Lease = time.Time{} },
		"lease past 35 bit": func(m *marker.Marker) { m.Lease = time.Unix(1<<35, 0) },
		"config":            func(m *marker.Marker) { m.State = marker.Installed },
		"reason":            func(m *marker.Marker) { m.State, m.Reason = marker.Failed, "no power!" },
		"long reason":       func(m *marker.Marker) { m.State, m.Reason = marker.Failed, "seventeen-letters" },
	} {
		m := good
		spoil(&m)
		if m.Check() == nil {
			t.Errorf("%s: Check finds nothing wrong with %v", name, m)
		}
		if got, err := marker.Parse(m.String()); err == nil && got == m {
			t.Errorf("%s: %q is read back all the same", name, m)
		}
	}
}

// These values are in the BMCs of other people's machines: they may not change.
func TestDigestsAreFixed(t *testing.T) {
	tests := []struct{ got, want string }{
		{marker.SpecDigest(), "eez0bgxs"},
		{marker.SpecDigest("sha256:abc", "db", "1"), "jsqdpwy3"},
		{marker.ConfigDigest(), "7fd20"},
		{marker.ConfigDigest("sha256:abc", "db", "1"), "70ysh"},
	}
	for i, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("digest %d = %q, want %q", i, tt.got, tt.want)
		}
	}
	seen := map[string]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"ab", ""}, {"", "ab"}, {"a\x00b"}} {
		d := marker.SpecDigest(parts...)
		if was, ok := seen[d]; ok {
			t.Errorf("%q and %s have the digest %s", parts, was, d)
		}
		seen[d] = fmt.Sprintf("%q", parts)
	}
}

func TestStateString(t *testing.T) {
	for s, want := range map[marker.State]string{
		marker.Installed: "installed", marker.Installing: "installing", marker.Verifying: "verifying", marker.Failed: "failed", 0: "state(0)",
	} {
		if got := s.String(); got != want {
			t.Errorf("State(%d) = %q, want %q", byte(s), got, want)
		}
	}
}

// TestClaims: an installing and a verifying run hold the machine until their
// lease ends; nothing else does.
func TestClaims(t *testing.T) {
	lease := time.Unix(1795230000, 0)
	for state, want := range map[marker.State]bool{
		marker.Installed: false, marker.Installing: true, marker.Verifying: true, marker.Failed: false,
	} {
		m := marker.Marker{State: state, Lease: lease}
		if m.IsClaim() != want || m.HeldAt(lease.Add(-time.Second)) != want || m.HeldAt(lease) {
			t.Errorf("%s: claim %v, held before the lease's end %v, at its end %v", state, m.IsClaim(), m.HeldAt(lease.Add(-time.Second)), m.HeldAt(lease))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "Default string", "rc2.k1.7f3c2a9b.k3j2x", "rc1.k1.7f3c2a9b.k3j2x.rocky-9.6",
		"rc1.i2.7f3c2a9b.run1.1ng229g", "rc1.f3.7f3c2a9b.stalled", "rc1.k1.7f3c2a9b.k3j2x.a.b", "\xff\xff",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := marker.Parse(s)
		if err != nil {
			if !errors.Is(err, marker.ErrAbsent) && !errors.Is(err, marker.ErrForeign) {
				t.Fatalf("Parse(%q): %v is of no kind", s, err)
			}
			return
		}
		if err := m.Check(); err != nil {
			t.Fatalf("Parse(%q) = %+v, which fails its own check: %v", s, m, err)
		}
		text := m.String()
		if text != strings.Trim(s, " \t\r\n\x00") {
			t.Fatalf("Parse(%q).String() = %q", s, text)
		}
		if again, err := marker.Parse(text); err != nil || again != m {
			t.Fatalf("Parse(%q) = %+v, %v; want %+v", text, again, err, m)
		}
	})
}

func FuzzString(f *testing.F) {
	f.Add(byte('k'), 1, "7f3c2a9b", "k3j2x", "rocky-9.6-minimal", "", int64(0), "")
	f.Add(byte('i'), 2, "7f3c2a9b", "", "", "run1", int64(1795230000), "")
	f.Add(byte('v'), 2, "7f3c2a9b", "", "", "run1", int64(1795230000), "")
	f.Add(byte('f'), 9, "7f3c2a9b", "", "", "", int64(-1), "stalled")
	f.Fuzz(func(t *testing.T, state byte, attempt int, spec, config, label, run string, lease int64, reason string) {
		m := marker.Marker{State: marker.State(state), Attempt: attempt, Spec: spec}
		switch m.State {
		case marker.Installed:
			m.Config, m.Label = config, label
		case marker.Installing, marker.Verifying:
			m.Run, m.Lease = run, time.Unix(lease, 0).UTC()
		case marker.Failed:
			m.Reason = reason
		}
		if m.Check() != nil {
			return
		}
		text := m.String()
		got, err := marker.Parse(text)
		if err != nil || len(text) > marker.MaxLen {
			t.Fatalf("%+v is written as %q, which is read as: %v", m, text, err)
		}
		m.Label = got.Label // cut and cleaned, and stable from then on
		if got != m || got.String() != text {
			t.Fatalf("%q is read as %+v, want %+v", text, got, m)
		}
	})
}
