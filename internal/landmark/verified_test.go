package landmark_test

import (
	"context"
	"testing"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// TestOwnersChangesOfWhatWasVerified changes a verified landmark with a radius of
// 100 m in steps.
func TestOwnersChangesOfWhatWasVerified(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	owner, moderator := s.User(), s.As("moderator")
	area := s.Area(owner, "Harbour")
	// A degree of latitude is some 111 km.
	north := func(meters float64) *float64 { return new(here.Latitude + meters/111_300) }
	spot := func(meters float64) nullable.Nullable[api.PositionUpdate] {
		return nullable.NewNullableWithValue(api.PositionUpdate{Latitude: north(meters), Longitude: &here.Longitude})
	}
	type step struct {
		by       *apptest.Client
		change   api.LandmarkUpdate
		verified bool
	}
	for name, steps := range map[string][]step{
		"a move within the radius":   {{owner, api.LandmarkUpdate{Latitude: north(90)}, true}},
		"a move beyond the radius":   {{owner, api.LandmarkUpdate{Latitude: north(110)}, false}},
		"a move by small steps":      {{owner, api.LandmarkUpdate{Latitude: north(60)}, true}, {owner, api.LandmarkUpdate{Latitude: north(120)}, false}},
		"a move there and back":      {{owner, api.LandmarkUpdate{Latitude: north(60)}, true}, {owner, api.LandmarkUpdate{Latitude: north(-60)}, true}},
		"a radius that grows first":  {{owner, api.LandmarkUpdate{UnlockRadiusMeters: new(5000.0)}, true}, {owner, api.LandmarkUpdate{Latitude: north(3000)}, false}},
		"both at once":               {{owner, api.LandmarkUpdate{UnlockRadiusMeters: new(5000.0), Latitude: north(3000)}, false}},
		"a photo spot far away":      {{owner, api.LandmarkUpdate{PhotoLocation: spot(3000)}, false}},
		"a photo spot nearby":        {{owner, api.LandmarkUpdate{PhotoLocation: spot(80)}, true}},
		"another name":               {{owner, api.LandmarkUpdate{Name: new("Casino")}, false}},
		"the same name":              {{owner, api.LandmarkUpdate{Name: new("  Lighthouse the same name "), Hint: nullable.NewNullableWithValue("Look up.")}, true}},
		"a hint":                     {{owner, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("Look up.")}, true}},
		"a moderator's move":         {{moderator, api.LandmarkUpdate{Latitude: north(3000), Name: new("Casino")}, true}},
		"a move after a moderator's": {{owner, api.LandmarkUpdate{Latitude: north(90)}, true}, {moderator, api.LandmarkUpdate{Latitude: north(500)}, true}, {owner, api.LandmarkUpdate{Latitude: north(590)}, true}, {owner, api.LandmarkUpdate{Latitude: north(610)}, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := s.Landmark(owner, area.ID, "Lighthouse "+name, here, func(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) })
			verify := func() {
				verified, err := moderator.VerifyLandmarkWithResponse(ctx, made.ID)
				require.NoError(t, err)
				require.True(t, verified.JSON200.IsVerified)
			}
			verify()
			for i, step := range steps {
				got := patch(t, step.by, made.ID, step.change)
				require.NotNil(t, got.JSON200, string(got.Body))
				require.Equal(t, step.verified, got.JSON200.IsVerified, "step %d", i)
				read, err := owner.GetLandmarkWithResponse(ctx, made.ID, nil)
				require.NoError(t, err)
				require.Equal(t, step.verified, read.JSON200.IsVerified, "step %d, read again", i)
			}
			// What is verified anew is judged by itself.
			verify()
			got := patch(t, owner, made.ID, api.LandmarkUpdate{Hint: nullable.NewNullableWithValue("Look down.")})
			require.NotNil(t, got.JSON200, string(got.Body))
			require.True(t, got.JSON200.IsVerified)
		})
	}

	t.Run("an area's name", func(t *testing.T) {
		t.Parallel()
		for _, by := range []*apptest.Client{owner, moderator} {
			made := s.Area(owner, "Old town of "+by.Username)
			verified, err := moderator.VerifyAreaWithResponse(ctx, made.ID)
			require.NoError(t, err)
			require.True(t, verified.JSON200.IsVerified)
			got, err := by.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID, nil, api.AreaUpdate{Description: nullable.NewNullableWithValue("Quays."), Name: new(" Old town of " + by.Username)})
			require.NoError(t, err)
			require.True(t, got.JSON200.IsVerified, "the name is the same")
			got, err = by.UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, made.ID, nil, api.AreaUpdate{Name: new("Mine of " + by.Username)})
			require.NoError(t, err)
			require.Equal(t, by == moderator, got.JSON200.IsVerified)
		}
	})
}
