package bmctest

import (
	"context"
	"net"
	"net/http"
	"syscall"
)

// A Rack is a management network and the machines' own network beside it, in
// one process. Fill it before use; its methods are safe for concurrent use.
type Rack struct {
	// BMCs holds each BMC by its address as it stands in URLs: "10.0.0.1",
	// "bmc-1.example" or, if the port matters, "10.0.0.1:8443".
	BMCs map[string]*BMC
	// Machines holds each machine by the address that its installed OS
	// answers on, without a port.
	Machines map[string]*Machine
}

// Transport returns a RoundTripper that hands each request to the BMC that its
// URL names, in this process. An address without a BMC is unreachable.
func (r *Rack) Transport() http.RoundTripper { return rackTransport{r} }

// DialContext connects to a machine's installed OS; see [Machine.DialContext].
// An address that no machine has is unreachable.
func (r *Rack) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	m, ok := r.Machines[host]
	if !ok {
		return nil, unreachable(network)
	}
	return m.DialContext(ctx, network, addr)
}

// Close closes every BMC and every machine.
func (r *Rack) Close() {
	for _, b := range r.BMCs {
		b.Close()
	}
	for _, m := range r.Machines {
		m.Close()
	}
}

type rackTransport struct{ rack *Rack }

// RoundTrip implements http.RoundTripper.
func (t rackTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	b, ok := t.rack.BMCs[req.URL.Host]
	if !ok {
		b, ok = t.rack.BMCs[req.URL.Hostname()]
	}
	if !ok {
		return nil, unreachable("tcp")
	}
	return handlerTransport{b}.RoundTrip(req)
}

func unreachable(network string) error {
	return &net.OpError{Op: "dial", Net: network, Err: syscall.EHOSTUNREACH}
}
