// Package netbox reads a fleet's devices out of NetBox, says where NetBox and
// the fleet's CUE disagree, and writes back what was done.
//
//	c := &netbox.Client{URL: "https://netbox.example.net", Token: token}
//	snapshot, err := c.Scan(ctx, netbox.Scope{Tag: "reconcile"}, fleet.HostNames())
//	err = c.Networks(ctx, snapshot, ids)
//	findings := netbox.Check(fleet, snapshot)
//
// It is the only package that imports go-netbox, which builds the requests,
// sorts out errors and encodes writes. The bodies of answers are decoded here
// instead: go-netbox loses a page of a thousand devices over one value that it
// does not know, and needs ten times the time and memory. See tap.go.
//
// # What is believed
//
// A wrong row can wipe a good server, so NetBox is believed only as far as it
// proves itself. Filters that NetBox does not know are ignored with 200 and
// the full table, so every row is checked against what was asked. A listing is
// complete when its count, the length of each page and the number of different
// ids agree; the next link is never followed, because it may name another
// host. An answer that is not JSON, a redirect, or a body beyond its bound is
// an error. Only GET is sent by anything but [Client.WriteBack],
// [Client.Allocate], and [Client.Setup] when it is to apply. What a long run
// must know again before it acts it asks for with [Client.Recheck].
//
// # How it is known to be right
//
// TestWholeLayer runs everything against netboxtest as each release; TestLive,
// under the build tag live, runs the same against a real NetBox, as a user with
// no more than [Permissions], and demands equal facts of both.
//
// # Releases
//
// NetBox 4.3 to 4.7 are supported and 4.2 is tolerated; other releases work
// with a warning as long as they answer in the same shapes. Tokens of both
// versions work: those that begin with "nbt_" are sent as Bearer.
//
// # Gateway, DNS and NTP
//
// NetBox has no fields for them. For each of the two address families the
// first of these that has an answer counts:
//
//  1. the config context under the client's key ("reconcile"), as
//     {gateway: {v4: "10.0.0.1", v6: "2001:db8::1"}, dns: {servers: [...]},
//     ntp: {servers: [...]}}; gateway may be a single address, dns and ntp
//     may be plain lists;
//  2. the custom field "gateway", "dns" or "ntp" of the most specific prefix
//     around the primary address, in the same VRF, that has it set; dns and
//     ntp hold addresses separated by commas or spaces;
//  3. the addresses in that prefix that bear the tag "gateway", "dns" or
//     "ntp"; two gateways in one prefix are a problem, not a choice.
//
// A gateway outside its host's prefix is kept and reported.
package netbox
