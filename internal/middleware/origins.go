package middleware

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// anyOrigin stands for every origin there is.
const anyOrigin = "*"

// LoopbackOrigins are this machine under any port, where development servers of web
// apps listen. They may stand in PICASPOT_CORS_ORIGINS as they are written here.
var LoopbackOrigins = []string{"http://localhost:*", "http://127.0.0.1:*"}

// isLoopback reports whether the patterns of [LoopbackOrigins] among the allowed
// origins cover an origin that a browser sent.
func isLoopback(allowed []string, origin string) bool {
	return slices.ContainsFunc(LoopbackOrigins, func(pattern string) bool {
		return slices.Contains(allowed, pattern) && strings.HasPrefix(origin, strings.TrimSuffix(pattern, "*"))
	})
}

// defaultPorts are the ports that browsers leave out of an origin.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// parseOrigins reads origins, in the form in which
// browsers send them, or * alone for all. It reports every fault at once.
func parseOrigins(list []string) ([]string, error) {
	var origins []string
	var faults []error
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == anyOrigin {
			if len(list) > 1 {
				faults = append(faults, errors.New("* allows every origin already; no other can stand beside it"))
			}
			origins = append(origins, anyOrigin)
			continue
		}
		if slices.Contains(LoopbackOrigins, strings.ToLower(text)) {
			origins = append(origins, strings.ToLower(text))
			continue
		}
		origin, ok := parseOrigin(text)
		if !ok {
			faults = append(faults, fmt.Errorf("%q is not an origin such as https://app.example.org or http://localhost:5173", text))
			continue
		}
		origins = append(origins, origin)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return origins, nil
}

// parseOrigin returns an origin as browsers write it (RFC 6454 section 6.2): in
// lower case and without the port that its scheme implies. The scheme may be an
// app's own, as that of a web view.
func parseOrigin(text string) (string, bool) {
	scheme, authority, _ := strings.Cut(text, "://")
	host, port, ok := splitHost(authority)
	if !ok || !isScheme(scheme) {
		return "", false
	}
	scheme = strings.ToLower(scheme)
	origin := scheme + "://" + host
	implied := port == defaultPorts[scheme]
	if port != "" {
		authority = strings.TrimSuffix(authority, ":"+port)
	}
	// A browser writes it in one way only. Of another, as with a final dot or a
	// port of 0443, no request would ever come.
	if !strings.EqualFold(authority, host) || strings.HasPrefix(port, "0") {
		return "", false
	}
	if port != "" && !implied {
		origin += ":" + port
	}
	return origin, true
}

// isScheme says whether text is a URI scheme (RFC 3986 section 3.1).
func isScheme(text string) bool {
	for i := range len(text) {
		c := text[i]
		if !alphanumeric(c) && c != '+' && c != '-' && c != '.' {
			return false
		}
	}
	return text != "" && (text[0] < '0' || text[0] > '9') && alphanumeric(text[0])
}
