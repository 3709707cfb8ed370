package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/problem"
)

// maxHostname is the longest name that DNS can hold, as it is written.
const maxHostname = 253

var errMisdirected = fault.New(fault.Invalid, "misdirected_request",
	"This server does not answer for the host that the request names.")

// TrustedHosts refuses a request for a host that is not in the list with 421
// Misdirected Request (RFC 9110 section 15.5.20), so that no page of another
// name that was pointed at this server's address can talk to it (DNS rebinding),
// and nothing inside has to doubt the Host. X-Forwarded-Host is not looked at.
//
// An entry is a name, an IP address, or *.name for all names beneath it, not for
// the name itself. Ports, letter case and the final dot of an absolute name (RFC
// 1034 section 3.1) make no difference. Nothing is implied: an empty list
// refuses everything but /healthz and /readyz, whose callers know addresses only.
func TrustedHosts(hosts []string) (func(http.Handler) http.Handler, error) {
	trusted, err := parseHosts(hosts)
	if err != nil {
		return nil, err
	}
	return trusted.only, nil
}

// TrustedNames is [TrustedHosts] that takes requests for every IP address too. It is
// for what is asked by address, as scrapers do: DNS rebinding takes a name, since a
// browser that is sent to an address sends that as the Host.
func TrustedNames(hosts []string) (func(http.Handler) http.Handler, error) {
	trusted, err := parseHosts(hosts)
	if err != nil {
		return nil, err
	}
	trusted.addresses = true
	return trusted.only, nil
}

func (l hostList) only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.contain(r.Host) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
			problem.WriteFault(w, r, http.StatusMisdirectedRequest, errMisdirected)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostList is a list of hosts as [splitHost] returns them.
type hostList struct {
	names map[string]struct{}
	// suffixes start with the dot.
	suffixes []string
	// addresses tells that every IP address is contained.
	addresses bool
}

// parseHosts reads the entries of [TrustedHosts] and reports every fault at once.
func parseHosts(entries []string) (hostList, error) {
	list := hostList{names: make(map[string]struct{}, len(entries))}
	var faults []error
	for _, entry := range entries {
		text, beneath := strings.CutPrefix(strings.TrimSpace(entry), "*.")
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() {
			text = "[" + text + "]" // There can't be a port, so what is meant is clear.
		}
		host, _, ok := splitHost(text)
		switch {
		case !ok, beneath && strings.HasPrefix(host, "["):
			faults = append(faults, fmt.Errorf("%q is not a host such as example.org, *.example.org, 192.0.2.1 or [2001:db8::1]", entry))
		case beneath:
			list.suffixes = append(list.suffixes, "."+host)
		default:
			list.names[host] = struct{}{}
		}
	}
	return list, errors.Join(faults...)
}

func (l hostList) contain(hostport string) bool {
	host, _, ok := splitHost(hostport)
	if !ok {
		return false
	}
	if _, ok := l.names[host]; ok {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && l.addresses {
		return true
	}
	for _, suffix := range l.suffixes {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// splitHost splits a Host field into host and port, and brings the host into the
// one form in which hosts are compared: lower case, no final dot, IPv6 in
// brackets and as short as it gets (RFC 5952). It is narrower than the grammar
// (RFC 3986 section 3.2.2): what is no name of DNS and no address is not ok.
func splitHost(hostport string) (host, port string, ok bool) {
	if rest, bracketed := strings.CutPrefix(hostport, "["); bracketed {
		literal, rest, closed := strings.Cut(rest, "]")
		addr, err := netip.ParseAddr(literal)
		port, colon := strings.CutPrefix(rest, ":")
		if !closed || err != nil || !addr.Is6() || addr.Zone() != "" || !colon && rest != "" || !isPort(port) {
			return "", "", false
		}
		return "[" + addr.String() + "]", port, true
	}
	host, port, _ = strings.Cut(hostport, ":")
	host = strings.TrimSuffix(host, ".")
	// Before letters are made small, or the Kelvin sign would turn into a k.
	if !isHostname(host) || !isPort(port) {
		return "", "", false
	}
	return strings.ToLower(host), port, true
}

// isHostname says whether labels of letters, digits, hyphens and underscores,
// none of them empty, are all that there is.
func isHostname(name string) bool {
	if len(name) > maxHostname {
		return false
	}
	label := 0
	for i := range len(name) {
		switch c := name[i]; {
		case alphanumeric(c), c == '-', c == '_':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
	}
	return label > 0
}

// isPort says whether text is a port. It may be empty (RFC 3986 section 3.2.3).
func isPort(text string) bool {
	if text == "" {
		return true
	}
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
