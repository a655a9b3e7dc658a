package credential

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is what a secret looks like wherever it is printed.
const redacted = "[secret]"

// A Secret is a string that is not printed: every verb of package fmt, JSON,
// text encoding and package log/slog give "[secret]". Only [Secret.Reveal]
// gives its value.
//
// Two things are out of its reach. Package fmt prints unexported fields as they
// are, and also a struct behind a pointer inside of a value that is printed
// with a verb that does not fit, such as %s. So keep secrets in exported
// fields, and print no structs that hold them. A Secret must not be the key of
// a map.
type Secret string

// Reveal returns the secret's value. Call it where the value is used, and
// nowhere before.
func (s Secret) Reveal() string { return string(s) }

// String returns "[secret]".
func (s Secret) String() string { return redacted }

// GoString returns "[secret]".
func (s Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter]: every verb prints "[secret]".
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements [encoding/json.Marshaler].
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// A Login is a user name and its password.
type Login struct {
	Username string
	Password Secret
}

// Format implements [fmt.Formatter]: every verb prints "{Username [secret]}".
func (l Login) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "{"+l.Username+" "+redacted+"}") }
