package localstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// noProcess is above the largest process id of Linux (2^22) and macOS (99999).
const noProcess = 1<<22 + 1

// postmaster is what PostgreSQL writes to postmaster.pid (miscadmin.h, LOCK_FILE_LINE_*).
type postmaster struct {
	pid    int
	status string // "starting", "ready", "stopping", "standby"; empty before it is known
}

func parsePostmaster(content string) (postmaster, bool) {
	lines := strings.Split(content, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return postmaster{}, false
	}
	p := postmaster{pid: pid}
	if len(lines) >= 8 {
		p.status = strings.TrimSpace(lines[7])
	}
	return p, true
}

// stopLeftover ends a server that an earlier run of ours left in the data
// folder, and sees to it that a stale postmaster.pid does not keep the next one
// from starting. It reports whether an earlier server had not been stopped in
// order.
func stopLeftover(ctx context.Context, data string) (bool, error) {
	path := filepath.Join(data, "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pid file of PostgreSQL: %w", err)
	}
	return true, endLeftover(ctx, data, path, string(content))
}

func endLeftover(ctx context.Context, data, path, content string) error {
	p, ok := parsePostmaster(content)
	if !ok {
		// The machine went down while it was written; PostgreSQL refuses such a file.
		return removeFile(path)
	}
	if runsWith(ctx, p.pid, data) {
		return stopOrphan(ctx, p.pid, data, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL)
	}
	if errors.Is(syscall.Kill(p.pid, 0), syscall.ESRCH) {
		return nil // PostgreSQL sees by itself that the file is stale.
	}
	// The id belongs to another process by now, which PostgreSQL would take for
	// a server. Only the id is replaced: by the rest of the file PostgreSQL
	// finds out whether children of the dead server still work on the data.
	_, rest, _ := strings.Cut(content, "\n")
	if err := os.WriteFile(path, []byte(strconv.Itoa(noProcess)+"\n"+rest), 0o600); err != nil {
		return fmt.Errorf("pid file of PostgreSQL: %w", err)
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// RemovePostgres deletes the cluster of dir with all its data, and dir. A
// server that a killed process left behind is stopped first; the error is
// [ErrInUse] while a living process uses the cluster.
func RemovePostgres(ctx context.Context, dir string) error {
	dir, err := canonical(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	other, err := otherPlace(dir)
	if err != nil {
		return err
	}
	if other != "" {
		if err := removeCluster(ctx, other); err != nil {
			return err
		}
	}
	return removeCluster(ctx, dir)
}

func removeCluster(ctx context.Context, home string) error {
	lock, err := TakeLock(filepath.Join(home, lockFile))
	if err != nil {
		return err
	}
	_, err = stopLeftover(ctx, filepath.Join(home, dataFolder))
	if err == nil {
		err = os.RemoveAll(home)
	}
	return errors.Join(err, lock.Release())
}

// canonical returns the one absolute path of dir, which the arguments of a
// running server are compared with.
func canonical(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	return dir, nil
}
