package auditlog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
)

// The command needs the database and no secret.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.areas(40) // Of 16 chains one has three at least.
	c := config.Config{DatabaseURL: b.store.Pool.Config().ConnString()}
	verify := func(args ...string) (output string, err error) {
		all, err := apptest.Command(t, c, append([]string{"audit", "verify"}, args...)...).CombinedOutput()
		return string(all), err
	}
	output, err := verify()
	require.NoError(t, err, output)
	require.Equal(t, 16, strings.Count(output, "head "), output)
	require.Contains(t, output, "# 40 rows are as they were written.")

	heads := filepath.Join(t.TempDir(), "heads")
	require.NoError(t, os.WriteFile(heads, []byte(output), 0o600))
	b.area("later")
	output, err = verify("--heads", heads)
	require.NoError(t, err, output)
	require.Contains(t, output, "# 16 heads that were kept were looked for.")

	b.exec("ALTER TABLE audit_logs DISABLE TRIGGER ALL", "UPDATE audit_logs SET action = 'x' WHERE changes->'name'->>'after' = 'later'",
		"ALTER TABLE audit_links DISABLE TRIGGER ALL", "DELETE FROM audit_links WHERE seq = 1 AND chain = (SELECT min(chain) FROM audit_chain_heads WHERE seq > 2)")
	output, err = verify("--heads", heads)
	require.ErrorContains(t, err, "exit status 1")
	for _, want := range []string{
		"fault: row_changed, chain ", "fault: link_missing, chain ", "fault: row_unlinked, row ", "the audit log is not as it was written: 3 faults",
	} {
		require.Contains(t, output, want)
	}

	for content, want := range map[string]string{
		"":                    "no heads are in it",
		"head 1 x\n":          "is no head",
		"head 1 2 nonsense\n": "is no head",
	} {
		require.NoError(t, os.WriteFile(heads, []byte(content), 0o600))
		output, err = verify("--heads", heads)
		require.Error(t, err)
		require.Contains(t, output, want)
	}
	c.DatabaseURL = ""
	output, err = verify()
	require.Error(t, err)
	require.Contains(t, output, "PICASPOT_DATABASE_URL: a URL")
}
