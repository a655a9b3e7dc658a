// Package netboxtest is a NetBox to test against: an HTTP server with state
// that answers as the real releases 4.2 to 4.7 do, oddities included.
//
//	nb := &netboxtest.Server{Devices: []netboxtest.Device{
//		{Name: "db-01", Serial: "7XK4Q33", Site: "tokyo", Rack: "r1", OOB: "10.0.0.11/24", Primary4: "10.20.0.11/24"},
//	}}
//	client := &http.Client{Transport: nb.Transport()} // or httptest.NewServer(nb)
//
// The zero value is an empty NetBox 4.6. What it knows is seeded from Go
// values ([Device], [Prefix] …) or from recorded answers ([Server.Load]);
// what it was asked is in [Server.Requests], and it misbehaves as [Fault]
// says. It serves from memory without a socket through [Server.Transport], so
// a test under testing/synctest takes no time.
//
// # What it has in common with the real one
//
// Unknown filters are ignored and the whole table answered with 200. A bad
// token is a 403, not a 401. Pages are capped at 1,000 rows whatever limit
// says. Any value of brief, "false" too, means brief. A write without the
// trailing slash is a redirect before 4.5 and an HTML 404 since. A write with
// fields= drops every other input and answers 200. Ids that do not exist are
// skipped by a bulk PATCH. If-Match is honoured since 4.6 and ignored before.
// Names are found whatever their case. An unknown slug in a filter is a 400.
//
// It serves the endpoints that package netbox uses. It renders no config
// contexts: a device's context is seeded as NetBox would render it.
package netboxtest
