package answer

import (
	"fmt"
	"math/big"
	"net"
	"net/netip"
)

// toPrefix reads what a template may hold for a prefix.
func toPrefix(v any) (netip.Prefix, error) {
	switch v := v.(type) {
	case netip.Prefix:
		if v.IsValid() {
			return v, nil
		}
		return v, fmt.Errorf("the prefix is not set")
	case string:
		return netip.ParsePrefix(v)
	}
	return netip.Prefix{}, fmt.Errorf("%v is no prefix", v)
}

// netmask returns an IPv4 prefix' mask in dotted form.
func netmask(v any) (string, error) {
	p, err := toPrefix(v)
	if err != nil {
		return "", err
	}
	if !p.Addr().Is4() {
		return "", fmt.Errorf("%v is not IPv4 and has no netmask; use prefixLength", p)
	}
	return net.IP(net.CIDRMask(p.Bits(), 32)).String(), nil
}

func address(v any) (netip.Addr, error) {
	if a, ok := v.(netip.Addr); ok && a.IsValid() {
		return a, nil
	}
	p, err := toPrefix(v)
	return p.Addr(), err
}

func network(v any) (netip.Prefix, error) {
	p, err := toPrefix(v)
	return p.Masked(), err
}

func prefixLength(v any) (int, error) {
	p, err := toPrefix(v)
	return p.Bits(), err
}

// nthAddress returns the nth address of a network, or, for a negative n, the
// one that far from its end.
func nthAddress(v any, n int) (netip.Addr, error) {
	p, err := toPrefix(v)
	if err != nil {
		return netip.Addr{}, err
	}
	base := p.Masked().Addr()
	size := new(big.Int).Lsh(big.NewInt(1), uint(base.BitLen()-p.Bits()))
	off := big.NewInt(int64(n))
	if n < 0 {
		off.Add(off, size)
	}
	if off.Sign() < 0 || off.Cmp(size) >= 0 {
		return netip.Addr{}, fmt.Errorf("%v has no address %d", p.Masked(), n)
	}
	raw := make([]byte, base.BitLen()/8)
	off.Add(off, new(big.Int).SetBytes(base.AsSlice())).FillBytes(raw)
	a, _ := netip.AddrFromSlice(raw)
	return a, nil
}

// ofFamily returns those of a list of prefixes, addresses or strings that are of
// the given version of IP.
func ofFamily(v any, version int) ([]any, error) {
	var all []any
	switch v := v.(type) {
	case []netip.Prefix:
		for _, p := range v {
			all = append(all, p)
		}
	case []netip.Addr:
		for _, a := range v {
			all = append(all, a)
		}
	case []string:
		for _, s := range v {
			all = append(all, s)
		}
	case []any:
		all = v
	default:
		return nil, fmt.Errorf("%T is no list of addresses", v)
	}
	some := []any{}
	for _, e := range all {
		a, err := address(e)
		if s, ok := e.(string); ok && err != nil {
			a, err = netip.ParseAddr(s)
		}
		if err != nil {
			return nil, err
		}
		if a.Is4() == (version == 4) {
			some = append(some, e)
		}
	}
	return some, nil
}
