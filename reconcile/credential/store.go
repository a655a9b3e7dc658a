package credential

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotFound says that no place has a secret of that name.
var ErrNotFound = errors.New("not found")

// A Store looks secrets up by name. The zero value looks in the environment
// only. It keeps nothing: every call looks again. It is safe for concurrent
// use.
type Store struct {
	// Env returns an environment variable; nil means [os.LookupEnv].
	Env func(string) (string, bool)
	// Dir is a folder with secrets; "" means none.
	Dir string
	// Helper is a command that knows secrets, as a path or as a name on PATH;
	// "" means none. It is one word: it is not given to a shell.
	Helper string
	// Logger hears of files that others may read; nil discards.
	Logger *slog.Logger
}

// Login returns the login of that name. The error wraps [ErrNotFound] when no
// place has it, and then says where it was looked for.
func (s *Store) Login(ctx context.Context, name string) (Login, error) {
	if err := checkName(name); err != nil {
		return Login{}, err
	}
	for _, look := range []func(context.Context, string) (Login, error){s.envLogin, s.dirLogin, s.helperLogin} {
		login, err := look(ctx, name)
		if err == nil {
			return login, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return Login{}, fmt.Errorf("reading login %q: %w", name, err)
		}
	}
	variable := "RECONCILE_CREDENTIAL_" + variableName(name)
	return Login{}, fmt.Errorf("login %q: %w: set %s_USERNAME and %s_PASSWORD%s",
		name, ErrNotFound, variable, variable, s.others(name+"/{username,password}"))
}

// Secret returns the secret of that name. The error wraps [ErrNotFound] when
// no place has it, and then says where it was looked for.
func (s *Store) Secret(ctx context.Context, name string) (Secret, error) {
	if err := checkName(name); err != nil {
		return "", err
	}
	for _, look := range []func(context.Context, string) (Secret, error){s.envSecret, s.dirSecret, s.helperSecret} {
		secret, err := look(ctx, name)
		if err == nil {
			return secret, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return "", fmt.Errorf("reading secret %q: %w", name, err)
		}
	}
	return "", fmt.Errorf("secret %q: %w: set RECONCILE_SECRET_%s%s", name, ErrNotFound, variableName(name), s.others(name))
}

// others says where else a name could be put, or was looked for.
func (s *Store) others(file string) string {
	var b strings.Builder
	if s.Dir != "" {
		fmt.Fprintf(&b, ", or write %s", filepath.Join(s.Dir, filepath.FromSlash(file)))
	}
	if s.Helper != "" {
		fmt.Fprintf(&b, "; %s does not know it either", s.Helper)
	}
	return b.String()
}

func (s *Store) lookup(variable string) (string, bool) {
	if s.Env != nil {
		return s.Env(variable)
	}
	return os.LookupEnv(variable)
}

func (s *Store) envLogin(_ context.Context, name string) (Login, error) {
	prefix := "RECONCILE_CREDENTIAL_" + variableName(name)
	username, hasUsername := s.lookup(prefix + "_USERNAME")
	password, hasPassword := s.lookup(prefix + "_PASSWORD")
	switch {
	case !hasUsername && !hasPassword:
		return Login{}, ErrNotFound
	case !hasPassword:
		return Login{}, fmt.Errorf("%s_USERNAME is set and %s_PASSWORD is not", prefix, prefix)
	case !hasUsername:
		return Login{}, fmt.Errorf("%s_PASSWORD is set and %s_USERNAME is not", prefix, prefix)
	}
	return checkLogin(Login{username, Secret(password)}, prefix)
}

func (s *Store) envSecret(_ context.Context, name string) (Secret, error) {
	variable := "RECONCILE_SECRET_" + variableName(name)
	value, ok := s.lookup(variable)
	if !ok {
		return "", ErrNotFound
	}
	return checkValue(Secret(value), variable)
}

// checkLogin refuses a login that is no login. BMCs lock accounts on wrong
// passwords; an empty one is never right.
func checkLogin(login Login, where string) (Login, error) {
	if login.Username == "" || login.Password == "" {
		return Login{}, fmt.Errorf("%s has an empty user name or password", where)
	}
	return login, nil
}

func checkValue(secret Secret, where string) (Secret, error) {
	if secret == "" {
		return "", fmt.Errorf("%s is empty", where)
	}
	return secret, nil
}

// variableName returns a name as it is in an environment variable.
func variableName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// checkName refuses a name that would lead out of the folder or be an option
// of the helper.
func checkName(name string) error {
	ok := name != "" && len(name) <= 100 && name[0] != '.' && name[0] != '-'
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf(`%q is no name of a secret: want letters, digits, ".", "_" and "-", beginning with a letter or a digit`, name)
	}
	return nil
}
