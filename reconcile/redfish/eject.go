package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Eject empties every virtual CD and DVD slot. Empty slots are no error, and a
// slot that the BMC calls empty is ejected all the same where that costs one
// request: Inserted may be stale.
func (c *Client) Eject(ctx context.Context) error {
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("ejecting media: %w", err)
	}
	defer end()
	if len(c.Locations.Slots) == 0 {
		if _, err := c.findSlots(ctx); err != nil {
			return fmt.Errorf("ejecting media: %w", err)
		}
	}
	var failures []error
	for _, uri := range slices.Concat(c.Locations.Slots, c.Locations.ProxySlots) {
		if err := c.ejectFrom(ctx, uri); err != nil {
			failures = append(failures, fmt.Errorf("ejecting media: %w", err))
			if ctx.Err() != nil || permanent(err) {
				break
			}
		}
	}
	return join(failures...)
}

func (c *Client) ejectFrom(ctx context.Context, uri string) error {
	s, err := c.readSlot(ctx, uri)
	if status(err) == http.StatusNotFound {
		return nil // a slot that is gone holds nothing
	}
	if err != nil {
		return err
	}
	if in, _ := c.inserted(s); !in {
		return c.ejectStale(ctx, s)
	}
	err = c.bring(ctx, effect{
		what: "slot " + slotID(s) + " empty",
		reached: func(ctx context.Context) (bool, string, error) {
			now, err := c.readSlot(ctx, uri)
			if err != nil {
				return false, "unread", err
			}
			s = now // Supermicro shows EjectMedia only while something is in
			in, _ := c.inserted(now)
			return !in, "inserted", nil
		},
		write:    func(ctx context.Context) error { return c.ejectOnce(ctx, s) },
		lag:      c.Timing.Eject,
		again:    func(e *Error) bool { return e.Status >= 500 || e.Status == http.StatusConflict },
		attempts: 4,
		pause:    3 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("slot %s: %w", slotID(s), err)
	}
	return nil
}

// ejectStale ejects a slot that reads empty, once, where it has an action for
// it. What the BMC thinks of that does not matter unless the login is refused.
func (c *Client) ejectStale(ctx context.Context, s *slotResource) error {
	if s.Actions.Eject.Target == "" || !s.usable() {
		return nil
	}
	err := c.ejectOnce(ctx, s)
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrAuth) || errors.Is(err, ErrTLS)) {
		return err
	}
	return nil
}

// ejectOnce tries the variants: POST with no body, POST of an empty object
// (HPE, Dell), PATCH (Lenovo, and where the action turns out to be missing).
func (c *Client) ejectOnce(ctx context.Context, s *slotResource) error {
	if target := string(s.Actions.Eject.Target); target != "" {
		_, err := c.post(ctx, target, nil)
		if st := status(err); st == http.StatusBadRequest || st == http.StatusUnsupportedMediaType || st == http.StatusLengthRequired {
			_, err = c.post(ctx, target, map[string]any{})
		}
		if st := status(err); st != http.StatusNotFound && st != http.StatusMethodNotAllowed {
			return err
		}
	}
	_, err := c.patch(ctx, s.URI, map[string]any{"Image": nil, "Inserted": false})
	return err
}
