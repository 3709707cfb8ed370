package apptest

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/testenv"
)

// BinaryVariable names picaspot as it is deployed, for what tests start as a process.
// Without it each package builds one of its own.
const BinaryVariable = "PICASPOT_TEST_BINARY"

// binaryDir is where a package has built its own.
var binaryDir string

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		return path, nil
	}
	var err error
	if binaryDir, err = os.MkdirTemp("", "picaspot-binary-"); err != nil {
		return "", err
	}
	path := filepath.Join(binaryDir, "picaspot")
	output, err := exec.Command("go", "build", "-o", path, "github.com/picaspot/picaspot/cmd/picaspot").CombinedOutput()
	if err != nil {
		os.Stderr.Write(output)
	}
	return path, err
})

// Process is picaspot as a process of its own, for what only a process can show.
type Process struct {
	URL string

	t        testing.TB
	cmd      *exec.Cmd
	log      *lockedBuffer
	database string
}

// Environment is the configuration as variables.
func Environment(c config.Config, addr string) []string {
	return append(os.Environ(),
		"PICASPOT_HTTP_ADDR="+addr, "PICASPOT_OPS_ADDR=", "PICASPOT_PUBLIC_URL="+c.PublicURL,
		"PICASPOT_DATABASE_URL="+c.DatabaseURL, "PICASPOT_REDIS_URL="+c.RedisURL, "PICASPOT_STORAGE_URL="+c.StorageURL,
		"PICASPOT_SMTP_URL="+c.SMTPURL, "PICASPOT_SECRET_KEY="+c.SecretKey, "PICASPOT_TRASH_RETENTION="+c.TrashRetention.String(),
		"PICASPOT_DRAIN_DELAY="+c.DrainDelay.String(),
		"PICASPOT_EVENT_STREAMS="+strconv.Itoa(c.EventStreams), "PICASPOT_EVENT_HEARTBEAT="+c.EventHeartbeat.String(),
		"PICASPOT_RATE_LIMITS="+strings.Join(c.RateLimits, ","), "PICASPOT_TRUSTED_PROXIES="+strings.Join(c.TrustedProxies, ","),
		"PICASPOT_WEBHOOK_ALLOW_PRIVATE="+strconv.FormatBool(c.WebhookAllowPrivate),
	)
}

// Command is a picaspot command with a configuration; it is not started.
func Command(t testing.TB, c config.Config, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.Command(path, args...)
	cmd.Env = Environment(c, testenv.FreeAddr(t))
	return cmd
}

// Start runs picaspot with arguments and waits until it is ready. It is killed
// when the test ends.
func Start(t testing.TB, c config.Config, args ...string) *Process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	addr := testenv.FreeAddr(t)
	p := &Process{URL: "http://" + addr, t: t, cmd: exec.Command(path, args...), log: &lockedBuffer{}, database: c.DatabaseURL}
	p.cmd.Env = Environment(c, addr)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.Kill)
	require.Eventually(t, func() bool {
		response, err := http.Get(p.URL + "/readyz")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond, "the process does not get ready")
	return p
}

// Kill ends the process as kill -9 does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // It may have ended.
	_ = p.cmd.Wait()
}

// AwaitForgotten waits until the database has seen that the process is gone. Until
// then it goes on with what it was sent, and commits it.
func (p *Process) AwaitForgotten() {
	p.t.Helper()
	conn, err := pgx.Connect(context.Background(), p.database)
	require.NoError(p.t, err)
	defer conn.Close(context.Background())
	require.Eventually(p.t, func() bool {
		var forgotten bool
		err := conn.QueryRow(context.Background(), "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'picaspot/%:' || $1::text",
			strconv.Itoa(p.cmd.ProcessState.Pid())).Scan(&forgotten)
		return err == nil && forgotten
	}, time.Minute, 5*time.Millisecond)
}

// Stop asks the process to end and returns what it logged.
func (p *Process) Stop() string {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(os.Interrupt))
	require.NoError(p.t, p.cmd.Wait(), p.log.String())
	return p.log.String()
}

// Client is the generated client with an access token.
func (p *Process) Client(token string) *Client {
	p.t.Helper()
	client, err := api.NewClientWithResponses(p.URL, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	require.NoError(p.t, err)
	return &Client{ClientWithResponses: client, Token: token}
}

// StartWorker runs a worker, which answers no requests; it is ready when it says so.
func StartWorker(t testing.TB, c config.Config) *Process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	log := &lockedBuffer{}
	p := &Process{t: t, cmd: exec.Command(path, "worker"), log: log, database: c.DatabaseURL}
	p.cmd.Env = Environment(c, testenv.FreeAddr(t))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.Kill)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), `"started"`) }, time.Minute, 20*time.Millisecond, "the worker does not start")
	return p
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
