package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asProgram makes the test binary be the program under test.
const asProgram = "TESTENV_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is testenv with these arguments, on servers that need not be there or,
// when private is set, on ones that it starts.
func program(t *testing.T, private bool, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "DOCKER_HOST=tcp://127.0.0.1:1",
		"PICASPOT_TEST_DATABASE_URL=postgres://given", "PICASPOT_TEST_REDIS_URL=redis://given")
	if private {
		cmd.Env = append(cmd.Env, "PICASPOT_TEST_DATABASE_URL=", "PICASPOT_TEST_REDIS_URL=")
	}
	return cmd
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"success":            {[]string{"--", "sh", "-c", "echo $PICASPOT_TEST_DATABASE_URL $PICASPOT_TEST_REDIS_URL"}, 0, "postgres://given redis://given\n"},
		"without dashes":     {[]string{"sh", "-c", "exit 0"}, 0, ""},
		"failure":            {[]string{"--", "sh", "-c", "exit 7"}, 7, ""},
		"killed":             {[]string{"--", "sh", "-c", "kill -TERM $$"}, 128 + 15, ""},
		"no such program":    {[]string{"--", "no-such-program"}, 127, "testenv: exec: \"no-such-program\": executable file not found in $PATH\n"},
		"no such file":       {[]string{"--", "/no/such/program"}, 127, "testenv: fork/exec /no/such/program: no such file or directory\n"},
		"not to be executed": {[]string{"--", "/etc/passwd"}, 126, "testenv: fork/exec /etc/passwd: permission denied\n"},
		"nothing":            {[]string{"--"}, 2, "testenv: usage: testenv -- command [argument ...]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := program(t, false, c.args...)
			out, err := cmd.CombinedOutput()
			require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%s %v", out, err)
			require.Equal(t, c.out, string(out))
		})
	}
}

func TestServersAreThereAndGoAway(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	cmd := program(t, true, "--", "sh", "-c", `trap 'echo caught; exit 3' TERM; echo $PICASPOT_TEST_DATABASE_URL; while :; do sleep 0.1; done`)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	t.Logf("servers for a command: %s", time.Since(begin))
	url := lines.Text()
	require.True(t, strings.HasPrefix(url, "postgres://picaspot:"), url)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.True(t, lines.Scan())
	require.Equal(t, "caught", lines.Text(), "the signal went on")
	require.Error(t, cmd.Wait())
	require.Equal(t, 3, cmd.ProcessState.ExitCode())
	_, rest, _ := strings.Cut(url, "@127.0.0.1:")
	port, _, _ := strings.Cut(rest, "/")
	listening, err := exec.CommandContext(t.Context(), "ps", "-ww", "-eo", "args").Output()
	require.NoError(t, err)
	require.NotContains(t, string(listening), "port="+port)
}

func TestServersThatCannotStart(t *testing.T) {
	t.Parallel()
	cmd := program(t, true, "--", "true")
	cmd.Env = append(cmd.Env, "PICASPOT_PG_BIN=/nonexistent")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "tests need a PostgreSQL with PostGIS: name one in PICASPOT_TEST_DATABASE_URL")
}
