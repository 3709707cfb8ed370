package storage_test

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

// TestAFullDisk lets a disk fill up in the middle of a file: a process of its own may
// write no file beyond a size, to which a write says what it says on a full disk.
func TestAFullDisk(t *testing.T) {
	if folder := os.Getenv(childVariable); folder != "" {
		signal.Ignore(syscall.SIGXFSZ)
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}))
		s := open(t, "file://"+folder)
		err := s.Put(t.Context(), "a/new", bytes.NewReader(make([]byte, 1<<20)), "image/png")
		requireFault(t, err, fault.Unavailable, "storage_unavailable")
		require.ErrorIs(t, err, syscall.EFBIG)
		require.NotContains(t, err.Error(), "context canceled")
		require.Empty(t, files(t, folder))
		return
	}
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAFullDisk$", "-test.count=1")
	child.Env = append(os.Environ(), childVariable+"="+t.TempDir())
	output, err := child.CombinedOutput()
	require.NoError(t, err, string(output))
}

func TestAFolderThatIsReadOnly(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "files")
	s := open(t, "file://"+folder)
	// The checker looks at the folder above as well, and another user may not.
	for dir := folder; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o555))
		t.Cleanup(func() { require.NoError(t, os.Chmod(dir, 0o700)) })
	}
	asNobody(t, func() {
		requireFault(t, s.Put(t.Context(), "a", strings.NewReader("x"), "image/png"), fault.Unavailable, "storage_unavailable")
		require.Error(t, s.Check(t.Context()))
	})
}

// asNobody runs fn with the rights on files of an ordinary user, also where tests run
// as root. It works for what fn does itself, not for goroutines.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	const nobody = 65534
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is not used for anything else: it ends with the goroutine.
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			t.Errorf("setfsuid: %v", errno)
			return
		}
		fn()
	}()
	<-done
}
