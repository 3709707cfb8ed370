package totp_test

import (
	"encoding/base32"
	"math"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/totp"
)

// rfcSecret is that of RFC 6238, appendix B, for SHA-1.
var rfcSecret = base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))

func codeOf(t testing.TB, secret string, step int64) string {
	t.Helper()
	code, err := hotp.GenerateCode(secret, uint64(step))
	require.NoError(t, err)
	return code
}

// RFC 6238, appendix B: the last six of its eight digits.
func TestVerifyRFC6238(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   int64
		step int64
		code string
	}{
		{59, 0x1, "94287082"},
		{1111111109, 0x23523EC, "07081804"},
		{1111111111, 0x23523ED, "14050471"},
		{1234567890, 0x273EF07, "89005924"},
		{2000000000, 0x3F940AA, "69279037"},
		{20000000000, 0x27BC86AA, "65353130"},
	} {
		step, ok := totp.Verify(rfcSecret, c.code[2:], time.Unix(c.at, 0), 0)
		require.True(t, ok, c.at)
		require.Equal(t, c.step, step)
	}
}

func TestVerifyWindow(t *testing.T) {
	t.Parallel()
	const current = 58_000_000
	for offset := int64(-5); offset <= 5; offset++ {
		for _, second := range []int64{0, 15, 29} {
			step, ok := totp.Verify(rfcSecret, codeOf(t, rfcSecret, current+offset), time.Unix(current*30+second, 999), 0)
			if offset < -1 || offset > 1 {
				require.False(t, ok, "%d steps off", offset)
				require.Zero(t, step)
				continue
			}
			require.True(t, ok, "%d steps off", offset)
			require.Equal(t, current+offset, step)
		}
	}
}

func TestVerifyTakesEachCodeOnce(t *testing.T) {
	t.Parallel()
	const current = 58_000_000
	now := time.Unix(current*30, 0)
	code := codeOf(t, rfcSecret, current)
	step, ok := totp.Verify(rfcSecret, code, now, current-1)
	require.True(t, ok)
	_, ok = totp.Verify(rfcSecret, code, now, step)
	require.False(t, ok, "again")
	_, ok = totp.Verify(rfcSecret, code, now.Add(30*time.Second), step)
	require.False(t, ok, "again, a step later")
	_, ok = totp.Verify(rfcSecret, codeOf(t, rfcSecret, current-1), now, step)
	require.False(t, ok, "the one before it")
	next, ok := totp.Verify(rfcSecret, codeOf(t, rfcSecret, current+1), now, step)
	require.True(t, ok, "the one after it")
	require.Equal(t, step+1, next)
}

// Two steps of one window that have the same code: were the earlier one
// returned, the code would work a second time as that of the later one.
func TestVerifyCollision(t *testing.T) {
	t.Parallel()
	const step = 910738 // The first that has the code of the one before it.
	code := codeOf(t, rfcSecret, step)
	require.Equal(t, code, codeOf(t, rfcSecret, step-1))
	for offset := int64(-1); offset <= 0; offset++ {
		now := time.Unix((step+offset)*30, 0)
		got, ok := totp.Verify(rfcSecret, code, now, 0)
		require.True(t, ok)
		require.EqualValues(t, step, got)
		_, ok = totp.Verify(rfcSecret, code, now, got)
		require.False(t, ok)
	}
}

func TestVerifySpelling(t *testing.T) {
	t.Parallel()
	now := time.Unix(1111111109, 0) // The code is 081804.
	for _, code := range []string{"081804", "081 804", "081-804", " 081804\r\n", "0 8 1 8 0 4", "\u00a0081\u202f804\t"} {
		_, ok := totp.Verify(rfcSecret, code, now, 0)
		require.True(t, ok, "%q", code)
	}
	for _, code := range []string{
		"", "      ", "81804", "0081804", "081804081804", "+81804", "-81804", "08180a", "0818.4", "07081804",
		"０８１８０４", "٠٨١٨٠٤", "08180４", "081804\x00", "\x80\x80\x80\x80\x80\x80", "081\u200b804", "081–804",
		"081804" + strings.Repeat(" ", 100),
	} {
		_, ok := totp.Verify(rfcSecret, code, now, 0)
		require.False(t, ok, "%q", code)
	}
}

func TestVerifyRefusesOtherSecrets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1111111109, 0)
	raw := []byte("12345678901234567890")
	for _, secret := range []string{
		"", "=", strings.Repeat(" ", 32), strings.Repeat("\n", 32), "nonsense!", strings.Repeat("1", 32), rfcSecret + "=",
		base32.StdEncoding.EncodeToString(raw[:10]), rfcSecret[1:], rfcSecret + "A", rfcSecret + rfcSecret,
	} {
		// The code of whatever key the library makes of it.
		code, err := hotp.GenerateCode(secret, uint64(now.Unix()/30))
		if err != nil {
			code = "081804"
		}
		_, ok := totp.Verify(secret, code, now, 0)
		require.False(t, ok, "%q", secret)
	}
}

func TestVerifyAtTheEndsOfTime(t *testing.T) {
	t.Parallel()
	_, ok := totp.Verify(rfcSecret, codeOf(t, rfcSecret, 0), time.Unix(0, 0), -1)
	require.True(t, ok)
	_, ok = totp.Verify(rfcSecret, codeOf(t, rfcSecret, 0), time.Unix(0, 0), 0)
	require.False(t, ok)
	for _, now := range []time.Time{{}, time.Unix(-1, 0), time.Unix(math.MinInt64, 0)} {
		_, ok := totp.Verify(rfcSecret, codeOf(t, rfcSecret, now.Unix()/30), now, math.MinInt64)
		require.False(t, ok, now)
	}
	step, ok := totp.Verify(rfcSecret, codeOf(t, rfcSecret, math.MaxInt64/30), time.Unix(math.MaxInt64, 0), 0)
	require.True(t, ok)
	require.EqualValues(t, math.MaxInt64/30, step)
}

func TestVerifyProperties(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		secret, now := totp.NewSecret(), time.Unix(random.Int64N(1<<40), random.Int64N(1e9))
		current := now.Unix() / 30
		want := max(0, current+random.Int64N(7)-3)
		after := current + random.Int64N(7) - 3
		step, ok := totp.Verify(secret, codeOf(t, secret, want), now, after)
		if want > after && want >= current-1 && want <= current+1 {
			require.True(t, ok, "%s at %d, step %d, after %d", secret, now.Unix(), want, after)
		}
		if ok { // Now and then by chance, for another step than was meant.
			require.Greater(t, step, after)
			require.InDelta(t, current, step, 1)
			require.Equal(t, codeOf(t, secret, want), codeOf(t, secret, step))
		} else {
			require.Zero(t, step)
		}
	}
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		secret := totp.NewSecret()
		require.Regexp(t, `^[A-Z2-7]{32}$`, secret)
		require.False(t, seen[secret])
		seen[secret] = true
	}
}

func TestURI(t *testing.T) {
	t.Parallel()
	require.Equal(t,
		"otpauth://totp/PicASpot:ada?secret="+rfcSecret+"&issuer=PicASpot&algorithm=SHA1&digits=6&period=30",
		totp.URI("PicASpot", "ada", rfcSecret))
	require.Equal(t,
		"otpauth://totp/Pic%20A%20Spot:ada%2Btag%40example.org?secret="+rfcSecret+"&issuer=Pic%20A%20Spot&algorithm=SHA1&digits=6&period=30",
		totp.URI("Pic A Spot", "ada+tag@example.org", rfcSecret))

	for _, c := range []struct{ issuer, account, wantIssuer, wantAccount string }{
		{"PicASpot", "ada@example.org", "", ""},
		{"Pic A Spot", "Ada Lovelace", "", ""},
		{"Blick & Punkt", "a/b?c#d%20&secret=x+y=z", "", ""},
		{"Größe", "Ünal 李 🗺", "", ""},
		{"PicASpot: staging", "http://ada:x@y", "PicASpot- staging", "http-//ada-x@y"},
		{"PicASpot", "\xffada", "", "\uFFFDada"},
		{"../..", "\r\n\"<script>", "", ""},
	} {
		if c.wantIssuer == "" {
			c.wantIssuer = c.issuer
		}
		if c.wantAccount == "" {
			c.wantAccount = c.account
		}
		uri := totp.URI(c.issuer, c.account, rfcSecret)
		require.Regexp(t, `^[!-~]+$`, uri, "printable ASCII without spaces")
		parsed, err := url.Parse(uri)
		require.NoError(t, err)
		require.Equal(t, "/"+c.wantIssuer+":"+c.wantAccount, parsed.Path)
		require.Empty(t, parsed.Fragment)
		query, err := url.ParseQuery(parsed.RawQuery)
		require.NoError(t, err)
		require.Equal(t, url.Values{
			"secret": {rfcSecret}, "issuer": {c.wantIssuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"},
		}, query)

		key, err := otp.NewKeyFromURL(uri)
		require.NoError(t, err)
		require.Equal(t, "totp", key.Type())
		require.Equal(t, c.wantIssuer, key.Issuer())
		require.Equal(t, c.wantAccount, key.AccountName())
		require.Equal(t, rfcSecret, key.Secret())
		require.EqualValues(t, 30, key.Period())
		require.Equal(t, otp.DigitsSix, key.Digits())
		require.Equal(t, otp.AlgorithmSHA1, key.Algorithm())
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(rfcSecret, "081804", int64(1111111109), int64(0))
	f.Add(rfcSecret, "081 - 804", int64(1111111109), int64(37037035))
	f.Add("", "328482", int64(0), int64(-1))
	f.Add(rfcSecret, "０８１８０４", int64(math.MaxInt64), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, secret, code string, seconds, after int64) {
		step, ok := totp.Verify(secret, code, time.Unix(seconds, 0), after)
		if !ok {
			require.Zero(t, step)
			return
		}
		require.Greater(t, step, after)
		require.GreaterOrEqual(t, step, max(0, seconds/30-1))
		require.LessOrEqual(t, step, seconds/30+1)
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, code)
		require.Equal(t, codeOf(t, secret, step), digits)
		require.False(t, totp.IsRecoveryCode(code))
		again, ok := totp.Verify(secret, code, time.Unix(seconds, 0), step)
		require.False(t, ok, "taken again as step %d", again)
	})
}
