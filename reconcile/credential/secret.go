// Package credential finds logins and secrets by name, when they are needed,
// and keeps them from being shown: a fleet holds names, never values.
package credential

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that must not be shown. Every way of printing it, in
// whatever structure it stands, gives "[secret]"; only Reveal gives its value.
type Secret string

const hidden = "[secret]"

// Reveal returns the value, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (Secret) String() string { return hidden }

// GoString returns "[secret]".
func (Secret) GoString() string { return hidden }

// Format prints "[secret]" whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// LogValue logs "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText encodes "[secret]", as JSON too.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// A Login is what a BMC is spoken to with.
type Login struct {
	Username string
	Password Secret
}
