package localstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ForeignError tells that a folder, or what is in it, belongs to another account, which
// does not let this process use it. Its text says how to change that.
type ForeignError struct {
	// Folder is what has to be taken over, because of what lies at Path in it.
	Folder, Path string
	// Owner has it, and Account is the one that this process runs as.
	Owner, Account string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s belongs to %s, as after a start by that account: take it over with `sudo chown -R %s %q`",
		e.Path, e.Owner, e.Account, e.Folder)
}

// Modes of access(2).
const (
	readable  = 4
	writable  = 2
	enterable = 1
)

// accessDepth is how deep [CheckAccess] looks: what a start by another account leaves
// behind shows in the first two levels.
const accessDepth = 2

// CheckAccess returns a [ForeignError] when this process can't use a folder, or what lies up to
// two levels deep in it, since another account made it, as a start by root does. What is
// missing, or is closed by its own owner, is left to those that open it.
func CheckAccess(dir string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if entry == nil {
			return nil
		}
		if owner, foreign := foreignOwner(path, entry); foreign {
			return &ForeignError{Folder: dir, Path: path, Owner: accountName(int(owner)), Account: accountName(os.Geteuid())}
		}
		depth := strings.Count(strings.TrimPrefix(path, dir), string(filepath.Separator))
		if err != nil || entry.IsDir() && depth == accessDepth {
			return fs.SkipDir
		}
		return nil
	})
}

// foreignOwner returns the owner of a file or folder that this process can't use, unless
// it is the process's own account.
func foreignOwner(path string, entry fs.DirEntry) (uint32, bool) {
	mode := uint32(readable)
	if entry.IsDir() {
		mode = readable | writable | enterable
	}
	if err := syscall.Access(path, mode); !errors.Is(err, fs.ErrPermission) {
		return 0, false
	}
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int64(stat.Uid) == int64(os.Geteuid()) {
		return 0, false
	}
	return stat.Uid, true
}

// accountName is the name of an account, or its number when it has none.
func accountName(uid int) string {
	id := strconv.Itoa(uid)
	if account, err := user.LookupId(id); err == nil {
		return account.Username
	}
	return id
}
