package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Insert mounts the image at url in a virtual CD drive and returns when a slot
// shows exactly this URL as inserted. It ejects nothing: a drive that holds
// another image is passed over, and it is an error if all do. That the BMC has
// fetched anything from url is not proven by it.
func (c *Client) Insert(ctx context.Context, url string) error {
	end, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("inserting medium: %w", err)
	}
	defer end()
	if err := c.checkMedium(url); err != nil {
		return fmt.Errorf("inserting medium: %w", err)
	}
	if err := c.insert(ctx, url); err != nil {
		return fmt.Errorf("inserting medium: %w", err)
	}
	return nil
}

// checkMedium refuses URLs that this BMC, or BMCs in general, cannot fetch.
// Redfish notes 2.1: no query (Supermicro X12), ".iso" at the end (iLO, AMI).
func (c *Client) checkMedium(medium string) error {
	u, err := url.Parse(medium)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("the URL of the medium is not a plain one of scheme, host and path")
	case !slices.Contains(c.rules().Schemes, u.Scheme):
		return fmt.Errorf("this BMC (%s) fetches media only by %s, not by %s: %w",
			c.profile().name, strings.Join(c.rules().Schemes, " or "), u.Scheme, ErrUnsupported)
	case u.RawQuery != "" || u.Fragment != "" || !strings.HasSuffix(u.Path, ".iso"):
		return errors.New("the URL of the medium must end in .iso and have no query")
	}
	return nil
}

func (c *Client) insert(ctx context.Context, url string) error {
	slots, err := c.slotsForInsert(ctx)
	if err != nil {
		return err
	}
	for i := range slots { // there already, from an earlier run
		if in, image := c.inserted(&slots[i]); in && image == url {
			c.Locations.Used = slots[i].URI
			return nil
		}
	}
	var failures []error
	silent := 0
	for i := range slots {
		s := &slots[i]
		if in, _ := c.inserted(s); in {
			failures = append(failures, fmt.Errorf("slot %s holds another image; eject it first", slotID(s)))
			continue
		}
		err := c.insertInto(ctx, s, url)
		if err == nil {
			c.Locations.Used = s.URI
			return nil
		}
		err = fmt.Errorf("slot %s: %w", slotID(s), err)
		if ctx.Err() != nil || permanent(err) || errors.Is(err, ErrUnreachable) {
			return err
		}
		failures = append(failures, err)
		if errors.Is(err, ErrNoEffect) {
			silent++
		}
		if !nextSlot(err) || silent == 2 {
			break // after minutes of waiting in two slots, the URL is at fault
		}
	}
	return join(failures...)
}

// nextSlot: vKVM slots of Cisco and some AMI slots answer 400 or 405, others
// accept without effect; another slot may do better.
func nextSlot(err error) bool {
	switch status(err) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusConflict:
		return true
	}
	return errors.Is(err, ErrNoEffect)
}

// slotsForInsert reads the usable slots, switching remote media on first where
// a BMC shows no slot until then (AMI).
func (c *Client) slotsForInsert(ctx context.Context) ([]slotResource, error) {
	if len(c.Locations.Slots) == 0 {
		if err := c.enableMedia(ctx); err != nil {
			return nil, err
		}
	}
	list, err := c.readSlots(ctx)
	if status(err) == http.StatusNotFound {
		// Remembered slots are gone: AMI takes them away when the BMC restarts.
		if err = c.enableMedia(ctx); err == nil {
			list, err = c.readSlots(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	// The slot used last first: it is the one that worked.
	slices.SortStableFunc(list, func(a, b slotResource) int {
		rank := func(s *slotResource) int {
			if s.URI == c.Locations.Used {
				return 0
			}
			return 1
		}
		return rank(&a) - rank(&b)
	})
	return list, nil
}

func (c *Client) readSlots(ctx context.Context) ([]slotResource, error) {
	var list []slotResource
	for _, uri := range c.Locations.Slots {
		s, err := c.readSlot(ctx, uri)
		if err != nil {
			return nil, err
		}
		list = append(list, *s)
	}
	return list, nil
}

// enableMedia makes slots appear. The action restarts a service on the BMC:
// 10 s on a DGX, up to 180 s on older AMI firmware.
func (c *Client) enableMedia(ctx context.Context) error {
	if _, err := c.findSlots(ctx); err != nil {
		return err
	}
	if len(c.Locations.Slots) > 0 {
		return nil
	}
	if c.Locations.EnableMedia == "" {
		return fmt.Errorf("%w: %w", errNoSlot, ErrUnsupported)
	}
	return c.bring(ctx, effect{
		what: "virtual media slots",
		reached: func(ctx context.Context) (bool, string, error) {
			_, err := c.findSlots(ctx)
			return len(c.Locations.Slots) > 0, "no slots", err
		},
		write: func(ctx context.Context) error {
			_, err := c.post(ctx, c.Locations.EnableMedia, map[string]any{"RMediaState": "Enable"})
			return err
		},
		lag: c.Timing.Media, attempts: 3, pause: 5 * time.Second,
	})
}

// insertInto mounts url in one slot.
func (c *Client) insertInto(ctx context.Context, s *slotResource, url string) error {
	rung, task := c.rules().Insert.rung(), ""
	err := c.bring(ctx, effect{
		what: "medium inserted",
		reached: func(ctx context.Context) (bool, string, error) {
			now, err := c.readSlot(ctx, s.URI)
			if err != nil {
				return false, "unread", err
			}
			in, image := c.inserted(now)
			switch {
			case in && image == url:
				return true, "", nil
			case in:
				return false, "inserted with another image", nil
			}
			return false, "empty", nil
		},
		write: func(ctx context.Context) error {
			var r *response
			var err error
			rung, r, err = c.climb(ctx, s, url, rung)
			task = taskOf(r)
			return err
		},
		lag: c.Timing.Insert,
		// 5xx: an eject is still in progress (Dell; OpenStack story 2008504).
		again:    func(e *Error) bool { return e.Status >= 500 || e.Status == http.StatusConflict },
		attempts: 4,
		pause:    3 * time.Second,
	})
	if errors.Is(err, ErrNoEffect) {
		err = join(err, c.taskError(ctx, task))
	}
	return err
}

// taskOf is where an answer of 202 says that the outcome will be told
// (DSP0266 12.2): the Task in its body, else the monitor in Location.
func taskOf(r *response) string {
	if r == nil || r.status != http.StatusAccepted {
		return ""
	}
	var task struct {
		URI text `json:"@odata.id"`
	}
	if decode(r.body, &task) == nil && task.URI != "" {
		return string(task.URI)
	}
	return r.header.Get("Location")
}

// taskError reads what a task says of its failure. Tasks only explain: what
// counts is the effect, and a finished task may already be gone (Lenovo).
func (c *Client) taskError(ctx context.Context, uri string) error {
	if uri == "" {
		return nil
	}
	r, err := c.send(ctx, http.MethodGet, uri, nil, nil)
	if err != nil {
		return fmt.Errorf("reading its task: %w", err)
	}
	var task struct {
		State    text            `json:"TaskState"`
		Messages json.RawMessage `json:"Messages"`
	}
	if err := decode(r.body, &task); err != nil {
		return fmt.Errorf("reading its task: %w", err)
	}
	var list []message
	decodeList(task.Messages, &list)
	e := &Error{Method: http.MethodGet, Path: uri, Status: r.status}
	e.add(list[:min(len(list), maxMessages)], c.secrets())
	return fmt.Errorf("its task is %s: %s", clean(string(task.State), nil), e.Message)
}

// The rungs of the insert payload. Each adds to the one before; BMCs that
// refuse surplus parameters (Supermicro X11, X12) are content with the first.
const (
	insertBare         = iota // {"Image"}
	insertWithProtocol        // + TransferProtocolType
	insertWithMethod          // + TransferMethod "Stream", the only one bmcweb takes
	insertWithLogin           // + UserName and Password "none" (NVIDIA DGX)
	insertRungs
)

// insertPayload is one rung. PATCHed slots (Lenovo) want Inserted said too.
func insertPayload(medium string, rung int, patched bool) map[string]any {
	p := map[string]any{"Image": medium}
	if patched {
		p["Inserted"], p["WriteProtected"] = true, true
	}
	if rung >= insertWithProtocol {
		scheme, _, _ := strings.Cut(medium, ":")
		p["TransferProtocolType"] = strings.ToUpper(scheme)
	}
	if rung >= insertWithMethod {
		p["TransferMethod"] = "Stream"
	}
	if rung >= insertWithLogin {
		p["UserName"], p["Password"] = "none", "none"
	}
	return p
}

// climb sends the insert, adding parameters as long as the BMC misses some. It
// returns the rung it ended on and its answer.
func (c *Client) climb(ctx context.Context, s *slotResource, url string, rung int) (int, *response, error) {
	for {
		var r *response
		var err error
		if s.Actions.Insert.Target != "" {
			r, err = c.post(ctx, string(s.Actions.Insert.Target), insertPayload(url, rung, false))
		} else {
			r, err = c.patch(ctx, s.URI, insertPayload(url, rung, true))
		}
		next := nextRung(err, rung)
		if next <= rung {
			return rung, r, err
		}
		rung = next
	}
}

// nextRung is the rung that a refusal asks for, or the same one if it is about
// something else.
func nextRung(err error, rung int) int {
	e := asError(err)
	if e == nil || e.Status != http.StatusBadRequest && e.Status != http.StatusUnprocessableEntity {
		return rung
	}
	named := rung
	for r, words := range map[int][]string{
		insertWithProtocol: {"TransferProtocolType"}, insertWithMethod: {"TransferMethod"},
		insertWithLogin: {"UserName", "Password"},
	} {
		if r > named && slices.ContainsFunc(words, e.mentions) {
			named = r
		}
	}
	missing := e.says("ActionParameterMissing", "PropertyMissing", "CreateFailedMissingReqProperties", "GeneralError")
	if named == rung && (missing || len(e.IDs) == 0) {
		named++
	}
	if named >= insertRungs {
		return rung
	}
	return named
}
