package redfish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"
)

// Hardware is what an answer template may want to know of a machine.
type Hardware struct {
	Drives []Drive  `json:"drives,omitempty"` // sorted by location
	MACs   []string `json:"macs,omitempty"`   // of the system's network interfaces, lower case, sorted
	UEFI   bool     `json:"uefi"`             // the machine boots by UEFI
}

// Drive is a disk of the system, in or out of a RAID set.
type Drive struct {
	Name      string `json:"name"`
	Model     string `json:"model,omitempty"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`        // NAA, EUI or NGUID, lower-case hex without prefix
	Protocol  string `json:"protocol,omitempty"`   // "SATA", "SAS", "NVMe"
	MediaType string `json:"media_type,omitempty"` // "HDD", "SSD"
	Bytes     int64  `json:"bytes,omitempty"`
}

// maxParts bounds the drives and interfaces of a system: large storage servers
// have 108 drives.
const maxParts = 512

// Hardware reads drives and network interfaces: a request for each, so only
// when they are needed (HPE: about 30, 300 ms each). A part that cannot be read
// is an error: choosing a disk from an incomplete list would erase another one.
func (c *Client) Hardware(ctx context.Context) (*Hardware, error) {
	end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if _, err := c.find(ctx); err != nil {
		return nil, fmt.Errorf("reading hardware: %w", err)
	}
	sys, err := c.readSystem(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading hardware: %w", err)
	}
	h := &Hardware{UEFI: sys.Boot == nil || !strings.EqualFold(sys.Boot.Mode.Value.trim(), "Legacy")}
	if h.Drives, err = c.drives(ctx, sys); err != nil {
		return nil, fmt.Errorf("reading drives: %w", err)
	}
	if h.MACs, err = c.macs(ctx, sys); err != nil {
		return nil, fmt.Errorf("reading network interfaces: %w", err)
	}
	return h, nil
}

func (c *Client) drives(ctx context.Context, sys *systemResource) ([]Drive, error) {
	if sys.Storage == "" {
		return nil, nil
	}
	controllers, err := c.members(ctx, string(sys.Storage))
	if err != nil {
		return nil, err
	}
	var uris []string
	for _, uri := range controllers {
		var s struct {
			Drives links `json:"Drives"`
		}
		if _, err := c.get(ctx, uri, &s); err != nil {
			return nil, err
		}
		for _, d := range stringsOf(s.Drives) {
			if !slices.Contains(uris, d) {
				uris = append(uris, d)
			}
		}
	}
	if len(uris) > maxParts {
		return nil, fmt.Errorf("%d drives, more than %d", len(uris), maxParts)
	}
	slices.SortFunc(uris, naturally)
	var list []Drive
	for _, uri := range uris {
		d, err := schemas.GetDrive(typed{ctx, c}, uri)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", uri, err)
		}
		if d.Status.State == schemas.AbsentState {
			continue // an empty bay
		}
		list = append(list, driveOf(d))
	}
	return list, nil
}

func driveOf(d *schemas.Drive) Drive {
	out := Drive{
		Name: clean(d.Name, nil), Model: strings.TrimSpace(d.Model), Serial: identity(text(d.SerialNumber)),
		Protocol: string(d.Protocol), MediaType: string(d.MediaType),
	}
	if d.CapacityBytes != nil {
		out.Bytes = int64(*d.CapacityBytes)
	}
	for _, id := range d.Identifiers {
		switch id.DurableNameFormat {
		case schemas.NAADurableNameFormat, schemas.EUIDurableNameFormat, schemas.NGUIDDurableNameFormat:
			out.WWN = strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(id.DurableName, ":", "")), "0x")
		}
		if out.WWN != "" {
			break
		}
	}
	return out
}

func (c *Client) macs(ctx context.Context, sys *systemResource) ([]string, error) {
	if sys.EthernetInterfaces == "" {
		return nil, nil
	}
	uris, err := c.members(ctx, string(sys.EthernetInterfaces))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, uri := range uris {
		n, err := schemas.GetEthernetInterface(typed{ctx, c}, uri)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", uri, err)
		}
		mac := strings.ToLower(cmp.Or(n.PermanentMACAddress, n.MACAddress))
		if mac != "" && mac != "00:00:00:00:00:00" && !slices.Contains(list, mac) {
			list = append(list, mac)
		}
	}
	slices.Sort(list)
	return list, nil
}

// typed lends our client to gofish's typed model. gofish keeps no context, so
// it lives for one call. It reads only: the rest of gofish's interface is
// refused, so that nothing of gofish can write behind this package's back.
type typed struct {
	ctx context.Context
	c   *Client
}

var _ schemas.Client = typed{}

var errReadOnly = errors.New("only reads go through the typed model")

func (t typed) GetSettings() schemas.ClientSettings { return schemas.ClientSettings{} }

func (t typed) Get(uri string) (*http.Response, error) {
	r, err := t.c.send(t.ctx, http.MethodGet, uri, nil, nil)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: r.status, Header: r.header,
		Body: io.NopCloser(strings.NewReader(string(r.body)))}, nil
}

func (t typed) GetWithHeaders(uri string, _ map[string]string) (*http.Response, error) {
	return t.Get(uri)
}

func (typed) Post(string, any) (*http.Response, error) { return nil, errReadOnly }
func (typed) PostWithHeaders(string, any, map[string]string) (*http.Response, error) {
	return nil, errReadOnly
}
func (typed) PostMultipart(string, map[string]io.Reader) (*http.Response, error) {
	return nil, errReadOnly
}
func (typed) PostMultipartWithHeaders(string, map[string]io.Reader, map[string]string) (*http.Response, error) {
	return nil, errReadOnly
}
func (typed) Patch(string, any) (*http.Response, error) { return nil, errReadOnly }
func (typed) PatchWithHeaders(string, any, map[string]string) (*http.Response, error) {
	return nil, errReadOnly
}
func (typed) Put(string, any) (*http.Response, error) { return nil, errReadOnly }
func (typed) PutWithHeaders(string, any, map[string]string) (*http.Response, error) {
	return nil, errReadOnly
}
func (typed) Delete(string) (*http.Response, error) { return nil, errReadOnly }
func (typed) DeleteWithHeaders(string, map[string]string) (*http.Response, error) {
	return nil, errReadOnly
}
