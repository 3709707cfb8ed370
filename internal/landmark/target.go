package landmark

import (
	"context"

	"github.com/picaspot/picaspot/ent"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/verify"
)

// Target is where a photo of a landmark has to be taken.
func Target(l *ent.Landmark) verify.Target {
	return verify.Target{
		Location: l.Location, UnlockRadiusMeters: l.UnlockRadiusMeters,
		PhotoLocation: l.PhotoLocation, PhotoRadiusMeters: l.PhotoRadiusMeters,
	}
}

// judgeChange withdraws the verification of a landmark when its owner renames it or
// moves it, or the spot for its photo, beyond the radius that was verified. Many
// small moves count as one, and a radius that was made larger meanwhile does not
// count: what was verified is kept from the first of them on. A change by a caller
// who may verify landmarks is verified by that.
func (s *Service) judgeChange(ctx context.Context, found *ent.Landmark, update *ent.LandmarkUpdateOne) {
	if !found.IsVerified {
		return
	}
	m := update.Mutation()
	name, renamed := m.Name()
	renamed = renamed && name != found.Name
	before, after := Target(found), Target(found)
	if location, ok := m.Location(); ok {
		after.Location = location
	}
	if radius, ok := m.UnlockRadiusMeters(); ok {
		after.UnlockRadiusMeters = radius
	}
	if location, ok := m.PhotoLocation(); ok {
		after.PhotoLocation = location
	} else if m.PhotoLocationCleared() {
		after.PhotoLocation = nil
	}
	if radius, ok := m.PhotoRadiusMeters(); ok {
		after.PhotoRadiusMeters = radius
	}
	moves := !same(before, after)
	verified := found.VerifiedTarget
	switch {
	case s.authz.May(ctx, permissionVerify) == authz.Any:
		if verified != nil && moves {
			update.ClearVerifiedTarget()
		}
	case renamed || moves && moved(*orElse(verified, &before), after):
		update.SetIsVerified(false)
		if verified != nil {
			update.ClearVerifiedTarget()
		}
	case moves && verified == nil:
		update.SetVerifiedTarget(&before)
	}
}

func orElse[T any](value, fallback *T) *T {
	if value != nil {
		return value
	}
	return fallback
}

func same(a, b verify.Target) bool {
	samePhoto := (a.PhotoLocation == nil) == (b.PhotoLocation == nil) && (a.PhotoLocation == nil || *a.PhotoLocation == *b.PhotoLocation)
	a.PhotoLocation, b.PhotoLocation = nil, nil
	return samePhoto && a == b
}

// moved reports whether a landmark, or the spot for its photo, lies beyond the
// radius around what was verified.
func moved(verified, now verify.Target) bool {
	from, radius := verified.Spot()
	to, _ := now.Spot()
	return verified.Location.DistanceMeters(now.Location) > verified.UnlockRadiusMeters || from.DistanceMeters(to) > radius
}
