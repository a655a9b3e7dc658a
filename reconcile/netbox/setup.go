package netbox

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	nb "github.com/netbox-community/go-netbox/v4"
)

// A Provision is one thing that NetBox needs for all of this package to work.
type Provision struct {
	Kind    string // "tag" or "custom field"
	Name    string
	Type    string   // of a custom field
	On      []string // the object types that a custom field belongs to
	Purpose string
	State   ProvisionState
	Detail  string // what differs, or why it could not be created
}

// A ProvisionState says whether NetBox has a provision.
type ProvisionState string

// The states of a provision. One that differs is for a person to decide about:
// it is never changed.
const (
	Exists  ProvisionState = "exists"
	Lacking ProvisionState = "lacking"
	Created ProvisionState = "created"
	Differs ProvisionState = "differs"
)

// provisions are what NetBox should have.
func provisions(tag string) []Provision {
	device, prefix := []string{"dcim.device"}, []string{"ipam.prefix"}
	field := func(name, kind string, on []string, purpose string) Provision {
		return Provision{Kind: "custom field", Name: name, Type: kind, On: on, Purpose: purpose}
	}
	all := []Provision{
		field("reconcile_generation", "integer", device, "the generation that was installed last"),
		field("reconcile_commit", "text", device, "the fleet's commit that it was installed from"),
		field("reconcile_marker", "text", device, "the marker that its machine bears"),
		field("last_installed", "datetime", device, "when it was installed last"),
		field("gateway", "text", prefix, "the way out of the prefix, for answer files"),
		field("dns", "text", prefix, "name servers of the prefix, separated by commas"),
		field("ntp", "text", prefix, "time servers of the prefix, separated by commas"),
	}
	if tag == "" {
		return all
	}
	return append([]Provision{{Kind: "tag", Name: tag, Purpose: "devices that bear it may be installed"}}, all...)
}

// A Permission is one object permission that the token needs.
type Permission struct {
	Name    string
	Objects []string // object types, as NetBox's form for permissions lists them
	Actions []string // "view", "add", "change"
	// Constraints narrow it to some objects, as JSON; "" for all.
	Constraints string
	Purpose     string
}

// Permissions are the least that a token needs: what every run reads, what
// writing back needs, and what only some features need. tag is the scope's;
// with it only devices that bear it can be changed.
func Permissions(tag string) []Permission {
	bears := ""
	if tag != "" {
		bears = fmt.Sprintf(`{"tags__slug": %q}`, tag)
	}
	return []Permission{
		{"reconcile read", []string{"dcim.device", "dcim.interface", "ipam.ipaddress", "ipam.prefix"}, []string{"view"}, "", "dry runs"},
		{"reconcile write back", []string{"dcim.device"}, []string{"change"}, bears, "platform, status and custom fields after an install"},
		{"reconcile journal", []string{"extras.journalentry"}, []string{"view", "add"}, "", "what was done, found again by later runs"},
		{"reconcile lookup", []string{"dcim.platform", "extras.tag", "extras.customfield"}, []string{"view"}, "", "the platform to set, and netbox setup"},
		{"reconcile setup", []string{"extras.tag", "extras.customfield"}, []string{"add"}, "", "only for netbox setup --apply"},
		{"reconcile addresses", []string{"ipam.ipaddress"}, []string{"add", "change"}, "", "only for hosts that take a free address of a prefix"},
	}
}

// Setup compares NetBox with what this package needs, by GET. With apply it
// then creates what is lacking, and reads again to see that it is there. What
// exists in another form is reported and left alone.
func (c *Client) Setup(ctx context.Context, tag string, apply bool) ([]Provision, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	all := provisions(tag)
	if err := c.inspect(ctx, all); err != nil {
		return nil, err
	}
	if !apply {
		return all, nil
	}
	refused := make(map[string]error)
	before := slices.Clone(all)
	for i := range all {
		if all[i].State == Lacking {
			// Not sent twice: what became of it is read below.
			if err := c.create(ctx, &all[i]); err != nil {
				refused[all[i].Name] = err
			}
		}
	}
	if err := c.inspect(ctx, all); err != nil {
		return nil, err
	}
	for i := range all {
		p := &all[i]
		switch err := refused[p.Name]; {
		case p.State == Exists && before[i].State == Lacking:
			p.State = Created
		case p.State == Lacking && err != nil:
			p.Detail = oneLine(err.Error())
		}
	}
	return all, nil
}

type wireCustomField struct {
	ID          int      `json:"id"`
	Name        string   `json:"name"`
	Type        choice   `json:"type"`
	ObjectTypes []string `json:"object_types"`
}

// inspect fills in the states.
func (c *Client) inspect(ctx context.Context, all []Provision) error {
	var names, tags []string
	for _, p := range all {
		if p.Kind == "tag" {
			tags = append(tags, p.Name)
		} else {
			names = append(names, p.Name)
		}
	}
	fields, err := listing[wireCustomField]{
		what: "custom fields", query: url.Values{"fields": {"id,name,type,object_types"}}, row: decodeRow[wireCustomField],
		id: func(f *wireCustomField) int { return f.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := c.api.ExtrasAPI.ExtrasCustomFieldsList(ctx).Name(names).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
	if err != nil {
		return err
	}
	var known []slugRef
	if len(tags) > 0 {
		if known, err = c.tags(ctx, tags); err != nil {
			return err
		}
	}
	for i := range all {
		p := &all[i]
		p.State, p.Detail = Lacking, ""
		if p.Kind == "tag" {
			if slices.ContainsFunc(known, func(t slugRef) bool { return t.Slug == p.Name }) {
				p.State = Exists
			}
			continue
		}
		for _, f := range fields {
			if f.Name == p.Name {
				p.compare(f)
			}
		}
	}
	return nil
}

func (c *Client) tags(ctx context.Context, slugs []string) ([]slugRef, error) {
	return listing[slugRef]{
		what: "tags", query: url.Values{"fields": {"id,name,slug"}}, row: decodeRow[slugRef],
		id: func(t *slugRef) int { return t.ID },
		fetch: func(ctx context.Context, limit, offset int32) (*http.Response, error) {
			_, resp, err := c.api.ExtrasAPI.ExtrasTagsList(ctx).Slug(slugs).Ordering("id").Limit(limit).Offset(offset).Execute()
			return resp, err
		},
	}.read(ctx, c)
}

// compare says whether a custom field of NetBox's is what is needed.
func (p *Provision) compare(f wireCustomField) {
	p.State = Exists
	var wrong []string
	if string(f.Type) != p.Type {
		wrong = append(wrong, fmt.Sprintf("its type is %q, not %q", oneLine(string(f.Type)), p.Type))
	}
	for _, on := range p.On {
		if !slices.Contains(f.ObjectTypes, on) {
			wrong = append(wrong, fmt.Sprintf("it does not belong to %s", on))
		}
	}
	if len(wrong) > 0 {
		p.State, p.Detail = Differs, strings.Join(wrong, ", ")
	}
}

// create makes one provision; it is sent once.
func (c *Client) create(ctx context.Context, p *Provision) error {
	return c.do(ctx, &call{}, func(ctx context.Context) (*http.Response, error) {
		if p.Kind == "tag" {
			tag := nb.NewTagRequest(p.Name, p.Name)
			tag.Description = &p.Purpose
			_, resp, err := c.api.ExtrasAPI.ExtrasTagsCreate(ctx).TagRequest(*tag).Execute()
			return resp, err
		}
		field := nb.NewWritableCustomFieldRequest(p.On, p.Name)
		kind := nb.PatchedWritableCustomFieldRequestType(p.Type)
		field.Type, field.Description = &kind, &p.Purpose
		_, resp, err := c.api.ExtrasAPI.ExtrasCustomFieldsCreate(ctx).WritableCustomFieldRequest(*field).Execute()
		return resp, err
	})
}
