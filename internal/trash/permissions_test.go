package trash_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/trash"
)

func TestPermissions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	moderator := b.As("moderator")
	area := b.Area(b.creator, "Town")
	landmark := b.Landmark(b.creator, area.ID, "Crane", harbour(1))
	gone := b.User()
	b.deleteMe(gone)
	b.deleteLandmark(b.creator, landmark.ID)
	b.deleteArea(b.creator, area.ID)
	for path, method := range map[string]string{
		"/api/v1/admin/trash": http.MethodGet,
		"/api/v1/admin/areas/" + area.ID.String() + "/restore":         http.MethodPost,
		"/api/v1/admin/landmarks/" + landmark.ID.String() + "/restore": http.MethodPost,
		"/api/v1/admin/users/" + gone.ID.String() + "/restore":         http.MethodPost,
		"/api/v1/admin/areas/" + area.ID.String():                      http.MethodDelete,
		"/api/v1/admin/landmarks/" + landmark.ID.String():              http.MethodDelete,
		"/api/v1/admin/users/" + gone.ID.String():                      http.MethodDelete,
	} {
		for _, who := range []*apptest.Client{moderator, b.creator} {
			response, body := b.Call(who, method, path, "", nil)
			apptest.Problem(t, http.StatusForbidden, response, body)
		}
		response, body := b.Call(nil, method, path, "", nil)
		apptest.Problem(t, http.StatusUnauthorized, response, body)
	}
	require.Len(t, b.list(b.admin, nil).Items, 3)

	t.Run("of what is one's own, where a policy says so", func(t *testing.T) {
		own := authz.WithCaller(b.ctx, authz.Caller{UserID: b.creator.ID, Scope: authz.Own})
		other := authz.WithCaller(b.ctx, authz.Caller{UserID: moderator.ID, Scope: authz.Own})
		mine, err := b.Trash.List(own, trash.Filter{}, pageOf(0))
		require.NoError(t, err)
		require.Len(t, mine.Items(), 2)
		theirs, err := b.Trash.List(other, trash.Filter{}, pageOf(0))
		require.NoError(t, err)
		require.Empty(t, theirs.Items())
		_, err = b.Trash.Restore(other, trash.Area, area.ID)
		require.ErrorContains(t, err, "not_found")
		require.ErrorContains(t, b.Trash.Purge(other, trash.Area, area.ID), "not_found")
		_, err = b.Trash.Restore(own, trash.Area, area.ID)
		require.NoError(t, err)
	})
}
