package localstack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestMajorVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n": 15,
		"postgres (PostgreSQL) 18beta1\n":                      18,
		"postgres (PostgreSQL) 17\n":                           17,
	} {
		major, ok := majorVersion(line)
		require.True(t, ok, line)
		require.Equal(t, want, major)
	}
	for _, line := range []string{"", "postgres 15", "(PostgreSQL) devel 15", "(PostgreSQL) 99999999999999999999"} {
		_, ok := majorVersion(line)
		require.False(t, ok, line)
	}
}

func TestWellKnownPutsTheNewestFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"9.6", "15", "100", "latest"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o755))
	}
	var names []string
	for _, path := range wellKnown(dir + "/*") {
		names = append(names, filepath.Base(path))
	}
	require.Equal(t, "100", names[0])
	require.Equal(t, "15", names[1])
	require.Len(t, names, 4)
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	require.Contains(t, adviceFor("darwin", 0), "brew install postgresql@17 postgis")
	require.Contains(t, adviceFor("darwin", 16), "postgresql@16")
	require.Contains(t, adviceFor("linux", 15), "apt-get install postgresql-15 postgresql-15-postgis-3")
	require.Contains(t, adviceFor("linux", 0), "apt-get install postgresql postgresql-postgis")
	require.Contains(t, redisAdvice("darwin"), "brew install redis")
	require.Contains(t, redisAdvice("linux"), "apt-get install redis-server")
}

func TestLocales(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"--locale=C.UTF-8"}, locales(15)[0])
	require.Contains(t, locales(17)[0], "--locale-provider=builtin")
	require.Equal(t, locales(15), locales(17)[1:])
}

func FuzzParsePostmaster(f *testing.F) {
	f.Add("123\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  1 2\nready   \n")
	f.Add("")
	f.Add("-5\n")
	f.Add("99999999999999999999")
	f.Fuzz(func(t *testing.T, content string) {
		p, ok := parsePostmaster(content)
		if !ok {
			require.Zero(t, p)
			return
		}
		// A signal to 0, 1 or a negative id reaches far more than a server.
		require.Greater(t, p.pid, 1)
		require.Equal(t, strings.TrimSpace(p.status), p.status)
	})
}

func TestParsePostmaster(t *testing.T) {
	t.Parallel()
	p, ok := parsePostmaster("123\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  1 2\nready   \n")
	require.True(t, ok)
	require.Equal(t, postmaster{123, "ready"}, p)
	p, ok = parsePostmaster("123\n/data\n")
	require.True(t, ok)
	require.Equal(t, postmaster{123, ""}, p)
	for _, content := range []string{"", "0\n", "1\n", "-1\n", "x\n"} {
		_, ok := parsePostmaster(content)
		require.False(t, ok, content)
	}
}

func TestProcessThatHeedsNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "trap '' INT; echo; while :; do sleep 1; done")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p, err := startProcess(cmd, syscall.SIGTERM)
	require.NoError(t, err)
	_, err = out.Read(make([]byte, 1)) // The trap is set.
	require.NoError(t, err)
	ctx, cancel := contextEndingNow(t)
	defer cancel()
	err = p.stop(ctx, syscall.SIGINT, syscall.SIGKILL)
	require.ErrorContains(t, err, "it did not heed interrupt and was ended by killed")
	require.True(t, p.ended())
	require.NoError(t, p.stop(ctx, syscall.SIGINT), "stopping what has ended")
}

func TestProcessThatDoesNotStart(t *testing.T) {
	t.Parallel()
	_, err := startProcess(exec.Command(filepath.Join(t.TempDir(), "none")), syscall.SIGTERM)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestStopOrphan(t *testing.T) {
	t.Parallel()
	const mark = "an argument like no other"
	cmd := exec.Command("sh", "-c", "trap '' INT; echo; while :; do sleep 1; done", mark)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	p, err := startProcess(cmd, syscall.SIGTERM)
	require.NoError(t, err)
	_, err = out.Read(make([]byte, 1))
	require.NoError(t, err)

	require.NoError(t, stopOrphan(t.Context(), p.pid(), "another mark", syscall.SIGKILL), "what is not ours")
	require.False(t, p.ended())
	ctx, cancel := contextEndingNow(t)
	defer cancel()
	require.Error(t, stopOrphan(ctx, p.pid(), mark, syscall.SIGINT))
	require.ErrorContains(t, stopOrphan(t.Context(), p.pid(), mark), "does not end")
	require.NoError(t, stopOrphan(t.Context(), p.pid(), mark, syscall.SIGKILL))
	<-p.done
}

func TestPoll(t *testing.T) {
	t.Parallel()
	yes, err := poll(t.Context(), time.Nanosecond, func() bool { return false })
	require.NoError(t, err)
	require.False(t, yes)
}

func TestLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Truncate(path, maxLog+1))
	file, err := openLog(path)
	require.NoError(t, err)
	defer file.Close()
	require.FileExists(t, path+".1")
	_, err = file.WriteString(strings.Repeat("x", 3*logTail) + "the end\n")
	require.NoError(t, err)
	said := tail(file, 0)
	require.True(t, strings.HasSuffix(said, "the end"))
	require.LessOrEqual(t, len(said), logTail)
	_, err = openLog(filepath.Join(path, "none"))
	require.Error(t, err)
}

func TestPassing(t *testing.T) {
	t.Parallel()
	require.True(t, passing(`LOG: could not bind IPv4 address "127.0.0.1": Address already in use`))
	require.False(t, passing("FATAL: no"))
}

func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := TakeLock(path)
	require.NoError(t, err)
	_, err = TakeLock(path)
	require.ErrorIs(t, err, ErrInUse)
	require.NoError(t, lock.Release())
	require.Error(t, lock.Release())
	lock, err = TakeLock(path)
	require.NoError(t, err)
	require.NoError(t, lock.Release())
	_, err = TakeLock(filepath.Join(path, "none"))
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrInUse)
}

func TestMemoryRedis(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	ticks := make(chan time.Time)
	address, stop, err := memoryRedis(begin, ticks)
	require.NoError(t, err)
	defer stop()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	options.MaxRetries, options.DialerRetries = -1, 1
	client := redis.NewClient(options)
	defer client.Close()

	require.NoError(t, client.Set(t.Context(), "key", "value", 10*time.Second).Err())
	ticks <- begin.Add(9 * time.Second)
	ticks <- begin.Add(9 * time.Second) // The one before has been dealt with.
	require.Equal(t, "value", client.Get(t.Context(), "key").Val())
	ticks <- begin.Add(11 * time.Second)
	ticks <- begin.Add(11 * time.Second)
	require.ErrorIs(t, client.Get(t.Context(), "key").Err(), redis.Nil)

	options.Password = ""
	stranger := redis.NewClient(options)
	defer stranger.Close()
	require.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")
	stop()
	stop()
	require.Error(t, client.Ping(t.Context()).Err())
}

func TestMemoryRedisFollowsTheClock(t *testing.T) {
	t.Parallel()
	address, stop, err := NewMemoryRedis(t.Context())
	require.NoError(t, err)
	defer stop()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	require.NoError(t, client.Set(t.Context(), "key", "value", 10*time.Millisecond).Err())
	require.Eventually(t, func() bool { return errors.Is(client.Get(t.Context(), "key").Err(), redis.Nil) },
		time.Minute, time.Millisecond)

	ctx, cancel := contextEndingNow(t)
	defer cancel()
	_, _, err = NewMemoryRedis(ctx)
	require.Error(t, err)
}

func contextEndingNow(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

func TestFilesThatResist(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	require.NoError(t, giveTo(nil, none))
	require.ErrorContains(t, giveTo(&syscall.Credential{Uid: 1}, none), "give it to the server's account")
	require.NoError(t, removeFile(none))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700))
	require.ErrorContains(t, removeFile(filepath.Join(dir, "full")), "remove")
	require.Zero(t, lastNumber("/opt/postgresql/bin"))
	require.Zero(t, keptPort(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, portFile), []byte("5432"), 0o600))
	require.Zero(t, keptPort(dir), "not one of ours")
	_, err := enters(t.Context(), dir, &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid()), NoSetGroups: true}, none)
	require.ErrorContains(t, err, "run "+none)
}
