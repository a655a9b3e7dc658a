// Package redfish makes one dependable machine out of a BMC that speaks
// Redfish (DMTF DSP0266), whoever built it.
//
// # Use
//
// A [Client] is one BMC and one system behind it. Its zero value with an
// address and a login is ready; one client at a time may talk to a BMC, and it
// sends one request at a time.
//
//	c := &redfish.Client{Address: "10.0.0.1", Login: login}
//	defer c.Close(ctx)
//	sys, err := c.Observe(ctx) // GET only
//
// Observe, Power, Hardware and Probe only ever GET. The other methods act:
// each reads first and writes nothing if the wanted state is already there,
// and each is judged by reading the effect of what it wrote. An error answer
// while the wanted state is there is success; a success answer without effect
// is [ErrNoEffect]. None of them decides anything: what may be erased or
// overwritten is the caller's business.
//
// # What it trusts
//
// Nothing that a BMC says can send a credential elsewhere: the login is added
// to a request only below [http.Client], after its scheme, host and port were
// compared with Address; links with another origin, with userinfo or outside
// the path grammar are refused, and so are redirects to another origin and
// redirects of writes. Answers are read up to 8 MiB. What is judged (power,
// boot, media, marker, identity) is decoded field by field, so that one odd
// property does not cost the rest.
//
// TLS is verified unless "insecure" is spelled out. A TLS failure is permanent:
// it is never retried, least of all with less verification.
//
// # What it knows of vendors
//
// How BMCs differ is data, in profile.go: a table of profiles, each rule with
// the models, the firmware and the source it comes from. A profile is chosen by
// what the BMC advertises (OEM keys, actions, models of its manager) and by
// vendor names last. What the code asks for are the [Rules], and each of them
// may be set in place of the profile's by an [Override]. [Client.Probe] tells
// which are in force, where each comes from, and what is known of such BMCs.
//
// # Where the marker is
//
// In an asset tag, or with [EFILabel] in the label of the boot entry that the
// installer made: see there for what that takes. TestLabel goes through all
// vendors; TestLabelAfterCrash and TestLabelRefused hold the asset tag.
//
// # What holds it
//
// TestDumps and TestReplayedDumps look at and drive recordings of twelve real
// machines where these are at hand; TestConformance installs through every
// simulated vendor (bmctest) and proves that repeating writes nothing;
// TestQuirks takes each departure from the standard by itself; TestFaults hits
// an installation with every fault (all requests with -exhaustive) and lets no
// step believe what is not true; TestForeignLinks, TestRedirects and
// TestSessionElsewhere hold the login back. [Client.Record] makes more
// recordings, scrubbed.
//
// gofish serves as the typed model of drives and network interfaces. Its own
// client is not used: it follows redirects with credentials, joins links to its
// endpoint as strings, loses Retry-After, and one wrong type in a property
// fails a whole resource.
package redfish
