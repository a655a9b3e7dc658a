package redfish

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// patch sends a PATCH up the ladder of entity tags that BMCs ask for (sushy's,
// redfish.md 1.2):
//
//  1. If-Match with the tag of a fresh GET (Lenovo and AMI insist on it),
//  2. the same as a strong tag where it was weak (HPE),
//  3. with a tag read again, where it changed meanwhile,
//  4. none at all,
//  5. If-Match: * (bmcweb, Huawei; AMI for NVIDIA's tools).
//
// Only 412 and 428 lead up. The write itself sets fixed values, so losing the
// check for changes in between is harmless.
func (c *Client) patch(ctx context.Context, uri string, payload any) (*response, error) {
	var tried []string
	try := func(tag string) (*response, error, bool) {
		if slices.Contains(tried, tag) {
			return nil, nil, false
		}
		tried = append(tried, tag)
		header := http.Header{}
		if tag != "" {
			header["If-Match"] = []string{tag}
		}
		r, err := c.send(ctx, http.MethodPatch, uri, payload, header)
		return r, err, !preconditioned(err)
	}
	tag, err := c.freshTag(ctx, uri)
	if err != nil {
		return nil, err
	}
	var last error
	steps := []func() (string, error){
		func() (string, error) { return tag, nil },
		func() (string, error) { return strings.TrimPrefix(tag, "W/"), nil },
		func() (string, error) { return c.freshTag(ctx, uri) },
		func() (string, error) { return "", nil },
		func() (string, error) { return "*", nil },
	}
	for _, step := range steps {
		tag, err := step()
		if err != nil {
			return nil, join(last, err)
		}
		r, err, final := try(tag)
		if final {
			return r, err
		}
		if err != nil {
			last = err
		}
	}
	return nil, last
}

func (c *Client) freshTag(ctx context.Context, uri string) (string, error) {
	r, err := c.send(ctx, http.MethodGet, uri, nil, nil)
	if err != nil {
		return "", fmt.Errorf("before PATCH: %w", err)
	}
	tag := r.etag()
	if strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r > '~' }) || len(tag) > 256 {
		return "", nil // no header could carry it
	}
	return tag, nil
}
