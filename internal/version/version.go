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

// Of is the tag of what shows a version together with something else that changes, in
// the state that another word tells. It has no dot.
func Of(tag, state string) string { return strings.TrimSuffix(tag, `"`) + "." + state + `"` }

// row is the tag of the version that a tag of [Of] shows.
func row(tag string) string {
	if before, _, found := strings.Cut(tag, "."); found {
		return before + `"`
	}
	return tag
}

// Precondition refuses a change of a version that If-Match does not name or that
// If-None-Match names (RFC 9110, section 13.2.2). The zero value accepts every version.
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

var (
	// ErrChanged is the [fault.PreconditionFailed] of an If-Match that does not name the
	// present version.
	ErrChanged  = fault.New(fault.PreconditionFailed, "version_changed", "It was changed in the meantime. Fetch it again and repeat the change.")
	errExcluded = fault.New(fault.PreconditionFailed, "version_excluded", "It exists, in a version that If-None-Match names.")
)

// Check compares the version of a row that was changed at updatedAt, as
// [Precondition.CheckETag] does.
func (p Precondition) Check(updatedAt time.Time) error { return p.CheckETag(ETag(updatedAt)) }

// CheckETag returns [ErrChanged] when If-Match does not name the present version, and
// another [fault.PreconditionFailed] when If-None-Match names it. If-Match goes first
// (RFC 9110, section 13.2.2).
func (p Precondition) CheckETag(etag string) error {
	if p.ifMatch != "" && !matches(p.ifMatch, etag, false, row) {
		return ErrChanged
	}
	if p.ifNoneMatch != "" && matches(p.ifNoneMatch, etag, true, row) {
		return errExcluded
	}
	return nil
}

// Tags returns the entity tags of If-Match, as they are without a content coding.
func (p Precondition) Tags() []string {
	var tags []string
	for tag := range strings.SplitSeq(p.ifMatch, ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, Plain(tag))
		}
	}
	return tags
}

// Matches reports whether a list of entity tags, as If-Match and If-None-Match
// carry it, contains etag. weak compares W/"x" and "x" as equal, which
// If-None-Match wants and If-Match does not. A tag that came with a compressed answer
// names the same version.
func Matches(list, etag string, weak bool) bool {
	return matches(list, etag, weak, func(tag string) string { return tag })
}

func matches(list, etag string, weak bool, of func(tag string) string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == "*" || of(Plain(tag)) == etag {
			return true
		}
	}
	return false
}
