package bmctest

import (
	"context"
	"errors"
)

// outcome is how a boot ended.
type outcome int

const (
	stays    outcome = iota // the machine stays on in the stage that it reached
	powerOff                // it switched itself off
	reboot                  // it reset itself
	fallback                // the device could not be booted: the next one is tried
)

// run is one power cycle: POST, boot, and again after every reset from within.
func (m *Machine) run(ctx context.Context, next func() Boot) {
	for {
		if !sleep(ctx, m.PostTime) {
			return
		}
		boot := next()
		if ctx.Err() != nil {
			return
		}
		if boot.Device == "BiosSetup" {
			m.booted("setup")
			m.printf("firmware: setup; press a key")
			m.enter(ctx, StageStuck)
			return
		}
		end := fallback
		if m.wantsCD(boot) {
			m.booted("cd " + boot.Medium)
			end = m.bootCD(ctx, boot)
		}
		if end == fallback {
			end = m.bootDisk(ctx)
		}
		switch end {
		case powerOff:
			m.finish(ctx)
			return
		case reboot:
			if !m.enter(ctx, StagePOST) {
				return
			}
		default:
			return
		}
	}
}

// wantsCD is the firmware's choice between CD and disk.
func (m *Machine) wantsCD(b Boot) bool {
	if b.Medium == "" || m.Habits.NeverBootsCD {
		return false
	}
	return b.Device == "Cd" || m.Habits.IgnoresBootOnce
}

// booted records what the firmware chose.
func (m *Machine) booted(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boots = append(m.boots, what)
}

// bootDisk boots the OS on the disk, if there is one.
func (m *Machine) bootDisk(ctx context.Context) outcome {
	m.mu.Lock()
	empty := m.disk == nil
	m.mu.Unlock()
	if empty {
		m.booted("nothing")
		m.printf("firmware: no bootable device")
		m.enter(ctx, StageStuck)
		return stays
	}
	m.booted("disk")
	if !m.enter(ctx, StageBooting) || !sleep(ctx, m.BootTime) {
		return stays
	}
	if m.Habits.NeverComesUp {
		m.printf("kernel panic: unable to mount root fs")
		m.enter(ctx, StageStuck)
		return stays
	}
	m.enter(ctx, StageOS)
	return stays
}

// bootCD boots the virtual CD: firmware, boot loader, installer. The readers of
// file systems panic on damaged ones; the machine then stands still.
func (m *Machine) bootCD(ctx context.Context, b Boot) (end outcome) {
	defer func() {
		if v := recover(); v != nil {
			m.printf("the medium is damaged: %v", v)
			m.enter(ctx, StageStuck)
			end = stays
		}
	}()
	if !m.enter(ctx, StageLoader) {
		return stays
	}
	cd, err := m.openMedium(ctx, b.Medium)
	if err != nil {
		m.printf("firmware: cd: %v", err)
		return fallback
	}
	entry, err := m.load(cd, b.Mode)
	switch {
	case ctx.Err() != nil:
		return stays
	case errors.Is(err, errLocalBoot):
		m.printf("loader: %v", err)
		return fallback
	case errors.Is(err, errWaits):
		m.printf("loader: %v", err)
		return stays
	case err != nil:
		m.printf("firmware: cd: %v", err)
		return fallback
	}
	return m.install(ctx, cd, entry)
}
