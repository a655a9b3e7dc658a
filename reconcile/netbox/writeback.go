package netbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	nb "github.com/netbox-community/go-netbox/v4"
)

// A Record is what a run did to one device.
type Record struct {
	DeviceID int
	Run      string // the run's id: what a repeat of the same record is known by
	Commit   string
	Marker   string // the marker that the machine bears now
	Image    string
	Role     string
	Outcome  string // "installed", "failed", "adopted" …
	Message  string // details, such as why it failed
	// Generation is the host's.
	Generation        int
	Started, Finished time.Time
	Link              string // the run's page

	// Platform is the name or slug of the platform that the device runs
	// now; "" leaves it alone, and so does one that NetBox does not have.
	Platform string
	// Status is the status to give the device; "" leaves it alone.
	Status string
	// CustomFields are set as far as NetBox has them. Besides, an outcome of
	// "installed" or "adopted" sets reconcile_generation, reconcile_commit,
	// reconcile_marker and last_installed where these exist.
	CustomFields map[string]any
}

// WriteBack tells NetBox what was done to a device: it updates the device
// where it differs, and adds an entry to its journal. When the journal has an
// entry of the same run and outcome already, it writes nothing. A write whose
// answer was lost is looked for before it is sent again. What NetBox does not
// have (platform, custom field) is left out, never made.
//
// If NetBox refuses the update the journal gets its entry all the same, and
// says so; the error is returned.
func (c *Client) WriteBack(ctx context.Context, r Record) error {
	if err := c.writeBack(ctx, r); err != nil {
		return fmt.Errorf("writing device %d back to NetBox: %w", r.DeviceID, err)
	}
	return nil
}

func (c *Client) writeBack(ctx context.Context, r Record) error {
	if err := c.open(); err != nil {
		return err
	}
	if r.Run == "" || r.DeviceID <= 0 {
		return errors.New("the record names no run or no device")
	}
	done, err := c.journaled(ctx, r)
	if err != nil || done {
		return err
	}
	refusal := c.update(ctx, r)
	var refused *RequestError
	if refusal != nil && !errors.As(refusal, &refused) {
		return refusal // NetBox does not answer: it cannot be told why either
	}
	note := ""
	if refusal != nil {
		note = oneLine(refusal.Error())
	}
	return errors.Join(refusal, c.journal(ctx, r, note))
}

// A target is a device as WriteBack finds it.
type target struct {
	ID           int             `json:"id"`
	Status       choice          `json:"status"`
	Platform     slugRef         `json:"platform"`
	CustomFields json.RawMessage `json:"custom_fields"`

	fields map[string]any // decoded
	etag   string
}

func (c *Client) target(ctx context.Context, id int) (*target, error) {
	var t target
	k := call{query: url.Values{"fields": {"id,status,platform,custom_fields"}}, sink: func(r io.Reader) error {
		t = target{}
		return decodeOne(r, &t)
	}}
	err := c.get(ctx, fmt.Sprintf("device %d", id), k, func(ctx context.Context) (*http.Response, error) {
		_, resp, err := c.api.DcimAPI.DcimDevicesRetrieve(ctx, int32(id)).Execute() //nolint:gosec // NetBox's own id
		if resp != nil {
			t.etag = resp.Header.Get("ETag")
		}
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	if t.ID != id {
		return nil, fmt.Errorf("reading device %d from NetBox: %w: it sent device %d", id, errMalformed, t.ID)
	}
	if t.fields, err = decodeObject(t.CustomFields); err != nil {
		return nil, fmt.Errorf("reading device %d from NetBox: custom fields: %w", id, err)
	}
	t.fields = plainFields(t.fields)
	return &t, nil
}

// update changes the device where it differs from the record. A PATCH sets
// values, so that one whose answer was lost may be sent again; with an ETag it
// changes only what was read before.
func (c *Client) update(ctx context.Context, r Record) error {
	for try := 1; ; try++ {
		t, err := c.target(ctx, r.DeviceID)
		if err != nil {
			return err
		}
		patch, err := c.patch(ctx, r, t)
		if err != nil || patch == nil {
			return err
		}
		k := call{header: http.Header{}}
		if t.etag != "" {
			k.header.Set("If-Match", t.etag)
		}
		err = c.do(ctx, &k, func(ctx context.Context) (*http.Response, error) {
			_, resp, err := c.api.DcimAPI.DcimDevicesPartialUpdate(ctx, int32(r.DeviceID)). //nolint:gosec // NetBox's own id
													PatchedWritableDeviceWithConfigContextRequest(*patch).Execute()
			return resp, err
		})
		if err == nil {
			return nil
		}
		err = fmt.Errorf("updating it: %w", err)
		if again := c.again(ctx, err, try); again != nil {
			return again
		}
	}
}

// again waits before the next try of a write, or returns the error that ends
// the trying.
func (c *Client) again(ctx context.Context, err error, try int) error {
	wait, temp := temporary(err)
	var refused *RequestError
	conflict := errors.As(err, &refused) && refused.Status == http.StatusPreconditionFailed
	if try == maxTries || wait > maxWait || !temp && !conflict || ctx.Err() != nil {
		return err
	}
	c.log().WarnContext(ctx, "netbox: writing again", "cause", err)
	if ended := pause(ctx, max(wait, time.Second<<(try-1))); ended != nil {
		return errors.Join(err, ended)
	}
	return nil
}

// patch says what to change, or nil if nothing is.
func (c *Client) patch(ctx context.Context, r Record, t *target) (*nb.PatchedWritableDeviceWithConfigContextRequest, error) {
	p := nb.NewPatchedWritableDeviceWithConfigContextRequest()
	changed := false
	if r.Status != "" && r.Status != string(t.Status) {
		status := nb.DeviceStatusValue(r.Status) // not checked: the set is open
		p.Status, changed = &status, true
	}
	if r.Platform != "" {
		id, err := c.platform(ctx, r.Platform)
		if err != nil {
			return nil, err
		}
		if id != 0 && id != t.Platform.ID {
			n := int32(id) //nolint:gosec // NetBox's own id
			p.Platform.Set(&nb.DeviceTypeRequestDefaultPlatform{Int32: &n})
			changed = true
		}
	}
	fields := make(map[string]any)
	for name, v := range r.fields() {
		if now, exists := t.fields[name]; exists && !equal(now, v) {
			fields[name] = v
		}
	}
	if len(fields) > 0 {
		p.CustomFields, changed = fields, true
	}
	if !changed {
		return nil, nil
	}
	p.AdditionalProperties = map[string]any{"changelog_message": "reconcile run " + oneLine(r.Run)}
	return p, nil
}

// fields are the custom fields to set, as far as they exist.
func (r Record) fields() map[string]any {
	out := make(map[string]any)
	if r.succeeded() {
		out["reconcile_generation"] = r.Generation
		out["reconcile_commit"] = r.Commit
		out["reconcile_marker"] = r.Marker
		out["last_installed"] = r.Finished.UTC().Format(time.RFC3339)
	}
	for name, v := range r.CustomFields {
		out[name] = v
	}
	return out
}

func (r Record) succeeded() bool { return r.Outcome == "installed" || r.Outcome == "adopted" }

// equal compares a value of NetBox's with one of ours as JSON sees them.
func equal(a, b any) bool {
	data, err := json.Marshal(b)
	if err != nil {
		return false
	}
	v, err := decodeValue(data)
	return err == nil && reflect.DeepEqual(a, v)
}

// platform finds a platform by its name or by the slugs that people make of
// it: of "Rocky 9.6" rocky-9-6, rocky-96 and, less exactly, rocky-9. It
// returns 0 if there is none.
func (c *Client) platform(ctx context.Context, name string) (int, error) {
	lower := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "-")
	candidates := []string{lower, strings.ReplaceAll(lower, ".", "-"), strings.ReplaceAll(lower, ".", "")}
	if i := strings.LastIndex(lower, "."); i > 0 {
		candidates = append(candidates, strings.ReplaceAll(lower[:i], ".", "-"))
	}
	candidates = slices.DeleteFunc(candidates, func(s string) bool { return strings.Trim(slugOf(s), "-") == "" })
	rows, err := listing[slugRef]{
		what: "platforms", query: url.Values{"fields": {"id,name,slug"}}, row: decodeRow[slugRef],
		id: func(p *slugRef) int { return p.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := c.api.DcimAPI.DcimPlatformsList(ctx).Slug(candidates).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, want := range candidates {
		for _, p := range rows {
			if p.Slug == want {
				return p.ID, nil
			}
		}
	}
	c.log().InfoContext(ctx, "netbox: no such platform, leaving the device's", "platform", name)
	return 0, nil
}
