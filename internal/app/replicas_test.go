package app_test

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/testenv"
)

// statusOf asks a process for the account of a token.
func statusOf(t *testing.T, p *apptest.Process, token string) int {
	t.Helper()
	me, err := p.Client(token).GetMeWithResponse(context.Background(), nil)
	require.NoError(t, err)
	return me.StatusCode()
}

func command(t *testing.T, c config.Config, input string, args ...string) (string, error) {
	t.Helper()
	cmd := apptest.Command(t, c, args...)
	cmd.Stdin = strings.NewReader(input)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// What one replica is told holds on the other from the next request on.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("export:account=10/1h"))
	one, two := apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")

	t.Run("logout", func(t *testing.T) {
		user := s.User()
		for round := range 20 {
			here, there := one, two
			if round%2 == 1 {
				here, there = two, one
			}
			client := s.LogIn(user.ID, user.Username, user.Email)
			require.Equal(t, http.StatusOK, statusOf(t, here, client.Token))
			require.Equal(t, http.StatusOK, statusOf(t, there, client.Token))
			ended, err := here.Client(client.Token).LogoutWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, ended.StatusCode())
			require.Equal(t, http.StatusUnauthorized, statusOf(t, there, client.Token), "round %d", round)
			require.Equal(t, http.StatusUnauthorized, statusOf(t, here, client.Token), "round %d", round)
		}
	})

	t.Run("another role, and a suspension, by the operator", func(t *testing.T) {
		user := s.User()
		area := s.Area(s.User(), "Harbour")
		verify := func(p *apptest.Process) int {
			got, err := p.Client(user.Token).VerifyAreaWithResponse(ctx, area.ID)
			require.NoError(t, err)
			return got.StatusCode()
		}
		require.Equal(t, http.StatusForbidden, verify(one))
		require.Equal(t, http.StatusForbidden, verify(two))
		output, err := command(t, s.Config, "", "user", "set-role", user.Email, "moderator")
		require.NoError(t, err, output)
		require.Equal(t, http.StatusOK, verify(one))
		require.Equal(t, http.StatusOK, verify(two))
		output, err = command(t, s.Config, "", "user", "set-role", user.Email, "emperor")
		require.Error(t, err)
		require.Contains(t, output, "The policy knows no such role.")

		output, err = command(t, s.Config, "", "user", "suspend", user.Email)
		require.NoError(t, err, output)
		require.Equal(t, http.StatusUnauthorized, statusOf(t, one, user.Token))
		require.Equal(t, http.StatusUnauthorized, statusOf(t, two, user.Token))
		output, err = command(t, s.Config, "", "user", "activate", user.Email)
		require.NoError(t, err, output)
		require.Equal(t, http.StatusUnauthorized, statusOf(t, one, user.Token), "its session has ended")
		again := s.LogIn(user.ID, user.Username, user.Email)
		require.Equal(t, http.StatusOK, statusOf(t, two, again.Token))
	})

	t.Run("a limit", func(t *testing.T) {
		user := s.User()
		var passed, refused atomic.Int64
		var asking sync.WaitGroup
		for i := range 40 {
			asking.Go(func() {
				p := []*apptest.Process{one, two}[i%2]
				got, err := p.Client(user.Token).ExportMeWithResponse(ctx)
				switch {
				case err != nil:
					t.Error(err)
				case got.StatusCode() == http.StatusOK:
					passed.Add(1)
				case got.StatusCode() == http.StatusTooManyRequests && got.HTTPResponse.Header.Get("Retry-After") != "":
					refused.Add(1)
				default:
					t.Error(got.StatusCode())
				}
			})
		}
		asking.Wait()
		require.Equal(t, []int64{10, 30}, []int64{passed.Load(), refused.Load()})
	})
}

// redisServer is a Redis that a test can kill and start again on the same port.
type redisServer struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
}

func (r *redisServer) start() {
	_, port, err := net.SplitHostPort(r.addr)
	require.NoError(r.t, err)
	r.cmd = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", r.t.TempDir())
	require.NoError(r.t, r.cmd.Start())
	client := redis.NewClient(&redis.Options{Addr: r.addr, DialerRetries: 1})
	defer client.Close()
	require.Eventually(r.t, func() bool { return client.Ping(context.Background()).Err() == nil }, 10*time.Second, 10*time.Millisecond)
}

func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// Redis is killed and started again under load: nobody sees a 5xx, limits hold, and
// what was ended stays ended.
func TestRedisOutageUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := &redisServer{t: t, addr: testenv.FreeAddr(t)}
	server.start()
	t.Cleanup(func() { server.kill() })
	s := apptest.NewWithoutWorkers(t, apptest.WithLimits("export:account=10/1h"), func(c *config.Config) { c.RedisURL = "redis://" + server.addr })
	processes := []*apptest.Process{apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")}

	// The load: users who stay logged in all the time.
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	var asked atomic.Int64
	for i := range 6 {
		token := s.User().Token
		load.Go(func() {
			for n := i; loading.Err() == nil; n++ {
				got, err := processes[n%2].Client(token).GetMeWithResponse(ctx, nil)
				if err != nil || got.StatusCode() != http.StatusOK {
					t.Error(err, got)
					return
				}
				asked.Add(1)
			}
		})
	}
	more := func() {
		n := asked.Load()
		require.Eventually(t, func() bool { return asked.Load() > n+200 || t.Failed() }, time.Minute, time.Millisecond)
	}
	ended := func(token string) {
		for range 3 {
			for _, p := range processes {
				require.Equal(t, http.StatusUnauthorized, statusOf(t, p, token))
			}
		}
	}
	logout := func(p *apptest.Process, token string) {
		got, err := p.Client(token).LogoutWithResponse(ctx)
		require.NoError(t, err)
		require.Equal(t, http.StatusNoContent, got.StatusCode())
	}
	before, meanwhile, limited := s.User(), s.User(), s.User()
	for _, p := range processes {
		require.Equal(t, http.StatusOK, statusOf(t, p, before.Token))
		require.Equal(t, http.StatusOK, statusOf(t, p, meanwhile.Token))
	}
	logout(processes[0], before.Token)
	more()

	server.kill()
	ended(before.Token)
	logout(processes[1], meanwhile.Token)
	ended(meanwhile.Token)
	more()
	passed := 0
	for range 30 {
		got, err := processes[0].Client(limited.Token).ExportMeWithResponse(ctx)
		require.NoError(t, err)
		if got.StatusCode() == http.StatusOK {
			passed++
		} else {
			require.Equal(t, http.StatusTooManyRequests, got.StatusCode())
		}
	}
	require.Equal(t, 10, passed, "the process counts by itself")

	server.start()
	ended(before.Token)
	ended(meanwhile.Token)
	more()
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer client.Close()
	require.Eventually(t, func() bool { n, err := client.DBSize(ctx).Result(); return err == nil && n > 0 }, 30*time.Second, 10*time.Millisecond,
		"Redis is in use again")
	more()
	ended(before.Token)
	ended(meanwhile.Token)
	stop()
	load.Wait()
	t.Log(strconv.FormatInt(asked.Load(), 10), "requests")
}

// Keys are rotated while processes run: with overlap nobody notices, and after a
// compromise old tokens end within seconds and refresh tokens bring new ones.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	p := apptest.Start(t, s.Config, "serve")
	user := s.User()
	login, err := s.Anonymous().LoginWithResponse(ctx, api.LoginRequest{Identifier: user.Username, Password: apptest.Password})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, statusOf(t, p, user.Token))

	output, err := command(t, s.Config, "", "keys", "rotate")
	require.NoError(t, err, output)
	require.Equal(t, 4, strings.Count(output, "\n"), output) // What was added, a heading and two keys.
	output, err = command(t, s.Config, "", "keys", "rotate")
	require.Error(t, err)
	require.Contains(t, output, "begins to sign at")
	require.Equal(t, http.StatusOK, statusOf(t, p, user.Token))

	output, err = command(t, s.Config, "", "keys", "rotate", "--compromised")
	require.NoError(t, err, output)
	require.Eventually(t, func() bool { return statusOf(t, p, user.Token) == http.StatusUnauthorized }, 30*time.Second, 100*time.Millisecond)
	anonymous, err := api.NewClientWithResponses(p.URL)
	require.NoError(t, err)
	next, err := anonymous.RefreshSessionWithResponse(ctx, nil, api.RefreshRequest{RefreshToken: login.JSON200.RefreshToken})
	require.NoError(t, err)
	require.NotNil(t, next.JSON200, string(next.Body))
	require.Equal(t, http.StatusOK, statusOf(t, p, next.JSON200.AccessToken))
	output, err = command(t, s.Config, "", "keys", "list")
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(output, "\n"), output)
}

func TestUserCreate(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	create := func(password string, args ...string) (string, error) {
		return command(t, s.Config, password, append([]string{"user", "create"}, args...)...)
	}
	output, err := create("seven maples by the quay\n", "--username", "root", "--email", "root@example.org", "--role", "admin")
	require.NoError(t, err, output)
	login, err := s.Anonymous().LoginWithResponse(context.Background(), api.LoginRequest{Identifier: "root", Password: "seven maples by the quay"})
	require.NoError(t, err)
	require.NotNil(t, login.JSON200, string(login.Body))

	for want, test := range map[string]struct {
		password string
		args     []string
	}{
		"too common":                          {"password1\n", []string{"--username", "ada", "--email", "ada@example.org"}},
		"expected on standard input":          {"", []string{"--username", "ada", "--email", "ada@example.org"}},
		"There is an account of this name":    {"seven maples by the quay", []string{"--username", "ROOT", "--email", "ada@example.org"}},
		"address belongs to another account":  {"seven maples by the quay", []string{"--username", "ada", "--email", "Root@example.org"}},
		"The policy knows no such role":       {"seven maples by the quay", []string{"--username", "ada", "--email", "ada@example.org", "--role", "king"}},
		"--username: 3 to 32 letters, digits": {"seven maples by the quay", []string{"--username", "a b", "--email", "ada@example.org"}},
		"--email is not an address":           {"seven maples by the quay", []string{"--username", "ada", "--email", "ada"}},
	} {
		output, err := create(test.password, test.args...)
		require.Error(t, err, want)
		require.Contains(t, output, want)
	}
}

// The default accounts are for a machine of one's own.
func TestSeedRefusesElsewhere(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	elsewhere := s.Config
	elsewhere.PublicURL = "https://picaspot.example"
	output, err := command(t, elsewhere, "", "seed")
	require.Error(t, err)
	require.Contains(t, output, "picaspot user create --role admin")
	require.Zero(t, s.Store.Ent.User.Query().CountX(context.Background()))
}
