package redisconn

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// starts knows when servers started. A server has another run id after each start.
type starts struct {
	mu   sync.Mutex
	runs map[string]bool
	at   atomic.Pointer[time.Time]
}

func (s *starts) last() time.Time {
	if at := s.at.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// note asks a server that a connection was made to when it started, by its own
// clock. One that does not let us know is taken to have been there always.
func (s *starts) note(ctx context.Context, conn *redis.Conn) error {
	pipe := conn.Pipeline()
	info, now := pipe.Info(ctx, "server"), pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		var refused redis.Error
		if errors.As(err, &refused) {
			return nil
		}
		return err
	}
	facts := factsOf(info.Val())
	seconds, err := strconv.ParseInt(facts["uptime_in_seconds"], 10, 64)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[facts["run_id"]] {
		return nil
	}
	// The uptime is cut to seconds, so this is when it started or up to a second later.
	started := now.Val().Add(-time.Duration(seconds) * time.Second)
	if started.After(s.last()) {
		s.at.Store(&started)
	}
	if s.runs == nil {
		s.runs = map[string]bool{}
	}
	s.runs[facts["run_id"]] = true
	return nil
}

// factsOf reads the reply to INFO: lines of name:value.
func factsOf(info string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}
