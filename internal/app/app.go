// Package app builds everything and starts it.
package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/picaspot/picaspot"
	"github.com/picaspot/picaspot/api"
	"github.com/picaspot/picaspot/internal/account"
	"github.com/picaspot/picaspot/internal/area"
	"github.com/picaspot/picaspot/internal/auditlog"
	"github.com/picaspot/picaspot/internal/cache"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/heif"
	"github.com/picaspot/picaspot/internal/httpapi"
	"github.com/picaspot/picaspot/internal/idempotency"
	"github.com/picaspot/picaspot/internal/imports"
	"github.com/picaspot/picaspot/internal/jobs"
	"github.com/picaspot/picaspot/internal/keyring"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/mail"
	"github.com/picaspot/picaspot/internal/metrics"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/moderation"
	"github.com/picaspot/picaspot/internal/operation"
	"github.com/picaspot/picaspot/internal/page"
	"github.com/picaspot/picaspot/internal/password"
	"github.com/picaspot/picaspot/internal/photo"
	"github.com/picaspot/picaspot/internal/picture"
	"github.com/picaspot/picaspot/internal/ratelimit"
	"github.com/picaspot/picaspot/internal/rbac"
	"github.com/picaspot/picaspot/internal/redisconn"
	"github.com/picaspot/picaspot/internal/session"
	"github.com/picaspot/picaspot/internal/storage"
	"github.com/picaspot/picaspot/internal/store"
	"github.com/picaspot/picaspot/internal/sweep"
	"github.com/picaspot/picaspot/internal/tile"
	"github.com/picaspot/picaspot/internal/token"
	"github.com/picaspot/picaspot/internal/trash"
	"github.com/picaspot/picaspot/internal/unlock"
	"github.com/picaspot/picaspot/internal/upload"
	"github.com/picaspot/picaspot/internal/verify"
	"github.com/picaspot/picaspot/internal/webhook"
)

// App is the built application.
type App struct {
	Store       *store.Store
	Accounts    *account.Service
	Roles       *rbac.Roles
	Policy      *rbac.Policy
	Keys        *keyring.Keyring
	Areas       *area.Service
	Landmarks   *landmark.Service
	Tiles       *tile.Service
	Unlocks     *unlock.Service
	Followers   *unlock.Followers
	Moderation  *moderation.Service
	Trash       *trash.Service
	Audit       *auditlog.Service
	Idempotency *idempotency.Service
	Webhooks    *webhook.Service
	Sweep       *sweep.Service
	Imports     *imports.Service
	Uploads     *upload.Service
	// Handler answers requests, with everything that stands around them.
	Handler http.Handler

	config     config.Config
	registry   *prometheus.Registry
	requests   *metrics.HTTP
	operations operation.Config
	storage    *storage.Store
	addresses  *picture.Addresses
	redis      *redisconn.Conn
	cache      *cache.Cache
	jobs       *jobs.Runner
	readiness  *httpapi.Readiness
}

// Page is a handler outside of the contract, as the local mailbox of dev.
type Page struct {
	Pattern string
	Handler http.Handler
}

// operations are those of the contract, which takes long to read and is the same for
// every App of a process.
var operations = sync.OnceValues(func() (*operation.Table, error) {
	spec, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("embedded spec: %w", err)
	}
	return operation.Load(spec)
})

// installationBytes is the length of the name by which an installation marks its files;
// the secret tells installations apart.
const installationBytes = 16

// Migrate brings the configured database to the present version: see [store.Migrate].
func Migrate(ctx context.Context, c config.Config) error {
	if err := store.Migrate(ctx, c.DatabaseURL); err != nil {
		return fmt.Errorf("PICASPOT_DATABASE_URL: %w", err)
	}
	return nil
}

// New builds the application on a migrated database. Close ends what it opened.
func New(ctx context.Context, c config.Config, pages ...Page) (_ *App, err error) {
	a := &App{config: c, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	if a.Store, err = store.Open(ctx, c.DatabaseURL, storeOptions(c, metrics.NewQueries(a.registry))); err != nil {
		return nil, fmt.Errorf("PICASPOT_DATABASE_URL: %w", err)
	}
	if err = a.Store.CheckMigrated(ctx); err != nil {
		return nil, err
	}
	if a.storage, err = storage.Open(ctx, c.StorageURL); err != nil {
		return nil, fmt.Errorf("PICASPOT_STORAGE_URL: %w", err)
	}
	if c.RedisURL != "" {
		if a.redis, err = redisconn.Open(c.RedisURL); err != nil {
			return nil, fmt.Errorf("PICASPOT_REDIS_URL: %w", err)
		}
		contract := sha256.Sum256(picaspot.OpenAPI)
		announcer, err := cache.New(a.redis, hex.EncodeToString(contract[:6]), c.CacheMemory<<20)
		if err != nil {
			return nil, err
		}
		// A process without a cache announces its changes to those that have one.
		a.Store.AnnounceTo(announcer)
		if c.CacheMemory > 0 {
			a.cache = announcer
		}
	}
	table, err := operations()
	if err != nil {
		return nil, err
	}
	limits, err := limitsOf(&c, table)
	if err != nil {
		return nil, err
	}

	if a.Keys, err = keyring.Open(ctx, a.Store, c.Secret()); err != nil {
		return nil, err
	}
	tokens, err := token.New(token.Config{Issuer: c.PublicURL, Audience: c.PublicURL, TTL: c.AccessTokenTTL, Keys: a.Keys.Keys})
	if err != nil {
		return nil, err
	}
	mailer, err := mail.New(mail.Config{URL: c.SMTPURL, From: c.MailFrom})
	if err != nil {
		return nil, fmt.Errorf("PICASPOT_SMTP_URL: %w", err)
	}
	cursorKey, err := hkdf.Key(sha256.New, c.Secret(), nil, "picaspot cursor", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	cursors, err := page.NewCodec(cursorKey)
	if err != nil {
		return nil, err
	}
	if a.Policy, err = rbac.OpenPolicy(ctx, a.Store, table.Permissions(), cursors); err != nil {
		return nil, err
	}
	authorizer := a.Policy.Authorizer()
	limiter := ratelimit.New(a.limitStore())
	sessions := session.NewRegistry(a.Store.Pool, a.redis)
	decoder := photo.NewDecoder(photo.DefaultLimits(), heif.Find())
	pictures := picture.NewGallery(a.storage, decoder)
	verification := verify.DefaultPolicy()
	verification.PhotoMaxAge = c.PhotoMaxAge

	a.Accounts, err = account.NewService(account.Parts{
		Store: a.Store, Hasher: password.NewHasher(c.PasswordHashes), Tokens: tokens, Sessions: sessions, Limiter: limiter,
		Policy: a.Policy, Pictures: pictures, Mailer: mailer, Cursors: cursors,
	}, account.Config{
		PublicURL: c.PublicURL, Secret: c.Secret(),
		Session:    account.Lifetime{Idle: c.SessionIdleTTL, Absolute: c.SessionTTL},
		Remembered: account.Lifetime{Idle: c.RememberedIdleTTL, Absolute: c.RememberedTTL},
		LoginRate:  limits["login"].Account, OTPRate: limits["otp"].Account, MailRate: limits["mail"].Account,
		Retention: c.TrashRetention,
	})
	if err != nil {
		return nil, err
	}
	if a.Roles, err = rbac.NewRoles(ctx, a.Store, a.Policy, cursors); err != nil {
		return nil, err
	}
	a.Areas = area.NewService(area.Parts{
		Store: a.Store, Authz: authorizer, Pictures: pictures, Cursors: cursors, Cache: a.cache, Render: httpapi.RenderArea,
	})
	a.Landmarks = landmark.NewService(landmark.Parts{
		Store: a.Store, Authz: authorizer, Pictures: pictures, Cursors: cursors, Cache: a.cache, Render: httpapi.RenderLandmark,
	})
	a.Tiles = tile.NewService(a.Store)
	a.Unlocks = unlock.NewService(a.Store, a.storage, decoder, pictures, cursors, verification)
	a.Followers = unlock.NewFollowers(a.Store, c.EventStreams)
	a.Moderation = moderation.NewService(moderation.Parts{
		Store: a.Store, Authz: authorizer, Accounts: a.Accounts, Areas: a.Areas, Landmarks: a.Landmarks, Cursors: cursors,
	})
	a.Trash = trash.NewService(a.Store, a.Policy, cursors, c.TrashRetention)
	a.Audit = auditlog.NewService(a.Store, cursors, c.AuditRetention)
	a.Idempotency = idempotency.NewService(a.Store, c.Secret())
	a.Webhooks, err = webhook.NewService(a.Store, cursors, webhook.Config{Secret: c.Secret(), AllowPrivate: c.WebhookAllowPrivate})
	if err != nil {
		return nil, err
	}
	installation, err := hkdf.Key(sha256.New, c.Secret(), nil, "picaspot installation", installationBytes)
	if err != nil {
		return nil, fmt.Errorf("name of the installation: %w", err)
	}
	a.Sweep = sweep.NewService(a.Store, a.storage, hex.EncodeToString(installation))
	maxImport := int64(c.ImportMaxSize) << 20
	a.Imports = imports.NewService(imports.Parts{
		Store: a.Store, Files: a.storage, Pictures: pictures, Policy: a.Policy, Cursors: cursors,
	}, imports.Config{MaxBytes: maxImport, Retention: c.ImportRetention})
	a.Uploads = upload.NewService(a.Store, a.storage, pictures, photo.DefaultLimits().Bytes)
	a.jobs, err = jobs.NewRunner(jobs.Parts{
		Store: a.Store, Storage: a.storage, Accounts: a.Accounts, Unlocks: a.Unlocks, Tiles: a.Tiles, Trash: a.Trash, Audit: a.Audit, Idempotency: a.Idempotency, Webhooks: a.Webhooks, Sweep: a.Sweep, Imports: a.Imports, Uploads: a.Uploads,
	}, jobs.Config{Parallel: c.Workers})
	if err != nil {
		return nil, err
	}
	a.readiness = &httpapi.Readiness{Required: map[string]httpapi.Probe{
		"database": a.Store.CheckWritable, "storage": a.storage.Check,
	}}
	a.readiness.Optional = map[string]httpapi.Probe{"policy": a.Policy.Check}
	if a.redis != nil {
		a.readiness.Optional["redis"] = a.redis.Check
	}
	a.addresses, err = picture.NewAddresses(c.Secret(), c.PublicURL, time.Now)
	if err != nil {
		return nil, err
	}
	a.operations = operation.Config{
		Signed: a.addresses.Check,
		Verify: tokens.Verify, Admitter: operation.NewAdmission(limits, limiter, sessions, a.redis),
		Authorizer: authorizer, RequiresMFA: a.Roles.RequiresMFA, Denied: a.Audit.Denied, Idempotency: a.Idempotency,
		MaxBodies: map[string]int64{"ImportLandmarks": maxImport},
	}
	a.requests = metrics.NewHTTP(a.registry, measured(table))
	a.register()
	a.Handler, err = a.handler(table, pages)
	return a, err
}

// limitStore is where limits are counted; nil is within the process.
func (a *App) limitStore() redis.UniversalClient {
	if a.redis == nil {
		return nil // And not a nil *redisconn.Conn within the interface.
	}
	return a.redis
}

// handler puts the operations behind what stands around every request.
func (a *App) handler(table *operation.Table, pages []Page) (http.Handler, error) {
	docs, err := httpapi.NewDocs(picaspot.OpenAPI)
	if err != nil {
		return nil, err
	}
	server := &httpapi.Server{
		Accounts: a.Accounts, Roles: a.Roles, Policy: a.Policy, Operations: table.ByPermission(), Areas: a.Areas, Landmarks: a.Landmarks, Tiles: a.Tiles, Unlocks: a.Unlocks,
		Followers: a.Followers, EventHeartbeat: a.config.EventHeartbeat, Moderation: a.Moderation, Trash: a.Trash, Audit: a.Audit, Webhooks: a.Webhooks, Imports: a.Imports, Uploads: a.Uploads, Keys: a.Keys, Addresses: a.addresses, Readiness: a.readiness, Docs: docs, Cache: a.cache,
	}
	a.operations.Cache, a.operations.Wants = a.cache, server.Wants()
	router := operation.NewRouter(table, a.operations)
	server.Mount(router)
	for _, p := range pages {
		router.Handle(p.Pattern, p.Handler)
	}
	return around(router, a.config, a.requests)
}

// loopback are the names by which this machine calls itself.
var loopback = []string{"localhost", "127.0.0.1", "[::1]"}

// around puts around a handler what stands around every request, the outermost
// first.
func around(handler http.Handler, c config.Config, requests *metrics.HTTP) (http.Handler, error) {
	public, err := url.Parse(c.PublicURL)
	if err != nil {
		return nil, errors.New("PICASPOT_PUBLIC_URL is malformed")
	}
	proxies, errProxies := middleware.ParseProxies(c.TrustedProxies)
	hosts, errHosts := middleware.TrustedHosts(slices.Concat([]string{public.Host}, loopback, c.TrustedHosts))
	cors, errCORS := middleware.CORS(c.CORSOrigins)
	// Behind a proxy that renames the host, our own origin is not the request's.
	crossOrigin, errOrigin := middleware.CrossOrigin(append([]string{public.Scheme + "://" + public.Host}, c.CORSOrigins...))
	if err := errors.Join(errProxies, errHosts, errCORS, errOrigin); err != nil {
		return nil, err
	}
	chain := []func(http.Handler) http.Handler{
		middleware.Identify(proxies), middleware.AccessLog, middleware.Measure(requests, c.SlowRequest), middleware.Recover,
		middleware.SecurityHeaders(c.PublicURL), hosts, cors, crossOrigin,
	}
	for _, wrap := range slices.Backward(chain) {
		handler = wrap(handler)
	}
	return handler, nil
}

// Close ends the connections. Nothing may run any more.
func (a *App) Close() {
	if a.Followers != nil {
		a.Followers.Close()
	}
	if a.cache != nil {
		a.cache.Close()
	}
	if a.redis != nil {
		_ = a.redis.Close() // What is kept there may be lost.
	}
	if a.storage != nil {
		if err := a.storage.Close(); err != nil {
			slog.Warn("storage not closed cleanly", "error", err)
		}
	}
	if a.Store != nil {
		a.Store.Close()
	}
}
