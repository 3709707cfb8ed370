// Package config is what an operator can set: flags and PICASPOT_* variables
// with working defaults, checked at start as a whole.
package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/picaspot/picaspot/internal/middleware"
)

// Config is the whole configuration. The tags make the flags, the variables and
// the text of --help-all.
type Config struct {
	HTTPAddr  string `name:"http-addr" env:"PICASPOT_HTTP_ADDR" default:"127.0.0.1:8080" help:"Address that the API listens on."`
	OpsAddr   string `name:"ops-addr" env:"PICASPOT_OPS_ADDR" default:"127.0.0.1:9090" help:"Address of the private listener with profiles; empty for none."`
	PublicURL string `name:"public-url" env:"PICASPOT_PUBLIC_URL" help:"Where people reach the server; links in mails start with it. http://HTTP-ADDR by default."`

	DatabaseURL              string        `name:"database-url" env:"PICASPOT_DATABASE_URL" help:"PostgreSQL with PostGIS, as postgres://user:password@host:5432/picaspot."`
	DatabaseMaxConns         int32         `name:"database-max-conns" env:"PICASPOT_DATABASE_MAX_CONNS" default:"20" help:"Most connections to the database of one process."`
	DatabaseMinConns         int32         `name:"database-min-conns" env:"PICASPOT_DATABASE_MIN_CONNS" default:"2" help:"Connections to the database that are kept open."`
	DatabaseConnLifetime     time.Duration `name:"database-conn-lifetime" env:"PICASPOT_DATABASE_CONN_LIFETIME" default:"1h" help:"Age at which a connection is replaced, plus up to a tenth by chance."`
	DatabaseConnIdleTime     time.Duration `name:"database-conn-idle-time" env:"PICASPOT_DATABASE_CONN_IDLE_TIME" default:"10m" help:"Closes a connection that was not used for so long."`
	DatabaseHealthPeriod     time.Duration `name:"database-health-period" env:"PICASPOT_DATABASE_HEALTH_PERIOD" default:"30s" help:"How often old and idle connections are looked for."`
	DatabaseAcquireTimeout   time.Duration `name:"database-acquire-timeout" env:"PICASPOT_DATABASE_ACQUIRE_TIMEOUT" default:"5s" help:"How long a request waits for a free connection before it is answered 503; 0 for as long as it may take."`
	DatabaseConnectTimeout   time.Duration `name:"database-connect-timeout" env:"PICASPOT_DATABASE_CONNECT_TIMEOUT" default:"5s" help:"How long a connection may take to open."`
	StatementTimeout         time.Duration `name:"statement-timeout" env:"PICASPOT_STATEMENT_TIMEOUT" default:"30s" help:"Ends a database statement that runs longer."`
	LockTimeout              time.Duration `name:"lock-timeout" env:"PICASPOT_LOCK_TIMEOUT" default:"10s" help:"Ends a database statement that waits longer for a lock; 0 for none."`
	IdleInTransactionTimeout time.Duration `name:"idle-in-transaction-timeout" env:"PICASPOT_IDLE_IN_TRANSACTION_TIMEOUT" default:"1m" help:"Ends a database connection whose transaction does nothing for so long."`

	RedisURL    string `name:"redis-url" env:"PICASPOT_REDIS_URL" help:"Redis, as redis://host:6379/0. Everything works without, slower."`
	CacheMemory int    `name:"cache-memory" env:"PICASPOT_CACHE_MEMORY" default:"32" help:"Memory for copies of what is read, in MiB of each process; Redis decides which of them still hold."`
	StorageURL  string `name:"storage-url" env:"PICASPOT_STORAGE_URL" help:"Where photos are kept: file:///folder, or s3://bucket?endpoint=… for an S3-compatible store."`
	SMTPURL     string `name:"smtp-url" env:"PICASPOT_SMTP_URL" help:"Mail server, as smtp://user:password@host:587."`
	MailFrom    string `name:"mail-from" env:"PICASPOT_MAIL_FROM" default:"PicASpot <no-reply@picaspot.example>" help:"Sender of mails."`

	SecretKey     string `name:"secret-key" env:"PICASPOT_SECRET_KEY" help:"The installation's secret, 32 characters or more; the same for every process."`
	SecretKeyFile string `name:"secret-key-file" env:"PICASPOT_SECRET_KEY_FILE" help:"File that holds the secret, instead of --secret-key."`

	AccessTokenTTL    time.Duration `name:"access-token-ttl" env:"PICASPOT_ACCESS_TOKEN_TTL" default:"15m" help:"Life of an access token."`
	SessionTTL        time.Duration `name:"session-ttl" env:"PICASPOT_SESSION_TTL" default:"24h" help:"Longest life of a session."`
	SessionIdleTTL    time.Duration `name:"session-idle-ttl" env:"PICASPOT_SESSION_IDLE_TTL" default:"12h" help:"Ends a session that was not used for so long."`
	RememberedTTL     time.Duration `name:"remembered-ttl" env:"PICASPOT_REMEMBERED_TTL" default:"2160h" help:"Longest life of a session that is remembered."`
	RememberedIdleTTL time.Duration `name:"remembered-idle-ttl" env:"PICASPOT_REMEMBERED_IDLE_TTL" default:"720h" help:"Ends a remembered session that was not used for so long."`

	TrustedHosts   []string `name:"trusted-hosts" env:"PICASPOT_TRUSTED_HOSTS" help:"Names that requests may be for, besides the public URL's and this machine's own; *.example.org for all beneath."`
	TrustedProxies []string `name:"trusted-proxies" env:"PICASPOT_TRUSTED_PROXIES" help:"Addresses and networks of proxies, whose X-Forwarded-For is believed."`
	CORSOrigins    []string `name:"cors-origins" env:"PICASPOT_CORS_ORIGINS" help:"Origins whose pages may call the API with credentials, as https://app.example.org; or * for all, without."`
	RateLimits     []string `name:"rate-limits" env:"PICASPOT_RATE_LIMITS" help:"Limits that differ from the defaults, as login:address=30/1m,read:account=off."`
	PasswordHashes int      `name:"password-hashes" env:"PICASPOT_PASSWORD_HASHES" default:"0" help:"Passwords that are hashed at once, of 7 MiB each; 0 for one for each processor."`

	EventStreams   int           `name:"event-streams" env:"PICASPOT_EVENT_STREAMS" default:"2000" help:"Streams of events that one process keeps open at once; 0 for none."`
	EventHeartbeat time.Duration `name:"event-heartbeat" env:"PICASPOT_EVENT_HEARTBEAT" default:"15s" help:"How often a stream of events says that it goes on, and is asked whether its session does."`

	PhotoMaxAge time.Duration `name:"photo-max-age" env:"PICASPOT_PHOTO_MAX_AGE" default:"24h" help:"An older photo goes to a moderator; 0 lifts the limit."`

	ImportMaxSize   int           `name:"import-max-size" env:"PICASPOT_IMPORT_MAX_SIZE" default:"100" help:"Largest file that can be sent to be imported, in MiB; unpacked it may be 20 times as large."`
	ImportRetention time.Duration `name:"import-retention" env:"PICASPOT_IMPORT_RETENTION" default:"168h" help:"How long the report of an import is kept. Its file is removed when it ends."`

	TrashRetention time.Duration `name:"trash-retention" env:"PICASPOT_TRASH_RETENTION" default:"720h" help:"How long what was deleted can be restored; then it is removed for good."`
	AuditRetention time.Duration `name:"audit-retention" env:"PICASPOT_AUDIT_RETENTION" default:"0" help:"Drops months of the audit log that ended longer ago; 0 keeps them for ever."`

	WebhookAllowPrivate bool `name:"webhook-allow-private" env:"PICASPOT_WEBHOOK_ALLOW_PRIVATE" help:"Delivers webhooks to private addresses and over http:// too; for development, since admins reach the server's own network with it."`

	Workers         int           `name:"workers" env:"PICASPOT_WORKERS" default:"4" help:"Jobs that one process runs at once."`
	DrainDelay      time.Duration `name:"drain-delay" env:"PICASPOT_DRAIN_DELAY" default:"5s" help:"How long an API process that was told to stop still answers requests while /readyz says 503, so that load balancers leave it; dev does not wait."`
	ShutdownTimeout time.Duration `name:"shutdown-timeout" env:"PICASPOT_SHUTDOWN_TIMEOUT" default:"20s" help:"How long requests and jobs may take to finish when the process stops, after the drain delay."`

	DataDir     string `name:"data-dir" env:"PICASPOT_DATA_DIR" default:".data" help:"Folder for what picaspot dev keeps."`
	DevPassword string `name:"dev-password" env:"PICASPOT_DEV_PASSWORD" default:"picaspot-on-a-laptop" help:"Password of the seeded accounts; used by dev and seed only."`

	LogLevel    slog.Level    `name:"log-level" env:"PICASPOT_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
	SlowQuery   time.Duration `name:"slow-query" env:"PICASPOT_SLOW_QUERY" default:"500ms" help:"Logs the name of a database query that takes longer; 0 for none."`
	SlowRequest time.Duration `name:"slow-request" env:"PICASPOT_SLOW_REQUEST" default:"2s" help:"Logs a request that takes longer as a warning; 0 for none."`
	LogFormat   string        `name:"log-format" env:"PICASPOT_LOG_FORMAT" enum:"text,json" default:"json" help:"text or json."`

	// Refused are the faults of variables that [RefuseMalformed] found.
	Refused []error `kong:"-"`
}

// DefaultDevPassword is that of the seeded accounts, unless it is set.
const DefaultDevPassword = "picaspot-on-a-laptop" //nolint:gosec // It is no secret, and guards nothing that others reach.

// minSecret is the least length of a secret, in bytes: 256 bits when it is random.
const minSecret = 32

// Complete fills in what follows from the rest, and reports every fault at
// once, each with the variable that it is about.
func (c *Config) Complete() error {
	faults := slices.Concat(c.Refused, c.databaseFaults())
	check := func(ok bool, variable, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", variable, fmt.Sprintf(format, args...)))
		}
	}
	checkList := func(variable string, err error) {
		if err == nil {
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			check(false, variable, "%s", line)
		}
	}
	for variable, addr := range map[string]string{"PICASPOT_HTTP_ADDR": c.HTTPAddr, "PICASPOT_OPS_ADDR": c.OpsAddr} {
		check(isAddr(addr) || addr == "" && variable == "PICASPOT_OPS_ADDR", variable, "%q is not host:port", addr)
	}
	checkURL := func(variable, value string, schemes ...string) *url.URL {
		u, err := parseURL(value, schemes...)
		check(err == nil, variable, "%v", err)
		return u
	}
	if c.PublicURL == "" {
		if isAddr(c.HTTPAddr) { // Else that is the fault.
			c.PublicURL = localURL(c.HTTPAddr)
			_, err := middleware.TrustedHosts([]string{strings.TrimPrefix(c.PublicURL, "http://")})
			check(err == nil, "PICASPOT_HTTP_ADDR", "no URL can be made of %q: set PICASPOT_PUBLIC_URL", c.HTTPAddr)
		}
	} else if u := checkURL("PICASPOT_PUBLIC_URL", c.PublicURL, "http", "https"); u != nil {
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
		_, err := middleware.TrustedHosts([]string{u.Host})
		check(err == nil, "PICASPOT_PUBLIC_URL", "%q is not a host such as example.org or 192.0.2.1:8080", u.Host)
		check(u.User == nil && u.RawQuery == "" && u.Fragment == "" && !u.ForceQuery, "PICASPOT_PUBLIC_URL",
			"it is shown to everybody: neither a user, a password, a query nor a fragment can be in it")
	}
	checkURL("PICASPOT_STORAGE_URL", c.StorageURL, "file", "s3")
	if u := checkURL("PICASPOT_SMTP_URL", c.SMTPURL, "smtp", "smtps"); u != nil {
		check(u.Hostname() != "", "PICASPOT_SMTP_URL", "it has no host")
	}
	if c.RedisURL != "" {
		checkURL("PICASPOT_REDIS_URL", c.RedisURL, "redis", "rediss")
	}
	_, err := mail.ParseAddress(c.MailFrom)
	check(err == nil, "PICASPOT_MAIL_FROM", "%q is not a mail address", c.MailFrom)
	if c.SecretKeyFile != "" {
		check(c.SecretKey == "", "PICASPOT_SECRET_KEY_FILE", "PICASPOT_SECRET_KEY is set too; set one of them")
		content, err := os.ReadFile(c.SecretKeyFile)
		check(err == nil, "PICASPOT_SECRET_KEY_FILE", "%v", err)
		c.SecretKey = strings.TrimSpace(string(content))
	}
	check(len(c.SecretKey) >= minSecret, "PICASPOT_SECRET_KEY", "at least %d characters are needed, as from: openssl rand -base64 32", minSecret)
	_, err = middleware.TrustedHosts(c.TrustedHosts)
	checkList("PICASPOT_TRUSTED_HOSTS", err)
	_, err = middleware.ParseProxies(c.TrustedProxies)
	checkList("PICASPOT_TRUSTED_PROXIES", err)
	_, err = middleware.CORS(c.CORSOrigins)
	checkList("PICASPOT_CORS_ORIGINS", err)
	_, err = c.Limits()
	checkList("PICASPOT_RATE_LIMITS", err)
	const year = 365 * 24 * time.Hour
	for _, d := range []struct {
		variable        string
		value, min, max time.Duration
	}{
		{"PICASPOT_ACCESS_TOKEN_TTL", c.AccessTokenTTL, time.Second, 24 * time.Hour},
		{"PICASPOT_SESSION_TTL", c.SessionTTL, time.Second, year},
		{"PICASPOT_SESSION_IDLE_TTL", c.SessionIdleTTL, time.Second, year},
		{"PICASPOT_REMEMBERED_TTL", c.RememberedTTL, time.Second, 10 * year},
		{"PICASPOT_REMEMBERED_IDLE_TTL", c.RememberedIdleTTL, time.Second, 10 * year},
		{"PICASPOT_STATEMENT_TIMEOUT", c.StatementTimeout, time.Millisecond, 24 * time.Hour},
		{"PICASPOT_IMPORT_RETENTION", c.ImportRetention, time.Minute, 100 * year},
		{"PICASPOT_TRASH_RETENTION", c.TrashRetention, 1, 100 * year},
		{"PICASPOT_AUDIT_RETENTION", c.AuditRetention, 0, 100 * year},
		{"PICASPOT_PHOTO_MAX_AGE", c.PhotoMaxAge, 0, 100 * year},
		{"PICASPOT_SHUTDOWN_TIMEOUT", c.ShutdownTimeout, time.Millisecond, time.Hour},
		{"PICASPOT_DRAIN_DELAY", c.DrainDelay, 0, time.Hour},
		{"PICASPOT_DATABASE_CONN_LIFETIME", c.DatabaseConnLifetime, 0, year},
		{"PICASPOT_DATABASE_CONN_IDLE_TIME", c.DatabaseConnIdleTime, 0, year},
		{"PICASPOT_DATABASE_HEALTH_PERIOD", c.DatabaseHealthPeriod, 0, 24 * time.Hour},
		{"PICASPOT_DATABASE_ACQUIRE_TIMEOUT", c.DatabaseAcquireTimeout, 0, time.Hour},
		{"PICASPOT_DATABASE_CONNECT_TIMEOUT", c.DatabaseConnectTimeout, 0, time.Hour},
		{"PICASPOT_LOCK_TIMEOUT", c.LockTimeout, 0, 24 * time.Hour},
		{"PICASPOT_IDLE_IN_TRANSACTION_TIMEOUT", c.IdleInTransactionTimeout, 0, 24 * time.Hour},
		{"PICASPOT_SLOW_QUERY", c.SlowQuery, 0, 24 * time.Hour},
		{"PICASPOT_SLOW_REQUEST", c.SlowRequest, 0, 24 * time.Hour},
	} {
		check(d.value >= d.min && d.value <= d.max, d.variable, "%s is not from %s to %s", d.value, d.min, d.max)
	}
	for _, n := range []struct {
		variable        string
		value, min, max int
	}{
		{"PICASPOT_PASSWORD_HASHES", c.PasswordHashes, 0, 1000},
		{"PICASPOT_IMPORT_MAX_SIZE", c.ImportMaxSize, 1, 1 << 20},
		{"PICASPOT_CACHE_MEMORY", c.CacheMemory, 0, 1 << 20},
		{"PICASPOT_EVENT_STREAMS", c.EventStreams, 0, 1_000_000},
		{"PICASPOT_WORKERS", c.Workers, 1, 10_000},
		{"PICASPOT_DATABASE_MAX_CONNS", int(c.DatabaseMaxConns), 1, 10_000},
		{"PICASPOT_DATABASE_MIN_CONNS", int(c.DatabaseMinConns), 0, 10_000},
	} {
		check(n.value >= n.min && n.value <= n.max, n.variable, "%d is not from %d to %d", n.value, n.min, n.max)
	}
	check(c.EventHeartbeat > 0 && c.EventHeartbeat <= time.Hour || c.EventStreams == 0, "PICASPOT_EVENT_HEARTBEAT", "%s is not more than 0 and at most 1h", c.EventHeartbeat)
	return join(faults)
}

// CheckDatabase reports the faults that matter to a command which uses the database
// alone, and the variables that were refused: every one with its variable.
func (c *Config) CheckDatabase() error {
	return join(slices.Concat(c.Refused, c.databaseFaults()))
}

func join(faults []error) error {
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

func (c *Config) databaseFaults() []error {
	_, err := parseURL(c.DatabaseURL, "postgres", "postgresql")
	if err == nil {
		if _, err = pgxpool.ParseConfig(c.DatabaseURL); err != nil {
			err = withoutURL(err)
		}
	}
	if err != nil {
		return []error{fmt.Errorf("PICASPOT_DATABASE_URL: %w", err)}
	}
	return nil
}

// parseURL shows neither the value nor the parser's error: either may hold a password.
func parseURL(value string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil || !slices.Contains(schemes, u.Scheme) {
		return nil, fmt.Errorf("a URL of scheme %s is expected", strings.Join(schemes, " or "))
	}
	return u, nil
}

// localURL is where this machine reaches a listener; one without a host listens on
// every address.
func localURL(addr string) string {
	if strings.HasPrefix(addr, ":") {
		addr = "localhost" + addr
	}
	return "http://" + addr
}

// isAddr reports whether a text is host:port, as listeners take it.
func isAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// withoutURL returns what is wrong with a database's URL without the URL itself, parts
// of which may be a password.
func withoutURL(err error) error {
	var malformed *url.Error
	if errors.As(err, &malformed) {
		return errors.New("it is no URL that can be read")
	}
	var number *strconv.NumError
	if errors.As(err, &number) {
		return errors.New("a number in it is malformed")
	}
	if cause := errors.Unwrap(err); cause != nil {
		return cause
	}
	return errors.New("it can't be read")
}

// IsLocal reports whether people reach the server on this machine only.
func (c *Config) IsLocal() bool {
	u, err := url.Parse(c.PublicURL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Secret is the installation's secret as 32 bytes; what it is used for derives
// a key of its own from it.
func (c *Config) Secret() []byte {
	digest := sha256.Sum256([]byte("picaspot secret key\x00" + c.SecretKey))
	return digest[:]
}
