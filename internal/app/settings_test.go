package app_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
)

// Each command that opens the database says which setting is wrong when the database
// can't be used, and does not show the password.
func TestFaultsOfTheDatabaseNameTheirVariable(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	right, err := url.Parse(s.Config.DatabaseURL)
	require.NoError(t, err)
	changed := func(change func(u *url.URL, query url.Values)) string {
		u, query := *right, right.Query()
		u.User = url.UserPassword(right.User.Username(), "hunter2")
		change(&u, query)
		u.RawQuery = query.Encode()
		return u.String()
	}
	urls := map[string]string{
		"unknown database": changed(func(u *url.URL, _ url.Values) {
			u.User, u.Path = right.User, "/no_such_database"
		}),
		"unknown sslmode":    changed(func(_ *url.URL, query url.Values) { query.Set("sslmode", "maybe") }),
		"sslmode of no use":  changed(func(_ *url.URL, query url.Values) { query.Set("sslmode", "require") }),
		"wrong password":     changed(func(*url.URL, url.Values) {}),
		"malformed password": "postgres://picaspot:hunter2/%zz@127.0.0.1/picaspot",
	}
	password, _ := right.User.Password()
	for _, args := range [][]string{{"serve"}, {"dev"}, {"migrate"}, {"worker"}, {"seed"}, {"names"}, {"audit", "verify"}} {
		for name, address := range urls {
			t.Run(strings.Join(args, " ")+" "+name, func(t *testing.T) {
				t.Parallel()
				c := s.Config
				c.DatabaseURL = address
				cmd := apptest.Command(t, c, args...)
				cmd.Env = append(cmd.Env, "PICASPOT_DATA_DIR="+t.TempDir())
				out, err := cmd.CombinedOutput()
				require.Error(t, err)
				require.Contains(t, string(out), "picaspot: PICASPOT_DATABASE_URL: ")
				require.NotContains(t, string(out), "hunter2")
				require.NotContains(t, string(out), password)
			})
		}
	}
}

// A command that is started with malformed variables reports all of them, with its other
// faults; help and version are given all the same.
func TestMalformedVariablesAreReportedTogether(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	run := func(args ...string) (string, error) {
		cmd := apptest.Command(t, s.Config, args...)
		cmd.Env = append(cmd.Env, "PICASPOT_WORKERS=abc", "PICASPOT_DRAIN_DELAY=5", "PICASPOT_LOG_FORMAT=xml", "PICASPOT_MAIL_FROM=none")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, command := range []string{"serve", "worker", "dev", "seed"} {
		out, err := run(command)
		require.Error(t, err)
		require.NotContains(t, out, "Usage:")
		for _, variable := range []string{"WORKERS", "DRAIN_DELAY", "LOG_FORMAT", "MAIL_FROM"} {
			require.Contains(t, out, "PICASPOT_"+variable+": ", command)
		}
	}
	out, err := run("migrate")
	require.Error(t, err)
	require.Contains(t, out, "PICASPOT_WORKERS: ")
	for _, args := range [][]string{{"version"}, {"serve", "--help"}} {
		out, err := run(args...)
		require.NoError(t, err, out)
	}
}

// nobody is an account without rights, by which a test of root's starts what an ordinary
// user would. It returns nil for an ordinary user's test.
func nobody() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
}

// A start by root leaves files that an ordinary user can't use: dev says what to do, before
// anything is started.
func TestDevNamesTheOwnerOfItsFolder(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	command := apptest.Command(t, s.Config, "dev")
	binary := filepath.Join(openFolder(t), "picaspot")
	content, err := os.ReadFile(command.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, content, 0o755))
	// dev returns what it printed for a folder.
	dev := func(folder string) string {
		cmd := exec.Command(binary, "dev")
		cmd.Env = append(command.Env, "PICASPOT_DATABASE_URL=", "PICASPOT_SECRET_KEY=", "PICASPOT_DATA_DIR="+folder)
		cmd.SysProcAttr = nobody()
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		return string(out)
	}
	require.Regexp(t, "^picaspot: PICASPOT_DATA_DIR: /etc belongs to root, as after a start by that account: "+
		"take it over with `sudo chown -R \\S+ \"/etc\"`, or set PICASPOT_DATA_DIR to another folder\n$", dev("/etc"))
	if os.Geteuid() != 0 {
		return // Only root can make what root leaves.
	}
	for _, left := range []string{"secret", "postgres/place", "photos/ab/photo"} {
		folder := openFolder(t)
		require.NoError(t, os.MkdirAll(filepath.Join(folder, filepath.Dir(left)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, left), nil, 0o600))
		require.NoError(t, filepath.Walk(folder, func(path string, info os.FileInfo, _ error) error {
			if info.IsDir() && info.Name() != "ab" {
				return os.Chown(path, 65534, 65534)
			}
			return nil
		}))
		require.Contains(t, dev(folder), "belongs to root", left)
		require.Contains(t, dev(folder), folder+"\"`, or set PICASPOT_DATA_DIR", left)
	}
}

// openFolder is a temporary folder that other accounts can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.Chmod(folder, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(folder), 0o755))
	return folder
}
