package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/ent"
	entattempt "github.com/picaspot/picaspot/ent/attempt"
	"github.com/picaspot/picaspot/internal/authz"
	"github.com/picaspot/picaspot/internal/fault"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/unlock"
	"github.com/picaspot/picaspot/internal/version"
)

const (
	// eventPatience is how long the client of a stream may take for an event. They are
	// small: one that fits into no buffer any more is for nobody.
	eventPatience = 10 * time.Second
	// eventRetry is how long a client that was cut off is asked to wait.
	eventRetry = time.Second
)

// FollowAttempt implements GET /api/v1/attempts/{attempt_id}/events.
func (s *Server) FollowAttempt(ctx context.Context, request api.FollowAttemptRequestObject) (api.FollowAttemptResponseObject, error) {
	return attemptEvents{ctx: ctx, server: s, id: request.AttemptID, seen: deref(request.Params.LastEventID, "")}, nil
}

// attemptEvents is the answer to one who follows an attempt.
type attemptEvents struct {
	ctx    context.Context // The request's, for an answer that is still made while it is sent.
	server *Server
	id     uuid.UUID
	// seen is the id of the last event that the client has.
	seen string
}

// VisitFollowAttemptResponse sends an event for each change, until the attempt is
// decided. It holds no connection to the database while it waits.
func (e attemptEvents) VisitFollowAttemptResponse(w http.ResponseWriter) error {
	caller, _ := authz.CallerFrom(e.ctx)
	follower, err := e.server.Followers.Follow(caller.UserID, e.id)
	if err != nil {
		return err
	}
	defer follower.Close()
	attempt, err := e.server.Unlocks.Attempt(e.ctx, e.id)
	if err != nil {
		return err
	}
	if isDecided(attempt) && eventID(attempt) == e.seen {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	lasting := operation.LastingFrom(e.ctx)
	events := openEvents(w)
	if lasting.IsHead {
		return nil
	}
	defer events.close()
	// An error is no answer any more once the stream has begun. It ends, and whoever
	// comes back is told what is the case.
	if err := e.follow(events, follower, lasting, attempt); err != nil && e.ctx.Err() == nil {
		var known *fault.Error
		level := slog.LevelWarn
		if errors.As(err, &known) {
			level = slog.LevelDebug
		}
		slog.Log(e.ctx, level, "stream of events broke off", "error", err)
	}
	return nil
}

func (e attemptEvents) follow(events *eventWriter, follower *unlock.Follower, lasting operation.Lasting, attempt *ent.Attempt) error {
	if err := events.send("retry: %d\n\n", eventRetry.Milliseconds()); err != nil {
		return err
	}
	heartbeat := time.NewTicker(e.server.EventHeartbeat)
	defer heartbeat.Stop()
	ctx, seen := e.ctx, e.seen
	for {
		if id := eventID(attempt); id != seen {
			data, err := e.data(ctx, attempt)
			if err != nil {
				return err
			}
			if err := events.send("event: attempt\nid: %s\ndata: %s\n\n", id, data); err != nil {
				return err
			}
			seen = id
		}
		if isDecided(attempt) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-follower.Ended():
			return nil
		case <-follower.Changed():
		case <-heartbeat.C:
			var err error
			if ctx, err = lasting.Readmit(e.ctx); err != nil {
				return err
			}
			if err := events.send(":\n\n"); err != nil {
				return err
			}
		}
		var err error
		if attempt, err = e.server.Unlocks.Attempt(ctx, e.id); err != nil {
			return err
		}
	}
}

func (e attemptEvents) data(ctx context.Context, attempt *ent.Attempt) ([]byte, error) {
	unlocks, err := e.server.Unlocks.UnlockIDs(ctx, attempt)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(toAPIAttempt(ctx, attempt, found(unlocks, attempt.ID)))
	if err != nil {
		return nil, fmt.Errorf("attempt %s: %w", attempt.ID, err)
	}
	return data, nil
}

func isDecided(a *ent.Attempt) bool { return a.Status != entattempt.StatusPending }

// eventID is the version of an attempt: its entity tag without the quotes.
func eventID(a *ent.Attempt) string { return strings.Trim(version.ETag(a.UpdatedAt), `"`) }

// eventWriter sends server-sent events.
type eventWriter struct {
	w   http.ResponseWriter
	out *http.ResponseController
}

// openEvents begins the answer.
func openEvents(w http.ResponseWriter) *eventWriter {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", noStore)
	// nginx would keep the events until there are enough of them.
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	// The deadline of the request, which was read long ago, would end the stream.
	_ = out.SetReadDeadline(time.Time{}) // What has no deadlines needs none lifted.
	return &eventWriter{w: w, out: out}
}

func (e *eventWriter) send(format string, args ...any) error {
	if err := e.out.SetWriteDeadline(time.Now().Add(eventPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("event: %w", err)
	}
	if _, err := fmt.Fprintf(e.w, format, args...); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if err := e.out.Flush(); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return nil
}

// close lifts the deadline of the last event, which is none for what comes next on
// the connection.
func (e *eventWriter) close() { _ = e.out.SetWriteDeadline(time.Time{}) }
