package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// counterKey and leaseKey lie in database 0, which no test gets.
	counterKey = "picaspot:testenv:counter"
	leaseKey   = "picaspot:testenv:database:"
	// leaseTime frees the databases of a run that was killed. It is longer than
	// a test may take.
	leaseTime = 30 * time.Minute
	// claimInterval is how often a test asks again while all databases are taken.
	claimInterval = 50 * time.Millisecond
	// defaultDatabases is Redis's own, for servers that hide their settings.
	defaultDatabases = 16
)

// redises hands out the databases of one Redis server. Who has which is kept
// in the server, because many test processes share it.
type redises struct {
	options *redis.Options
	address *url.URL
	client  *redis.Client
	count   int
	owner   string
}

func openRedises(ctx context.Context) (*redises, func(context.Context) error, error) {
	server, err := startRedis(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &redises{owner: rand.Text()}
	stop := func(ctx context.Context) error {
		var err error
		if r.client != nil {
			err = r.client.Close()
		}
		return errors.Join(err, server.stop(ctx))
	}
	if err := r.open(ctx, server.url); err != nil {
		return nil, nil, errors.Join(err, stop(context.WithoutCancel(ctx)))
	}
	return r, stop, nil
}

func (r *redises) open(ctx context.Context, address string) error {
	var err error
	if r.options, err = redis.ParseURL(address); err != nil {
		return fmt.Errorf("%s: %w", RedisVariable, err)
	}
	if r.address, err = url.Parse(address); err != nil {
		return fmt.Errorf("%s: %w", RedisVariable, err)
	}
	r.options.DB = 0
	r.client = redis.NewClient(r.options)
	if err := r.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	r.count = defaultDatabases
	if settings, err := r.client.ConfigGet(ctx, "databases").Result(); err == nil {
		if count, err := strconv.Atoi(settings["databases"]); err == nil {
			r.count = count
		}
	}
	if r.count < 2 {
		return errors.New("the Redis server has one database only; tests need one each")
	}
	return nil
}

func (r *redises) url(number int) string {
	u := *r.address
	u.Path = "/" + strconv.Itoa(number)
	query := u.Query()
	query.Del("db") // It would win over the path.
	u.RawQuery = query.Encode()
	return u.String()
}

// claim takes an unused database and empties it. It waits while all are taken.
func (r *redises) claim(ctx context.Context) (int, error) {
	for try := 1; ; try++ {
		turn, err := r.client.Incr(ctx, counterKey).Result()
		if err != nil {
			return 0, fmt.Errorf("choose a Redis database: %w", err)
		}
		number := 1 + int(turn%int64(r.count-1))
		free, err := r.client.SetNX(ctx, leaseKey+strconv.Itoa(number), r.owner, leaseTime).Result()
		if err != nil {
			return 0, fmt.Errorf("choose a Redis database: %w", err)
		}
		if free {
			return number, r.empty(ctx, number)
		}
		if try%r.count != 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("all %d Redis databases are taken: %w", r.count-1, context.Cause(ctx))
		case <-time.After(claimInterval):
		}
	}
}

func (r *redises) empty(ctx context.Context, number int) error {
	options := *r.options
	options.DB, options.PoolSize = number, 1
	client := redis.NewClient(&options)
	err := client.FlushDB(ctx).Err()
	if err := errors.Join(err, client.Close()); err != nil {
		return fmt.Errorf("empty Redis database %d: %w", number, err)
	}
	return nil
}

// release empties the database, which matters to a server that outlives the
// run, and gives it back.
func (r *redises) release(ctx context.Context, number int) error {
	if err := r.empty(ctx, number); err != nil {
		return err
	}
	return r.client.Del(ctx, leaseKey+strconv.Itoa(number)).Err()
}
