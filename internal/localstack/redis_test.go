package localstack_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/localstack"
)

func client(t *testing.T, address string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(address)
	require.NoError(t, err)
	options.MaxRetries, options.DialerRetries = -1, 1
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space")
	begin := time.Now()
	r, err := localstack.StartRedisServer(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	t.Logf("start: %s", time.Since(begin))
	c := client(t, r.URL())
	databases, err := c.ConfigGet(t.Context(), "databases").Result()
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(localstack.RedisDatabases), databases["databases"])
	require.NoError(t, c.Set(t.Context(), "key", "value", 0).Err())
	stranger := redis.NewClient(&redis.Options{Addr: c.Options().Addr})
	defer stranger.Close()
	require.ErrorContains(t, stranger.Ping(t.Context()).Err(), "NOAUTH")

	require.NoError(t, r.Stop(t.Context()))
	require.NoError(t, r.Stop(t.Context()))
	require.Error(t, c.Ping(t.Context()).Err())
	require.NoError(t, localstack.RemoveRedis(t.Context(), dir))
	require.NoDirExists(t, dir)
	require.NoError(t, localstack.RemoveRedis(t.Context(), dir), "what is not there")
}

func TestRedisServerLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// As a killed run leaves it: a server, its settings and its pid file.
	conf := filepath.Join(dir, "redis.conf")
	require.NoError(t, os.WriteFile(conf, []byte(strings.Join([]string{
		"port 0", "unixsocket " + filepath.Join(dir, "s"), "set-proc-title no", `save ""`, "pidfile " + filepath.Join(dir, "redis.pid"), "",
	}, "\n")), 0o600))
	orphan := exec.Command("redis-server", conf)
	out, err := orphan.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, orphan.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "Server initialized") {
		continue
	}
	require.FileExists(t, filepath.Join(dir, "redis.pid"))
	ended := make(chan error, 1)
	go func() {
		for lines.Scan() {
			continue
		}
		ended <- orphan.Wait()
	}()
	require.NoError(t, localstack.RemoveRedis(t.Context(), dir))
	require.NoError(t, <-ended)
	require.NoDirExists(t, dir)
}

func TestRedisServerFailures(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	_, err := localstack.StartRedisServer(t.Context(), filepath.Join(dir, "redis"))
	require.ErrorIs(t, err, localstack.ErrNotInstalled)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "valkey-server"), []byte("#!/bin/sh\necho broken\nexit 3\n"), 0o755))
	_, err = localstack.StartRedisServer(t.Context(), filepath.Join(dir, "redis"))
	require.ErrorContains(t, err, "it ended: exit status 3: broken")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "valkey-server"), []byte("#!/bin/sh\necho Address already in use\nexit 1\n"), 0o755))
	_, err = localstack.StartRedisServer(t.Context(), filepath.Join(dir, "redis"))
	require.ErrorContains(t, err, "Address already in use", "after some tries")

	_, err = localstack.StartRedisServer(t.Context(), filepath.Join(dir, "valkey-server", "redis"))
	require.ErrorContains(t, err, "folder of Redis")

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "damaged", "redis.pid"), 0o700))
	require.ErrorContains(t, localstack.RemoveRedis(t.Context(), filepath.Join(dir, "damaged")), "pid file of Redis")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "other", "redis.conf"), 0o700))
	_, err = localstack.StartRedisServer(t.Context(), filepath.Join(dir, "other"))
	require.ErrorContains(t, err, "settings of Redis")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "third", "redis.log"), 0o700))
	_, err = localstack.StartRedisServer(t.Context(), filepath.Join(dir, "third"))
	require.ErrorContains(t, err, "log of Redis")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = localstack.StartRedisServer(ctx, filepath.Join(dir, "redis"))
	require.Error(t, err)
}
