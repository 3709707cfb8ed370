package app_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/testenv"
)

// The private listener answers for addresses and trusted names, and shows no flags,
// which may hold secrets.
func TestPrivateListener(t *testing.T) {
	t.Parallel()
	ops := testenv.FreeAddr(t)
	s := apptest.NewWithoutWorkers(t, func(c *config.Config) { c.OpsAddr, c.TrustedHosts = ops, []string{"api.internal"} })
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, app.Roles{Ready: func() { close(ready) }}) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	<-ready
	get := func(path, host string) (int, string) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+path, nil)
		require.NoError(t, err)
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	for host, want := range map[string]int{
		ops: http.StatusOK, "localhost": http.StatusOK, "api.internal:9090": http.StatusOK, "10.1.2.3:9090": http.StatusOK, "[fd00::1]:9090": http.StatusOK,
		"rebound.example": http.StatusMisdirectedRequest, "10.1.2.3.rebound.example:9090": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
			status, _ := get(path, host)
			require.Equal(t, want, status, "%s for %s", path, host)
		}
		status, body := get("/debug/pprof/cmdline", host)
		require.NotEqual(t, http.StatusOK, status, host)
		require.NotContains(t, body, "-test.", host)
	}
}
