package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/apptest"
)

// A client that follows and does not read is let go, once what is sent to it fits
// nowhere any more. Until then it holds up nobody else, and nothing is kept for it.
func TestFollowAttemptLetsGoOfWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := apptest.NewWithoutWorkers(t)
	server := httptest.NewUnstartedServer(s.Handler)
	listener := &narrowListener{Listener: server.Listener, accepted: make(chan *narrowConn, 1)}
	server.Listener = listener
	server.Start()
	defer server.Close()
	user := s.User()
	attempt := pendingAttempt(t, s, user)
	reader := open(t, s, user, attempt.ID, "")
	reader.next()

	mute, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer mute.Close()
	require.NoError(t, mute.(*net.TCPConn).SetReadBuffer(narrow))
	_, err = fmt.Fprintf(mute, "GET /api/v1/attempts/%s/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		attempt.ID, strings.TrimPrefix(s.URL, "http://"), user.Token)
	require.NoError(t, err)
	served := <-listener.accepted
	require.Eventually(t, func() bool { return s.Followers.Open() == 2 }, time.Minute, time.Millisecond)
	// Changes of one that is still pending are looked for by nobody, should they come
	// before the process listens.
	require.Eventually(t, func() bool { return listeners(t, s, false) == 1 }, time.Minute, time.Millisecond)

	// Each change is told to the one who reads before the next is made.
	tell := func() {
		change(t, s, attempt.ID)
		reader.next()
	}
	began, told, beside := time.Now(), 0, 0
	for ; !served.isClosed.Load(); told++ {
		before := served.stuck.Load()
		tell()
		if before != 0 && before == served.stuck.Load() {
			beside++
		}
	}
	t.Logf("it is let go after %s: %d changes were told, %d of them while it was waited for", time.Since(began), told, beside)
	require.Positive(t, beside, "who does not read holds up who does")
	require.Eventually(t, func() bool { return s.Followers.Open() == 1 }, time.Minute, time.Millisecond)
	tell()
	require.NoError(t, s.Unlocks.Decide(ctx, attempt.ID))
	require.NotEqual(t, api.AttemptStatusPending, reader.next().attempt.Status)
	reader.ends()
	unread, _ := io.Copy(io.Discard, mute)
	t.Logf("%d bytes were on their way to it", unread)
	require.Less(t, unread, int64(64<<10))
}

// narrow is as much as is on its way to a client of a [narrowListener], in bytes. The
// system makes what it likes of it.
const narrow = 4 << 10

// narrowListener has connections that take little ahead of their client, and tells
// of the first.
type narrowListener struct {
	net.Listener

	accepted chan *narrowConn
}

func (l *narrowListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	served := &narrowConn{Conn: conn}
	select {
	case l.accepted <- served:
	default:
	}
	return served, conn.(*net.TCPConn).SetWriteBuffer(narrow)
}

type narrowConn struct {
	net.Conn

	writes   atomic.Int64
	stuck    atomic.Int64 // Which write is under way, counted from 1; 0 for none.
	isClosed atomic.Bool
}

func (c *narrowConn) Write(p []byte) (int, error) {
	c.stuck.Store(c.writes.Add(1))
	defer c.stuck.Store(0)
	return c.Conn.Write(p)
}

func (c *narrowConn) Close() error {
	c.isClosed.Store(true)
	return c.Conn.Close()
}
