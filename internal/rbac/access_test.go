package rbac_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/version"
)

func TestRoleAccess(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.New(t)
	admin, moderator, owner, other := s.As("admin"), s.As("moderator"), s.User(), s.User()
	ask := func(in api.PolicyCheck) *api.ValidateAccessResponse {
		got, err := admin.ValidateAccessWithResponse(ctx, in)
		require.NoError(t, err)
		return got
	}
	answered := func(in api.PolicyCheck) api.PolicyDecision {
		t.Helper()
		got := ask(in)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	lines := strings.Split(s.Policy.Live().Text(), "\n")
	number := func(line string) int {
		for i := range lines {
			if lines[i] == line {
				return i + 1
			}
		}
		t.Fatalf("the policy has no line %q", line)
		return 0
	}

	t.Run("of a role is explained", func(t *testing.T) {
		line := "p, moderator, area,     verify,   any, allow"
		got := answered(api.PolicyCheck{Role: new("admin"), Permission: "area:verify"})
		require.Equal(t, api.PolicyLine{Number: number(line), Text: line}, got.Line.MustGet())
		require.Equal(t, []string{"admin", "moderator"}, got.Path)
		require.True(t, got.Allowed)
		require.EqualValues(t, "any", got.Decision)
		require.Equal(t, "admin", got.Role)
		require.Equal(t, int64(1), got.Version)
		require.Equal(t, fmt.Sprintf("Line %d allows area:verify to moderator, on everybody's objects. admin inherits from it.", number(line)), got.Reason)
		require.Empty(t, got.Considered)

		own := answered(api.PolicyCheck{Role: new("moderator"), Permission: "area:delete"})
		require.True(t, own.Allowed, "at least their own")
		require.EqualValues(t, "own", own.Decision)
		all := answered(api.PolicyCheck{Role: new("moderator"), Permission: "area:update"})
		ownLine := "p, user, area,     update, own, allow"
		require.Equal(t, []string{fmt.Sprintf("Line %d: %s", number(ownLine), ownLine)}, all.Considered)

		refusal := answered(api.PolicyCheck{Role: new("user"), Permission: "policy:manage"})
		require.False(t, refusal.Allowed)
		require.EqualValues(t, "denied", refusal.Decision)
		require.True(t, refusal.Line.IsNull())
		require.Len(t, refusal.Considered, 1)
		require.Equal(t, "No line speaks of the role ghost.", answered(api.PolicyCheck{Role: new("ghost"), Permission: "area:read"}).Reason)
		require.Equal(t, "No line speaks of moon:visit.", answered(api.PolicyCheck{Role: new("user"), Permission: "moon:visit"}).Reason)
	})

	t.Run("of a user is that of their role, and none when they are suspended", func(t *testing.T) {
		got := answered(api.PolicyCheck{UserID: &moderator.ID, Permission: "area:verify"})
		require.True(t, got.Allowed)
		require.Equal(t, "moderator", got.Role)
		suspended := s.As("moderator")
		_, err := s.Accounts.Manage(ctx, suspended.ID, account.Change{Status: new(entuser.StatusSuspended)}, version.Precondition{})
		require.NoError(t, err)
		got = answered(api.PolicyCheck{UserID: &suspended.ID, Permission: "area:verify"})
		require.False(t, got.Allowed)
		require.EqualValues(t, "any", got.Decision)
		require.True(t, strings.HasPrefix(got.Reason, "The account is suspended. Line "), got.Reason)
	})

	t.Run("to an object is its owner's, and theirs who have it to everybody's", func(t *testing.T) {
		at := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
		area := s.Area(owner, "Harbour")
		light := s.Landmark(owner, area.ID, "Lighthouse", at)
		attempt := s.Decided(owner, s.Attempt(owner, light.ID, apptest.Photo(t, at, time.Now()), at).ID)
		require.False(t, attempt.UnlockID.IsNull())
		for kind, id := range map[api.PolicyCheckEntityType]uuid.UUID{
			"area": area.ID, "landmark": light.ID, "attempt": attempt.ID, "unlock": attempt.UnlockID.MustGet(),
		} {
			permission := string(kind) + ":update"
			if kind == "attempt" {
				permission = "attempt:read"
			}
			about := func(by *apptest.Client, permission string, id uuid.UUID) api.PolicyCheck {
				return api.PolicyCheck{UserID: &by.ID, Permission: permission, EntityType: &kind, EntityID: &id}
			}
			own := answered(about(owner, permission, id))
			require.True(t, own.Allowed, kind)
			require.EqualValues(t, "own", own.Decision, kind)
			foreign := answered(about(other, permission, id))
			require.False(t, foreign.Allowed, kind)
			require.EqualValues(t, "own", foreign.Decision, kind)
			require.True(t, strings.HasSuffix(foreign.Reason, fmt.Sprintf(" This %s belongs to somebody else.", kind)), foreign.Reason)
			require.True(t, answered(about(admin, permission, id)).Allowed, kind)
			require.False(t, answered(about(owner, string(kind)+":polish", id)).Allowed, kind)
			// What is not there is not there for those who may do all or nothing, either.
			for _, by := range []*apptest.Client{owner, admin} {
				for _, p := range []string{permission, string(kind) + ":polish"} {
					missing := ask(about(by, p, uuid.New()))
					refusedRole(t, http.StatusNotFound, "not_found", missing.HTTPResponse, missing.Body)
				}
			}
		}
		unknown := ask(api.PolicyCheck{UserID: new(uuid.New()), Permission: "area:read"})
		refusedRole(t, http.StatusNotFound, "not_found", unknown.HTTPResponse, unknown.Body)
	})

	t.Run("is not asked about with what does not go together", func(t *testing.T) {
		area := api.PolicyCheckEntityType("area")
		id := uuid.New()
		for name, test := range map[string]struct {
			in       api.PolicyCheck
			pointers []string
		}{
			"nobody":                        {api.PolicyCheck{Permission: "area:read"}, []string{"/role"}},
			"a role and a user":             {api.PolicyCheck{Permission: "area:read", Role: new("user"), UserID: &owner.ID}, []string{"/role"}},
			"a kind without an id":          {api.PolicyCheck{Permission: "area:read", UserID: &owner.ID, EntityType: &area}, []string{"/entity_id"}},
			"an id without a kind":          {api.PolicyCheck{Permission: "area:read", UserID: &owner.ID, EntityID: &id}, []string{"/entity_id"}},
			"an object of a role":           {api.PolicyCheck{Permission: "area:read", Role: new("user"), EntityType: &area, EntityID: &id}, []string{"/user_id"}},
			"an object of another kind":     {api.PolicyCheck{Permission: "unlock:update", UserID: &owner.ID, EntityType: &area, EntityID: &id}, []string{"/entity_type"}},
			"several of these, all at once": {api.PolicyCheck{Permission: "area:read", EntityID: &id}, []string{"/entity_id", "/role", "/user_id"}},
		} {
			got := ask(test.in)
			p := refusedRole(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)
			var pointers []string
			for _, e := range *p.Errors {
				require.Equal(t, "combination", e.Code, name)
				pointers = append(pointers, *e.Pointer)
			}
			require.Equal(t, test.pointers, pointers, name)
		}
		for _, in := range []api.PolicyCheck{
			{Role: new("user"), Permission: "area"}, {Role: new("user"), Permission: "Area:Read"}, {Role: new("user")},
			{UserID: &owner.ID, Permission: "user:read", EntityType: new(api.PolicyCheckEntityType("user")), EntityID: &owner.ID},
		} {
			got := ask(in)
			refusedRole(t, http.StatusBadRequest, "invalid_request", got.HTTPResponse, got.Body)
		}
	})
}
