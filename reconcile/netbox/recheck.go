package netbox

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	nb "github.com/netbox-community/go-netbox/v4"
	"golang.org/x/sync/errgroup"

	"github.com/metalcue/metalcue/schema"
)

// Recheck reads devices again, without their contexts, so that a long run
// hears of what people have changed meanwhile: see [Objection]. It sends one
// GET for each 200 ids. A device that is not in the result is gone, or the
// token may not see it any more; an error means that nothing is known. Neither
// is leave to touch anything.
func (c *Client) Recheck(ctx context.Context, ids ...int) (map[int]*Device, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) > 0 && ids[0] <= 0 {
		return nil, fmt.Errorf("netbox: %d is no device's id", ids[0])
	}
	pages := make([][]scanned, (len(ids)+maxDevices-1)/maxDevices)
	in := newInterner()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.parallel())
	next := 0
	for chunk := range slices.Chunk(ids, maxDevices) {
		i := next
		next++
		g.Go(func() (err error) {
			pages[i], err = c.devices(ctx, in, false, func(r nb.ApiDcimDevicesListRequest) nb.ApiDcimDevicesListRequest {
				return r.Id(int32s(chunk))
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := make(map[int]*Device, len(ids))
	for _, row := range slices.Concat(pages...) {
		d := row.device
		if _, asked := slices.BinarySearch(ids, d.ID); !asked {
			return nil, fmt.Errorf("reading devices from NetBox: %w: asked for %d ids, it sent %s (%s)",
				ErrFilterIgnored, len(ids), nameOf(&d), d.URL)
		}
		found[d.ID] = &d
	}
	return found, nil
}

// Objection says why a device may not be installed although it was planned:
// was is the device as the plan saw it, now as [Client.Recheck] did, nil if it
// is gone. Any change to what tells machines apart or to whether they may be
// touched is one. "" means that there is none.
func Objection(p *schema.NetBoxPolicy, was, now *Device) string {
	if now == nil {
		return fmt.Sprintf("NetBox no longer shows its device (NetBox id %d)", was.ID)
	}
	var out []string
	changed := func(field, before, after string) {
		if before != after {
			out = append(out, fmt.Sprintf("NetBox's %s was %q and is %q now", field, before, after))
		}
	}
	changed("name", was.Name, now.Name)
	changed("serial", was.Serial, now.Serial)
	changed("status", was.Status, now.Status)
	changed("site", was.Site, now.Site)
	changed("oob_ip", text(was.OOB), text(now.OOB))
	scope := Scope(p.Scope)
	if lacks := scope.lacks(now); lacks != "" {
		out = append(out, "its device "+lacks+" now")
	}
	for _, brake := range now.brakes() {
		out = append(out, "its device bears the "+brake)
	}
	for _, problem := range now.Problems {
		if !contains(was.Problems, problem) {
			out = append(out, "NetBox's "+problem)
		}
	}
	return strings.Join(out, "; ")
}

// text is an address as people read it; "" for none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
