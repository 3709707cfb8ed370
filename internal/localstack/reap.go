package localstack

import (
	"context"
	"log/slog"
	"path/filepath"
	"syscall"
)

// Reap stops the servers that a killed process left behind: the PostgreSQL in
// postgresDir and the redis-server in redisDir.
func Reap(postgresDir, redisDir string) {
	p := &Postgres{dir: postgresDir, log: slog.Default()}
	if err := p.stopLeftover(context.Background()); err != nil {
		slog.Warn("a database was left behind", "folder", postgresDir, "error", err)
	}
	if pid := running(filepath.Join(redisDir, redisPIDFile), "redis-server"); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			slog.Warn("a redis-server was left behind", "pid", pid, "error", err)
		}
	}
}
