package localstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// NewMemoryRedis starts a Redis in this process, which forgets everything when
// stop is called. Its keys expire as the clock goes on.
func NewMemoryRedis(ctx context.Context) (url string, stop func(), err error) {
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return "", nil, fmt.Errorf("start the in-process Redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				server.FastForward(time.Second)
			case <-ctx.Done():
				return
			}
		}
	}()
	return "redis://" + server.Addr() + "/0", func() {
		cancel()
		<-done
		server.Close()
	}, nil
}

// RedisServer is a private redis-server that keeps nothing on disk.
type RedisServer struct {
	URL     string
	process *exec.Cmd
	exited  chan struct{}
}

const redisPIDFile = "redis.pid"

// StartRedisServer starts the installed redis-server on a free port.
func StartRedisServer(ctx context.Context, dir string, databases int) (*RedisServer, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("redis-server is needed and was not found: apt-get install redis-server, or brew install redis")
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port for Redis: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // It listens on TCP.
	if err := listener.Close(); err != nil {
		return nil, fmt.Errorf("find a port for Redis: %w", err)
	}
	r := &RedisServer{URL: fmt.Sprintf("redis://127.0.0.1:%d/0", port), exited: make(chan struct{})}
	r.process = exec.Command(program, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", //nolint:noctx // Stopped by Stop.
		"--dir", dir, "--pidfile", filepath.Join(dir, redisPIDFile), "--databases", strconv.Itoa(databases), "--daemonize", "no")
	r.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.process.Start(); err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	go func() {
		_ = r.process.Wait() // How it ended is seen by those who need it.
		close(r.exited)
	}()
	client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	defer client.Close()
	for deadline := time.Now().Add(startTimeout); client.Ping(ctx).Err() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(errors.New("redis-server does not answer"), r.Stop())
		}
	}
	return r, nil
}

// Stop ends the server.
func (r *RedisServer) Stop() error {
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop redis-server: %w", err)
	}
	<-r.exited
	return nil
}
