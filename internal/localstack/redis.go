package localstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// RedisDatabases is the number of databases of a private Redis server.
const RedisDatabases = 1000

// memoryTick is the resolution of expiry in the in-process Redis.
const memoryTick = 100 * time.Millisecond

// NewMemoryRedis starts a Redis within this process, on a free port of
// 127.0.0.1 and behind a random password, and returns its URL. It keeps nothing
// beyond stop; keys expire with a resolution of a tenth of a second. It does
// not end with ctx, so that a shutdown can still use it.
func NewMemoryRedis(ctx context.Context) (address string, stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return "", nil, fmt.Errorf("start Redis: %w", err)
	}
	ticker := time.NewTicker(memoryTick)
	address, stopServer, err := memoryRedis(time.Now(), ticker.C)
	if err != nil {
		ticker.Stop()
		return "", nil, err
	}
	return address, func() { ticker.Stop(); stopServer() }, nil
}

// memoryRedis moves the server's clock on with each tick. miniredis can count
// by itself (ClockTTL), but then walks over all keys at every command.
func memoryRedis(begin time.Time, ticks <-chan time.Time) (address string, stop func(), err error) {
	server := miniredis.NewMiniRedis()
	password := rand.Text()
	server.RequireAuth(password)
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return "", nil, fmt.Errorf("start Redis: %w", err)
	}
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		last := begin
		for {
			select {
			case <-stopping:
				return
			case now := <-ticks:
				server.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	var once sync.Once
	return redisURL(server.Addr(), password), func() {
		once.Do(func() {
			close(stopping)
			<-stopped
			server.Close()
		})
	}, nil
}

func redisURL(host, password string) string {
	address := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: host, Path: "/0"}
	return address.String()
}

// Redis is a running private server.
type Redis struct {
	dir, url string
	process  *process

	stop    sync.Once
	stopErr error
}

// StartRedisServer starts the installed redis-server (or valkey-server) with
// its files in dir, on a free port of 127.0.0.1, behind a random password, with
// [RedisDatabases] databases and without persistence. The error is
// [ErrNotInstalled] when there is none on the PATH.
func StartRedisServer(ctx context.Context, dir string) (*Redis, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		program, err = exec.LookPath("valkey-server")
	}
	if err != nil {
		return nil, notInstalled("redis-server is not installed: " + redisAdvice(runtime.GOOS))
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("folder of Redis: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of Redis: %w", err)
	}
	for try := 1; ; try++ {
		r, again, err := launchRedis(ctx, program, dir)
		if err == nil {
			return r, nil
		}
		if !again || try == startTries {
			return nil, err
		}
	}
}

func redisAdvice(system string) string {
	if system == "darwin" {
		return "run `brew install redis`"
	}
	return "run `scripts/setup.sh test`, or on Debian and Ubuntu `sudo apt-get install redis-server`"
}

func launchRedis(ctx context.Context, program, dir string) (r *Redis, again bool, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, false, fmt.Errorf("port of Redis: %w", err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, false, fmt.Errorf("port of Redis: %w", err)
	}
	_, port, _ := net.SplitHostPort(address)
	password := rand.Text()
	conf := filepath.Join(dir, "redis.conf")
	// In a file, because arguments can be read by everyone on the machine. The
	// title of the process stays as it is, so that an orphan is recognised.
	content := strings.Join([]string{
		"bind 127.0.0.1", "port " + port, "databases " + strconv.Itoa(RedisDatabases), "requirepass " + password,
		"dir " + strconv.Quote(dir), "pidfile " + strconv.Quote(filepath.Join(dir, "redis.pid")),
		`save ""`, "appendonly no", "set-proc-title no",
	}, "\n") + "\n"
	if err := os.WriteFile(conf, []byte(content), 0o600); err != nil {
		return nil, false, fmt.Errorf("settings of Redis: %w", err)
	}
	output, err := os.Create(filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, false, fmt.Errorf("log of Redis: %w", err)
	}
	defer output.Close()
	cmd := exec.Command(program, conf)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = output, output
	r = &Redis{dir: dir, url: redisURL(address, password)}
	if r.process, err = startProcess(cmd, syscall.SIGTERM); err != nil {
		return nil, false, err
	}
	if err := r.awaitReady(ctx); err != nil {
		said := tail(output, 0)
		return nil, r.process.ended() && passing(said), errors.Join(
			fmt.Errorf("start Redis: %w: %s", err, said), r.Stop(ctx))
	}
	return r, false, nil
}

// awaitReady returns when the server answers. It knocks with bare connections
// first, because the client logs each one that is refused.
func (r *Redis) awaitReady(ctx context.Context) error {
	options, err := redis.ParseURL(r.url)
	if err != nil {
		return fmt.Errorf("URL of Redis: %w", err)
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", options.Addr)
		if err == nil {
			_ = conn.Close() // Nothing was written to it.
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.process.done:
			return fmt.Errorf("it ended: %w", r.process.err)
		case <-ticker.C:
		}
	}
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	return nil
}

// URL returns the address of database 0, with the password.
func (r *Redis) URL() string { return r.url }

// Stop ends the server. Stopping again returns the same.
func (r *Redis) Stop(ctx context.Context) error {
	r.stop.Do(func() { r.stopErr = r.process.stop(ctx, syscall.SIGTERM, syscall.SIGKILL) })
	return r.stopErr
}

// RemoveRedis stops a server that a killed process left in dir, and deletes dir.
func RemoveRedis(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("folder of Redis: %w", err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "redis.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("pid file of Redis: %w", err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(content))); err == nil && pid > 1 {
		if err := stopOrphan(ctx, pid, filepath.Join(dir, "redis.conf"), syscall.SIGTERM, syscall.SIGKILL); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("folder of Redis: %w", err)
	}
	return nil
}
