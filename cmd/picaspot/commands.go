package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/picaspot/picaspot/internal/app"
	"github.com/picaspot/picaspot/internal/config"
	"github.com/picaspot/picaspot/internal/geo"
	"github.com/picaspot/picaspot/internal/photo/sample"
	"github.com/picaspot/picaspot/internal/seed"
)

type devCmd struct{}

// Run starts what a laptop lacks, and the whole application on top of it.
func (devCmd) Run(ctx context.Context, c *config.Config) error { return app.Dev(ctx, *c, stdout) }

type serveCmd struct {
	SkipMigrations bool `help:"Do not migrate the database at start."`
	WithWorker     bool `help:"Run the workers in this process too."`
}

// Run serves the API until it is told to stop.
func (s serveCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.Complete(); err != nil {
		return err
	}
	if !s.SkipMigrations {
		if err := app.Migrate(ctx, *c); err != nil {
			return unlessStopped(ctx, err)
		}
	}
	return runApp(ctx, *c, app.Roles{API: true, Worker: s.WithWorker})
}

type workerCmd struct{}

// Run works jobs off until it is told to stop.
func (workerCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.Complete(); err != nil {
		return err
	}
	return runApp(ctx, *c, app.Roles{Worker: true})
}

func runApp(ctx context.Context, c config.Config, roles app.Roles) error {
	a, err := app.New(ctx, c)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer a.Close()
	return unlessStopped(ctx, a.Run(ctx, roles))
}

// unlessStopped is the error of a process that serves, unless it says no more than that
// the process was told to stop while it started.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

type migrateCmd struct{}

// Run migrates; replicas that start at the same time wait for each other.
func (migrateCmd) Run(ctx context.Context, c *config.Config) error {
	if err := c.CheckDatabase(); err != nil {
		return err
	}
	return app.Migrate(ctx, *c)
}

type seedCmd struct {
	Users     int    `help:"Make a large world up, with as many users, 10 by default; they have the password of PICASPOT_DEV_PASSWORD. Without this and the next two there is a small world of real places." placeholder:"N"`
	Landmarks int    `help:"As many landmarks, around real cities; 100 by default." placeholder:"N"`
	Attempts  int    `help:"As many decided attempts, with photos of 24 different pictures." placeholder:"N"`
	Seed      uint64 `help:"Which world: the same number makes the same one on the same day." default:"1"`
	Add       bool   `help:"Make it also where there is data that seed did not make."`
}

// Run fills a migrated database; what is there already stays as it is. The
// accounts have a password that everybody can read, so it is for a machine of
// one's own only.
func (s seedCmd) Run(ctx context.Context, c *config.Config) error {
	return withApp(ctx, c, func(a *app.App) error {
		if !c.IsLocal() {
			return errors.New("seed makes accounts with a password that is no secret: PICASPOT_PUBLIC_URL has to be on this machine. " +
				"The first admin of an installation is made by: picaspot user create --role admin")
		}
		if s.Users == 0 && s.Landmarks == 0 && s.Attempts == 0 {
			return a.Seed(ctx)
		}
		size := seed.Size{
			Users: cmp.Or(s.Users, 10), Landmarks: cmp.Or(s.Landmarks, 100), Attempts: s.Attempts, Seed: s.Seed,
			Until: time.Now().UTC().Truncate(24 * time.Hour),
		}
		return a.SeedWorld(ctx, size, s.Add)
	})
}

type samplePhotoCmd struct {
	Latitude  float64   `required:"" help:"Latitude in the photo's EXIF, in degrees."`
	Longitude float64   `required:"" help:"Longitude in the photo's EXIF, in degrees."`
	TakenAt   time.Time `help:"Time in the photo's EXIF, as 2026-11-01T09:30:00Z; now by default."`
	Output    string    `short:"o" default:"-" help:"File to write; - is standard output."`
}

// Run writes a drawn picture that carries a real position and time.
func (s samplePhotoCmd) Run() error {
	at, err := geo.New(s.Latitude, s.Longitude)
	if err != nil {
		return err
	}
	if s.TakenAt.IsZero() {
		s.TakenAt = time.Now()
	}
	data, err := sample.JPEG(sample.Options{Position: &at, TakenAt: s.TakenAt, Seed: s.TakenAt.UnixNano()})
	if err != nil {
		return err
	}
	if s.Output == "-" {
		_, err = stdout.Write(data)
		return err
	}
	return os.WriteFile(s.Output, data, 0o600)
}

type healthcheckCmd struct {
	Ops bool `help:"Ask on the private listener, the only one that a worker has."`
}

// Run asks /readyz of the process that listens on the configured address.
func (h healthcheckCmd) Run(ctx context.Context, c *config.Config) error {
	address := c.HTTPAddr
	if h.Ops {
		address = c.OpsAddr
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", response.StatusCode)
	}
	return nil
}
