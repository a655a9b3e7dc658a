package qemubmc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/metalcue/metalcue/reconcile/redfish/bmctest"
)

// Firmware is what starts a machine.
type Firmware string

// The kinds of firmware.
const (
	BIOS Firmware = "bios" // SeaBIOS
	UEFI Firmware = "uefi" // OVMF, without Secure Boot
)

// diskSize is the size in bytes of a machine's disk: what an answer file may ask for at least. The file is sparse.
const diskSize = 32 << 30

// A Machine is a PC in QEMU, with a CD drive on IDE, a disk on virtio and a serial port. Set its fields before its
// first use; its methods are safe for concurrent use.
type Machine struct {
	// Dir is a folder for the machine's files; required. The disk in it outlives the machine.
	Dir string
	// Firmware is the only one that the machine has. Empty means that it has both, and starts the one that
	// BootSourceOverrideMode names, or else SeaBIOS.
	Firmware Firmware
	// Serial is the serial number in the machine's DMI tables.
	Serial string
	// MemoryMiB is the size of the memory in MiB; 0 means 512.
	MemoryMiB int
	// Logger hears about starts, stops and media that cannot be read; nil discards.
	Logger *slog.Logger

	mu      sync.Mutex
	cycle   *cycle // the present one, nil when there is no power
	last    *cycle // the latest, nil if there was none; it may be ending
	medium  string // URL in the CD drive
	boots   []string
	console console
}

// cycle is the time between power on and power off.
type cycle struct {
	stop context.CancelFunc
	done chan struct{} // closed when nothing of it runs any more
	qemu *process      // the QEMU that runs, nil between two of them; guarded by the machine's mu
}

var _ bmctest.Backend = (*Machine)(nil)

// Disk is the path of the raw image of the machine's disk. It exists from the first power-on.
func (m *Machine) Disk() string { return filepath.Join(m.Dir, "disk.img") }

// Console is what the machine wrote on its serial port since the test began, at most the last mebibyte.
func (m *Machine) Console() string { return m.console.String() }

// Boots lists what the firmware was told to boot at each start: "cd <url>" or "disk", and how: "bios" or "uefi".
func (m *Machine) Boots() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.boots)
}

// PowerOn implements [bmctest.Backend]. It returns an error if the machine's files cannot be made; a machine that is
// on stays as it is.
func (m *Machine) PowerOn(next func() bmctest.Boot) error {
	if err := m.makeDisk(); err != nil {
		return fmt.Errorf("powering on: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cycle != nil {
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &cycle{stop: stop, done: make(chan struct{})}
	before := m.last
	m.cycle, m.last = c, c
	m.console.setStage(bmctest.StagePOST)
	go func() {
		defer close(c.done)
		defer stop()
		if before != nil {
			<-before.done // two QEMUs cannot have one disk
		}
		err := m.run(ctx, c, next)
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			m.log().Error("machine stopped", "error", err)
			m.console.printf("qemubmc: %v\n", err)
		}
		if m.cycle == c {
			m.cycle = nil
		}
	}()
	return nil
}

// PowerOff implements [bmctest.Backend]. QEMU has gone when it returns.
func (m *Machine) PowerOff() error {
	m.mu.Lock()
	c := m.cycle
	m.cycle = nil
	var q *process
	if c != nil {
		c.stop()
		q = c.qemu
	}
	m.mu.Unlock()
	if q != nil {
		<-q.exited
	}
	return nil
}

// Close cuts the power and waits until nothing of the machine runs any more. Unlike PowerOff it must not be called
// while the BMC holds its lock.
func (m *Machine) Close() {
	_ = m.PowerOff() // it has no errors
	m.mu.Lock()
	last := m.last
	m.mu.Unlock()
	if last != nil {
		<-last.done
	}
}

// Shutdown implements [bmctest.Backend]: it presses the ACPI power button.
func (m *Machine) Shutdown() error {
	if q := m.process(); q != nil {
		return q.monitor.execute("system_powerdown", nil)
	}
	return nil
}

// Insert implements [bmctest.Backend]. A machine that runs sees the medium change.
func (m *Machine) Insert(url string) {
	m.mu.Lock()
	m.medium = url
	m.mu.Unlock()
	if q := m.process(); q != nil {
		if err := q.insert(url); err != nil {
			m.log().Warn("medium not readable", "url", url, "error", err)
		}
	}
}

// Stage implements [bmctest.Backend]. Beyond power it is guessed from the serial port, where Linux and the installer
// of the package testdvd can be told apart.
func (m *Machine) Stage() bmctest.Stage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cycle == nil {
		return bmctest.StageOff
	}
	return m.console.stageNow()
}

// Wait returns when the machine has no power, or an error when ctx ends before.
func (m *Machine) Wait(ctx context.Context) error {
	m.mu.Lock()
	c := m.cycle
	m.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for power off: %w", context.Cause(ctx))
	}
}

// run starts QEMU, again and again while the guest resets itself.
func (m *Machine) run(ctx context.Context, c *cycle, next func() bmctest.Boot) error {
	for {
		boot := next()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the power was cut, as it was meant to be
		}
		reset, err := m.runOnce(ctx, c, boot)
		if err != nil || !reset {
			return err
		}
		m.console.setStage(bmctest.StagePOST)
	}
}

// runOnce boots once and returns when QEMU has gone: because the guest powered off, or reset itself, or because ctx
// ended.
func (m *Machine) runOnce(ctx context.Context, c *cycle, boot bmctest.Boot) (reset bool, err error) {
	firmware := m.firmware(boot.Mode)
	cd := boot.Device == "Cd" && boot.Medium != ""
	what := "disk"
	if cd {
		what = "cd " + boot.Medium
	}
	m.log().Info("machine starts", "boot", what, "firmware", firmware)
	q, err := m.start(ctx, firmware, cd)
	if err != nil {
		return false, err
	}
	defer q.kill()
	m.mu.Lock()
	m.boots = append(m.boots, what+" "+string(firmware))
	medium := m.medium
	c.qemu = q
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		c.qemu = nil
		m.mu.Unlock()
	}()
	if medium != "" {
		if err := q.insert(medium); err != nil {
			m.log().Warn("medium not readable", "url", medium, "error", err)
			m.console.printf("qemubmc: %v\n", err)
		}
	}
	if err := q.monitor.execute("cont", nil); err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return false, fmt.Errorf("starting the processor: %w", err)
	}
	return q.wait(ctx)
}

// firmware is the one that starts the machine, given a Redfish BootSourceOverrideMode.
func (m *Machine) firmware(mode string) Firmware {
	switch {
	case m.Firmware != "":
		return m.Firmware
	case mode == "UEFI":
		return UEFI
	default:
		return BIOS
	}
}

// process is the QEMU that runs, or nil.
func (m *Machine) process() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cycle == nil {
		return nil
	}
	return m.cycle.qemu
}

// makeDisk makes an empty disk unless there is one.
func (m *Machine) makeDisk() error {
	if m.Dir == "" {
		return errors.New("Machine.Dir is empty: it must name a folder")
	}
	f, err := os.OpenFile(m.Disk(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("creating disk: %w", err)
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size >= diskSize {
		return err
	}
	if err := f.Truncate(diskSize); err != nil {
		return fmt.Errorf("creating disk: %w", err)
	}
	return nil
}

func (m *Machine) log() *slog.Logger {
	if m.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Logger
}
