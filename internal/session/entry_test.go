package session

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]entry{
		"17 -":                    {at: 17},
		"17 1700000000 1 admin":   {at: 17, alive: true, State: State{"admin", true, time.Unix(1700000000, 0)}},
		"17 1700000000 0 a b":     {at: 17, alive: true, State: State{"a b", false, time.Unix(1700000000, 0)}},
		"-5 1700000000 0 user":    {at: -5, alive: true, State: State{"user", false, time.Unix(1700000000, 0)}},
		"17 1700000000 yes admin": {at: 17, alive: true, State: State{"admin", false, time.Unix(1700000000, 0)}},
	} {
		got, ok := parse(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", " ", "-", "x -", "17", "17 ", "17 x 1 admin", "17 1700000000", "17 1700000000 1", "99999999999999999999 -"} {
		_, ok := parse(text)
		require.False(t, ok, text)
	}
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		at         int64
		mark       string
		distrusted time.Time
		counts     bool
	}{
		"never changed":                 {100, "", time.Time{}, true},
		"written before the mark ended": {99, "100", time.Time{}, false},
		"as it ended":                   {100, "100", time.Time{}, false},
		"after it":                      {101, "100", time.Time{}, true},
		"a mark that nobody wrote":      {101, "soon", time.Time{}, false},
		"written before an outage":      {99, "", time.UnixMicro(100), false},
		"as it ended with it":           {100, "", time.UnixMicro(100), false},
		"after the outage":              {101, "", time.UnixMicro(100), true},
		"after it, but marked":          {101, "101", time.UnixMicro(100), false},
	} {
		require.Equal(t, test.counts, entry{at: test.at}.counts(test.mark, test.distrusted), name)
	}
}

// The keys of one user share a slot of a cluster.
func TestKeys(t *testing.T) {
	t.Parallel()
	user, session := uuid.MustParse("01932c06-61f0-7c64-9c30-0e7a54ad5d10"), uuid.MustParse("01932c06-61f0-7c64-9c30-0e7a54ad5d11")
	require.Equal(t, "auth:{01932c0661f07c649c300e7a54ad5d10}:changed", markKey(user))
	require.Equal(t, "auth:{01932c0661f07c649c300e7a54ad5d10}:01932c0661f07c649c300e7a54ad5d11", entryKey(user, session))
}

func FuzzParse(f *testing.F) {
	f.Add("17 -")
	f.Add("17 1700000000 1 admin")
	f.Add("17 1700000000 0 ")
	f.Add("- - - -")
	f.Fuzz(func(t *testing.T, text string) {
		e, ok := parse(text)
		if !ok {
			require.Zero(t, e)
			return
		}
		_ = e.counts(text, time.UnixMicro(e.at))
		rest := ended
		if e.alive {
			rest = e.text()
		}
		again, ok := parse(strconv.FormatInt(e.at, 10) + " " + rest)
		require.True(t, ok)
		require.Equal(t, e, again)
	})
}
