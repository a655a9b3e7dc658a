//go:build !linux

package qemubmc

import "os/exec"

// dieWithParent does nothing where a program cannot ask for it.
func dieWithParent(*exec.Cmd) {}
