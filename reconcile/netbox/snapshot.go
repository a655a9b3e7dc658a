package netbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Snapshot is what one [Client.Scan] saw, with what [Client.Networks] added.
// It is plain data: [Snapshot.Write] puts it into a file, and [ReadSnapshot]
// reads it back, for runs without NetBox and for tests.
type Snapshot struct {
	Version string // NetBox's, such as "4.6.8"
	At      time.Time
	Scope   Scope
	Devices []Device // in the scope, by id
	// Outside are devices that were asked for by name and are not in the
	// scope. Unknown are names that NetBox does not have. Unasked are names
	// that were not looked up outside the scope.
	Outside  []Device
	Unknown  []string
	Unasked  []string
	Networks map[int]Network
}

// ByName indexes the devices of the scope by their names in lower case. A name
// that several of them have is nobody's: it is there, with nil.
func (s *Snapshot) ByName() map[string]*Device {
	devices := make(map[string]*Device, len(s.Devices))
	for i := range s.Devices {
		name := strings.ToLower(s.Devices[i].Name)
		if _, twice := devices[name]; twice {
			devices[name] = nil
			continue
		}
		devices[name] = &s.Devices[i]
	}
	return devices
}

// ErrOffline is in the chain when a snapshot is asked for what only NetBox can
// do.
var ErrOffline = errors.New("NetBox is not asked in a run from a snapshot")

// snapshotFormat is the version of a snapshot's file.
const snapshotFormat = 1

// A snapshotHead is the first line of a snapshot's file.
type snapshotHead struct {
	Snapshot int // snapshotFormat
	Version  string
	At       time.Time
	Scope    Scope
	Unknown  []string `json:",omitempty"`
	Unasked  []string `json:",omitempty"`
	Devices  int      // lines that follow
}

// A snapshotLine is one device. Which devices are outside the scope is said
// beside them.
type snapshotLine struct {
	Device  Device
	Outside bool     `json:",omitempty"`
	Network *Network `json:",omitempty"`
}

// Write writes the snapshot as lines of JSON: one that says what it is, and
// one for each device, by id. Equal snapshots give equal bytes. It holds what
// NetBox says of the devices, config contexts included, and no token.
func (s *Snapshot) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	head := snapshotHead{Snapshot: snapshotFormat, Version: s.Version, At: s.At.UTC().Truncate(time.Second), Scope: s.Scope,
		Unknown: s.Unknown, Unasked: s.Unasked, Devices: len(s.Devices) + len(s.Outside)}
	if err := e.Encode(head); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	line := func(d Device, outside bool) error {
		l := snapshotLine{Device: d, Outside: outside}
		if n, ok := s.Networks[d.ID]; ok {
			l.Network = &n
		}
		if err := e.Encode(l); err != nil {
			return fmt.Errorf("writing the snapshot: %w", err)
		}
		return nil
	}
	for _, d := range s.Devices {
		if err := line(d, false); err != nil {
			return err
		}
	}
	for _, d := range s.Outside {
		if err := line(d, true); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	return nil
}

// ReadSnapshot reads what Write wrote. A file that was cut short is an error.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	d := json.NewDecoder(bufio.NewReaderSize(r, 1<<16))
	var head snapshotHead
	if err := d.Decode(&head); err != nil {
		return nil, fmt.Errorf("reading the snapshot: line 1: %w", err)
	}
	if head.Snapshot != snapshotFormat {
		return nil, fmt.Errorf("reading the snapshot: its format is %d, this program reads %d; take it again", head.Snapshot, snapshotFormat)
	}
	s := &Snapshot{Version: head.Version, At: head.At, Scope: head.Scope, Unknown: head.Unknown, Unasked: head.Unasked,
		Networks: make(map[int]Network)}
	for n := 0; ; n++ {
		var l snapshotLine
		err := d.Decode(&l)
		switch {
		case err == io.EOF && n == head.Devices:
			return s, nil
		case err == io.EOF || err == io.ErrUnexpectedEOF || err == nil && n == head.Devices:
			return nil, fmt.Errorf("reading the snapshot: it should hold %d devices, and ends differently after %d; take it again", head.Devices, n)
		case err != nil:
			return nil, fmt.Errorf("reading the snapshot: line %d: %w", n+2, err)
		case l.Outside:
			s.Outside = append(s.Outside, l.Device)
		default:
			s.Devices = append(s.Devices, l.Device)
		}
		if l.Network != nil {
			s.Networks[l.Device.ID] = *l.Network
		}
	}
}

// Offline answers out of a snapshot in place of a [Client].
type Offline struct{ Snapshot *Snapshot }

// Scan returns the snapshot's devices. Its scope must be the one asked for. A
// name that the snapshot knows nothing about is one of Unasked.
func (o *Offline) Scan(_ context.Context, scope Scope, names []string) (*Snapshot, error) {
	if scope != o.Snapshot.Scope {
		return nil, fmt.Errorf("the snapshot is of another scope (%s) than the fleet's (%s); take it again", o.Snapshot.Scope, scope)
	}
	s := *o.Snapshot
	s.Networks, s.Unasked = make(map[int]Network), nil
	known := make(map[string]bool)
	for _, list := range [][]Device{s.Devices, s.Outside} {
		for i := range list {
			known[strings.ToLower(list[i].Name)] = true
		}
	}
	for _, name := range s.Unknown {
		known[strings.ToLower(name)] = true
	}
	for _, name := range names {
		if !known[strings.ToLower(name)] {
			s.Unasked = append(s.Unasked, name)
		}
	}
	slices.Sort(s.Unasked)
	return &s, nil
}

// Networks adds what the snapshot holds of the devices' networks.
func (o *Offline) Networks(_ context.Context, s *Snapshot, ids []int) error {
	for _, id := range ids {
		if _, ok := o.Snapshot.Networks[id]; !ok {
			return fmt.Errorf("the snapshot does not hold the network of device %d; take it again", id)
		}
	}
	networks := maps.Clone(s.Networks)
	if networks == nil {
		networks = make(map[int]Network)
	}
	for _, id := range ids {
		networks[id] = o.Snapshot.Networks[id]
	}
	s.Networks = networks
	return nil
}

// Recheck is refused.
func (o *Offline) Recheck(context.Context, ...int) (map[int]*Device, error) { return nil, ErrOffline }

// Allocate is refused.
func (o *Offline) Allocate(context.Context, Allocation) (netip.Prefix, error) {
	return netip.Prefix{}, ErrOffline
}

// WriteBack is refused.
func (o *Offline) WriteBack(context.Context, Record) error { return ErrOffline }
