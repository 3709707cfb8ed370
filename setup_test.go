package picaspot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// After `make run` by root an ordinary user can't replace bin/picaspot: setup says what to do.
func TestSetupNamesTheOwnerOfBin(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("scripts/setup.sh")
	require.NoError(t, err)
	folder := t.TempDir()
	for _, name := range []string{"scripts", "bin"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o755))
	}
	path := filepath.Join(folder, "scripts", "setup.sh")
	require.NoError(t, os.WriteFile(path, script, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(folder), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(folder, "bin"), 0o555))
	cmd := exec.Command(path, "run")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, "^setup: bin belongs to \\S+, and make has to replace it: take it over with `sudo chown -R \\S+ bin`\n$", string(out))
}
