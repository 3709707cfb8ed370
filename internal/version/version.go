// Package version compares the version of a row with the one that a caller saw,
// so that no change is lost when two people edit the same thing.
package version

import (
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/fault"
)

// ETag is the strong entity tag (RFC 9110, section 8.8.3) of a row that was
// last changed at this time.
func ETag(updatedAt time.Time) string {
	return `"` + strconv.FormatInt(updatedAt.UnixMicro(), 36) + `"`
}

// Precondition refuses a change unless the row is the version that was named, or is none
// of those that were (RFC 9110, section 13.2.2). The zero value accepts every version.
type Precondition struct{ ifMatch, ifNoneMatch string }

// IfMatch makes a precondition of an If-Match header; nil makes none.
func IfMatch(header *string) Precondition { return Conditions(header, nil) }

// Conditions makes a precondition of an If-Match and an If-None-Match header; nil is an
// absent one.
func Conditions(ifMatch, ifNoneMatch *string) Precondition {
	var p Precondition
	if ifMatch != nil {
		p.ifMatch = *ifMatch
	}
	if ifNoneMatch != nil {
		p.ifNoneMatch = *ifNoneMatch
	}
	return p
}

// Check returns a [fault.PreconditionFailed] when a row changed at updatedAt is
// not the version that the caller saw.
func (p Precondition) Check(updatedAt time.Time) error {
	if p.Holds(ETag(updatedAt)) {
		return nil
	}
	return ErrChanged
}

// ErrChanged is the answer to a precondition that does not hold.
var ErrChanged = fault.New(fault.PreconditionFailed, "version_changed", "It was changed in the meantime. Fetch it again and repeat the change.")

// Holds reports whether the version with this entity tag is one that may be changed.
func (p Precondition) Holds(etag string) bool {
	return (p.ifMatch == "" || Matches(p.ifMatch, etag, false)) && (p.ifNoneMatch == "" || !Matches(p.ifNoneMatch, etag, true))
}

// Tags returns the entity tags that the caller named.
func (p Precondition) Tags() []string {
	var tags []string
	for tag := range strings.SplitSeq(p.ifMatch, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Matches reports whether a list of entity tags, as If-Match and If-None-Match
// carry it, contains etag. weak compares W/"x" and "x" as equal, which
// If-None-Match wants and If-Match does not.
func Matches(list, etag string, weak bool) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == "*" || tag == etag {
			return true
		}
	}
	return false
}
