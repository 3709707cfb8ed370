// Testenv runs a command with the servers that tests need, and stops them
// afterwards:
//
//	go run ./internal/testenv/cmd/testenv -- go test ./...
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

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 2, errors.New("usage: testenv -- command [argument ...]")
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	servers, err := testenv.Start(context.Background())
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, servers.Stop()) }()
	command := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // Running what was asked for is the purpose; signals end it.
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = append(os.Environ(),
		testenv.DatabaseVariable+"="+servers.DatabaseURL, testenv.RedisVariable+"="+servers.RedisURL)
	if err := command.Start(); err != nil {
		return 1, err
	}
	go func() {
		for received := range signals {
			_ = command.Process.Signal(received) // It may have ended just now.
		}
	}()
	var exit *exec.ExitError
	if err := command.Wait(); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	} else if err != nil {
		return 1, err
	}
	return 0, nil
}
