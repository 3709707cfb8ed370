package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/picaspot/picaspot/internal/config"
)

// server is picaspot as a process of its own, or without ops and command a handler of
// this one.
type server struct {
	url, ops string
	command  *exec.Cmd
}

// build makes the binary that is deployed.
func build(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "picaspot-bench-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "picaspot")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "github.com/picaspot/picaspot/cmd/picaspot")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	return path, command.Run()
}

// startServer starts the API with as many MiB of copies, and returns when it is ready.
// The limit is that of Go's runtime.
func startServer(ctx context.Context, binary string, c config.Config, memory int, limit string) (*server, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	ops, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{url: "http://" + addr, ops: "http://" + ops, command: exec.CommandContext(ctx, binary, "serve")}
	s.command.Env = append(os.Environ(),
		"PICASPOT_HTTP_ADDR="+addr, "PICASPOT_OPS_ADDR="+ops, "PICASPOT_PUBLIC_URL="+c.PublicURL,
		"PICASPOT_DATABASE_URL="+c.DatabaseURL, "PICASPOT_DATABASE_MAX_CONNS="+strconv.Itoa(int(c.DatabaseMaxConns)),
		"PICASPOT_REDIS_URL="+c.RedisURL, "PICASPOT_STORAGE_URL="+c.StorageURL, "PICASPOT_SMTP_URL="+c.SMTPURL,
		"PICASPOT_SECRET_KEY="+c.SecretKey, "PICASPOT_RATE_LIMITS="+strings.Join(c.RateLimits, ","),
		"PICASPOT_CACHE_MEMORY="+strconv.Itoa(memory), "PICASPOT_STATEMENT_TIMEOUT=1m", "GOMEMLIMIT="+limit,
	)
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	for range 600 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return nil, err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close() // It was not read.
			if response.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, errors.New("the server does not get ready")
}

func (s *server) stop() {
	_ = s.command.Process.Kill() // It may have ended.
	_ = s.command.Wait()
}

func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// usage is what a server has used since it started.
type usage struct {
	mallocs float64 // objects
	cpu     float64 // seconds
}

// usage asks the server's process, or this one.
func (s *server) usage(ctx context.Context) (usage, error) {
	if s.ops == "" {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		var times syscall.Rusage
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &times)
		nanos := times.Utime.Nano() + times.Stime.Nano()
		return usage{mallocs: float64(stats.Mallocs), cpu: float64(nanos) / 1e9}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ops+"/metrics", nil)
	if err != nil {
		return usage{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return usage{}, err
	}
	defer response.Body.Close()
	var u usage
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "go_memstats_mallocs_total":
			u.mallocs, err = strconv.ParseFloat(value, 64)
		case "process_cpu_seconds_total":
			u.cpu, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return usage{}, err
		}
	}
	if u.mallocs == 0 || u.cpu == 0 {
		return usage{}, errors.New("the server does not tell what it has used")
	}
	return u, lines.Err()
}

// memory is the resident memory of the server now and at its peak, in bytes; 0 where
// there is no /proc.
func (s *server) memory() (rss, peak int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			rss = kilobytes << 10
		case "VmHWM:":
			peak = kilobytes << 10
		}
	}
	return rss, peak
}
