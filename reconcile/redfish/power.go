package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"
)

// Power reads the power state: one request once the system is known.
func (c *Client) Power(ctx context.Context) (Power, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	v, err := c.find(ctx)
	if err != nil {
		return "", fmt.Errorf("reading power: %w", err)
	}
	if v != nil {
		return Power(v.system.PowerState.trim()), nil
	}
	sys, err := c.readSystem(ctx)
	if err != nil {
		return "", fmt.Errorf("reading power: %w", err)
	}
	return Power(sys.PowerState.trim()), nil
}

// SetPower brings the machine to On or Off and returns when it is there. Off is
// forced: whoever asks has decided that what runs may end. It uses ForceOff and
// On only, and where a BMC lacks On, ForceOn; never a restart, so that a machine
// starts exactly when On is asked for (Lenovo SR675 V3 hangs in ForceRestart,
// HPE refuses boot overrides while a restart is in POST).
func (c *Client) SetPower(ctx context.Context, want Power) error {
	if want != On && want != Off {
		return fmt.Errorf("setting power to %q: only %s and %s can be asked for", want, On, Off)
	}
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("setting power to %s: %w", want, err)
	}
	defer end()
	var target string
	err = c.bring(ctx, effect{
		what: "power " + string(want),
		reached: func(ctx context.Context) (bool, string, error) {
			sys, err := c.readSystem(ctx)
			if err != nil {
				return false, "unread", err
			}
			if target = string(sys.Actions.Reset.Target); target == "" {
				return false, "", fmt.Errorf("%s has no Reset action: %w", sys.URI, ErrUnsupported)
			}
			c.keepResetTypes(sys)
			got := Power(sys.PowerState.trim())
			return got == want, "power " + quoteEmpty(string(got)), nil
		},
		write: func(ctx context.Context) error {
			kind, err := c.resetType(ctx, want)
			if err != nil {
				return err
			}
			_, err = c.post(ctx, target, map[string]any{"ResetType": kind})
			return err
		},
		lag: c.Timing.Power,
		// "On" soon after "Off" is refused for up to 60 s (iDRAC10 with 409;
		// others with 400 and a word about state), likewise during a BMC's start.
		again:    func(e *Error) bool { return e.Status == http.StatusConflict || stateRefusal(e) },
		attempts: 8,
		pause:    10 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("setting power to %s: %w", want, err)
	}
	return nil
}

// stateRefusal reports whether a 400 or 403 speaks of the state the machine is
// in right now, not of the request.
func stateRefusal(e *Error) bool {
	if e.Status != http.StatusBadRequest && e.Status != http.StatusForbidden {
		return false
	}
	return e.says("InvalidOperationForSystemState", "UnableToModifyDuringSystemPOST", "SYS518", "ResourceInUse",
		"ResourceInStandby", "ServiceTemporarilyUnavailable", "OperationFailed", "ServerInPost", "ActionNotSupportedDuringPOST") ||
		strings.Contains(strings.ToUpper(e.Message), "POST ") && strings.Contains(strings.ToLower(e.Message), "progress")
}

// keepResetTypes remembers the allowed values that the System itself lists.
func (c *Client) keepResetTypes(sys *systemResource) {
	if list := sys.Actions.Reset.ResetTypes; len(list) > 0 {
		c.Locations.ResetTypes = list
	} else if sys.Actions.Reset.Info == "" {
		c.Locations.ResetTypes = nil
	}
	c.resetInfo = string(sys.Actions.Reset.Info)
}

// resetType picks the value of ResetType that the BMC allows. Where it lists
// none, or its ActionInfo is missing (GB300), the standard ones are taken.
func (c *Client) resetType(ctx context.Context, want Power) (string, error) {
	if len(c.Locations.ResetTypes) == 0 && c.resetInfo != "" {
		var info struct {
			Parameters []struct {
				Name    text  `json:"Name"`
				Allowed texts `json:"AllowableValues"`
			} `json:"Parameters"`
		}
		if _, err := c.get(ctx, c.resetInfo, &info); err != nil && permanent(err) {
			return "", err
		}
		for _, p := range info.Parameters {
			if p.Name == "ResetType" {
				c.Locations.ResetTypes = p.Allowed
			}
		}
	}
	choice := []string{string(schemas.ForceOffResetType)}
	if want == On {
		choice = []string{string(schemas.OnResetType), string(schemas.ForceOnResetType)}
	}
	allowed := c.Locations.ResetTypes
	for _, kind := range choice {
		if len(allowed) == 0 || slices.Contains(allowed, kind) {
			return kind, nil
		}
	}
	return "", fmt.Errorf("reset types are %s, none of them %s: %w",
		strings.Join(allowed, ", "), strings.Join(choice, " or "), ErrUnsupported)
}

func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}
