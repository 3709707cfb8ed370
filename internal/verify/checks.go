package verify

import (
	"fmt"
	"math"
	"time"
)

// The names of the checks.
const (
	ClaimedPosition = "claimed_position"
	PhotoPosition   = "photo_position"
	PhotoTime       = "photo_time"
	Freshness       = "freshness"
)

const tooOld = "The photo is over %s old; one of more than %s needs a look by a moderator."

// doubtfulScore is the score of a pass that used up all of its tolerance.
const doubtfulScore = 0.5

// allowance is what a stated accuracy is credited, in metres.
func (e Evidence) allowance(p Policy) float64 {
	if e.AccuracyMeters == nil || !(*e.AccuracyMeters > 0) {
		return 0
	}
	return math.Min(*e.AccuracyMeters, p.AccuracyCapMeters)
}

// nearness is 1 within the radius and falls to doubtfulScore at the end of the
// tolerance beyond it. No distance, NaN, is near nothing.
func nearness(distance, radius, tolerance float64) (score float64, near bool) {
	switch beyond := distance - radius; {
	case beyond <= 0:
		return 1, true
	case beyond <= tolerance:
		return 1 - (1-doubtfulScore)*beyond/tolerance, true
	}
	return 0, false
}

// checkClaimedPosition asks whether the device says that it was at the place.
func checkClaimedPosition(e Evidence, p Policy) Check {
	at, radius := e.Spot()
	distance := e.Claimed.DistanceMeters(at)
	allowance := e.allowance(p)
	if score, near := nearness(distance, radius, allowance); near {
		return passed(ClaimedPosition, score, "You were %s from the spot, within the %s that are allowed.", atMost(distance), length(radius+allowance))
	}
	if math.IsNaN(distance) {
		return abstained(ClaimedPosition, "Your position could not be compared with the spot.")
	}
	if allowance > 0 {
		return failed(ClaimedPosition, "You were %s from the spot, give or take %s; it has to be within %s.", atLeast(distance), length(allowance), length(radius))
	}
	return failed(ClaimedPosition, "You were %s from the spot; it has to be within %s.", atLeast(distance), length(radius))
}

// checkPhotoPosition asks whether the photo itself says that it was taken at the
// place and where the device was. A position that is off by little may be an old
// fix; one that is off by much is another place.
func checkPhotoPosition(e Evidence, p Policy) Check {
	if e.Photo.Position == nil {
		return abstained(PhotoPosition, "The photo does not say where it was taken.")
	}
	at, radius := e.Spot()
	distance := e.Photo.Position.DistanceMeters(at)
	limit := radius + p.ExifToleranceMeters
	score, near := nearness(distance, radius, p.ExifToleranceMeters)
	switch {
	case math.IsNaN(distance):
		return abstained(PhotoPosition, "The photo's position could not be compared with the spot.")
	case distance > limit+p.ExifContradictionMeters && e.isFixOld(p):
		return abstained(PhotoPosition, "The photo's position is older than the photo, so it does not say where that was taken.")
	case distance > limit+p.ExifContradictionMeters:
		return failed(PhotoPosition, "The photo was taken %s from the spot; it has to be within %s.", atLeast(distance), length(limit))
	case !near:
		return abstained(PhotoPosition, "By its own position the photo was taken %s from the spot, a little more than the %s that are allowed.",
			atLeast(distance), length(limit))
	}
	apart := e.Photo.Position.DistanceMeters(e.Claimed)
	if !(apart <= p.ClaimApartMeters+p.ExifToleranceMeters+e.allowance(p)) {
		return abstained(PhotoPosition, "By its own position the photo was taken %s from where your device was.", atLeast(apart))
	}
	return passed(PhotoPosition, score, "By its own position the photo was taken %s from the spot, within the %s that are allowed.", atMost(distance), length(limit))
}

// checkFreshness asks whether the photo is recent, by its own time: the device's
// word alone proves nothing. An old photo is no fraud, so a moderator decides.
func checkFreshness(e Evidence, p Policy) Check {
	if p.PhotoMaxAge <= 0 {
		return passed(Freshness, 1, "Photos of any age are taken.")
	}
	if e.CapturedAt != nil {
		if e.SubmittedAt.Sub(*e.CapturedAt) > p.PhotoMaxAge {
			return abstained(Freshness, tooOld, elapsed(*e.CapturedAt, e.SubmittedAt), duration(p.PhotoMaxAge))
		}
	}
	own, _, ok := e.ownTime(p)
	if !ok {
		return abstained(Freshness, "The photo does not say when it was taken, so its age is unknown.")
	}
	oldest, newest := own.At.Add(-own.Uncertainty), own.At.Add(own.Uncertainty)
	switch {
	case oldest.Sub(e.SubmittedAt) > p.ClockSkew:
		return abstained(Freshness, "By its own time the photo was taken after it was handed in, so its age is unknown.")
	case e.SubmittedAt.Sub(newest) > p.PhotoMaxAge:
		return abstained(Freshness, tooOld, elapsed(newest, e.SubmittedAt), duration(p.PhotoMaxAge))
	case e.SubmittedAt.Sub(oldest) > p.PhotoMaxAge:
		return abstained(Freshness, "The photo's time is not exact enough to tell whether it is at most %s old.", duration(p.PhotoMaxAge))
	}
	return passed(Freshness, 1, "The photo is at most %s old.", duration(p.PhotoMaxAge))
}

func passed(name string, score float64, reason string, args ...any) Check {
	return Check{Name: name, Outcome: Pass, Score: score, Reason: fmt.Sprintf(reason, args...)}
}

func failed(name, reason string, args ...any) Check {
	return Check{Name: name, Outcome: Fail, Reason: fmt.Sprintf(reason, args...)}
}

func abstained(name, reason string, args ...any) Check {
	return Check{Name: name, Outcome: Abstain, Reason: fmt.Sprintf(reason, args...)}
}

// Distances are rounded away from the limit that they are compared with, so that
// no sentence says that 100 m is more than 100 m.
func atLeast(meters float64) string {
	if meters > 999 {
		return kilometers(math.Ceil(meters/100) / 10)
	}
	return fmt.Sprintf("%.0f m", math.Ceil(meters))
}

func atMost(meters float64) string {
	if meters >= 1000 {
		return kilometers(math.Floor(meters/100) / 10)
	}
	return fmt.Sprintf("%.0f m", math.Floor(meters))
}

func length(meters float64) string {
	if meters < 1000 {
		return fmt.Sprintf("%.0f m", meters)
	}
	return kilometers(meters / 1000)
}

func kilometers(km float64) string { return fmt.Sprintf("%.1f km", km) }

const day = 24 * time.Hour

// elapsed says the time between two moments. Years are those of the calendar: a
// [time.Duration] holds 292 of them at most.
func elapsed(from, to time.Time) string {
	from, to = from.UTC(), to.UTC()
	years := to.Year() - from.Year()
	if from.AddDate(years, 0, 0).After(to) {
		years--
	}
	if years >= 2 {
		return fmt.Sprintf("%d years", years)
	}
	return duration(to.Sub(from))
}

// duration says a time in its largest unit that leaves a number from 2 on.
func duration(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{365 * day, "years"}, {day, "days"}, {time.Hour, "hours"}, {time.Minute, "minutes"}} {
		if n := d / unit.size; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return fmt.Sprintf("%.0f seconds", d.Seconds())
}
