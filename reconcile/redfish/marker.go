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

// MarkerReason says why a marker is not where it should be.
type MarkerReason string

const (
	// MarkerMissing: the machine has no property for it.
	MarkerMissing MarkerReason = "missing"
	// MarkerReadOnly: the BMC refuses to write the property.
	MarkerReadOnly MarkerReason = "read-only"
	// MarkerFull: it was cut, or refused for its length.
	MarkerFull MarkerReason = "full"
	// MarkerStaged: the BMC holds it back until the next reset. [Client.Observe]
	// shows it as pending, so other runs see it all the same.
	MarkerStaged MarkerReason = "staged"
	// MarkerForeign: a tag is there that the inventory does not have, and that
	// would be lost ([EFILabel] only).
	MarkerForeign MarkerReason = "foreign"
	// MarkerUnlabelled: no boot entry has the label ([EFILabel] only).
	MarkerUnlabelled MarkerReason = "unlabelled"
	// MarkerLost: it was accepted, and reading shows something else.
	MarkerLost MarkerReason = "lost"
)

// MarkerError is what [Client.SetMarker] returns when reading back did not show
// what was written. It matches [ErrMarker].
type MarkerError struct {
	Reason MarkerReason
	Where  string // URI of the resource
	Wrote  string
	Read   string // what is there instead
	Err    error  // the BMC's refusal, if there was one
}

func (e *MarkerError) Error() string {
	s := fmt.Sprintf("writing marker %q to AssetTag of %s: ", e.Wrote, e.Where)
	switch e.Reason {
	case MarkerMissing:
		if s = "writing marker: neither the system nor its chassis has an AssetTag"; e.Err != nil {
			s = "writing marker: there is no place for it"
		}
	case MarkerForeign:
		s += fmt.Sprintf("%q is there, and would be lost; put it into asset_tag of the device in NetBox, from where it is given back", clean(e.Read, nil))
	case MarkerUnlabelled:
		s = fmt.Sprintf("no boot entry of the machine has the marker %q in its label (%s has %s); "+
			"the answer file must write it, see efiLabel, or on the host: efibootmgr --create --label", e.Wrote, e.Where, orNothing(clean(e.Read, nil)))
	case MarkerReadOnly:
		s += "read-only; unlock it (BIOS asset tag protection, lockdown mode, licence, privilege of the account)"
	case MarkerFull:
		s += fmt.Sprintf("does not fit, reads %q", clean(e.Read, nil))
	case MarkerStaged:
		s += "staged until the next reset"
	default:
		s += fmt.Sprintf("lost, reads %q", clean(e.Read, nil))
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is makes every MarkerError match ErrMarker.
func (e *MarkerError) Is(target error) bool { return target == ErrMarker }

// Unwrap gives the BMC's refusal.
func (e *MarkerError) Unwrap() error { return e.Err }

// SetMarker writes tag where this machine keeps its marker (see [Tag]) and
// returns when reading back shows exactly it. Whether what is there may be
// overwritten is the caller's decision. tag is printable ASCII, at most 63
// characters (DCMI's limit; 32 fit everywhere); "" clears the property.
//
// Failures to store it are *[MarkerError]; others (no login, no answer) are not.
//
// With [EFILabel] a claim and a failure are written to the asset tag; the word
// that the machine is installed is waited for in the labels of its boot
// entries, and then the asset tag is given back.
func (c *Client) SetMarker(ctx context.Context, tag string) error {
	if !plain(tag) {
		return fmt.Errorf("writing marker %q: want at most 63 printable ASCII characters without spaces around", clean(tag, nil))
	}
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("writing marker: %w", err)
	}
	defer end()
	if c.Marker == EFILabel {
		err = c.setLabelled(ctx, tag)
	} else {
		var m markerPlace
		if m, err = c.readMarker(ctx); err == nil {
			err = c.setTag(ctx, m, tag)
		}
	}
	var me *MarkerError
	if err != nil && !errors.As(err, &me) {
		return fmt.Errorf("writing marker: %w", err)
	}
	return err
}

// plain reports whether every BMC could bear a tag, were it long enough.
func plain(tag string) bool {
	return len(tag) <= 63 && !strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r > '~' }) && strings.TrimSpace(tag) == tag
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// setTag writes the asset tag, unless it is there.
func (c *Client) setTag(ctx context.Context, m markerPlace, tag string) error {
	switch {
	case !m.tag.Present:
		return &MarkerError{Reason: MarkerMissing, Wrote: tag}
	case m.tag.Value == tag && m.tag.Pending:
		return &MarkerError{Reason: MarkerStaged, Where: m.settings, Wrote: tag}
	case m.tag.Value == tag:
		return nil
	}
	return c.writeMarker(ctx, m, tag)
}

// markerPlace is the marker as read, and the resource it is written to.
type markerPlace struct {
	tag      Tag
	uri      string
	settings string // resource that stages AssetTag, or ""
}

func (c *Client) readMarker(ctx context.Context) (markerPlace, error) {
	l := c.Locations
	v := &view{}
	var err error
	if v.system, err = c.readSystem(ctx); err != nil {
		return markerPlace{}, err
	}
	m := markerPlace{uri: l.System}
	switch {
	case v.system.AssetTag.Present && l.SettingsTag:
		m.settings = l.Settings
		v.settings = &systemResource{URI: l.Settings}
		if _, err := c.get(ctx, l.Settings, v.settings); err != nil && status(err) != http.StatusNotFound {
			return markerPlace{}, err
		}
	case !v.system.AssetTag.Present && l.ChassisTag:
		m.uri = l.Chassis
		v.chassis = &chassisResource{URI: l.Chassis}
		if _, err := c.get(ctx, l.Chassis, v.chassis); err != nil {
			return markerPlace{}, err
		}
	}
	m.tag = c.tagOf(v)
	return m, nil
}

// writeMarker writes and reads back. A refusal that sends us to the settings
// resource (AMI: OperationSupportedInFutureStateURI; iDRAC10) is followed.
func (c *Client) writeMarker(ctx context.Context, m markerPlace, tag string) error {
	places := []string{m.uri}
	if m.settings != "" {
		places = append(places, m.settings)
	}
	for i, uri := range places {
		refusal, err := c.tryMarker(ctx, uri, tag)
		if err != nil {
			return err
		}
		now, err := c.awaitMarker(ctx, tag, refusal)
		if err != nil {
			return join(refusal, err)
		}
		if now.tag.Value == tag && !now.tag.Pending {
			return nil
		}
		me := judgeMarker(now, m, tag, refusal)
		me.Where = uri
		// Another value may wait in the settings to replace what was just written.
		waiting := now.tag.Pending && now.tag.Value != tag
		if (me.Reason == MarkerReadOnly || waiting) && i+1 < len(places) {
			continue
		}
		return me
	}
	return nil // not reached: the last place returns
}

// tryMarker sends the PATCH, again if the BMC is busy. The first result is the
// BMC's refusal, also one hidden in an answer of success; the second is an
// error that ends it.
func (c *Client) tryMarker(ctx context.Context, uri, tag string) (refusal, fatal error) {
	for attempt := 1; ; attempt++ {
		r, err := c.patchTag(ctx, uri, tag)
		if err == nil {
			return hiddenRefusal(uri, r, c.secrets()), nil
		}
		e := asError(err)
		busy := worthRepeating(err) || e != nil && (stateRefusal(e) || e.Status >= 500)
		switch {
		case ctx.Err() != nil, errors.Is(err, ErrAuth), errors.Is(err, ErrTLS), errors.Is(err, ErrForeign):
			return nil, err
		case !busy && e == nil:
			return nil, err
		case !busy || attempt == 4:
			return err, nil
		}
		if err := sleep(ctx, max(3*time.Second, pauseAsked(err))); err != nil {
			return nil, err
		}
	}
}

// patchTag sends one PATCH. To a settings resource that lets the time be chosen
// goes the time too: without it Dell keeps a value pending for ever
// (iDRAC-Redfish-Scripting issues 84 and 249). A BMC that knows no such
// annotation gets the bare property.
func (c *Client) patchTag(ctx context.Context, uri, tag string) (*response, error) {
	if times := c.Locations.ApplyTimes; uri == c.Locations.Settings && len(times) > 0 {
		when := times[0]
		for _, t := range []string{"OnReset", "Immediate"} {
			if slices.Contains(times, t) {
				when = t
			}
		}
		r, err := c.patch(ctx, uri, map[string]any{"AssetTag": tag,
			"@Redfish.SettingsApplyTime": map[string]any{"ApplyTime": when}})
		if status(err) != http.StatusBadRequest {
			return r, err
		}
	}
	return c.patch(ctx, uri, map[string]any{"AssetTag": tag})
}

// hiddenRefusal finds a refused property in an answer of 200 (DSP0266 8.6.1).
func hiddenRefusal(uri string, r *response, secrets []string) error {
	e := newError(http.MethodPatch, uri, r, secrets)
	if e.says(readOnlyIDs...) || e.says(lengthIDs...) {
		return e
	}
	return nil
}

var (
	readOnlyIDs = []string{"PropertyNotWritable", "PropertyNotWritableOrUnknown", "PropertyNotUpdated", "PropertyUnknown", "InsufficientPrivilege",
		"ActionNotSupported", "PropertyNotModified", "OperationNotAllowed", "OperationSupportedInFutureStateURI", "ReadOnlyAttribute"}
	lengthIDs = []string{"StringValueTooLong", "PropertyValueOutOfRange", "PropertyValueFormatError", "PropertyValueTypeError",
		"PropertyValueNotInList", "PropertyValueIncorrect", "PropertyValueError"}
)

// awaitMarker reads until the tag is there. After a refusal one read is enough.
// A tag that shows up is read a second time: some BMCs answer from a cache that
// the next refresh throws away.
func (c *Client) awaitMarker(ctx context.Context, tag string, refusal error) (markerPlace, error) {
	deadline := time.Now().Add(c.Timing.Setting)
	seen := false
	for {
		m, err := c.readMarker(ctx)
		if err != nil && (permanent(err) || ctx.Err() != nil || !time.Now().Before(deadline)) {
			return m, err
		}
		if err == nil {
			here := m.tag.Value == tag && !m.tag.Pending
			if here && seen || refusal != nil && !here || m.tag.Pending {
				return m, nil
			}
			if seen = here; !seen && !time.Now().Before(deadline) {
				return m, nil
			}
		}
		if err := sleep(ctx, c.Timing.Poll); err != nil {
			return m, err
		}
	}
}

// judgeMarker says what went wrong.
func judgeMarker(now, before markerPlace, tag string, refusal error) *MarkerError {
	me := &MarkerError{Reason: MarkerLost, Wrote: tag, Read: now.tag.Value, Err: refusal}
	e := asError(refusal)
	switch {
	case now.tag.Value == tag && now.tag.Pending:
		me.Reason, me.Err = MarkerStaged, nil
	case now.tag.Value != "" && len(now.tag.Value) < len(tag) && strings.HasPrefix(tag, now.tag.Value):
		me.Reason = MarkerFull
	case e != nil && tooLong(e):
		me.Reason = MarkerFull
	case e != nil && e.Status < 500:
		me.Reason = MarkerReadOnly
	case e == nil && refusal == nil && now.tag.Value == before.tag.Value:
		me.Reason = MarkerReadOnly
		me.Err = ErrNoEffect
	}
	return me
}

func tooLong(e *Error) bool {
	return e.says(lengthIDs...) && !e.says(readOnlyIDs...) ||
		slices.ContainsFunc([]string{"length", "too long", "exceed", "characters"},
			func(w string) bool { return strings.Contains(strings.ToLower(e.Message), w) })
}
