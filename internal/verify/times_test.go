package verify

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// weeks1024 is how far back the date of a receiver is that counts the weeks of the
// signal from 0 again.
const weeks1024 = 1024 * 7 * day

func fix(ago time.Duration) Timestamp {
	return Timestamp{At: noon.Add(-ago), Uncertainty: time.Minute, IsFix: true}
}

func clock(ago time.Duration) Timestamp {
	return Timestamp{At: noon.Add(-ago), Uncertainty: time.Second}
}

// TestOneOfTwoTimesIsEnough claims five minutes ago. The time that agrees counts;
// it takes both to refute the claim.
func TestOneOfTwoTimesIsEnough(t *testing.T) {
	t.Parallel()
	const now = 5 * time.Minute
	for name, c := range map[string]struct {
		times           []Timestamp
		time, freshness Outcome
		status          Status
		reason          string
	}{
		"both agree":                         {[]Timestamp{fix(now), clock(now)}, Pass, Pass, Succeeded, ""},
		"the receiver's weeks began anew":    {[]Timestamp{fix(weeks1024), clock(now)}, Pass, Pass, Succeeded, ""},
		"a fix of 30 hours ago":              {[]Timestamp{fix(30 * time.Hour), clock(now)}, Pass, Pass, Succeeded, ""},
		"a camera that was never set":        {[]Timestamp{fix(now), clock(20 * 365 * day)}, Pass, Pass, Succeeded, ""},
		"a camera that is a year ahead":      {[]Timestamp{fix(now), clock(-365 * day)}, Pass, Pass, Succeeded, ""},
		"both of another day":                {[]Timestamp{fix(50 * time.Hour), clock(50 * time.Hour)}, Fail, Abstain, Failed, "The photo's own time and the one that your device claims are 2 days apart."},
		"both wrong, each in its way":        {[]Timestamp{fix(weeks1024), clock(50 * time.Hour)}, Fail, Abstain, Failed, "The photo's own time and the one that your device claims are 2 days apart."},
		"both in the future":                 {[]Timestamp{fix(-50 * time.Hour), clock(-70 * time.Hour)}, Fail, Abstain, Failed, "By its own time the photo was taken 2 days after it was handed in."},
		"one contradicts, one is in doubt":   {[]Timestamp{fix(weeks1024), clock(3 * time.Hour)}, Abstain, Pass, Succeeded, "The photo's own time and the one that your device claims are 2 hours apart; a clock may be wrong."},
		"a fix that is old and nothing else": {[]Timestamp{fix(weeks1024)}, Abstain, Abstain, NeedsReview, "The photo has no other time than that of its position, which is 19 years older than your device claims."},
		"a fix of the future, nothing else":  {[]Timestamp{fix(-50 * time.Hour)}, Fail, Abstain, Failed, ""},
		"a camera's clock and nothing else":  {[]Timestamp{clock(50 * time.Hour)}, Fail, Abstain, Failed, ""},
		"either date at the date line":       {[]Timestamp{{At: noon.Add(-25 * time.Hour), Uncertainty: 3 * time.Hour}, {At: noon.Add(-time.Hour), Uncertainty: 3 * time.Hour}}, Pass, Pass, Succeeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := good(func(e *Evidence) { e.Photo.Times = c.times })
			check := checkPhotoTime(e, DefaultPolicy())
			require.Equal(t, c.time, check.Outcome, check.Reason)
			if c.reason != "" {
				require.Equal(t, c.reason, check.Reason)
			}
			require.Equal(t, c.freshness, checkFreshness(e, DefaultPolicy()).Outcome)
			require.Equal(t, c.status, Run(e, DefaultPolicy()).Status)
		})
	}
}

// Without a claimed time the photo's is the one that is nearest to its arrival.
func TestTheNearestTimeCountsWithoutAClaim(t *testing.T) {
	t.Parallel()
	for name, times := range map[string][]Timestamp{
		"the receiver's weeks began anew": {fix(weeks1024), clock(time.Minute)},
		"a fix of 30 hours ago":           {fix(30 * time.Hour), clock(time.Minute)},
		"a camera that was never set":     {fix(time.Minute), clock(20 * 365 * day)},
	} {
		e := good(func(e *Evidence) { e.CapturedAt, e.Photo.Times = nil, times })
		require.Equal(t, Succeeded, Run(e, DefaultPolicy()).Status, name)
	}
}

// A position that is older than the photo does not say where the photo was taken,
// so it refutes nothing.
func TestOldFixesRefuteNothing(t *testing.T) {
	t.Parallel()
	elsewhere := func(times ...Timestamp) Evidence {
		return good(func(e *Evidence) { e.Photo.Position, e.Photo.Times = to(north(300_000)), times })
	}
	for name, c := range map[string]struct {
		evidence Evidence
		want     Outcome
	}{
		"of 30 hours ago":               {elsewhere(fix(30*time.Hour), clock(5*time.Minute)), Abstain},
		"of two hours ago":              {elsewhere(fix(2*time.Hour), clock(5*time.Minute)), Abstain},
		"of the same minute":            {elsewhere(fix(5*time.Minute), clock(5*time.Minute)), Fail},
		"of an unknown time":            {elsewhere(clock(5 * time.Minute)), Fail},
		"of no time at all":             {elsewhere(), Fail},
		"old, and no time beside it":    {elsewhere(fix(30 * time.Hour)), Fail},
		"old, beside one that is wrong": {elsewhere(fix(60*time.Hour), clock(50*time.Hour)), Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := checkPhotoPosition(c.evidence, DefaultPolicy())
			require.Equal(t, c.want, check.Outcome, check.Reason)
		})
	}
}

// A contradiction needs all times: as long as one of them alone does not fail, both
// do not.
func TestAContradictionNeedsBothTimes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	anyTime := func(isFix bool) Timestamp {
		return Timestamp{
			At:          noon.Add(time.Duration(r.Int64N(int64(160*time.Hour))) - 80*time.Hour),
			Uncertainty: []time.Duration{0, time.Minute, 3 * time.Hour, 14 * time.Hour}[r.IntN(4)],
			IsFix:       isFix,
		}
	}
	for range 3000 {
		e := random(r)
		first, second := anyTime(false), anyTime(false)
		outcome := func(times ...Timestamp) int {
			e.Photo.Times = times
			return agreement[checkPhotoTime(e, DefaultPolicy()).Outcome]
		}
		require.Equal(t, max(outcome(first), outcome(second)), outcome(first, second), "%v %v %+v", first, second, e)
	}
}

func TestDurationsBeyond292Years(t *testing.T) {
	t.Parallel()
	year := func(year int) time.Time { return time.Date(year, 7, 14, 12, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		change func(e *Evidence)
		check  func(Evidence, Policy) Check
		reason string
	}{
		"claimed for the year 1, photo of today": {func(e *Evidence) { e.CapturedAt = to(year(1)) }, checkPhotoTime,
			"The photo's own time and the one that your device claims are 2024 years apart."},
		"claimed for the year 1, its age": {func(e *Evidence) { e.CapturedAt = to(year(1)) }, checkFreshness,
			"The photo is over 2025 years old; one of more than 24 hours needs a look by a moderator."},
		"claimed for the year 9999": {func(e *Evidence) { e.CapturedAt = to(year(9999)) }, checkPhotoTime,
			"Your device says that the photo was taken 7973 years after it was handed in."},
		"photo of the year 9999": {func(e *Evidence) { e.Photo.Times = []Timestamp{{At: year(9999), Uncertainty: 14 * time.Hour}} }, checkPhotoTime,
			"By its own time the photo was taken 7972 years after it was handed in."},
		"photo of the year 9999, its age": {func(e *Evidence) { e.Photo.Times = []Timestamp{{At: year(9999), Uncertainty: 14 * time.Hour}} }, checkFreshness,
			"By its own time the photo was taken after it was handed in, so its age is unknown."},
		"photo of 1990, claimed for the year 1": {func(e *Evidence) { e.CapturedAt, e.Photo.Times = to(year(1)), []Timestamp{{At: year(1990)}} }, checkPhotoTime,
			"The photo's own time and the one that your device claims are 1989 years apart."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.reason, c.check(good(c.change), DefaultPolicy()).Reason)
		})
	}
}
