package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

// server is a PostgreSQL or a Redis, and how to end it.
type server struct {
	url  string
	stop func(context.Context) error
}

// source is one way to have a server.
type source struct {
	name  string
	start func(context.Context) (server, error)
}

func startDatabase(ctx context.Context) (server, error) {
	return start(ctx, "PostgreSQL with PostGIS", DatabaseVariable,
		source{"in Docker", databaseContainer}, source{"private", privateDatabase})
}

func startRedis(ctx context.Context) (server, error) {
	return start(ctx, "Redis", RedisVariable,
		source{"in Docker", redisContainer}, source{"private", privateRedis})
}

// errNoDocker is no failure: most machines that run tests have no Docker.
var errNoDocker = errors.New("no Docker engine answers")

func start(ctx context.Context, what, variable string, sources ...source) (server, error) {
	if url := os.Getenv(variable); url != "" {
		return server{url, func(context.Context) error { return nil }}, nil
	}
	problems := []error{fmt.Errorf("tests need a %s: name one in %s, start Docker, or install it (scripts/setup.sh test)", what, variable)}
	for _, s := range sources {
		started, err := s.start(ctx)
		if err == nil {
			return started, nil
		}
		problems = append(problems, fmt.Errorf("%s: %w", s.name, err))
		if !errors.Is(err, errNoDocker) {
			fmt.Fprintf(os.Stderr, "testenv: %s %s: %v\n", what, s.name, err)
		}
	}
	return server{}, errors.Join(problems...)
}

// Servers are the ones that tests need.
type Servers struct {
	// DatabaseURL is an administrator's.
	DatabaseURL string
	RedisURL    string

	stops []func(context.Context) error
}

// Start finds or starts both servers, for test processes that are given their
// URLs in [DatabaseVariable] and [RedisVariable].
func Start(ctx context.Context) (*Servers, error) {
	var database, redis server
	var errDatabase, errRedis error
	var group sync.WaitGroup
	group.Go(func() { database, errDatabase = startDatabase(ctx) })
	group.Go(func() { redis, errRedis = startRedis(ctx) })
	group.Wait()
	s := &Servers{DatabaseURL: database.url, RedisURL: redis.url}
	for _, started := range []server{database, redis} {
		if started.stop != nil {
			s.stops = append(s.stops, started.stop)
		}
	}
	if err := errors.Join(errDatabase, errRedis); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Stop ends what [Start] started; servers from the environment stay.
func (s *Servers) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	var errs []error
	for _, stop := range s.stops {
		errs = append(errs, stop(ctx))
	}
	s.stops = nil
	return errors.Join(errs...)
}
