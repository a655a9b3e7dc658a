package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// bootPlace is a resource that takes a Boot object: the System or its settings.
type bootPlace struct {
	uri  string
	boot *bootResource
}

// BootOnce makes the next boot, and only that, start from the virtual CD. It
// returns when the System or its settings resource shows so: some BMCs move the
// override over only in the next POST. The machine should be off.
func (c *Client) BootOnce(ctx context.Context) error {
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("setting boot once: %w", err)
	}
	defer end()
	if err := c.bootOnce(ctx); err != nil {
		return fmt.Errorf("setting boot once: %w", err)
	}
	return nil
}

func (c *Client) bootOnce(ctx context.Context) error {
	places, err := c.bootPlaces(ctx)
	if err != nil {
		return err
	}
	if len(places) == 0 {
		return fmt.Errorf("%s has no boot override: %w", c.Locations.System, ErrUnsupported)
	}
	target, err := c.bootTarget(places)
	if err != nil {
		return err
	}
	if c.armed(places, target) {
		return nil
	}
	var failures []error
	for _, place := range places {
		for _, payload := range c.bootPayloads(place.boot, target) {
			err := c.setBoot(ctx, place.uri, payload, "boot once from "+target,
				func(now []bootPlace) bool { return c.armed(now, target) })
			if err == nil {
				return nil
			}
			failures = append(failures, err)
			if ctx.Err() != nil || permanent(err) || errors.Is(err, ErrUnreachable) {
				return join(failures...)
			}
			if !modeRefused(err) {
				break
			}
		}
	}
	return join(failures...)
}

// bootPlaces reads the resources that have an override, in the order in which
// they should be written: settings first where the System does not list what it
// would allow (iDRAC10, AMI) or the profile says so.
func (c *Client) bootPlaces(ctx context.Context) ([]bootPlace, error) {
	sys, err := c.readSystem(ctx)
	if err != nil {
		return nil, err
	}
	var places []bootPlace
	if sys.Boot != nil && overridable(sys.Boot) {
		places = append(places, bootPlace{sys.URI, sys.Boot})
	}
	if l := c.Locations; l.SettingsBoot {
		s := &systemResource{URI: l.Settings}
		if _, err := c.get(ctx, l.Settings, s); err != nil {
			return nil, err
		}
		if s.Boot != nil && overridable(s.Boot) {
			place := bootPlace{s.URI, s.Boot}
			onlyThere := len(places) > 0 && len(places[0].boot.Targets) == 0 && len(s.Boot.Targets) > 0
			if c.rules().SettingsFirst || onlyThere {
				places = append([]bootPlace{place}, places...)
			} else {
				places = append(places, place)
			}
		}
	}
	return places, nil
}

// bootTarget picks the value for the virtual CD out of what is allowed.
func (c *Client) bootTarget(places []bootPlace) (string, error) {
	var allowed []string
	for _, p := range places {
		allowed = append(allowed, p.boot.Targets...)
	}
	for _, t := range c.rules().BootTargets {
		if slices.Contains(allowed, t) {
			return t, nil
		}
	}
	if len(allowed) == 0 {
		return "Cd", nil // DSP0268's value; the answer will tell
	}
	return "", fmt.Errorf("boot targets are %s, none of them %s: %w", strings.Join(allowed, ", "),
		strings.Join(c.rules().BootTargets, " or "), ErrUnsupported)
}

// bootPayloads is the whole triple first, then without the mode, which iLO 5
// refuses to be told. The mode is the one the machine is in: naming another
// would change how its firmware boots.
func (c *Client) bootPayloads(b *bootResource, target string) []map[string]any {
	bare := func() map[string]any {
		return map[string]any{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": target}
	}
	list := []map[string]any{bare()}
	if b.Mode.Present || len(b.Modes) > 0 || c.rules().ForceMode {
		full := bare()
		if full["BootSourceOverrideMode"] = b.Mode.Value.trim(); b.Mode.Value.trim() == "" {
			full["BootSourceOverrideMode"] = "UEFI"
		}
		list = append([]map[string]any{full}, list...)
	}
	return list
}

// armed reports whether any place shows the override. Some emulators show
// Continuous; only their profile lets that count.
func (c *Client) armed(places []bootPlace, target string) bool {
	return slices.ContainsFunc(places, func(p bootPlace) bool {
		enabled := p.boot.Enabled.Value.trim()
		return p.boot.Target.Value.trim() == target &&
			(enabled == "Once" || enabled == "Continuous" && c.rules().Continuous)
	})
}

// disarmed reports whether no place shows an override any more. Where there
// always is one (sushy-tools over libvirt), that of the disk is none.
func (c *Client) disarmed(places []bootPlace) bool {
	return !slices.ContainsFunc(places, func(p bootPlace) bool {
		enabled, target := p.boot.Enabled.Value.trim(), p.boot.Target.Value.trim()
		return enabled != "" && enabled != "Disabled" && target != "None" && target != "" &&
			!(c.rules().Continuous && target == "Hdd")
	})
}

// setBoot PATCHes Boot at one place until the wanted override shows anywhere.
func (c *Client) setBoot(ctx context.Context, uri string, boot map[string]any, what string, there func([]bootPlace) bool) error {
	return c.bring(ctx, effect{
		what: what,
		reached: func(ctx context.Context) (bool, string, error) {
			now, err := c.bootPlaces(ctx)
			if err != nil {
				return false, "unread", err
			}
			got := "no override"
			if len(now) > 0 {
				b := now[0].boot
				got = fmt.Sprintf("%s from %s", quoteEmpty(b.Enabled.Value.trim()), quoteEmpty(b.Target.Value.trim()))
			}
			return there(now), got, nil
		},
		write: func(ctx context.Context) error {
			_, err := c.patch(ctx, uri, map[string]any{"Boot": boot})
			return err
		},
		lag: c.Timing.Setting,
		// HPE refuses with UnableToModifyDuringSystemPOST for as long as POST
		// takes; others with 409.
		again: func(e *Error) bool {
			return e.Status == http.StatusConflict || stateRefusal(e) || e.Status == http.StatusInternalServerError
		},
		attempts: 6,
		pause:    10 * time.Second,
	})
}

// modeRefused reports whether a refusal is about BootSourceOverrideMode, or
// does not say what it is about.
func modeRefused(err error) bool {
	e := asError(err)
	return e != nil && e.Status/100 == 4 && (e.mentions("Mode") || len(e.IDs) == 0 || e.says("GeneralError"))
}

// ClearBoot takes the override away, if it is still there: a BMC that honours
// "Once" has done so itself. On Lenovo it does nothing: touching the boot
// configuration after an install brings up a question on the console.
func (c *Client) ClearBoot(ctx context.Context) error {
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("clearing the boot override: %w", err)
	}
	defer end()
	if c.rules().KeepBoot {
		return nil
	}
	places, err := c.bootPlaces(ctx)
	if err != nil {
		return fmt.Errorf("clearing the boot override: %w", err)
	}
	if c.disarmed(places) {
		return nil
	}
	both := map[string]any{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"}
	payloads := []map[string]any{both, {"BootSourceOverrideEnabled": "Disabled"}}
	if c.rules().Continuous {
		disk := map[string]any{"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd"}
		payloads = append([]map[string]any{disk}, payloads...)
	}
	var failures []error
	for _, place := range places {
		for _, payload := range payloads {
			err := c.setBoot(ctx, place.uri, payload, "no boot override", c.disarmed)
			if err == nil {
				return nil
			}
			failures = append(failures, fmt.Errorf("clearing the boot override: %w", err))
			if ctx.Err() != nil || permanent(err) || errors.Is(err, ErrUnreachable) {
				return join(failures...)
			}
		}
	}
	return join(failures...)
}
