package app_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/testenv"
)

// What one process is told holds on the other while Redis refuses writes, whether
// requests are counted there or not.
func TestTwoReplicasWhileRedisRefusesWrites(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, off := range map[string]bool{"limits on": false, "limits off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis, err := localstack.StartRedisServer(t.Context(), t.TempDir())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, redis.Stop(context.Background())) })
			s := apptest.NewWithoutWorkers(t, func(c *config.Config) {
				c.RedisURL = redis.URL()
				if !off {
					c.RateLimits = nil
				}
			})
			one, two := apptest.Start(t, s.Config, "serve"), apptest.Start(t, s.Config, "serve")
			user := s.User()
			area := s.Area(user, "Harbour")
			for how := range testenv.Refusals {
				client := s.LogIn(user.ID, user.Username, user.Email)
				reader := s.LogIn(user.ID, user.Username, user.Email)
				read := func(p *apptest.Process) string {
					got, err := p.Client(reader.Token).GetAreaWithResponse(ctx, area.ID, nil)
					require.NoError(t, err)
					require.NotNil(t, got.JSON200, string(got.Body))
					return got.JSON200.Name
				}
				for range 3 {
					require.Equal(t, http.StatusOK, statusOf(t, one, client.Token))
					require.Equal(t, http.StatusOK, statusOf(t, two, client.Token))
					read(two)
				}
				allow := testenv.RefuseWrites(t, redis.URL(), how)
				renamed, err := one.Client(reader.Token).UpdateAreaWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, area.ID, nil, api.AreaUpdate{Name: new(how)})
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, renamed.StatusCode(), string(renamed.Body))
				require.Equal(t, how, read(two))
				ended, err := one.Client(client.Token).LogoutWithResponse(ctx)
				require.NoError(t, err)
				require.Equal(t, http.StatusNoContent, ended.StatusCode())
				require.Equal(t, http.StatusUnauthorized, statusOf(t, two, client.Token), how)
				allow()
				require.Equal(t, http.StatusUnauthorized, statusOf(t, two, client.Token), how)
				require.Equal(t, how, read(two))
			}
		})
	}
}
