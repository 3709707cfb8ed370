package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/policy"
)

// The operator's way to the policy, from one command to the next.
func TestPolicyCommand(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "policy.csv")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	// run returns what goes into a pipe; fail what the operator is told.
	run := func(args ...string) string {
		t.Helper()
		output, err := apptest.Command(t, s.Config, append([]string{"policy"}, args...)...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			require.NoError(t, err, string(exit.Stderr))
		}
		require.NoError(t, err)
		return string(output)
	}
	// exits returns what goes into a pipe, and the exit code.
	exits := func(args ...string) (string, int) {
		t.Helper()
		cmd := apptest.Command(t, s.Config, append([]string{"policy"}, args...)...)
		output, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil {
			require.ErrorAs(t, err, &exit)
		}
		return string(output), cmd.ProcessState.ExitCode()
	}
	fail := func(args ...string) string {
		t.Helper()
		output, err := command(t, s.Config, "", append([]string{"policy"}, args...)...)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, output)
		require.Equal(t, 1, exit.ExitCode(), output)
		return output
	}
	const line = "p, moderator, area, delete, any, allow"
	next := policy.CSV + "# They clean up.\n" + line + "\n"

	t.Run("export prints the policy as it is kept", func(t *testing.T) {
		require.Equal(t, policy.CSV, run("export"))
	})

	t.Run("diff prints what applying would change, and changes nothing", func(t *testing.T) {
		require.Equal(t, "+# They clean up.\n+"+line+"\n", run("diff", file(next)))
		require.Empty(t, run("diff", file(strings.ReplaceAll(policy.CSV, "\n", "\r\n"))))
		output := fail("diff", file(policy.CSV+"p, user, area, fly, any\n"))
		require.Contains(t, output, "+p, user, area, fly, any")
		require.Contains(t, output, "no operation asks for area:fly")
		require.Equal(t, policy.CSV, run("export"))
	})

	t.Run("apply puts a file in force", func(t *testing.T) {
		require.Equal(t, "The policy is at version 2.\n", run("apply", file(next), "--comment", "Moderators clean up.", "--version", "1"))
		require.Equal(t, next, run("export"))
		require.Equal(t, "The policy says that already; it stays at version 2.\n", run("apply", file(next)))
		require.NoError(t, s.Policy.Reload(ctx))
		require.Equal(t, next, s.Policy.Live().Text())
	})

	t.Run("apply refuses what was made from an earlier version, and says what changed", func(t *testing.T) {
		output := fail("apply", file(policy.CSV+"# late\n"), "--version", "1")
		require.Contains(t, output, "The policy is at version 2 by now; since version 1 2 lines have changed.\n")
		require.Contains(t, output, "\n  +# They clean up.\n  +"+line+"\n")
		require.Equal(t, next, run("export"))
	})

	t.Run("apply names every faulty line", func(t *testing.T) {
		n := strings.Count(next, "\n")
		output := fail("apply", file(next+"p, user, area, fly, any\nq, user\np, user, area, verify, own\ng, user, ghost\np, user, area, read, some\n"))
		require.Contains(t, output, "The policy has 5 faults.\n")
		for i := range 5 {
			require.Contains(t, output, fmt.Sprintf("\n  Line %d: ", n+1+i))
		}
		require.Contains(t, fail("apply", file("# nothing\n")), "nobody could change the policy again")
		s.As("moderator")
		var without []string
		for line := range strings.Lines(next) {
			if !strings.Contains(line, "moderator") {
				without = append(without, line)
			}
		}
		require.Contains(t, fail("apply", file(strings.Join(without, ""))), "Give those who have the role moderator another one first.")
		require.Equal(t, next, run("export"))
	})

	t.Run("check says whether, and why", func(t *testing.T) {
		number := strings.Count(next, "\n")
		output := run("check", "admin", "area:verify")
		require.True(t, strings.HasPrefix(output, "yes, any\nLine "), output)
		require.Contains(t, output, "  by way of: admin > moderator\n")
		output = run("check", "moderator", "area:delete")
		require.Contains(t, output, fmt.Sprintf("  line %d: %s\n", number, line))
		require.Contains(t, output, "  also line ")
		output, code := exits("check", "ghost", "area:read")
		require.Equal(t, 1, code)
		require.Equal(t, "no\nNo line speaks of the role ghost.\n", output)
		for _, unknown := range []string{"area:fly", "area"} {
			_, code = exits("check", "admin", unknown)
			require.Equal(t, 2, code, unknown)
		}
		var answer struct {
			Allowed  bool
			Decision string
			Line     struct{ Number int }
			Path     []string
		}
		require.NoError(t, json.Unmarshal([]byte(run("check", "--json", "admin", "area:verify")), &answer))
		require.True(t, answer.Allowed)
		require.Equal(t, "any", answer.Decision)
		require.Positive(t, answer.Line.Number)
		require.Equal(t, []string{"admin", "moderator"}, answer.Path)

		owner, other := s.User(), s.User()
		object := "area:" + s.Area(owner, "Harbour").ID.String()
		require.True(t, strings.HasPrefix(run("check", owner.Email, "area:update", "--object", object), "yes, own\n"))
		output, code = exits("check", other.Email, "area:update", "--object", object)
		require.Equal(t, 1, code)
		require.True(t, strings.HasPrefix(output, "no\n"), output)
		require.Contains(t, output, "belongs to somebody else")
		for want, args := range map[string][]string{
			"--object":                 {owner.Email, "area:update", "--object", "area:harbour"},
			"matters for a user only":  {"user", "area:update", "--object", object},
			`of the kind "moon"`:       {owner.Email, "area:update", "--object", "moon" + strings.TrimPrefix(object, "area")},
			"There is no such object":  {owner.Email, "area:update", "--object", "landmark" + strings.TrimPrefix(object, "area")},
			"There is no such account": {"nobody@example.org", "area:update"},
		} {
			require.Contains(t, fail(append([]string{"check"}, args...)...), want)
		}
	})

	t.Run("history prints who changed what, the newest first", func(t *testing.T) {
		output := run("history")
		rows := strings.Split(strings.TrimSpace(output), "\n")
		require.Len(t, rows, 4, output)
		require.Regexp(t, `^2 +\S+Z +operator +Moderators clean up\.$`, rows[0])
		require.Contains(t, rows[1], "+# They clean up.")
		require.Contains(t, rows[2], "+"+line)
		require.Regexp(t, `^1 +\S+Z +operator +The policy that PicASpot comes with\.$`, rows[3])
		require.NotContains(t, run("history", "--limit", "1"), "comes with")
		var versions []struct {
			Version int64
			Comment string
			Diff    []string
		}
		require.NoError(t, json.Unmarshal([]byte(run("history", "--json")), &versions))
		require.Len(t, versions, 2)
		require.EqualValues(t, 2, versions[0].Version)
		require.Equal(t, "Moderators clean up.", versions[0].Comment)
		require.Contains(t, versions[0].Diff, "+# They clean up.")
	})

	t.Run("revert goes back", func(t *testing.T) {
		require.Equal(t, "The policy is at version 3, with the text of version 1.\n", run("revert", "1"))
		require.Equal(t, policy.CSV, run("export"))
		require.Contains(t, fail("revert", "99"), "The policy has no such version.")
	})

	t.Run("test holds a policy against a table", func(t *testing.T) {
		require.Contains(t, run("test"), "decides as the table says")
		require.Contains(t, run("test", file(policy.CSV)), "decides as the table says")
		output := fail("test", file(next))
		require.Contains(t, output, "moderator area:delete: want own, got any")
		require.Contains(t, output, "1 cases otherwise")
		table := file("- {name: they clean up, role: moderator, any: [area:delete]}\n")
		require.Contains(t, run("test", file(next), "--table", table), "decides as the table says")
		require.Contains(t, fail("test", "--table", table), "want any, got own")
		require.Contains(t, fail("test", file("p, user")), "invalid_policy")
		require.Contains(t, fail("test", "--table", file("nothing")), "policy table")
	})

	t.Run("starts nothing on a policy that is broken", func(t *testing.T) {
		_, err := s.Store.Pool.Exec(ctx, `INSERT INTO policy_versions (id, created_at, updated_at, version, text)
			VALUES (gen_random_uuid(), now(), now(), 4, 'p, user')`)
		require.NoError(t, err)
		require.Contains(t, fail("export"), "policy version 4")
		output, err := command(t, s.Config, "", "serve")
		require.Error(t, err)
		require.Contains(t, output, "policy version 4")
	})
}
