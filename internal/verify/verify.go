// Package verify decides whether a photo was taken at a landmark. It is pure:
// evidence and a policy go in, a verdict comes out, so that a stored attempt can
// be explained, and a changed policy tried on all attempts before it goes live.
//
// The rules: what clearly contradicts the claim fails; enough that speaks for it
// succeeds; the rest is for a moderator. Missing evidence never fails.
package verify

import (
	"time"

	"github.com/picaspot/picaspot/internal/geo"
)

// Outcome is what a check says.
type Outcome string

// A check passes, fails, or abstains where the evidence is missing or in doubt.
const (
	Pass    Outcome = "pass"
	Fail    Outcome = "fail"
	Abstain Outcome = "abstain"
)

// Check is the result of one check.
type Check struct {
	// Name is stable: it is kept with the attempt and names the weight.
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Score is how much a pass is worth, from 0 to 1; 0 for the other outcomes.
	Score float64 `json:"score"`
	// Reason is a sentence for the user. It tells distances and times, never a
	// position.
	Reason string `json:"reason"`
}

// Status is the verdict on an attempt.
type Status string

// The verdicts.
const (
	Succeeded   Status = "succeeded"
	Failed      Status = "failed"
	NeedsReview Status = "needs_review"
)

// Verdict is what all checks come to.
type Verdict struct {
	Status Status
	// Score is the weighted mean of the checks' scores, from 0 to 1.
	Score  float64
	Checks []Check
}

// Evidence is what is known about an attempt.
type Evidence struct {
	// SubmittedAt is when the attempt arrived, by the server's clock.
	SubmittedAt time.Time

	// What the device claims: where it was, the radius of its uncertainty if it
	// stated one, and when the photo was taken if it said so.
	Claimed        geo.Point
	AccuracyMeters *float64
	CapturedAt     *time.Time

	// Photo is what the file says about itself.
	Photo PhotoFacts

	// Target is the landmark as it was when the attempt arrived.
	Target
}

// Target is where a photo of a landmark has to be taken.
type Target struct {
	Location           geo.Point `json:"location"`
	UnlockRadiusMeters float64   `json:"unlock_radius_meters"`
	// PhotoLocation is the spot that the photo is to be taken from, nil if that is
	// the landmark itself; PhotoRadiusMeters counts only with it.
	PhotoLocation     *geo.Point `json:"photo_location,omitempty"`
	PhotoRadiusMeters float64    `json:"photo_radius_meters"`
}

// Spot is the place that counts, and how near to it the photo has to be taken.
func (t Target) Spot() (at geo.Point, radiusMeters float64) {
	if t.PhotoLocation != nil {
		return *t.PhotoLocation, t.PhotoRadiusMeters
	}
	return t.Location, t.UnlockRadiusMeters
}

// PhotoFacts are what a photo's metadata says.
type PhotoFacts struct {
	// Position is nil if the photo has none.
	Position *geo.Point
	// Times are when the photo may have been taken, each by itself; none if it has
	// no time.
	Times []Timestamp
}

// Timestamp is a time that a photo states; the true one is within Uncertainty
// before or after.
type Timestamp struct {
	At          time.Time
	Uncertainty time.Duration
	// IsFix is set for the time of the position, which may be older than the photo.
	IsFix bool
}

// Policy is how evidence is weighed.
type Policy struct {
	// PhotoMaxAge is the age beyond which a photo goes to review; 0 is no limit.
	PhotoMaxAge time.Duration

	// Weights are the checks' shares in the score, by name. A check without one
	// can only fail an attempt.
	Weights map[string]float64
	// Threshold is the score from which an attempt succeeds, from 0 to 1.
	Threshold float64

	// AccuracyCapMeters is the most that a stated uncertainty is credited.
	AccuracyCapMeters float64
	// ExifToleranceMeters is how far beyond the radius the photo's own position
	// may lie, as cameras round it and use fixes that are a little old.
	ExifToleranceMeters float64
	// ExifContradictionMeters is how far beyond the tolerance it refutes the claim.
	ExifContradictionMeters float64
	// ClaimApartMeters is how far from the device the photo may have been taken;
	// it matters at landmarks with a large radius.
	ClaimApartMeters float64

	// ClockSkew is how far ahead of ours a clock may be.
	ClockSkew time.Duration
	// TimeTolerance is how far the claimed and the photo's own time may differ.
	TimeTolerance time.Duration
	// TimeContradiction is the difference, or the time in the future, that refutes
	// the claim.
	TimeContradiction time.Duration
}

// DefaultPolicy lets an attempt succeed by itself when the photo's own position
// and a fresh time of its own confirm the claim.
func DefaultPolicy() Policy {
	return Policy{
		PhotoMaxAge: 24 * time.Hour,
		Weights: map[string]float64{
			ClaimedPosition: 0.25, PhotoPosition: 0.4, PhotoTime: 0.1, Freshness: 0.25,
		},
		Threshold:               0.8,
		AccuracyCapMeters:       50,
		ExifToleranceMeters:     50,
		ExifContradictionMeters: 1000,
		ClaimApartMeters:        500,
		ClockSkew:               5 * time.Minute,
		TimeTolerance:           10 * time.Minute,
		TimeContradiction:       24 * time.Hour,
	}
}

// checks are all that is asked about an attempt, in the order of the answer.
var checks = []func(Evidence, Policy) Check{
	checkClaimedPosition,
	checkPhotoPosition,
	checkPhotoTime,
	checkFreshness,
}

// Run asks every check and decides.
func Run(e Evidence, p Policy) Verdict {
	results := make([]Check, len(checks))
	for i, check := range checks {
		results[i] = check(e, p)
	}
	return Decide(results, p)
}

// Decide makes a verdict of results, new ones or those kept with an attempt: any
// failure fails, a score from the threshold succeeds, anything else needs a review.
func Decide(results []Check, p Policy) Verdict {
	// Sums of weights such as 0.1 are not exact.
	const rounding = 1e-9
	v := Verdict{Status: NeedsReview, Checks: results}
	var sum, total float64
	failed := false
	for _, c := range results {
		weight := p.Weights[c.Name]
		total += weight
		switch c.Outcome {
		case Pass:
			sum += weight * c.Score
		case Fail:
			failed = true
		case Abstain:
		}
	}
	if total > 0 {
		v.Score = sum / total
	}
	switch {
	case failed:
		v.Status = Failed
	case total > 0 && v.Score >= p.Threshold-rounding:
		v.Status = Succeeded
	}
	return v
}
