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
	"strings"
	"time"
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
}

// DefaultDevPassword is that of the seeded accounts, unless it is set.
const DefaultDevPassword = "picaspot-on-a-laptop" //nolint:gosec // It is no secret, and guards nothing that others reach.

// minSecret is the least length of a secret, in bytes: 256 bits when it is random.
const minSecret = 32

// Complete fills in what follows from the rest, and reports every fault at
// once, each with the variable that it is about.
func (c *Config) Complete() error {
	var faults []error
	check := func(ok bool, variable, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", variable, fmt.Sprintf(format, args...)))
		}
	}
	for variable, addr := range map[string]string{"PICASPOT_HTTP_ADDR": c.HTTPAddr, "PICASPOT_OPS_ADDR": c.OpsAddr} {
		_, _, err := net.SplitHostPort(addr)
		check(err == nil || addr == "" && variable == "PICASPOT_OPS_ADDR", variable, "%q is not host:port", addr)
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://" + c.HTTPAddr
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	checkURL := func(variable, value string, schemes ...string) {
		u, err := url.Parse(value)
		// Neither the value nor the parser's error is shown: either may hold a password.
		check(err == nil && slices.Contains(schemes, u.Scheme), variable, "a URL of scheme %s is expected", strings.Join(schemes, " or "))
	}
	checkURL("PICASPOT_PUBLIC_URL", c.PublicURL, "http", "https")
	checkURL("PICASPOT_DATABASE_URL", c.DatabaseURL, "postgres", "postgresql")
	checkURL("PICASPOT_STORAGE_URL", c.StorageURL, "file", "s3")
	checkURL("PICASPOT_SMTP_URL", c.SMTPURL, "smtp", "smtps")
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
	for variable, value := range map[string]time.Duration{
		"PICASPOT_ACCESS_TOKEN_TTL": c.AccessTokenTTL,
		"PICASPOT_SESSION_TTL":      c.SessionTTL, "PICASPOT_SESSION_IDLE_TTL": c.SessionIdleTTL,
		"PICASPOT_REMEMBERED_TTL": c.RememberedTTL, "PICASPOT_REMEMBERED_IDLE_TTL": c.RememberedIdleTTL,
		"PICASPOT_STATEMENT_TIMEOUT": c.StatementTimeout, "PICASPOT_TRASH_RETENTION": c.TrashRetention, "PICASPOT_SHUTDOWN_TIMEOUT": c.ShutdownTimeout,
	} {
		check(value > 0, variable, "%s is not a positive duration", value)
	}
	for variable, value := range map[string]time.Duration{
		"PICASPOT_DATABASE_CONN_LIFETIME": c.DatabaseConnLifetime, "PICASPOT_DATABASE_CONN_IDLE_TIME": c.DatabaseConnIdleTime,
		"PICASPOT_DATABASE_HEALTH_PERIOD": c.DatabaseHealthPeriod, "PICASPOT_DATABASE_ACQUIRE_TIMEOUT": c.DatabaseAcquireTimeout,
		"PICASPOT_DATABASE_CONNECT_TIMEOUT": c.DatabaseConnectTimeout, "PICASPOT_LOCK_TIMEOUT": c.LockTimeout,
		"PICASPOT_IDLE_IN_TRANSACTION_TIMEOUT": c.IdleInTransactionTimeout,
		"PICASPOT_SLOW_QUERY":                  c.SlowQuery, "PICASPOT_SLOW_REQUEST": c.SlowRequest, "PICASPOT_DRAIN_DELAY": c.DrainDelay,
	} {
		check(value >= 0, variable, "%s is negative", value)
	}
	check(c.AuditRetention >= 0, "PICASPOT_AUDIT_RETENTION", "%s is negative", c.AuditRetention)
	check(c.PhotoMaxAge >= 0, "PICASPOT_PHOTO_MAX_AGE", "%s is negative", c.PhotoMaxAge)
	check(c.PasswordHashes >= 0, "PICASPOT_PASSWORD_HASHES", "%d is negative", c.PasswordHashes)
	check(c.CacheMemory >= 0, "PICASPOT_CACHE_MEMORY", "%d is negative", c.CacheMemory)
	check(c.EventStreams >= 0, "PICASPOT_EVENT_STREAMS", "%d is negative", c.EventStreams)
	check(c.EventHeartbeat > 0 || c.EventStreams == 0, "PICASPOT_EVENT_HEARTBEAT", "a time greater than 0 is expected")
	check(c.Workers > 0, "PICASPOT_WORKERS", "at least one is needed")
	check(c.DatabaseMaxConns > 0, "PICASPOT_DATABASE_MAX_CONNS", "at least one is needed")
	check(c.DatabaseMinConns >= 0, "PICASPOT_DATABASE_MIN_CONNS", "%d is negative", c.DatabaseMinConns)
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
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
