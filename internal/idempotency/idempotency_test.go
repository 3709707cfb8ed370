package idempotency_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/operation"
)

func TestTheseAreAllCreations(t *testing.T) {
	t.Parallel()
	spec, err := api.GetSpec()
	require.NoError(t, err)
	table, err := operation.Load(spec)
	require.NoError(t, err)
	var all []string
	for _, op := range table.All() {
		if op.Idempotent {
			all = append(all, op.Name())
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(creations)), all, "a creation that takes a key needs a test here")
}

// TestReplay has a server with one connection to the database: what is created and
// its answer are one transaction, and nothing may ask for another meanwhile.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, c := range creations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *config.Config) { c.DatabaseMaxConns = 1 })
			admin, key := w.As("admin"), newKey()
			before := w.count(t, c.table)
			first := c.must(t, w, admin, key, "one")
			require.Empty(t, first.Header.Get("Idempotency-Replayed"))

			again := c.must(t, w, admin, new(`"`+*key+`"`), "one")
			require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
			require.Equal(t, first.StatusCode, again.StatusCode)
			require.Equal(t, string(first.body), string(again.body))
			require.Equal(t, lasting(first.Header), lasting(again.Header))
			require.Equal(t, before+1, w.count(t, c.table))

			other := c.send(t, w, admin, key, "two")
			p := apptest.Problem(t, http.StatusUnprocessableEntity, other.Response, other.body)
			require.Equal(t, "/problems/idempotency_key_reused", p.Type)
			require.Equal(t, before+1, w.count(t, c.table))

			var answer []byte
			require.NoError(t, w.Store.Pool.QueryRow(context.Background(), "SELECT answer FROM idempotency_keys").Scan(&answer))
			for _, clear := range []string{string(first.body), base64.StdEncoding.EncodeToString(first.body), first.Header.Get("Content-Type")} {
				require.NotContains(t, string(answer), clear, "answers are not kept in clear")
			}
		})
	}
}

// lasting are the headers that don't differ from answer to answer.
func lasting(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Date", "X-Request-Id", "Idempotency-Replayed"} {
		h.Del(name)
	}
	return h
}

// TestRoleUnderAKey has another look at the operation that acts on more than rows.
func TestRoleUnderAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.As("admin")
	made := creations["createRole"].must(t, w, admin, newKey(), "curator")
	got, err := admin.GetRoleWithResponse(context.Background(), "curator", nil)
	require.NoError(t, err)
	require.JSONEq(t, string(got.Body), string(made.body))
	require.Equal(t, got.HTTPResponse.Header.Get("ETag"), made.Header.Get("ETag"))
	require.True(t, w.Roles.RequiresMFA("curator"), "it is in force")
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	area := creations["createArea"]

	t.Run("belong to their user", func(t *testing.T) {
		t.Parallel()
		ada, bob, key := w.User(), w.User(), newKey()
		one := area.must(t, w, ada, key, "Of Ada")
		two := area.must(t, w, bob, key, "Of Bob")
		require.NotEqual(t, one.Header.Get("Location"), two.Header.Get("Location"))
		require.Equal(t, string(one.body), string(area.must(t, w, ada, key, "Of Ada").body))
	})

	t.Run("belong to one operation", func(t *testing.T) {
		t.Parallel()
		ada, key := w.As("admin"), newKey()
		area.must(t, w, ada, key, "Only this")
		for name, c := range creations {
			if name != "createArea" {
				got := c.send(t, w, ada, key, "one")
				require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, name)
			}
		}
	})

	t.Run("are free again after a failure", func(t *testing.T) {
		t.Parallel()
		ada, key := w.User(), newKey()
		area.must(t, w, ada, nil, "Taken")
		taken := area.send(t, w, ada, key, "Taken")
		require.Equal(t, "/problems/area_name_taken", apptest.Problem(t, http.StatusConflict, taken.Response, taken.body).Type)
		blank := area.send(t, w, ada, key, " ")
		require.Equal(t, http.StatusUnprocessableEntity, blank.StatusCode)
		require.Equal(t, "no-store", blank.Header.Get("Cache-Control"))
		area.must(t, w, ada, key, "Free")
	})

	t.Run("do not help where the role does not allow it", func(t *testing.T) {
		t.Parallel()
		ada, key := w.User(), newKey()
		require.Equal(t, http.StatusForbidden, creations["createRole"].send(t, w, ada, key, "mine").StatusCode)
		require.Equal(t, http.StatusUnauthorized, area.send(t, w, w.Anonymous(), key, "Nobody's").StatusCode)
		area.must(t, w, ada, key, "Mine")
	})

	t.Run("are forgotten after a day", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		ada, key, other := w.User(), newKey(), newKey()
		area.must(t, w, ada, key, "First")
		area.must(t, w, ada, other, "Other")
		var late bool
		require.NoError(t, w.Store.Pool.QueryRow(context.Background(),
			"SELECT bool_and(expires_at - now() BETWEEN interval '23 h 59 min' AND interval '24 h') FROM idempotency_keys").Scan(&late))
		require.True(t, late)
		w.exec(t, "UPDATE idempotency_keys SET expires_at = now()")
		anew := area.must(t, w, ada, key, "Second")
		require.Empty(t, anew.Header.Get("Idempotency-Replayed"))

		require.NoError(t, w.Idempotency.CleanUp(context.Background()))
		require.Equal(t, 1, w.count(t, "idempotency_keys"))
		require.Equal(t, "true", area.must(t, w, ada, key, "Second").Header.Get("Idempotency-Replayed"))
	})

	t.Run("go with their user", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		area.must(t, w, w.User(), newKey(), "Gone")
		w.exec(t, "DELETE FROM users WHERE id = (SELECT user_id FROM idempotency_keys)")
		require.Zero(t, w.count(t, "idempotency_keys"))
	})

	t.Run("need no Redis", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(c *config.Config) { c.RedisURL = "" })
		ada, key := w.User(), newKey()
		one := area.must(t, w, ada, key, "Here")
		require.Equal(t, string(one.body), string(area.must(t, w, ada, key, "Here").body))
	})

	t.Run("that are none are named with the other faults", func(t *testing.T) {
		t.Parallel()
		ada := w.User()
		for _, key := range []string{"", "a b", "ключ", strings.Repeat("k", 256), `"open`, `"a"b`, `""`, `"a\b"`} {
			got := area.send(t, w, ada, &key, "")
			p := apptest.Problem(t, http.StatusBadRequest, got.Response, got.body)
			require.Len(t, *p.Errors, 2, key)
			require.Equal(t, "Idempotency-Key", *(*p.Errors)[1].Parameter, key)
		}
		twice := func(_ context.Context, r *http.Request) error {
			r.Header["Idempotency-Key"] = []string{"a", "a"}
			return nil
		}
		got, err := ada.CreateAreaWithResponse(context.Background(), nil, api.AreaCreate{Name: "Twice"}, twice)
		require.NoError(t, err)
		require.Equal(t, "repeated", (*apptest.Problem(t, http.StatusBadRequest, got.HTTPResponse, got.Body).Errors)[0].Code)
	})
}

func TestUploads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	attempt := creations["createAttempt"]

	t.Run("are another request with another photo", func(t *testing.T) {
		t.Parallel()
		ada, key := w.User(), newKey()
		attempt.must(t, w, ada, key, "one")
		retouched := *w
		retouched.photo = append(bytes.Clone(w.photo), 0)
		require.Equal(t, http.StatusUnprocessableEntity, attempt.send(t, &retouched, ada, key, "one").StatusCode)
	})

	t.Run("are refused as ever when they are malformed", func(t *testing.T) {
		t.Parallel()
		ada, key := w.User(), newKey()
		cut := func() *api.CreateAttemptResponse {
			contentType, body := apptest.Form(t, w.photo, apptest.Claim(pier))
			var form bytes.Buffer
			_, err := form.ReadFrom(body)
			require.NoError(t, err)
			got, err := ada.CreateAttemptWithBodyWithResponse(context.Background(), w.landmark.ID, &api.CreateAttemptParams{IdempotencyKey: key},
				contentType, bytes.NewReader(form.Bytes()[:form.Len()-100]))
			require.NoError(t, err)
			return got
		}
		malformed := cut()
		require.Equal(t, "/problems/form_malformed", apptest.Problem(t, http.StatusBadRequest, malformed.HTTPResponse, malformed.Body).Type)
		attempt.must(t, w, ada, key, "one")
		malformed = cut()
		require.Equal(t, "/problems/form_malformed", apptest.Problem(t, http.StatusBadRequest, malformed.HTTPResponse, malformed.Body).Type)
	})
}

func TestManyAtOnceCreateOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"createLandmark", "createAttempt"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ada, key, c := w.User(), newKey(), creations[name]
			before := w.count(t, c.table)
			got := make([]answered, 50)
			var wg sync.WaitGroup
			for i := range got {
				wg.Go(func() { got[i] = c.send(t, w, ada, key, "one") })
			}
			wg.Wait()
			made := c.must(t, w, ada, key, "one")
			fresh := 0
			for _, one := range got {
				if one.StatusCode == http.StatusConflict {
					require.Equal(t, "/problems/idempotency_key_in_use", apptest.Problem(t, http.StatusConflict, one.Response, one.body).Type)
					require.Equal(t, "1", one.Header.Get("Retry-After"))
					continue
				}
				require.Equal(t, made.StatusCode, one.StatusCode)
				require.Equal(t, string(made.body), string(one.body))
				if one.Header.Get("Idempotency-Replayed") == "" {
					fresh++
				}
			}
			require.Equal(t, 1, fresh)
			require.Equal(t, before+1, w.count(t, c.table))
		})
	}
}

func TestWhileTheFirstIsUnderWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, key, area := w.User(), newKey(), creations["createArea"]
	unblock := w.block(t, "areas")
	first := make(chan answered, 1)
	go func() { first <- area.send(t, w, ada, key, "Slow") }()
	w.await(t, waiting)

	same := area.send(t, w, ada, key, "Slow")
	require.Equal(t, http.StatusConflict, same.StatusCode)
	other := area.send(t, w, ada, key, "Other")
	require.Equal(t, http.StatusUnprocessableEntity, other.StatusCode)

	unblock()
	require.Equal(t, http.StatusCreated, (<-first).StatusCode)
	require.Equal(t, "true", area.must(t, w, ada, key, "Slow").Header.Get("Idempotency-Replayed"))
}

// TestOneThatOverstaysItsClaim leaves nothing behind: whoever took the key over is
// the one who creates.
func TestOneThatOverstaysItsClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada, key, landmark := w.User(), newKey(), creations["createLandmark"]
	before := w.count(t, "landmarks")
	unblock := w.block(t, "landmarks")
	first, second := make(chan answered, 1), make(chan answered, 1)
	go func() { first <- landmark.send(t, w, ada, key, "one") }()
	w.await(t, waiting)
	w.exec(t, "UPDATE idempotency_keys SET claimed_until = now()")
	go func() { second <- landmark.send(t, w, ada, key, "one") }()
	w.await(t, strings.Replace(waiting, "= 1", "= 2", 1))
	unblock()

	late, made := <-first, <-second
	require.Equal(t, http.StatusConflict, late.StatusCode, string(late.body))
	require.Equal(t, http.StatusCreated, made.StatusCode, string(made.body))
	require.Equal(t, before+1, w.count(t, "landmarks"))
	require.Equal(t, string(made.body), string(landmark.must(t, w, ada, key, "one").body))
}
