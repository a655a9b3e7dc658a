package netbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"

	nb "github.com/netbox-community/go-netbox/v4"
)

// An Allocation asks for one address for a device that has none.
type Allocation struct {
	DeviceID int
	Prefix   netip.Prefix // that NetBox has, to take a free address of
	VRF      string       // the name of the prefix's VRF; "" for the global table
	// Interface is the name of the interface that gets the address; "" means
	// the only one that could: enabled, physical and not for management.
	Interface string
	DNSName   string // "" for none
}

// ErrUnsure is in the chain when it is not known whether NetBox has given out
// an address. The request is not sent again; the next run looks for the
// address before it asks for one.
var ErrUnsure = errors.New("it is not known whether NetBox has given out an address")

// marker is the description that an address given out for a device bears: it
// is how the next run finds it.
func (a Allocation) marker() string {
	family := 6
	if a.Prefix.Addr().Is4() {
		family = 4
	}
	return fmt.Sprintf("reconcile: IPv%d address of device %d", family, a.DeviceID)
}

// Allocate gives a device a free address of a prefix as its primary address:
// one POST that takes it for the interface, and one PATCH of the device. A
// device that has a primary address of that family keeps it, and an address
// that an earlier try took is used. Nothing is sent twice.
func (c *Client) Allocate(ctx context.Context, a Allocation) (netip.Prefix, error) {
	if err := c.open(); err != nil {
		return netip.Prefix{}, err
	}
	p, err := c.allocate(ctx, a)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("taking an address of %s for device %d: %w", a.Prefix, a.DeviceID, err)
	}
	return p, nil
}

func (c *Client) allocate(ctx context.Context, a Allocation) (netip.Prefix, error) {
	devices, err := c.Recheck(ctx, a.DeviceID)
	if err != nil {
		return netip.Prefix{}, err
	}
	d := devices[a.DeviceID]
	switch {
	case d == nil:
		return netip.Prefix{}, errors.New("NetBox does not show the device")
	case a.Prefix.Addr().Is4() && d.Primary4.IsValid():
		return d.Primary4, nil
	case a.Prefix.Addr().Is6() && d.Primary6.IsValid():
		return d.Primary6, nil
	}
	port, err := c.portFor(ctx, a)
	if err != nil {
		return netip.Prefix{}, err
	}
	row, err := c.marked(ctx, a)
	if err != nil {
		return netip.Prefix{}, err
	}
	if row == nil {
		if row, err = c.take(ctx, a, port); err != nil {
			return netip.Prefix{}, err
		}
	}
	p, err := a.check(row, port)
	if err != nil {
		return netip.Prefix{}, err
	}
	return p, c.setPrimary(ctx, a, row.ID)
}

// portFor returns the id of the interface that is to bear the address.
func (c *Client) portFor(ctx context.Context, a Allocation) (int, error) {
	rows, err := c.interfaces(ctx, []int{a.DeviceID})
	if err != nil {
		return 0, err
	}
	var ids []int
	for _, row := range rows {
		port := Interface{Type: string(row.Type)}
		if a.Interface == row.Name || a.Interface == "" && row.Enabled && !row.MgmtOnly && row.LAG.ID == 0 && (port.Physical() || port.Type == "lag") {
			ids = append(ids, row.ID)
		}
	}
	switch {
	case len(ids) == 1:
		return ids[0], nil
	case a.Interface != "":
		return 0, fmt.Errorf("the device has no interface %q", a.Interface)
	}
	return 0, fmt.Errorf("%d of its interfaces could bear it; name one in the fleet (addresses.interface)", len(ids))
}

// marked finds the address that an earlier try took, or nil.
func (c *Client) marked(ctx context.Context, a Allocation) (*wireAddress, error) {
	rows, err := c.addresses(ctx, func(r nb.ApiIpamIpAddressesListRequest) nb.ApiIpamIpAddressesListRequest {
		return r.Description([]string{a.marker()}).Parent([]string{a.Prefix.Masked().String()})
	})
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(row wireAddress) bool { // the filter may have been ignored
		p, err := parseAddress(row.Address)
		return row.Description != a.marker() || err != nil || !a.Prefix.Contains(p.Addr())
	})
	switch len(rows) {
	case 0:
		return nil, nil
	case 1:
		return &rows[0], nil
	}
	return nil, fmt.Errorf("%d addresses bear the description %q: delete all but one in NetBox", len(rows), a.marker())
}

// take asks for a free address, once.
func (c *Client) take(ctx context.Context, a Allocation, port int) (*wireAddress, error) {
	prefix, err := c.prefixID(ctx, a)
	if err != nil {
		return nil, err
	}
	marker, kind, id := a.marker(), "dcim.interface", int64(port)
	request := nb.NewIPAddressRequest("")
	request.Description = &marker
	request.AssignedObjectType.Set(&kind)
	request.AssignedObjectId.Set(&id)
	if a.DNSName != "" {
		request.DnsName = &a.DNSName
	}
	var row *wireAddress
	k := call{sink: func(r io.Reader) (err error) { row, err = oneAddress(r); return err }}
	err = c.do(ctx, &k, func(ctx context.Context) (*http.Response, error) {
		_, resp, err := c.api.IpamAPI.IpamPrefixesAvailableIpsCreate(ctx, int32(prefix)). //nolint:gosec // NetBox's own id
													IPAddressRequest([]nb.IPAddressRequest{*request}).Execute()
		return resp, err
	})
	var refused *RequestError
	switch {
	case err == nil:
		return row, nil
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrUnsure, err)
}

// oneAddress reads an answer that is an address, or a list of one.
func oneAddress(r io.Reader) (*wireAddress, error) {
	var raw json.RawMessage
	if err := decodeOne(r, &raw); err != nil {
		return nil, err
	}
	var rows []wireAddress
	if len(raw) > 0 && raw[0] == '{' {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, malformed(err)
	}
	if len(rows) != 1 {
		return nil, fmt.Errorf("%w: %d addresses where one was asked for", errMalformed, len(rows))
	}
	return &rows[0], nil
}

// check believes an address only if it is what was asked for.
func (a Allocation) check(row *wireAddress, port int) (netip.Prefix, error) {
	p, err := parseAddress(row.Address)
	switch {
	case err != nil:
		return p, err
	case row.ID <= 0 || row.Description != a.marker() || !a.Prefix.Contains(p.Addr()):
		return p, fmt.Errorf("%w: asked for an address of %s, it gave %s (id %d)", errMalformed, a.Prefix, p, row.ID)
	case row.AssignedType != "dcim.interface" || row.AssignedID != port:
		return p, fmt.Errorf("%s bears the description %q and is not on the interface that it is for (id %d): correct it in NetBox", p, a.marker(), port)
	}
	return p, nil
}

// prefixID finds the named prefix.
func (c *Client) prefixID(ctx context.Context, a Allocation) (int, error) {
	rows, err := c.listPrefixes(ctx, []string{a.Prefix.Masked().String()})
	if err != nil {
		return 0, err
	}
	id := 0
	for _, row := range rows {
		p, err := netip.ParsePrefix(row.Prefix)
		switch {
		case err != nil || p != a.Prefix.Masked() || row.VRF.Name != a.VRF:
		case id != 0:
			return 0, errors.New("NetBox has the prefix more than once")
		case row.Status == "container":
			return 0, errors.New("NetBox calls the prefix a container, which has no addresses of its own")
		default:
			id = row.ID
		}
	}
	if id == 0 {
		return 0, errors.New("NetBox has no such prefix")
	}
	return id, nil
}

// setPrimary makes an address the device's primary one. Setting it twice does
// no harm; it is tried again like every update.
func (c *Client) setPrimary(ctx context.Context, a Allocation, address int) error {
	id := int32(address) //nolint:gosec // NetBox's own id
	patch := nb.NewPatchedWritableDeviceWithConfigContextRequest()
	value := &nb.DeviceWithConfigContextRequestPrimaryIp4{Int32: &id}
	if a.Prefix.Addr().Is4() {
		patch.PrimaryIp4.Set(value)
	} else {
		patch.PrimaryIp6.Set(value)
	}
	for try := 1; ; try++ {
		err := c.do(ctx, &call{}, func(ctx context.Context) (*http.Response, error) {
			_, resp, err := c.api.DcimAPI.DcimDevicesPartialUpdate(ctx, int32(a.DeviceID)). //nolint:gosec // NetBox's own id
													PatchedWritableDeviceWithConfigContextRequest(*patch).Execute()
			return resp, err
		})
		if err == nil {
			return nil
		}
		if ended := c.again(ctx, fmt.Errorf("making it the primary address: %w", err), try); ended != nil {
			return ended
		}
	}
}
