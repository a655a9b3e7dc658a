// Package bmctest simulates servers with Redfish BMCs: power that takes time,
// vendors' quirks, faults at chosen requests, and behind each BMC a machine
// that really fetches its virtual CD over HTTP and boots it.
//
// A [BMC] is an http.Handler whose zero value is ready to use. Its
// [BMC.Transport] calls it within the process and needs no socket, so that
// hours of power cycles and installations pass in milliseconds inside a
// testing/synctest bubble. A [Rack] holds many of them behind one transport.
//
// The URIs, properties and habits of each [Vendor] follow dumps of real
// machines and the vendors' documents; each [Quirks] field can be switched by
// itself, and each [Fault] can be armed for the nth request that matches.
package bmctest

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Drive is a disk that a BMC lists.
type Drive struct {
	Name, Model, Serial, WWN string
	Protocol                 string // "NVMe", "SATA", "SAS"
	MediaType                string // "SSD", "HDD"
	Bytes                    int64
}

// A NIC is a network interface that a BMC lists.
type NIC struct {
	ID, MAC string
	LinkUp  bool
}

// A BMC is a Redfish service and the state behind it. The zero value is a
// well-behaved BMC without a login whose machine is switched off. Set its
// fields before it is first used. Its methods are safe for concurrent use.
type BMC struct {
	// Vendor selects URIs, properties, default values and quirks.
	Vendor Vendor
	// Username and Password are what it accepts; with both empty, it accepts all requests.
	Username, Password string
	// Serial, SKU, UUID, Model and ChassisSerial identify the machine; empty
	// ones are made up. A vendor that lacks a property does not show it.
	Serial, SKU, UUID, Model, ChassisSerial string
	// HostName is what the system's HostName says.
	HostName string
	// AssetTag is the asset tag at first, in the place where the vendor has it.
	// [BMC.Tag] returns the present one.
	AssetTag string
	// ChassisTag is the chassis' asset tag at first, where the system has one of its own.
	ChassisTag string
	// Machine is what the BMC controls, unless Backend is set; nil means a zero Machine.
	Machine *Machine
	// Backend, if not nil, is controlled instead of Machine.
	Backend Backend
	// Latency passes before each request is answered.
	Latency time.Duration
	// Quirks replace those of the vendor if not nil.
	Quirks *Quirks
	// Faults are armed from the start.
	Faults []Fault
	// Drives and NICs are the hardware it lists; nil means one of each.
	Drives []Drive
	NICs   []NIC

	mu          sync.Mutex
	started     bool
	closed      bool
	machine     Backend
	q           Quirks
	shape       shape
	routes      map[string]*route
	faults      []*armed
	log         []Request
	inFlight    int
	widest      int
	sessions    map[string]*session
	serial      int // of sessions
	tasks       int // started so far
	options     []bootOption
	restoration bool // the next boot stops at a screen

	boot      override
	staged    *override
	tag       string
	tagStaged *string
	otherTag  string
	slots     []*slot
	rmedia    bool
	media     string // what the machine was told is in its drive
	starts    int    // of the machine since the medium was inserted
	powering  Power  // what an accepted reset will lead to; empty if none is pending
	offSince  time.Time
	wasOn     bool
}

// A Request is one request that a BMC received.
type Request struct {
	Method, Path string
	Query        string
	Status       int           // 0 if the connection was cut
	At           time.Time     // when it came
	Took         time.Duration // until it was answered
	IfMatch      string
	Session      bool // it was authenticated by a session's token
}

// override is the state of Boot.
type override struct{ enabled, target, mode string }

// Transport returns a RoundTripper that hands every request to this BMC
// without a network, whatever host its URL names.
func (b *BMC) Transport() http.RoundTripper { return handlerTransport{b} }

// start makes the first state out of the fields. It is called with mu held.
func (b *BMC) start() {
	if b.started {
		return
	}
	b.started = true
	b.shape = b.Vendor.shape()
	b.q = b.Vendor.Quirks()
	if b.Quirks != nil {
		b.q = *b.Quirks
	}
	b.machine = b.Backend
	if b.machine == nil {
		if b.Machine == nil {
			b.Machine = &Machine{}
		}
		b.machine = b.Machine
	}
	b.fillIn()
	if m, ok := b.machine.(*Machine); ok {
		m.attach(b.Serial, b.SKU)
	}
	b.sessions = map[string]*session{}
	for _, f := range b.Faults {
		b.faults = append(b.faults, &armed{Fault: f})
	}
	b.tag, b.otherTag = b.AssetTag, b.ChassisTag
	b.boot = override{"Disabled", "None", b.shape.mode}
	b.wasOn = b.machine.Stage() != StageOff
	b.offSince = time.Now().Add(-time.Hour)
	for _, s := range b.shape.slots {
		b.slots = append(b.slots, &slot{slotShape: s})
	}
	b.scanBootOptions()
	b.route()
}

// fillIn makes up what identifies the machine where the fields are empty.
func (b *BMC) fillIn() {
	set := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	set(&b.Model, b.shape.model)
	set(&b.Serial, "SIM0000001")
	set(&b.SKU, b.shape.sku)
	set(&b.UUID, "00000000-0000-4000-8000-000000000001")
	set(&b.ChassisSerial, b.Serial)
	if b.Drives == nil {
		b.Drives = []Drive{{Name: "Disk 0", Model: "Simulated NVMe", Serial: "SIMDISK0", WWN: "eui.0000000000000001", Protocol: "NVMe", MediaType: "SSD", Bytes: 960197124096}}
	}
	if b.NICs == nil {
		b.NICs = []NIC{{ID: "1", MAC: "02:00:00:00:00:01", LinkUp: true}}
	}
}

// Arm adds a fault. Its requests are counted from now on.
func (b *BMC) Arm(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	b.faults = append(b.faults, &armed{Fault: f})
}

// Disarm removes all faults.
func (b *BMC) Disarm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	b.faults = nil
}

// Requests returns the requests received so far, in order of their arrival.
func (b *BMC) Requests() []Request {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

// Concurrency returns the largest number of requests that were in progress at a time.
func (b *BMC) Concurrency() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.widest
}

// Sessions returns the number of open sessions.
func (b *BMC) Sessions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	b.expire()
	return len(b.sessions)
}

// Tag returns the asset tag in the place where the vendor has it, without a
// value that is only staged.
func (b *BMC) Tag() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	return b.tag
}

// SetTag sets the asset tag as a person at the BMC's own page would.
func (b *BMC) SetTag(tag string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	b.tag, b.tagStaged = tag, nil
}

// LoseTag empties the asset tag, as a factory reset does.
func (b *BMC) LoseTag() { b.SetTag("") }

// Power returns the power state that the machine really has.
func (b *BMC) Power() Power {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	if b.machine.Stage() == StageOff {
		return Off
	}
	return On
}

// Inserted returns the URL of the image in the virtual CD drive, empty if there is none.
func (b *BMC) Inserted() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	b.settleMedia()
	return b.media
}

// Override returns the boot override: "Disabled", "Once" or "Continuous", and its target.
func (b *BMC) Override() (enabled, target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	o := b.boot
	if b.staged != nil {
		o = *b.staged
	}
	return o.enabled, o.target
}

// DropMedia empties every virtual drive, as a restart of the BMC does.
func (b *BMC) DropMedia() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	for _, s := range b.slots {
		s.eject(false)
	}
	b.tellMedium()
}

// PullPlug cuts the machine's power.
func (b *BMC) PullPlug() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	_ = b.machine.PowerOff() // the power is off either way
	b.powering = ""
	b.noteOff()
}

// EndSessions forgets all sessions: their tokens are answered with 401.
func (b *BMC) EndSessions() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start()
	clear(b.sessions)
}

// Close switches the machine off and stops whatever the BMC had planned.
func (b *BMC) Close() {
	b.mu.Lock()
	b.start()
	b.closed = true
	m := b.machine
	b.mu.Unlock()
	if own, ok := m.(*Machine); ok {
		own.Close()
		return
	}
	_ = m.PowerOff() // a backend cleans up for itself
}
