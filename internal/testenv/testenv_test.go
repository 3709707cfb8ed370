package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// ups counts how often this process made the template.
var ups atomic.Int64

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		helper()
		return
	}
	Main(m, WithLeakCheck(), WithMigrator(Migrator{Fingerprint: "testenv_1", Up: func(ctx context.Context, url string) error {
		ups.Add(1)
		if err := extensionsOnly.Up(ctx, url); err != nil {
			return err
		}
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE TABLE places (at geography(Point,4326))")
		return errors.Join(err, conn.Close(ctx))
	}}))
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func value[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, connect(t, url).QueryRow(t.Context(), sql, args...).Scan(&v))
	return v
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	var first, admin string
	t.Run("of its own", func(t *testing.T) {
		begin := time.Now()
		first = Database(t)
		t.Logf("first database: %s", time.Since(begin))
		begin = time.Now()
		second := Database(t)
		t.Logf("second database: %s", time.Since(begin))
		require.NotEqual(t, first, second)
		_, err := connect(t, first).Exec(t.Context(), "INSERT INTO places VALUES ('POINT(13.4 52.5)')")
		require.NoError(t, err)
		require.Equal(t, 1, value[int](t, first, "SELECT count(*) FROM places"))
		require.Equal(t, 0, value[int](t, second, "SELECT count(*) FROM places"))
		admin = current.databases.url("postgres")
		require.LessOrEqual(t, ups.Load(), int64(1))
	})
	// A connection was left open in it, which does not keep it from being dropped.
	require.False(t, value[bool](t, admin, "SELECT EXISTS (SELECT FROM pg_database WHERE '/' || datname = $1)",
		first[strings.LastIndex(first, "/"):strings.Index(first, "?")]))
	_, err := pgx.Connect(t.Context(), current.databases.url("picaspot_template_testenv_1"))
	require.ErrorContains(t, err, "not currently accepting connections")
}

func TestManyDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	_ = Database(t)
	begin := time.Now()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			url, drop, err := current.database()
			if err == nil {
				_, err = pgx.ParseConfig(url)
			}
			if err == nil {
				err = drop()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	t.Logf("8 databases at once, and dropped: %s", time.Since(begin))
}

// Processes that start together share a server but make its template once.
func TestTemplateIsMadeOnce(t *testing.T) {
	t.Parallel()
	_ = Database(t)
	var made atomic.Int64
	m := Migrator{Fingerprint: "once_" + newName(time.Now())[len(testPrefix)+11:], Up: func(context.Context, string) error {
		made.Add(1)
		return nil
	}}
	others := make([]databases, 4)
	var group sync.WaitGroup
	for i := range others {
		group.Go(func() {
			if err := others[i].open(context.Background(), current.databases.url("postgres"), m); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, made.Load())
	for i := range others {
		others[i].pool.Close()
	}
	require.NoError(t, current.databases.drop(t.Context(), templatePrefix+m.Fingerprint))
}

func TestTemplateThatFails(t *testing.T) {
	t.Parallel()
	_ = Database(t)
	server := current.databases.url("postgres")
	var unfinished string
	var d databases
	err := d.open(t.Context(), server, Migrator{Fingerprint: "fails", Up: func(_ context.Context, url string) error {
		unfinished = url
		return errors.New("no such column")
	}})
	require.ErrorContains(t, err, "make the template database: no such column")
	_, err = pgx.Connect(t.Context(), unfinished)
	require.ErrorContains(t, err, "does not exist")
	d.pool.Close()

	// A migrator that forgets a connection does not stop the others.
	var left *pgx.Conn
	require.NoError(t, d.open(t.Context(), server, Migrator{Fingerprint: "leaves_one", Up: func(ctx context.Context, url string) (err error) {
		left, err = pgx.Connect(ctx, url)
		return err
	}}))
	require.Error(t, left.Ping(t.Context()))
	require.NoError(t, d.drop(t.Context(), d.template))
	_, err = d.clone(t.Context())
	require.ErrorContains(t, err, "clone the template database")
	d.pool.Close()

	for _, name := range []string{"", "Upper", `quo"te`, strings.Repeat("x", 41)} {
		_, _, err := openDatabases(t.Context(), Migrator{Fingerprint: name})
		require.ErrorContains(t, err, "is no fingerprint", name)
	}
}

// busy refuses as PostgreSQL does, which takes it five seconds each time.
type busy struct{ refusals int }

func (b *busy) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	if b.refusals--; b.refusals >= 0 {
		return pgconn.CommandTag{}, &pgconn.PgError{Code: objectInUse, Message: "being accessed"}
	}
	return pgconn.CommandTag{}, nil
}

func TestWhenFreeWaits(t *testing.T) {
	t.Parallel()
	two := &busy{2}
	require.NoError(t, whenFree(t.Context(), two, "CREATE DATABASE x"))
	require.Equal(t, -1, two.refusals)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := whenFree(ctx, &busy{1000}, "CREATE DATABASE x")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "being accessed")
}

func TestStaleDatabasesAreDropped(t *testing.T) {
	t.Parallel()
	_ = Database(t)
	d := current.databases
	old, fresh := newName(time.Now().Add(-staleAfter-time.Minute)), newName(time.Now())
	for _, name := range []string{old, fresh} {
		_, err := d.pool.Exec(t.Context(), "CREATE DATABASE "+name)
		require.NoError(t, err)
	}
	require.NoError(t, d.dropStale(t.Context(), time.Now()))
	names := value[[]string](t, d.url("postgres"), "SELECT array_agg(datname::text) FROM pg_database WHERE datname = ANY($1)", []string{old, fresh})
	require.Equal(t, []string{fresh}, names)
	require.NoError(t, d.drop(t.Context(), fresh))
}

func FuzzMadeAt(f *testing.F) {
	f.Add(newName(time.Unix(1700000000, 0)))
	f.Add("picaspot_test_")
	f.Add("picaspot_test_x_y")
	f.Add("picaspot_test_-5_y")
	f.Add("picaspot_template_1_2")
	f.Fuzz(func(t *testing.T, name string) {
		at, ok := madeAt(name)
		if !ok {
			require.Zero(t, at)
			return
		}
		require.True(t, strings.HasPrefix(name, testPrefix))
		require.GreaterOrEqual(t, at.Unix(), int64(0))
	})
}

func TestMadeAt(t *testing.T) {
	t.Parallel()
	at, ok := madeAt(newName(time.Unix(1700000000, 0)))
	require.True(t, ok)
	require.EqualValues(t, 1700000000, at.Unix())
	for _, name := range []string{"", "picaspot_test_", "picaspot_test_1", "picaspot_test_x_y", "picaspot_test_-1_y", "other_1_y"} {
		_, ok := madeAt(name)
		require.False(t, ok, name)
	}
}

func redisAt(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	t.Parallel()
	var first string
	t.Run("of its own", func(t *testing.T) {
		begin := time.Now()
		first = Redis(t)
		t.Logf("first Redis: %s", time.Since(begin))
		second := Redis(t)
		require.NotEqual(t, first, second)
		require.NotZero(t, redisAt(t, first).Options().DB)
		require.NoError(t, redisAt(t, first).Set(t.Context(), "key", "value", 0).Err())
		require.ErrorIs(t, redisAt(t, second).Get(t.Context(), "key").Err(), redis.Nil)
	})
	require.ErrorIs(t, redisAt(t, first).Get(t.Context(), "key").Err(), redis.Nil, "emptied at the end")
}

func TestRedisDatabasesRunOut(t *testing.T) {
	t.Parallel()
	// Of its own: on a shared one other processes would hold some.
	private, err := privateRedis(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, private.stop(context.Background())) }()
	few := redises{owner: "test"}
	require.NoError(t, few.open(t.Context(), private.url))
	defer few.client.Close()
	few.count = 3
	first, err := few.claim(t.Context())
	require.NoError(t, err)
	second, err := few.claim(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(4*claimInterval, cancel)
	_, err = few.claim(ctx)
	require.ErrorContains(t, err, "all 2 Redis databases are taken")
	require.NoError(t, few.release(t.Context(), first))
	third, err := few.claim(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, third)
	require.NoError(t, few.release(t.Context(), second))
	require.NoError(t, few.release(t.Context(), third))
}

func TestRedisURLKeepsItsOptions(t *testing.T) {
	t.Parallel()
	var r redises
	require.ErrorContains(t, r.open(t.Context(), "http://nowhere"), RedisVariable)
	require.ErrorContains(t, r.open(t.Context(), "redis://127.0.0.1:1/0?max_retries=-1&dial_timeout=100ms"), "connect")
	require.NoError(t, r.client.Close())
	require.Equal(t, "redis://127.0.0.1:1/7?dial_timeout=100ms&max_retries=-1", r.url(7))
}

// recorder is a test whose end is our own to see.
type recorder struct {
	testing.TB
	failure  string
	cleanups []func()
}

func (r *recorder) Helper()           {}
func (r *recorder) Cleanup(fn func()) { r.cleanups = append(r.cleanups, fn) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	panic(r)
}

func failureOf(fn func(testing.TB)) string {
	r := &recorder{}
	func() {
		defer func() { _ = recover() }()
		fn(r)
	}()
	for _, cleanup := range r.cleanups {
		cleanup()
	}
	return r.failure
}

// A missing server fails tests, and says what to do.
func TestMissingServersFailTests(t *testing.T) {
	before := current
	t.Cleanup(func() { current = before })
	t.Setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
	t.Setenv("PICASPOT_PG_BIN", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	for name, c := range map[string]struct {
		database, redis           string
		databaseFails, redisFails string
	}{
		"nothing installed": {"", "", "holds no initdb", "redis-server is not installed"},
		"nobody there":      {"postgres://127.0.0.1:1/postgres", "redis://127.0.0.1:1/0?max_retries=-1&dial_timeout=100ms", "connection refused", "connection refused"},
		"no URLs":           {"host=127.0.0.1 port=1", "x", "has to be a URL", "invalid URL scheme"},
		"not even that":     {"postgres://%", "redis://%", DatabaseVariable, RedisVariable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(DatabaseVariable, c.database)
			t.Setenv(RedisVariable, c.redis)
			current = newEnvironment()
			for range 2 { // The second time from memory.
				require.Contains(t, failureOf(func(t testing.TB) { Database(t) }), c.databaseFails)
				require.Contains(t, failureOf(func(t testing.TB) { Redis(t) }), c.redisFails)
			}
			_, err := Start(t.Context())
			if c.database == "" {
				require.ErrorContains(t, err, "scripts/setup.sh test")
				require.ErrorContains(t, err, DatabaseVariable)
			}
			require.NoError(t, current.close())
			require.Contains(t, failureOf(func(t testing.TB) { Database(t) }), "have ended")
		})
	}
	current = nil
	require.Contains(t, failureOf(func(t testing.TB) { Database(t) }), "has to call testenv.Main")
	require.Contains(t, failureOf(func(t testing.TB) { Redis(t) }), "has to call testenv.Main")
}

func TestCleanupFailuresAreTold(t *testing.T) {
	before := current
	t.Cleanup(func() { current = before })
	current = newEnvironment()
	closed := func(get func(t testing.TB)) string {
		return failureOf(func(t testing.TB) {
			get(t)
			// The server goes away before the test ends.
			if err := current.close(); err != nil {
				panic(err)
			}
		})
	}
	require.Contains(t, closed(func(t testing.TB) { Database(t) }), "drop the test's database")
	current = newEnvironment()
	require.Contains(t, closed(func(t testing.TB) { Redis(t) }), "give back the test's Redis")
}

func TestReapLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(temp, folderPrefix+"file"), nil, 0o600))
	require.NoError(t, os.Symlink(temp, filepath.Join(temp, folderPrefix+"link")))
	dead := filepath.Join(temp, folderPrefix+"dead")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, redisFolder), 0o700))
	damaged := filepath.Join(temp, folderPrefix+"damaged")
	require.NoError(t, os.MkdirAll(filepath.Join(damaged, redisFolder, "redis.pid"), 0o700))
	for _, folder := range []string{dead, damaged} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, ownerFile), nil, 0o600))
	}
	unknown := filepath.Join(temp, folderPrefix+"unknown")
	require.NoError(t, os.Mkdir(unknown, 0o700))
	reap(t.Context(), temp)
	require.DirExists(t, unknown)
	require.FileExists(t, filepath.Join(temp, folderPrefix+"file"))
	require.NoDirExists(t, dead)
	require.DirExists(t, damaged, "what cannot be removed stays for the next run")
	if os.Geteuid() == 0 {
		foreign := filepath.Join(temp, folderPrefix+"foreign")
		require.NoError(t, os.Mkdir(foreign, 0o700))
		require.NoError(t, os.Chown(foreign, 65534, 65534))
		reap(t.Context(), temp)
		require.DirExists(t, foreign)
	}
}

func TestFolderThatCannotBeMade(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	for _, start := range []func(context.Context) (server, error){privateDatabase, privateRedis} {
		_, err := start(t.Context())
		require.ErrorContains(t, err, "folder for a private server")
	}
}

// helperVariable makes the test binary start private servers and wait to be killed.
const helperVariable = "TESTENV_TEST_HELPER"

func helper() {
	if _, err := privateRedis(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := privateDatabase(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("running")
	select {}
}

func TestKilledRunsAreReaped(t *testing.T) {
	// Not among the real ones, where other tests' starts would reap them.
	temp, err := os.MkdirTemp("", "picaspot-reap-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temp)) })
	require.NoError(t, os.Chmod(temp, 0o711))
	run := exec.Command(os.Args[0])
	run.Env = append(os.Environ(), helperVariable+"=1", "TMPDIR="+temp)
	out, err := run.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, run.Start())
	said := make([]byte, 500)
	n, err := out.Read(said)
	require.NoError(t, err)
	require.Equal(t, "running\n", string(said[:n]))
	folders := func() []string {
		found, err := filepath.Glob(filepath.Join(temp, folderPrefix+"*"))
		require.NoError(t, err)
		return found
	}
	require.Len(t, folders(), 2)
	reap(t.Context(), temp)
	require.Len(t, folders(), 2, "their owner lives")

	require.NoError(t, run.Process.Kill())
	require.Error(t, run.Wait())
	reap(t.Context(), temp)
	require.Empty(t, folders())
	servers, err := exec.CommandContext(t.Context(), "ps", "-ww", "-eo", "args").Output()
	require.NoError(t, err)
	require.NotContains(t, string(servers), temp)
}
