package answer

import (
	"fmt"
	"strings"
)

// An Error is a template that cannot be rendered for a host, or that renders to
// something no installer could follow.
type Error struct {
	File string // the template's path
	Line int    // 0: not known
	Host string
	Key  string // what was being evaluated, such as ".Vars.packages"; may be ""
	Msg  string
}

// Error returns "file:line: host: key: message".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	for _, s := range []string{e.Host, e.Key, e.Msg} {
		if s != "" {
			b.WriteString(": ")
			b.WriteString(s)
		}
	}
	return b.String()
}
