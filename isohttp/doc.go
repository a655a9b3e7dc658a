// Package isohttp serves installer images to management controllers.
//
// A medium is a view: a stock image of which a few ranges are replaced by bytes
// in memory. [Server.Publish] gives it a path nobody can guess; until it is
// withdrawn, HEAD and GET of that path behave like those of a static file:
//
//   - the same length, the same strong ETag and the same Last-Modified for
//     every answer; ranges as RFC 9110 §14 has them; no redirect, no
//     compression, no chunked encoding, keep-alive in HTTP/1.0 and 1.1;
//   - what comes from the stock image is sent by the kernel (sendfile), what
//     lies in memory is sent with it; a plain request over http is answered
//     without net/http, another goroutine or an allocation (on Linux);
//   - a slow reader is waited for, an unused connection is not closed for
//     minutes: controllers idle between two reads of an installer.
//
// # What was read
//
// The server knows which ranges of a medium are boot loader, kernel, answer file
// and so on ([Region]), and accounts every byte it hands to the network. That
// is the only view into a machine that installs: see [Publication.Progress] and
// [Server.OnEvent]. Controllers read ahead, so that a phase must be told by bytes
// that nobody reads for the sake of another's.
//
// # Secrets
//
// Media hold rendered secrets, and the token in the path is all that protects
// them. Neither tokens nor paths are logged or returned to clients; a request
// for an unknown path, a wrong name or from a wrong address gets the same 404.
//
// # Images
//
// [Store] finds the stock images: local files are verified in place, others are
// downloaded once, into a directory that several processes share.
package isohttp
