package bmctest

// Power is a Redfish PowerState.
type Power string

// The power states of DSP0268 ComputerSystem.PowerState that BMCs report.
const (
	On          Power = "On"
	Off         Power = "Off"
	PoweringOn  Power = "PoweringOn"
	PoweringOff Power = "PoweringOff"
)

// Stage says how far a machine has come since it was switched on.
type Stage string

// The stages of a machine. A backend that cannot tell them apart reports
// StageOff or StageOS.
const (
	StageOff       Stage = "off"       // no power
	StagePOST      Stage = "post"      // firmware initialises
	StageLoader    Stage = "loader"    // a boot loader runs or its menu waits
	StageInstaller Stage = "installer" // a kernel started from the medium runs
	StageBooting   Stage = "booting"   // the OS on the disk comes up
	StageOS        Stage = "os"        // the OS on the disk runs
	StageStuck     Stage = "stuck"     // on, and nothing will happen any more without a person
)

// Boot is what firmware is told to do when it starts.
type Boot struct {
	// Device is the boot source: "Cd", "Hdd", "Pxe", …, as in Redfish's
	// BootSourceOverrideTarget; "BiosSetup" is a screen that waits for a
	// person. Empty means the machine's own boot order.
	Device string
	// Mode is "UEFI", "Legacy" or empty for the machine's own.
	Mode string
	// Medium is the URL of the image in the virtual CD drive, empty if the drive is.
	Medium string
}

// A Backend is the machine that a BMC controls. [Machine] is the one that needs
// nothing but Go; another may run an emulator. A BMC calls its methods from
// several goroutines, and holds its own lock while it does: they must not block
// on anything that waits for the BMC.
type Backend interface {
	// PowerOn switches the machine on. It returns at once. Each time the
	// firmware then starts, now or after the guest has reset itself, it calls
	// next once, holding no lock, when it chooses what to boot: the call
	// consumes a one-time override.
	PowerOn(next func() Boot) error
	// PowerOff cuts the power. It is no error if the machine is off.
	PowerOff() error
	// Shutdown presses the power button: a running OS powers off by itself
	// after a while, anything else may ignore it.
	Shutdown() error
	// Insert tells which image is in the virtual CD drive from now on; an
	// empty url is an empty drive.
	Insert(url string)
	// Stage says how far the machine is. StageOff means that it has no power.
	Stage() Stage
}
