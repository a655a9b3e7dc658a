package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxRecorded bounds a recording: the largest dump we know has 72 resources.
const maxRecorded = 400

// recordedLinks are the properties whose links a recording follows: all that
// this package reads, and what explains it.
var recordedLinks = map[string]bool{
	"Systems": true, "Managers": true, "Chassis": true, "Members": true, "Members@odata.nextLink": true,
	"ManagedBy": true, "VirtualMedia": true, "SettingsObject": true, "BootOptions": true, "SecureBoot": true,
	"Storage": true, "Drives": true, "EthernetInterfaces": true, "@Redfish.ActionInfo": true,
}

// Record reads a BMC's resources with GETs alone and gives each to write, as a
// file "redfish/v1/…/index.json" that bmctest can replay and a person can
// attach to a report. It is scrubbed: serial numbers, UUIDs, MAC and IP
// addresses, host names, asset tags, accounts and URLs of media are replaced,
// the same value by the same stand-in wherever it occurs, in URIs too. What a
// vendor hides under names nobody knows may remain: look before you share.
func (c *Client) Record(ctx context.Context, write func(name string, body []byte) error) error {
	end, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	r := &recording{docs: map[string]map[string]any{}}
	if err := r.crawl(ctx, c); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	s := newScrubber()
	for _, uri := range r.order {
		s.collect(r.docs[uri], "")
	}
	s.seal()
	for _, uri := range r.order {
		doc := r.docs[uri]
		r.prune(doc)
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s.scrub(doc, "")); err != nil {
			return fmt.Errorf("recording %s: %w", uri, err)
		}
		if err := write(s.text(strings.Trim(uri, "/"))+"/index.json", out.Bytes()); err != nil {
			return fmt.Errorf("recording %s: %w", uri, err)
		}
	}
	return nil
}

// recording is what was read so far.
type recording struct {
	order []string
	docs  map[string]map[string]any
}

// crawl reads breadth first. Resources that a BMC names and does not have, or
// does not show to this account, are left out.
func (r *recording) crawl(ctx context.Context, c *Client) error {
	queue := []string{serviceRoot}
	seen := map[string]bool{"/redfish/v1": true}
	for len(queue) > 0 && len(r.order) < maxRecorded {
		uri := queue[0]
		queue = queue[1:]
		u, err := c.resolve(uri)
		if err != nil {
			return err
		}
		resp, err := c.send(ctx, "GET", uri, nil, nil)
		if err != nil {
			if asError(err) != nil && !errors.Is(err, ErrAuth) && uri != serviceRoot {
				continue
			}
			return err
		}
		doc, err := decodeAny(resp.body)
		if err != nil {
			return fmt.Errorf("GET %s: %w", u.Path, err)
		}
		if u.RawQuery == "" {
			key := strings.TrimSuffix(u.Path, "/")
			r.order, r.docs[key] = append(r.order, key), doc
		}
		for _, next := range follow(doc, false) {
			next, _, _ = strings.Cut(next, "#")
			if key := strings.TrimSuffix(next, "/"); !seen[key] {
				seen[key] = true
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func decodeAny(body []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decoding the answer: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || doc == nil {
		return nil, errors.New("decoding the answer: not one JSON object")
	}
	return doc, nil
}

// follow finds the links of a resource that are recorded too, in order.
func follow(v any, wanted bool) []string {
	var list []string
	switch v := v.(type) {
	case map[string]any:
		if id, ok := v["@odata.id"].(string); ok && wanted {
			return []string{id}
		}
		for _, k := range sortedKeys(v) {
			list = append(list, follow(v[k], recordedLinks[k])...)
		}
	case []any:
		for _, e := range v {
			list = append(list, follow(e, wanted)...)
		}
	case string:
		if wanted && strings.HasPrefix(v, "/") {
			return []string{v}
		}
	}
	return list
}

// prune takes members out of a collection that were not recorded.
func (r *recording) prune(doc map[string]any) {
	members, ok := doc["Members"].([]any)
	if !ok {
		return
	}
	members = slices.DeleteFunc(members, func(m any) bool {
		o, _ := m.(map[string]any)
		id, _ := o["@odata.id"].(string)
		return r.docs[strings.TrimSuffix(id, "/")] == nil
	})
	doc["Members"], doc["Members@odata.count"] = members, len(members)
	delete(doc, "Members@odata.nextLink")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
