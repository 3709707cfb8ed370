package app_test

import (
	"bytes"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/testenv"
)

// A worker has no public listener; containers ask for its health on the private one.
func TestWorkerAnswersItsHealthCheck(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	ops := testenv.FreeAddr(t)
	with := func(args ...string) *exec.Cmd {
		cmd := apptest.Command(t, s.Config, args...)
		cmd.Env = append(cmd.Env, "PICASPOT_OPS_ADDR="+ops)
		return cmd
	}
	out, err := with("healthcheck", "--ops").CombinedOutput()
	require.Error(t, err, string(out))

	worker := with("worker")
	var log bytes.Buffer
	worker.Stdout, worker.Stderr = &log, &log
	require.NoError(t, worker.Start())
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	require.Eventually(t, func() bool { return with("healthcheck", "--ops").Run() == nil }, time.Minute, 50*time.Millisecond)
}
