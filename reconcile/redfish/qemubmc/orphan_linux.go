package qemubmc

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets QEMU end when the test does, however that ends: a test that runs into its time limit cleans
// nothing up. The signal comes when the thread that starts QEMU ends, which Go's threads rarely do before the program.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
