package verify

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/geo"
)

var (
	spot = geo.Point{Latitude: 53.8672, Longitude: 8.7026}
	noon = time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
)

// north returns a point so many metres north of the spot, less a centimetre so
// that it is not rounded up.
func north(meters float64) geo.Point {
	at := func(degrees float64) geo.Point {
		return geo.Point{Latitude: spot.Latitude + degrees, Longitude: spot.Longitude}
	}
	degrees := (meters - math.Copysign(0.01, meters)) / 111_000
	return at(degrees * math.Abs(meters) / at(meters/111_000).DistanceMeters(spot))
}

func to[T any](v T) *T { return &v }

// good is a fresh photo with all evidence that a phone gives.
func good(changes ...func(e *Evidence)) Evidence {
	e := Evidence{
		SubmittedAt: noon, Claimed: north(20), AccuracyMeters: to(10.0), CapturedAt: to(noon.Add(-5 * time.Minute)),
		Photo:  PhotoFacts{Position: to(north(30)), Times: []Timestamp{{At: noon.Add(-5 * time.Minute), Uncertainty: time.Second}}},
		Target: Target{Location: spot, UnlockRadiusMeters: 100, PhotoRadiusMeters: 50},
	}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func unlimited() Policy {
	p := DefaultPolicy()
	p.PhotoMaxAge = 0
	return p
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	old := func(e *Evidence) {
		e.Photo.Times, e.CapturedAt = []Timestamp{{At: noon.AddDate(-3, 0, 0)}}, nil
	}
	noExif := func(e *Evidence) { e.Photo = PhotoFacts{} }
	noTime := func(e *Evidence) { e.Photo.Times = nil }
	noPosition := func(e *Evidence) { e.Photo.Position = nil }
	for name, c := range map[string]struct {
		evidence Evidence
		policy   Policy
		want     Status
	}{
		"all evidence":                        {good(), DefaultPolicy(), Succeeded},
		"no claimed time":                     {good(func(e *Evidence) { e.CapturedAt = nil }), DefaultPolicy(), Succeeded},
		"no accuracy":                         {good(func(e *Evidence) { e.AccuracyMeters = nil }), DefaultPolicy(), Succeeded},
		"old photo, any age taken":            {good(old), unlimited(), Succeeded},
		"old photo, a day allowed":            {good(old), DefaultPolicy(), NeedsReview},
		"no metadata":                         {good(noExif), DefaultPolicy(), NeedsReview},
		"no metadata, any age taken":          {good(noExif), unlimited(), NeedsReview},
		"no position in the photo":            {good(noPosition), DefaultPolicy(), NeedsReview},
		"no time in the photo":                {good(noTime), DefaultPolicy(), NeedsReview},
		"no time in the photo, any age taken": {good(noTime), unlimited(), Succeeded},
		"claim out of the radius":             {good(func(e *Evidence) { e.Claimed = north(200) }), DefaultPolicy(), Failed},
		"photo from 10 km away":               {good(func(e *Evidence) { e.Photo.Position = to(north(10_000)) }), DefaultPolicy(), Failed},
		"photo from 400 m away":               {good(func(e *Evidence) { e.Photo.Position = to(north(400)) }), DefaultPolicy(), NeedsReview},
		"photo a little outside":              {good(func(e *Evidence) { e.Photo.Position = to(north(120)) }), DefaultPolicy(), Succeeded},
		"both a little outside":               {good(func(e *Evidence) { e.Photo.Position, e.Claimed = to(north(149)), north(109) }), DefaultPolicy(), NeedsReview},
		"times an hour apart":                 {good(func(e *Evidence) { e.CapturedAt = to(noon.Add(-time.Hour)) }), DefaultPolicy(), Succeeded},
		"times an hour apart, position weak":  {good(func(e *Evidence) { e.CapturedAt, e.Photo.Position = to(noon.Add(-time.Hour)), to(north(145)) }), DefaultPolicy(), NeedsReview},
		"times years apart":                   {good(func(e *Evidence) { e.CapturedAt = to(noon.AddDate(-2, 0, 0)) }), DefaultPolicy(), Failed},
		"photo of next year":                  {good(func(e *Evidence) { e.Photo.Times, e.CapturedAt = []Timestamp{{At: noon.AddDate(1, 0, 0)}}, nil }), DefaultPolicy(), Failed},
		"nothing at all":                      {Evidence{}, DefaultPolicy(), NeedsReview},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Run(c.evidence, c.policy)
			require.Equal(t, c.want, v.Status, "%+v", v)
			require.Len(t, v.Checks, 4)
			for _, check := range v.Checks {
				require.NotEmpty(t, check.Reason)
				require.GreaterOrEqual(t, check.Score, 0.0)
				require.LessOrEqual(t, check.Score, 1.0)
				if check.Outcome != Pass {
					require.Zero(t, check.Score)
				}
			}
		})
	}
}

func TestClaimedPosition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		evidence Evidence
		want     Outcome
		score    float64
		reason   string
	}{
		"at the spot":         {good(func(e *Evidence) { e.Claimed = spot }), Pass, 1, "You were 0 m from the spot, within the 110 m that are allowed."},
		"at the radius":       {good(func(e *Evidence) { e.Claimed = north(99.9) }), Pass, 1, ""},
		"within the accuracy": {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(120), to(40.0) }), Pass, 0.75, ""},
		"beyond the accuracy": {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(141), to(40.0) }), Fail, 0, "You were 141 m from the spot, give or take 40 m; it has to be within 100 m."},
		"accuracy is capped":  {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(160), to(5000.0) }), Fail, 0, "You were 160 m from the spot, give or take 50 m; it has to be within 100 m."},
		"no accuracy":         {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(100.4), nil }), Fail, 0, "You were 101 m from the spot; it has to be within 100 m."},
		"negative accuracy":   {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(101), to(-40.0) }), Fail, 0, ""},
		"accuracy is NaN":     {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(101), to(math.NaN()) }), Fail, 0, ""},
		"far away":            {good(func(e *Evidence) { e.Claimed, e.AccuracyMeters = north(10_000), nil }), Fail, 0, "You were 10.0 km from the spot; it has to be within 100 m."},
		"nowhere":             {good(func(e *Evidence) { e.Claimed.Latitude = math.NaN() }), Abstain, 0, "Your position could not be compared with the spot."},
		"at the photo spot":   {good(func(e *Evidence) { e.PhotoLocation, e.Claimed = to(north(3000)), north(3020.5) }), Pass, 1, "You were 20 m from the spot, within the 60 m that are allowed."},
		"not at the photo spot": {good(func(e *Evidence) { e.PhotoLocation, e.Claimed = to(north(3000)), spot }), Fail, 0,
			"You were 3.0 km from the spot, give or take 10 m; it has to be within 50 m."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireCheck(t, checkClaimedPosition(c.evidence, DefaultPolicy()), ClaimedPosition, c.want, c.score, c.reason)
		})
	}
}

func requireCheck(t *testing.T, got Check, name string, want Outcome, score float64, reason string) {
	t.Helper()
	require.Equal(t, name, got.Name)
	require.Equal(t, want, got.Outcome, got.Reason)
	require.InDelta(t, score, got.Score, 0.01)
	if reason != "" {
		require.Equal(t, reason, got.Reason)
	}
}

func TestPhotoPosition(t *testing.T) {
	t.Parallel()
	at := func(p geo.Point, further ...func(*Evidence)) Evidence {
		return good(append([]func(*Evidence){func(e *Evidence) { e.Photo.Position = &p }}, further...)...)
	}
	large := func(e *Evidence) { e.UnlockRadiusMeters = 10_000 }
	for name, c := range map[string]struct {
		evidence Evidence
		want     Outcome
		score    float64
		reason   string
	}{
		"none":             {good(func(e *Evidence) { e.Photo.Position = nil }), Abstain, 0, "The photo does not say where it was taken."},
		"at the spot":      {at(north(30.5)), Pass, 1, "By its own position the photo was taken 30 m from the spot, within the 150 m that are allowed."},
		"half of the way":  {at(north(125)), Pass, 0.75, ""},
		"a little outside": {at(north(151)), Abstain, 0, "By its own position the photo was taken 151 m from the spot, a little more than the 150 m that are allowed."},
		"1.1 km away":      {at(north(1100)), Abstain, 0, ""},
		"1.2 km away":      {at(north(1199)), Fail, 0, "The photo was taken 1.2 km from the spot; it has to be within 150 m."},
		"10 km away":       {at(north(9990)), Fail, 0, "The photo was taken 10.0 km from the spot; it has to be within 150 m."},
		"nowhere":          {at(geo.Point{Latitude: math.NaN()}), Abstain, 0, "The photo's position could not be compared with the spot."},
		"photo spot":       {at(north(3090), func(e *Evidence) { e.PhotoLocation, e.Claimed = to(north(3000)), north(3000) }), Pass, 0.6, ""},
		"not the landmark": {at(spot, func(e *Evidence) { e.PhotoLocation, e.Claimed = to(north(3000)), north(3000) }), Fail, 0, "The photo was taken 3.0 km from the spot; it has to be within 100 m."},
		"near the device":  {at(north(5000), large, func(e *Evidence) { e.Claimed = north(5500) }), Pass, 1, "By its own position the photo was taken 4.9 km from the spot, within the 10.1 km that are allowed."},
		"far from it":      {at(north(5000), large), Abstain, 0, "By its own position the photo was taken 5.0 km from where your device was."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireCheck(t, checkPhotoPosition(c.evidence, DefaultPolicy()), PhotoPosition, c.want, c.score, c.reason)
		})
	}
}

func TestPhotoTime(t *testing.T) {
	t.Parallel()
	times := func(own time.Duration, uncertainty time.Duration, claimed *time.Duration) Evidence {
		return good(func(e *Evidence) {
			e.Photo.Times = []Timestamp{{At: noon.Add(own), Uncertainty: uncertainty}}
			e.CapturedAt = nil
			if claimed != nil {
				e.CapturedAt = to(noon.Add(*claimed))
			}
		})
	}
	without := func(claimed time.Duration) Evidence {
		return good(func(e *Evidence) { e.Photo, e.CapturedAt = PhotoFacts{}, to(noon.Add(claimed)) })
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		evidence Evidence
		want     Outcome
		reason   string
	}{
		"no times":                   {good(func(e *Evidence) { e.Photo, e.CapturedAt = PhotoFacts{}, nil }), Abstain, "The photo does not say when it was taken."},
		"only claimed":               {without(-time.Minute), Abstain, "The photo does not say when it was taken."},
		"only its own":               {times(-time.Minute, 0, nil), Pass, "The photo says when it was taken."},
		"agree":                      {times(-time.Minute, 0, to(-10*time.Minute)), Pass, "The photo's own time agrees with the one that your device claims."},
		"an hour apart":              {times(-time.Minute, 0, to(-61*time.Minute)), Abstain, "The photo's own time and the one that your device claims are 60 minutes apart; a clock may be wrong."},
		"earlier than claimed":       {times(-3*time.Hour, 0, to(-time.Minute)), Abstain, ""},
		"an hour apart, zone open":   {times(-time.Minute, 14*time.Hour, to(-13*time.Hour)), Pass, ""},
		"two days apart":             {times(-2*day-time.Hour, 0, to(-time.Minute)), Fail, "The photo's own time and the one that your device claims are 2 days apart."},
		"two days apart, zone open":  {times(-day-15*time.Hour, 14*time.Hour, to(-time.Minute)), Fail, "The photo's own time and the one that your device claims are 24 hours apart."},
		"clock ahead":                {times(4*time.Minute, 0, nil), Pass, ""},
		"clock an hour ahead":        {times(time.Hour, 0, nil), Abstain, "By its own time the photo was taken 60 minutes after it was handed in; the camera's clock may be wrong."},
		"zone ahead":                 {times(8*time.Hour, 14*time.Hour, nil), Pass, ""},
		"future":                     {times(day+time.Minute, 0, nil), Fail, "By its own time the photo was taken 24 hours after it was handed in."},
		"claimed a little ahead":     {without(time.Minute), Abstain, "The photo does not say when it was taken."},
		"claimed ahead":              {without(90 * time.Second * 10), Abstain, "Your device says that the photo was taken 15 minutes after it was handed in; its clock may be wrong."},
		"claimed future":             {without(800 * day), Fail, "Your device says that the photo was taken 2 years after it was handed in."},
		"claimed long before camera": {times(-time.Minute, 0, to(-100*365*day)), Fail, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			score := 0.0
			if c.want == Pass {
				score = 1
			}
			requireCheck(t, checkPhotoTime(c.evidence, DefaultPolicy()), PhotoTime, c.want, score, c.reason)
		})
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	own := func(age, uncertainty time.Duration) Evidence {
		return good(func(e *Evidence) {
			e.CapturedAt = nil
			e.Photo.Times = []Timestamp{{At: noon.Add(-age), Uncertainty: uncertainty}}
		})
	}
	for name, c := range map[string]struct {
		evidence Evidence
		maxAge   time.Duration
		want     Outcome
		reason   string
	}{
		"no limit":              {good(func(e *Evidence) { e.Photo = PhotoFacts{} }), 0, Pass, "Photos of any age are taken."},
		"fresh":                 {own(time.Hour, time.Second), 24 * time.Hour, Pass, "The photo is at most 24 hours old."},
		"at the limit":          {own(24*time.Hour, 0), 24 * time.Hour, Pass, ""},
		"old":                   {own(75*time.Hour, 0), 24 * time.Hour, Abstain, "The photo is over 3 days old; one of more than 24 hours needs a look by a moderator."},
		"a second too old":      {own(90*time.Second, 0), 89 * time.Second, Abstain, "The photo is over 90 seconds old; one of more than 89 seconds needs a look by a moderator."},
		"zone open, fresh":      {own(9*time.Hour, 14*time.Hour), 24 * time.Hour, Pass, ""},
		"zone open, ahead":      {own(-9*time.Hour, 14*time.Hour), 24 * time.Hour, Pass, ""},
		"zone open, maybe old":  {own(11*time.Hour, 14*time.Hour), 24 * time.Hour, Abstain, "The photo's time is not exact enough to tell whether it is at most 24 hours old."},
		"zone open, old":        {own(39*time.Hour, 14*time.Hour), 24 * time.Hour, Abstain, "The photo is over 25 hours old; one of more than 24 hours needs a look by a moderator."},
		"future":                {own(-time.Hour, 0), 24 * time.Hour, Abstain, "By its own time the photo was taken after it was handed in, so its age is unknown."},
		"no time":               {good(func(e *Evidence) { e.Photo, e.CapturedAt = PhotoFacts{}, nil }), 24 * time.Hour, Abstain, "The photo does not say when it was taken, so its age is unknown."},
		"only claimed":          {good(func(e *Evidence) { e.Photo = PhotoFacts{} }), 24 * time.Hour, Abstain, ""},
		"claimed to be old":     {good(func(e *Evidence) { e.CapturedAt = to(noon.AddDate(0, 0, -5)) }), 24 * time.Hour, Abstain, "The photo is over 5 days old; one of more than 24 hours needs a look by a moderator."},
		"a longer limit passes": {own(75*time.Hour, 0), 96 * time.Hour, Pass, "The photo is at most 4 days old."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := DefaultPolicy()
			p.PhotoMaxAge = c.maxAge
			score := 0.0
			if c.want == Pass {
				score = 1
			}
			requireCheck(t, checkFreshness(c.evidence, p), Freshness, c.want, score, c.reason)
		})
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	p := Policy{Weights: map[string]float64{"a": 0.1, "b": 0.2, "c": 0.7}, Threshold: 0.3}
	check := func(name string, o Outcome, score float64) Check { return Check{Name: name, Outcome: o, Score: score} }
	for name, c := range map[string]struct {
		checks []Check
		want   Status
		score  float64
	}{
		"just enough":           {[]Check{check("a", Pass, 1), check("b", Pass, 1), check("c", Abstain, 0)}, Succeeded, 0.3},
		"not enough":            {[]Check{check("a", Pass, 1), check("b", Pass, 0.9), check("c", Abstain, 0)}, NeedsReview, 0.28},
		"one failure":           {[]Check{check("a", Fail, 0), check("b", Pass, 1), check("c", Pass, 1)}, Failed, 0.9},
		"abstaining earns none": {[]Check{check("a", Abstain, 1), check("b", Abstain, 1), check("c", Abstain, 1)}, NeedsReview, 0},
		"a veto without weight": {[]Check{check("c", Pass, 1), check("duplicate", Fail, 0)}, Failed, 1},
		"no weight, no harm":    {[]Check{check("c", Pass, 1), check("duplicate", Abstain, 0)}, Succeeded, 1},
		"no checks":             {nil, NeedsReview, 0},
		"unknown checks":        {[]Check{check("x", Pass, 1)}, NeedsReview, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := Decide(c.checks, p)
			require.Equal(t, c.want, v.Status)
			require.InDelta(t, c.score, v.Score, 1e-12)
			require.Equal(t, c.checks, v.Checks)
		})
	}
}

// A stored attempt can be decided again by another policy.
func TestChecksSurviveTheDatabase(t *testing.T) {
	t.Parallel()
	first := Run(good(func(e *Evidence) { e.Claimed = north(105) }), DefaultPolicy())
	text, err := json.Marshal(first.Checks)
	require.NoError(t, err)
	require.Contains(t, string(text), `{"name":"claimed_position","outcome":"pass","score":`)
	var kept []Check
	require.NoError(t, json.Unmarshal(text, &kept))
	require.Equal(t, first, Decide(kept, DefaultPolicy()))
	strict := DefaultPolicy()
	strict.Threshold = 0.95
	require.Equal(t, NeedsReview, Decide(kept, strict).Status)
}

func rank(s Status) int { return map[Status]int{Failed: 0, NeedsReview: 1, Succeeded: 2}[s] }

// worse demands that a step away from honest evidence never helps.
func worse(t *testing.T, before, after Evidence, p Policy) {
	t.Helper()
	a, b := Run(before, p), Run(after, p)
	require.LessOrEqual(t, rank(b.Status), rank(a.Status), "%+v\n%+v", a, b)
	if rank(b.Status) > 0 {
		require.LessOrEqual(t, b.Score, a.Score+1e-9, "%+v\n%+v", a, b)
	}
}

func random(r *rand.Rand) Evidence {
	e := Evidence{
		SubmittedAt: noon, Claimed: spot,
		Target: Target{Location: spot, UnlockRadiusMeters: math.Pow(10, 4*r.Float64()), PhotoRadiusMeters: 50},
	}
	if r.IntN(2) == 0 {
		e.AccuracyMeters = to(200 * r.Float64())
	}
	if r.IntN(2) == 0 {
		e.CapturedAt = to(noon.Add(-time.Duration(r.Int64N(int64(50 * time.Hour)))))
	}
	if r.IntN(3) > 0 {
		e.Photo.Position = to(spot)
	}
	for range r.IntN(3) {
		e.Photo.Times = append(e.Photo.Times, Timestamp{
			At:          noon.Add(-time.Duration(r.Int64N(int64(50 * time.Hour)))),
			Uncertainty: []time.Duration{0, time.Minute, 14 * time.Hour}[r.IntN(3)],
			IsFix:       len(e.Photo.Times) == 0 && r.IntN(2) == 0,
		})
	}
	return e
}

func TestMovingAwayNeverHelps(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		e := random(r)
		p := DefaultPolicy()
		if r.IntN(2) == 0 {
			p = unlimited()
		}
		near, far := e.UnlockRadiusMeters*3*r.Float64(), 0.0
		far = near + 3000*r.Float64()
		a, b := e, e
		a.Claimed, b.Claimed = north(near), north(far)
		a.Photo.Position, b.Photo.Position = nil, nil
		worse(t, a, b, p)

		a, b = e, e
		a.Photo.Position, b.Photo.Position = to(north(near)), to(north(far))
		worse(t, a, b, p)
	}
}

func TestAgeNeverHelps(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		a := random(r)
		a.CapturedAt = nil
		at := noon.Add(-time.Duration(r.Int64N(int64(40 * time.Hour))))
		uncertainty := []time.Duration{0, time.Minute, 14 * time.Hour}[r.IntN(3)]
		b := a
		a.Photo.Times = []Timestamp{{At: at, Uncertainty: uncertainty}}
		b.Photo.Times = []Timestamp{{At: at.Add(-time.Duration(r.Int64N(int64(40 * time.Hour)))), Uncertainty: uncertainty}}
		worse(t, a, b, DefaultPolicy())
	}
}

// Neither withholding evidence nor having none is ever punished: it leads to a
// review at worst, and it never makes of a review a success.
func TestMissingEvidenceNeverFails(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		honest := random(r)
		honest.CapturedAt = nil
		for _, strip := range []func(e *Evidence){
			func(e *Evidence) { e.Photo.Position = nil },
			func(e *Evidence) { e.Photo.Times = nil },
			func(e *Evidence) { e.AccuracyMeters = nil },
			func(e *Evidence) { e.Photo, e.AccuracyMeters = PhotoFacts{}, nil },
		} {
			stripped := honest
			strip(&stripped)
			require.NotEqual(t, Failed, Run(stripped, DefaultPolicy()).Status)
			worse(t, honest, stripped, DefaultPolicy())
		}
	}
}

func TestReasonsTellNoPosition(t *testing.T) {
	t.Parallel()
	for _, e := range []Evidence{good(), good(func(e *Evidence) { e.Claimed = north(5000) }), good(func(e *Evidence) { e.Photo.Position = to(north(-9000)) })} {
		for _, c := range Run(e, DefaultPolicy()).Checks {
			require.NotContains(t, c.Reason, "53.")
			require.NotContains(t, c.Reason, "8.7")
			require.NotContains(t, c.Reason, "north")
		}
	}
}
