package app_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/version"
)

// A terminal obeys nothing of what users wrote, and no line of theirs passes for one of
// the command.
func TestCommandsShowWhatUsersWrote(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	const evil = "\x1b]0;gone\a\u009b2J\u202e\n1  2026-01-01T00:00:00Z  operator  forged"
	const shown = `\x1b]0;gone\a\u009b2J\u202e\n1  2026-01-01T00:00:00Z  operator  forged`
	made, err := s.Policy.Edit(context.Background(), version.Precondition{}, evil, func(text string) (string, error) {
		return text + "# \x1b[31m\u202e in a comment\n", nil
	})
	require.NoError(t, err)

	history, err := command(t, s.Config, "", "policy", "history")
	require.NoError(t, err, history)
	require.Contains(t, history, shown)
	require.Contains(t, history, `+# \x1b[31m\u202e in a comment`)
	require.Equal(t, 3, strings.Count(history, "\n"), history)

	exported, err := command(t, s.Config, "", "policy", "export")
	require.NoError(t, err)
	require.Equal(t, made.Text, exported, "a file is what it is")

	file := filepath.Join(t.TempDir(), "policy.csv")
	require.NoError(t, os.WriteFile(file, []byte(made.Text+"p, \x1b[31m, area, read, any\n# \x1b[2J\n"), 0o600))
	for _, args := range [][]string{{"policy", "diff", file}, {"policy", "apply", file}, {"user", "suspend", "a\x1b[2J@example.org"}} {
		output, err := command(t, s.Config, "", args...)
		require.Error(t, err)
		require.NotContains(t, output, "\x1b", "%v", args)
	}
	for _, hidden := range []string{"\x1b", "\a", "\u009b", "\u202e"} {
		require.NotContains(t, history, hidden)
	}
}
