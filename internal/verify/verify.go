// Package verify decides about attempts: a row of named checks, each with a
// score and a reason that the user may read, and a sum that decides. It is pure:
// the same evidence under the same policy gives the same verdict, so that stored
// attempts can be run again under another policy.
package verify

import (
	"time"

	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo"
)

// Outcome is what a check came to.
type Outcome string

// The outcomes of a check.
const (
	// Pass: the evidence speaks for the attempt.
	Pass Outcome = "pass"
	// Fail: the evidence contradicts the attempt.
	Fail Outcome = "fail"
	// Abstain: there is no evidence, or it says nothing clear.
	Abstain Outcome = "abstain"
)

// Check is the result of one check.
type Check struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Score is from 0 to 1; what abstains has 0.
	Score float64 `json:"score"`
	// Reason is a sentence for the user. It tells distances, never the place.
	Reason string `json:"reason"`
}

// Evidence is all that is known of an attempt.
type Evidence struct {
	SubmittedAt time.Time
	// Claimed is where the device says that it was, AccuracyMeters how sure it is.
	Claimed        geo.Point
	AccuracyMeters *float64
	// CapturedAt is when the client says that the photo was taken.
	CapturedAt *time.Time
	// Photo is what the photo says about itself.
	Photo photo.Facts

	// The landmark: the photo is to be taken within UnlockRadiusMeters of
	// Location, or within PhotoRadiusMeters of PhotoLocation where there is one.
	Location           geo.Point
	UnlockRadiusMeters float64
	PhotoLocation      *geo.Point
	PhotoRadiusMeters  float64
}

// target is where the photo is to be taken, and how near.
func (e Evidence) target() (geo.Point, float64) {
	if e.PhotoLocation != nil {
		return *e.PhotoLocation, e.PhotoRadiusMeters
	}
	return e.Location, e.UnlockRadiusMeters
}

// Policy says how evidence is weighed.
type Policy struct {
	// PhotoMaxAge sends older photos to a moderator; 0 lifts the limit.
	PhotoMaxAge time.Duration
	// AccuracyCapMeters bounds how much a stated inaccuracy helps.
	AccuracyCapMeters float64
	// PhotoToleranceMeters is how far a photo's own position may be off: cameras
	// locate less well than phones say they do, and not at the same moment.
	PhotoToleranceMeters float64
	// ClockTolerance is how far a camera's clock may be off.
	ClockTolerance time.Duration
	// Weights are what passed checks count, by their names.
	Weights map[string]float64
	// Threshold is the weighted score from which an attempt succeeds.
	Threshold float64
}

// The names of the checks.
const (
	ClaimedPosition = "claimed_position"
	PhotoPosition   = "photo_position"
	PhotoTime       = "photo_time"
	Freshness       = "freshness"
)

// DefaultPolicy asks for a position in the photo and for a photo of the last day.
func DefaultPolicy() Policy {
	return Policy{
		PhotoMaxAge: 24 * time.Hour, AccuracyCapMeters: 50, PhotoToleranceMeters: 50, ClockTolerance: 10 * time.Minute,
		// Both positions and the freshness are needed; a time that fits does not make
		// up for any of them.
		Weights:   map[string]float64{ClaimedPosition: 1, PhotoPosition: 1, PhotoTime: 0.5, Freshness: 1},
		Threshold: 3,
	}
}

// Status is the verdict on an attempt.
type Status string

// The verdicts.
const (
	Succeeded   Status = "succeeded"
	Failed      Status = "failed"
	NeedsReview Status = "needs_review"
)

// Verdict is what the checks come to together.
type Verdict struct {
	Status Status
	// Score is the weighted sum of the scores.
	Score  float64
	Checks []Check
}
