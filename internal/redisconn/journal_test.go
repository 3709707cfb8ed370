package redisconn_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/testenv"
)

// look reads the journal.
func look(t *testing.T, c *redisconn.Conn) redisconn.Mark {
	t.Helper()
	require.NoError(t, c.Together(nil))
	return c.Mark()
}

func TestJournalTellsWhatHasChanged(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"redis": testenv.Redis(t), "that of make run": "redis://" + miniredis.RunT(t).Addr()} {
		t.Run(name, func(t *testing.T) { testJournal(t, url) })
	}
}

func testJournal(t *testing.T, url string) {
	t.Helper()
	a, b := open(t, url), open(t, url)
	require.False(t, a.Unchanged(redisconn.Mark{}, "x"), "nothing is known before the first look")
	mark := look(t, a)
	require.True(t, a.Unchanged(mark, "x"))
	require.NoError(t, b.Note(t.Context(), "x", "y"))
	require.True(t, a.Unchanged(mark, "x"), "not read yet")
	behind := look(t, a)
	require.False(t, a.Unchanged(mark, "x"))
	require.False(t, a.Unchanged(mark, "y"))
	require.True(t, a.Unchanged(behind, "x"))
	mark = look(t, a)
	require.NoError(t, b.Note(t.Context(), "z"))
	look(t, a)
	require.True(t, a.Unchanged(mark, "x"), "another one")
	require.False(t, a.Unchanged(mark, "z"))

	pipe := b.Pipeline()
	b.QueueNote(t.Context(), pipe, "x")
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	look(t, a)
	require.False(t, a.Unchanged(mark, "x"))
}

func TestJournalThatIsNotTheSame(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := open(t, s.url()), open(t, s.url())
	note := func(words int) {
		for n := range words {
			require.NoError(t, b.Note(t.Context(), "other"+strconv.Itoa(n)))
		}
	}
	look(t, a) // There is no journal yet.
	note(3)
	for name, happens := range map[string]func(){
		"lost":                      func() { require.NoError(t, b.FlushAll(t.Context()).Err()) },
		"lost, and begun again":     func() { require.NoError(t, b.FlushAll(t.Context()).Err()); note(2) },
		"lost its entries":          func() { note(1); require.NoError(t, b.Del(t.Context(), "{journal}:stream").Err()); note(1) },
		"lost its number":           func() { require.NoError(t, b.Del(t.Context(), "{journal}:number").Err()); note(1) },
		"set back":                  func() { require.NoError(t, b.DecrBy(t.Context(), "{journal}:number", 2).Err()) },
		"further than what is read": func() { note(600) },
	} {
		note(1)
		mark := look(t, a)
		require.True(t, a.Unchanged(mark, "x"), name)
		happens()
		look(t, a)
		require.False(t, a.Unchanged(mark, "x"), "%s: nothing is known any more", name)
		mark = look(t, a)
		require.True(t, a.Unchanged(mark, "x"), name)
		note(1)
		require.NoError(t, b.Note(t.Context(), "x"), name)
		look(t, a)
		require.False(t, a.Unchanged(mark, "x"), name)
	}
	s.stop()
	require.Error(t, a.Together(nil))
}

// Many write and look at once: who has noted a word never finds it unchanged since a
// mark from before, wherever it looks.
func TestNoNoteIsMissed(t *testing.T) {
	t.Parallel()
	url := testenv.Redis(t)
	replicas := []*redisconn.Conn{open(t, url), open(t, url)}
	var wg sync.WaitGroup
	var missed, kept atomic.Int64
	for n := range 16 {
		mine, other := replicas[n%2], replicas[(n+1)%2]
		own, untouched := "w"+strconv.Itoa(n), "u"+strconv.Itoa(n)
		wg.Go(func() {
			for range 200 {
				if mine.Together(nil) != nil {
					continue
				}
				mark := mine.Mark()
				if other.Note(t.Context(), own) != nil || mine.Together(nil) != nil {
					continue
				}
				if mine.Unchanged(mark, own) {
					missed.Add(1)
				}
				if mine.Unchanged(mark, untouched) {
					kept.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.Zero(t, missed.Load())
	require.Greater(t, kept.Load(), int64(3000), "what nobody noted is known")
}
