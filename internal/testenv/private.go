package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/picaspot/picaspot/internal/localstack"
)

const (
	// folderPrefix begins the name of a private server's folder among the
	// temporary files.
	folderPrefix = "picaspot-test-server-"
	// ownerFile is locked while the process that made the folder lives.
	ownerFile = "owner"
	// postgresFolder and redisFolder lie in it.
	postgresFolder = "postgres"
	redisFolder    = "redis"
)

// testSettings make PostgreSQL fast: nothing here has to outlive a crash of the
// machine, and databases come and go too quickly to be worth a vacuum.
var testSettings = map[string]string{
	"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
	"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "4GB", "checkpoint_timeout": "1h",
	"max_connections": "300", "shared_buffers": "128MB",
}

func privateDatabase(ctx context.Context) (server, error) {
	folder, err := newFolder(ctx)
	if err != nil {
		return server{}, err
	}
	dir := filepath.Join(folder.path, postgresFolder)
	postgres, err := localstack.StartPostgres(ctx, localstack.PostgresOptions{Dir: dir, Settings: testSettings})
	if err != nil {
		return server{}, errors.Join(err, folder.remove(context.WithoutCancel(ctx)))
	}
	return server{postgres.URL("postgres"), func(ctx context.Context) error {
		return errors.Join(postgres.Stop(ctx), folder.remove(ctx))
	}}, nil
}

func privateRedis(ctx context.Context) (server, error) {
	folder, err := newFolder(ctx)
	if err != nil {
		return server{}, err
	}
	redis, err := localstack.StartRedisServer(ctx, filepath.Join(folder.path, redisFolder))
	if err != nil {
		return server{}, errors.Join(err, folder.remove(context.WithoutCancel(ctx)))
	}
	return server{redis.URL(), func(ctx context.Context) error {
		return errors.Join(redis.Stop(ctx), folder.remove(ctx))
	}}, nil
}

// privateFolder is the folder of one private server.
type privateFolder struct {
	path string
	lock *localstack.Lock
}

// newFolder makes a folder for a server, after the ones of killed runs have
// been removed.
func newFolder(ctx context.Context) (privateFolder, error) {
	reap(ctx, os.TempDir())
	// Locked before it has a name that reap looks at.
	path, err := os.MkdirTemp("", "."+folderPrefix)
	if err != nil {
		return privateFolder{}, fmt.Errorf("folder for a private server: %w", err)
	}
	lock, err := localstack.TakeLock(filepath.Join(path, ownerFile))
	if err != nil {
		return privateFolder{}, errors.Join(err, os.RemoveAll(path))
	}
	named := filepath.Join(filepath.Dir(path), strings.TrimPrefix(filepath.Base(path), "."))
	if err = os.Rename(path, named); err == nil {
		path = named
		// Under root PostgreSQL runs as another user, who has to pass through.
		err = os.Chmod(path, 0o711)
	}
	if err != nil {
		return privateFolder{}, errors.Join(fmt.Errorf("folder for a private server: %w", err), os.RemoveAll(path), lock.Release())
	}
	return privateFolder{path, lock}, nil
}

// remove deletes the folder with what is in it and stops what still runs there.
func (f privateFolder) remove(ctx context.Context) error {
	errs := []error{
		localstack.RemovePostgres(ctx, filepath.Join(f.path, postgresFolder)),
		localstack.RemoveRedis(ctx, filepath.Join(f.path, redisFolder)),
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, os.RemoveAll(f.path))
	}
	return errors.Join(append(errs, f.lock.Release())...)
}

// reap removes what runs that were killed left behind. What cannot be removed
// now is left to the next run.
func reap(ctx context.Context, temp string) {
	folders, _ := filepath.Glob(filepath.Join(temp, folderPrefix+"*")) // Fails on a bad pattern only.
	for _, path := range folders {
		// Everybody may make folders of any name there: only our own count.
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
			continue
		}
		// Without the file it is not a folder of newFolder's.
		if _, err := os.Lstat(filepath.Join(path, ownerFile)); err != nil {
			continue
		}
		lock, err := localstack.TakeLock(filepath.Join(path, ownerFile))
		if err != nil {
			continue
		}
		if err := (privateFolder{path, lock}).remove(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "testenv: remove what an earlier run left in %s: %v\n", path, err)
		}
	}
}
