package isohttp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// LocalAddress returns the address of this machine from which packets to a BMC
// leave, which is the one the BMC can fetch media from, in its family. The BMC
// is given as an address, a name, either with a port, or a URL. Nothing is sent
// but, for a name, the question to the resolver.
func LocalAddress(ctx context.Context, bmc string) (netip.Addr, error) {
	host, err := hostOf(bmc)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding the address that routes to %q: %w", bmc, err)
	}
	// Connecting a UDP socket asks the routing table and nobody else.
	c, err := new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(host, "623"))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("finding the address that routes to %s: %w", host, err)
	}
	defer c.Close()
	local, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok || !local.AddrPort().IsValid() {
		return netip.Addr{}, fmt.Errorf("finding the address that routes to %s: got %v", host, c.LocalAddr())
	}
	return local.AddrPort().Addr().Unmap(), nil
}

// hostOf takes the host out of "host", "host:port", "[v6]", "[v6]:port", a bare
// IPv6 address or a URL.
func hostOf(s string) (string, error) {
	if strings.Contains(s, "://") {
		u, err := url.Parse(s)
		if err != nil {
			return "", fmt.Errorf("not a URL")
		}
		s = u.Host
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), nil
	}
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	if s == "" || strings.ContainsAny(s, ":/@ ") {
		return "", fmt.Errorf("neither an address nor a name")
	}
	return s, nil
}
