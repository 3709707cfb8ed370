package password

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/fault"
)

func TestHashAndVerify(t *testing.T) {
	t.Parallel()
	h := NewHasher(0)
	hash, err := h.Hash(t.Context(), "correct horse battery staple")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=7168,t=5,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, hash)

	again, err := h.Hash(t.Context(), "correct horse battery staple")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "each with a salt of its own")

	for plain, want := range map[string]bool{
		"correct horse battery staple":  true,
		"correct horse battery staple ": false,
		"Correct horse battery staple":  false,
		"":                              false,
		"\xff":                          false,
		strings.Repeat("x", 1<<20):      false,
	} {
		ok, needsRehash, err := h.Verify(t.Context(), hash, plain)
		require.NoError(t, err)
		require.Equal(t, want, ok, "%.40q", plain)
		require.False(t, needsRehash)
	}
}

func TestVerifyKnowsOtherParameters(t *testing.T) {
	t.Parallel()
	// The reference implementation's own vectors (phc-winner-argon2, test.c).
	for name, hash := range map[string]string{
		"m=256, t=2, p=1": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"m=256, t=2, p=2": "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
	} {
		ok, needsRehash, err := NewHasher(1).Verify(t.Context(), hash, "password")
		require.NoError(t, err, name)
		require.True(t, ok, name)
		require.True(t, needsRehash, name)

		ok, needsRehash, err = NewHasher(1).Verify(t.Context(), hash, "passwore")
		require.NoError(t, err, name)
		require.False(t, ok, name)
		require.False(t, needsRehash, "a wrong password is no reason to write")
	}
}

func TestPasswordIsTheSameOnEveryKeyboard(t *testing.T) {
	t.Parallel()
	h := NewHasher(1)
	hash, err := h.Hash(t.Context(), "Zu\u0308rich Ｆahrrad ﬁn")
	require.NoError(t, err)
	ok, _, err := h.Verify(t.Context(), hash, "Z\u00fcrich Fahrrad fin")
	require.NoError(t, err)
	require.True(t, ok)
}

func TestHashRefusesWhatVerifyWouldNotTake(t *testing.T) {
	t.Parallel()
	h := NewHasher(1)
	for _, plain := range []string{
		strings.Repeat("x", maxRaw+1),
		strings.Repeat("\ufdfa", MaxLength), // 18 characters each under NFKC
		"caf\xe9 latte",
	} {
		_, err := h.Hash(t.Context(), plain)
		require.Error(t, err)
	}
	_, err := h.Hash(t.Context(), strings.Repeat("𝔘", MaxLength))
	require.NoError(t, err)
}

func TestVerifyRefusesAbsurdHashes(t *testing.T) {
	t.Parallel()
	const (
		salt   = "c29tZXNhbHQ"
		digest = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	)
	for name, hash := range map[string]string{
		"empty":              "",
		"plain text":         "correct horse battery staple",
		"bcrypt":             "$2b$12$abcdefghijklmnopqrstuuJ1XFv1V2y5u3nO0Xn9V3mC7eWc8d0e",
		"argon2i":            "$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + digest,
		"version 16":         "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + digest,
		"4 TiB":              "$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + digest,
		"129 MiB":            "$argon2id$v=19$m=132096,t=2,p=1$" + salt + "$" + digest,
		"more than 32 bits":  "$argon2id$v=19$m=99999999999999999999,t=2,p=1$" + salt + "$" + digest,
		"a billion passes":   "$argon2id$v=19$m=256,t=1000000000,p=1$" + salt + "$" + digest,
		"no passes":          "$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + digest,
		"no lanes":           "$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + digest,
		"257 lanes":          "$argon2id$v=19$m=65536,t=2,p=257$" + salt + "$" + digest,
		"memory below lanes": "$argon2id$v=19$m=15,t=2,p=2$" + salt + "$" + digest,
		"negative":           "$argon2id$v=19$m=-256,t=2,p=1$" + salt + "$" + digest,
		"signed":             "$argon2id$v=19$m=+256,t=2,p=1$" + salt + "$" + digest,
		"leading zero":       "$argon2id$v=19$m=0256,t=2,p=1$" + salt + "$" + digest,
		"other order":        "$argon2id$v=19$t=2,m=256,p=1$" + salt + "$" + digest,
		"a parameter more":   "$argon2id$v=19$m=256,t=2,p=1,data=x$" + salt + "$" + digest,
		"a part more":        "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + digest + "$",
		"a part less":        "$argon2id$v=19$m=256,t=2,p=1$" + salt,
		"short salt":         "$argon2id$v=19$m=256,t=2,p=1$c29t$" + digest,
		"salt not base64":    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ=$" + digest,
		"short digest":       "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$nf65EOg",
		"empty digest":       "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$",
		"stray bits":         "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHR$" + digest,
		"long":               "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + strings.Repeat("A", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := NewHasher(1).Verify(t.Context(), hash, "password")
			require.Error(t, err)
			require.Equal(t, fault.Internal, fault.KindOf(err), "a damaged row is our fault, not the user's")
		})
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	h := NewHasher(1)
	hash, err := h.Hash(t.Context(), "correct horse battery staple")
	require.NoError(t, err)
	require.NoError(t, h.slots.Acquire(t.Context(), 1), "somebody else is hashing")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	full := NewHasher(1)
	full.queue = 0
	require.NoError(t, full.slots.Acquire(t.Context(), 1))

	for name, c := range map[string]struct {
		*Hasher
		ctx context.Context
	}{
		"the caller is gone":     {h, gone},
		"no slot in time":        {h, late},
		"no room in the queue":   {full, t.Context()},
		"gone, with a slot free": {NewHasher(1), gone},
	} {
		_, err := c.Hash(c.ctx, "correct horse battery staple")
		require.ErrorIs(t, err, ErrBusy, name)
		_, _, err = c.Verify(c.ctx, hash, "correct horse battery staple")
		require.ErrorIs(t, err, ErrBusy, name)
		require.ErrorIs(t, c.VerifyDummy(c.ctx, "correct horse battery staple"), ErrBusy, name)
	}
	require.Equal(t, fault.Unavailable, fault.KindOf(ErrBusy))
	require.Zero(t, h.waiting.Load())

	h.slots.Release(1)
	require.NoError(t, h.VerifyDummy(t.Context(), "x"), "and then there is room again")
}

func TestWaitingIsServed(t *testing.T) {
	t.Parallel()
	h := NewHasher(1)
	errs := make([]error, 6)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = h.VerifyDummy(t.Context(), "correct horse battery staple") })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.True(t, h.slots.TryAcquire(1), "each slot was given back")
}

// TestDummyCostsTheSame looks at the memory that is filled, which is what
// Argon2id costs, and not at a clock. It runs alone, as the figure is the process's.
func TestDummyCostsTheSame(t *testing.T) {
	h := NewHasher(1)
	hash, err := h.Hash(t.Context(), "correct horse battery staple")
	require.NoError(t, err)
	filled := func(run func() error) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, run())
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	known := filled(func() error { _, _, err := h.Verify(t.Context(), hash, "wrong"); return err })
	require.Greater(t, known, uint64(memoryKiB<<10))
	require.InEpsilon(t, known, filled(func() error { return h.VerifyDummy(t.Context(), "wrong") }), 0.05)
	require.InEpsilon(t, known, filled(func() error { _, _, err := h.Verify(t.Context(), hash, "\xff"); return err }), 0.05)
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("$argon2id$v=19$m=7168,t=5,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, encoded string) {
		p, err := parsePHC(encoded)
		if err != nil {
			return
		}
		require.Equal(t, encoded, p.String())
		require.LessOrEqual(t, p.memory, uint32(maxMemoryKiB))
		require.LessOrEqual(t, p.passes, uint32(maxPasses))
	})
}

func BenchmarkVerify(b *testing.B) {
	h := NewHasher(0)
	hash, err := h.Hash(b.Context(), "correct horse battery staple")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), hash, "correct horse battery staple"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
