package app_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/localstack"
)

// besides is a command that knows nothing but the data folder.
func besides(t *testing.T, c config.Config, args ...string) *exec.Cmd {
	t.Helper()
	cmd := apptest.Command(t, config.Config{TrashRetention: c.TrashRetention, DrainDelay: c.DrainDelay, EventHeartbeat: c.EventHeartbeat}, args...)
	cmd.Env = append(cmd.Env, "PICASPOT_DATA_DIR="+c.DataDir)
	return cmd
}

// requireImportFindsIt imports beside a running dev, without any setting, what the
// server shows at once: it has been told through its Redis.
func requireImportFindsIt(t *testing.T, c config.Config, client *api.ClientWithResponses, token string) {
	t.Helper()
	bearer := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
	total := func() int {
		list, err := client.ListLandmarksWithResponse(t.Context(), &api.ListLandmarksParams{}, bearer)
		require.NoError(t, err)
		require.NotNil(t, list.JSON200, string(list.Body))
		return *list.JSON200.Total
	}
	before := total()
	path := filepath.Join(t.TempDir(), "places.csv")
	require.NoError(t, os.WriteFile(path, []byte("id,name,lat,lon\n1,Imported,1,2\n"), 0o600))
	out, err := besides(t, c, "import", path).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "created 1")
	require.NotContains(t, string(out), "PICASPOT_REDIS_URL")
	require.Equal(t, before+1, total())
	info, err := os.Stat(filepath.Join(c.DataDir, "running.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestUseRunning(t *testing.T) {
	t.Parallel()
	const content = `{"database_url":"postgres://dev","redis_url":"redis://dev","storage_url":"file:///dev","smtp_url":"smtp://dev","secret_key":"dev","public_url":"http://dev"}`
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "running.json"), []byte(content), 0o600))
	use := func(c config.Config) (config.Config, bool) {
		c.DataDir = dir
		found, err := app.UseRunning(&c)
		require.NoError(t, err)
		c.DataDir = ""
		return c, found
	}
	_, found := use(config.Config{})
	require.False(t, found, "there never was one")
	lock, err := localstack.TakeLock(filepath.Join(dir, "running.lock"))
	require.NoError(t, err)
	got, found := use(config.Config{StorageURL: "s3://mine", SecretKeyFile: "mine"})
	require.True(t, found)
	require.Equal(t, config.Config{
		DatabaseURL: "postgres://dev", RedisURL: "redis://dev", StorageURL: "s3://mine", SMTPURL: "smtp://dev", SecretKeyFile: "mine", PublicURL: "http://dev",
	}, got)
	other := config.Config{DatabaseURL: "postgres://production"}
	got, found = use(other)
	require.False(t, found)
	require.Equal(t, other, got, "nothing of dev is mixed with another installation")
	require.NoError(t, lock.Release())
	_, found = use(config.Config{})
	require.False(t, found, "it was killed")
}
