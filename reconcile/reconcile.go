package reconcile

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metalcue/metalcue/isohttp"
	"github.com/metalcue/metalcue/isohttp/iso9660"
	"github.com/metalcue/metalcue/reconcile/answer"
	"github.com/metalcue/metalcue/reconcile/credential"
	"github.com/metalcue/metalcue/reconcile/netbox"
	"github.com/metalcue/metalcue/reconcile/redfish"
	"github.com/metalcue/metalcue/schema"
)

// An Inventory is NetBox as a run needs it; *[netbox.Client] is one.
type Inventory interface {
	Scan(ctx context.Context, scope netbox.Scope, names []string) (*netbox.Snapshot, error)
	Recheck(ctx context.Context, ids ...int) (map[int]*netbox.Device, error)
	Networks(ctx context.Context, s *netbox.Snapshot, ids []int) error
	Allocate(ctx context.Context, a netbox.Allocation) (netip.Prefix, error)
	WriteBack(ctx context.Context, r netbox.Record) error
}

// A Machine is one server behind its BMC; *[redfish.Client] is one. Every
// method that changes something returns only when the change is seen.
type Machine interface {
	Observe(ctx context.Context) (*redfish.System, error)
	Hardware(ctx context.Context) (*redfish.Hardware, error)
	Power(ctx context.Context) (redfish.Power, error)
	SetPower(ctx context.Context, p redfish.Power) error
	Insert(ctx context.Context, url string) error
	Eject(ctx context.Context) error
	BootOnce(ctx context.Context) error
	ClearBoot(ctx context.Context) error
	SetMarker(ctx context.Context, tag string) error
	Close(ctx context.Context) error
}

// Media offers a host's installer; *[isohttp.Server] is one.
type Media interface {
	Publish(m isohttp.Medium) (*isohttp.Publication, error)
}

// Images gives access to verified base images; *[isohttp.Store] is one.
type Images interface {
	Get(ctx context.Context, url, sha256 string) (isohttp.Base, error)
}

// A Target says which BMC to reach for which host.
type Target struct {
	Host    *schema.Host
	Address string // of its BMC
	// AssetTag is the device's in NetBox: a claim may borrow its place in the BMC.
	AssetTag string
}

// A Checked host is what verification is run against.
type Checked struct {
	Host    *schema.Host
	Address string            // its primary address; "" when it has none
	Env     map[string]string // the host's facts, for commands
	Checks  []schema.Check
}

// A Reconciler holds what Observe and Apply need. Fleet, Inventory and Dial
// are required for both; Images, Media, MediaURL and Verify for Apply.
type Reconciler struct {
	Fleet  *schema.Fleet
	Commit string // that the fleet was read at; "" for none
	Dirty  bool   // whether the fleet has changes that are in no commit

	Inventory Inventory
	Dial      func(ctx context.Context, t Target) (Machine, error)
	Images    Images
	Media     Media
	// MediaURL returns the URL at which the BMC at an address finds a medium,
	// in one of the schemes that this BMC can fetch.
	MediaURL func(ctx context.Context, p *isohttp.Publication, bmc string, schemes []string) (string, error)
	// OwnMedia reports whether a URL names a medium at the address on which this
	// process alone listens, so that whoever put it into a drive is dead. Nil:
	// that is not known of any.
	OwnMedia func(url string) bool
	// AnyClient lets every address read a host's media. Otherwise only its
	// BMC's may, as far as that is known as an IP address.
	AnyClient bool
	// Secret returns a value that an answer file names.
	Secret func(ctx context.Context, name string) (credential.Secret, error)
	// Verify returns nil once all checks of an installed host have passed.
	Verify func(ctx context.Context, c Checked) error

	Run    string // this run's id, 1 to 8 of [0-9a-z]
	Key    []byte // from which media URLs are derived; a run with the same one can take up the installs of a dead one
	Link   string // where this run can be looked at, for NetBox's journal; may be empty
	Asks   int    // BMCs asked at once by Observe; 0 means 32
	Timing Timing

	// OnEvent is called in order and never concurrently; nil means none.
	OnEvent func(Event)
	// OnRendered, if not nil, is told what the media of a host that is prepared
	// differ in, with secrets replaced by their names; possibly concurrently.
	OnRendered func(host string, files []RenderedFile)
	// Drain, once closed, lets Apply start no further host.
	Drain    <-chan struct{}
	emitting sync.Mutex
}

// Timing says how long an install waits for what. A zero field means its
// default.
type Timing struct {
	Poll     time.Duration // between two readings of a machine's power: 15 s
	Confirm  time.Duration // between the readings that confirm that it is off: 5 s
	Boot     time.Duration // from power-on until the media must have been read: 20 min
	BMC      time.Duration // that a BMC may be silent during an install: 10 min
	Lease    time.Duration // that a claim lasts unless it is renewed: 15 min
	Settle   time.Duration // from a claim until it is looked at again: 10 s
	Progress time.Duration // between two progress events of a host: 1 s
	Stall    time.Duration // without a new byte read by a machine that is on until a warning: 10 min
}

func (t Timing) withDefaults() Timing {
	return Timing{
		Poll:     cmp.Or(t.Poll, 15*time.Second),
		Confirm:  cmp.Or(t.Confirm, 5*time.Second),
		Boot:     cmp.Or(t.Boot, 20*time.Minute),
		BMC:      cmp.Or(t.BMC, 10*time.Minute),
		Lease:    cmp.Or(t.Lease, 15*time.Minute),
		Settle:   cmp.Or(t.Settle, 10*time.Second),
		Progress: cmp.Or(t.Progress, time.Second),
		Stall:    cmp.Or(t.Stall, 10*time.Minute),
	}
}

// mediaClient returns the only address that may read the media for a BMC, or
// the zero address for any.
func (r *Reconciler) mediaClient(bmc string) netip.Addr {
	if r.AnyClient {
		return netip.Addr{}
	}
	host := bmc
	if u, err := url.Parse(bmc); err == nil && u.Host != "" {
		host = u.Host
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, _ := netip.ParseAddr(strings.Trim(host, "[]"))
	return addr
}

// base is an opened base image.
type base struct {
	isohttp.Base
	image *iso9660.Image
	iso   answer.ISO // what an answer family may look at
	kits  kits
	close func() error
}

// sleep waits for d, or returns ctx's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
