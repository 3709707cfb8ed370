package app_test

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/buildinfo"
)

func TestWrongUsePrintsTheUsageOfThatCommand(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for _, args := range [][]string{
		{"user", "create", "--nonsense"}, {"policy", "check"}, {"keys", "rotate", "--nonsense"}, {"serve", "--nonsense"}, {"audit", "verify", "--heads", "missing"},
	} {
		out, err := apptest.Command(t, s.Config, args...).CombinedOutput()
		require.Error(t, err, args)
		text := string(out)
		require.Contains(t, text, "Usage: picaspot "+args[0])
		require.Contains(t, text, "picaspot: error:")
		require.NotContains(t, text, "PICASPOT_", "settings are for --help-all")
		require.LessOrEqual(t, strings.Count(text, "\n"), 20, text)
	}
	help, err := apptest.Command(t, s.Config, "user", "create", "--help-all").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(help), "--username")
	require.Contains(t, string(help), "PICASPOT_DATABASE_URL")
}

func TestVersion(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	flag, err := apptest.Command(t, s.Config, "--version").Output()
	require.NoError(t, err)
	command, err := apptest.Command(t, s.Config, "version").Output()
	require.NoError(t, err)
	require.Equal(t, string(flag), string(command))
	out, err := apptest.Command(t, s.Config, "version", "--json").Output()
	require.NoError(t, err)
	var info buildinfo.Info
	require.NoError(t, json.Unmarshal(out, &info))
	require.Equal(t, info.String()+"\n", string(flag))
}

func TestShellsCompleteCommands(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	cmd := apptest.Command(t, s.Config)
	cmd.Env = append(cmd.Env, "COMP_LINE=picaspot policy ")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, strings.Fields(string(out)), "check")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := apptest.Command(t, s.Config, "completion", "--code", shell).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "picaspot", shell)
	}
}

// What is changed from the command line has no account to its name: the audit log
// has the user of the operating system and the host.
func TestAuditLogNamesTheOperator(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	file := filepath.Join(t.TempDir(), "policy.csv")
	exported, err := apptest.Command(t, s.Config, "policy", "export").Output()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(exported, "p, user, area, verify, any\n"...), 0o600))
	out, err := apptest.Command(t, s.Config, "policy", "apply", file).CombinedOutput()
	require.NoError(t, err, string(out))

	list, err := s.As("admin").ListAuditLogsWithResponse(t.Context(), &api.ListAuditLogsParams{Action: new(api.AuditActionPolicyChanged)})
	require.NoError(t, err)
	require.NotEmpty(t, list.JSON200.Items, string(list.Body))
	entry := list.JSON200.Items[0]
	require.True(t, entry.ActorID.IsNull())
	me, err := user.Current()
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, "cli:"+me.Username+"@"+host, entry.UserAgent)
	require.NotEmpty(t, entry.RequestID)
}

// Each command that prints a table prints JSON for other programs too.
func TestCommandsPrintJSON(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	for _, args := range [][]string{
		{"version"}, {"keys", "list"}, {"policy", "history"}, {"audit", "verify"}, {"storage", "check"},
	} {
		out, err := apptest.Command(t, s.Config, append(args, "--json")...).Output()
		require.NoError(t, err, args)
		require.True(t, json.Valid(out), "%v: %s", args, out)
	}
}
