package netbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	nb "github.com/netbox-community/go-netbox/v4"
)

const (
	// A request line of gunicorn's holds 4,094 bytes.
	maxNamesBytes = 3000
	maxNames      = 250
	// maxUnknown bounds the names that are looked up outside the scope. When
	// more are missing the scope itself is wrong, and saying so for these is
	// enough.
	maxUnknown = 1000
)

// Scan reads all devices of a scope, and looks for those of the named devices
// that are not in it in the rest of NetBox. It sends GET only: one request for
// the version, one for each thousand devices, and one for each 250 missing
// names. An error means that nothing at all is known.
func (c *Client) Scan(ctx context.Context, scope Scope, names []string) (*Snapshot, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	version, err := c.version(ctx)
	if err != nil {
		return nil, err
	}
	if w := versionWarning(version); w != "" {
		c.log().WarnContext(ctx, "netbox: "+w)
	}
	s := &Snapshot{Version: version, At: time.Now().UTC(), Scope: scope, Networks: make(map[int]Network)}
	in := newInterner()
	if s.Devices, err = c.scanScope(ctx, scope, in); err != nil {
		return nil, err
	}
	if err := c.scanOutside(ctx, s, names, in); err != nil {
		return nil, err
	}
	return s, nil
}

// version asks NetBox who it is. It is also the first proof that the address
// and the token are right.
func (c *Client) version(ctx context.Context) (string, error) {
	var status struct {
		Version string `json:"netbox-version"`
	}
	k := call{sink: func(r io.Reader) error { return decodeOne(r, &status) }}
	err := c.get(ctx, "the status", k, func(ctx context.Context) (*http.Response, error) {
		_, resp, err := c.api.StatusAPI.StatusRetrieve(ctx).Execute()
		return resp, err
	})
	if err != nil {
		return "", err
	}
	if status.Version == "" {
		return "", fmt.Errorf("reading the status from NetBox: %w: it names no netbox-version; is %s a NetBox?", ErrNotNetBox, c.base)
	}
	return oneLine(status.Version), nil
}

// A scanned row keeps what the check against the scope needs beyond a Device.
type scanned struct {
	device Device
	depth  int // of the role in its tree
}

// scanScope reads the devices of the scope.
func (c *Client) scanScope(ctx context.Context, scope Scope, in *interner) ([]Device, error) {
	rows, err := c.devices(ctx, in, true, func(r nb.ApiDcimDevicesListRequest) nb.ApiDcimDevicesListRequest {
		if scope.Tag != "" {
			r = r.Tag([]string{scope.Tag})
		}
		if scope.Site != "" {
			r = r.Site([]string{scope.Site})
		}
		if scope.Role != "" {
			r = r.Role([]string{scope.Role})
		}
		if scope.Tenant != "" {
			r = r.Tenant([]string{scope.Tenant})
		}
		return r
	})
	if err != nil {
		return nil, scope.explain(err)
	}
	devices := make([]Device, 0, len(rows))
	for i := range rows {
		d := &rows[i].device
		reason := scope.lacks(d)
		switch {
		case reason == "":
			devices = append(devices, *d)
		case scope.Role != "" && rows[i].depth > 0 && (Scope{Tag: scope.Tag, Site: scope.Site, Tenant: scope.Tenant}).lacks(d) == "":
			// Since 4.3 the filter also finds the children of a role. They
			// are not what the fleet's policy names.
		default:
			return nil, fmt.Errorf("reading devices from NetBox: %w: asked for %s, it sent %s (%s), which %s",
				ErrFilterIgnored, scope, nameOf(d), d.URL, reason)
		}
	}
	return devices, nil
}

// explain says what a refused filter means.
func (s Scope) explain(err error) error {
	var refused *RequestError
	if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest {
		return err
	}
	for _, f := range s.fields() {
		if f.want != "" && slices.Contains(refused.Fields, f.name) {
			return fmt.Errorf("NetBox has no %s %q: create it or correct policy.netbox.scope.%s: %w", f.name, f.want, f.name, err)
		}
	}
	return err
}

// nameOf names a device in messages.
func nameOf(d *Device) string {
	if d.Name == "" {
		return fmt.Sprintf("unnamed device %d", d.ID)
	}
	return d.Name
}

// devices reads the devices that a filter selects, with or without their
// config contexts.
func (c *Client) devices(ctx context.Context, in *interner, contexts bool, filter func(nb.ApiDcimDevicesListRequest) nb.ApiDcimDevicesListRequest) ([]scanned, error) {
	query := url.Values{"fields": {deviceFields + ",config_context"}}
	if !contexts {
		// Before 4.7 contexts are worked out unless they are excluded.
		query = url.Values{"fields": {deviceFields}, "exclude": {"config_context"}}
	}
	return listing[scanned]{
		what: "devices", query: query,
		row: func(row []byte) (scanned, error) { return c.device(row, in) },
		id:  func(s *scanned) int { return s.device.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := filter(c.api.DcimAPI.DcimDevicesList(ctx)).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
}

// scanOutside looks for the names that the scope did not yield.
func (c *Client) scanOutside(ctx context.Context, s *Snapshot, names []string, in *interner) error {
	known := make(map[string]bool, len(s.Devices))
	for i := range s.Devices {
		known[strings.ToLower(s.Devices[i].Name)] = true
	}
	var missing []string
	for _, name := range names {
		if name != "" && !known[strings.ToLower(name)] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	if len(missing) > maxUnknown {
		missing, s.Unasked = missing[:maxUnknown], missing[maxUnknown:]
	}
	for chunk := range chunks(missing, maxNames, func(name string) int { return len("&name=") + len(url.QueryEscape(name)) }) {
		rows, err := c.devices(ctx, in, false, func(r nb.ApiDcimDevicesListRequest) nb.ApiDcimDevicesListRequest {
			return r.Name(chunk)
		})
		if err != nil {
			return err
		}
		for i := range rows {
			d := &rows[i].device
			if !slices.ContainsFunc(chunk, func(name string) bool { return strings.EqualFold(name, d.Name) }) {
				return fmt.Errorf("reading devices from NetBox: %w: asked for %d names, it sent %s (%s)",
					ErrFilterIgnored, len(chunk), nameOf(d), d.URL)
			}
			s.Outside = append(s.Outside, *d)
		}
	}
	for i := range s.Outside {
		known[strings.ToLower(s.Outside[i].Name)] = true
	}
	s.Unknown = slices.DeleteFunc(slices.Clone(missing), func(name string) bool { return known[strings.ToLower(name)] })
	slices.SortFunc(s.Outside, func(a, b Device) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

// chunks cuts a list into pieces of at most n items and maxNamesBytes bytes.
func chunks[T any](list []T, n int, size func(T) int) func(func([]T) bool) {
	return func(yield func([]T) bool) {
		start, bytes := 0, 0
		for i, v := range list {
			if i > start && (i-start == n || bytes+size(v) > maxNamesBytes) {
				if !yield(list[start:i]) {
					return
				}
				start, bytes = i, 0
			}
			bytes += size(v)
		}
		if start < len(list) {
			yield(list[start:])
		}
	}
}

// versionWarning says what is odd about a version, or "".
func versionWarning(version string) string {
	release := releaseOf(version)
	switch {
	case release == 0:
		return fmt.Sprintf("version %q is not one that is understood", version)
	case release < 402:
		return fmt.Sprintf("NetBox %s is older than 4.2, which this program was never tried with", version)
	case release == 402:
		return fmt.Sprintf("NetBox %s is tolerated, but no longer supported; 4.3 to 4.7 are", version)
	case release > 407:
		return fmt.Sprintf("NetBox %s is newer than 4.7, the newest that this program was tried with", version)
	}
	return ""
}

// releaseOf makes 406 of "4.6.8-Docker-3.4.1", and 0 of what is no version.
func releaseOf(version string) int {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n != 2 || major < 0 || minor < 0 || minor > 99 {
		return 0
	}
	return major*100 + minor
}
