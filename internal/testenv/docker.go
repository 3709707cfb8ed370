package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
	"github.com/redis/go-redis/v9"
	"go.yaml.in/yaml/v3"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/internal/localstack"
)

const (
	// dockerTimeout is how long an engine has to answer.
	dockerTimeout = 1500 * time.Millisecond
	// readyTimeout is how long a container has to be ready once its image is there.
	readyTimeout = time.Minute
	// containerLifetime, in seconds, ends the containers of a run that was killed.
	containerLifetime = 60 * 60
	containerLabel    = "io.picaspot.testenv"
)

// dockerSocket is where an engine of the user's own listens, as Docker Desktop's.
func dockerSocket() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker", "run", "docker.sock")
}

// dockerPool returns a connection to the engine, and the host that published
// ports are reached at.
func dockerPool(ctx context.Context) (*dockertest.Pool, string, error) {
	endpoint := os.Getenv("DOCKER_HOST")
	if endpoint == "" {
		endpoint = "unix:///var/run/docker.sock"
		if _, err := os.Stat("/var/run/docker.sock"); err != nil {
			if _, err := os.Stat(dockerSocket()); err == nil {
				endpoint = "unix://" + dockerSocket()
			}
		}
	}
	pool, err := dockertest.NewPool(endpoint)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errNoDocker, err)
	}
	pool.MaxWait = readyTimeout
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	if err := pool.Client.PingWithContext(ctx); err != nil {
		return nil, "", fmt.Errorf("%w: %w", errNoDocker, err)
	}
	if u, err := url.Parse(endpoint); err == nil && u.Hostname() != "" {
		return pool, u.Hostname(), nil
	}
	return pool, "127.0.0.1", nil
}

// image is what docker-compose.yml runs as the service, so that tests and an
// installation have the same version.
func image(service string) (repository, tag string, err error) {
	var compose struct {
		Services map[string]struct{ Image string }
	}
	if err := yaml.Unmarshal(picaspot.Compose, &compose); err != nil {
		return "", "", fmt.Errorf("docker-compose.yml: %w", err)
	}
	repository, tag, found := strings.Cut(compose.Services[service].Image, ":")
	if !found {
		return "", "", fmt.Errorf("docker-compose.yml: service %s has no image with a tag", service)
	}
	return repository, tag, nil
}

func databaseContainer(ctx context.Context) (server, error) {
	password := rand.Text()
	command := []string{"postgres"}
	for name, value := range testSettings {
		command = append(command, "-c", name+"="+value)
	}
	repository, tag, err := image("postgres")
	if err != nil {
		return server{}, err
	}
	return container(ctx, dockertest.RunOptions{
		Repository: repository, Tag: tag, Cmd: command,
		Env: []string{"POSTGRES_PASSWORD=" + password, "POSTGRES_INITDB_ARGS=--no-sync"},
	}, "5432/tcp", func(address string) string {
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword("postgres", password), Host: address,
			Path: "/postgres", RawQuery: "sslmode=disable",
		}
		return u.String()
	}, func(address string) error {
		conn, err := pgx.Connect(ctx, address)
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

func redisContainer(ctx context.Context) (server, error) {
	password := rand.Text()
	repository, tag, err := image("redis")
	if err != nil {
		return server{}, err
	}
	return container(ctx, dockertest.RunOptions{
		Repository: repository, Tag: tag,
		Cmd: []string{
			"redis-server", "--save", "", "--appendonly", "no",
			"--databases", strconv.Itoa(localstack.RedisDatabases), "--requirepass", password,
		},
	}, "6379/tcp", func(address string) string {
		u := url.URL{Scheme: "redis", User: url.UserPassword("", password), Host: address, Path: "/0"}
		return u.String()
	}, func(address string) error {
		options, err := redis.ParseURL(address)
		if err != nil {
			return err
		}
		options.DialerRetries = 1
		client := redis.NewClient(options)
		return errors.Join(client.Ping(ctx).Err(), client.Close())
	})
}

// container runs an image, waits until ping succeeds, and returns the server
// behind the port.
func container(ctx context.Context, options dockertest.RunOptions, port docker.Port,
	address func(hostPort string) string, ping func(address string) error,
) (server, error) {
	pool, host, err := dockerPool(ctx)
	if err != nil {
		return server{}, err
	}
	image := options.Repository + ":" + options.Tag
	if _, err := pool.Client.InspectImage(image); err != nil {
		fmt.Fprintln(os.Stderr, "testenv: Docker fetches", image)
	}
	options.Labels = map[string]string{containerLabel: strconv.Itoa(os.Getpid())}
	options.ExposedPorts = []string{string(port)}
	binding := docker.PortBinding{HostPort: "0"}
	if host == "127.0.0.1" {
		binding.HostIP = host // Not for the rest of the network.
	}
	options.PortBindings = map[docker.Port][]docker.PortBinding{port: {binding}}
	resource, err := pool.RunWithOptions(&options, func(c *docker.HostConfig) {
		c.PublishAllPorts = false
		c.RestartPolicy = docker.RestartPolicy{Name: "no"}
	})
	if err != nil {
		return server{}, fmt.Errorf("run %s: %w", image, err)
	}
	// Podman fails at it, and then keeps what a killed run leaves behind.
	_ = resource.Expire(containerLifetime)
	at := address(net.JoinHostPort(host, resource.GetPort(string(port))))
	if err := pool.Retry(func() error { return ping(at) }); err != nil {
		return server{}, errors.Join(fmt.Errorf("%s is not ready: %w", image, err), pool.Purge(resource))
	}
	return server{at, func(context.Context) error { return pool.Purge(resource) }}, nil
}
