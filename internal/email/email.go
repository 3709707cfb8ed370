// Package email checks addresses by the rules of SMTP (RFC 5321) and of the names that a
// domain can be registered under (IDNA 2008, RFC 5891).
package email

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321, section 4.5.3.1, in octets. A path has 256 with its brackets.
const (
	maxLocal   = 64
	maxAddress = 254
)

var (
	errForm   = errors.New("it has no form as ada@example.org")
	errLocal  = errors.New("what stands before the @ is no name of a mailbox")
	errDomain = errors.New("what stands behind the @ is no domain")
)

// Check returns an error unless mail can be sent to the address over any server: a
// dot-string of ASCII (RFC 5321, section 4.1.2) of 64 characters at most, and a domain of
// several labels that can be registered, the last of which is no number. Quoted mailboxes,
// address literals and SMTPUTF8 (RFC 6531) are not taken; a domain of other letters is
// written in its ASCII form (xn--).
func Check(address string) error {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || len(address) > maxAddress {
		return errForm
	}
	if !isDotString(address[:at]) {
		return errLocal
	}
	return checkDomain(address[at+1:])
}

func isDotString(local string) bool {
	if len(local) > maxLocal {
		return false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtomText(r) }) {
			return false
		}
	}
	return true
}

// isAtomText is atext of RFC 5322, section 3.2.3.
func isAtomText(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// checkDomain holds a domain against the registration profile: letters, digits and
// hyphens, none of those at an end of a label, 63 octets each, 253 in all, and A-labels
// (xn--) that are the form of what IDNA 2008 allows.
func checkDomain(domain string) error {
	for _, r := range domain {
		if r > '~' {
			return errDomain
		}
	}
	lower := strings.ToLower(domain)
	if ascii, err := idna.Registration.ToASCII(lower); err != nil || ascii != lower {
		return errDomain
	}
	dot := strings.LastIndexByte(lower, '.')
	if top := lower[dot+1:]; dot < 0 || strings.Trim(top, "0123456789") == "" {
		return errDomain
	}
	return nil
}
