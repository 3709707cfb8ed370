// Bench measures the complete chain beside handlers that are written by hand, on the
// servers that testenv names, and writes the performance report.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/bench"
	"github.com/picaspot/picaspot/internal/testenv"
)

func main() {
	rows := flag.String("rows", "1000000", "landmarks; several numbers, separated by commas, make a table of each")
	rounds := flag.Int("rounds", 3, "rounds of each measurement")
	duration := flag.Duration("duration", 4*time.Second, "length of a round")
	connections := flag.Int("connections", 16, "connections at once")
	only := flag.String("only", "", "measure only what has this in its name")
	keep := flag.Bool("keep", false, "keep the databases, and use those that were kept, on the server of "+testenv.DatabaseVariable)
	limit := flag.String("memory-limit", "off", "GOMEMLIMIT of the servers, such as 88MiB")
	report := flag.String("write", "", "also write the report into this file")
	load := flag.Bool("load", false, "be the load: read one as JSON, print what it measured (used by bench itself)")
	flag.Parse()
	var err error
	if *load {
		err = runLoad()
	} else {
		s := settings{rounds: *rounds, connections: *connections, duration: *duration, only: *only, report: *report, limit: *limit, keep: *keep}
		err = run(s, strings.Split(*rows, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	rounds, connections int
	duration            time.Duration
	only, report, limit string
	keep                bool
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

func run(s settings, sizes []string) (err error) {
	if s.keep && os.Getenv(testenv.DatabaseVariable) == "" {
		return errors.New("-keep: " + testenv.DatabaseVariable + " is not set, and a server of this run's own goes with it")
	}
	// Who interrupts it does not leave its servers behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The access log is written, as in production, and not looked at.
	slog.SetDefault(slog.New(slog.NewJSONHandler(io.Discard, nil))) //nolint:sloglint // Formatting the lines is part of what is measured.
	servers, err := testenv.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Stop()) }()
	var tables []table
	for _, size := range sizes {
		rows, err := strconv.Atoi(strings.TrimSpace(size))
		if err != nil {
			return fmt.Errorf("-rows: %w", err)
		}
		t, err := measureWorld(ctx, s, servers, rows)
		if err != nil {
			return fmt.Errorf("%d rows: %w", rows, err)
		}
		tables = append(tables, t)
		// Each world takes its time: what is known is written.
		if s.report != "" {
			if err := os.WriteFile(s.report, []byte(document(s, tables)), 0o644); err != nil { //nolint:gosec // A document.
				return err
			}
		}
	}
	fmt.Print(document(s, tables))
	return nil
}

// measureWorld makes a world of as many landmarks, and measures everything in it.
func measureWorld(ctx context.Context, s settings, servers *testenv.Servers, rows int) (_ table, err error) {
	name := "picaspot_bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if s.keep {
		name = "picaspot_bench_" + strconv.Itoa(rows)
	}
	database, err := openDatabase(ctx, servers.DatabaseURL, name)
	if err != nil {
		return table{}, err
	}
	defer func() {
		// What is not whole is of no use to anybody.
		if !s.keep || err != nil && !database.kept {
			err = errors.Join(err, database.drop())
		}
	}()
	if err := forget(ctx, servers.RedisURL); err != nil {
		return table{}, err
	}
	w, err := newWorld(ctx, s, database, servers.RedisURL, rows)
	if err != nil {
		return table{}, err
	}
	defer w.close()
	if s.keep {
		if err := database.exec(ctx, "COMMENT ON DATABASE "+name+" IS '"+whole+"'"); err != nil {
			return table{}, err
		}
		database.kept = true
	}
	return w.measure(ctx)
}

// forget empties Redis, where copies of the world before are, whose cities are this one's.
func forget(ctx context.Context, redisURL string) error {
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return err
	}
	client := redis.NewClient(options)
	return errors.Join(client.FlushAll(ctx).Err(), client.Close())
}

// database is the one of a world.
type database struct {
	admin, name, url string
	// kept says that a world is in it, which was made before.
	kept bool
}

// whole is the comment on a database that a world was completed in.
const whole = "whole"

// openDatabase finds the database of the name, or creates it. What a run that was killed
// has begun in it is thrown away.
func openDatabase(ctx context.Context, admin, name string) (*database, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return nil, err
	}
	u.Path = "/" + name
	d := &database{admin: admin, name: name, url: u.String()}
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND shobj_description(oid, 'pg_database') = $2)", name, whole).Scan(&d.kept)
	if err != nil || d.kept {
		return d, err
	}
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name + " WITH (FORCE)", "CREATE DATABASE " + name} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// drop removes it, also when the run was interrupted.
func (d *database) drop() error {
	return d.exec(context.Background(), "DROP DATABASE "+d.name+" WITH (FORCE)")
}

func (d *database) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, d.admin)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}
