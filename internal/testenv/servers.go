package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot/internal/localstack"
)

// Servers are a PostgreSQL with PostGIS and a Redis for tests.
type Servers struct {
	// DatabaseURL is an administrator's.
	DatabaseURL string
	RedisURL    string

	stops []func() error
}

// Start finds or starts the servers: from the environment, in Docker, or as
// private processes.
func Start(ctx context.Context) (_ *Servers, err error) {
	s := &Servers{DatabaseURL: os.Getenv(DatabaseVariable), RedisURL: os.Getenv(RedisVariable)}
	if s.DatabaseURL != "" && s.RedisURL != "" {
		return s, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if pool := dockerPool(); pool != nil {
		return s, s.startContainers(ctx, pool)
	}
	return s, s.startPrivate(ctx)
}

// Stop ends what [Start] started; servers from the environment stay.
func (s *Servers) Stop() error {
	var errs []error
	for i := len(s.stops) - 1; i >= 0; i-- {
		errs = append(errs, s.stops[i]())
	}
	s.stops = nil
	return errors.Join(errs...)
}

func (s *Servers) database(name string) string {
	u, err := url.Parse(s.DatabaseURL)
	if err != nil {
		panic(err) // pgx connected with it before.
	}
	u.Path = "/" + name
	return u.String()
}

func (s *Servers) admin(ctx context.Context, fn func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, s.DatabaseURL)
	if err != nil {
		return err
	}
	return errors.Join(fn(conn), conn.Close(ctx))
}

const (
	// containerLifetime ends containers that a killed run left behind.
	containerLifetime = 30 * 60
	dockerTimeout     = 2 * time.Second
	postgresImage     = "postgis/postgis"
	postgresTag       = "16-3.5"
	redisImage        = "redis"
	redisTag          = "7-alpine"
)

// dockerPool returns a connection to Docker, or nil where no engine answers.
func dockerPool() *dockertest.Pool {
	pool, err := dockertest.NewPool("")
	if err != nil {
		return nil
	}
	pool.Client.SetTimeout(dockerTimeout)
	if err := pool.Client.Ping(); err != nil {
		return nil
	}
	pool.Client.SetTimeout(0)
	pool.MaxWait = setupTimeout
	return pool
}

func (s *Servers) startContainers(ctx context.Context, pool *dockertest.Pool) error {
	if s.DatabaseURL == "" {
		container, err := s.run(pool, &dockertest.RunOptions{
			Repository: postgresImage, Tag: postgresTag,
			Env: []string{"POSTGRES_PASSWORD=test", "POSTGRES_HOST_AUTH_METHOD=scram-sha-256"},
			Cmd: []string{"postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=300"},
		})
		if err != nil {
			return err
		}
		s.DatabaseURL = "postgres://postgres:test@" + container.GetHostPort("5432/tcp") + "/postgres?sslmode=disable"
		if err := pool.Retry(func() error { return s.admin(ctx, func(conn *pgx.Conn) error { return conn.Ping(ctx) }) }); err != nil {
			return fmt.Errorf("PostgreSQL in Docker: %w", err)
		}
	}
	if s.RedisURL == "" {
		container, err := s.run(pool, &dockertest.RunOptions{
			Repository: redisImage, Tag: redisTag, Cmd: []string{"redis-server", "--save", "", "--databases", strconv.Itoa(redisDatabases)},
		})
		if err != nil {
			return err
		}
		address := container.GetHostPort("6379/tcp")
		s.RedisURL = "redis://" + address + "/0"
		err = pool.Retry(func() error {
			client := redis.NewClient(&redis.Options{Addr: address})
			defer client.Close()
			return client.Ping(ctx).Err()
		})
		if err != nil {
			return fmt.Errorf("Redis in Docker: %w", err)
		}
	}
	return nil
}

func (s *Servers) run(pool *dockertest.Pool, options *dockertest.RunOptions) (*dockertest.Resource, error) {
	options.Labels = map[string]string{"io.picaspot": "test"}
	container, err := pool.RunWithOptions(options, func(c *docker.HostConfig) {
		c.AutoRemove = true
		c.RestartPolicy = docker.RestartPolicy{Name: "no"}
	})
	if err != nil {
		return nil, fmt.Errorf("start %s:%s in Docker: %w", options.Repository, options.Tag, err)
	}
	s.stops = append(s.stops, func() error { return pool.Purge(container) })
	// It fails under Podman, which then keeps what a killed run left behind.
	_ = container.Expire(containerLifetime)
	return container, nil
}

// privatePrefix names the folders of private servers in the system's folder for
// temporary files; the number of the process that made one comes next.
const privatePrefix = "picaspot-testenv-"

func (s *Servers) startPrivate(ctx context.Context) error {
	reap(os.TempDir())
	dir, err := os.MkdirTemp("", privatePrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return fmt.Errorf("folder for private servers: %w", err)
	}
	s.stops = append(s.stops, func() error { return os.RemoveAll(dir) })
	// PostgreSQL may run as another user and has to pass through.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // It may not list it.
		return fmt.Errorf("folder for private servers: %w", err)
	}
	if s.DatabaseURL == "" {
		postgres, err := localstack.StartPostgres(ctx, localstack.PostgresOptions{
			Dir: filepath.Join(dir, "postgres"),
			Settings: map[string]string{
				// What is tested here does not outlive a crash of the machine, nor has it to.
				"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
				"max_connections": "300", "shared_buffers": "256MB",
			},
		})
		if err != nil {
			return err
		}
		s.DatabaseURL = postgres.URL("postgres")
		s.stops = append(s.stops, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
			defer cancel()
			return postgres.Stop(ctx)
		})
	}
	if s.RedisURL == "" {
		server, err := localstack.StartRedisServer(ctx, dir, redisDatabases)
		if err != nil {
			return err
		}
		s.RedisURL = server.URL
		s.stops = append(s.stops, server.Stop)
	}
	return nil
}

// reap removes what runs that were killed left behind: their servers are still
// running, in folders that name a process that is not.
func reap(temp string) {
	folders, err := filepath.Glob(filepath.Join(temp, privatePrefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), privatePrefix), "-")
		owner, err := strconv.Atoi(number)
		if err != nil || syscall.Kill(owner, 0) == nil {
			continue
		}
		localstack.Reap(filepath.Join(folder, "postgres"), folder)
		_ = os.RemoveAll(folder) // The next run tries again.
	}
}
