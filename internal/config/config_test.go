package config_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/picaspot/picaspot/internal/config"
)

// working is a configuration of the defaults, with what has none.
func working(t *testing.T) config.Config {
	t.Helper()
	var c config.Config
	parser, err := kong.New(&c)
	require.NoError(t, err)
	_, err = parser.Parse([]string{
		"--database-url=postgres://picaspot:pass@127.0.0.1:5432/picaspot", "--storage-url=file:///var/lib/picaspot", "--smtp-url=smtp://127.0.0.1:25",
		"--secret-key=" + strings.Repeat("secret ", 6),
	})
	require.NoError(t, err)
	return c
}

func TestDefaultsAreComplete(t *testing.T) {
	t.Parallel()
	c := working(t)
	require.NoError(t, c.Complete())
	require.Equal(t, "http://127.0.0.1:8080", c.PublicURL)
}

// broken are values that no installation can work with, by variable.
var broken = map[string][]any{
	"PICASPOT_HTTP_ADDR":                   {"", "localhost", "127.0.0.1:http:80", "127.0.0.1:99999", "127.0.0.1:http", "a b:8080"},
	"PICASPOT_OPS_ADDR":                    {"localhost", "127.0.0.1:x"},
	"PICASPOT_PUBLIC_URL":                  {"picaspot.example", "ftp://picaspot.example", "https://", "https://user:hunter2@picaspot.example", "https://picaspot.example/?a=hunter2", "https://picaspot.example/#hunter2", "https://pica spot/%zz", "https://picäspot.example", "https://picaspot.example:99999"},
	"PICASPOT_DATABASE_URL":                {"", "mysql://127.0.0.1/x", "postgres://u:hunter2@host:port/x", "postgres://u:hunter2@host/x?sslmode=maybe", "postgres://u:hunter2@host/x?connect_timeout=hunter2", "postgres://u:hunt/er2@host/x"},
	"PICASPOT_DATABASE_MAX_CONNS":          {int32(0), int32(-1), int32(2_000_000_000)},
	"PICASPOT_DATABASE_MIN_CONNS":          {int32(-1), int32(20_000)},
	"PICASPOT_DATABASE_CONN_LIFETIME":      {-time.Second, 20_000 * time.Hour},
	"PICASPOT_DATABASE_CONN_IDLE_TIME":     {-time.Second, 20_000 * time.Hour},
	"PICASPOT_DATABASE_HEALTH_PERIOD":      {-time.Second, 100 * time.Hour},
	"PICASPOT_DATABASE_ACQUIRE_TIMEOUT":    {-time.Second, 100 * time.Hour},
	"PICASPOT_DATABASE_CONNECT_TIMEOUT":    {-time.Second, 100 * time.Hour},
	"PICASPOT_STATEMENT_TIMEOUT":           {time.Duration(0), -time.Second, 100 * time.Hour},
	"PICASPOT_LOCK_TIMEOUT":                {-time.Second, 100 * time.Hour},
	"PICASPOT_IDLE_IN_TRANSACTION_TIMEOUT": {-time.Second, 100 * time.Hour},
	"PICASPOT_REDIS_URL":                   {"127.0.0.1:6379", "http://127.0.0.1"},
	"PICASPOT_CACHE_MEMORY":                {-1, 100_000_000_000_000},
	"PICASPOT_STORAGE_URL":                 {"", "/var/lib/picaspot", "ftp://host/x"},
	"PICASPOT_SMTP_URL":                    {"", "127.0.0.1:25", "http://host", "smtp://"},
	"PICASPOT_MAIL_FROM":                   {"", "PicASpot", "a@b@c"},
	"PICASPOT_SECRET_KEY":                  {"", "short"},
	"PICASPOT_SECRET_KEY_FILE":             {"/nowhere/at/all"},
	"PICASPOT_ACCESS_TOKEN_TTL":            {time.Duration(0), -time.Second, time.Nanosecond, 10_000 * time.Hour},
	"PICASPOT_SESSION_TTL":                 {time.Duration(0), -time.Second, 100_000 * time.Hour},
	"PICASPOT_SESSION_IDLE_TTL":            {time.Duration(0), -time.Second, 100_000 * time.Hour},
	"PICASPOT_REMEMBERED_TTL":              {time.Duration(0), -time.Second, 1_000_000 * time.Hour},
	"PICASPOT_REMEMBERED_IDLE_TTL":         {time.Duration(0), -time.Second, 1_000_000 * time.Hour},
	"PICASPOT_TRUSTED_HOSTS":               {[]string{"a b"}, []string{"example.org", "", "http://x"}, []string{"*.*.example"}},
	"PICASPOT_TRUSTED_PROXIES":             {[]string{"proxy"}, []string{"10.0.0.1/8", "10.0.0.0/33"}},
	"PICASPOT_CORS_ORIGINS":                {[]string{"app.example"}, []string{"https://app.example", "*"}, []string{"https://a b", "https://app.example/path"}},
	"PICASPOT_RATE_LIMITS":                 {[]string{"login"}, []string{"nothing:address=1/1m"}, []string{"login:address=x", "login:nobody=1/1m"}},
	"PICASPOT_PASSWORD_HASHES":             {-1, 1_000_000},
	"PICASPOT_EVENT_STREAMS":               {-1, 1_000_000_000},
	"PICASPOT_EVENT_HEARTBEAT":             {time.Duration(0), -time.Second, 100 * time.Hour},
	"PICASPOT_PHOTO_MAX_AGE":               {-time.Second, 2_000_000 * time.Hour},
	"PICASPOT_TRASH_RETENTION":             {time.Duration(0), -time.Second, 2_000_000 * time.Hour},
	"PICASPOT_IMPORT_RETENTION":            {time.Duration(0), time.Second, 2_000_000 * time.Hour},
	"PICASPOT_IMPORT_MAX_SIZE":             {0, -1, 2 << 20},
	"PICASPOT_AUDIT_RETENTION":             {-time.Second, 2_000_000 * time.Hour},
	"PICASPOT_WORKERS":                     {0, -1, 1_000_000_000},
	"PICASPOT_DRAIN_DELAY":                 {-time.Second, 100 * time.Hour},
	"PICASPOT_SHUTDOWN_TIMEOUT":            {time.Duration(0), -time.Second, 100 * time.Hour},
	"PICASPOT_SLOW_QUERY":                  {-time.Second, 100 * time.Hour},
	"PICASPOT_SLOW_REQUEST":                {-time.Second, 100 * time.Hour},
}

// malformed are texts of variables that the parser of flags refuses.
var malformed = map[string]string{
	"PICASPOT_WORKERS":               "abc",
	"PICASPOT_CACHE_MEMORY":          "1e14",
	"PICASPOT_DATABASE_MAX_CONNS":    "3000000000",
	"PICASPOT_DRAIN_DELAY":           "5",
	"PICASPOT_SESSION_TTL":           "1 day",
	"PICASPOT_WEBHOOK_ALLOW_PRIVATE": "maybe",
	"PICASPOT_LOG_LEVEL":             "loud",
	"PICASPOT_LOG_FORMAT":            "xml",
}

// anyText are the variables of which no value is refused here, and why.
var anyText = map[string]string{
	"PICASPOT_DATA_DIR":     "read by dev only (TestDevNamesTheOwnerOfItsFolder)",
	"PICASPOT_DEV_PASSWORD": "read by dev and seed only",
}

// Each broken value is refused with its variable, and with that one alone, and no
// password is shown.
func TestFaultsNameTheirVariable(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[config.Config]()
	for i := range fields.NumField() {
		variable, isSetting := fields.Field(i).Tag.Lookup("env")
		if !isSetting {
			continue
		}
		_, isAnyText := anyText[variable]
		require.NotEqual(t, isAnyText, broken[variable] != nil || malformed[variable] != "", "%s is in one of the tables", variable)
		for _, value := range broken[variable] {
			c := working(t)
			if variable == "PICASPOT_SECRET_KEY_FILE" {
				c.SecretKey = ""
			}
			reflect.ValueOf(&c).Elem().Field(i).Set(reflect.ValueOf(value))
			err := c.Complete()
			require.Error(t, err, "%s=%v", variable, value)
			require.NotContains(t, err.Error(), "hunt")
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if variable == "PICASPOT_SECRET_KEY_FILE" && strings.HasPrefix(line, "PICASPOT_SECRET_KEY: ") {
					continue // Without the file there is no secret either.
				}
				require.True(t, strings.HasPrefix(line, variable+": "), "%s=%v: %s", variable, value, line)
			}
		}
	}
}

// What the parser refuses is reported with what it takes, each with its variable, and
// nothing of it keeps the command line from being read.
func TestMalformedVariablesAreReportedTogether(t *testing.T) {
	for variable, text := range malformed {
		t.Setenv(variable, text)
	}
	t.Setenv("PICASPOT_PUBLIC_URL", "ftp://picaspot.example")
	var c config.Config
	parser, err := kong.New(&c)
	require.NoError(t, err)
	c.Refused = config.RefuseMalformed(parser)
	_, err = parser.Parse([]string{"--database-url=mysql://x", "--drain-delay=1s"})
	require.NoError(t, err)
	var lines []string
	for line := range strings.SplitSeq(c.Complete().Error(), "\n") {
		variable, _, _ := strings.Cut(line, ": ")
		lines = append(lines, variable)
	}
	require.ElementsMatch(t, append(slices.Collect(maps.Keys(malformed)),
		"PICASPOT_DATABASE_URL", "PICASPOT_PUBLIC_URL", "PICASPOT_SECRET_KEY", "PICASPOT_SMTP_URL", "PICASPOT_STORAGE_URL"), lines, c.Complete())
	require.ErrorContains(t, c.CheckDatabase(), "PICASPOT_WORKERS: ")
	require.ErrorContains(t, c.CheckDatabase(), `PICASPOT_LOG_FORMAT: "xml" is not one of text, json`)
	require.NotContains(t, c.CheckDatabase().Error(), "PICASPOT_SMTP_URL")
}

// Where no public URL is said, one is made of the address that the server listens on.
func TestPublicURLFollowsTheAddress(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":8080": "http://localhost:8080", "[::1]:80": "http://[::1]:80", "0.0.0.0:8080": "http://0.0.0.0:8080",
	} {
		c := working(t)
		c.HTTPAddr = addr
		require.NoError(t, c.Complete())
		require.Equal(t, want, c.PublicURL)
	}
}
