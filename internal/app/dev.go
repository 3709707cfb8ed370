package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/localstack"
	"github.com/picaspot/picaspot/internal/mailbox"
	"github.com/picaspot/picaspot/internal/middleware"
	"github.com/picaspot/picaspot/internal/photo/sample"
)

// Dev runs the whole system on one machine: what the configuration does not
// name (PostgreSQL, Redis, storage, mail server, secret) it brings itself and
// keeps in the data folder. Addresses and accounts are printed to out.
func Dev(ctx context.Context, c config.Config, out io.Writer) (err error) {
	if err := private(c); err != nil {
		return err
	}
	// Asked first, so that nobody waits for a database to hear it.
	err = errors.Join(checkGiven(c), isFree(ctx, "PICASPOT_HTTP_ADDR", c.HTTPAddr), isFree(ctx, "PICASPOT_OPS_ADDR", c.OpsAddr))
	if err != nil {
		return err
	}
	c.DrainDelay = 0 // No load balancer stands before it.
	local, err := startLocal(ctx, &c)
	defer func() { err = errors.Join(err, local.stop()) }()
	if foreign, is := errors.AsType[*localstack.ForeignError](err); is {
		return fmt.Errorf("PICASPOT_DATA_DIR: %w, or set PICASPOT_DATA_DIR to another folder", foreign)
	}
	if err != nil {
		return err
	}
	if len(c.CORSOrigins) == 0 {
		c.CORSOrigins = middleware.LoopbackOrigins
	}
	if err := c.Complete(); err != nil {
		return err
	}
	if err := Migrate(ctx, c); err != nil {
		return err
	}
	a, err := New(ctx, c, local.pages()...)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Seed(ctx); err != nil {
		return err
	}
	withdraw, err := publish(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, withdraw()) }()
	return a.Run(ctx, Roles{API: true, Worker: true, Ready: func() { greet(out, c) }})
}

// private refuses to show to others an admin whose password everybody can read.
func private(c config.Config) error {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil || c.DevPassword != config.DefaultDevPassword {
		return nil //nolint:nilerr // A malformed address is reported with the other faults.
	}
	ip := net.ParseIP(host)
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("PICASPOT_HTTP_ADDR: others can reach this address; set PICASPOT_DEV_PASSWORD to a password of your own first")
}

// checkGiven reports the faults of what the configuration names, before anything starts.
func checkGiven(c config.Config) error {
	c.DatabaseURL = cmp.Or(c.DatabaseURL, "postgres://127.0.0.1/picaspot")
	c.StorageURL = cmp.Or(c.StorageURL, "file:///")
	c.SMTPURL = cmp.Or(c.SMTPURL, "smtp://127.0.0.1")
	if c.SecretKeyFile == "" {
		c.SecretKey = cmp.Or(c.SecretKey, rand.Text()+rand.Text())
	}
	return c.Complete()
}

// isFree reports whether an address can be listened on; an empty one is not asked for.
func isFree(ctx context.Context, variable, addr string) error {
	if addr == "" {
		return nil
	}
	listener, err := Listen(ctx, addr)
	if err != nil {
		return fmt.Errorf("%s: %w", variable, err)
	}
	return listener.Close()
}

func greet(out io.Writer, c config.Config) {
	base := c.PublicURL
	fmt.Fprintf(out, `
PicASpot is ready.

  API        %[1]s/api/v1
  Swagger UI %[1]s/docs  (to read: /docs/reference; for Postman: /docs/postman.json)
  Mailbox    %[1]s/dev/mail
  Photos     %[1]s/dev/photo?latitude=…&longitude=…  (a sample photo taken there, now)
  Accounts   user@picaspot.example, moderator@picaspot.example, admin@picaspot.example
  Password   %[2]s
  Database   %[3]s
  Web apps   of %[4]s may call the API (PICASPOT_CORS_ORIGINS)
  Commands   as picaspot import work on it when they are started in this folder

Ctrl-C stops everything.

`, base, c.DevPassword, c.DatabaseURL, strings.Join(c.CORSOrigins, ", "))
}

// local is what Dev started by itself, in the order of its start.
type local struct {
	mailbox *mailbox.Mailbox
	stops   []func() error
}

func (l *local) stop() error {
	var errs []error
	for i := len(l.stops) - 1; i >= 0; i-- {
		errs = append(errs, l.stops[i]())
	}
	return errors.Join(errs...)
}

func (l *local) pages() []Page {
	pages := []Page{{Pattern: "GET /dev/photo", Handler: http.HandlerFunc(samplePhoto)}}
	if l.mailbox != nil {
		handler := l.mailbox.Handler()
		pages = append(pages, Page{Pattern: mailbox.Path, Handler: handler}, Page{Pattern: mailbox.Path + "/", Handler: handler})
	}
	return pages
}

// databaseStopTimeout bounds how long PostgreSQL may take to write everything down.
const databaseStopTimeout = 30 * time.Second

func startLocal(ctx context.Context, c *config.Config) (*local, error) {
	l := &local{}
	data, err := filepath.Abs(c.DataDir)
	if err != nil {
		return l, fmt.Errorf("PICASPOT_DATA_DIR: %w", err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil { //nolint:gosec // PostgreSQL's own user has to pass through.
		return l, fmt.Errorf("PICASPOT_DATA_DIR: %w", err)
	}
	if err := localstack.CheckAccess(data); err != nil {
		return l, err
	}
	if c.SecretKey == "" && c.SecretKeyFile == "" {
		if c.SecretKey, err = secret(filepath.Join(data, "secret")); err != nil {
			return l, err
		}
	}
	if c.StorageURL == "" {
		c.StorageURL = (&url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(data, "photos"))}).String()
	}
	if c.SMTPURL == "" {
		if l.mailbox, err = mailbox.Listen(ctx, mailbox.Config{Folder: filepath.Join(data, "mail")}); err != nil {
			return l, err
		}
		l.stops = append(l.stops, l.mailbox.Close)
		c.SMTPURL = l.mailbox.URL()
	}
	if c.RedisURL == "" {
		redisURL, stop, err := localstack.NewMemoryRedis(ctx)
		if err != nil {
			return l, err
		}
		l.stops = append(l.stops, func() error { stop(); return nil })
		c.RedisURL = redisURL
	}
	if c.DatabaseURL == "" {
		postgres, err := localstack.StartPostgres(ctx, localstack.PostgresOptions{
			Dir: filepath.Join(data, "postgres"), Log: slog.Default(),
		})
		if err != nil {
			return l, err
		}
		l.stops = append(l.stops, func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), databaseStopTimeout)
			defer cancel()
			return postgres.Stop(ctx)
		})
		if err := postgres.CreateDatabase(ctx, "picaspot"); err != nil {
			return l, err
		}
		c.DatabaseURL = postgres.URL("picaspot")
	}
	return l, nil
}

// secret reads the secret of this installation, and makes one at the first start.
func secret(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		return string(content), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	made := rand.Text() + rand.Text()
	if err := os.WriteFile(path, []byte(made), 0o600); err != nil {
		return "", fmt.Errorf("keep the secret: %w", err)
	}
	return made, nil
}

// samplePhoto answers with a drawn picture that carries the position of the
// query and the present time, for trying things without a camera.
func samplePhoto(w http.ResponseWriter, r *http.Request) {
	latitude, errLat := strconv.ParseFloat(r.URL.Query().Get("latitude"), 64)
	longitude, errLon := strconv.ParseFloat(r.URL.Query().Get("longitude"), 64)
	at, err := geo.New(latitude, longitude)
	if err = errors.Join(errLat, errLon, err); err != nil {
		http.Error(w, "latitude and longitude are needed, in degrees", http.StatusBadRequest)
		return
	}
	now := time.Now()
	data, err := sample.JPEG(sample.Options{Position: &at, TakenAt: now, Seed: now.UnixNano()})
	if err != nil {
		slog.ErrorContext(r.Context(), "sample photo", "error", err)
		http.Error(w, "the photo can't be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Content-Disposition", `attachment; filename="photo.jpg"`)
	if _, err := w.Write(data); err != nil {
		slog.DebugContext(r.Context(), "sample photo not delivered", "error", err)
	}
}
