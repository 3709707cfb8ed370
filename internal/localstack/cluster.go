package localstack

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Files of a cluster's folder.
const (
	lockFile     = "lock"
	passwordFile = "password"
	portFile     = "port"
	logFile      = "postgres.log"
	dataFolder   = "data"
)

const superuser = "picaspot"

// clusterMajor returns the major version of PostgreSQL that the cluster in home
// was made by, or 0 when there is none yet.
func clusterMajor(home string) (int, error) {
	content, err := os.ReadFile(filepath.Join(home, dataFolder, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("version of the cluster: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fmt.Errorf("version of the cluster in %s: %w", home, err)
	}
	return major, nil
}

// makeCluster initialises a cluster in home. It is complete or not there: a
// cluster whose making was interrupted is thrown away.
func makeCluster(ctx context.Context, home string, i installation, who *syscall.Credential) error {
	if err := os.WriteFile(filepath.Join(home, passwordFile), []byte(rand.Text()), 0o600); err != nil {
		return fmt.Errorf("password of PostgreSQL: %w", err)
	}
	if err := giveTo(who, filepath.Join(home, passwordFile)); err != nil {
		return err
	}
	unfinished, _ := filepath.Glob(filepath.Join(home, dataFolder+".*")) // Fails on a bad pattern only.
	for _, folder := range unfinished {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("unfinished cluster: %w", err)
		}
	}
	var problems []error
	for _, locale := range locales(i.major) {
		data, err := os.MkdirTemp(home, dataFolder+".*")
		if err != nil {
			return fmt.Errorf("folder of PostgreSQL: %w", err)
		}
		if err := giveTo(who, data); err != nil {
			return err
		}
		args := append([]string{
			"-D", data, "-U", superuser, "--pwfile=" + filepath.Join(home, passwordFile),
			"-A", "scram-sha-256", "-E", "UTF8", "--no-sync",
		}, locale...)
		cmd := exec.CommandContext(ctx, i.tool("initdb"), args...)
		asServer(cmd, data, who)
		out, err := cmd.CombinedOutput()
		if err == nil {
			if err := os.Rename(data, filepath.Join(home, dataFolder)); err != nil {
				return fmt.Errorf("folder of PostgreSQL: %w", err)
			}
			return nil
		}
		problems = append(problems, fmt.Errorf("initdb %s: %w: %s", strings.Join(locale, " "), err, bytes.TrimSpace(out)))
		if err := os.RemoveAll(data); err != nil {
			return fmt.Errorf("unfinished cluster: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("initdb: %w", err)
		}
	}
	return errors.Join(problems...)
}

// locales are the ways to ask for one that treats letters of all scripts
// alike on every machine, best first. Not every system has C.UTF-8.
func locales(major int) [][]string {
	system := [][]string{{"--locale=C.UTF-8"}, {"--locale=en_US.UTF-8"}, {"--locale=C"}}
	if major < 17 {
		return system
	}
	return append([][]string{{"--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"}}, system...)
}

func giveTo(who *syscall.Credential, path string) error {
	if who == nil {
		return nil
	}
	if err := os.Chown(path, int(who.Uid), int(who.Gid)); err != nil {
		return fmt.Errorf("give it to the server's account: %w", err)
	}
	return nil
}

// asServer makes cmd run as the server's account, in a folder that this account
// can enter, with an environment that holds no secrets of ours and no settings
// for other PostgreSQLs.
func asServer(cmd *exec.Cmd, dir string, who *syscall.Credential) {
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
}

// Ports are looked for below the ephemeral range of Linux and macOS, where no
// outgoing connection takes one away between two starts.
const (
	firstPort = 21000
	portCount = 10000
)

// stablePort returns the port that the cluster in home had at its last start,
// or one derived from its path; the next free one when that is taken.
func stablePort(home string) (int, error) {
	sum := fnv.New32a()
	sum.Write([]byte(home))
	candidate := int(sum.Sum32() % portCount)
	if kept := keptPort(home); kept != 0 {
		candidate = kept - firstPort
	}
	for n := range portCount {
		port := firstPort + (candidate+n)%portCount
		if portFree(port) == nil {
			return port, nil
		}
	}
	return 0, errors.New("no free port for PostgreSQL")
}

// keptPort returns the port of the last start, or 0 when none is known.
func keptPort(home string) int {
	content, err := os.ReadFile(filepath.Join(home, portFile))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || port < firstPort || port >= firstPort+portCount {
		return 0
	}
	return port
}

// portFree returns why nothing can listen on a port of 127.0.0.1. Port 0 is
// always free.
func portFree(port int) error {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return listener.Close()
}
