// Bench measures nearby through the complete chain beside a handler written by
// hand, on the servers that testenv names, and prints a table.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/bench"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/testenv"
)

const password = "seven maples by the quay"

func main() {
	rows := flag.Int("rows", 1_000_000, "landmarks")
	rounds := flag.Int("rounds", 3, "rounds of each, in turn")
	duration := flag.Duration("duration", 10*time.Second, "length of a round")
	connections := flag.Int("connections", 16, "connections at once")
	radius := flag.Int("radius", 1000, "radius in metres")
	size := flag.Int("size", 50, "results")
	report := flag.String("write", "", "also write the table into this file")
	load := flag.Bool("load", false, "be the load: read one as JSON, print what it measured (used by bench itself)")
	flag.Parse()
	var err error
	if *load {
		err = runLoad()
	} else {
		err = run(context.Background(), settings{*rows, *rounds, *connections, *radius, *size, *duration, *report})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	rows, rounds, connections, radius, size int
	duration                                time.Duration
	report                                  string
}

func runLoad() error {
	var l bench.Load
	if err := json.NewDecoder(os.Stdin).Decode(&l); err != nil {
		return err
	}
	result, err := l.Run(context.Background())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func run(ctx context.Context, s settings) (err error) {
	// The access log is written, as in production, and not looked at.
	slog.SetDefault(slog.New(slog.NewJSONHandler(io.Discard, nil))) //nolint:sloglint // Formatting the lines is part of what is measured.
	servers, err := testenv.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Stop()) }()
	databaseURL, drop, err := createDatabase(ctx, servers.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	photos, err := os.MkdirTemp("", "picaspot-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(photos)
	if err := store.Migrate(ctx, databaseURL); err != nil {
		return err
	}
	a, err := app.New(ctx, config.Config{
		PublicURL: "http://localhost", DatabaseURL: databaseURL, DatabaseMaxConns: int32(s.connections), StatementTimeout: time.Minute, //nolint:gosec // A small number.
		RedisURL: servers.RedisURL, StorageURL: "file://" + filepath.ToSlash(photos), SMTPURL: "smtp://127.0.0.1:1", MailFrom: "bench@picaspot.example",
		SecretKey: strings.Repeat("bench secret ", 4), AccessTokenTTL: time.Hour,
		SessionTTL: time.Hour, SessionIdleTTL: time.Hour, RememberedTTL: time.Hour, RememberedIdleTTL: time.Hour, Workers: 1,
		// One user behind one address asks for all; it is counted all the same.
		RateLimits: []string{"read:address=1000000/1s", "read:account=1000000/1s"},
	})
	if err != nil {
		return err
	}
	defer a.Close()
	user, err := a.Accounts.Create(ctx, account.Registration{Username: "bench", Email: "bench@picaspot.example", Password: password}, authz.DefaultRole)
	if err != nil {
		return err
	}
	login, err := a.Accounts.Login(ctx, account.Credentials{Identifier: "bench", Password: password})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "generating %d landmarks …\n", s.rows)
	if err := bench.Generate(ctx, a.Store.Pool, s.rows, user.ID, user.ID); err != nil {
		return err
	}
	table, err := compare(ctx, s, a, user.ID, login.AccessToken)
	if err != nil {
		return err
	}
	fmt.Print(table)
	if s.report != "" {
		return os.WriteFile(s.report, []byte("# Performance\n\nMade by `make bench BENCH=\"-write docs/performance.md\"`.\n\n"+table), 0o644) //nolint:gosec // A document.
	}
	return nil
}

func createDatabase(ctx context.Context, admin string) (string, func() error, error) {
	name := "picaspot_bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	do := func(statement string) error {
		conn, err := pgx.Connect(ctx, admin)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, statement)
		return errors.Join(err, conn.Close(ctx))
	}
	u, err := url.Parse(admin)
	if err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	return u.String(), func() error { return do("DROP DATABASE " + name + " WITH (FORCE)") }, do("CREATE DATABASE " + name)
}

type contender struct {
	name    string
	server  *httptest.Server
	results []bench.Result
	mallocs []float64
}

func compare(ctx context.Context, s settings, a *app.App, user uuid.UUID, token string) (string, error) {
	chain := &contender{name: "complete chain", server: httptest.NewServer(a.Handler)}
	plain := &contender{name: "written by hand", server: httptest.NewServer(bench.Plain(a.Store.Pool, user))}
	defer chain.server.Close()
	defer plain.server.Close()
	spots, err := bench.Spots(ctx, a.Store.Pool, 500)
	if err != nil {
		return "", err
	}
	urls := func(c *contender) []string {
		all := make([]string, len(spots))
		for i, at := range spots {
			all[i] = fmt.Sprintf("%s/api/v1/landmarks/nearby?latitude=%.6f&longitude=%.6f&radius_meters=%d&size=%d",
				c.server.URL, at.Latitude, at.Longitude, s.radius, s.size)
		}
		return all
	}
	if err := sameAnswer(ctx, urls(chain), urls(plain), token); err != nil {
		return "", err
	}
	ratios := make([]float64, s.rounds)
	for round := range s.rounds + 1 { // The first one warms up.
		for _, c := range []*contender{plain, chain} {
			result, mallocs, err := measure(ctx, s, urls(c), token)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(os.Stderr, "round %d, %s: %.0f/s, p50 %s, p99 %s\n", round, c.name, result.PerSec, result.P50, result.P99)
			if round > 0 {
				c.results, c.mallocs = append(c.results, result), append(c.mallocs, mallocs)
			}
		}
		if round > 0 {
			ratios[round-1] = chain.results[round-1].PerSec / plain.results[round-1].PerSec
		}
	}
	var hits float64
	if err := a.Store.Pool.QueryRow(ctx, `SELECT avg(n) FROM (SELECT (SELECT count(*) FROM landmarks l WHERE l.deleted_at IS NULL AND ST_DWithin(l.location, s.location, $1)) AS n
		FROM landmarks s ORDER BY md5(s.name) LIMIT 100) x`, s.radius).Scan(&hits); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## Nearby: %d landmarks, %d m, %d results, %d connections\n\n", s.rows, s.radius, s.size, s.connections)
	fmt.Fprintf(&b, "%d processors shared by PostgreSQL, the server and the load; some %.0f landmarks lie in the circle; %d rounds of %s each, in turn; medians.\n\n",
		runtime.NumCPU(), hits, s.rounds, s.duration)
	b.WriteString("| | req/s | p50 | p99 | allocations/request |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, c := range []*contender{plain, chain} {
		m := c.median()
		fmt.Fprintf(&b, "| %s | %.0f | %.1f ms | %.1f ms | %.0f |\n", c.name, m.PerSec, ms(m.P50), ms(m.P99), median(c.mallocs))
	}
	fmt.Fprintf(&b, "\nThe chain answers %.2f times as many as the handler written by hand (rounds: %s; goal: 0.8).\n",
		median(ratios), strings.Trim(fmt.Sprintf("%.2f", ratios), "[]"))
	b.WriteString("\nWhere the difference goes: to one round trip to Redis, which tells the limits and the session, and to the access log, the\n" +
		"validation and the translation to the contract's types. What each costs tells `go test -run - -bench . ./internal/app\n" +
		"./internal/middleware ./internal/operation`. PostgreSQL is what both wait for.\n")
	return b.String(), nil
}

func measure(ctx context.Context, s settings, urls []string, token string) (bench.Result, float64, error) {
	input, err := json.Marshal(bench.Load{URLs: urls, Token: token, Connections: s.connections, Duration: s.duration})
	if err != nil {
		return bench.Result{}, 0, err
	}
	// A process of its own, so that what the client allocates does not count.
	executable, err := os.Executable()
	if err != nil {
		return bench.Result{}, 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	command := exec.CommandContext(ctx, executable, "-load")
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	output, err := command.Output()
	if err != nil {
		return bench.Result{}, 0, err
	}
	runtime.ReadMemStats(&after)
	var result bench.Result
	if err := json.Unmarshal(output, &result); err != nil {
		return bench.Result{}, 0, err
	}
	return result, float64(after.Mallocs-before.Mallocs) / float64(result.Requests), nil
}

// sameAnswer compares the two for a number of spots, byte by byte.
func sameAnswer(ctx context.Context, a, b []string, token string) error {
	get := func(url string) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return "", err
		}
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	for i := range min(20, len(a)) {
		first, err := get(a[i])
		if err != nil {
			return err
		}
		second, err := get(b[i])
		if err != nil {
			return err
		}
		if first != second {
			return fmt.Errorf("the two answer differently:\n%.500s\n%.500s", first, second)
		}
	}
	return nil
}

func (c *contender) median() bench.Result {
	sorted := slices.SortedFunc(slices.Values(c.results), func(a, b bench.Result) int { return int(a.PerSec - b.PerSec) })
	return sorted[len(sorted)/2]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
