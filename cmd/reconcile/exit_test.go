package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestFinish: an error is said in the words of people.
func TestFinish(t *testing.T) {
	for _, q := range []struct {
		err  error
		code int
		want string
	}{
		{nil, exitOK, ""},
		{errors.New("no such host"), exitError, "reconcile: no such host\n"},
		{fmt.Errorf("writing image db-01.iso: %w", context.Canceled), exitInterrupted, "reconcile: writing image db-01.iso: interrupted\n"},
		{&codeError{code: exitHosts}, exitHosts, ""},
	} {
		var stderr strings.Builder
		if code := finish(q.err, &stderr); code != q.code || stderr.String() != q.want {
			t.Errorf("%v: %d, %q; want %d, %q", q.err, code, stderr.String(), q.code, q.want)
		}
	}
}
