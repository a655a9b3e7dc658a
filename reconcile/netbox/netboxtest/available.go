package netboxtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// availableIPs lists or takes free addresses of a prefix.
func (st *state) availableIPs(r *http.Request, prefix *object, body []byte) *answer {
	p, err := netip.ParsePrefix(prefix.text("prefix", ""))
	if err != nil {
		return detail(http.StatusInternalServerError, err.Error())
	}
	free := st.free(p)
	if r.Method == http.MethodGet {
		n := min(len(free), number(parseQuery(r.URL.RawQuery), "limit", 50))
		out := make([]any, 0, n)
		for _, a := range free[:n] {
			out = append(out, map[string]any{"family": map[bool]int{true: 4, false: 6}[a.Addr().Is4()], "address": a.String(), "vrf": nil})
		}
		return newJSON(http.StatusOK, out)
	}
	if r.Method != http.MethodPost {
		return notAllowed(r)
	}
	many := strings.HasPrefix(strings.TrimSpace(string(body)), "[")
	if !many {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	var in []struct {
		Description  string
		Status       string
		DNSName      string `json:"dns_name"`
		AssignedType string `json:"assigned_object_type"`
		AssignedID   int    `json:"assigned_object_id"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	if len(in) > len(free) {
		return detail(http.StatusConflict, "An insufficient number of IP addresses are available within the prefix "+p.String())
	}
	out := make([]raw, len(in))
	ports := make([]*object, len(in))
	for i, v := range in {
		if v.AssignedType == "" {
			continue
		}
		if ports[i] = st.tables["dcim/interfaces"].byID[v.AssignedID]; ports[i] == nil || v.AssignedType != "dcim.interface" {
			return newJSON(http.StatusBadRequest, []any{map[string]any{"non_field_errors": []string{fmt.Sprintf("Invalid assigned_object: interface ID %d", v.AssignedID)}}})
		}
	}
	for i, v := range in {
		id, _ := st.newAddress(Address{Address: free[i].String(), Status: v.Status, DNSName: v.DNSName, Description: v.Description,
			VRF: prefix.text("vrf", "name")}, ports[i], st.nestedPort(ports[i]))
		out[i] = st.tables["ipam/ip-addresses"].byID[id].bytes()
	}
	st.changed()
	if !many && len(out) == 1 {
		return newJSON(http.StatusCreated, out[0])
	}
	return newJSON(http.StatusCreated, out)
}

// nestedPort is an interface as what is assigned to it shows it.
func (st *state) nestedPort(o *object) *object {
	if o == nil {
		return nil
	}
	return st.fill(nestedPortKeys, "dcim/interfaces", o.id, o.text("name", ""), map[string]any{"device": o.get("device"), "name": o.get("name")})
}

// free returns the first free addresses of a prefix, at most 1,000.
func (st *state) free(p netip.Prefix) []netip.Prefix {
	taken := make(map[netip.Addr]bool)
	for _, o := range st.tables["ipam/ip-addresses"].rows {
		if a, err := netip.ParsePrefix(o.text("address", "")); err == nil {
			taken[a.Addr()] = true
		}
	}
	var out []netip.Prefix
	for a := p.Masked().Addr().Next(); p.Contains(a) && len(out) < 1000; a = a.Next() {
		last := !p.Contains(a.Next())
		if !taken[a] && !(last && a.Is4() && p.Bits() < 31) {
			out = append(out, netip.PrefixFrom(a, p.Bits()))
		}
	}
	return out
}
