package localstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

const (
	// otherRoot holds the clusters of folders that the server's account cannot
	// reach, as with everything beneath /root.
	otherRoot = "/var/lib/picaspot"
	// placeFile, in the folder that was asked for, names the place of a cluster
	// that lies elsewhere; originFile, there, names the folder.
	placeFile  = "place"
	originFile = "origin"
)

var otherName = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// serverAccount returns the account that PostgreSQL runs as, or nil when it is
// our own. PostgreSQL refuses to run as root.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // Nothing is there, which is no error.
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as: " +
		"create one, or start as an ordinary user")
}

// makeFolder makes dir and returns its one absolute path.
func makeFolder(dir string, who *syscall.Credential) (string, error) {
	mode := fs.FileMode(0o700)
	if who != nil {
		mode = 0o711 // To be passed through by the server's account.
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	return canonical(dir)
}

// place returns where the cluster of dir lies: dir itself, or a folder beneath
// [otherRoot], which it makes, if the account that PostgreSQL runs as cannot
// enter dir.
func place(ctx context.Context, dir string, who *syscall.Credential, probe string) (string, error) {
	other, err := otherPlace(dir)
	if other != "" || err != nil {
		return other, err
	}
	if who == nil {
		return dir, nil
	}
	reached, err := enters(ctx, dir, who, probe)
	if reached || err != nil {
		return dir, err
	}
	return moveElsewhere(ctx, dir, who, probe)
}

// enters reports whether the account can work in dir: it runs the probe, a
// program that prints its version, there. That takes every rule of the system
// into account, where looking at mode bits would not.
func enters(ctx context.Context, dir string, who *syscall.Credential, probe string) (bool, error) {
	cmd := exec.CommandContext(ctx, probe, "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	err := cmd.Run()
	if errors.Is(err, fs.ErrPermission) && ctx.Err() == nil {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("run %s as user %d: %w", probe, who.Uid, err)
	}
	return true, nil
}

// otherPlace returns the place that dir names, or "" when its cluster is not
// elsewhere.
func otherPlace(dir string) (string, error) {
	other, err := readPlace(dir)
	if err != nil || other == "" {
		return "", err
	}
	if err := CheckAccess(other); err != nil {
		return "", err
	}
	origin, err := os.ReadFile(filepath.Join(other, originFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("place of the cluster: %w", err)
	}
	if string(origin) == dir {
		return other, nil
	}
	if theirs, err := readPlace(string(origin)); err == nil && theirs == other {
		return "", nil // dir is a copy; the cluster belongs to the original.
	}
	// The folder was moved, and its cluster follows.
	if err := os.WriteFile(filepath.Join(other, originFile), []byte(dir), 0o600); err != nil {
		return "", fmt.Errorf("place of the cluster: %w", err)
	}
	return other, nil
}

// readPlace trusts no other content than a name that [moveElsewhere] could have made.
func readPlace(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, placeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("place of the cluster: %w", err)
	}
	other := strings.TrimSpace(string(content))
	if filepath.Dir(other) != otherRoot || !otherName.MatchString(filepath.Base(other)) {
		return "", fmt.Errorf("%s: %q is no place of a cluster", filepath.Join(dir, placeFile), other)
	}
	return other, nil
}

func moveElsewhere(ctx context.Context, dir string, who *syscall.Credential, probe string) (string, error) {
	if err := removeReplaced(ctx, dir); err != nil {
		return "", err
	}
	other := filepath.Join(otherRoot, rand.Text())
	if err := os.MkdirAll(other, 0o711); err != nil {
		return "", fmt.Errorf("folder of PostgreSQL: %w", err)
	}
	reached, err := enters(ctx, other, who, probe)
	if err == nil && !reached {
		err = fmt.Errorf("user %d, which PostgreSQL is to run as, can enter neither %s nor %s, or cannot run %s",
			who.Uid, dir, other, probe)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(other, originFile), []byte(dir), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, placeFile), []byte(other+"\n"), 0o600)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(other))
	}
	return other, nil
}

// removeReplaced removes the clusters elsewhere that belonged to an earlier
// folder of this name: who deletes the folder means its data.
func removeReplaced(ctx context.Context, dir string) error {
	others, _ := filepath.Glob(filepath.Join(otherRoot, "*")) // Fails on a bad pattern only.
	for _, other := range others {
		origin, err := os.ReadFile(filepath.Join(other, originFile))
		if err != nil || string(origin) != dir {
			continue
		}
		if err := removeCluster(ctx, other); err != nil && !errors.Is(err, ErrInUse) {
			return err
		}
	}
	return nil
}
