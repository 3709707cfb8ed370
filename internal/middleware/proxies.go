package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// mappedBits is how much of an IPv4-mapped IPv6 address says that it is one
// (RFC 4291 section 2.5.5.2).
const mappedBits = 96

// Proxies are the networks whose members are believed when they say, in
// X-Forwarded-For, for whom they forward. None trusts nobody.
type Proxies []netip.Prefix

// ParseProxies reads a list of IP addresses and networks in CIDR notation, and
// reports every fault at once. A network with bits beyond its length is one:
// 10.0.0.1/8 is more often a slip than the wish to trust 10.0.0.0/8.
func ParseProxies(list []string) (Proxies, error) {
	var proxies Proxies
	var faults []error
	for _, text := range list {
		prefix, err := parseProxy(strings.TrimSpace(text))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		proxies = append(proxies, prefix)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return proxies, nil
}

func parseProxy(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", text)
		}
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length: is %s meant?", text, prefix.Masked())
	}
	// Addresses are compared as IPv4 where they are, so the networks have to be too.
	if prefix.Addr().Is4In6() && prefix.Bits() >= mappedBits {
		return netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mappedBits), nil
	}
	return prefix, nil
}

// address returns the client's IP address as databases and logs take it, or the
// empty string when the peer has none, as on a socket.
func (p Proxies) address(r *http.Request) string {
	client := p.client(r.RemoteAddr, r.Header["X-Forwarded-For"])
	if !client.IsValid() {
		return ""
	}
	return client.String()
}

// client walks from the peer through X-Forwarded-For, right to left, for each
// proxy appends the address that it was called from (RFC 7239 section 5.2 says
// the same of its successor). An address counts only as long as the one to its
// right is trusted; what stands left of the first that is not may be made up.
// The walk also ends at an entry that is no address.
func (p Proxies) client(peer string, lines []string) netip.Addr {
	var client netip.Addr
	if parsed, err := netip.ParseAddrPort(peer); err == nil {
		client = plain(parsed.Addr())
	}
	// Several lines are one list (RFC 9110 section 5.3).
	for _, list := range slices.Backward(lines) {
		for list != "" {
			if !p.trust(client) {
				return client
			}
			var entry string
			if list, entry = cutLast(list); entry == "" {
				continue // Empty elements are no elements (RFC 9110 section 5.6.1.2).
			}
			before, ok := parseForwarded(entry)
			if !ok {
				return client
			}
			client = before
		}
	}
	return client
}

func (p Proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// cutLast takes the last element off a list with commas.
func cutLast(list string) (rest, last string) {
	comma := strings.LastIndexByte(list, ',')
	if comma >= 0 {
		rest = list[:comma]
	}
	return rest, strings.Trim(list[comma+1:], " \t")
}

// parseForwarded reads an entry of X-Forwarded-For: an address, or an address
// and a port, which some proxies add. IPv6 may, and with a port has to, stand in
// brackets.
func parseForwarded(entry string) (netip.Addr, bool) {
	bracketed := strings.HasPrefix(entry, "[")
	switch {
	case bracketed && strings.HasSuffix(entry, "]"):
		addr, err := netip.ParseAddr(entry[1 : len(entry)-1])
		return plain(addr), err == nil && addr.Is6()
	case bracketed, strings.Count(entry, ":") == 1:
		withPort, err := netip.ParseAddrPort(entry)
		return plain(withPort.Addr()), err == nil
	default:
		addr, err := netip.ParseAddr(entry)
		return plain(addr), err == nil
	}
}

// plain returns an address without its zone, which means something on the machine
// that it is from only, and IPv4 as such.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
