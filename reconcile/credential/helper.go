package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// maxStderr bounds what is kept of a helper's standard error, in bytes.
const maxStderr = 512

// helperDelay is how long a cancelled helper's own children may keep its
// output open before it is closed under them.
const helperDelay = 2 * time.Second

func (s *Store) helperLogin(ctx context.Context, name string) (Login, error) {
	output, err := s.runHelper(ctx, name)
	if err != nil {
		return Login{}, err
	}
	return parseLogin(output, s.Helper+" "+name)
}

func (s *Store) helperSecret(ctx context.Context, name string) (Secret, error) {
	output, err := s.runHelper(ctx, name)
	if err != nil {
		return "", err
	}
	return parseValue(output, s.Helper+" "+name)
}

// runHelper returns what the helper prints for a name. A helper that exits
// with a status other than 0 and says nothing does not know the name; one that
// says something has failed.
func (s *Store) runHelper(ctx context.Context, name string) ([]byte, error) {
	if s.Helper == "" {
		return nil, ErrNotFound
	}
	stdout, stderr := &bounded{limit: maxSecret}, &bounded{limit: maxStderr}
	command := exec.CommandContext(ctx, s.Helper, name)
	command.Stdout, command.Stderr, command.WaitDelay = stdout, stderr, helperDelay
	err := command.Run()
	said := strings.Join(strings.Fields(stderr.kept.String()), " ")
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("running %s %s: %w", s.Helper, name, context.Cause(ctx))
	case errors.As(err, &exit) && said == "":
		return nil, ErrNotFound
	case errors.As(err, &exit):
		return nil, fmt.Errorf("running %s %s: %w: %s", s.Helper, name, err, said)
	case err != nil:
		return nil, fmt.Errorf("running %s %s: %w", s.Helper, name, err)
	case stdout.cut:
		return nil, fmt.Errorf("%s %s prints more than %d bytes", s.Helper, name, maxSecret)
	}
	return stdout.kept.Bytes(), nil
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	kept  bytes.Buffer
	limit int // in bytes
	cut   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.limit-b.kept.Len())
	b.cut = b.cut || keep < len(p)
	b.kept.Write(p[:keep])
	return len(p), nil
}
