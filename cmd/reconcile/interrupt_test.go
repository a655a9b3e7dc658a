package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// interruptLab runs the lab as a process of its own, sends it interrupts once
// it installs, and returns its exit code and output.
func interruptLab(t *testing.T, interrupts int) (code int, stdout, stderr string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "lab")
	cmd.Args[0] = "reconcile" // by which TestMain knows that it is not to test
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		begun := strings.HasSuffix(lines.Text(), ": installing")
		drained := strings.Contains(lines.Text(), "interrupted: finishing")
		if drained && interrupts > 1 {
			time.Sleep(sameInterrupt + 100*time.Millisecond)
		}
		if begun && interrupts > 0 && !strings.Contains(said.String(), "interrupted") || drained && interrupts > 1 {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			if drained {
				interrupts = 0
			}
		}
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String(), said.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, out.String(), said.String()
}

// TestOneInterrupt: what runs is finished, and nothing else is started.
func TestOneInterrupt(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := interruptLab(t, 1)
	if code != exitInterrupted || !strings.Contains(stderr, "press Ctrl-C again to leave them as they are") {
		t.Errorf("exit code %d, want %d; stderr:\n%s", code, exitInterrupted, stderr)
	}
	if !strings.Contains(stdout, "✓ ") || !strings.Contains(stdout, "not-started  the run was interrupted before its turn") || strings.Contains(stdout, "left in the middle") {
		t.Errorf("the report does not tell what was finished and what was not started:\n%s", stdout)
	}
}

// TestTwoInterrupts: it stops, and says where each host was left.
func TestTwoInterrupts(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := interruptLab(t, 2)
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d; stderr:\n%s", code, exitInterrupted, stderr)
	}
	if !strings.Contains(stdout, "left in the middle") || !strings.Contains(stdout, "interrupted at step ") {
		t.Errorf("the report does not say where hosts were left:\n%s", stdout)
	}
}
