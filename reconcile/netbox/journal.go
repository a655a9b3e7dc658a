package netbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	nb "github.com/netbox-community/go-netbox/v4"
)

// headline begins a journal entry. It is what a repeat is known by, so that it
// ends in a character that is in no run's id.
func (r Record) headline() string {
	return fmt.Sprintf("reconcile run %s: %s", oneLine(r.Run), oneLine(r.Outcome))
}

// text is the journal entry, in Markdown. note says what NetBox refused.
func (r Record) text(note string) string {
	var b strings.Builder
	b.WriteString(r.headline())
	b.WriteString("\n\n")
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	line("image", code(r.Image))
	line("role", code(r.Role))
	if r.Generation != 0 {
		line("generation", fmt.Sprint(r.Generation))
	}
	line("commit", code(r.Commit))
	line("marker", code(r.Marker))
	if !r.Started.IsZero() && !r.Finished.IsZero() {
		line("time", fmt.Sprintf("%s, took %s", r.Started.UTC().Format(time.RFC3339), r.Finished.Sub(r.Started).Round(time.Second)))
	}
	line("message", code(r.Message))
	line("not updated", code(note))
	if u, err := url.Parse(r.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		line("run", "<"+u.String()+">")
	}
	return b.String()
}

// code puts foreign text into a Markdown code span, where it means nothing.
func code(s string) string {
	s = strings.ReplaceAll(oneLine(s), "`", "'")
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func (r Record) kind() nb.JournalEntryKindValue {
	switch {
	case r.succeeded():
		return nb.JOURNALENTRYKINDVALUE_SUCCESS
	case r.Outcome == "failed":
		return nb.JOURNALENTRYKINDVALUE_DANGER
	}
	return nb.JOURNALENTRYKINDVALUE_INFO
}

type wireJournal struct {
	ID       int    `json:"id"`
	Type     string `json:"assigned_object_type"`
	DeviceID int    `json:"assigned_object_id"`
	Comments string `json:"comments"`
}

// journaled reports whether the device's journal has the record's entry.
func (c *Client) journaled(ctx context.Context, r Record) (bool, error) {
	rows, err := listing[wireJournal]{
		what: "journal entries", row: decodeRow[wireJournal],
		query: url.Values{"fields": {"id,assigned_object_type,assigned_object_id,comments"}},
		id:    func(j *wireJournal) int { return j.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := c.api.ExtrasAPI.ExtrasJournalEntriesList(ctx).AssignedObjectType("dcim.device").
				AssignedObjectId([]int32{int32(r.DeviceID)}).Q("reconcile run " + oneLine(r.Run)). //nolint:gosec // NetBox's own id
				Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
	if err != nil {
		return false, err
	}
	for _, j := range rows {
		first, _, _ := strings.Cut(j.Comments, "\n")
		if j.Type == "dcim.device" && j.DeviceID == r.DeviceID && strings.TrimSpace(first) == r.headline() {
			return true, nil
		}
	}
	return false, nil
}

// journal adds the entry. A POST is not repeatable: after an answer that may
// have been lost the journal is read before it is sent again.
func (c *Client) journal(ctx context.Context, r Record, note string) error {
	entry := nb.NewWritableJournalEntryRequest("dcim.device", int64(r.DeviceID), r.text(note))
	kind := r.kind()
	entry.Kind = &kind
	for try := 1; ; try++ {
		err := c.do(ctx, &call{}, func(ctx context.Context) (*http.Response, error) {
			_, resp, err := c.api.ExtrasAPI.ExtrasJournalEntriesCreate(ctx).WritableJournalEntryRequest(*entry).Execute()
			return resp, err
		})
		if err == nil {
			return nil
		}
		err = fmt.Errorf("adding to its journal: %w", err)
		if ended := c.again(ctx, err, try); ended != nil {
			return ended
		}
		if done, err := c.journaled(ctx, r); err != nil || done {
			return err
		}
	}
}
