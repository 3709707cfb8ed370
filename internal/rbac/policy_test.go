package rbac_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/version"
	"github.com/picaspot/picaspot/policy"
)

func TestMain(m *testing.M) { apptest.Main(m) }

// get is the live policy and its entity tag.
func get(t *testing.T, by *apptest.Client) (text, etag string) {
	t.Helper()
	got, err := by.GetPolicyWithResponse(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	return string(got.Body), got.HTTPResponse.Header.Get("ETag")
}

func put(t *testing.T, by *apptest.Client, ifMatch, text string, comment ...string) *api.ReplacePolicyResponse {
	t.Helper()
	params := &api.ReplacePolicyParams{IfMatch: ifMatch}
	if len(comment) > 0 {
		params.Comment = &comment[0]
	}
	got, err := by.ReplacePolicyWithBodyWithResponse(context.Background(), params, "text/csv", strings.NewReader(text))
	require.NoError(t, err)
	return got
}

func made(t *testing.T, got *api.ReplacePolicyResponse) api.PolicyVersion {
	t.Helper()
	require.NotNil(t, got.JSON200, string(got.Body))
	require.Equal(t, fmt.Sprintf(`"v%d"`, got.JSON200.Version), got.HTTPResponse.Header.Get("ETag"))
	return *got.JSON200
}

func refused(t *testing.T, status int, code string, got *api.ReplacePolicyResponse) api.Problem {
	t.Helper()
	p := apptest.Problem(t, status, got.HTTPResponse, got.Body)
	require.Equal(t, "/problems/"+code, p.Type, string(got.Body))
	return p
}

// messages are what a problem says of each of its faults.
func messages(p api.Problem) []string {
	var all []string
	if p.Errors != nil {
		for _, e := range *p.Errors {
			all = append(all, e.Message)
		}
	}
	return all
}

// entry is what the record says of an edit.
type entry struct {
	actor *uuid.UUID
	lines []string
}

func record(t *testing.T, s *apptest.Server) []entry {
	t.Helper()
	rows, err := s.Store.Pool.Query(context.Background(),
		`SELECT actor_id, changes->'lines'->'after' FROM audit_logs WHERE action = 'policy_changed' AND entity_type = 'policy' ORDER BY created_at, id`)
	require.NoError(t, err)
	defer rows.Close()
	var all []entry
	for rows.Next() {
		var e entry
		var lines []byte
		require.NoError(t, rows.Scan(&e.actor, &lines))
		require.NoError(t, json.Unmarshal(lines, &e.lines))
		all = append(all, e)
	}
	require.NoError(t, rows.Err())
	return all
}

func manage(t *testing.T, s *apptest.Server, of *apptest.Client, in account.Change) {
	t.Helper()
	_, err := s.Accounts.Manage(context.Background(), of.ID, in, version.Precondition{})
	require.NoError(t, err)
}

const more = "p, moderator, area, delete, any, allow"

func TestPolicy(t *testing.T) {
	t.Parallel()
	ctx := context.Background()

	t.Run("is read as it is kept, and only when it has changed", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		got, err := admin.GetPolicyWithResponse(ctx, nil)
		require.NoError(t, err)
		require.Equal(t, policy.CSV, string(got.Body))
		require.Equal(t, "text/csv", strings.Split(got.HTTPResponse.Header.Get("Content-Type"), ";")[0])
		etag := got.HTTPResponse.Header.Get("ETag")
		require.Equal(t, `"v1"`, etag)
		for _, tag := range []string{etag, "W/" + etag, `"v0", ` + etag} {
			same, err := admin.GetPolicyWithResponse(ctx, &api.GetPolicyParams{IfNoneMatch: &tag})
			require.NoError(t, err)
			require.Equal(t, http.StatusNotModified, same.StatusCode(), tag)
		}
		made(t, put(t, admin, etag, policy.CSV+more))
		again, err := admin.GetPolicyWithResponse(ctx, &api.GetPolicyParams{IfNoneMatch: &etag})
		require.NoError(t, err)
		require.Equal(t, policy.CSV+more, string(again.Body))
	})

	t.Run("is replaced whole, with its comments, and holds from the next request on", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin, moderator := s.As("admin"), s.As("moderator")
		area := s.Area(s.User(), "Harbour")
		remove := func() int {
			gone, err := moderator.DeleteAreaWithResponse(ctx, area.ID, nil)
			require.NoError(t, err)
			return gone.StatusCode()
		}
		require.Equal(t, http.StatusForbidden, remove())
		text, etag := get(t, admin)
		next := text + "\n# They clean up.\n" + more + "\n"
		v := made(t, put(t, admin, etag, next, "Moderators clean up."))
		require.Equal(t, int64(2), v.Version)
		require.Equal(t, admin.ID, v.CreatedBy.MustGet())
		require.Equal(t, "Moderators clean up.", v.Comment)
		require.Equal(t, "+# They clean up.\n+"+more, v.Diff)
		kept, etag := get(t, admin)
		require.Equal(t, next, kept)
		require.Equal(t, `"v2"`, etag)
		require.Equal(t, http.StatusNoContent, remove())

		require.Equal(t, []entry{
			{nil, authz.Diff("", policy.CSV)},
			{&admin.ID, []string{"+# They clean up.", "+" + more}},
		}, record(t, s))
	})

	t.Run("makes no version of a text that is the same, or is what a spreadsheet makes of it", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		text, etag := get(t, admin)
		for _, same := range []string{text, "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")} {
			v := made(t, put(t, admin, etag, same, "Nothing."))
			require.Equal(t, int64(1), v.Version)
			require.True(t, v.CreatedBy.IsNull())
		}
		require.Equal(t, 1, s.Store.Ent.PolicyVersion.Query().CountX(ctx))
		require.Len(t, record(t, s), 1)
	})

	t.Run("is not replaced by whoever has not seen it", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		text, etag := get(t, admin)
		response, body := s.Call(admin, http.MethodPut, "/api/v1/admin/policy", "text/csv", strings.NewReader(text))
		apptest.Problem(t, http.StatusBadRequest, response, body)
		require.Equal(t, http.StatusBadRequest, put(t, admin, "", text+more).StatusCode(), "an empty If-Match names nothing")

		changed := strings.Replace(text, "p, user, feed,     read,   any, allow", more, 1)
		require.NotEqual(t, text, changed)
		made(t, put(t, admin, etag, changed))
		p := refused(t, http.StatusPreconditionFailed, "policy_changed", put(t, admin, etag, text+"# late\n"))
		require.Equal(t, "The policy is at version 2 by now; since version 1 2 lines have changed.", *p.Detail)
		require.ElementsMatch(t, []string{"-p, user, feed,     read,   any, allow", "+" + more}, messages(p))
		for _, unknown := range []string{`"v999"`, `"x"`, `W/"v2"`, "v2", `"v99999999999999999999"`, `"v-1"`} {
			p := refused(t, http.StatusPreconditionFailed, "policy_changed", put(t, admin, unknown, text+"# late\n"))
			require.Equal(t, "The policy is at version 2 by now.", *p.Detail, unknown)
			require.Empty(t, messages(p), unknown)
		}
		require.Len(t, record(t, s), 2, "what failed is not on record")
		require.Equal(t, int64(3), made(t, put(t, admin, `"v999", "v2"`, text+strings.Repeat("# more\n", 200))).Version)
		p = refused(t, http.StatusPreconditionFailed, "policy_changed", put(t, admin, etag, text+"# late"))
		require.Len(t, messages(p), 50, "the first of many")
		require.Contains(t, *p.Detail, "200 lines have changed")
	})

	t.Run("with faults is refused, and every faulty line is named", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		text, etag := get(t, admin)
		n := strings.Count(text, "\n")
		faulty := text + strings.Join([]string{
			"p, moderator, area, fly, any, allow", "p, moderator, area, verify, own, allow", "p, moderator, area, delete, any, maybe",
			"q, x", "g, moderator, nobody", "g, rover, rover", "p, user, area, read, any",
		}, "\n")
		p := refused(t, http.StatusBadRequest, "invalid_policy", put(t, admin, etag, faulty))
		require.Equal(t, "The policy has 7 faults.", *p.Detail)
		for i, message := range messages(p) {
			require.True(t, strings.HasPrefix(message, fmt.Sprintf("Line %d: ", n+1+i)), message)
		}
		for _, test := range []struct{ text, code string }{
			{"# nothing is left", "locked_out"},
			{strings.ReplaceAll(text, "p, admin, policy,", "# "), "locked_out"},
			{text + "p, admin, policy, manage, any, deny\n", "locked_out"},
			{strings.Repeat("#\n", 5001), "too_long"},
		} {
			p := refused(t, http.StatusBadRequest, "invalid_policy", put(t, admin, etag, test.text))
			require.NotNil(t, p.Errors)
			var codes []string
			for _, e := range *p.Errors {
				codes = append(codes, e.Code)
			}
			require.Contains(t, codes, test.code)
		}
		require.Equal(t, int64(1), s.Policy.Live().Version())
		require.Equal(t, 1, s.Store.Ent.PolicyVersion.Query().CountX(ctx))
		require.Len(t, record(t, s), 1)
	})

	t.Run("that is no text, too large, or something else is not read", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		_, etag := get(t, admin)
		send := func(contentType, body string) (*http.Response, []byte) {
			got, err := admin.ReplacePolicyWithBodyWithResponse(ctx, &api.ReplacePolicyParams{IfMatch: etag}, contentType, strings.NewReader(body))
			require.NoError(t, err)
			return got.HTTPResponse, got.Body
		}
		for _, contentType := range []string{"application/json", "text/plain", "", "text/csv; charset=latin1"} {
			response, body := send(contentType, policy.CSV)
			apptest.Problem(t, http.StatusUnsupportedMediaType, response, body)
		}
		for _, text := range []string{"", "# \x00\n", "# \xff\n"} {
			response, body := send("text/csv", text)
			apptest.Problem(t, http.StatusBadRequest, response, body)
		}
		response, body := send("text/csv; charset=UTF-8", strings.Repeat("# policy\n", 150_000))
		apptest.Problem(t, http.StatusRequestEntityTooLarge, response, body)
		refused(t, http.StatusBadRequest, "invalid_request", put(t, admin, etag, policy.CSV+more, strings.Repeat("x", 501)))
	})

	t.Run("keeps the roles that somebody has", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		moderator := s.As("moderator")
		text, etag := get(t, admin)
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "p, moderator") && line != "g, moderator, user\n" && line != "g, admin, moderator\n" {
				kept = append(kept, line)
			}
		}
		without := strings.Join(kept, "")
		p := refused(t, http.StatusConflict, "role_in_use", put(t, admin, etag, without))
		require.Equal(t, []string{"Give those who have the role moderator another one first."}, messages(p))
		require.Len(t, record(t, s), 1)
		manage(t, s, moderator, account.Change{Role: new("user")})
		made(t, put(t, admin, etag, without))
	})

	t.Run("is replaced by one of two at once, and the other is told", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admins := []*apptest.Client{s.As("admin"), s.As("admin")}
		for round := range 5 {
			text, etag := get(t, admins[0])
			answers := make([]*api.ReplacePolicyResponse, len(admins))
			var wg sync.WaitGroup
			for i, admin := range admins {
				wg.Go(func() { answers[i] = put(t, admin, etag, fmt.Sprintf("%s# %d by %d\n", text, round, i)) })
			}
			wg.Wait()
			winner, loser := 0, 1
			if answers[0].JSON200 == nil {
				winner, loser = 1, 0
			}
			require.Equal(t, int64(round+2), made(t, answers[winner]).Version)
			p := refused(t, http.StatusPreconditionFailed, "policy_changed", answers[loser])
			require.Equal(t, []string{fmt.Sprintf("+# %d by %d", round, winner)}, messages(p))
			now, _ := get(t, admins[0])
			require.Equal(t, fmt.Sprintf("%s# %d by %d\n", text, round, winner), now)
		}
		require.Len(t, record(t, s), 6)
	})

	t.Run("leaves an account that may change it again", func(t *testing.T) {
		t.Parallel()
		s := apptest.NewWithoutWorkers(t)
		admin := s.As("admin")
		text, etag := get(t, admin)
		// Somebody may, but nobody who can log in.
		moved := strings.Replace(text, "p, admin, policy,", "p, keeper, policy,", 1)
		refused(t, http.StatusConflict, "last_policy_manager", put(t, admin, etag, moved))
		keeper := s.User()
		made(t, put(t, admin, etag, text+"p, keeper, policy, manage, any\n"))
		manage(t, s, keeper, account.Change{Role: new("keeper"), Status: new(entuser.StatusSuspended)})
		refused(t, http.StatusConflict, "last_policy_manager", put(t, admin, `"v2"`, moved))
		require.Len(t, record(t, s), 2)
		manage(t, s, keeper, account.Change{Status: new(entuser.StatusActive)})
		made(t, put(t, admin, `"v2"`, moved))
		got, err := admin.GetPolicyWithResponse(ctx, nil)
		require.NoError(t, err)
		apptest.Problem(t, http.StatusForbidden, got.HTTPResponse, got.Body)

		// An operator has other ways, and a new installation has no accounts yet.
		_, err = s.Policy.Replace(ctx, version.Precondition{}, "", strings.ReplaceAll(moved, "keeper", "nobody")+"p, keeper, area, read, any\n")
		require.NoError(t, err)
	})
}

func TestPolicyVersions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	texts := []string{policy.CSV}
	for i := range 6 {
		texts = append(texts, fmt.Sprintf("%s# %d\n", policy.CSV, i))
		made(t, put(t, admin, fmt.Sprintf(`"v%d"`, i+1), texts[i+1], fmt.Sprint("edit ", i)))
	}
	list := func(params api.ListPolicyVersionsParams) api.PolicyVersionList {
		got, err := admin.ListPolicyVersionsWithResponse(ctx, &params)
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		return *got.JSON200
	}
	revert := func(number int64, ifMatch *string) *api.RestorePolicyVersionResponse {
		got, err := admin.RestorePolicyVersionWithResponse(ctx, number, &api.RestorePolicyVersionParams{IfMatch: ifMatch})
		require.NoError(t, err)
		return got
	}

	t.Run("are listed with what each changed", func(t *testing.T) {
		all := list(api.ListPolicyVersionsParams{})
		require.Equal(t, 7, *all.Total)
		require.Len(t, all.Items, 7)
		for i, v := range all.Items {
			require.Equal(t, int64(7-i), v.Version, "the newest first")
			switch v.Version {
			case 1:
				require.True(t, v.CreatedBy.IsNull())
				require.Equal(t, strings.Join(authz.Diff("", policy.CSV), "\n"), v.Diff)
			case 2:
				require.Equal(t, "+# 0", v.Diff)
			default:
				require.Equal(t, admin.ID, v.CreatedBy.MustGet())
				require.Equal(t, fmt.Sprintf("-# %d\n+# %d", v.Version-3, v.Version-2), v.Diff)
				require.Equal(t, fmt.Sprint("edit ", v.Version-2), v.Comment)
			}
		}
	})

	t.Run("are listed by pages and by cursor, either way round", func(t *testing.T) {
		for _, order := range []api.ListPolicyVersionsParamsSortOrder{"asc", "desc"} {
			whole := list(api.ListPolicyVersionsParams{SortOrder: &order})
			var paged, walked []api.PolicyVersion
			for number := 1; number <= 4; number++ {
				p := list(api.ListPolicyVersionsParams{SortOrder: &order, Page: &number, Size: new(2)})
				require.Equal(t, []int{7, 4}, []int{*p.Total, *p.Pages})
				paged = append(paged, p.Items...)
			}
			for cursor := new(""); cursor != nil; {
				p := list(api.ListPolicyVersionsParams{SortOrder: &order, Cursor: cursor, Size: new(2)})
				require.Nil(t, p.Total)
				walked = append(walked, p.Items...)
				cursor = p.NextCursor
			}
			require.Equal(t, whole.Items, paged, order)
			require.Equal(t, whole.Items, walked, order)
		}
		wrong, err := admin.ListPolicyVersionsWithResponse(ctx, &api.ListPolicyVersionsParams{Cursor: new("x")})
		require.NoError(t, err)
		apptest.Problem(t, http.StatusBadRequest, wrong.HTTPResponse, wrong.Body)
	})

	t.Run("come back as new ones", func(t *testing.T) {
		stale := `"v6"`
		late := revert(2, &stale)
		p := apptest.Problem(t, http.StatusPreconditionFailed, late.HTTPResponse, late.Body)
		require.Equal(t, "/problems/policy_changed", p.Type)
		present := `"v7"`
		back := revert(2, &present)
		require.NotNil(t, back.JSON200, string(back.Body))
		require.Equal(t, `"v8"`, back.HTTPResponse.Header.Get("ETag"))
		require.Equal(t, int64(8), back.JSON200.Version)
		require.Equal(t, "Back to version 2.", back.JSON200.Comment)
		require.Equal(t, "-# 5\n+# 0", back.JSON200.Diff)
		text, _ := get(t, admin)
		require.Equal(t, texts[1], text)
		same := revert(8, nil)
		require.Equal(t, int64(8), same.JSON200.Version, "it is there already")
		require.Equal(t, 8, *list(api.ListPolicyVersionsParams{}).Total)
		all := record(t, s)
		require.Equal(t, entry{&admin.ID, []string{"-# 5", "+# 0"}}, all[len(all)-1])
	})

	t.Run("that are unknown, or would not be taken today, do not", func(t *testing.T) {
		for number, status := range map[int64]int{99: http.StatusNotFound, 0: http.StatusBadRequest, -1: http.StatusBadRequest} {
			got := revert(number, nil)
			apptest.Problem(t, status, got.HTTPResponse, got.Body)
		}
		_, err := s.Policy.Replace(ctx, version.Precondition{}, "", policy.CSV+"p, curator, area, verify, any\n")
		require.NoError(t, err)
		_, err = s.Accounts.Create(ctx, account.Registration{Username: "curator", Email: "curator@example.org", Password: apptest.Password}, "curator")
		require.NoError(t, err)
		got := revert(1, nil)
		p := apptest.Problem(t, http.StatusConflict, got.HTTPResponse, got.Body)
		require.Equal(t, "/problems/role_in_use", p.Type)
		require.Equal(t, int64(9), s.Policy.Live().Version())
	})
}

func TestEditLeavesNothingBehindWhenItFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	add := func(text string) (string, error) { return text + more + "\n", nil }
	for _, table := range []string{"policy_versions", "audit_logs"} {
		relent := s.Refuse("INSERT", table)
		_, err := s.Policy.Edit(ctx, version.Precondition{}, "", add)
		require.ErrorContains(t, err, "refused", table)
		relent()
		require.Equal(t, int64(1), s.Policy.Live().Version())
		require.Equal(t, 1, s.Store.Ent.PolicyVersion.Query().CountX(ctx))
		require.Len(t, record(t, s), 1)
	}
	_, err := s.Policy.Edit(ctx, version.Precondition{}, "", func(string) (string, error) { return "", fault.New(fault.Conflict, "no", "No.") })
	require.ErrorIs(t, err, fault.New(fault.Conflict, "no", ""))
	_, err = s.Policy.Edit(ctx, version.Precondition{}, "", add)
	require.NoError(t, err)
	require.Equal(t, []entry{{nil, authz.Diff("", policy.CSV)}, {nil, []string{"+" + more}}}, record(t, s))
}

func TestOpenSeedsOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	_, err := s.Policy.Replace(ctx, version.Precondition{}, "", policy.CSV+more)
	require.NoError(t, err)
	const asked authz.Permission = "moon:visit"
	again := open(t, s, asked)
	require.Equal(t, int64(2), again.Live().Version())
	require.Equal(t, policy.CSV+more, again.Live().Text())
	require.Same(t, again.Live(), again.Authorizer().Current())
	require.Contains(t, again.Known(), asked)
	require.Subset(t, again.Known(), again.Live().Permissions())
	require.Equal(t, 2, s.Store.Ent.PolicyVersion.Query().CountX(ctx))
	require.Len(t, record(t, s), 2)
}

// open is the policy as another service sees it that runs on the same database.
func open(t *testing.T, s *apptest.Server, known ...authz.Permission) *rbac.Policy {
	t.Helper()
	cursors, err := page.NewCodec(make([]byte, 32))
	require.NoError(t, err)
	service, err := rbac.OpenPolicy(context.Background(), s.Store, known, cursors)
	require.NoError(t, err)
	return service
}

func TestOwnerIsKnownOfWhatCanBeOwned(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	owner, err := s.Policy.Owner(ctx, "area", area.ID)
	require.NoError(t, err)
	require.Equal(t, creator.ID, owner)
	for _, kind := range []string{"area", "landmark", "attempt", "unlock"} {
		_, err := s.Policy.Owner(ctx, kind, uuid.New())
		require.Equal(t, fault.NotFound, fault.KindOf(err), kind)
	}
	_, err = s.Policy.Owner(ctx, "moon", area.ID)
	require.ErrorContains(t, err, `"moon"`)
}

// The account that is left to change the policy can log in.
func TestEditLeavesAManagerWhoCanLogIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	admin := s.As("admin")
	_, err := s.Policy.Edit(ctx, version.Precondition{}, "", func(text string) (string, error) { return text + "g, deputy, admin\n", nil })
	require.NoError(t, err)
	deputy := s.As("deputy")
	text, etag := get(t, admin)
	next := text + "p, deputy, policy, manage, any, allow\n"
	next = strings.Replace(next, "p, admin, policy,   manage, any, allow\n", "", 1)
	require.NotEqual(t, len(text)+len("p, deputy, policy, manage, any, allow\n"), len(next))
	for _, can := range []string{
		"UPDATE users SET email_verified_at = NULL WHERE id = $1",
		"UPDATE users SET email_verified_at = now(), status = 'suspended' WHERE id = $1",
	} {
		_, err = s.Store.Pool.Exec(ctx, can, deputy.ID)
		require.NoError(t, err)
		refused(t, http.StatusConflict, "last_policy_manager", put(t, admin, etag, next))
	}
	_, err = s.Store.Pool.Exec(ctx, "UPDATE users SET status = 'active' WHERE id = $1", deputy.ID)
	require.NoError(t, err)
	made(t, put(t, admin, etag, next))
}
