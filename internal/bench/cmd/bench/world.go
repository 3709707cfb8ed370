package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	entuser "github.com/picaspot/picaspot/ent/user"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/bench"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/store"
)

const password = "seven maples by the quay"

// world is a database full of landmarks, and servers on it.
type world struct {
	settings
	rows int
	// chain is the application, cold the same without copies, plain what somebody
	// would write by hand.
	chain, cold, plain *server
	app                *app.App
	token              string
	spots              []geo.Point
	ids                []uuid.UUID
	area               uuid.UUID
	closers            []func()
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
}

// unlimited are limits that nobody reaches.
func unlimited(classes ...string) []string {
	var limits []string
	for _, class := range classes {
		limits = append(limits, class+":address=1000000/1s", class+":account=1000000/1s")
	}
	return limits
}

// spotsWanted is how many places are asked around, walkers how many people walk from
// such a place, and steps how often each asks on the way.
const (
	spotsWanted = 500
	idsWanted   = 300_000
	walkers     = 100
	walkCities  = 25
	steps       = 40
	stepMeters  = 25
)

// make fills the database.
func (w *world) make(ctx context.Context) error {
	user, err := w.app.Accounts.Create(ctx, account.Registration{Username: "bench", Email: "bench@picaspot.example", Password: password}, authz.DefaultRole)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := bench.Generate(ctx, w.app.Store.Pool, w.rows, user.ID, user.ID); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d landmarks after %s\n", w.rows, time.Since(begun).Round(time.Second))
	return nil
}

func newWorld(ctx context.Context, s settings, d *database, redisURL string, rows int) (_ *world, err error) {
	w := &world{settings: s, rows: rows}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	photos, err := os.MkdirTemp("", "picaspot-bench-")
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(photos) }) // A folder of the system's own.
	if err := store.Migrate(ctx, d.url); err != nil {
		return nil, err
	}
	c := config.Config{
		HTTPAddr: "127.0.0.1:0", PublicURL: "http://localhost", DatabaseURL: d.url, DatabaseMaxConns: int32(s.connections), //nolint:gosec // A small number.
		StatementTimeout: time.Minute, RedisURL: redisURL,
		StorageURL: "file://" + filepath.ToSlash(photos), SMTPURL: "smtp://127.0.0.1:1", MailFrom: "bench@picaspot.example",
		SecretKey: strings.Repeat("bench secret ", 4), AccessTokenTTL: time.Hour, TrashRetention: time.Hour, ImportMaxSize: 100, ImportRetention: time.Hour, ShutdownTimeout: time.Second,
		SessionTTL: time.Hour, SessionIdleTTL: time.Hour, RememberedTTL: time.Hour, RememberedIdleTTL: time.Hour, Workers: 1,
		// One user behind one address asks for all; it is counted all the same.
		RateLimits: unlimited("read", "write", "login", "tile"),
	}
	if err := c.Complete(); err != nil {
		return nil, err
	}
	if w.app, err = app.New(ctx, c); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, w.app.Close)
	if !d.kept {
		if err := w.make(ctx); err != nil {
			return nil, err
		}
	}
	login, err := w.app.Accounts.Login(ctx, account.Credentials{Identifier: "bench", Password: password})
	if err != nil {
		return nil, err
	}
	w.token = login.AccessToken
	if w.spots, err = bench.Spots(ctx, w.app.Store.Pool, spotsWanted); err != nil {
		return nil, err
	}
	if w.ids, err = bench.IDs(ctx, w.app.Store.Pool, min(rows, idsWanted)); err != nil {
		return nil, err
	}
	if err := w.app.Store.Pool.QueryRow(ctx, "SELECT area_id FROM landmarks WHERE id = $1", w.ids[0]).Scan(&w.area); err != nil {
		return nil, err
	}
	binary, err := build(ctx)
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() { _ = os.RemoveAll(filepath.Dir(binary)) }) // A folder of the system's own.
	for _, start := range []struct {
		server **server
		memory int
	}{{&w.chain, defaultMemory}, {&w.cold, 0}} {
		started, err := startServer(ctx, binary, c, start.memory, s.limit)
		if err != nil {
			return nil, err
		}
		w.closers = append(w.closers, started.stop)
		*start.server = started
	}
	fixed, err := w.get(ctx, w.chain, "/api/v1/landmarks/"+w.ids[0].String())
	if err != nil {
		return nil, err
	}
	user, err := w.app.Store.Ent.User.Query().Where(entuser.Username("bench")).OnlyID(ctx)
	if err != nil {
		return nil, err
	}
	plain := httptest.NewServer(bench.Plain(w.app.Store.Pool, user, fixed))
	w.closers = append(w.closers, plain.Close)
	w.plain = &server{url: plain.URL}
	return w, nil
}

// defaultMemory is the default of PICASPOT_CACHE_MEMORY.
const defaultMemory = 32

// get asks one server once.
func (w *world) get(ctx context.Context, server *server, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %.300s", path, response.StatusCode, body)
	}
	return body, err
}

func nearbyPath(at geo.Point) string {
	return fmt.Sprintf("/api/v1/landmarks/nearby?latitude=%.6f&longitude=%.6f&radius_meters=1000&size=50", at.Latitude, at.Longitude)
}

// walks are the paths of people who walk in cities, in the order in which they ask.
func (w *world) walks() []string {
	r := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // The same walks each time.
	var paths []string
	for walker := range walkers {
		at := w.spots[walker%min(walkCities, len(w.spots))]
		bearing := 2 * math.Pi * r.Float64()
		for range steps {
			paths = append(paths, nearbyPath(at))
			bearing += r.Float64() - 0.5
			at.Latitude += stepMeters / 111_320.0 * math.Cos(bearing)
			at.Longitude += stepMeters / 111_320.0 * math.Sin(bearing) / math.Cos(at.Latitude*math.Pi/180)
		}
	}
	return paths
}

// sameAnswers holds against each other what two servers say.
func (w *world) sameAnswers(ctx context.Context, a, b *server, paths []string) error {
	for _, path := range paths[:min(20, len(paths))] {
		var both [2]any
		for i, server := range []*server{a, b} {
			body, err := w.get(ctx, server, path)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(body, &both[i]); err != nil {
				return err
			}
		}
		first, _ := json.Marshal(both[0])  //nolint:errchkjson // It was JSON before.
		second, _ := json.Marshal(both[1]) //nolint:errchkjson // As above.
		if string(first) != string(second) {
			at := 0
			for at < min(len(first), len(second)) && first[at] == second[at] {
				at++
			}
			at = max(0, at-200)
			return fmt.Errorf("two answers to %s, from byte %d on:\n%.600s\n%.600s", path, at, first[at:], second[at:])
		}
	}
	return nil
}
