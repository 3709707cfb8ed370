package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/apptest"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/testenv"
	"github.com/picaspot/picaspot/internal/unlock"
)

// pendingAttempt is an attempt of a user's that no worker decides.
func pendingAttempt(t *testing.T, s *apptest.Server, by *apptest.Client) api.Attempt {
	t.Helper()
	at := geo.Point{Latitude: 53.8671, Longitude: 8.7206}
	area := s.Area(by, "Harbour "+by.Username)
	landmark := s.Landmark(by, area.ID, "Lighthouse", at)
	return s.Attempt(by, landmark.ID, apptest.Photo(t, at, time.Now()), at)
}

// events is a stream of events as a client reads it.
type events struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	leave    context.CancelFunc
}

// event is one of them.
type event struct {
	id      string
	attempt api.Attempt
}

// follow opens a stream; what is not one is an answer without events.
func follow(t *testing.T, url string, by *apptest.Client, method string, id uuid.UUID, lastID string) *events {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, url+"/api/v1/attempts/"+id.String()+"/events", http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+by.Token)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return &events{t: t, response: response, lines: bufio.NewScanner(response.Body), leave: cancel}
}

// open opens a stream, which has to be one.
func open(t *testing.T, s *apptest.Server, by *apptest.Client, id uuid.UUID, lastID string) *events {
	t.Helper()
	e := follow(t, s.URL, by, http.MethodGet, id, lastID)
	require.Equal(t, http.StatusOK, e.response.StatusCode)
	require.Equal(t, "text/event-stream", e.response.Header.Get("Content-Type"))
	require.Equal(t, "no-store", e.response.Header.Get("Cache-Control"))
	require.Equal(t, "no", e.response.Header.Get("X-Accel-Buffering"))
	require.Equal(t, "retry: 1000", e.block())
	return e
}

// block is what comes up to the next empty line, empty at the end of the stream.
func (e *events) block() string {
	var lines []string
	for e.lines.Scan() && e.lines.Text() != "" {
		lines = append(lines, e.lines.Text())
	}
	require.NoError(e.t, e.lines.Err())
	return strings.Join(lines, "\n")
}

// next is the next event.
func (e *events) next() event {
	e.t.Helper()
	block := e.block()
	for block == ":" {
		block = e.block()
	}
	name, rest, _ := strings.Cut(block, "\nid: ")
	require.Equal(e.t, "event: attempt", name, block)
	id, data, ok := strings.Cut(rest, "\ndata: ")
	require.True(e.t, ok, block)
	found := event{id: id}
	require.NoError(e.t, json.Unmarshal([]byte(data), &found.attempt))
	return found
}

// ends waits for the end of the stream, up to which nothing but heartbeats comes.
func (e *events) ends() {
	e.t.Helper()
	for block := e.block(); block != ""; block = e.block() {
		require.Equal(e.t, ":", block)
	}
}

// refused is the problem in the place of a stream.
func (e *events) refused(status int, code string) api.Problem {
	e.t.Helper()
	body, err := io.ReadAll(e.response.Body)
	require.NoError(e.t, err)
	p := apptest.Problem(e.t, status, e.response, body)
	require.Equal(e.t, "/problems/"+code, p.Type)
	return p
}

func TestFollowAttempt(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	stream := open(t, s, user, attempt.ID, "")
	first := stream.next()
	require.Equal(t, attempt, first.attempt)

	resumed := open(t, s, user, attempt.ID, first.id)
	stranger := open(t, s, user, attempt.ID, "of-another-life")
	require.Equal(t, first, stranger.next())

	// Another process decides it.
	worker := apptest.StartWorker(t, s.Config)
	second := stream.next()
	require.Equal(t, api.AttemptStatusSucceeded, second.attempt.Status)
	stream.ends()
	require.Equal(t, second, resumed.next(), "what is known already is not sent again")
	resumed.ends()
	worker.Stop()

	got, err := user.GetAttemptWithResponse(context.Background(), attempt.ID, nil)
	require.NoError(t, err)
	require.Equal(t, *got.JSON200, second.attempt)
	require.Regexp(t, `^"`+second.id+`\.\w+"$`, got.HTTPResponse.Header.Get("ETag"), "with the hour of the photo's signed address")

	late := open(t, s, user, attempt.ID, first.id)
	require.Equal(t, second, late.next())
	late.ends()
	late = open(t, s, user, attempt.ID, "")
	require.Equal(t, second, late.next())
	late.ends()
	nothing := follow(t, s.URL, user, http.MethodGet, attempt.ID, second.id)
	require.Equal(t, http.StatusNoContent, nothing.response.StatusCode)
}

func TestFollowAttemptIsForThoseWhoMaySeeIt(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	follow(t, s.URL, s.User(), http.MethodGet, attempt.ID, "").refused(http.StatusNotFound, "not_found")
	follow(t, s.URL, user, http.MethodGet, uuid.New(), "").refused(http.StatusNotFound, "not_found")
	follow(t, s.URL, s.Anonymous(), http.MethodGet, attempt.ID, "").refused(http.StatusUnauthorized, "unauthenticated")
	require.Equal(t, attempt, open(t, s, s.As("moderator"), attempt.ID, "").next().attempt)

	head := follow(t, s.URL, user, http.MethodHead, attempt.ID, "")
	require.Equal(t, http.StatusOK, head.response.StatusCode)
	require.Equal(t, "text/event-stream", head.response.Header.Get("Content-Type"))
	require.Eventually(t, func() bool { return s.Followers.Open() == 1 }, time.Minute, time.Millisecond)
}

func TestFollowAttemptIsTold(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t, apptest.WithEvents(100, time.Hour))
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	stream := open(t, s, user, attempt.ID, "")
	stream.next()
	// The connection on which the news comes is opened for the first.
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
	// Nobody looks for what changes and stays pending: only news can bring it.
	change(t, s, attempt.ID)
	require.Equal(t, api.AttemptStatusPending, stream.next().attempt.Status)

	// A decision is news.
	hearing, err := s.Store.Pool.Acquire(ctx)
	require.NoError(t, err)
	defer hearing.Release()
	_, err = hearing.Exec(ctx, "LISTEN picaspot_attempts")
	require.NoError(t, err)
	require.NoError(t, hearing.Ping(ctx), "it is no listener of the process's")
	require.NoError(t, s.Unlocks.Decide(ctx, attempt.ID))
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	news, err := hearing.Conn().WaitForNotification(wait)
	require.NoError(t, err)
	require.Equal(t, attempt.ID.String(), news.Payload)
	require.NotEqual(t, api.AttemptStatusPending, stream.next().attempt.Status)
	stream.ends()

	// News is lost, and so is the connection.
	user = s.User()
	attempt = pendingAttempt(t, s, user)
	stream = open(t, s, user, attempt.ID, "")
	stream.next()
	require.Equal(t, 1, listeners(t, s, true))
	_, err = s.Store.Pool.Exec(ctx, "UPDATE attempts SET status = 'needs_review', updated_at = now() WHERE id = $1", attempt.ID)
	require.NoError(t, err)
	require.Equal(t, api.AttemptStatusNeedsReview, stream.next().attempt.Status)
	stream.ends()
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
}

// listeners ends those who wait for news of this database's attempts, if they are to
// end, and tells how many there were.
func listeners(t *testing.T, s *apptest.Server, end bool) int {
	t.Helper()
	count := 0
	require.NoError(t, s.Store.Pool.QueryRow(context.Background(), `
		SELECT count(CASE WHEN $1 THEN pg_terminate_backend(pid) ELSE true END)
		FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN picaspot_attempts' AND state = 'idle'`, end).Scan(&count))
	return count
}

// change makes another version of an attempt, and tells those who follow it.
func change(t *testing.T, s *apptest.Server, attempt uuid.UUID) {
	t.Helper()
	_, err := s.Store.Pool.Exec(context.Background(),
		"WITH changed AS (UPDATE attempts SET updated_at = now() WHERE id = $1) SELECT pg_notify('picaspot_attempts', $1::text)", attempt)
	require.NoError(t, err)
}

func TestFollowAttemptEndsWithTheSession(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t, apptest.WithEvents(100, 100*time.Millisecond))
	for name, end := range map[string]func(t *testing.T, user *apptest.Client){
		"logout": func(t *testing.T, user *apptest.Client) {
			answer, err := user.LogoutWithResponse(ctx)
			require.NoError(t, err)
			require.Equal(t, http.StatusNoContent, answer.StatusCode(), string(answer.Body))
		},
		"suspension": func(t *testing.T, user *apptest.Client) {
			suspended := api.UserStatusSuspended
			answer, err := s.As("admin").UpdateUserWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, user.ID, nil, api.AdminUserUpdate{Status: &suspended})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, answer.StatusCode(), string(answer.Body))
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := s.User()
			attempt := pendingAttempt(t, s, user)
			stream := open(t, s, user, attempt.ID, "")
			id := stream.next().id
			require.Equal(t, ":", stream.block(), "it says that it goes on")
			require.Equal(t, ":", stream.block())
			end(t, user)
			stream.ends()
			follow(t, s.URL, user, http.MethodGet, attempt.ID, id).refused(http.StatusUnauthorized, "session_ended")
		})
	}
}

func TestFollowAttemptHasLimits(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithEvents(unlock.MaxFollowed+1, 15*time.Second))
	user, other := s.User(), s.User()
	attempt, others := pendingAttempt(t, s, user), pendingAttempt(t, s, other)
	var streams []*events
	for range unlock.MaxFollowed {
		streams = append(streams, open(t, s, user, attempt.ID, ""))
	}
	many := follow(t, s.URL, user, http.MethodGet, attempt.ID, "")
	many.refused(http.StatusTooManyRequests, "too_many_streams")
	require.Equal(t, "10", many.response.Header.Get("Retry-After"))
	open(t, s, other, others.ID, "")
	full := follow(t, s.URL, s.As("moderator"), http.MethodGet, attempt.ID, "")
	full.refused(http.StatusServiceUnavailable, "busy")
	require.NotEmpty(t, full.response.Header.Get("Retry-After"))

	streams[0].leave()
	require.Eventually(t, func() bool { return s.Followers.Open() == unlock.MaxFollowed }, time.Minute, time.Millisecond)
	open(t, s, user, attempt.ID, "")
}

func TestFollowAttemptLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t, apptest.WithEvents(1000, 15*time.Second))
	const n = 50
	attempts, users := make([]api.Attempt, n/unlock.MaxFollowed), make([]*apptest.Client, n/unlock.MaxFollowed)
	for i := range attempts {
		users[i] = s.User()
		attempts[i] = pendingAttempt(t, s, users[i])
	}
	handlers := func() int {
		stacks := make([]byte, 16<<20)
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "VisitFollowAttemptResponse(")
	}
	begun := make([]*events, n)
	for i := range begun {
		begun[i] = open(t, s, users[i%len(users)], attempts[i%len(users)].ID, "")
		begun[i].next()
	}
	require.Equal(t, n, s.Followers.Open())
	require.GreaterOrEqual(t, handlers(), n)
	require.Eventually(t, func() bool { return s.Store.Pool.Stat().AcquiredConns() == 0 }, time.Minute, time.Millisecond, "nobody holds a connection while they wait")
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)
	for range 20 { // All share one, which stays the only one.
		require.Equal(t, 1, listeners(t, s, false))
	}
	for _, stream := range begun {
		stream.leave()
	}
	require.Eventually(t, func() bool { return s.Followers.Open() == 0 }, time.Minute, time.Millisecond)
}

func TestFollowAttemptOutlastsTheDeadlinesOfARequest(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	const deadline = 300 * time.Millisecond
	hasty := httptest.NewUnstartedServer(s.Handler)
	hasty.Config.ReadTimeout, hasty.Config.WriteTimeout = deadline, deadline
	hasty.Start()
	defer hasty.Close()
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	stream := follow(t, hasty.URL, user, http.MethodGet, attempt.ID, "")
	require.Equal(t, "retry: 1000", stream.block())
	stream.next()
	time.Sleep(3 * deadline)
	require.NoError(t, s.Unlocks.Decide(context.Background(), attempt.ID))
	stream.next()
	stream.ends()
}

func TestFollowAttemptEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s := apptest.NewWithoutWorkers(t)
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	process := apptest.Start(t, s.Config, "serve")
	stream := follow(t, process.URL, user, http.MethodGet, attempt.ID, "")
	require.Equal(t, "retry: 1000", stream.block())
	last := stream.next()
	process.Stop()
	stream.ends()

	// Another replica goes on where it stopped.
	resumed := open(t, s, user, attempt.ID, last.id)
	require.NoError(t, s.Unlocks.Decide(context.Background(), attempt.ID))
	require.NotEqual(t, api.AttemptStatusPending, resumed.next().attempt.Status)
	resumed.ends()
}

// What operators see of streams: they are counted while they are open, whatever ends them.
func TestFollowAttemptIsMeasured(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	s := apptest.NewWithoutWorkers(t, apptest.WithEvents(100, 100*time.Millisecond), func(c *config.Config) { c.OpsAddr = testenv.FreeAddr(t) })
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, app.Roles{Ready: func() { close(ready) }}) }()
	<-ready
	defer func() {
		cancel()
		require.NoError(t, <-done)
	}()
	metric := func() string {
		response, err := http.Get("http://" + s.Config.OpsAddr + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		_, value, ok := strings.Cut(string(body), "\npicaspot_event_streams ")
		require.True(t, ok)
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	becomes := func(want string) {
		t.Helper()
		require.Eventually(t, func() bool { return metric() == want }, time.Minute, 5*time.Millisecond, "%s, not %s", metric(), want)
	}
	require.Equal(t, "0", metric())
	user, other := s.User(), s.User()
	attempt, others := pendingAttempt(t, s, user), pendingAttempt(t, s, other)
	leaving, decided, loggedOut := open(t, s, user, attempt.ID, ""), open(t, s, user, attempt.ID, ""), open(t, s, other, others.ID, "")
	require.Equal(t, "3", metric())

	// What is no stream does not count.
	follow(t, s.URL, other, http.MethodGet, attempt.ID, "").refused(http.StatusNotFound, "not_found")
	require.Equal(t, http.StatusOK, follow(t, s.URL, user, http.MethodHead, attempt.ID, "").response.StatusCode)
	becomes("3")

	leaving.leave()
	becomes("2")
	answer, err := other.LogoutWithResponse(ctx)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, answer.StatusCode(), string(answer.Body))
	loggedOut.next()
	loggedOut.ends()
	becomes("1")
	decided.next()
	require.NoError(t, s.Unlocks.Decide(ctx, attempt.ID))
	last := decided.next()
	decided.ends()
	becomes("0")
	require.Equal(t, http.StatusNoContent, follow(t, s.URL, user, http.MethodGet, attempt.ID, last.id).response.StatusCode)
	becomes("0")
}
