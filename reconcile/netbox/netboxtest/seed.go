package netboxtest

import "time"

// A Device seeds one device with all that hangs on it. Only Name is needed.
// What it names and NetBox does not have yet (site, rack, role, VLAN …) comes
// into being with it.
type Device struct {
	// ID is the device's id; 0 takes the next free one.
	ID int
	// Name may be empty: NetBox allows unnamed devices.
	Name     string
	Serial   string
	AssetTag string
	// Status is the status's value; "" means "active".
	Status string

	Site     string // slug; "" means "site-1"
	Location string // slug
	Rack     string // name
	Position float64
	Role     string // slug; "" means "server"
	Platform string // slug
	Tenant   string // slug

	DeviceType   string // slug; "" means "generic-1u"
	Manufacturer string // slug; "" means "generic"

	// OOB, Primary4 and Primary6 are addresses with their prefix length. One
	// that no interface bears is given to one: OOB to "bmc", the others to
	// the first interface that is not for management only.
	OOB, Primary4, Primary6 string

	// Tags are slugs; nil means {"reconcile"}, an empty slice none.
	Tags         []string
	CustomFields map[string]any
	// Context is the config context as NetBox renders it for this device.
	Context map[string]any

	// Interfaces; nil means one, "eno1", with a MAC made from the id.
	Interfaces []Interface
}

// An Interface seeds one interface of a device.
type Interface struct {
	Name     string
	Type     string // value; "" means "10gbase-x-sfpp"
	Disabled bool
	MgmtOnly bool
	MTU      int
	// MAC is the primary MAC; OtherMACs are assigned without being primary.
	MAC       string
	OtherMACs []string
	// LAG, Parent and Bridge name another interface of the device.
	LAG, Parent, Bridge string
	// VLAN is the untagged VLAN's id, TaggedVLANs the tagged ones'.
	VLAN        int
	TaggedVLANs []int
	// Addresses have their prefix length. DNSName is that of all of them.
	Addresses []string
	DNSName   string
}

// A Prefix seeds one prefix.
type Prefix struct {
	Prefix       string
	Status       string // "" means "active"
	Site         string // slug of the site that it is scoped to; "" for none
	VLAN         int
	Role         string // slug
	VRF          string // name
	Tags         []string
	CustomFields map[string]any
	Description  string
}

// An Address seeds an IP address that is on no interface, such as a gateway's.
type Address struct {
	Address      string // with its prefix length
	Status       string // "" means "active"
	VRF          string // name
	DNSName      string
	Description  string
	Tags         []string
	CustomFields map[string]any
}

// A CustomField seeds the definition of a custom field of devices.
type CustomField struct {
	Name string
	Type string // "text", "integer", "boolean", "datetime", "select", "json" …; "" means "text"
	// ObjectTypes are what it belongs to; nil means {"dcim.device"}.
	ObjectTypes []string
}

// A JournalEntry is one entry of a device's journal.
type JournalEntry struct {
	ID, DeviceID int
	Kind         string // "info", "success", "warning" or "danger"
	Comments     string
	Created      time.Time
}

// A Request is one request that the server was sent.
type Request struct {
	Method string
	Path   string
	Query  string // as sent
	Header map[string][]string
	Body   []byte
	// Status is the answer's; 0 if the connection broke instead.
	Status int
}

// IsWrite reports whether the request could change anything.
func (r Request) IsWrite() bool {
	return r.Method != "GET" && r.Method != "HEAD" && r.Method != "OPTIONS"
}
