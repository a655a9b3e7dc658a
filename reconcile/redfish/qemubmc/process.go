package qemubmc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The files of Debian's package ovmf.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// process is one QEMU from its start to its end. It ends when the guest powers off or resets itself.
type process struct {
	cmd     *exec.Cmd
	monitor *monitor
	stderr  *bytes.Buffer // to be read after exited is closed
	exited  chan struct{}
}

// start runs QEMU with its processor stopped and its CD drive empty. The end of ctx kills it.
func (m *Machine) start(ctx context.Context, firmware Firmware, cd bool) (*process, error) {
	args, err := m.arguments(firmware, cd)
	if err != nil {
		return nil, err
	}
	socket, err := listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("making QEMU's monitor socket: %w", err)
	}
	defer socket.close()
	args = append(args, "-chardev", "socket,id=monitor,path="+socket.path, "-mon", "chardev=monitor,mode=control")
	p := &process{cmd: exec.CommandContext(ctx, "qemu-system-x86_64", args...), stderr: new(bytes.Buffer), exited: make(chan struct{})}
	p.cmd.Dir = m.Dir
	p.cmd.Stdout = &m.console
	p.cmd.Stderr = p.stderr
	dieWithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting QEMU (package qemu-system-x86): %w", err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in its events and on stderr
	}()
	conn, err := socket.accept(ctx, p.exited)
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("connecting to QEMU: %w: %s", err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	if p.monitor, err = newMonitor(conn); err != nil {
		p.kill()
		return nil, fmt.Errorf("connecting to QEMU: %w: %s", err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	return p, nil
}

// arguments describe the machine. Firmware boots the CD or the disk, and nothing else.
func (m *Machine) arguments(firmware Firmware, cd bool) ([]string, error) {
	memory := m.MemoryMiB
	if memory == 0 {
		memory = 512
	}
	bootCD, bootDisk := "", ",bootindex=1"
	if cd {
		bootCD, bootDisk = ",bootindex=1", ",bootindex=2"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-accel", "tcg", "-machine", "pc", "-m", strconv.Itoa(memory),
		"-display", "none", "-vga", "std", "-S", "-action", "reboot=shutdown", "-boot", "strict=on",
		"-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial",
		"-device", "ide-cd,id=cd" + bootCD,
		"-drive", "if=none,id=disk,format=raw,file=" + escape(m.Disk()),
		"-device", "virtio-blk-pci,drive=disk" + bootDisk,
		"-smbios", "type=1,manufacturer=metalcue,product=qemubmc,serial=" + escape(m.Serial),
	}
	if firmware != UEFI {
		return args, nil
	}
	// Fresh variables for each start: what to boot is in fw_cfg, and nothing else is to be remembered.
	vars, err := os.ReadFile(ovmfVars)
	if err != nil {
		return nil, fmt.Errorf("reading UEFI variables (package ovmf): %w", err)
	}
	file := filepath.Join(m.Dir, "uefi-vars.fd")
	if err := os.WriteFile(file, vars, 0o644); err != nil {
		return nil, fmt.Errorf("writing UEFI variables: %w", err)
	}
	return append(args,
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+ovmfCode,
		"-drive", "if=pflash,unit=1,format=raw,file="+escape(file)), nil
}

// escape doubles the commas in a value of QEMU's command line.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// insert puts the medium at url into the CD drive; an empty url empties it. QEMU reads it in ranges while the guest
// asks for it. Certificates are not verified: few BMCs do.
func (p *process) insert(url string) error {
	if url == "" {
		return p.monitor.execute("eject", map[string]any{"id": "cd", "force": true})
	}
	scheme, _, _ := strings.Cut(url, ":")
	file := map[string]any{"driver": scheme, "url": url, "timeout": 30}
	if scheme == "https" {
		file["sslverify"] = false
	}
	node, err := json.Marshal(map[string]any{"driver": "raw", "file": file})
	if err != nil {
		return err
	}
	err = p.monitor.execute("blockdev-change-medium", map[string]any{
		"id": "cd", "filename": "json:" + string(node), "force": true, "read-only-mode": "read-only",
	})
	if err != nil {
		return fmt.Errorf("inserting %s: %w", url, err)
	}
	return nil
}

// wait returns when QEMU has gone, and whether that was because the guest reset itself. That ctx ended, which kills
// QEMU, is no error.
func (p *process) wait(ctx context.Context) (reset bool, err error) {
	<-p.exited
	if ctx.Err() != nil {
		return false, nil //nolint:nilerr // the power was cut, as it was meant to be
	}
	switch reason, err := p.monitor.shutdown(); {
	case err != nil:
		return false, fmt.Errorf("QEMU ended: %w: %s", err, bytes.TrimSpace(p.stderr.Bytes()))
	case reason == "guest-reset":
		return true, nil
	case reason == "guest-shutdown":
		return false, nil
	default:
		return false, fmt.Errorf("QEMU ended, reason %q, %v: %s", reason, p.cmd.ProcessState, bytes.TrimSpace(p.stderr.Bytes()))
	}
}

// kill ends QEMU at once, and returns when it has gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have gone
	<-p.exited
	if p.monitor != nil {
		p.monitor.close()
	}
}
