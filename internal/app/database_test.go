package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
)

// While all connections are in use, a request is told in time to come back.
func TestNoFreeConnection(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) {
		c.DatabaseMaxConns, c.DatabaseAcquireTimeout = 2, time.Second
	})
	user := s.User()
	read := func() *api.ListAreasResponse {
		list, err := user.ListAreasWithResponse(context.Background(), nil)
		require.NoError(t, err)
		return list
	}
	require.Equal(t, http.StatusOK, read().StatusCode())
	for range 2 {
		conn, err := s.Store.Pool.Acquire(t.Context())
		require.NoError(t, err)
		t.Cleanup(conn.Release)
	}
	list := read()
	problem := apptest.Problem(t, http.StatusServiceUnavailable, list.HTTPResponse, list.Body)
	require.Equal(t, "/problems/database_unavailable", problem.Type)
	require.NotEmpty(t, list.HTTPResponse.Header.Get("Retry-After"))
}
