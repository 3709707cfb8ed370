// Testenv runs a command with the servers that tests need, and stops them
// afterwards:
//
//	go run ./internal/testenv/cmd/testenv -- go test ./...
//
// The command finds their addresses in PICASPOT_TEST_DATABASE_URL and
// PICASPOT_TEST_REDIS_URL; what these name already is used as it is. Signals go
// on to the command, and its exit code is testenv's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/picaspot/picaspot/internal/testenv"
)

// Exit codes as shells use them.
const (
	failed      = 1
	usage       = 2
	cannotRun   = 126
	notFound    = 127
	signalBased = 128
)

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, failed)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return usage, errors.New("usage: testenv -- command [argument ...]")
	}
	// Caught from here on: a signal must not end this process before it has
	// stopped what it starts.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)

	started := make(chan struct{})
	var servers *testenv.Servers
	go func() {
		defer close(started)
		servers, err = testenv.Start(ctx)
	}()
	select {
	case received := <-signals:
		cancel(fmt.Errorf("ended by signal: %s", received))
		<-started
	case <-started:
	}
	if err != nil {
		return failed, err
	}
	defer func() { err = errors.Join(err, servers.Stop()) }()
	if ctx.Err() != nil {
		return failed, context.Cause(ctx)
	}
	return execute(args, servers, signals)
}

// execute runs the command and returns its exit code.
func execute(args []string, servers *testenv.Servers, signals <-chan os.Signal) (int, error) {
	command := exec.Command(args[0], args[1:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(),
		testenv.DatabaseVariable+"="+servers.DatabaseURL, testenv.RedisVariable+"="+servers.RedisURL)
	if err := command.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return notFound, err
		}
		return cannotRun, err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case received := <-signals:
			_ = command.Process.Signal(received) // It may have ended just now.
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				return 0, err
			}
			if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return signalBased + int(status.Signal()), nil
			}
			return exit.ExitCode(), nil
		}
	}
}
