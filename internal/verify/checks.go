package verify

import (
	"fmt"
	"math"
	"time"

	"github.com/picaspot/picaspot/internal/geo"
)

// The names of the checks.
const (
	ClaimedPosition = "claimed_position"
	PhotoPosition   = "photo_position"
	PhotoTime       = "photo_time"
	Freshness       = "freshness"
)

// doubtfulScore is the score of a pass that used up all of its tolerance.
const doubtfulScore = 0.5

// place is where the photo has to be taken, and how near.
func (e Evidence) place() (at geo.Point, radius float64) {
	if e.PhotoLocation != nil {
		return *e.PhotoLocation, e.PhotoRadiusMeters
	}
	return e.Location, e.UnlockRadiusMeters
}

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
	at, radius := e.place()
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
	at, radius := e.place()
	distance := e.Photo.Position.DistanceMeters(at)
	limit := radius + p.ExifToleranceMeters
	score, near := nearness(distance, radius, p.ExifToleranceMeters)
	switch {
	case math.IsNaN(distance):
		return abstained(PhotoPosition, "The photo's position could not be compared with the spot.")
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

// checkPhotoTime asks whether the photo's time is possible and the one that the
// device claims.
func checkPhotoTime(e Evidence, p Policy) Check {
	if e.CapturedAt != nil {
		switch ahead := e.CapturedAt.Sub(e.SubmittedAt); {
		case ahead > p.TimeContradiction:
			return failed(PhotoTime, "Your device says that the photo was taken %s after it was handed in.", duration(ahead))
		case ahead > p.ClockSkew:
			return abstained(PhotoTime, "Your device says that the photo was taken %s after it was handed in; its clock may be wrong.", duration(ahead))
		}
	}
	if e.Photo.CapturedAt.IsZero() {
		return abstained(PhotoTime, "The photo does not say when it was taken.")
	}
	// The least that it can be ahead, and that the two times can differ.
	switch ahead := e.Photo.CapturedAt.Sub(e.SubmittedAt) - e.Photo.CapturedAtUncertainty; {
	case ahead > p.TimeContradiction:
		return failed(PhotoTime, "By its own time the photo was taken %s after it was handed in.", duration(ahead))
	case ahead > p.ClockSkew:
		return abstained(PhotoTime, "By its own time the photo was taken %s after it was handed in; the camera's clock may be wrong.", duration(ahead))
	}
	if e.CapturedAt == nil {
		return passed(PhotoTime, 1, "The photo says when it was taken.")
	}
	switch apart := e.Photo.CapturedAt.Sub(*e.CapturedAt).Abs() - e.Photo.CapturedAtUncertainty; {
	case apart > p.TimeContradiction:
		return failed(PhotoTime, "The photo's own time and the one that your device claims are %s apart.", duration(apart))
	case apart > p.TimeTolerance:
		return abstained(PhotoTime, "The photo's own time and the one that your device claims are %s apart; a clock may be wrong.", duration(apart))
	}
	return passed(PhotoTime, 1, "The photo's own time agrees with the one that your device claims.")
}

// checkFreshness asks whether the photo is recent, by its own time: the device's
// word alone proves nothing. An old photo is no fraud, so a moderator decides.
func checkFreshness(e Evidence, p Policy) Check {
	if p.PhotoMaxAge <= 0 {
		return passed(Freshness, 1, "Photos of any age are taken.")
	}
	if e.CapturedAt != nil {
		if age := e.SubmittedAt.Sub(*e.CapturedAt); age > p.PhotoMaxAge {
			return abstained(Freshness, "The photo is over %s old; one of more than %s needs a look by a moderator.", duration(age), duration(p.PhotoMaxAge))
		}
	}
	if e.Photo.CapturedAt.IsZero() {
		return abstained(Freshness, "The photo does not say when it was taken, so its age is unknown.")
	}
	age, uncertainty := e.SubmittedAt.Sub(e.Photo.CapturedAt), e.Photo.CapturedAtUncertainty
	switch {
	case age+uncertainty < -p.ClockSkew:
		return abstained(Freshness, "By its own time the photo was taken after it was handed in, so its age is unknown.")
	case age-uncertainty > p.PhotoMaxAge:
		return abstained(Freshness, "The photo is over %s old; one of more than %s needs a look by a moderator.", duration(age-uncertainty), duration(p.PhotoMaxAge))
	case age+uncertainty > p.PhotoMaxAge:
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

// duration says a time in its largest unit that leaves a number from 2 on.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
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
