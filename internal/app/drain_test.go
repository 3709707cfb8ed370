package app_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/testenv"
)

const (
	soon  = time.Minute
	often = 20 * time.Millisecond
)

// Load balancers need some seconds to see that a process is about to stop; what they
// send it until then is answered.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) {
		c.HTTPAddr, c.DrainDelay = testenv.FreeAddr(t), 5*time.Second
	})
	user := s.User()
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, app.Roles{API: true, Ready: func() { close(ready) }}) }()
	<-ready
	get := func(path string) (status int, closes bool, err error) {
		// Each request on a connection of its own, as those of a probe are.
		client := http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Config.HTTPAddr+path, nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+user.Token)
		response, err := client.Do(request)
		if err != nil {
			return 0, false, err
		}
		return response.StatusCode, response.Close, response.Body.Close()
	}
	status, closes, err := get("/readyz")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.False(t, closes)

	stop()
	for status = 0; status != http.StatusServiceUnavailable; time.Sleep(often) {
		status, _, err = get("/readyz")
		require.NoError(t, err, "the port is closed before readiness was down")
	}
	status, closes, err = get("/api/v1/me")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "it answers still")
	require.True(t, closes, "the client's next request goes elsewhere")
	require.NoError(t, <-done)
	_, _, err = get("/healthz")
	require.Error(t, err)
}

// There is nothing to wait for where no requests come in.
func TestWorkersDoNotWaitForLoadBalancers(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) { c.DrainDelay = time.Hour })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, app.Roles{Worker: true, Ready: stop}) }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(soon):
		t.Fatal("it waits")
	}
}
