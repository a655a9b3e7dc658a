package bmctest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Firmware is the kind of firmware of a machine.
type Firmware string

// The kinds of firmware. The zero value of [Machine] has UEFI.
const (
	UEFI Firmware = "uefi"
	BIOS Firmware = "bios"
)

// A Disk is what an installation left behind.
type Disk struct {
	Answer     []byte    // the answer file as the installer read it from the medium
	AnswerPath string    // where on the medium it was
	KernelArgs string    // the installer's kernel command line
	VolumeID   string    // the medium's volume identifier
	Medium     string    // the URL it came from; empty for a Disk that a test made up
	Payload    int64     // bytes of packages read
	At         time.Time // when the installation ended
}

// Habits are the ways in which a machine disappoints.
type Habits struct {
	HangsInInstaller bool          // the installer asks a question in the middle and waits for ever
	PowersOffEarly   bool          // the machine loses its power in the middle of the installation
	IgnoresBootOnce  bool          // firmware boots the CD whenever there is one, override or not
	NeverBootsCD     bool          // firmware boots the disk, override or not
	NeverComesUp     bool          // the installed OS does not come up
	FlickersOff      time.Duration // power is reported Off for as long in the middle of the installation
	RebootsOnly      bool          // the installer reboots where its answer file says power off
}

// A Machine is a server that boots as real ones do: its firmware fetches the
// virtual CD over HTTP, finds the boot loader through El Torito, the loader
// reads its menu, and the installer reads kernel, initrd, answer file and
// packages from the medium, all of them with ranged requests, and obeys the
// answer file. The zero value is a UEFI machine with an empty disk, switched
// off, that needs no time for anything. Set its fields before it is first
// used. Its methods are safe for concurrent use.
//
// It reads media with readers that share no code with this module's own.
type Machine struct {
	// Firmware is UEFI if empty.
	Firmware Firmware
	// Serial is the serial number that the OS finds in the machine's DMI
	// tables. Empty means that of its BMC, serial number or SKU.
	Serial string
	// MenuFromTree makes a UEFI machine read GRUB's menu from the medium's file
	// tree instead of from the EFI image, as GRUB does where it cannot tell the
	// EFI image from the medium.
	MenuFromTree bool
	// Fetch performs the requests for media; nil means the network, with
	// certificates not verified, as most BMCs do it.
	Fetch http.RoundTripper
	// Patience is how long a read of the medium is retried before the machine
	// gives it up; 0 means that the first failure counts.
	Patience time.Duration
	// Chunk is the size in bytes of one ranged request for a large file; 0 means 256 KiB.
	Chunk int
	// PostTime passes from power-on until firmware boots, BootTime until the
	// OS on the disk runs, ShutdownTime until it has shut down in an orderly way.
	PostTime, BootTime, ShutdownTime time.Duration
	// InstallTime passes from when the kernel is loaded to the end of the
	// installation; reads of the medium are spread over it, a tenth of it for
	// the kernel and the rest for the installer and its packages.
	InstallTime time.Duration
	// Disk is what the disk bears at first; nil means that it is empty.
	Disk *Disk
	// Running starts the machine switched on, with the OS of Disk running.
	Running bool
	// Ports are the TCP ports that the installed OS listens on; nil means 22.
	Ports []int
	// Serve, if not nil, speaks for the installed OS on every accepted
	// connection. Otherwise port 22 greets like an SSH server, and the others
	// answer each HTTP request with 200.
	Serve func(port int, c net.Conn)
	// Habits are this machine's faults.
	Habits Habits

	mu       sync.Mutex
	started  bool
	stage    Stage
	flicker  bool
	disk     *Disk
	medium   string
	boots    []string
	console  []string
	installs int
	cancel   context.CancelFunc // of the running power cycle
	work     sync.WaitGroup
	next     func() Boot
	dmi      []string
	network  *http.Transport // made when Fetch is nil
}

// init makes the machine's first state out of its fields. It is called with mu held.
func (m *Machine) init() {
	if m.started {
		return
	}
	m.started = true
	m.stage = StageOff
	m.disk = m.Disk
	if m.Running {
		m.stage = StageOS
		if m.disk == nil {
			m.stage = StageStuck
		}
	}
}

// PowerOn implements [Backend].
func (m *Machine) PowerOn(next func() Boot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if m.stage != StageOff {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel, m.next = cancel, next
	m.stage = StagePOST
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		m.run(ctx, next)
	}()
	return nil
}

// PowerOff implements [Backend].
func (m *Machine) PowerOff() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.off()
	return nil
}

// off cuts the power. It is called with mu held.
func (m *Machine) off() {
	if m.cancel != nil {
		m.cancel()
		m.cancel = nil
	}
	m.stage, m.flicker = StageOff, false
}

// Shutdown implements [Backend]. Only a running OS listens to the button; it
// is off ShutdownTime later.
func (m *Machine) Shutdown() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if m.stage != StageOS {
		return nil
	}
	if m.cancel != nil {
		m.cancel()
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		if sleep(ctx, m.ShutdownTime) {
			m.finish(ctx)
		}
	}()
	return nil
}

// finish switches the machine off from within, unless its power was cut meanwhile.
func (m *Machine) finish(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() == nil {
		m.off()
	}
}

// Insert implements [Backend].
func (m *Machine) Insert(url string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.medium = url
}

// Stage implements [Backend].
func (m *Machine) Stage() Stage {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if m.flicker {
		return StageOff
	}
	return m.stage
}

// Installed returns what is on the disk, and whether anything is.
func (m *Machine) Installed() (Disk, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if m.disk == nil {
		return Disk{}, false
	}
	return *m.disk, true
}

// Install puts d on the disk, as an installer has done that nobody watched.
func (m *Machine) Install(d Disk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.disk = &d
}

// Installs returns how many installations began to write to the disk.
func (m *Machine) Installs() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.installs
}

// Boots returns what the firmware booted so far: "cd URL", "disk", "setup" or "nothing".
func (m *Machine) Boots() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.boots...)
}

// Console returns what a person in front of the machine would have read, the
// last lines of it; it says why an installation stands still.
func (m *Machine) Console() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.console...)
}

// Close cuts the power and waits until the machine does nothing any more.
func (m *Machine) Close() {
	_ = m.PowerOff() // never fails
	m.work.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.network != nil {
		m.network.CloseIdleConnections()
	}
}

// attach tells the machine the serial numbers that its BMC shows. Which of
// them stands in the DMI tables differs between vendors: Dell's has the SKU.
func (m *Machine) attach(serials ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	m.dmi = serials
}

// holds reports whether the image of this URL is in the drive.
func (m *Machine) holds(url string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.medium == url
}

// consoleLines bounds what Console keeps.
const consoleLines = 200

func (m *Machine) printf(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.console = append(m.console, fmt.Sprintf(format, args...))
	if n := len(m.console); n > consoleLines {
		m.console = append(m.console[:0:0], m.console[n-consoleLines:]...)
	}
}

// enter moves to a stage, unless the power was cut meanwhile.
func (m *Machine) enter(ctx context.Context, s Stage) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	m.stage = s
	return true
}

// sleep waits, and reports whether ctx is still alive then.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
