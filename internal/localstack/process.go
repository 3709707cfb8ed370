package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// patience is how long a server has for each signal before the next,
	// stronger one is sent.
	patience = 10 * time.Second
	// pollInterval is how often a state that nobody announces is looked at.
	pollInterval = 10 * time.Millisecond
)

// process is a server that runs as a child of this process.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how it ended; valid once done is closed
}

// startProcess starts cmd in a process group of its own, so that a Ctrl-C in
// the terminal reaches this process alone, which then stops its servers in
// order. Where the system can do it (Linux), the server receives death when
// this process dies without having stopped it.
func startProcess(cmd *exec.Cmd, death syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	signalOnParentDeath(cmd.SysProcAttr, death)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Linux takes the end of the thread that forked for the death of the
		// parent: this goroutine keeps its thread until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop sends the signals one after the other until the process has ended. The
// next one follows after a while, or at once when ctx is done. The error says
// that the first signal was not enough.
func (p *process) stop(ctx context.Context, signals ...syscall.Signal) error {
	for i, signal := range signals {
		if p.ended() {
			return nil
		}
		if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
		}
		wait := ctx.Done()
		if i > 0 {
			// ctx is over by now perhaps; the stronger signal still needs its moment.
			wait = nil
		}
		select {
		case <-p.done:
			if i > 0 {
				return fmt.Errorf("stop %s: it did not heed %s and was ended by %s", p.cmd.Path, signals[0], signal)
			}
			return nil
		case <-wait:
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("stop %s: process %d does not end", p.cmd.Path, p.pid())
}

// runsWith reports whether pid is a living process that was started with arg
// among its arguments. A process id alone proves nothing: after a restart of
// the machine or container it belongs to something else. A zombie has no
// arguments and counts as dead.
func runsWith(ctx context.Context, pid int, arg string) bool {
	if runtime.GOOS == "linux" {
		line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		return err == nil && slices.Contains(strings.Split(string(line), "\x00"), arg)
	}
	line, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(" "+strings.TrimSpace(string(line))+" ", " "+arg+" ")
}

// stopOrphan ends a server that is not our child, known by its process id and
// by one of its arguments, and returns when it is gone.
func stopOrphan(ctx context.Context, pid int, arg string, signals ...syscall.Signal) error {
	for _, signal := range signals {
		if !runsWith(ctx, pid, arg) {
			return nil
		}
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the server %d that an earlier run left behind: %w", pid, err)
		}
		gone, err := poll(ctx, patience, func() bool { return !runsWith(ctx, pid, arg) })
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the server %d that an earlier run left behind does not end", pid)
}

// poll asks until the answer is yes, for at most the given time.
func poll(ctx context.Context, limit time.Duration, ask func() bool) (bool, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !ask() {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-deadline.C:
			return false, nil
		case <-ticker.C:
		}
	}
	return true, nil
}
