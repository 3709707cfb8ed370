package search_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	rule "github.com/picaspot/picaspot/internal/name"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/search"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

// some are names for machines without the real data.
var some = []string{
	"Aĝu Ŭato", "東京都", "Ōsaka-jō 大阪城", "Ħal Saflieni", "Хүннү", "მცხეთა", "Ακρόπολη", "بغداد", "תל אביב", "ประตูท่าแพ", "ሐረር", "ʻIolani", "%_\\", "'; DROP TABLE areas; --",
	"<img src=x onerror=alert(1)>", "../../etc/passwd", "${jndi:ldap://x}", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞", "\u202etest\u202e", "👩‍👩‍👧 🏳️‍🌈", "NaN", "0x0", "\ufeff", "\u200b", "﷽", "ﾀﾜｰ", "İstanbul", "ǅ", "a\u2028b",
}

// realNames are naughty strings and names of places in many scripts, some of each source.
func realNames(t *testing.T) []string {
	all := slices.Clone(some)
	pick := func(from []string, n int) {
		for i := range min(n, len(from)) {
			all = append(all, from[i*len(from)/min(n, len(from))])
		}
	}
	if data := apptest.Data(t, "input", "blns", "blns.json"); data != nil {
		var naughty []string
		require.NoError(t, json.Unmarshal(data, &naughty))
		all = append(all, naughty...)
	}
	if data := apptest.Data(t, "places", "gazetteer_japan", "GAZETTEER_OF_JAPAN_2007_new.csv"); data != nil {
		rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		require.NoError(t, err)
		for column := range 3 {
			var names []string
			for _, row := range rows[1:] {
				names = append(names, row[column])
			}
			pick(names, 10)
		}
	}
	var names []string
	for line := range strings.Lines(string(apptest.Data(t, "places", "geonames_singapore", "SG.txt"))) {
		fields := strings.Split(line, "\t")
		names = append(names, fields[1])
		for other := range strings.SplitSeq(fields[3], ",") {
			if strings.ContainsFunc(other, func(r rune) bool { return r > unicode.MaxLatin1 }) {
				names = append(names, other)
			}
		}
	}
	pick(names, 40)
	return all
}

// isVisible tells names of which a search can see something.
func isVisible(name string) bool {
	return strings.ContainsFunc(name, func(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) })
}

func TestNamesComeBackClean(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	creator := s.User()
	area := s.Area(creator, "Harbour")
	kept := map[string]int{}
	for _, name := range realNames(t) {
		made, err := creator.CreateLandmarkWithResponse(ctx, nil, api.LandmarkCreate{
			AreaID: area.ID, Name: name, Description: &name, Latitude: here.Latitude, Longitude: here.Longitude, AllowDuplicate: new(true),
		})
		require.NoError(t, err)
		clean, err := rule.Clean("/name", name, rule.MaxCharacters)
		if err != nil || strings.ContainsRune(name, 0) || utf8.RuneCountInString(name) > 200 || !utf8.ValidString(name) {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, made.StatusCode(), "%q: %s", name, made.Body)
			continue
		}
		require.NotNil(t, made.JSON201, "%q: %s", name, made.Body)
		require.Equal(t, clean, made.JSON201.Name)
		require.Equal(t, name, made.JSON201.Description)
		kept[clean]++
	}
	walked := map[string]int{}
	params := api.ListLandmarksParams{SortBy: new(api.ListLandmarksParamsSortByName), Cursor: new(""), Size: new(50)}
	for params.Cursor != nil {
		page := list(t, creator, params)
		for _, name := range names(page.Items) {
			walked[name]++
		}
		params.Cursor = page.NextCursor
	}
	require.Equal(t, kept, walked)

	// As the server does by itself after a while: it takes the table for an empty one.
	_, err := s.Store.Pool.Exec(ctx, "VACUUM ANALYZE landmarks")
	require.NoError(t, err)
	for name := range kept {
		found := find(t, creator, api.ListLandmarksParams{Search: &name, Size: new(100)})
		if isVisible(name) {
			require.Contains(t, found, name, "%q", name)
		}
		path := "/api/v1/landmarks?sort_by=created_at&search=" + url.QueryEscape(name)
		response, body := s.Call(creator, http.MethodGet, path, "", nil)
		require.Equal(t, http.StatusOK, response.StatusCode, "%q: %s", name, body)
	}
}

// The C locale knows no letters but those of ASCII. Only words of other scripts that
// were mistyped are not found in it.
func TestSearchInTheCLocale(t *testing.T) {
	t.Parallel()
	base := testenv.Database(t)
	admin, err := pgx.Connect(ctx, base)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(ctx)) })
	u, err := url.Parse(base)
	require.NoError(t, err)
	name := strings.TrimPrefix(u.Path, "/") + "_c"
	_, err = admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
	})
	u.Path = "/" + name
	require.NoError(t, store.Migrate(ctx, u.String()))
	pool, err := pgxpool.New(ctx, u.String())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for place, description := range places {
		_, err := pool.Exec(ctx, `INSERT INTO areas (id, created_at, updated_at, name, description, created_by)
VALUES (gen_random_uuid(), now(), now(), $1, $2, gen_random_uuid())`, place, description)
		require.NoError(t, err)
	}
	codec, err := page.NewCodec(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	q, err := page.List{Name: "areas", Ranked: true}.Resolve(page.Params{Searched: true}, codec, nil)
	require.NoError(t, err)
	for typed, want := range map[string]string{
		"lighthuose": "Lighthouse", "creme": "Crème Brûlée", "東京": "東京タワー", "КРАСНАЯ": "Красная башня", "елочн": "Ёлочный рынок",
		"مسجد": "مَسْجِد الفَاتِح", "αθηνα": "Αθήνα", "타워": "서울타워", "อรุณ": "วัดอรุณ", "लाल": "किला लाल", "ｆｕｌｌ": "ＦＵＬＬ　ＷＩＤＴＨ",
	} {
		hits, err := search.Search{Pool: pool, Table: search.Areas, Text: typed, Query: q}.Page(ctx)
		require.NoError(t, err)
		require.NotEmpty(t, hits.Items(), typed)
		var found string
		require.NoError(t, pool.QueryRow(ctx, "SELECT name FROM areas WHERE id = $1", hits.Items()[0].ID).Scan(&found))
		require.Equal(t, want, found, typed)
	}
}
