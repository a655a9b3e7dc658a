package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/metalcue/metalcue/reconcile/marker"
)

// MarkerPlace says where a machine bears its marker.
type MarkerPlace string

// The places. With EFILabel the word that a machine is installed is the label
// of its boot entry, which the installer writes and nobody can write over
// Redfish: it is read back over the system's BootOptions, which a BMC refreshes
// in the next POST, and it is gone as soon as the entry is. What must be
// written before anything is destroyed, that a run installs the machine or
// failed to, has no place there. It stands in the asset tag as it does
// otherwise, but only for so long: the tag that was there is given back when
// the machine is installed. So the asset tag remains the inventory's, on two
// conditions: it can be written, and a tag that a run displaces is known to the
// inventory too ([Client].Kept), so that no crash can lose it.
const (
	AssetTag MarkerPlace = "asset-tag"
	EFILabel MarkerPlace = "efi-label"
)

// labels is what the boot entries of a machine say.
type labels struct {
	shown  bool   // this BMC shows labels at all
	why    string // not shown: why
	marker string // in them; "" for none
	uri    string // of the boot option that has it
}

// maxOptions bounds the boot options that are read: HPE lists 30 of them.
const maxOptions = maxMembers

// readLabels reads the marker from the labels of the boot entries. The one that
// bore it last is asked alone, unless all are wanted. Several markers that
// differ are returned as one text, which is no marker: a person decides.
func (c *Client) readLabels(ctx context.Context, sys *systemResource, all bool) (labels, error) {
	switch {
	case c.rules().PlainBootOptions:
		return labels{why: "this kind of BMC lists kinds of boot devices, not the labels of boot entries"}, nil
	case sys.Boot == nil || sys.Boot.Options == "":
		return labels{why: "the system has no BootOptions"}, nil
	case strings.EqualFold(sys.Boot.Mode.Value.trim(), "Legacy"):
		return labels{why: "the machine boots in legacy mode, which has no labels"}, nil
	}
	if uri := c.Locations.Label; uri != "" && !all {
		if m, err := c.labelOf(ctx, uri); err != nil && status(err) != http.StatusNotFound {
			return labels{}, err
		} else if m != "" {
			return labels{shown: true, marker: m, uri: uri}, nil
		}
	}
	c.Locations.Label = ""
	list, err := c.members(ctx, string(sys.Boot.Options))
	if status(err) == http.StatusNotFound {
		return labels{why: "the system's BootOptions are not there"}, nil
	}
	if err != nil {
		return labels{}, fmt.Errorf("reading boot options: %w", err)
	}
	l := labels{shown: true}
	var found []string
	for _, uri := range list[:min(len(list), maxOptions)] {
		m, err := c.labelOf(ctx, uri)
		if status(err) == http.StatusNotFound {
			continue // it went away since the list was read
		}
		if err != nil {
			return labels{}, fmt.Errorf("reading boot options: %w", err)
		}
		if m != "" && !slices.Contains(found, m) {
			found = append(found, m)
			l.uri = uri
		}
	}
	if l.marker = strings.Join(found, " and "); len(found) == 1 {
		c.Locations.Label = l.uri
	}
	return l, nil
}

// labelOf returns the marker in the label of one boot option. Dell goes on
// listing entries whose disk is gone, as "Unavailable: …".
func (c *Client) labelOf(ctx context.Context, uri string) (string, error) {
	var option struct {
		DisplayName text `json:"DisplayName"`
	}
	if _, err := c.get(ctx, uri, &option); err != nil {
		return "", err
	}
	label := option.DisplayName.trim()
	if strings.HasPrefix(label, "Unavailable") {
		return "", nil
	}
	for _, word := range strings.Fields(label) {
		if m, err := marker.Parse(word); err == nil && m.State == marker.Installed {
			return word, nil
		}
	}
	return "", nil
}

// ours reports whether a tag is of this program, of whatever version.
func ours(tag string) bool {
	_, err := marker.Parse(tag)
	return err == nil || errors.Is(err, marker.ErrVersion)
}

// markerOf is the marker in what was read, wherever it is. A word of ours in
// the asset tag goes before a label: it is the later one.
func (c *Client) markerOf(v *view) Tag {
	tag := c.tagOf(v)
	if c.Marker != EFILabel || !tag.Present || ours(tag.Value) {
		return tag
	}
	return Tag{Value: v.labels.marker, Where: WhereLabel, Present: v.labels.shown}
}

// addLabels reads the labels where they count.
func (c *Client) addLabels(ctx context.Context, v *view) error {
	if c.Marker != EFILabel || ours(c.tagOf(v).Value) {
		return nil
	}
	var err error
	v.labels, err = c.readLabels(ctx, v.system, false)
	return err
}

// setLabelled is SetMarker where the label is the marker.
func (c *Client) setLabelled(ctx context.Context, tag string) error {
	place, err := c.readMarker(ctx)
	if err != nil {
		return err
	}
	if !place.tag.Present {
		return &MarkerError{Reason: MarkerMissing, Wrote: tag}
	}
	m, err := marker.Parse(tag)
	switch {
	case err != nil && tag != "":
		return fmt.Errorf("%q is no marker, and a label is not written over Redfish", clean(tag, nil))
	case err == nil && m.State != marker.Installed:
		if err := c.claimable(ctx, place, tag); err != nil {
			return err
		}
		return c.setTag(ctx, place, tag)
	}
	if err := c.awaitLabel(ctx, tag, ours(place.tag.Value)); err != nil {
		return err
	}
	return c.giveBack(ctx, place)
}

// claimable refuses a claim on a machine whose label could not be read after
// the install, or whose asset tag would be lost.
func (c *Client) claimable(ctx context.Context, place markerPlace, tag string) error {
	present := place.tag.Value
	if ours(present) {
		return nil // a claim is there already, and was found so
	}
	sys, err := c.readSystem(ctx)
	if err != nil {
		return err
	}
	l, err := c.readLabels(ctx, sys, false)
	if err != nil {
		return err
	}
	if !l.shown {
		return &MarkerError{Reason: MarkerMissing, Wrote: tag, Err: errors.New(l.why)}
	}
	if !marker.IsPlaceholder(present) && present != c.kept() {
		return &MarkerError{Reason: MarkerForeign, Where: place.uri, Wrote: tag, Read: present}
	}
	c.former = &present
	return nil
}

// kept is the inventory's tag as far as a BMC can hold it.
func (c *Client) kept() string {
	if tag := strings.TrimSpace(c.Kept); plain(tag) && !ours(tag) {
		return tag
	}
	return ""
}

// sameInstall reports whether a label is the word of the attempt that tag is
// the word of. The label may tell of another configuration: one run began the
// install, and another ended it after the template had changed. It is the label
// that says what is on the disk.
func sameInstall(label, tag string) bool {
	l, err := marker.Parse(label)
	t, err2 := marker.Parse(tag)
	return label == tag || err == nil && err2 == nil && l.State == t.State && l.Spec == t.Spec && l.Attempt == t.Attempt
}

// awaitLabel reads the labels until they show tag. Behind a claim it
// waits for a POST: the machine has just been started from its disk.
func (c *Client) awaitLabel(ctx context.Context, tag string, claimed bool) error {
	deadline := time.Now()
	if claimed && tag != "" {
		deadline = deadline.Add(c.Timing.Label)
	}
	for {
		sys, err := c.readSystem(ctx)
		if err != nil {
			return err
		}
		l, err := c.readLabels(ctx, sys, true)
		switch {
		case err != nil:
			return err
		case !l.shown:
			return &MarkerError{Reason: MarkerMissing, Wrote: tag, Err: errors.New(l.why)}
		case sameInstall(l.marker, tag):
			return nil
		case !time.Now().Before(deadline):
			return &MarkerError{Reason: MarkerUnlabelled, Where: string(sys.Boot.Options), Wrote: tag, Read: l.marker}
		}
		if err := sleep(ctx, max(c.Timing.Poll, 5*time.Second)); err != nil {
			return err
		}
	}
}

// giveBack puts back the asset tag that a claim has displaced: the one that was
// there if this client wrote the claim, else the inventory's.
func (c *Client) giveBack(ctx context.Context, place markerPlace) error {
	if !ours(place.tag.Value) {
		return nil
	}
	former := c.kept()
	if c.former != nil {
		former = *c.former
	}
	err := c.setTag(ctx, place, former)
	var me *MarkerError
	if errors.As(err, &me) && me.Reason == MarkerFull {
		err = c.setTag(ctx, place, "") // the inventory's tag never was on this machine
	}
	return err
}
