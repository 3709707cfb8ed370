package verify

import (
	"cmp"
	"time"
)

// checkPhotoTime asks whether the photo's time is possible and the one that the
// device claims.
func checkPhotoTime(e Evidence, p Policy) Check {
	if e.CapturedAt != nil {
		switch ahead := e.CapturedAt.Sub(e.SubmittedAt); {
		case ahead > p.TimeContradiction:
			return failed(PhotoTime, "Your device says that the photo was taken %s after it was handed in.", elapsed(e.SubmittedAt, *e.CapturedAt))
		case ahead > p.ClockSkew:
			return abstained(PhotoTime, "Your device says that the photo was taken %s after it was handed in; its clock may be wrong.", elapsed(e.SubmittedAt, *e.CapturedAt))
		}
	}
	_, check, ok := e.ownTime(p)
	if !ok {
		return abstained(PhotoTime, "The photo does not say when it was taken.")
	}
	return check
}

// ownTime returns the one of the photo's times that counts, and what comes of it.
// Where they differ it is the one that agrees best with the claim, or with the time
// of submission where none is claimed: receivers state old fixes and wrong dates,
// and cameras have clocks that were never set. So it takes all of them to refute
// the claim.
func (e Evidence) ownTime(p Policy) (best Timestamp, check Check, ok bool) {
	for _, t := range e.Photo.Times {
		c := e.judge(t, p)
		if !ok || cmp.Or(cmp.Compare(agreement[c.Outcome], agreement[check.Outcome]), cmp.Compare(e.apart(best), e.apart(t))) > 0 {
			best, check, ok = t, c, true
		}
	}
	return best, check, ok
}

// agreement orders outcomes.
var agreement = map[Outcome]int{Fail: 0, Abstain: 1, Pass: 2}

// apart is the least that a time of the photo's can differ from the claimed one.
func (e Evidence) apart(t Timestamp) time.Duration {
	claimed := e.SubmittedAt
	if e.CapturedAt != nil {
		claimed = *e.CapturedAt
	}
	return max(0, t.At.Sub(claimed).Abs()-t.Uncertainty)
}

// judge asks what one of the photo's times says about the claim.
func (e Evidence) judge(t Timestamp, p Policy) Check {
	// The least that it can be ahead.
	oldest, newest := t.At.Add(-t.Uncertainty), t.At.Add(t.Uncertainty)
	switch ahead := oldest.Sub(e.SubmittedAt); {
	case ahead > p.TimeContradiction:
		return failed(PhotoTime, "By its own time the photo was taken %s after it was handed in.", elapsed(e.SubmittedAt, oldest))
	case ahead > p.ClockSkew:
		return abstained(PhotoTime, "By its own time the photo was taken %s after it was handed in; the camera's clock may be wrong.", elapsed(e.SubmittedAt, oldest))
	}
	if e.CapturedAt == nil {
		return passed(PhotoTime, 1, "The photo says when it was taken.")
	}
	before, after := *e.CapturedAt, oldest
	if t.At.Before(*e.CapturedAt) {
		before, after = newest, *e.CapturedAt
	}
	switch apart := e.apart(t); {
	case apart > p.TimeContradiction && t.IsFix && t.At.Before(*e.CapturedAt) && len(e.Photo.Times) == 1:
		return abstained(PhotoTime, "The photo has no other time than that of its position, which is %s older than your device claims.", elapsed(before, after))
	case apart > p.TimeContradiction:
		return failed(PhotoTime, "The photo's own time and the one that your device claims are %s apart.", elapsed(before, after))
	case apart > p.TimeTolerance:
		return abstained(PhotoTime, "The photo's own time and the one that your device claims are %s apart; a clock may be wrong.", elapsed(before, after))
	}
	return passed(PhotoTime, 1, "The photo's own time agrees with the one that your device claims.")
}

// isFixOld reports whether the photo says itself that its position is older than
// the photo. Only a time that does not contradict the claim tells so.
func (e Evidence) isFixOld(p Policy) bool {
	own, check, ok := e.ownTime(p)
	if !ok || own.IsFix || check.Outcome == Fail {
		return false
	}
	for _, t := range e.Photo.Times {
		if t.IsFix && own.At.Sub(t.At)-own.Uncertainty-t.Uncertainty > p.TimeTolerance {
			return true
		}
	}
	return false
}
