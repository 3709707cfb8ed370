package verify

import (
	"fmt"
	"math"
	"time"
)

// checks are run in this order; a further check is a further line.
var checks = []func(Evidence, Policy) Check{claimedPosition, photoPosition, photoTime, freshness}

// Run decides. A check that fails fails the attempt. Otherwise it succeeds when
// what passed weighs enough, and goes to a moderator when it does not: missing
// evidence leads to review, never to failure.
func Run(e Evidence, p Policy) Verdict {
	v := Verdict{Status: NeedsReview, Checks: make([]Check, 0, len(checks))}
	passed, failed := 0.0, false
	for _, check := range checks {
		c := check(e, p)
		v.Checks = append(v.Checks, c)
		v.Score += p.Weights[c.Name] * c.Score
		switch c.Outcome {
		case Pass:
			passed += p.Weights[c.Name]
		case Fail:
			failed = true
		case Abstain:
		}
	}
	switch {
	case failed:
		v.Status = Failed
	case passed >= p.Threshold:
		v.Status = Succeeded
	}
	return v
}

func claimedPosition(e Evidence, p Policy) Check {
	target, radius := e.target()
	allowance := 0.0
	if e.AccuracyMeters != nil {
		allowance = min(max(*e.AccuracyMeters, 0), p.AccuracyCapMeters)
	}
	distance := e.Claimed.DistanceMeters(target)
	c := Check{
		Name: ClaimedPosition, Score: nearness(distance, radius+allowance),
		Reason: fmt.Sprintf("You were %s from the spot; it has to be within %s.", meters(distance), meters(radius)),
	}
	return decided(c, distance <= radius+allowance)
}

func photoPosition(e Evidence, p Policy) Check {
	c := Check{Name: PhotoPosition, Outcome: Abstain}
	if e.Photo.Position == nil {
		c.Reason = "The photo does not say where it was taken."
		return c
	}
	target, radius := e.target()
	reach := radius + p.PhotoToleranceMeters
	distance := e.Photo.Position.DistanceMeters(target)
	c.Score = nearness(distance, reach)
	c.Reason = fmt.Sprintf("The photo was taken %s from the spot; it has to be within %s.", meters(distance), meters(reach))
	if distance > reach {
		return decided(c, false)
	}
	apart := e.Photo.Position.DistanceMeters(e.Claimed)
	if apart > reach+radius {
		c.Reason = fmt.Sprintf("The photo was taken %s from where you say that you were.", meters(apart))
		return decided(c, false)
	}
	return decided(c, true)
}

func photoTime(e Evidence, p Policy) Check {
	c := Check{Name: PhotoTime, Outcome: Abstain}
	taken := e.Photo.CapturedAt
	if taken.IsZero() {
		c.Reason = "The photo does not say when it was taken."
		return c
	}
	slack := e.Photo.CapturedAtUncertainty + p.ClockTolerance
	if ahead := taken.Sub(e.SubmittedAt); ahead > slack {
		c.Reason = fmt.Sprintf("The photo says that it was taken %s after it was handed in.", span(ahead))
		return decided(c, false)
	}
	c.Score, c.Reason = 1, "The photo's time fits."
	if e.CapturedAt == nil {
		return decided(c, true)
	}
	apart := taken.Sub(*e.CapturedAt).Abs()
	switch {
	case apart <= slack:
		return decided(c, true)
	case apart <= slack+24*time.Hour:
		c.Score, c.Reason = 0, fmt.Sprintf("The photo's time and the one that you state are %s apart.", span(apart))
		return c
	default:
		c.Reason = fmt.Sprintf("The photo's time and the one that you state are %s apart.", span(apart))
		return decided(c, false)
	}
}

func freshness(e Evidence, p Policy) Check {
	c := Check{Name: Freshness, Outcome: Abstain}
	taken := e.Photo.CapturedAt
	age := e.SubmittedAt.Sub(taken)
	switch {
	case p.PhotoMaxAge == 0:
		c.Score, c.Reason = 1, "Photos of any age are taken."
		return decided(c, true)
	case taken.IsZero():
		c.Reason = "The photo does not say when it was taken, so its age is not known."
		return c
	case age-e.Photo.CapturedAtUncertainty > p.PhotoMaxAge:
		c.Reason = fmt.Sprintf("The photo is %s old; one of the last %s is expected.", span(age), span(p.PhotoMaxAge))
		return c
	default:
		c.Score, c.Reason = 1, "The photo is fresh."
		return decided(c, true)
	}
}

func decided(c Check, passed bool) Check {
	c.Outcome = Fail
	if passed {
		c.Outcome = Pass
		return c
	}
	c.Score = 0
	return c
}

// nearness is 1 at the spot and falls to a half at the edge.
func nearness(distance, reach float64) float64 {
	if reach <= 0 || distance > reach {
		return 0
	}
	return 1 - distance/reach/2
}

func meters(distance float64) string {
	if distance < 1000 {
		return fmt.Sprintf("%.0f m", math.Ceil(distance))
	}
	return fmt.Sprintf("%.1f km", distance/1000)
}

func span(d time.Duration) string {
	switch hours := d.Hours(); {
	case hours >= 48:
		return fmt.Sprintf("%.0f days", hours/24)
	case hours >= 2:
		return fmt.Sprintf("%.0f hours", hours)
	default:
		return fmt.Sprintf("%.0f minutes", math.Ceil(d.Minutes()))
	}
}
