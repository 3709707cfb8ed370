package search_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	entlandmark "github.com/picaspot/picaspot/ent/landmark"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/search"
)

func TestMain(m *testing.M) { apptest.Main(m) }

var (
	ctx  = context.Background()
	here = geo.Point{Latitude: 53.8671, Longitude: 8.7206}
)

// find returns the names of the landmarks on a page of a list.
func find(t testing.TB, by *apptest.Client, params api.ListLandmarksParams) []string {
	t.Helper()
	return names(list(t, by, params).Items)
}

func list(t testing.TB, by *apptest.Client, params api.ListLandmarksParams) api.LandmarkList {
	t.Helper()
	got, err := by.ListLandmarksWithResponse(ctx, &params)
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, string(got.Body))
	return *got.JSON200
}

func names(of []api.Landmark) []string {
	names := make([]string, len(of))
	for i, l := range of {
		names[i] = l.Name
	}
	return names
}

// again lets a landmark stand where others do.
func again(in *api.LandmarkCreate) { in.AllowDuplicate = new(true) }

// places are what the tests search, with what is said about each.
var places = map[string]string{
	"North Lighthouse":           "White with a red lantern.",
	"Lighthouse":                 "",
	"Light Street":               "",
	"Old Bridge":                 "From here one sees the lighthouse.",
	"Crème Brûlée":               "A shop.",
	"東京タワー":                      "東京都港区芝公園にある総合電波塔。",
	"京都タワービル":                    "",
	"서울타워":                       "",
	"วัดอรุณ":                    "",
	"Красная башня":              "Стоит на холме.",
	"Ёлочный рынок":              "",
	"مَسْجِد الفَاتِح":           "",
	"Αθήνα":                      "",
	"Łódź Główna":                "",
	"Straße des 17. Juni":        "",
	"St. Mary's":                 "",
	"L'Arc/de Triomphe":          "",
	"ＦＵＬＬ　ＷＩＤＴＨ":                 "",
	"Tower of London":            "",
	"👾 Salon":                    "",
	"Ñandú 9":                    "",
	"Trường Đại học":             "",
	"किला लाल":                   "",
	"The Wall of the very North": "",
	"★Hotel Stella★":             "",
	"🏨Pension Anker":             "",
	"Quay→Beacon":                "",
	"תל־אביב":                    "",
	"محطة ١٥":                    "",
	"市ヶ谷駅":                       "",
	"น้ำพุ":                      "",
	"«Rote Fabrik»…Zürich":       "",
}

func TestSearchFindsWhatAPersonMeans(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	for name, description := range places {
		s.Landmark(creator, area.ID, name, here, again, func(in *api.LandmarkCreate) { in.Description = &description })
	}
	for search, want := range map[string][]string{
		// The whole name, then how names begin, then words of the name, then of the rest.
		"lighthouse": {"Lighthouse", "North Lighthouse", "Old Bridge"},
		"LIGHTHOUSE": {"Lighthouse", "North Lighthouse", "Old Bridge"},
		"light":      {"Light Street", "Lighthouse", "North Lighthouse", "Old Bridge"},
		// Mistyped, and mistyped in the middle of typing.
		"lighthuose":   {"Lighthouse", "North Lighthouse", "Old Bridge"},
		"ligthou":      {"Lighthouse", "North Lighthouse", "Old Bridge"},
		"nroth lihgt":  {"North Lighthouse"},
		"old brdige":   {"Old Bridge"},
		"ubrg":         nil,
		"красная башн": {"Красная башня"},
		"красная бшаня": {
			"Красная башня",
		},
		// Words in any order, all of them, with articles or without.
		"lighthouse north":       {"North Lighthouse"},
		"the tower of london":    {"Tower of London"},
		"lighthouse street":      nil,
		"red lantern":            {"North Lighthouse"},
		"холм":                   {"Красная башня"},
		"wall of the very north": {"The Wall of the very North"},
		// Accents, case, width, points and signs.
		"creme brulee":        {"Crème Brûlée"},
		"CRÈME":               {"Crème Brûlée"},
		"Cre\u0300me":         {"Crème Brûlée"},
		"елочный":             {"Ёлочный рынок"},
		"مسجد الفاتح":         {"مَسْجِد الفَاتِح"},
		"ΑΘΗΝΑ":               {"Αθήνα"},
		"lodz":                {"Łódź Główna"},
		"strasse":             {"Straße des 17. Juni"},
		"marys":               {"St. Mary's"},
		"mary's":              {"St. Mary's"},
		"mary’s":              {"St. Mary's"},
		"arc":                 {"L'Arc/de Triomphe"},
		"l'arc de triomphe":   {"L'Arc/de Triomphe"},
		"full width":          {"ＦＵＬＬ　ＷＩＤＴＨ"},
		"ｌｉｇｈｔ　ｓｔｒｅｅｔ":        {"Light Street"},
		"nandu 9":             {"Ñandú 9"},
		"truong dai hoc":      {"Trường Đại học"},
		"किला":                {"किला लाल"},
		"👾":                   {"👾 Salon"},
		"  lighthouse\tNorth": {"North Lighthouse"},
		// Punctuation and symbols separate words, those that are no emoji without being words.
		"hotel":       {"★Hotel Stella★"},
		"stella":      {"★Hotel Stella★"},
		"★hotel":      {"★Hotel Stella★"},
		"pension":     {"🏨Pension Anker"},
		"🏨":           {"🏨Pension Anker"},
		"beacon":      {"Quay→Beacon"},
		"quay beacon": {"Quay→Beacon"},
		"אביב":        {"תל־אביב"},
		"תל אביב":     {"תל־אביב"},
		"fabrik":      {"«Rote Fabrik»…Zürich"},
		"zurich":      {"«Rote Fabrik»…Zürich"},
		// Digits of every script, small kana, and marks in either order.
		"15":                                   {"محطة ١٥"},
		"१५":                                   {"محطة ١٥"},
		"市ケ谷":                                  {"市ヶ谷駅"},
		"\u0e19\u0e49\u0e33":                   {"น้ำพุ"},
		"\u0e19\u0e4d\u0e49\u0e32\u0e1e\u0e38": {"น้ำพุ"},
		// Without spaces between words.
		"東京":     {"東京タワー"},
		"タワー":    {"東京タワー", "京都タワービル"},
		"ﾀﾜｰ":    {"東京タワー", "京都タワービル"},
		"東京 タワー": {"東京タワー"},
		"京":      {"京都タワービル", "東京タワー"},
		"電波塔":    {"東京タワー"},
		"東京塔":    nil,
		"타워":     {"서울타워"},
		"อรุณ":   {"วัดอรุณ"},
		// Nothing.
		"xyzzyq":        nil,
		"!!!":           nil,
		"\u200b\u2060":  nil,
		"' & | ! <-> :": nil,
	} {
		t.Run(search, func(t *testing.T) {
			t.Parallel()
			got := find(t, creator, api.ListLandmarksParams{Search: &search})
			require.ElementsMatch(t, want, exported(t, creator, search), "an export finds the same")
			if len(want) == 0 {
				require.Empty(t, got)
				return
			}
			require.Equal(t, want[0], got[0], "%q", got)
			require.ElementsMatch(t, want, got)
		})
	}
	t.Run("in areas", func(t *testing.T) {
		t.Parallel()
		s.Area(creator, "Parque Güell", func(in *api.AreaCreate) { in.ParentAreaID.Set(area.ID) })
		s.Area(creator, "Güell", func(in *api.AreaCreate) { in.ParentAreaID.Set(area.ID) })
		got, err := creator.ListAreasWithResponse(ctx, &api.ListAreasParams{Search: new("guel"), ParentAreaID: &area.ID})
		require.NoError(t, err)
		require.NotNil(t, got.JSON200, string(got.Body))
		require.Equal(t, 2, *got.JSON200.Total)
		require.Equal(t, "Güell", got.JSON200.Items[0].Name)
		got, err = creator.ListAreasWithResponse(ctx, &api.ListAreasParams{Search: new("Parqeu")})
		require.NoError(t, err)
		require.Equal(t, "Parque Güell", got.JSON200.Items[0].Name)
	})
	t.Run("in an area", func(t *testing.T) {
		t.Parallel()
		got, err := creator.ListAreaLandmarksWithResponse(ctx, area.ID, &api.ListAreaLandmarksParams{Search: new("creme")})
		require.NoError(t, err)
		require.Equal(t, []string{"Crème Brûlée"}, names(got.JSON200.Items))
	})
}

// exported returns the names that an export with a search has.
func exported(t testing.TB, by *apptest.Client, text string) (names []string) {
	t.Helper()
	got, err := by.ExportLandmarksWithResponse(ctx, &api.ExportLandmarksParams{Search: &text})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.StatusCode(), string(got.Body))
	var found api.LandmarkFeatureCollection
	require.NoError(t, json.Unmarshal(got.Body, &found))
	for _, f := range found.Features {
		names = append(names, f.Properties.Name)
	}
	return names
}

func TestSearchWithFiltersAndSorts(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator, moderator := s.User(), s.As("moderator")
	area, other := s.Area(creator, "Harbour"), s.Area(creator, "Hill")
	for i, name := range []string{"éa tower", "Eb Tower", "TOWER", "Towering", "A tower"} {
		s.Landmark(creator, area.ID, name, here, again, func(in *api.LandmarkCreate) { in.Difficulty = new(5 - i) })
	}
	s.Landmark(moderator, other.ID, "Far tower", geo.Point{Latitude: 10, Longitude: 10})
	gone := s.Landmark(creator, area.ID, "Gone tower", here, again)
	_, err := creator.DeleteLandmarkWithResponse(ctx, gone.ID, nil)
	require.NoError(t, err)
	s.Landmark(creator, area.ID, "Bridge", here, again)

	search := new("tower")
	for name, tc := range map[string]struct {
		params api.ListLandmarksParams
		want   []string
	}{
		"by relevance": {api.ListLandmarksParams{Size: new(3)}, []string{"TOWER", "Towering", "A tower"}},
		"the least relevant first": {
			api.ListLandmarksParams{SortOrder: new(api.ListLandmarksParamsSortOrderAsc), Size: new(1)}, []string{"Far tower"},
		},
		"the newest first": {
			api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortByCreatedAt)},
			[]string{"Far tower", "A tower", "Towering", "TOWER", "Eb Tower", "éa tower"},
		},
		"by name, whatever its case and accents": {
			api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortByName)},
			[]string{"A tower", "éa tower", "Eb Tower", "Far tower", "TOWER", "Towering"},
		},
		"by difficulty": {
			api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortByDifficulty), AreaID: &area.ID},
			[]string{"A tower", "Towering", "TOWER", "Eb Tower", "éa tower"},
		},
		"in an area":      {api.ListLandmarksParams{AreaID: &other.ID}, []string{"Far tower"}},
		"of a creator":    {api.ListLandmarksParams{CreatedBy: &moderator.ID}, []string{"Far tower"}},
		"verified":        {api.ListLandmarksParams{IsVerified: new(true)}, []string{"Far tower"}},
		"in a box":        {api.ListLandmarksParams{Bbox: new("9,9,11,11")}, []string{"Far tower"}},
		"of a difficulty": {api.ListLandmarksParams{Difficulty: new(3)}, []string{"TOWER"}},
		"all of it":       {api.ListLandmarksParams{Difficulty: new(3), AreaID: &other.ID}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.params.Search = search
			require.Equal(t, tc.want, find(t, creator, tc.params))
		})
	}
	t.Run("the total is of what was found", func(t *testing.T) {
		t.Parallel()
		page := list(t, creator, api.ListLandmarksParams{Search: search, Size: new(2), Page: new(2)})
		require.Len(t, page.Items, 2)
		require.Equal(t, []int{6, 3}, []int{*page.Total, *page.Pages})
		require.Nil(t, page.TotalIsLowerBound)
		page = list(t, creator, api.ListLandmarksParams{Search: search, Size: new(2), Page: new(9)})
		require.Empty(t, page.Items)
		require.Equal(t, 6, *page.Total)
	})
	t.Run("relevance needs a search", func(t *testing.T) {
		t.Parallel()
		got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortByRelevance)})
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		require.Equal(t, "/problems/invalid_pagination", p.Type)
		require.Equal(t, "needs_search", (*p.Errors)[0].Code)
	})
	t.Run("a cursor is of its search", func(t *testing.T) {
		t.Parallel()
		cursor := list(t, creator, api.ListLandmarksParams{Search: search, Size: new(2), Cursor: new("")}).NextCursor
		got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Search: new("bridge"), Cursor: cursor})
		require.NoError(t, err)
		p := apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		require.Equal(t, "/problems/cursor_mismatch", p.Type)
	})
	t.Run("needs what is looked for", func(t *testing.T) {
		t.Parallel()
		for _, search := range []string{"", string(make([]rune, 201))} {
			got, err := creator.ListLandmarksWithResponse(ctx, &api.ListLandmarksParams{Search: &search})
			require.NoError(t, err)
			apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body)
		}
	})
}

// many makes landmarks called "<word> <number>", the newest last, and returns their names.
func many(t testing.TB, s *apptest.Server, by *apptest.Client, area uuid.UUID, word string, n int) {
	t.Helper()
	_, err := s.Store.Pool.Exec(ctx, `
INSERT INTO landmarks (id, created_at, updated_at, area_id, name, description, hint, difficulty, location, unlock_radius_meters, photo_radius_meters, created_by, is_verified)
SELECT gen_random_uuid(), now() + g * interval '1 ms', now(), $1, $2 || ' ' || g, '', '', 1 + g % 5, 'POINT(8 53)', 100, 50, $3, g % 10 = 0
FROM generate_series(1, $4::int) g`, area, word, by.ID, n)
	require.NoError(t, err)
}

func TestASearchWithThousandsOfMatches(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	many(t, s, creator, area.ID, "old tower", 1500)
	many(t, s, creator, area.ID, "new bridge", 4000)
	s.Landmark(creator, area.ID, "Tower", here, again)
	walk := func(params api.ListLandmarksParams) []string {
		var walked []string
		params.Cursor, params.Size = new(""), new(100)
		for params.Cursor != nil {
			page := list(t, creator, params)
			walked = append(walked, names(page.Items)...)
			params.Cursor = page.NextCursor
		}
		return walked
	}
	unique := func(of []string) int { return len(slices.Compact(slices.Sorted(slices.Values(of)))) }
	tower := new("tower")

	page := list(t, creator, api.ListLandmarksParams{Search: tower})
	require.Equal(t, []int{search.Limit, search.Limit / 20}, []int{*page.Total, *page.Pages})
	require.True(t, *page.TotalIsLowerBound)
	require.Equal(t, "Tower", page.Items[0].Name, "the whole name is first, wherever it is kept")

	ranked := walk(api.ListLandmarksParams{Search: tower})
	require.Len(t, ranked, search.Limit)
	require.Equal(t, search.Limit, unique(ranked))

	for _, by := range []api.ListLandmarksParamsSortBy{"created_at", "updated_at", "name", "difficulty"} {
		for _, order := range []api.ListLandmarksParamsSortOrder{"asc", "desc"} {
			all := walk(api.ListLandmarksParams{Search: tower, SortBy: &by, SortOrder: &order})
			require.Len(t, all, 1501, "%s %s: all of them, in stretches with bridges before them or not", by, order)
			require.Equal(t, 1501, unique(all))
		}
	}
	newest := find(t, creator, api.ListLandmarksParams{Search: tower, SortBy: new(api.ListLandmarksParamsSortByCreatedAt), Page: new(2), Size: new(3)})
	require.Len(t, newest, 3)
	few := list(t, creator, api.ListLandmarksParams{Search: tower, IsVerified: new(true)})
	require.Equal(t, 150, *few.Total)
	require.Nil(t, few.TotalIsLowerBound)
	begun := list(t, creator, api.ListLandmarksParams{Search: new("ol")})
	require.True(t, *begun.TotalIsLowerBound, "names that begin so are more than were read")

	oldest := s.Store.Ent.Landmark.Query().Where(entlandmark.Not(entlandmark.NameContains("bridge"))).
		Order(entlandmark.ByCreatedAt(), entlandmark.ByID()).IDsX(ctx)
	for _, size := range []int{400, 1501, 5000} {
		for _, text := range []string{"tower", "towre"} {
			w := search.Search{Pool: s.Store.Pool, Table: search.Landmarks, Text: text}.Walk()
			w.SetSize(size)
			var ids []uuid.UUID
			for {
				next, err := w.Next(ctx)
				require.NoError(t, err)
				if len(next) == 0 {
					break
				}
				require.LessOrEqual(t, len(next), size)
				ids = append(ids, next...)
			}
			require.Equal(t, oldest, ids, "%s, %d at a time", text, size)
		}
	}
}

// Of a word that more than a thousand landmarks of the sample have, these are found; of
// any other, all that have it.
func TestASearchAmongASample(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	const outside = 7
	end := func(word, lastByte string) {
		t.Helper()
		_, err := s.Store.Pool.Exec(ctx, "UPDATE landmarks SET id = overlay(id::text PLACING $2 FROM 35)::uuid WHERE name LIKE $1 || ' %'", word, lastByte)
		require.NoError(t, err)
	}
	many(t, s, creator, area.ID, "old tower", search.Limit)
	end("old tower", "03")
	many(t, s, creator, area.ID, "new tower", outside)
	end("new tower", "04")
	tower := new("tower")

	for range 2 {
		all := list(t, creator, api.ListLandmarksParams{Search: tower})
		require.Equal(t, search.Limit, *all.Total)
		require.True(t, *all.TotalIsLowerBound)
		require.Equal(t, "new tower 3", find(t, creator, api.ListLandmarksParams{Search: new("new tower 3")})[0])
		second := list(t, creator, api.ListLandmarksParams{Search: tower, Difficulty: new(2), Size: new(100), Page: new(3)})
		require.Equal(t, search.Limit/5+2, *second.Total, "those outside of the sample as well")
		require.Nil(t, second.TotalIsLowerBound)
		require.Len(t, second.Items, 2)

		// More than Limit are in the sample from now on.
		end("new tower", "02")
	}
}

func TestACursorStaysWhereItWas(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	for i := range 12 {
		s.Landmark(creator, area.ID, fmt.Sprintf("tower %02d", i), here, again, func(in *api.LandmarkCreate) { in.Difficulty = new(1 + i%3) })
	}
	for name, params := range map[string]api.ListLandmarksParams{
		"newest first": {}, "by name": {SortBy: new(api.ListLandmarksParamsSortByName)},
		"by difficulty": {SortBy: new(api.ListLandmarksParamsSortByDifficulty)},
		"ranked":        {Search: new("tower")}, "searched, by name": {Search: new("tower"), SortBy: new(api.ListLandmarksParamsSortByName)},
	} {
		params.AreaID = &area.ID
		whole := find(t, creator, params)
		params.Cursor, params.Size = new(""), new(3)
		first := list(t, creator, params)
		seen := names(first.Items)
		require.Equal(t, whole[:3], seen, name)
		// What was seen goes, what comes is before and behind it.
		gone := first.Items[2]
		_, err := creator.DeleteLandmarkWithResponse(ctx, gone.ID, nil)
		require.NoError(t, err)
		added := s.Landmark(creator, area.ID, "tower", here, again)
		for params.Cursor = first.NextCursor; params.Cursor != nil; {
			next := list(t, creator, params)
			seen, params.Cursor = append(seen, names(next.Items)...), next.NextCursor
		}
		require.Equal(t, whole, slices.DeleteFunc(seen, func(name string) bool { return name == "tower" }), name)
		_, err = creator.DeleteLandmarkWithResponse(ctx, added.ID, nil)
		require.NoError(t, err)
		s.Landmark(creator, area.ID, gone.Name, here, again, func(in *api.LandmarkCreate) { in.Difficulty = &gone.Difficulty })
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator, admin := s.User(), s.As("admin")
	area := s.Area(creator, "Harbour")
	kept := s.Landmark(creator, area.ID, "Windmill", here, again)
	gone := s.Landmark(creator, area.ID, "Planetarium", here, again)
	vocabulary := func() (words []string) {
		rows, err := s.Store.Pool.Query(ctx, "SELECT word FROM search_vocabulary ORDER BY word")
		require.NoError(t, err)
		for rows.Next() {
			var w string
			require.NoError(t, rows.Scan(&w))
			words = append(words, w)
		}
		require.NoError(t, rows.Err())
		return words
	}
	renamed, err := creator.UpdateLandmarkWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, kept.ID, nil, api.LandmarkUpdate{Name: new("Watermill")})
	require.NoError(t, err)
	require.NotNil(t, renamed.JSON200, string(renamed.Body))
	require.Equal(t, []string{"harbour", "planetarium", "watermill", "windmill"}, vocabulary())
	_, err = creator.DeleteLandmarkWithResponse(ctx, gone.ID, nil)
	require.NoError(t, err)
	require.NoError(t, search.Forget(ctx, s.Store.Pool))
	require.Equal(t, []string{"harbour", "planetarium", "watermill"}, vocabulary(), "it may come back from the trash")
	purged, err := admin.PurgeLandmarkWithResponse(ctx, gone.ID)
	require.NoError(t, err)
	require.Equal(t, 204, purged.StatusCode(), string(purged.Body))
	require.NoError(t, search.Forget(ctx, s.Store.Pool))
	require.Equal(t, []string{"harbour", "watermill"}, vocabulary())
}
