package localstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/picaspot/picaspot/internal/fault"
)

// ErrInUse is returned when a living process uses the folder already.
var ErrInUse = fault.New(fault.Conflict, "folder_in_use", "the folder is in use by another process")

// Lock is an exclusive hold on a file. The system releases it when the process
// ends, however it ends.
type Lock struct{ file *os.File }

// TakeLock locks the file at path, which it creates when it is missing, and
// writes the process id into it. It does not wait: the error is [ErrInUse] when
// the lock is held.
func TakeLock(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		holder := make([]byte, 20)
		n, _ := file.Read(holder) // Naming the holder is a courtesy.
		return nil, ErrInUse.Wrap(fmt.Errorf("%s is held by process %s", path, strings.TrimSpace(string(holder[:n]))))
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return &Lock{file}, nil
}

// IsLocked reports whether a process holds the lock on the file at path. It does not
// keep others from asking at the same time.
func IsLocked(path string) (bool, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil // Nobody's, or another user's.
	}
	if err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", path, err)
	}
	return false, nil
}

// Release gives the lock up. The file stays: removing it would let two
// processes hold locks on two files of the same name.
func (l *Lock) Release() error {
	// Closing is not enough if a child was being forked at this moment and
	// still holds a copy of the descriptor.
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}
