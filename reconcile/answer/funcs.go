package answer

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// impure are sprig's functions that its own hermetic map keeps although their
// results depend on the time, its zone, chance or the operating system.
var impure = []string{
	"ago", "toDate", "mustToDate", "must_date_modify", "mustDateModify", "durationRound", "unixEpoch",
	"randInt", "shuffle", "bcrypt", "htpasswd", "encryptAES", "decryptAES", "derivePassword", "buildCustomCert",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
	"osBase", "osClean", "osDir", "osExt", "osIsAbs", "hello",
}

const (
	maxRepeat = 10_000
	maxIndent = 200
)

// functions returns what templates may call: the library, and what x knows of a
// host.
func functions(x *execution) template.FuncMap {
	f := library()
	maps.Copy(f, x.functions())
	return f
}

// library returns those functions that are the same for every host.
func library() template.FuncMap {
	f := sprig.HermeticTxtFuncMap()
	for _, name := range impure {
		delete(f, name)
	}
	maps.Copy(f, template.FuncMap{
		// sprig's own would give a map's keys in any order, or take as
		// much memory as a number says.
		"keys": sortedKeys, "values": sortedValues,
		"repeat":    limited("repeat", maxRepeat, strings.Repeat),
		"until":     func(n int) ([]int, error) { return steps(0, n, 1) },
		"untilStep": steps,
		"indent":    limited("indent", maxIndent, indent),
		"nindent":   limited("nindent", maxIndent, func(s string, n int) string { return "\n" + indent(s, n) }),

		"required": required,
		"ksquote":  ksquote, "shquote": shquote,
		"netmask": netmask, "address": address, "network": network, "prefixLength": prefixLength, "nthAddress": nthAddress,
		"ip4": func(v any) ([]any, error) { return ofFamily(v, 4) }, "ip6": func(v any) ([]any, error) { return ofFamily(v, 6) },
	})
	delete(f, "seq") // sprig's takes a count of any size; until and untilStep do the same
	return f
}

// functions returns those functions that look at the host of the moment.
func (x *execution) functions() template.FuncMap {
	f := template.FuncMap{
		"secret":           func(name string) (string, error) { return x.secrets.value(name) },
		"bootInterface":    func() (Interface, error) { return bootInterface(x.view.Interfaces) },
		"links":            func() ([]Link, error) { return links(&x.view.data) },
		"kickstartNetwork": func(bond ...string) (string, error) { return kickstartNetwork(&x.view.data, bond...) },
		"netplan":          func(bond ...string) (string, error) { return netplan(&x.view.data, bond...) },
		"ifupdown":         func(bond ...string) (string, error) { return ifupdown(&x.view.data, bond...) },
		"agamaNetwork":     func(bond ...string) (string, error) { return agamaNetwork(&x.view.data, bond...) },
		"nmKeyfiles":       func(bond ...string) ([]NamedFile, error) { return nmKeyfiles(&x.view.data, bond...) },
		"networkdUnits":    func(bond ...string) ([]NamedFile, error) { return networkdUnits(&x.view.data, bond...) },
		"drives":           func(conditions ...string) ([]Drive, error) { return x.view.drives(conditions...) },
		"drive":            func(conditions ...string) (Drive, error) { return x.view.drive(conditions...) },
		"raid1":            func(conditions ...string) ([]Drive, error) { return x.view.raid1(conditions...) },
		"efiLabel":         func() string { return efiLabel(x.view.Mark) },
		"repositories":     func() ([]Repository, error) { return x.view.repositories() },
		"proxy":            func() (string, error) { return x.view.proxy() },
		"noProxy":          func() ([]string, error) { return x.view.noProxy() },
		"identityCheck":    func() (string, error) { return x.view.identityCheck() },
	}
	maps.Copy(f, x.patterns.functions())
	return f
}

func sortedKeys(ms ...map[string]any) []string {
	var all []string
	for _, m := range ms {
		all = append(all, slices.Sorted(maps.Keys(m))...)
	}
	return all
}

func sortedValues(m map[string]any) []any {
	all := []any{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[k])
	}
	return all
}

func limited(name string, most int, f func(string, int) string) func(int, string) (string, error) {
	return func(n int, s string) (string, error) {
		if n < 0 || n > most || n*len(s) > maxOutput {
			return "", fmt.Errorf("%s of %d is too much", name, n)
		}
		return f(s, n), nil
	}
}

func indent(s string, n int) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad)
}

func steps(from, to, step int) ([]int, error) {
	if step == 0 || (int64(to)-int64(from))/int64(step) > maxRepeat {
		return nil, fmt.Errorf("counting from %d to %d by %d is too much", from, to, step)
	}
	all := []int{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		all = append(all, i)
	}
	return all, nil
}

func required(msg string, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, errors.New(msg)
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, errors.New(msg)
		}
	case []any:
		if len(v) == 0 {
			return nil, errors.New(msg)
		}
	case interface{ IsValid() bool }:
		if !v.IsValid() {
			return nil, errors.New(msg)
		}
	}
	return v, nil
}

// secrets gives templates their secrets and remembers them, to keep them out
// of messages.
type secrets struct {
	get    func(name string) (string, error)
	values []string
}

func (s *secrets) value(name string) (string, error) {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%q is no name of a secret", name)
	}
	if s.get == nil {
		return "__secret:" + name + "__", nil
	}
	v, err := s.get(name)
	if err != nil {
		return "", fmt.Errorf("secret %q: %w", name, err)
	}
	if v == "" {
		return "", fmt.Errorf("secret %q is empty", name)
	}
	s.values = append(s.values, v)
	return v, nil
}

// mask takes the secrets out of a message: as they are, quoted in any of the
// ways that Go and shells have, and line by line.
func (s *secrets) mask(msg string) string {
	if s == nil || len(s.values) == 0 {
		return msg
	}
	msg = echoed.ReplaceAllString(msg, "$1")
	for _, v := range s.values {
		q := fmt.Sprintf("%q", v)
		forms := []string{v, q[1 : len(q)-1], strings.ReplaceAll(v, "'", `'\''`)}
		for line := range strings.Lines(v) {
			forms = append(forms, strings.TrimSpace(line))
		}
		for _, form := range forms {
			if form != "" {
				msg = strings.ReplaceAll(msg, form, "[secret]")
			}
		}
	}
	return msg
}

// echoed finds the beginning of a value that YAML's errors tell, which may be
// of a secret.
var echoed = regexp.MustCompile("(cannot unmarshal !!\\w+) `[^`]*`")

// ksquote returns v as one word of a kickstart command, which pykickstart splits
// as Python's shlex does.
func ksquote(v any) (string, error) {
	s, err := text("", v)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(s, isControl) {
		return "", fmt.Errorf("%q does not fit in one line of a kickstart", s)
	}
	return quoteWord(s), nil
}

// shquote returns v as one word of a POSIX shell command.
func shquote(v any) (string, error) {
	s, err := text("", v)
	if err != nil {
		return "", err
	}
	if strings.Contains(s, "\x00") {
		return "", errors.New("a NUL does not fit in a shell command")
	}
	return quoteWord(s), nil
}

// quoteWord quotes s as POSIX shells and shlex read it, unless it is plain.
func quoteWord(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("@%_+=:,./-", r)
	}
	if s != "" && strings.Trim(s, "%") == s && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
