package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"

	"github.com/picaspot/picaspot/internal/buildinfo"
	"github.com/picaspot/picaspot/internal/landmark"
	"github.com/picaspot/picaspot/internal/middleware"
)

// Roles say what a process does.
type Roles struct {
	API    bool
	Worker bool
	// Ready is called once requests are answered.
	Ready func()
}

// Limits on the time of each stage of a request. Uploads over a poor connection
// need the longest.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 2 * time.Minute
	writeTimeout      = 3 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Run works until ctx ends. Then readiness goes down; the API answers requests for the
// drain delay, so that load balancers notice; requests and jobs finish, and nothing is
// lost.
func (a *App) Run(ctx context.Context, roles Roles) error {
	var servers []*http.Server
	failed := make(chan error, 2)
	serve := func(addr string, handler http.Handler) error {
		listener, err := Listen(ctx, addr)
		if err != nil {
			return err
		}
		server := &http.Server{
			Handler: handler, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
		}
		servers = append(servers, server)
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
		return nil
	}
	defer func() {
		for _, server := range servers {
			_ = server.Close() // Shut down already, unless the start failed.
		}
	}()
	if a.config.OpsAddr != "" {
		handler, err := a.opsHandler()
		if err != nil {
			return err
		}
		if err := serve(a.config.OpsAddr, handler); err != nil {
			return fmt.Errorf("PICASPOT_OPS_ADDR: %w", err)
		}
	}
	defer a.watch(ctx)()
	if roles.Worker {
		if err := a.jobs.Start(ctx); err != nil {
			return err
		}
	}
	if roles.API {
		if err := serve(a.config.HTTPAddr, a.closesWhileDraining(a.Handler)); err != nil {
			return errors.Join(fmt.Errorf("PICASPOT_HTTP_ADDR: %w", err), a.stopJobs(ctx, roles))
		}
	}
	a.Store.WarnOfCapacity(ctx)
	build := buildinfo.Get()
	slog.InfoContext(ctx, "started", "version", build.Version, "commit", build.Commit, "api", roles.API, "worker", roles.Worker, "http_addr", a.config.HTTPAddr)
	if roles.Ready != nil {
		roles.Ready()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	a.readiness.Drain()
	if err == nil && roles.API && a.config.DrainDelay > 0 {
		slog.InfoContext(ctx, "draining", "delay", a.config.DrainDelay)
		select {
		case <-time.After(a.config.DrainDelay):
		case err = <-failed:
		}
	}
	a.Followers.Close() // They would be waited for.
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.ShutdownTimeout)
	defer cancel()
	for _, server := range servers {
		err = errors.Join(err, server.Shutdown(drain))
	}
	return errors.Join(err, a.stopJobs(drain, roles))
}

// closesWhileDraining has clients close their connections after the answer while the
// process drains (RFC 9112, section 9.6): the next request goes to another process, and
// not into a connection that is about to be closed.
func (a *App) closesWhileDraining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.readiness.Draining() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// watch keeps up with what other processes change, until the function that it
// returns is called.
func (a *App) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { a.Keys.Watch(ctx) })
	watching.Go(func() { a.Roles.Watch(ctx) })
	watching.Go(func() { a.Policy.Watch(ctx) })
	watching.Go(func() {
		if err := a.Sweep.Register(ctx); err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "storage not marked yet as one of this installation", "error", err)
		}
	})
	if a.redis != nil {
		watching.Go(func() { a.redis.Monitor(ctx) })
	}
	if a.cache != nil {
		watching.Go(func() { a.cache.Watch(ctx, landmark.Popular) })
		watching.Go(func() {
			if err := a.Landmarks.Warm(ctx); err != nil {
				slog.InfoContext(ctx, "no copies made ahead", "error", err)
			}
		})
	}
	return func() {
		cancel()
		watching.Wait()
	}
}

func (a *App) stopJobs(ctx context.Context, roles Roles) error {
	if !roles.Worker {
		return nil
	}
	return a.jobs.Stop(ctx)
}

// Listen listens on an address, and says clearly when it is taken.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: is another program using the port? %w", addr, err)
	}
	return listener, nil
}

// opsHandler serves metrics, profiles and the readiness of the process, on a listener
// that only operators reach: by address, by a name of this machine, or by one of
// PICASPOT_TRUSTED_HOSTS. The profile "cmdline" is left out: flags may hold secrets.
func (a *App) opsHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics())
	mux.Handle("GET /readyz", a.readiness)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	hosts, err := middleware.TrustedNames(slices.Concat(loopback, a.config.TrustedHosts))
	if err != nil {
		return nil, err
	}
	return hosts(mux), nil
}
