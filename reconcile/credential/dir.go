package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxSecret bounds what is read of one secret, in bytes: far more than any
// password, private keys included.
const maxSecret = 64 << 10

func (s *Store) dirLogin(_ context.Context, name string) (Login, error) {
	if s.Dir == "" {
		return Login{}, ErrNotFound
	}
	dir := filepath.Join(s.Dir, name)
	username, errUsername := s.readFile(filepath.Join(dir, "username"))
	password, errPassword := s.readFile(filepath.Join(dir, "password"))
	if !errors.Is(errUsername, ErrNotFound) || !errors.Is(errPassword, ErrNotFound) {
		for file, err := range map[string]error{"username": errUsername, "password": errPassword} {
			if errors.Is(err, ErrNotFound) {
				return Login{}, fmt.Errorf("%s is missing beside its counterpart", filepath.Join(dir, file))
			}
		}
		if err := errors.Join(errUsername, errPassword); err != nil {
			return Login{}, err
		}
		return checkLogin(Login{username, Secret(password)}, dir)
	}
	file := dir + ".json"
	content, err := s.readFile(file)
	if err != nil {
		return Login{}, err
	}
	return parseLogin([]byte(content), file)
}

func (s *Store) dirSecret(_ context.Context, name string) (Secret, error) {
	if s.Dir == "" {
		return "", ErrNotFound
	}
	file := filepath.Join(s.Dir, name)
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, "value")
	}
	value, err := s.readFile(file)
	if err != nil {
		return "", err
	}
	return checkValue(Secret(value), file)
}

// readFile returns the content of a file without its last newline.
func (s *Store) readFile(name string) (string, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", name)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o004 != 0 && s.Logger != nil {
		s.Logger.Warn("anyone on this system may read a secret", slog.String("file", name),
			slog.String("remedy", "chmod o-r"))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("%s is larger than %d bytes", name, maxSecret)
	}
	return trimNewline(string(data)), nil
}

func trimNewline(s string) string {
	if t, ok := strings.CutSuffix(s, "\r\n"); ok {
		return t
	}
	return strings.TrimSuffix(s, "\n")
}

// parseLogin reads {"username": …, "password": …}. Its errors say nothing of
// the content.
func parseLogin(data []byte, where string) (Login, error) {
	var l struct{ Username, Password *string }
	if json.Unmarshal(data, &l) != nil || l.Username == nil || l.Password == nil {
		return Login{}, fmt.Errorf(`%s: want JSON: {"username": "…", "password": "…"}`, where)
	}
	return checkLogin(Login{*l.Username, Secret(*l.Password)}, where)
}

// parseValue reads {"value": …}.
func parseValue(data []byte, where string) (Secret, error) {
	var v struct{ Value *string }
	if json.Unmarshal(data, &v) != nil || v.Value == nil {
		return "", fmt.Errorf(`%s: want JSON: {"value": "…"}`, where)
	}
	return checkValue(Secret(*v.Value), where)
}
